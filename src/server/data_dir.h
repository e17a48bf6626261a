/*
 * server/data_dir.h - the directory that belongs to one broker at a time. Main thread.
 */
#pragma once

#include "base/defs.h"
#include "base/err.h"

#define LV_PATH_SIZE_MAX 4096u

/* Locked as long as the process lives, however it ends. */
struct lv_data_dir {
    char path[LV_PATH_SIZE_MAX];
    int lock; /* descriptor */
};

/* The path, or for "" the default: $STATE_DIRECTORY, /var/lib/leveret for root, else below the
 * user's home. -LV_E_USAGE: there is none, or it is too long. */
int lv_data_dir_choose(const char *path, char chosen[LV_PATH_SIZE_MAX], struct lv_diag *diag)
    LV_MUST_CHECK;
/* Makes the directory where it is missing and locks it; `path` "" stands for the default.
 * -LV_E_LOCKED: another broker has it. */
int lv_data_dir_open(struct lv_data_dir *dir, const char *path, struct lv_diag *diag) LV_MUST_CHECK;
/* Unlocks it; the directory stays. */
void lv_data_dir_close(struct lv_data_dir *dir);
