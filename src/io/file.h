/*
 * io/file.h - directories, whole files, and locks by which one process keeps others out. Any
 * thread.
 */
#pragma once

#include "base/defs.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/* The directory and those above it; fine when it is there already. */
int lv_directory_make(const char *path, struct lv_diag *diag) LV_MUST_CHECK;

/* All of a file, with a zero byte behind it. Gives *ret_text, for lv_free(). -LV_E_RESOURCE: longer
 * than `max`. */
int lv_file_read(const char *path, size_t max, char **ret_text, size_t *ret_size,
                 struct lv_diag *diag) LV_MUST_CHECK;

/* Creates or opens the file, locks it for this process and writes the process's id into it.
 * -LV_E_LOCKED: another process has it, `diag` says which. The lock ends with the process or by
 * lv_file_unlock(). */
int lv_file_lock(const char *path, int *ret_fd, struct lv_diag *diag) LV_MUST_CHECK;
/* Removes the file too. */
void lv_file_unlock(const char *path, int fd);
