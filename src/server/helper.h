/*
 * server/helper.h - a thread that does for a shard what would block it: files made and removed,
 * segments written and read.
 *
 * Jobs are done one after the other in the order given; when one is done, its shard hears of it on
 * its own thread. A job lies inside the object it is about and belongs to the helper until then.
 */
#pragma once

#include "base/mailbox.h"
#include "io/thread.h"

#include <pthread.h>

struct lv_job;
typedef void lv_job_fn(struct lv_job *job);

struct lv_job {
    struct lv_letter letter; /*       to the shard */
    struct lv_job *next;     /* view  the helper's */
    lv_job_fn *run;          /*       on the helper's thread; may block */
    lv_job_fn *done;         /*       on the shard's; may free the job; NULL: nobody asks */
};

typedef void lv_helper_wake_fn(void *ctx);

struct lv_helper {
    struct lv_thread thread;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    struct lv_job *first, *last; /* view  mutex */
    bool is_ending;              /* mutex */
    struct lv_mailbox done;      /* any   to the shard */
    lv_helper_wake_fn *wake;     /* any thread's: the shard has mail */
    void *wake_ctx;              /* view */
};

/* Its thread begins; `wake` is called from it. */
int lv_helper_start(struct lv_helper *helper, const char *name, lv_helper_wake_fn *wake,
                    void *wake_ctx) LV_MUST_CHECK;
/* Any thread. */
void lv_helper_run(struct lv_helper *helper, struct lv_job *job);
/* The shard's: calls `done` of each job that is. */
void lv_helper_take(struct lv_helper *helper);
/* Does what is left to do, then its thread ends; the shard may still take. */
void lv_helper_stop(struct lv_helper *helper);
