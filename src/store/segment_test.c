#include "store/segment.h"

#include "base/alloc.h"
#include "base/random.h"
#include "store/image_disk.h"
#include "store/segment_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct lv_segment_info one = {.number = 1, .covers = 4711, .seed = 0x5eed};

/* Every test has a disk of its own. */
struct fixture {
    struct lv_image_disk *image;
    struct lv_disk *disk;
    struct lv_random random;
    struct lv_segment_set set;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->image = lv_image_disk_new(1);
    f->disk = lv_image_disk_view(f->image);
    lv_random_seed(&f->random, 7);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    lv_alloc_fail_after(0, 0);
    lv_segment_set_fini(&f->set);
    lv_image_disk_free(f->image);
    free(f);
    return 0;
}

/* ---- names ---- */

static void a_name_says_shard_and_number(void **state)
{
    char name[LV_DISK_NAME_SIZE];
    uint32_t shard;
    uint64_t number;

    (void)state;
    lv_segment_name(10, 0xabc, name);
    assert_string_equal(name, "seg-0a-0000000000000abc");
    assert_true(lv_segment_parse_name(name, &shard, &number));
    assert_int_equal(shard, 10);
    assert_int_equal(number, 0xabc);
    lv_segment_name(63, UINT64_MAX, name);
    assert_true(lv_segment_parse_name(name, &shard, &number));
    assert_int_equal(shard, 63);
    assert_true(number == UINT64_MAX);
}

static void other_names_are_no_segments(void **state)
{
    static const char *const others[] = {
        "",
        "seg-",
        "seg-0a-0000000000000abc.tmp",
        "seg-0a-0000000000000ab",
        "seg-0A-0000000000000abc",
        "seg-0a-0000000000000ABC",
        "seg-+a-0000000000000abc",
        "seg-0a- 00000000000000a",
        "seg-0a-0x00000000000abc",
        "seg-0a-0000000000000abg",
        "log-0a-0000000000000abc",
    };
    uint32_t shard;
    uint64_t number;

    (void)state;
    for (size_t i = 0; i < LV_COUNT(others); i++)
        assert_false(lv_segment_parse_name(others[i], &shard, &number));
}

/* ---- writing and reading ---- */

static void a_segment_says_what_it_has_of_each_queue(void **state)
{
    struct fixture *f = *state;
    const struct lv_segment_run *runs;
    const struct lv_segment_info *info;
    struct lv_segment *segment;
    size_t count;
    uint64_t size;
    int file;

    lv_segment_set_add(&f->set, 9, 100, 10, 0);
    lv_segment_set_add(&f->set, 3, 7, 0, LV_SEGMENT_TRANSIENT);
    lv_segment_set_add(&f->set, 3, 5, 1, LV_SEGMENT_TRANSIENT | LV_SEGMENT_REDELIVERED);
    lv_segment_set_add(&f->set, 3, 2000, 100, LV_SEGMENT_REDELIVERED);
    lv_segment_set_write(&f->set, f->disk, &one);
    segment = lv_segment_set_open(f->disk, 1);
    info = lv_segment_info(segment);
    assert_int_equal(info->shard, 0);
    assert_int_equal(info->number, 1);
    assert_int_equal(info->covers, 4711);
    assert_int_equal(info->seed, 0x5eed);
    assert_int_equal(info->first_number, 1);
    runs = lv_segment_runs(segment, &count);
    assert_int_equal(count, 2);
    assert_int_equal(runs[0].queue_id, 3);
    assert_int_equal(runs[0].first_seq, 5);
    assert_int_equal(runs[0].last_seq, 2000);
    assert_int_equal(runs[0].count, 3);
    assert_int_equal(runs[0].transient_count, 2);
    assert_int_equal(runs[1].queue_id, 9);
    assert_int_equal(runs[1].count, 1);
    assert_int_equal(runs[1].transient_count, 0);
    assert_int_equal(runs[1].offset, runs[0].offset + runs[0].size);
    assert_int_equal(f->disk->ops->open(f->disk, "seg-00-0000000000000001", false, &file), 0);
    assert_int_equal(f->disk->ops->size(f->disk, file, &size), 0);
    assert_int_equal(lv_segment_size(segment), size);
    f->disk->ops->close(f->disk, file);
    lv_segment_set_expect(&f->set, segment, 1000); /* writing has sorted it */
    lv_segment_close(segment);
}

