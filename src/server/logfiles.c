#include "server/logfiles.h"

#include "store/logfile.h"

#include <stdio.h>

#define ZEROS_SIZE 65536u

static void spare_name(uint32_t shard, char name[LV_DISK_NAME_SIZE])
{
    assert(shard < 256);
    snprintf(name, LV_DISK_NAME_SIZE, "spare-%02x", shard);
}

/* Where a file that the log has left waits until a spare one is needed. */
static void used_name(uint32_t shard, char name[LV_DISK_NAME_SIZE])
{
    assert(shard < 256);
    snprintf(name, LV_DISK_NAME_SIZE, "used-%02x", shard);
}

void lv_logfiles_init(struct lv_logfiles *files, struct lv_disk *disk, uint32_t shard,
                      bool is_syncing)
{
    assert(disk != NULL);
    *files = (struct lv_logfiles){
        .disk = disk,
        .shard = shard,
        .is_syncing = is_syncing,
        .file = -1,
    };
}

static void close_file(struct lv_logfiles *files)
{
    if (files->file >= 0)
        files->disk->ops->close(files->disk, files->file);
    files->file = -1;
}

void lv_logfiles_fini(struct lv_logfiles *files)
{
    assert(files->disk != NULL);
    close_file(files);
}

/* ---- files that wait to be used ---- */

/* All blocks of the file are on the disk and known to be ours: writing into it allocates nothing,
 * so that a sync is of data alone. */
static int fill(struct lv_disk *disk, int file, uint64_t size)
{
    static const uint8_t zeros[ZEROS_SIZE];

    static_assert(LV_LOG_FILE_SIZE % ZEROS_SIZE == 0, "zeros fit");
    for (uint64_t at = 0; at < size; at += ZEROS_SIZE) {
        int rc = disk->ops->write(disk, file, at, lv_bytes(zeros, ZEROS_SIZE));
        if (rc < 0)
            return rc;
        disk->ops->write_back(disk, file, at, ZEROS_SIZE);
    }
    return disk->ops->sync(disk, file);
}

/* Is there a whole file of this name? */
static bool is_whole(struct lv_disk *disk, const char *name)
{
    uint64_t size = 0;
    int file;

    if (disk->ops->open(disk, name, false, &file) < 0)
        return false;
    (void)disk->ops->size(disk, file, &size);
    disk->ops->close(disk, file);
    return size == LV_LOG_FILE_SIZE;
}

/* Under the name of a spare file until it is whole. */
static int make_file(struct lv_disk *disk, const char *name)
{
    int file, rc = disk->ops->open(disk, name, true, &file);

    if (rc < 0)
        return rc;
    rc = fill(disk, file, LV_LOG_FILE_SIZE);
    disk->ops->close(disk, file);
    if (rc < 0)
        (void)disk->ops->remove(disk, name); /* half of it would only take room */
    return rc;
}

/* What is in a file doesn't matter, as nothing can be taken for a block of its next life; that all
 * of it is on the disk does. */
int lv_logfiles_make_spare(struct lv_disk *disk, uint32_t shard)
{
    char name[LV_DISK_NAME_SIZE], used[LV_DISK_NAME_SIZE];

    spare_name(shard, name);
    used_name(shard, used);
    if (is_whole(disk, name))
        return 0; /* an earlier run's */
    if (is_whole(disk, used) && disk->ops->rename(disk, used, name) == 0)
        return 0;
    return make_file(disk, name);
}

static bool keep(struct lv_disk *disk, uint32_t shard, const char *name)
{
    char used[LV_DISK_NAME_SIZE];

    used_name(shard, used);
    assert(strcmp(name, used) != 0);
    return is_whole(disk, name) && disk->ops->rename(disk, name, used) == 0;
}

/* Before a file goes it is on disk that nobody misses it. One that stays behind must not lose those
 * after it: a log with a gap looks damaged. */
