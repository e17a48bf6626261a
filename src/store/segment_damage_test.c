/* Segments on disks that fail, and segments that have been damaged. */
#include "base/random.h"
#include "store/image_disk.h"
#include "store/segment_format.h"
#include "store/segment_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NAME "seg-00-0000000000000001"

static const struct lv_segment_info one = {.number = 1, .covers = 4711, .seed = 0x5eed};
static const struct lv_segment_info two = {.number = 2, .covers = 4711, .seed = 0x5eed};

/* Every test has a disk of its own, and a segment that it may write there. */
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

    lv_segment_set_fini(&f->set);
    lv_image_disk_free(f->image);
    free(f);
    return 0;
}

static int count_segments(void *ctx, const char *name)
{
    size_t *count = ctx;
    uint32_t shard;
    uint64_t number;

    if (lv_segment_parse_name(name, &shard, &number))
        ++*count;
    else
        assert_string_equal(name + strlen(name) - 4, ".tmp");
    return 0;
}

static size_t segments_on(struct lv_disk *disk)
{
    size_t count = 0;

    assert_int_equal(disk->ops->list(disk, count_segments, &count), 0);
    return count;
}

/* ---- disks that fail ---- */

static void what_could_not_be_written_is_not_there(void **state)
{
    struct fixture *f = *state;
    static const int errors[] = {-LV_E_IO, -LV_E_FULL};
    uint64_t after;

    lv_segment_set_draw(&f->set, &f->random, 3000, 100, 1000);
    for (size_t i = 0; i < LV_COUNT(errors); i++) {
        int rc = -1;

        for (after = 1; rc < 0; after++) {
            struct lv_image_disk *image = lv_image_disk_new(after);
            struct lv_disk *disk = lv_image_disk_view(image);
            struct lv_diag diag = {""};

            lv_image_disk_fail(image, LV_IMAGE_CHANGE, after, errors[i], after % 2 == 0);
            rc = lv_segment_write(disk, &one, f->set.entries, f->set.count, &diag);
            assert_true(rc == 0 || rc == errors[i]);
            lv_image_disk_fail(image, LV_IMAGE_CHANGE, 0, 0, false);
            if (rc < 0) {
                assert_non_null(strstr(diag.text, NAME));
                /* Where removing fails as well, the directory's state is anyone's guess. */
                assert_in_range(segments_on(disk), 0, after % 2 == 0 ? 1 : 0);
                lv_segment_set_write(&f->set, disk, &one);
            }
            lv_segment_set_expect_on(&f->set, disk, 1);
            lv_image_disk_free(image);
        }
        assert_in_range(after, 8, 30);
    }
}

static void a_full_disk_leaves_nothing_behind(void **state)
{
    struct fixture *f = *state;
    struct lv_diag diag = {""};

    lv_segment_set_draw(&f->set, &f->random, 3000, 100, 1000);
    lv_image_disk_limit(f->image, 300000);
    assert_int_equal(lv_segment_write(f->disk, &one, f->set.entries, f->set.count, &diag),
                     -LV_E_FULL);
    assert_string_equal(diag.text, NAME ".tmp: can't write it: the disk is full");
    assert_int_equal(segments_on(f->disk), 0);
    lv_image_disk_limit(f->image, 100u << 20);
    lv_segment_set_write(&f->set, f->disk, &one);
    lv_segment_set_expect_on(&f->set, f->disk, 1);
}

static void a_read_that_fails_is_said_and_may_succeed_later(void **state)
{
    struct fixture *f = *state;
    struct lv_segment *segment;
    struct lv_diag diag = {""};
    uint64_t after = 0;
    int rc;

    lv_segment_set_draw(&f->set, &f->random, 3000, 2, 1000);
    lv_segment_set_write(&f->set, f->disk, &one);
    do {
        lv_image_disk_fail(f->image, LV_IMAGE_READ, ++after, -LV_E_IO, false);
        rc = lv_segment_open(f->disk, 0, 1, &segment, &diag);
        assert_true(rc == 0 || rc == -LV_E_IO);
    } while (rc < 0);
    assert_int_equal(after, 4); /* head, foot and table */
    lv_image_disk_fail(f->image, LV_IMAGE_READ, 0, 0, false);
    lv_segment_set_expect(&f->set, segment, 100000);
    lv_segment_close(segment);
}

/* Goes on after errors until all is shown. */
struct stubborn {
    const struct lv_segment_entry *next;
    size_t error_count;
};