static void random_sets_come_back_as_they_were(void **state)
{
    struct fixture *f = *state;

    for (uint64_t number = 1; number <= 60; number++) {
        struct lv_segment_info info = {.number = number, .seed = lv_random_next(&f->random)};
        size_t count = 1 + lv_random_below(&f->random, 3000);
        size_t queue_count = 1 + lv_random_below(&f->random, number % 2 == 0 ? 3 : 500);

        lv_segment_set_draw(&f->set, &f->random, count, queue_count, number % 5 == 0 ? 20000 : 300);
        if (number % 3 != 0)
            lv_segment_set_shuffle(&f->set, &f->random);
        lv_segment_set_write(&f->set, f->disk, &info);
        lv_segment_set_expect_on(&f->set, f->disk, number);
        lv_segment_set_fini(&f->set);
    }
}

static void messages_larger_than_any_buffer_come_back(void **state)
{
    struct fixture *f = *state;
    struct lv_segment *segment;

    for (uint64_t seq = 0; seq < 40; seq++) {
        static const uint32_t sizes[] = {0, 5u << 20, 100, 0, 256u << 10, (256u << 10) - 24, 7};
        lv_segment_set_add(&f->set, 1 + seq / 15, seq, sizes[seq % LV_COUNT(sizes)], 0);
    }
    lv_segment_set_write(&f->set, f->disk, &one);
    segment = lv_segment_set_open(f->disk, 1);
    lv_segment_set_expect(&f->set, segment, 0);
    lv_segment_set_expect(&f->set, segment, 300000);
    lv_segment_set_expect(&f->set, segment, SIZE_MAX);
    lv_segment_close(segment);
}

/* ---- where reading begins and ends ---- */

/* Collects numbers. */
struct numbers {
    uint64_t seqs[8];
    size_t count;
    size_t stop_after; /* 0: never */
    int verdict;
};

static int collect(void *ctx, const struct lv_segment_entry *entry)
{
    struct numbers *numbers = ctx;

    if (numbers->count < LV_COUNT(numbers->seqs))
        numbers->seqs[numbers->count] = entry->seq;
    numbers->count++;
    return numbers->count == numbers->stop_after ? numbers->verdict : 0;
}

static const struct lv_segment_run *run_of(struct lv_segment *segment, size_t index)
{
    size_t count;
    const struct lv_segment_run *runs = lv_segment_runs(segment, &count);

    assert_true(index < count);
    return &runs[index];
}

static void reading_begins_at_any_number(void **state)
{
    struct fixture *f = *state;
    struct lv_segment *segment;
    size_t next = 0;
    uint64_t last;

    lv_segment_set_draw(&f->set, &f->random, 3000, 1, 400);
    lv_segment_set_write(&f->set, f->disk, &one);
    segment = lv_segment_set_open(f->disk, 1);
    last = f->set.entries[f->set.count - 1].seq;
    for (uint64_t from = 0; from <= last; from++) {
        struct numbers numbers = {.stop_after = 1, .verdict = 1};
        struct lv_segment_reading reading = {from, SIZE_MAX, collect, &numbers, 1, 1};

        while (f->set.entries[next].seq < from)
            next++;
        assert_int_equal(lv_segment_read(segment, run_of(segment, 0), &reading, NULL), 0);
        assert_int_equal(numbers.count, 1);
        assert_int_equal(numbers.seqs[0], f->set.entries[next].seq);
        assert_int_equal(reading.damaged_count, 0);
        if (next + 1 < f->set.count)
            assert_int_equal(reading.next_seq, numbers.seqs[0] + 1);
        else
            assert_true(reading.next_seq == UINT64_MAX);
    }
    lv_segment_close(segment);
}

static void behind_the_last_number_there_is_nothing(void **state)
{
    struct fixture *f = *state;
    struct numbers numbers = {.count = 0};
    struct lv_segment_reading reading = {11, SIZE_MAX, collect, &numbers, 1, 1};
    struct lv_segment *segment;

    lv_segment_set_add(&f->set, 1, 10, 100, 0);
    lv_segment_set_add(&f->set, 2, 10, 100, 0);
    lv_segment_set_write(&f->set, f->disk, &one);
    segment = lv_segment_set_open(f->disk, 1);
    assert_int_equal(lv_segment_read(segment, run_of(segment, 0), &reading, NULL), 0);
    assert_int_equal(numbers.count, 0);
    assert_true(reading.next_seq == UINT64_MAX);
    reading.from_seq = UINT64_MAX;
    assert_int_equal(lv_segment_read(segment, run_of(segment, 0), &reading, NULL), 0);
    assert_int_equal(numbers.count, 0);
    lv_segment_close(segment);
}