int lv_logfiles_recycle(struct lv_disk *disk, uint32_t shard, uint64_t from,
                        const struct lv_checkpoint *next)
{
    char name[LV_DISK_NAME_SIZE];
    int rc = lv_checkpoint_advance(disk, shard, next);

    for (uint64_t number = from; rc == 0 && number < next->begin; number++) {
        lv_logfile_name(shard, number, name);
        if (!keep(disk, shard, name))
            rc = disk->ops->remove(disk, name);
        if (rc == -LV_E_NOT_FOUND)
            rc = 0; /* a large file has more than one number */
    }
    assert(rc <= 0);
    return rc;
}

/* ---- the file that is written ---- */

bool lv_logfiles_is_turn(const struct lv_logfiles *files, const struct lv_log_write *write)
{
    return files->file < 0 || files->number != write->number;
}

/* Its length is on disk before its head is, so that one that is shorter has lost something. */
static int create_large(struct lv_logfiles *files, const char *name, uint64_t size)
{
    static const uint8_t zeros[8];
    struct lv_disk *disk = files->disk;
    int rc = disk->ops->open(disk, name, true, &files->file);

    assert(size > LV_LOG_FILE_SIZE);
    if (rc == 0)
        rc =
            disk->ops->write(disk, files->file, size - sizeof zeros, lv_bytes(zeros, sizeof zeros));
    return rc < 0 ? rc : disk->ops->sync(disk, files->file);
}

/* A file of the usual size is a spare one under its new name, others are made on the spot. */
static int create(struct lv_logfiles *files, const struct lv_log_write *write, bool has_spare)
{
    struct lv_disk *disk = files->disk;
    char name[LV_DISK_NAME_SIZE], spare[LV_DISK_NAME_SIZE];
    int rc = 0;

    assert(files->file < 0);
    lv_logfile_name(files->shard, write->number, name);
    if (write->file_size != LV_LOG_FILE_SIZE)
        return create_large(files, name, write->file_size);
    if (!has_spare)
        rc = lv_logfiles_make_spare(disk, files->shard);
    if (rc < 0)
        return rc;
    spare_name(files->shard, spare);
    rc = disk->ops->rename(disk, spare, name);
    return rc < 0 ? rc : disk->ops->open(disk, name, false, &files->file);
}

static int write_head(struct lv_logfiles *files, const struct lv_log_write *write)
{
    struct lv_log_head head = {
        .shard = files->shard,
        .number = write->number,
        .file_size = write->file_size,
        .seed = write->seed,
    };

    assert(files->file >= 0);
    lv_log_head_seal(&head);
    return files->disk->ops->write(files->disk, files->file, 0, lv_bytes(&head, sizeof head));
}

int lv_logfiles_sync(struct lv_logfiles *files)
{
    if (files->file < 0 || !files->is_syncing)
        return 0;
    return files->disk->ops->sync(files->disk, files->file);
}

int lv_logfiles_turn(struct lv_logfiles *files, const struct lv_log_write *write, bool has_spare)
{
    struct lv_disk *disk = files->disk;
    int rc = lv_logfiles_sync(files);

    assert(lv_logfiles_is_turn(files, write));
    if (rc < 0)
        return rc == -LV_E_FULL ? -LV_E_IO : rc;
    close_file(files);
    rc = create(files, write, has_spare);
    /* Its name comes first: were only the head to last, an older file's name would lead to it. */
    if (rc == 0)
        rc = disk->ops->sync_directory(disk);
    if (rc == 0)
        rc = write_head(files, write);
    if (rc == 0)
        rc = disk->ops->sync(disk, files->file);
    if (rc < 0)
        close_file(files);
    else
        files->number = write->number;
    return rc;
}

int lv_logfiles_write(struct lv_logfiles *files, const struct lv_log_write *write)
{
    assert(!lv_logfiles_is_turn(files, write));
    return files->disk->ops->write(files->disk, files->file,
                                   write->lsn - write->number * LV_LOG_FILE_SIZE,
                                   lv_bytes(write->data, write->size));
}
