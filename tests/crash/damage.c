#include "damage.h"

#include "base/alloc.h"
#include "base/err.h"
#include "store/logfile.h"
#include "store/segment.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* One of the files, each as likely as another. */
struct choice {
    struct lv_random *random; /* view */
    uint32_t count;
    char name[LV_DISK_NAME_SIZE];
};

static int choose(void *ctx, const char *name)
{
    struct choice *choice = ctx;

    assert(strlen(name) < sizeof choice->name);
    if (lv_random_below(choice->random, ++choice->count) == 0)
        snprintf(choice->name, sizeof choice->name, "%s", name);
    return 0;
}

static uint64_t size_of(struct lv_disk *disk, const char *name)
{
    uint64_t size = 0;
    int file;

    if (disk->ops->open(disk, name, false, &file) < 0 || disk->ops->size(disk, file, &size) < 0)
        abort();
    disk->ops->close(disk, file);
    return size;
}

/* Bytes at the file's beginning whose loss must be noticed: of a log all to its end, as the broker
 * was stopped in good order. */
static uint64_t vouched(struct lv_disk *disk, const char *name, uint64_t size)
{
    const struct lv_logfile_visitor visitor = {.block = NULL};
    struct lv_logfile *files = NULL;
    struct lv_logfile_end end;
    uint32_t shard;
    uint64_t number, begin;
    size_t count = 0;

    if (!lv_logfile_parse_name(name, &shard, &number))
        return size;
    begin = number * LV_LOG_FILE_SIZE;
    if (lv_logfile_list(disk, shard, &files, &count, NULL) < 0 ||
        lv_logfile_scan(disk, files, count, &visitor, &end, NULL) < 0)
        abort();
    lv_free(files);
    if (end.lsn < begin)
        return 0; /* made ready */
    return end.lsn - begin < size ? end.lsn - begin : size;
}

/* ---- doing it ---- */

static int flip(struct crash_damage *damage, struct lv_image_disk *image, struct lv_random *random,
                uint64_t size)
{
    uint64_t offset = lv_random_below(random, size);
    uint8_t bits = (uint8_t)(1 + lv_random_below(random, 255));

    snprintf(damage->text, sizeof damage->text, "bits %02x of %s flipped at %" PRIu64, bits,
             damage->name, offset);
    assert(bits != 0);
    return lv_image_disk_flip(image, damage->name, offset, bits);
}

static int wipe(struct crash_damage *damage, struct lv_image_disk *image, struct lv_random *random,
                uint64_t size)
{
    uint64_t offset = lv_random_below(random, 4) == 0 ? 0 : lv_random_below(random, size);
    uint64_t wiped = 1 + lv_random_below(random, lv_random_below(random, 2) == 0 ? 64 : 5000);

    if (wiped > size - offset)
        wiped = size - offset;
    snprintf(damage->text, sizeof damage->text, "%" PRIu64 " bytes of %s wiped at %" PRIu64, wiped,
             damage->name, offset);
    assert(wiped > 0);
    return lv_image_disk_zero(image, damage->name, offset, wiped);
}

static int cut(struct crash_damage *damage, struct lv_image_disk *image, struct lv_random *random,
               uint64_t size)
{
    uint64_t left = lv_random_below(random, size);

    snprintf(damage->text, sizeof damage->text, "%s cut at %" PRIu64, damage->name, left);
    assert(left < size);
    return lv_image_disk_resize(image, damage->name, left);
}

static int take_away(struct crash_damage *damage, struct lv_disk *disk)
{
    int rc = disk->ops->remove(disk, damage->name);

    snprintf(damage->text, sizeof damage->text, "%s removed", damage->name);
    assert(rc <= 0);
    return rc < 0 ? rc : disk->ops->sync_directory(disk);
}

bool crash_damage_draw(struct crash_damage *damage, struct lv_image_disk *image,
                       struct lv_random *random)
{
    struct lv_disk *disk = lv_image_disk_view(image);
    struct choice choice = {.random = random};
    uint64_t size, number;
    uint32_t shard;
    int rc;

    if (disk->ops->list(disk, choose, &choice) < 0)
        abort();
    if (choice.count == 0)
        return false;
    *damage = (struct crash_damage){.is_segment = false};
    snprintf(damage->name, sizeof damage->name, "%s", choice.name);
    damage->is_segment = lv_segment_parse_name(damage->name, &shard, &number);
    size = size_of(disk, damage->name);
    size = vouched(disk, damage->name, size);
    if (size == 0)
        return false;
    if (lv_random_below(random, 8) == 0 && !damage->is_segment)
        rc = take_away(damage, disk);
    else if (lv_random_below(random, 3) == 0)
        rc = flip(damage, image, random, size);
    else if (lv_random_below(random, 3) > 0)
        rc = wipe(damage, image, random, size);
    else
        rc = cut(damage, image, random, size);
    assert(rc == 0);
    return rc == 0;
}
