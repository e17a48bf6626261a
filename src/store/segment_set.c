#include "store/segment_set.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A message's bytes begin somewhere in here: enough to tell any two apart. */
#define POOL_SIZE (6u << 20)

static uint8_t pool[POOL_SIZE];

static const uint8_t *bytes_of(uint64_t queue_id, uint64_t seq)
{
    if (pool[0] == 0) {
        struct lv_random random;
        lv_random_seed(&random, 1);
        for (size_t i = 0; i < POOL_SIZE; i++)
            pool[i] = (uint8_t)lv_random_next(&random);
        pool[0] = 1;
    }
    return pool + (queue_id * 7919 + seq * 31) % (1u << 19);
}

void lv_segment_set_add(struct lv_segment_set *set, uint64_t queue_id, uint64_t seq, uint32_t size,
                        uint32_t flags)
{
    assert_true(size <= POOL_SIZE - (1u << 19));
    if (set->count == set->room) {
        set->room = set->room == 0 ? 64 : set->room * 2;
        set->entries = lv_realloc(set->entries, set->room * sizeof *set->entries);
        assert_non_null(set->entries);
    }
    set->entries[set->count++] =
        (struct lv_segment_entry){queue_id, seq, bytes_of(queue_id, seq), size, flags};
}

void lv_segment_set_draw(struct lv_segment_set *set, struct lv_random *random, size_t count,
                         size_t queue_count, uint32_t size_max)
{
    uint64_t seq = lv_random_below(random, 1000);

    for (size_t i = 0; i < count; i++) {
        /* Ids that differ in all of their bytes. */
        uint64_t queue_id = 1 + lv_random_below(random, queue_count) * 0x9e3779b97f4a7c15u;
        uint32_t size = (uint32_t)lv_random_below(random, 1 + lv_random_below(random, size_max));
        seq += lv_random_below(random, 4) == 0 ? 1 + lv_random_below(random, 50) : 1;
        lv_segment_set_add(set, queue_id, seq, size, (uint32_t)lv_random_below(random, 4));
    }
}

void lv_segment_set_shuffle(struct lv_segment_set *set, struct lv_random *random)
{
    for (size_t i = set->count; i > 1; i--) {
        size_t j = lv_random_below(random, i);
        struct lv_segment_entry entry = set->entries[j];
        set->entries[j] = set->entries[i - 1];
        set->entries[i - 1] = entry;
    }
}

static int compare(const void *a, const void *b)
{
    const struct lv_segment_entry *x = a, *y = b;

    if (x->queue_id != y->queue_id)
        return x->queue_id < y->queue_id ? -1 : 1;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

void lv_segment_set_sort(struct lv_segment_set *set)
{
    if (set->count > 0)
        qsort(set->entries, set->count, sizeof *set->entries, compare);
}

void lv_segment_set_fini(struct lv_segment_set *set)
{
    lv_free(set->entries);
    *set = (struct lv_segment_set){0};
}

void lv_segment_set_write(struct lv_segment_set *set, struct lv_disk *disk,
                          const struct lv_segment_info *info)
{
    struct lv_diag diag = {""};

    if (lv_segment_write(disk, info, set->entries, set->count, &diag) != 0)
        fail_msg("not written: %s", diag.text);
}

struct lv_segment *lv_segment_set_open(struct lv_disk *disk, uint64_t number)
{
    struct lv_segment *segment = NULL;
    struct lv_diag diag = {""};

    if (lv_segment_open(disk, 0, number, &segment, &diag) != 0)
        fail_msg("not opened: %s", diag.text);
    return segment;
}

/* Where a comparison is in the set. */
struct comparison {
    const struct lv_segment_set *set;
    size_t next;  /* entry that may come next */
    size_t shown; /* messages */
    bool *is_lost;
};

static void pass(struct comparison *comparison)
{
    if (comparison->is_lost != NULL)
        comparison->is_lost[comparison->next] = true;
    comparison->next++;
}

static int compare_shown(void *ctx, const struct lv_segment_entry *entry)
{
    struct comparison *comparison = ctx;
    const struct lv_segment_entry *wanted = comparison->set->entries;

    while (comparison->next < comparison->set->count &&
           compare(&wanted[comparison->next], entry) < 0)
        pass(comparison);
    assert_true(comparison->next < comparison->set->count);
    wanted += comparison->next++;
    assert_int_equal(entry->queue_id, wanted->queue_id);
    assert_int_equal(entry->seq, wanted->seq);
    assert_int_equal(entry->size, wanted->size);
    assert_int_equal(entry->flags, wanted->flags);
    assert_int_equal((uintptr_t)entry->data % 8, 0);
    assert_true(wanted->size == 0 || memcmp(entry->data, wanted->data, wanted->size) == 0);
    comparison->shown++;
    return 0;
}

size_t lv_segment_set_compare(const struct lv_segment_set *set, struct lv_segment *segment,
                              size_t max_size, bool *is_lost)
{
    struct comparison comparison = {.set = set, .is_lost = is_lost};
    size_t run_count, damaged_count = 0, expected_count = 0;
    const struct lv_segment_run *runs = lv_segment_runs(segment, &run_count);

    for (size_t i = 0; i < run_count; i++) {
        struct lv_segment_reading reading = {
            .max_size = max_size, .each = compare_shown, .ctx = &comparison};
        do {
            struct lv_diag diag = {""};
            size_t before = comparison.shown;

            if (lv_segment_read(segment, &runs[i], &reading, &diag) != 0)
                fail_msg("not read: %s", diag.text);
            assert_true(reading.damaged_count > 0 || comparison.shown > before);
            assert_int_equal(reading.damaged_count > 0, strstr(diag.text, "seg-") != NULL);
            damaged_count += reading.damaged_count;
            reading.from_seq = reading.next_seq;
        } while (reading.next_seq != UINT64_MAX);
        expected_count += runs[i].count;
    }
    assert_int_equal(expected_count, set->count);
    assert_int_equal(comparison.shown + damaged_count, set->count);
    while (comparison.next < set->count)
        pass(&comparison);
    return comparison.shown;
}

void lv_segment_set_expect(const struct lv_segment_set *set, struct lv_segment *segment,
                           size_t max_size)
{
    assert_int_equal(lv_segment_set_compare(set, segment, max_size, NULL), set->count);
}

void lv_segment_set_expect_on(const struct lv_segment_set *set, struct lv_disk *disk,
                              uint64_t number)
{
    struct lv_segment *segment = lv_segment_set_open(disk, number);

    lv_segment_set_expect(set, segment, 1u << 20);
    lv_segment_close(segment);
}
