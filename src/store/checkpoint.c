#include "store/checkpoint.h"

#include "base/hash.h"

#include <inttypes.h>
#include <stdio.h>

#define SLOTS     2u
#define FILE_SIZE (SLOTS * LV_CHECKPOINT_STRIDE)

static_assert(sizeof(struct lv_checkpoint_slot) == 64, "a slot as it lies on disk");

/* What was read of a file, and which of its slots counts. */
struct reading {
    struct lv_checkpoint_slot slots[SLOTS];
    bool is_whole[SLOTS];
    uint32_t newest; /* SLOTS: none is whole */
};

void lv_checkpoint_name(uint32_t shard, char name[LV_DISK_NAME_SIZE])
{
    assert(shard < 256);
    snprintf(name, LV_DISK_NAME_SIZE, "checkpoint-%02" PRIx32, shard);
}

bool lv_checkpoint_parse_name(const char *name, uint32_t *ret_shard)
{
    char again[LV_DISK_NAME_SIZE];

    for (uint32_t shard = 0; shard < 256; shard++) {
        lv_checkpoint_name(shard, again);
        if (strcmp(name, again) == 0) {
            *ret_shard = shard;
            return true;
        }
    }
    assert(strlen(name) < LV_DISK_NAME_SIZE);
    return false;
}

/* ---- reading ---- */

static uint64_t check_of(const struct lv_checkpoint_slot *slot)
{
    return lv_xxh3(slot, offsetof(struct lv_checkpoint_slot, check), 0);
}

static bool is_ours(const struct lv_checkpoint_slot *slot, uint32_t shard)
{
    return memcmp(slot->magic, LV_CHECKPOINT_MAGIC, sizeof slot->magic) == 0 &&
           slot->version == LV_FORMAT_VERSION && slot->shard == shard &&
           slot->check == check_of(slot);
}

/* A version field that was damaged is told from one that we don't know by whether the check would
 * hold with ours. */
static bool is_other_version(const struct lv_checkpoint_slot *slot)
{
    struct lv_checkpoint_slot ours = *slot;

    ours.version = LV_FORMAT_VERSION;
    return memcmp(slot->magic, LV_CHECKPOINT_MAGIC, sizeof slot->magic) == 0 &&
           slot->version != LV_FORMAT_VERSION && slot->check != check_of(&ours);
}

static int read_slots(struct lv_disk *disk, uint32_t shard, int file, struct reading *reading)
{
    *reading = (struct reading){.newest = SLOTS};
    for (uint32_t i = 0; i < SLOTS; i++) {
        struct lv_checkpoint_slot *slot = &reading->slots[i];
        size_t size;
        int rc = disk->ops->read(disk, file, (uint64_t)i * LV_CHECKPOINT_STRIDE, slot, sizeof *slot,
                                 &size);

        if (rc < 0)
            return rc;
        if (size < sizeof *slot)
            memset(slot, 0, sizeof *slot);
        reading->is_whole[i] = is_ours(slot, shard);
        if (reading->is_whole[i] &&
            (reading->newest == SLOTS || slot->count > reading->slots[reading->newest].count))
            reading->newest = i;
    }
    assert(reading->newest == SLOTS || reading->is_whole[reading->newest]);
    return 0;
}

static int fail_slots(const struct reading *reading, const char *name, struct lv_diag *diag)
{
    for (uint32_t i = 0; i < SLOTS; i++)
        if (is_other_version(&reading->slots[i]))
            return lv_fail(diag, -LV_E_VERSION,
                           "%s has version %" PRIu32 " of the log's format and this program knows "
                           "version %u: use the Leveret that wrote it, or a newer one",
                           name, reading->slots[i].version, LV_FORMAT_VERSION);
    assert(reading->newest == SLOTS);
    return lv_fail(diag, -LV_E_CORRUPT,
                   "%s is damaged at offset 0: from where to where the log goes can't be known",
                   name);
}

int lv_checkpoint_read(struct lv_disk *disk, uint32_t shard, struct lv_checkpoint *ret_checkpoint,
                       struct lv_diag *diag)
{
    char name[LV_DISK_NAME_SIZE];
    const struct lv_checkpoint_slot *slot;
    struct reading reading = {.newest = SLOTS};
    int file, rc;

    lv_checkpoint_name(shard, name);
    rc = disk->ops->open(disk, name, false, &file);
    if (rc == 0) {
        rc = read_slots(disk, shard, file, &reading);
        disk->ops->close(disk, file);
    }
    if (rc < 0)
        return lv_fail(diag, rc, "%s can't be read: %s", name,
                       rc == -LV_E_NOT_FOUND ? "it is not there" : "input/output error");
    if (reading.newest == SLOTS)
        return fail_slots(&reading, name, diag);
    slot = &reading.slots[reading.newest];
    *ret_checkpoint = (struct lv_checkpoint){
        .begin = slot->begin,
        .end = slot->end,
        .changes = slot->changes,
        .is_syncing = slot->is_syncing != 0,
        .is_torn = !reading.is_whole[SLOTS - 1 - reading.newest],
    };
    assert(ret_checkpoint->begin > 0);
    return 0;
}

/* ---- writing ---- */

