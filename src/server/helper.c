#include "server/helper.h"

#include "base/defs.h"

/* NULL: there is nothing left to do, and nothing will come. */
static struct lv_job *next_job(struct lv_helper *helper)
{
    struct lv_job *job;

    assert(helper != NULL);
    pthread_mutex_lock(&helper->mutex);
    while (helper->first == NULL && !helper->is_ending)
        pthread_cond_wait(&helper->cond, &helper->mutex);
    job = helper->first;
    if (job != NULL)
        helper->first = job->next;
    if (helper->first == NULL)
        helper->last = NULL;
    pthread_mutex_unlock(&helper->mutex);
    return job;
}

/* The helper's thread. */
static void run(void *ctx)
{
    struct lv_helper *helper = ctx;
    struct lv_job *job;

    assert(helper->wake != NULL);
    while ((job = next_job(helper)) != NULL) {
        bool is_asked = job->done != NULL;
        job->run(job); /* a job that nobody asks about may be gone afterwards */
        if (is_asked && lv_mailbox_post(&helper->done, &job->letter))
            helper->wake(helper->wake_ctx);
    }
}

/* The row is empty, so the thread sleeps at once. */
int lv_helper_start(struct lv_helper *helper, const char *name, lv_helper_wake_fn *wake,
                    void *wake_ctx)
{
    assert(wake != NULL);
    helper->wake = wake;
    helper->wake_ctx = wake_ctx;
    pthread_mutex_init(&helper->mutex, NULL);
    pthread_cond_init(&helper->cond, NULL);
    lv_mailbox_init(&helper->done);
    return lv_thread_start(&helper->thread, name, run, helper);
}

/* At the end of the row; one that runs already is in no row and may be given again. */
void lv_helper_run(struct lv_helper *helper, struct lv_job *job)
{
    assert(job->run != NULL);
    job->next = NULL;
    pthread_mutex_lock(&helper->mutex);
    if (helper->last == NULL)
        helper->first = job;
    else
        helper->last->next = job;
    helper->last = job;
    pthread_cond_signal(&helper->cond);
    pthread_mutex_unlock(&helper->mutex);
}

/* `done` may free the job, so the next one is looked up before. */
void lv_helper_take(struct lv_helper *helper)
{
    struct lv_letter *letter = lv_mailbox_take(&helper->done);

    while (letter != NULL) {
        struct lv_job *job = lv_container(letter, struct lv_job, letter);
        letter = letter->next;
        assert(job->done != NULL);
        job->done(job);
    }
}

/* What is in the row is done first: files that were asked for may be waited for. */
void lv_helper_stop(struct lv_helper *helper)
{
    assert(!helper->is_ending);
    pthread_mutex_lock(&helper->mutex);
    helper->is_ending = true;
    pthread_cond_signal(&helper->cond);
    pthread_mutex_unlock(&helper->mutex);
    lv_thread_join(&helper->thread);
    pthread_cond_destroy(&helper->cond);
    pthread_mutex_destroy(&helper->mutex);
}
