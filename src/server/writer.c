#include "server/writer.h"

#include "base/alloc.h"

#include <stdio.h>
#include <time.h>

#define CAPACITY_MIN 16u
/* How long to wait before a full disk is asked again; it ends by itself when there is room. */
#define FULL_MS 200

/* ---- files that wait to be used ---- */

/* The spare file's name is the helper's, so that no two make one at once. */
static void run_spare(struct lv_job *job)
{
    struct lv_writer *writer = lv_container(job, struct lv_writer, spare_job);
    bool is_wanted;
    int rc = 0;

    pthread_mutex_lock(&writer->mutex);
    writer->is_spare_asked = false;
    is_wanted = writer->spare == LV_SPARE_WANTED; /* an old file may have become it meanwhile */
    pthread_mutex_unlock(&writer->mutex);
    if (!is_wanted)
        return;
    rc = lv_logfiles_make_spare(writer->files.disk, writer->files.shard);
    pthread_mutex_lock(&writer->mutex);
    writer->spare = rc == 0 ? LV_SPARE_READY : LV_SPARE_NONE;
    writer->spare_error = rc;
    pthread_cond_signal(&writer->cond);
    pthread_mutex_unlock(&writer->mutex);
}

struct recycling {
    struct lv_job job;
    struct lv_writer *writer; /* view */
    uint64_t to;              /* number */
    uint64_t changes;         /* LSN */
};

/* On a full disk the files stay until the next time. */
static void run_recycling(struct lv_job *job)
{
    struct recycling *recycling = lv_container(job, struct recycling, job);
    struct lv_writer *writer = recycling->writer;
    const struct lv_checkpoint next = {
        .begin = recycling->to,
        .end = writer->files.is_syncing ? lv_writer_synced(writer) : 0,
        .changes = recycling->changes,
        .is_syncing = writer->files.is_syncing,
    };
    int rc = lv_logfiles_recycle(writer->files.disk, writer->files.shard, writer->oldest, &next);

    if (rc == 0)
        writer->oldest = recycling->to;
    lv_free(recycling);
    if (rc < 0 && rc != -LV_E_FULL) {
        atomic_store(&writer->error, rc);
        writer->wake(writer->wake_ctx);
    }
}

void lv_writer_recycle(struct lv_writer *writer, uint64_t number, uint64_t changes)
{
    struct recycling *recycling = lv_calloc(1, sizeof *recycling);

    if (recycling == NULL)
        return; /* next time */
    recycling->job.run = run_recycling;
    recycling->writer = writer;
    recycling->to = number;
    recycling->changes = changes;
    lv_helper_run(writer->helper, &recycling->job);
}

/* Unless there is one. */
static void want_spare(struct lv_writer *writer)
{
    bool is_to_ask = false;

    pthread_mutex_lock(&writer->mutex);
    if (writer->spare == LV_SPARE_NONE) {
        writer->spare = LV_SPARE_WANTED;
        is_to_ask = !writer->is_spare_asked;
        writer->is_spare_asked = true;
    }
    pthread_mutex_unlock(&writer->mutex);
    if (is_to_ask)
        lv_helper_run(writer->helper, &writer->spare_job);
}

/* Waits for it. Less than zero: why there is none. */
static int take_spare(struct lv_writer *writer)
{
    int rc = 0;

    want_spare(writer);
    pthread_mutex_lock(&writer->mutex);
    while (writer->spare == LV_SPARE_WANTED)
        pthread_cond_wait(&writer->cond, &writer->mutex);
    if (writer->spare == LV_SPARE_NONE)
        rc = writer->spare_error;
    writer->spare = LV_SPARE_NONE;
    pthread_mutex_unlock(&writer->mutex);
    assert(rc <= 0);
    return rc;
}

/* ---- the thread ---- */

/* Interrupted by the end only. */
static bool wait_for_room(struct lv_writer *writer)
{
    struct timespec until;
    bool is_ending;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += FULL_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&writer->mutex);
    if (!writer->is_ending)
        pthread_cond_timedwait(&writer->cond, &writer->mutex, &until);
    is_ending = writer->is_ending;
    pthread_mutex_unlock(&writer->mutex);
    return !is_ending;
}