static void the_reader_stops_where_it_is_told_to(void **state)
{
    struct fixture *f = *state;
    struct numbers numbers = {.stop_after = 2, .verdict = 1};
    struct lv_segment_reading reading = {0, SIZE_MAX, collect, &numbers, 0, 0};
    struct lv_segment *segment;

    for (uint64_t seq = 1; seq <= 5; seq++)
        lv_segment_set_add(&f->set, 1, seq, 100, 0);
    lv_segment_set_write(&f->set, f->disk, &one);
    segment = lv_segment_set_open(f->disk, 1);
    assert_int_equal(lv_segment_read(segment, run_of(segment, 0), &reading, NULL), 0);
    assert_int_equal(numbers.count, 2);
    assert_int_equal(reading.next_seq, 3);
    numbers = (struct numbers){.stop_after = 1, .verdict = -LV_E_NOMEM};
    reading.from_seq = reading.next_seq;
    assert_int_equal(lv_segment_read(segment, run_of(segment, 0), &reading, NULL), -LV_E_NOMEM);
    assert_int_equal(numbers.seqs[0], 3);
    assert_int_equal(reading.next_seq, 4);
    numbers = (struct numbers){.count = 0};
    reading.from_seq = reading.next_seq;
    reading.max_size = 150; /* more than one message, less than two: the second passes it */
    assert_int_equal(lv_segment_read(segment, run_of(segment, 0), &reading, NULL), 0);
    assert_int_equal(numbers.count, 2);
    assert_true(reading.next_seq == UINT64_MAX);
    lv_segment_close(segment);
}

/* A disk that counts what is read from the one behind it. */
struct counting_disk {
    struct lv_disk disk;
    struct lv_disk *inner;
    uint64_t read_size;
};

static int counting_open(struct lv_disk *disk, const char *name, bool create, int *ret_file)
{
    struct counting_disk *counting = lv_container(disk, struct counting_disk, disk);
    return counting->inner->ops->open(counting->inner, name, create, ret_file);
}

static void counting_close(struct lv_disk *disk, int file)
{
    struct counting_disk *counting = lv_container(disk, struct counting_disk, disk);
    counting->inner->ops->close(counting->inner, file);
}

static int counting_size(struct lv_disk *disk, int file, uint64_t *ret_size)
{
    struct counting_disk *counting = lv_container(disk, struct counting_disk, disk);
    return counting->inner->ops->size(counting->inner, file, ret_size);
}

static int counting_read(struct lv_disk *disk, int file, uint64_t offset, void *buffer, size_t size,
                         size_t *ret_size)
{
    struct counting_disk *counting = lv_container(disk, struct counting_disk, disk);
    int rc = counting->inner->ops->read(counting->inner, file, offset, buffer, size, ret_size);
    counting->read_size += rc == 0 ? *ret_size : 0;
    return rc;
}

static const struct lv_disk_ops counting_ops = {
    .open = counting_open, .close = counting_close, .size = counting_size, .read = counting_read};

static void little_is_read_wherever_reading_begins(void **state)
{
    struct fixture *f = *state;
    struct counting_disk counting = {.disk.ops = &counting_ops, .inner = f->disk};
    struct lv_segment *segment;

    for (uint64_t seq = 0; seq < 40000; seq++)
        lv_segment_set_add(&f->set, 1 + seq / 25000, seq, 100, 0);
    lv_segment_set_write(&f->set, f->disk, &one);
    segment = lv_segment_set_open(&counting.disk, 1);
    assert_in_range(counting.read_size, 1, 4096);
    for (uint64_t from = 0; from < 25000; from += 777) {
        struct numbers numbers = {.count = 0};
        struct lv_segment_reading reading = {from, 1, collect, &numbers, 0, 0};

        counting.read_size = 0;
        assert_int_equal(lv_segment_read(segment, run_of(segment, 0), &reading, NULL), 0);
        assert_int_equal(numbers.seqs[0], from);
        assert_in_range(counting.read_size, 128, (64 << 10) + 256);
    }
    lv_segment_close(segment);
}