static int check_next(void *ctx, const struct lv_segment_entry *entry)
{
    struct stubborn *stubborn = ctx;

    assert_int_equal(entry->seq, stubborn->next->seq);
    assert_memory_equal(entry->data, stubborn->next->data, entry->size);
    stubborn->next++;
    return 0;
}

static void after_a_failed_read_reading_goes_on_where_it_was(void **state)
{
    struct fixture *f = *state;
    struct lv_segment *segment;
    struct stubborn stubborn = {NULL, 0};
    struct lv_segment_reading reading = {0, SIZE_MAX, check_next, &stubborn, 0, 0};
    size_t count;

    lv_segment_set_draw(&f->set, &f->random, 5000, 1, 2000);
    lv_segment_set_write(&f->set, f->disk, &one);
    segment = lv_segment_set_open(f->disk, 1);
    stubborn.next = f->set.entries;
    while (reading.from_seq != UINT64_MAX) {
        struct lv_diag diag = {""};
        int rc;

        lv_image_disk_fail(f->image, LV_IMAGE_READ, 3, -LV_E_IO, false);
        rc = lv_segment_read(segment, lv_segment_runs(segment, &count), &reading, &diag);
        assert_true(rc == 0 || rc == -LV_E_IO);
        assert_int_equal(rc < 0, strstr(diag.text, NAME ": can't be read at ") != NULL);
        stubborn.error_count += rc < 0;
        reading.from_seq = reading.next_seq;
    }
    assert_int_equal(stubborn.next - f->set.entries, f->set.count);
    assert_in_range(stubborn.error_count, 5, 100);
    lv_segment_close(segment);
}

static void a_failed_read_amid_damage_loses_nothing_more(void **state)
{
    struct fixture *f = *state;
    struct lv_segment *segment;
    struct stubborn stubborn = {NULL, 0};
    struct lv_segment_reading reading = {3, SIZE_MAX, check_next, &stubborn, 0, 0};
    struct lv_diag diag = {""};
    size_t count;

    for (uint64_t seq = 1; seq <= 5; seq++)
        lv_segment_set_add(&f->set, 77, seq, seq == 3 ? 1u << 20 : 104, 0);
    lv_segment_set_write(&f->set, f->disk, &one);
    /* The size of the large one: the next has to be searched for, over several pieces. */
    assert_int_equal(lv_image_disk_flip(f->image, NAME, 56 + 2 * 128 + 16, 1), 0);
    segment = lv_segment_set_open(f->disk, 1);
    stubborn.next = f->set.entries + 3;
    lv_image_disk_fail(f->image, LV_IMAGE_READ, 3, -LV_E_IO, false);
    assert_int_equal(lv_segment_read(segment, lv_segment_runs(segment, &count), &reading, &diag),
                     -LV_E_IO);
    assert_int_equal(reading.next_seq, 3);
    assert_int_equal(lv_segment_read(segment, lv_segment_runs(segment, &count), &reading, &diag),
                     0);
    assert_int_equal(reading.damaged_count, 1);
    assert_true(reading.next_seq == UINT64_MAX);
    assert_int_equal(stubborn.next - f->set.entries, 5);
    assert_string_equal(diag.text, NAME ": damaged from offset 312 to 1048912: messages of queue "
                                        "77 from number 3 on");
    lv_segment_close(segment);
}

/* Until it finds room each time that it asks for it. Gives how often that is. */
static uint64_t merge_without_room(struct fixture *f, struct lv_segment *source,
                                   enum lv_image_op op)
{
    char name[LV_DISK_NAME_SIZE];
    uint64_t after = 0;
    int rc;

    do {
        struct lv_segment_merging merging = {.sources = &source, .source_count = 1};

        lv_image_disk_fail(f->image, op, ++after, -LV_E_FULL, false);
        rc = lv_segment_merge(f->disk, &two, &merging, NULL);
        lv_image_disk_fail(f->image, op, 0, 0, false);
        assert_true(rc == 0 || rc == -LV_E_FULL);
        assert_int_equal(segments_on(f->disk), rc == 0 ? 2 : 1);
    } while (rc < 0);
    lv_segment_name(two.shard, two.number, name);
    assert_int_equal(f->disk->ops->remove(f->disk, name), 0);
    return after - 1;
}