static int write_slot(struct lv_disk *disk, int file, uint32_t index,
                      const struct lv_checkpoint_slot *slot)
{
    int rc = disk->ops->write(disk, file, (uint64_t)index * LV_CHECKPOINT_STRIDE,
                              lv_bytes(slot, sizeof *slot));

    assert(index < SLOTS);
    return rc < 0 ? rc : disk->ops->sync(disk, file);
}

/* Both slots have it: one that is not whole is one that a crash tore, or damage. */
static int create(struct lv_disk *disk, const char *name, const struct lv_checkpoint_slot *slot)
{
    char temporary[LV_DISK_NAME_SIZE + 8];
    uint8_t data[FILE_SIZE] = {0};
    int file, rc;

    snprintf(temporary, sizeof temporary, "%s.tmp", name);
    for (uint32_t i = 0; i < SLOTS; i++)
        memcpy(data + (size_t)i * LV_CHECKPOINT_STRIDE, slot, sizeof *slot);
    assert(slot->count == 0);
    rc = disk->ops->open(disk, temporary, true, &file);
    if (rc < 0)
        return rc;
    rc = disk->ops->write(disk, file, 0, lv_bytes(data, sizeof data));
    if (rc == 0)
        rc = disk->ops->sync(disk, file);
    disk->ops->close(disk, file);
    if (rc == 0)
        rc = disk->ops->rename(disk, temporary, name);
    return rc < 0 ? rc : disk->ops->sync_directory(disk);
}

/* Into the slot that doesn't count. */
static int update(struct lv_disk *disk, int file, const struct reading *reading,
                  struct lv_checkpoint_slot *slot)
{
    const struct lv_checkpoint_slot *before = &reading->slots[reading->newest];

    if (slot->begin < before->begin)
        slot->begin = before->begin;
    if (slot->end < before->end)
        slot->end = before->end;
    if (slot->changes < before->changes)
        slot->changes = before->changes;
    slot->count = before->count + 1;
    assert(slot->begin > 0);
    if (slot->begin == before->begin && slot->end == before->end &&
        slot->changes == before->changes && slot->is_syncing == before->is_syncing)
        return 0;
    slot->check = check_of(slot);
    return write_slot(disk, file, SLOTS - 1 - reading->newest, slot);
}

int lv_checkpoint_advance(struct lv_disk *disk, uint32_t shard,
                          const struct lv_checkpoint *checkpoint)
{
    struct lv_checkpoint_slot slot = {.version = LV_FORMAT_VERSION,
                                      .shard = shard,
                                      .begin = checkpoint->begin,
                                      .end = checkpoint->end,
                                      .changes = checkpoint->changes,
                                      .is_syncing = checkpoint->is_syncing};
    char name[LV_DISK_NAME_SIZE];
    struct reading reading;
    int file, rc;

    assert(checkpoint->begin > 0);
    memcpy(slot.magic, LV_CHECKPOINT_MAGIC, sizeof slot.magic);
    slot.check = check_of(&slot);
    lv_checkpoint_name(shard, name);
    rc = disk->ops->open(disk, name, false, &file);
    if (rc == -LV_E_NOT_FOUND)
        return create(disk, name, &slot);
    if (rc < 0)
        return rc;
    rc = read_slots(disk, shard, file, &reading);
    if (rc == 0)
        rc = reading.newest == SLOTS ? -LV_E_CORRUPT : update(disk, file, &reading, &slot);
    disk->ops->close(disk, file);
    return rc;
}

/* ---- what it says of a log ---- */

/* An older slot would miss files that were rightly let go. */
static int fail_torn(uint32_t shard, struct lv_diag *diag)
{
    char name[LV_DISK_NAME_SIZE];

    lv_checkpoint_name(shard, name);
    return lv_fail(diag, -LV_E_CORRUPT,
                   "%s is damaged: what is whole of it does not fit the log, whose beginning can't "
                   "be known",
                   name);
}

int lv_checkpoint_check_begin(const struct lv_checkpoint *checkpoint, uint32_t shard,
                              const struct lv_logfile *files, size_t count, struct lv_diag *diag)
{
    char name[LV_DISK_NAME_SIZE];

    assert(count == 0 || files != NULL);
    for (size_t i = 0; i < count; i++)
        if (files[i].head.number == checkpoint->begin)
            return 0;
    if (count == 0 && checkpoint->end == 0)
        return 0;
    if (checkpoint->is_torn)
        return fail_torn(shard, diag);
    lv_logfile_name(shard, checkpoint->begin, name);
    return lv_fail(diag, -LV_E_CORRUPT,
                   "%s is damaged at offset 0: the log begins with it, and it is missing or empty; "
                   "its messages are lost",
                   name);
}

int lv_checkpoint_check_end(const struct lv_checkpoint *checkpoint, const struct lv_logfile *files,
                            size_t count, uint64_t lsn, struct lv_diag *diag)
{
    const struct lv_logfile *last = NULL;

    if (lsn >= checkpoint->end)
        return 0;
    for (size_t i = 0; i < count; i++)
        if (files[i].head.number * LV_LOG_FILE_SIZE < lsn)
            last = &files[i];
    assert(last != NULL);
    return lv_fail(diag, -LV_E_CORRUPT,
                   "%s is damaged at offset %" PRIu64 ": the log ends there, at LSN %" PRIu64
                   ", and had been written up to LSN %" PRIu64 " at least",
                   last->name, lsn - last->head.number * LV_LOG_FILE_SIZE, lsn, checkpoint->end);
}