static int write_one(struct lv_writer *writer, const struct lv_log_write *write)
{
    if (lv_logfiles_is_turn(&writer->files, write)) {
        bool is_usual = write->file_size == LV_LOG_FILE_SIZE;
        int rc = is_usual ? take_spare(writer) : 0;
        if (rc == 0)
            rc = lv_logfiles_turn(&writer->files, write, is_usual);
        if (rc < 0)
            return rc;
        want_spare(writer);
    }
    return lv_logfiles_write(&writer->files, write);
}

static void set_full(struct lv_writer *writer, bool is_full)
{
    if (atomic_exchange(&writer->is_full, is_full) == is_full)
        return;
    writer->wake(writer->wake_ctx);
}

/* All of the batch, however long the disk is full, and then one sync. */
static int write_batch(struct lv_writer *writer, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        int rc;

        while ((rc = write_one(writer, &writer->batch[i])) == -LV_E_FULL) {
            set_full(writer, true);
            if (!wait_for_room(writer))
                return rc;
        }
        if (rc < 0)
            return rc;
    }
    set_full(writer, false);
    return lv_logfiles_sync(&writer->files);
}

/* Swaps what waits for an empty batch. 0: the end. */
static uint32_t take_batch(struct lv_writer *writer)
{
    struct lv_log_write *batch = writer->batch;
    uint32_t capacity = writer->batch_capacity, count;

    pthread_mutex_lock(&writer->mutex);
    while (writer->count == 0 && !writer->is_ending)
        pthread_cond_wait(&writer->cond, &writer->mutex);
    count = writer->count;
    writer->batch = writer->waiting;
    writer->batch_capacity = writer->capacity;
    writer->waiting = batch;
    writer->capacity = capacity;
    writer->count = 0;
    pthread_mutex_unlock(&writer->mutex);
    return count;
}

static void run(void *ctx)
{
    struct lv_writer *writer = ctx;
    uint32_t count;

    want_spare(writer);
    while ((count = take_batch(writer)) > 0) {
        const struct lv_log_write *last = &writer->batch[count - 1];
        int rc = write_batch(writer, count);

        if (rc < 0) {
            atomic_store(&writer->error, rc);
            writer->wake(writer->wake_ctx);
            break;
        }
        atomic_store_explicit(&writer->synced, last->lsn + last->size, memory_order_release);
        writer->wake(writer->wake_ctx);
    }
    lv_logfiles_fini(&writer->files);
}

int lv_writer_start(struct lv_writer *writer, uint32_t shard, struct lv_disk *disk,
                    struct lv_helper *helper, bool is_syncing)
{
    char name[16];

    lv_logfiles_init(&writer->files, disk, shard, is_syncing);
    writer->helper = helper;
    writer->wake = helper->wake;
    writer->wake_ctx = helper->wake_ctx;
    writer->spare_job.run = run_spare;
    pthread_mutex_init(&writer->mutex, NULL);
    pthread_cond_init(&writer->cond, NULL);
    snprintf(name, sizeof name, "log %u", shard);
    return lv_thread_start(&writer->thread, name, run, writer);
}

int lv_writer_add(struct lv_writer *writer, const struct lv_log_write *writes, uint32_t count)
{
    int rc = 0;

    pthread_mutex_lock(&writer->mutex);
    if (writer->count + count > writer->capacity) {
        uint32_t capacity = writer->capacity == 0 ? CAPACITY_MIN : writer->capacity;
        while (capacity < writer->count + count)
            capacity *= 2;
        struct lv_log_write *larger = lv_realloc(writer->waiting, capacity * sizeof *larger);
        if (larger == NULL) {
            rc = -LV_E_NOMEM;
        } else {
            writer->waiting = larger;
            writer->capacity = capacity;
        }
    }
    if (rc == 0) {
        memcpy(writer->waiting + writer->count, writes, count * sizeof *writes);
        writer->count += count;
        pthread_cond_signal(&writer->cond);
    }
    pthread_mutex_unlock(&writer->mutex);
    return rc;
}

void lv_writer_stop(struct lv_writer *writer)
{
    pthread_mutex_lock(&writer->mutex);
    writer->is_ending = true;
    pthread_cond_signal(&writer->cond);
    pthread_mutex_unlock(&writer->mutex);
    lv_thread_join(&writer->thread);
}

void lv_writer_fini(struct lv_writer *writer)
{
    assert(writer->is_ending);
    pthread_cond_destroy(&writer->cond);
    pthread_mutex_destroy(&writer->mutex);
    lv_free(writer->waiting);
    lv_free(writer->batch);
}