static void merging_fails_without_a_trace(void **state)
{
    struct fixture *f = *state;
    struct lv_segment *source;
    uint64_t after = 0;
    int rc;

    lv_segment_set_draw(&f->set, &f->random, 3000, 2, 1000);
    lv_segment_set_write(&f->set, f->disk, &one);
    source = lv_segment_set_open(f->disk, 1);
    assert_int_equal(merge_without_room(f, source, LV_IMAGE_CREATE), 1);
    assert_in_range(merge_without_room(f, source, LV_IMAGE_WRITE), 2, 30);
    assert_int_equal(merge_without_room(f, source, LV_IMAGE_RENAME), 1);
    do {
        struct lv_segment_merging merging = {.sources = &source, .source_count = 1};

        lv_image_disk_fail(f->image, LV_IMAGE_READ, ++after, -LV_E_IO, false);
        rc = lv_segment_merge(f->disk, &two, &merging, NULL);
        assert_true(rc == 0 || rc == -LV_E_CORRUPT);
    } while (rc < 0);
    lv_image_disk_fail(f->image, LV_IMAGE_READ, 0, 0, false);
    lv_segment_set_expect_on(&f->set, f->disk, 2);
    lv_segment_close(source);
}

/* Takes an image of what a crash would leave before each change. */
struct crashes {
    struct fixture *f;
    size_t count;
};

static void crash_here(void *ctx, enum lv_image_op op)
{
    struct crashes *crashes = ctx;

    (void)op;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct lv_image_disk *image = lv_image_disk_crash(crashes->f->image, seed);
        struct lv_disk *disk = lv_image_disk_view(image);

        if (segments_on(disk) > 0)
            lv_segment_set_expect_on(&crashes->f->set, disk, 1);
        lv_image_disk_free(image);
        crashes->count++;
    }
}

static void after_a_crash_a_segment_is_whole_or_not_there(void **state)
{
    struct fixture *f = *state;
    struct crashes crashes = {f, 0};

    lv_segment_set_draw(&f->set, &f->random, 2000, 10, 1000);
    lv_segment_set_sort(&f->set);
    lv_image_disk_watch(f->image, crash_here, &crashes);
    lv_segment_set_write(&f->set, f->disk, &one);
    lv_image_disk_watch(f->image, NULL, NULL);
    assert_in_range(crashes.count, 100, 1000);
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct lv_image_disk *image = lv_image_disk_crash(f->image, seed);
        lv_segment_set_expect_on(&f->set, lv_image_disk_view(image), 1);
        lv_image_disk_free(image);
    }
}

/* ---- damage ---- */

/* The file's bytes; for free(). */
static uint8_t *bytes_of(struct fixture *f, size_t *ret_size)
{
    const struct lv_disk_ops *ops = f->disk->ops;
    uint64_t size;
    uint8_t *data;
    int file;

    assert_int_equal(ops->open(f->disk, NAME, false, &file), 0);
    assert_int_equal(ops->size(f->disk, file, &size), 0);
    data = malloc(size);
    assert_non_null(data);
    assert_int_equal(ops->read(f->disk, file, 0, data, size, ret_size), 0);
    assert_int_equal(*ret_size, size);
    ops->close(f->disk, file);
    return data;
}

static void expect_refused(struct fixture *f, int error, const char *words)
{
    struct lv_segment *segment;
    struct lv_diag diag = {""};

    assert_int_equal(lv_segment_open(f->disk, 0, 1, &segment, &diag), error);
    assert_non_null(strstr(diag.text, NAME));
    if (strstr(diag.text, words) == NULL)
        fail_msg("%s", diag.text);
}

static void a_segment_that_is_not_there_is_not_found(void **state)
{
    expect_refused(*state, -LV_E_NOT_FOUND, "can't be opened");
}

static void an_unknown_version_is_refused_with_what_to_do(void **state)
{
    struct fixture *f = *state;
    struct lv_segment_head head;
    uint8_t *data;
    size_t size;

    lv_segment_set_add(&f->set, 1, 1, 10, 0);
    lv_segment_set_write(&f->set, f->disk, &one);
    data = bytes_of(f, &size);
    memcpy(&head, data, sizeof head);
    head.version = 9;
    head.check = lv_segment_head_check(&head);
    memcpy(data, &head, sizeof head);
    lv_image_disk_put(f->image, NAME, lv_bytes(data, size));
    expect_refused(f, -LV_E_VERSION, "has format version 9");
    expect_refused(f, -LV_E_VERSION, "open the data directory with the version of Leveret");
    free(data);
}

