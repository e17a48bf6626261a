#include "server/writer.h"

#include "base/alloc.h"
#include "store/logfile.h"

#include <stdio.h>
#include <time.h>

#define CAPACITY_MIN 16u
#define ZEROS_SIZE   65536u
/* How long to wait before a full disk is asked again; it ends by itself when there is room. */
#define FULL_MS 200

void lv_log_name(uint32_t shard, uint64_t number, char name[LV_DISK_NAME_SIZE])
{
    snprintf(name, LV_DISK_NAME_SIZE, "log-%02x-%08llx", shard, (unsigned long long)number);
}

static void spare_name(const struct lv_writer *writer, char name[LV_DISK_NAME_SIZE])
{
    snprintf(name, LV_DISK_NAME_SIZE, "spare-%02x", writer->shard);
}

/* ---- files ---- */

/* All blocks of the file are on the disk and known to be ours: writing into it allocates nothing,
 * so that a sync is of data alone. */
static int fill(struct lv_disk *disk, int file, uint64_t size)
{
    static const uint8_t zeros[ZEROS_SIZE];

    for (uint64_t at = 0; at < size; at += ZEROS_SIZE) {
        int rc = disk->ops->write(disk, file, at, lv_bytes(zeros, ZEROS_SIZE));
        if (rc < 0)
            return rc;
    }
    return disk->ops->sync(disk, file);
}

/* Under the name of a spare file until it is whole. */
static int make_spare(struct lv_writer *writer)
{
    struct lv_disk *disk = writer->disk;
    char name[LV_DISK_NAME_SIZE];
    int file, rc;

    spare_name(writer, name);
    rc = disk->ops->open(disk, name, true, &file);
    if (rc < 0)
        return rc;
    rc = fill(disk, file, LV_LOG_FILE_SIZE);
    disk->ops->close(disk, file);
    if (rc < 0)
        (void)disk->ops->remove(disk, name); /* half of it would only take room */
    return rc;
}

static void run_spare(struct lv_job *job)
{
    struct lv_writer *writer = lv_container(job, struct lv_writer, spare_job);
    int rc = make_spare(writer);

    pthread_mutex_lock(&writer->mutex);
    writer->spare = rc == 0 ? LV_SPARE_READY : LV_SPARE_NONE;
    pthread_cond_signal(&writer->cond);
    pthread_mutex_unlock(&writer->mutex);
}

/* ---- files that are used again ---- */

struct recycling {
    struct lv_job job;
    struct lv_writer *writer; /* view */
    uint64_t from, to;        /* numbers */
};

/* Only if no spare file is there or being made, which is the helper's business like this is. */
static bool become_spare(struct lv_writer *writer, const char *name)
{
    char spare[LV_DISK_NAME_SIZE];
    bool is_wanted;
    uint64_t size = 0;
    int file;

    pthread_mutex_lock(&writer->mutex);
    is_wanted = writer->spare == LV_SPARE_NONE;
    pthread_mutex_unlock(&writer->mutex);
    if (!is_wanted || writer->disk->ops->open(writer->disk, name, false, &file) < 0)
        return false;
    (void)writer->disk->ops->size(writer->disk, file, &size);
    writer->disk->ops->close(writer->disk, file);
    spare_name(writer, spare);
    if (size != LV_LOG_FILE_SIZE || writer->disk->ops->rename(writer->disk, name, spare) < 0)
        return false;
    pthread_mutex_lock(&writer->mutex);
    writer->spare = LV_SPARE_READY;
    pthread_cond_signal(&writer->cond);
    pthread_mutex_unlock(&writer->mutex);
    return true;
}

/* Oldest first: what a crash leaves of this is a log that begins later. */
static void run_recycling(struct lv_job *job)
{
    struct recycling *recycling = lv_container(job, struct recycling, job);
    struct lv_writer *writer = recycling->writer;
    char name[LV_DISK_NAME_SIZE];

    for (uint64_t number = recycling->from; number < recycling->to; number++) {
        lv_log_name(writer->shard, number, name);
        if (!become_spare(writer, name))
            (void)writer->disk->ops->remove(writer->disk, name);
    }
    lv_free(recycling);
}

