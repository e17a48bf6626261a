/*
 * server/eventlog.h - the log: events as lines on the console and in a file.
 *
 * Whoever says something only copies a line into memory. Each target has a thread of its own that
 * writes, so a full disk, a slow one or a pipe that nobody reads stops neither a shard nor the
 * other target. What does not fit into LV_EVENTLOG_BUFFER meanwhile, or can't be written, is
 * counted: `log.lost` says how many lines when there is room again. There is one log in a process;
 * the main thread opens and closes it, any thread may say something.
 */
#pragma once

#include "server/settings.h"

#define LV_EVENTLOG_BUFFER ((size_t)128 * 1024)
#define LV_EVENTLOG_FILE   "leveret.log" /* in log.dir, when log.file says nothing */
/* How long the end waits for a target that takes nothing. */
#define LV_EVENTLOG_PATIENCE_MS 1000

#define LV_EVENTLOG_PATH_SIZE   4096u

/* Where the file is, "" when there is to be none. -LV_E_USAGE: the settings name no place. */
int lv_eventlog_path(const struct lv_settings *settings, char path[LV_EVENTLOG_PATH_SIZE],
                     struct lv_diag *diag) LV_MUST_CHECK;

/* Before there are other threads. -LV_E_IO: the file can't be written. */
int lv_eventlog_open(const struct lv_settings *settings, struct lv_diag *diag) LV_MUST_CHECK;
/* The file by its name again, after it has been renamed: lines go to the new one from here on. If
 * it can't be opened the old one stays, and an event says so. */
void lv_eventlog_reopen(void);
/* When all other threads have ended. `why` is what the process fails for, which is told to the
 * console in a sentence and so goes to the file alone; NULL when all is well. */
void lv_eventlog_close(const char *why);
