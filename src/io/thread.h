/*
 * io/thread.h - threads with a name and a small stack.
 *
 * They take no signals: these are the main thread's.
 */
#pragma once

#include "base/defs.h"

#include <pthread.h>

typedef void lv_thread_fn(void *ctx);

/* Belongs to whoever starts and joins it. */
struct lv_thread {
    pthread_t id;
    lv_thread_fn *run;
    void *ctx;     /* view */
    char name[16]; /* as top and gdb show it */
};

/* The thread uses `thread` until lv_thread_join(). */
int lv_thread_start(struct lv_thread *thread, const char *name, lv_thread_fn *run, void *ctx)
    LV_MUST_CHECK;
/* Waits for the thread's end; afterwards all it has written can be read. */
void lv_thread_join(struct lv_thread *thread);
