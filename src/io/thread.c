#include "io/thread.h"

#include "base/err.h"

#include <signal.h>
#include <stdio.h>

/* Nothing here recurses far, and the default of 8 MiB counts against limits of address space. */
#define STACK_SIZE ((size_t)256 * 1024)

/* The name is the thread's own to set, as only then is it there before anything else happens. */
static void *begin(void *ctx)
{
    struct lv_thread *thread = ctx;

    assert(thread->run != NULL);
    pthread_setname_np(pthread_self(), thread->name);
    thread->run(thread->ctx);
    return NULL;
}

/* All signals are blocked while the thread is made, as it inherits what its maker blocks. */
int lv_thread_start(struct lv_thread *thread, const char *name, lv_thread_fn *run, void *ctx)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    int rc;

    assert(run != NULL);
    thread->run = run;
    thread->ctx = ctx;
    snprintf(thread->name, sizeof thread->name, "%s", name);
    if (pthread_attr_init(&attributes) != 0)
        return -LV_E_NOMEM;
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* the new thread inherits it */
    rc = pthread_create(&thread->id, &attributes, begin, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return rc == 0 ? 0 : -LV_E_RESOURCE;
}

void lv_thread_join(struct lv_thread *thread)
{
    int rc = pthread_join(thread->id, NULL);

    assert(rc == 0);
    (void)rc;
}