static void nobody_stands_for_what_comes_later(void **state)
{
    struct fixture *f = *state;
    static const uint64_t impossible[] = {0, 2, UINT64_MAX};

    lv_segment_set_add(&f->set, 1, 1, 10, 0);
    for (size_t i = 0; i < LV_COUNT(impossible); i++) {
        struct lv_segment_head head;
        uint64_t first = 0;
        uint8_t *data;
        size_t size;

        lv_segment_set_write(&f->set, f->disk, &one);
        data = bytes_of(f, &size);
        memcpy(&head, data, sizeof head);
        head.first_number = impossible[i];
        head.check = lv_segment_head_check(&head);
        memcpy(data, &head, sizeof head);
        lv_image_disk_put(f->image, NAME, lv_bytes(data, size));
        expect_refused(f, -LV_E_CORRUPT, "can't stand for segments");
        assert_int_equal(lv_segment_first(f->disk, 0, 1, &first, NULL), -LV_E_CORRUPT);
        free(data);
    }
}

static void a_segment_under_anothers_name_is_refused(void **state)
{
    struct fixture *f = *state;

    lv_segment_set_add(&f->set, 1, 1, 10, 0);
    lv_segment_set_write(&f->set, f->disk, &two);
    assert_int_equal(f->disk->ops->rename(f->disk, "seg-00-0000000000000002", NAME), 0);
    expect_refused(f, -LV_E_CORRUPT, "holds segment 2 of shard 0");
}

static void what_is_cut_off_anywhere_is_refused(void **state)
{
    struct fixture *f = *state;
    uint8_t *data;
    size_t size;

    lv_segment_set_draw(&f->set, &f->random, 20, 3, 100);
    lv_segment_set_write(&f->set, f->disk, &one);
    data = bytes_of(f, &size);
    for (size_t cut = size; cut-- > 0;) {
        lv_image_disk_put(f->image, NAME, lv_bytes(data, cut));
        expect_refused(f, -LV_E_CORRUPT, "");
    }
    for (size_t more = 1; more < 100; more += 7) {
        lv_image_disk_put(f->image, NAME, lv_bytes(data, size));
        assert_int_equal(lv_image_disk_resize(f->image, NAME, size + more), 0);
        expect_refused(f, -LV_E_CORRUPT, "");
    }
    free(data);
}

static void what_is_cut_off_later_is_said_with_what_it_affects(void **state)
{
    struct fixture *f = *state;
    struct stubborn stubborn = {NULL, 0};
    struct lv_segment_reading reading = {0, SIZE_MAX, check_next, &stubborn, 0, 0};
    struct lv_segment *segment;
    struct lv_diag diag = {""};
    size_t count;

    for (uint64_t seq = 1; seq <= 10; seq++)
        lv_segment_set_add(&f->set, 77, seq, 104, 0);
    lv_segment_set_write(&f->set, f->disk, &one);
    segment = lv_segment_set_open(f->disk, 1);
    assert_int_equal(lv_image_disk_resize(f->image, NAME, 56 + 4 * 128 + 50), 0);
    stubborn.next = f->set.entries;
    assert_int_equal(lv_segment_read(segment, lv_segment_runs(segment, &count), &reading, &diag),
                     -LV_E_CORRUPT);
    assert_int_equal(stubborn.next - f->set.entries, 4);
    assert_int_equal(reading.next_seq, 5);
    assert_string_equal(diag.text, NAME ": the file has become shorter and ends at 618: up to 6 "
                                        "messages of queue 77 are affected");
    lv_segment_close(segment);
}

/* Where the messages end and the table begins. */
static uint64_t table_offset(struct fixture *f)
{
    struct lv_segment *segment = lv_segment_set_open(f->disk, 1);
    size_t count;
    const struct lv_segment_run *runs = lv_segment_runs(segment, &count);
    uint64_t end = runs[count - 1].offset + runs[count - 1].size;

    lv_segment_close(segment);
    return end;
}