void lv_writer_recycle(struct lv_writer *writer, uint64_t number)
{
    struct recycling *recycling = lv_calloc(1, sizeof *recycling);

    if (recycling == NULL)
        return; /* next time */
    assert(number >= writer->oldest);
    recycling->job.run = run_recycling;
    recycling->writer = writer;
    recycling->from = writer->oldest;
    recycling->to = writer->oldest = number;
    lv_helper_run(writer->helper, &recycling->job);
}

static void want_spare(struct lv_writer *writer)
{
    pthread_mutex_lock(&writer->mutex);
    bool wanted = writer->spare == LV_SPARE_NONE;
    if (wanted)
        writer->spare = LV_SPARE_WANTED;
    pthread_mutex_unlock(&writer->mutex);
    if (wanted)
        lv_helper_run(writer->helper, &writer->spare_job);
}

/* The spare file is being made: waits for that. False: there is none. */
static bool take_spare(struct lv_writer *writer)
{
    bool is_ready;

    pthread_mutex_lock(&writer->mutex);
    while (writer->spare == LV_SPARE_WANTED)
        pthread_cond_wait(&writer->cond, &writer->mutex);
    is_ready = writer->spare == LV_SPARE_READY;
    writer->spare = LV_SPARE_NONE;
    pthread_mutex_unlock(&writer->mutex);
    return is_ready;
}

/* A file of the usual size is a spare one under its new name, others are made on the spot. */
static int create(struct lv_writer *writer, const struct lv_log_write *write, const char *name)
{
    struct lv_disk *disk = writer->disk;
    char spare[LV_DISK_NAME_SIZE];
    bool is_usual = write->file_size == LV_LOG_FILE_SIZE;
    int rc;

    if (is_usual && !take_spare(writer)) {
        rc = make_spare(writer);
        if (rc < 0)
            return rc;
    }
    if (!is_usual)
        return disk->ops->open(disk, name, true, &writer->file);
    spare_name(writer, spare);
    rc = disk->ops->rename(disk, spare, name);
    return rc < 0 ? rc : disk->ops->open(disk, name, false, &writer->file);
}

static int write_head(struct lv_writer *writer, const struct lv_log_write *write)
{
    struct lv_log_head head = {
        .shard = writer->shard,
        .number = write->number,
        .file_size = write->file_size,
        .seed = write->seed,
    };

    lv_log_head_seal(&head);
    return writer->disk->ops->write(writer->disk, writer->file, 0, lv_bytes(&head, sizeof head));
}

static int sync(struct lv_writer *writer)
{
    if (writer->file < 0 || !writer->is_syncing)
        return 0;
    return writer->disk->ops->sync(writer->disk, writer->file);
}

static void close_file(struct lv_writer *writer)
{
    if (writer->file >= 0)
        writer->disk->ops->close(writer->disk, writer->file);
    writer->file = -1;
}

/* The log goes on in another file: what is in the last one comes first. */
static int turn_file(struct lv_writer *writer, const struct lv_log_write *write)
{
    char name[LV_DISK_NAME_SIZE];
    int rc = sync(writer);

    if (rc < 0)
        return rc == -LV_E_FULL ? -LV_E_IO : rc;
    close_file(writer);
    lv_log_name(writer->shard, write->number, name);
    rc = create(writer, write, name);
    if (rc == 0)
        rc = write_head(writer, write);
    if (rc == 0)
        rc = writer->disk->ops->sync(writer->disk, writer->file);
    if (rc == 0)
        rc = writer->disk->ops->sync_directory(writer->disk);
    if (rc < 0) {
        close_file(writer);
        return rc;
    }
    writer->number = write->number;
    want_spare(writer);
    return 0;
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
    uint64_t offset = write->lsn - write->number * LV_LOG_FILE_SIZE;
    int rc = 0;

    if (writer->file < 0 || writer->number != write->number)
        rc = turn_file(writer, write);
    if (rc == 0)
        rc = writer->disk->ops->write(writer->disk, writer->file, offset,
                                      lv_bytes(write->data, write->size));
    return rc;
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
    return sync(writer);
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
    close_file(writer);
}

int lv_writer_start(struct lv_writer *writer, uint32_t shard, struct lv_disk *disk,
                    struct lv_helper *helper, bool is_syncing)
{
    char name[16];

    assert(disk != NULL);
    writer->shard = shard;
    writer->disk = disk;
    writer->helper = helper;
    writer->is_syncing = is_syncing;
    writer->wake = helper->wake;
    writer->wake_ctx = helper->wake_ctx;
    writer->file = -1;
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