static void going_on_reads_nothing_again(void **state)
{
    struct fixture *f = *state;
    struct counting_disk counting = {.disk.ops = &counting_ops, .inner = f->disk};
    struct numbers numbers = {.count = 0};
    struct lv_segment_reading reading = {0, 200000, collect, &numbers, 0, 0};
    struct lv_segment *segment;
    size_t steps = 0;

    for (uint64_t seq = 0; seq < 40000; seq++)
        lv_segment_set_add(&f->set, 1, seq, 100, 0);
    lv_segment_set_write(&f->set, f->disk, &one);
    segment = lv_segment_set_open(&counting.disk, 1);
    while (reading.from_seq != UINT64_MAX) {
        assert_int_equal(lv_segment_read(segment, run_of(segment, 0), &reading, NULL), 0);
        reading.from_seq = reading.next_seq;
        steps++;
    }
    assert_int_equal(numbers.count, 40000);
    assert_in_range(steps, 24, 26);
    /* Only what was read ahead and not needed. */
    assert_in_range(counting.read_size, lv_segment_size(segment),
                    lv_segment_size(segment) + steps * (64 << 10));
    lv_segment_close(segment);
}

/* ---- merging ---- */

/* Half of the messages, by no pattern. */
static bool is_half(void *ctx, uint64_t queue_id, uint64_t seq, uint32_t flags)
{
    (void)ctx;
    (void)flags;
    return (queue_id * 31 + seq) * UINT64_C(0x9e3779b97f4a7c15) >> 63 != 0;
}

static bool is_any(void *ctx, uint64_t queue_id, uint64_t seq, uint32_t flags)
{
    (void)ctx;
    (void)flags;
    (void)queue_id;
    (void)seq;
    return true;
}

static bool is_none(void *ctx, uint64_t queue_id, uint64_t seq, uint32_t flags)
{
    (void)ctx;
    (void)flags;
    (void)queue_id;
    (void)seq;
    return false;
}

/* Distributes the set over so many segments, numbers 100 and on, and opens them; in turns when
 * `is_mixed`, else one after the other. */
static void open_parts(struct fixture *f, struct lv_segment **parts, size_t count, bool is_mixed)
{
    for (size_t i = 0; i < count; i++) {
        struct lv_segment_info info = {.number = 100 + i, .seed = i};
        struct lv_segment_set part = {NULL, 0, 0};

        for (size_t j = 0; j < f->set.count; j++) {
            const struct lv_segment_entry *entry = &f->set.entries[j];
            if (i == (is_mixed ? j % count : j * count / f->set.count))
                lv_segment_set_add(&part, entry->queue_id, entry->seq, entry->size, entry->flags);
        }
        lv_segment_set_write(&part, f->disk, &info);
        lv_segment_set_fini(&part);
        parts[i] = lv_segment_set_open(f->disk, 100 + i);
    }
}

static void close_parts(struct lv_segment **parts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        lv_segment_close(parts[i]);
}

static void keep_half(struct lv_segment_set *set)
{
    size_t count = 0;

    for (size_t i = 0; i < set->count; i++) {
        if (is_half(NULL, set->entries[i].queue_id, set->entries[i].seq, 0))
            set->entries[count++] = set->entries[i];
    }
    set->count = count;
}

static void a_merged_segment_has_what_is_wanted_of_all(void **state)
{
    struct fixture *f = *state;
    struct lv_segment *parts[7];

    for (uint64_t round = 0; round < 20; round++) {
        struct lv_segment_info info = {.number = 1 + round, .seed = lv_random_next(&f->random)};
        size_t count = 1 + lv_random_below(&f->random, LV_COUNT(parts));
        struct lv_segment_merging merging = {parts, count, is_half, NULL, 0, 0, 0};

        lv_segment_set_draw(&f->set, &f->random, 100 + lv_random_below(&f->random, 2000),
                            1 + round * round, round == 3 ? 300000 : 1000);
        open_parts(f, parts, count, round % 2 == 0);
        lv_segment_set_sort(&f->set);
        keep_half(&f->set);
        assert_int_equal(lv_segment_merge(f->disk, &info, &merging, NULL), 0);
        assert_int_equal(merging.count, f->set.count);
        lv_segment_set_expect_on(&f->set, f->disk, info.number);
        close_parts(parts, count);
        lv_segment_set_fini(&f->set);
    }
}