static void a_flipped_bit_costs_its_message_or_is_refused(void **state)
{
    struct fixture *f = *state;
    size_t size, lost_count = 0;
    uint64_t end;

    lv_segment_set_draw(&f->set, &f->random, 25, 3, 80);
    lv_segment_set_write(&f->set, f->disk, &one);
    free(bytes_of(f, &size));
    end = table_offset(f);
    for (size_t bit = 0; bit < size * 8; bit++) {
        uint8_t mask = (uint8_t)(1u << bit % 8);

        assert_int_equal(lv_image_disk_flip(f->image, NAME, bit / 8, mask), 0);
        if (bit / 8 < sizeof(struct lv_segment_head) || bit / 8 >= end) {
            expect_refused(f, -LV_E_CORRUPT, "");
        } else {
            struct lv_segment *segment = lv_segment_set_open(f->disk, 1);
            size_t shown = lv_segment_set_compare(&f->set, segment, 1 + bit % 300, NULL);
            assert_in_range(shown, f->set.count - 1, f->set.count);
            lost_count += f->set.count - shown;
            lv_segment_close(segment);
        }
        assert_int_equal(lv_image_disk_flip(f->image, NAME, bit / 8, mask), 0);
    }
    /* All but the padding, at most 7 bytes of each, matters. */
    assert_in_range(lost_count, (end - sizeof(struct lv_segment_head) - (size_t)25 * 7) * 8,
                    end * 8);
    lv_segment_set_expect_on(&f->set, f->disk, 1);
}

/* Every message that has no byte in the range has come. */
static void expect_lost_in_range(const struct lv_segment_set *set, const bool *is_lost,
                                 uint64_t from, uint64_t to)
{
    uint64_t offset = sizeof(struct lv_segment_head);

    for (size_t i = 0; i < set->count; i++) {
        uint64_t end = offset + lv_segment_record_size(set->entries[i].size);
        if (end <= from || offset >= to)
            assert_false(is_lost[i]);
        offset = end;
    }
}

static void a_destroyed_range_costs_what_lay_in_it(void **state)
{
    struct fixture *f = *state;
    uint64_t end;
    size_t size;
    uint8_t *data;
    bool *is_lost;

    lv_segment_set_draw(&f->set, &f->random, 4000, 4, 600);
    lv_segment_set_write(&f->set, f->disk, &one);
    data = bytes_of(f, &size);
    end = table_offset(f);
    is_lost = calloc(f->set.count, sizeof *is_lost);
    assert_non_null(is_lost);
    for (int round = 0; round < 150; round++) {
        struct lv_segment *segment;
        uint64_t from = 56 + lv_random_below(&f->random, end - 56);
        uint64_t to = from + 1 + lv_random_below(&f->random, round % 3 == 0 ? 200000 : 2000);
        size_t shown;

        to = to > end ? end : to;
        if (round % 2 == 0)
            assert_int_equal(lv_image_disk_zero(f->image, NAME, from, to - from), 0);
        for (uint64_t i = from; round % 2 == 1 && i < to; i++)
            assert_int_equal(lv_image_disk_flip(f->image, NAME, i, (uint8_t)(1 + i % 255)), 0);
        memset(is_lost, 0, f->set.count * sizeof *is_lost);
        segment = lv_segment_set_open(f->disk, 1);
        shown = lv_segment_set_compare(&f->set, segment, 1 + lv_random_below(&f->random, 500000),
                                       is_lost);
        assert_true(shown < f->set.count || to - from < 16);
        expect_lost_in_range(&f->set, is_lost, from, to);
        lv_segment_close(segment);
        lv_image_disk_put(f->image, NAME, lv_bytes(data, size));
    }
    free(is_lost);
    free(data);
}

static void a_message_that_holds_a_segment_misleads_nobody(void **state)
{
    struct fixture *f = *state;
    struct lv_segment_info info = one;
    struct lv_segment_entry entries[2];
    struct lv_segment *segment;
    uint8_t *data;
    size_t size;

    lv_segment_set_add(&f->set, 1, 11, 50, 0);
    lv_segment_set_add(&f->set, 1, 12, 50, 0);
    lv_segment_set_write(&f->set, f->disk, &one);
    data = bytes_of(f, &size);
    /* The same queue and numbers in between, but another seed. */
    info.seed++;
    entries[0] = (struct lv_segment_entry){1, 10, data, (uint32_t)size, 0};
    entries[1] = (struct lv_segment_entry){1, 20, data, 8, 0};
    assert_int_equal(lv_segment_write(f->disk, &info, entries, 2, NULL), 0);
    assert_int_equal(lv_image_disk_flip(f->image, NAME, 56 + 16, 1), 0); /* the first one's size */
    segment = lv_segment_set_open(f->disk, 1);
    f->set.count = 0;
    lv_segment_set_add(&f->set, 1, 10, (uint32_t)size, 0);
    lv_segment_set_add(&f->set, 1, 20, 8, 0);
    f->set.entries[1].data = data;
    assert_int_equal(lv_segment_set_compare(&f->set, segment, SIZE_MAX, NULL), 1);
    lv_segment_close(segment);
    free(data);
}

static void where_the_damage_lies_is_said(void **state)
{
    struct fixture *f = *state;
    struct stubborn stubborn = {NULL, 0};
    struct lv_segment_reading reading = {2, SIZE_MAX, check_next, &stubborn, 0, 0};
    struct lv_segment *segment;
    struct lv_diag diag = {""};
    size_t count;

    for (uint64_t seq = 1; seq <= 10; seq++)
        lv_segment_set_add(&f->set, 77, seq, 104, 0);
    lv_segment_set_write(&f->set, f->disk, &one);
    assert_int_equal(lv_image_disk_flip(f->image, NAME, 56 + 50, 1), 0); /* not asked for */
    assert_int_equal(lv_image_disk_flip(f->image, NAME, 56 + 128 + 50, 1), 0);
    segment = lv_segment_set_open(f->disk, 1);
    stubborn.next = f->set.entries + 2;
    assert_int_equal(lv_segment_read(segment, lv_segment_runs(segment, &count), &reading, &diag),
                     0);
    assert_int_equal(reading.damaged_count, 1);
    assert_int_equal(stubborn.next - f->set.entries, 10);
    assert_string_equal(diag.text, NAME ": damaged from offset 184 to 312: messages of queue 77 "
                                        "from number 2 on");
    lv_segment_close(segment);
}

static void what_is_damaged_stays_as_it_is(void **state)
{
    struct fixture *f = *state;
    struct lv_segment *sources[2];
    struct lv_segment_info merged = {.number = 2, .first_number = 1};
    struct lv_segment_merging merging = {.sources = sources, .source_count = 2};
    struct lv_diag diag = {""};

    for (uint64_t seq = 1; seq <= 3; seq++)
        lv_segment_set_add(&f->set, 77, seq, 104, 0);
    lv_segment_set_write(&f->set, f->disk, &two);
    lv_segment_set_write(&f->set, f->disk, &one);
    assert_int_equal(lv_image_disk_flip(f->image, NAME, 56 + 2 * 128 + 50, 1), 0);
    sources[0] = lv_segment_set_open(f->disk, 2);
    sources[1] = lv_segment_set_open(f->disk, 1);
    assert_int_equal(lv_segment_merge(f->disk, &merged, &merging, &diag), -LV_E_CORRUPT);
    assert_int_equal(merging.damaged, 1);
    assert_non_null(strstr(diag.text, NAME ": damaged from offset 312"));
    assert_int_equal(segments_on(f->disk), 2);
    lv_segment_set_expect_on(&f->set, f->disk, 2);
    lv_segment_close(sources[0]);
    lv_segment_close(sources[1]);
}

/* Whatever fails: who has the name afterwards has all that is wanted. */
static void merging_into_a_source_loses_none_of_it(void **state)
{
    struct fixture *f = *state;
    struct lv_segment_info merged = {.number = 2, .first_number = 1, .seed = 3};
    struct lv_segment *sources[2];
    uint64_t after = 0;
    int rc;

    lv_segment_set_draw(&f->set, &f->random, 500, 2, 1000);
    lv_segment_set_write(&f->set, f->disk, &two);
    sources[1] = lv_segment_set_open(f->disk, 2);
    f->set.count = 0;
    lv_segment_set_draw(&f->set, &f->random, 500, 2, 1000);
    lv_segment_set_write(&f->set, f->disk, &one);
    sources[0] = lv_segment_set_open(f->disk, 1);
    do {
        struct lv_segment_merging merging = {.sources = sources, .source_count = 2};
        struct lv_segment *now;
        uint64_t first;

        lv_image_disk_fail(f->image, LV_IMAGE_CHANGE, ++after, -LV_E_FULL, false);
        rc = lv_segment_merge(f->disk, &merged, &merging, NULL);
        lv_image_disk_fail(f->image, LV_IMAGE_CHANGE, 0, 0, false);
        assert_int_equal(segments_on(f->disk), 2);
        now = lv_segment_set_open(f->disk, 2);
        assert_true(lv_segment_size(now) >= lv_segment_size(sources[1]));
        assert_int_equal(lv_segment_first(f->disk, 0, 2, &first, NULL), 0);
        assert_true(rc < 0 || first == 1);
        assert_true(rc < 0 || merging.size == lv_segment_size(now));
        lv_segment_close(now);
    } while (rc < 0);
    assert_in_range(after, 5, 30);
    lv_segment_close(sources[0]);
    lv_segment_close(sources[1]);
}