static void of_what_two_sources_have_the_first_is_taken(void **state)
{
    struct fixture *f = *state;
    struct lv_segment *parts[2];
    struct lv_segment_info info = {.number = 5};
    struct lv_segment_merging merging = {parts, 2, is_any, NULL, 0, 0, 0};

    lv_segment_set_add(&f->set, 1, 1, 10, 0);
    lv_segment_set_add(&f->set, 1, 2, 10, 0);
    info.number = 6;
    lv_segment_set_write(&f->set, f->disk, &info);
    f->set.entries[0].flags = f->set.entries[1].flags = LV_SEGMENT_REDELIVERED;
    info.number = 5;
    lv_segment_set_write(&f->set, f->disk, &info);
    parts[0] = lv_segment_set_open(f->disk, 5);
    parts[1] = lv_segment_set_open(f->disk, 6);
    assert_int_equal(lv_segment_merge(f->disk, &one, &merging, NULL), 0);
    assert_int_equal(merging.count, 2);
    lv_segment_set_expect_on(&f->set, f->disk, 1);
    close_parts(parts, 2);
}

static void nothing_wanted_makes_no_segment(void **state)
{
    struct fixture *f = *state;
    struct lv_segment *parts[2], *segment;
    struct lv_segment_merging merging = {parts, 2, is_none, NULL, 7, 7, 7};

    lv_segment_set_draw(&f->set, &f->random, 100, 5, 100);
    open_parts(f, parts, 2, true);
    assert_int_equal(lv_segment_merge(f->disk, &one, &merging, NULL), 0);
    assert_int_equal(merging.count, 0);
    assert_int_equal(merging.size, 0);
    assert_int_equal(lv_segment_open(f->disk, 0, 1, &segment, NULL), -LV_E_NOT_FOUND);
    close_parts(parts, 2);
}

/* ---- memory ---- */

/* All that a segment's life needs. */
static int live(struct fixture *f, struct lv_segment **parts)
{
    struct lv_segment_merging merging = {parts, 3, is_any, NULL, 0, 0, 0};
    struct numbers numbers = {.count = 0};
    struct lv_segment_reading reading = {0, SIZE_MAX, collect, &numbers, 0, 0};
    struct lv_segment_info info = {.number = 50};
    struct lv_segment *segment;
    int rc = lv_segment_write(f->disk, &one, f->set.entries, f->set.count, NULL);

    if (rc < 0)
        return rc;
    rc = lv_segment_open(f->disk, 0, 1, &segment, NULL);
    if (rc < 0)
        return rc;
    rc = lv_segment_read(segment, run_of(segment, 0), &reading, NULL);
    lv_segment_close(segment);
    return rc < 0 ? rc : lv_segment_merge(f->disk, &info, &merging, NULL);
}

static void without_memory_nothing_breaks(void **state)
{
    struct fixture *f = *state;
    struct lv_segment *parts[3];
    uint64_t after = 0;
    int rc;

    lv_segment_set_draw(&f->set, &f->random, 500, 200, 20000);
    lv_segment_set_add(&f->set, 1, 1000000, 1u << 20, 0);
    open_parts(f, parts, 3, true);
    do {
        lv_alloc_fail_after(++after, 1);
        rc = live(f, parts);
        lv_alloc_fail_after(0, 0);
        assert_true(rc == 0 || rc == -LV_E_NOMEM);
    } while (rc < 0);
    assert_in_range(after, 10, 100);
    lv_segment_set_expect_on(&f->set, f->disk, 1);
    lv_segment_set_expect_on(&f->set, f->disk, 50);
    close_parts(parts, 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_says_shard_and_number),
        cmocka_unit_test(other_names_are_no_segments),
        TEST(a_segment_says_what_it_has_of_each_queue),
        TEST(random_sets_come_back_as_they_were),
        TEST(messages_larger_than_any_buffer_come_back),
        TEST(reading_begins_at_any_number),
        TEST(behind_the_last_number_there_is_nothing),
        TEST(the_reader_stops_where_it_is_told_to),
        TEST(little_is_read_wherever_reading_begins),
        TEST(going_on_reads_nothing_again),
        TEST(a_merged_segment_has_what_is_wanted_of_all),
        TEST(of_what_two_sources_have_the_first_is_taken),
        TEST(nothing_wanted_makes_no_segment),
        TEST(without_memory_nothing_breaks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