/* The foot that goes with what the table is now. */
static void seal_table(uint8_t *data, size_t size, uint64_t seed)
{
    struct lv_segment_foot foot;
    const struct lv_segment_run *runs;

    memcpy(&foot, data + size - sizeof foot, sizeof foot);
    runs = (const void *)(data + foot.table_offset);
    foot.table_check = lv_segment_table_check(
        runs, foot.run_count, (const void *)(runs + foot.run_count), foot.mark_count, seed);
    foot.check = lv_segment_foot_check(&foot, seed);
    memcpy(data + size - sizeof foot, &foot, sizeof foot);
}

static int ignore(void *ctx, const struct lv_segment_entry *entry)
{
    (void)ctx;
    return entry->size == 100 ? 0 : -LV_E_INTERNAL;
}

/* Reads to the end whatever comes. */
static void read_through(struct lv_segment *segment)
{
    size_t count;
    const struct lv_segment_run *runs = lv_segment_runs(segment, &count);

    for (size_t i = 0; i < count; i++) {
        struct lv_segment_reading reading = {.max_size = SIZE_MAX, .each = ignore};
        assert_int_equal(lv_segment_read(segment, &runs[i], &reading, NULL), 0);
        assert_true(reading.next_seq == UINT64_MAX);
    }
    lv_segment_close(segment);
}

static void a_table_of_nonsense_is_refused(void **state)
{
    struct fixture *f = *state;
    size_t refused_count = 0, count = 0, size;
    uint8_t *data;

    for (uint64_t seq = 1; seq <= 4000; seq++)
        lv_segment_set_add(&f->set, 1 + seq / 2001, seq * 2, 100, 0);
    lv_segment_set_write(&f->set, f->disk, &one);
    data = bytes_of(f, &size);
    for (uint64_t at = table_offset(f); at < size - sizeof(struct lv_segment_foot); at += 4) {
        struct lv_segment *segment;
        uint32_t kept, changed = (uint32_t)lv_random_next(&f->random);

        memcpy(&kept, data + at, sizeof kept);
        memcpy(data + at, &changed, sizeof changed);
        seal_table(data, size, one.seed);
        lv_image_disk_put(f->image, NAME, lv_bytes(data, size));
        if (lv_segment_open(f->disk, 0, 1, &segment, NULL) == 0) {
            read_through(segment);
        } else {
            expect_refused(f, -LV_E_CORRUPT, "the table of its messages");
            refused_count++;
        }
        count++;
        memcpy(data + at, &kept, sizeof kept);
    }
    /* Some of it can't be known: another id of a queue, a higher last number. */
    assert_in_range(refused_count, count * 3 / 4, count);
    free(data);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_could_not_be_written_is_not_there),
        TEST(a_full_disk_leaves_nothing_behind),
        TEST(a_read_that_fails_is_said_and_may_succeed_later),
        TEST(after_a_failed_read_reading_goes_on_where_it_was),
        TEST(a_failed_read_amid_damage_loses_nothing_more),
        TEST(merging_fails_without_a_trace),
        TEST(after_a_crash_a_segment_is_whole_or_not_there),
        TEST(a_segment_that_is_not_there_is_not_found),
        TEST(an_unknown_version_is_refused_with_what_to_do),
        TEST(nobody_stands_for_what_comes_later),
        TEST(a_segment_under_anothers_name_is_refused),
        TEST(what_is_cut_off_anywhere_is_refused),
        TEST(what_is_cut_off_later_is_said_with_what_it_affects),
        TEST(a_flipped_bit_costs_its_message_or_is_refused),
        TEST(a_destroyed_range_costs_what_lay_in_it),
        TEST(a_message_that_holds_a_segment_misleads_nobody),
        TEST(where_the_damage_lies_is_said),
        TEST(what_is_damaged_stays_as_it_is),
        TEST(merging_into_a_source_loses_none_of_it),
        TEST(a_table_of_nonsense_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
