#include "store/image_disk.h"

#include "store/image_file.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SEEDS  400u
#define SECTOR LV_IMAGE_SECTOR_SIZE

static struct lv_image_disk *image;
static struct lv_disk *disk;

static int make_image(void **state)
{
    (void)state;
    image = lv_image_disk_new(1);
    disk = lv_image_disk_view(image);
    return 0;
}

static int free_image(void **state)
{
    (void)state;
    lv_image_disk_free(image);
    return 0;
}

static int create(const char *name)
{
    int file;

    assert_int_equal(disk->ops->open(disk, name, true, &file), 0);
    return file;
}

/* `size` times the letter. */
static int put(int file, uint64_t offset, char letter, size_t size)
{
    uint8_t data[8 * SECTOR];

    assert_true(size <= sizeof data);
    memset(data, letter, size);
    return disk->ops->write(disk, file, offset, lv_bytes(data, size));
}

/* A file that will be there whatever happens, with so many sectors of `o`. */
static int create_durable(const char *name, size_t sectors)
{
    int file = create(name);

    assert_int_equal(put(file, 0, 'o', sectors * SECTOR), 0);
    assert_int_equal(disk->ops->sync(disk, file), 0);
    assert_int_equal(disk->ops->sync_directory(disk), 0);
    return file;
}

/* One letter for each sector of the file, '?' for one with several; "-" when it is not there. */
static void look(struct lv_image_disk *where, const char *name, char text[16])
{
    struct lv_disk *other = lv_image_disk_view(where);
    uint8_t data[8 * SECTOR];
    size_t size, count = 0;
    int file;

    if (other->ops->open(other, name, false, &file) < 0) {
        memcpy(text, "-", 2);
        return;
    }
    assert_int_equal(other->ops->read(other, file, 0, data, sizeof data, &size), 0);
    for (size_t at = 0; at < size; at += SECTOR) {
        size_t part = size - at < SECTOR ? size - at : SECTOR;
        bool same = memcmp(data + at, data + at + 1, part - 1) == 0;

        text[count++] = (char)(!same ? '?' : data[at] == 0 ? '0' : data[at]);
    }
    text[count] = '\0';
    other->ops->close(other, file);
}

/* All states that crashes now leave of a file, each once, with how often it came. */
struct outcomes {
    char texts[64][16];
    unsigned counts[64];
    unsigned count;
};

static void note(struct outcomes *outcomes, const char *text)
{
    unsigned i = 0;

    while (i < outcomes->count && strcmp(outcomes->texts[i], text) != 0)
        i++;
    assert_true(i < 64);
    if (i == outcomes->count)
        memcpy(outcomes->texts[outcomes->count++], text, strlen(text) + 1);
    outcomes->counts[i]++;
}

static unsigned times(const struct outcomes *outcomes, const char *text)
{
    for (unsigned i = 0; i < outcomes->count; i++) {
        if (strcmp(outcomes->texts[i], text) == 0)
            return outcomes->counts[i];
    }
    return 0;
}

static struct outcomes crash_often(const char *name)
{
    struct outcomes outcomes = {.count = 0};
    char text[16];

    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct lv_image_disk *left = lv_image_disk_crash(image, seed);

        look(left, name, text);
        note(&outcomes, text);
        lv_image_disk_free(left);
    }
    return outcomes;
}

static void only(const struct outcomes *outcomes, const char *text)
{
    assert_int_equal(outcomes->count, 1);
    assert_string_equal(outcomes->texts[0], text);
}

static void what_was_synced_survives(void **state)
{
    int file = create_durable("a", 2);
    struct outcomes outcomes;

    (void)state;
    assert_int_equal(put(file, SECTOR, 'n', 2 * SECTOR), 0);
    assert_int_equal(disk->ops->sync(disk, file), 0);
    outcomes = crash_often("a");
    only(&outcomes, "onn");
}

static void a_write_is_lost_whole_or_torn(void **state)
{
    int file = create_durable("a", 4);
    struct outcomes outcomes;

    (void)state;
    assert_int_equal(put(file, SECTOR, 'n', 2 * SECTOR), 0);
    outcomes = crash_often("a");
    assert_true(times(&outcomes, "oooo") > 20);
    assert_true(times(&outcomes, "onno") > 20);
    assert_true(times(&outcomes, "onoo") > 0);
    assert_true(times(&outcomes, "oono") > 0);
    assert_int_equal(outcomes.count, 4); /* and nothing else */
}

static void writes_are_lost_in_any_order(void **state)
{
    int file = create_durable("a", 3);
    struct outcomes outcomes;

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(put(file, i * SECTOR, (char)('1' + i), SECTOR), 0);
    outcomes = crash_often("a");
    assert_true(times(&outcomes, "ooo") > 20);
    assert_true(times(&outcomes, "123") > 20);
    assert_true(times(&outcomes, "1oo") > 0);
    assert_true(times(&outcomes, "12o") > 0);
    assert_true(times(&outcomes, "oo3") > 0);
    assert_true(times(&outcomes, "1o3") > 0);
    assert_int_equal(outcomes.count, 8);
}

/* A disk writes a sector as memory has it: what came later does not come alone. */
static void a_sector_has_all_that_was_written_before(void **state)
{
    int file = create_durable("a", 1);
    struct outcomes outcomes = {.count = 0};

    (void)state;
    assert_int_equal(put(file, 0, '1', 200), 0);
    assert_int_equal(put(file, 200, '2', 200), 0);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct lv_image_disk *left = lv_image_disk_crash(image, seed);
        struct lv_disk *other = lv_image_disk_view(left);
        char text[16] = {0}, data[SECTOR];
        size_t size;
        int opened;

        assert_int_equal(other->ops->open(other, "a", false, &opened), 0);
        assert_int_equal(other->ops->read(other, opened, 0, data, SECTOR, &size), 0);
        text[0] = data[0];
        text[1] = data[200];
        text[2] = data[400];
        note(&outcomes, text);
        lv_image_disk_free(left);
    }
    assert_true(times(&outcomes, "ooo") > 0);
    assert_true(times(&outcomes, "1oo") > 0);
    assert_true(times(&outcomes, "12o") > 0);
    assert_int_equal(outcomes.count, 3);
}

/* Zeros stand where the end came without what lies before it. */
static void a_file_grows_by_what_survived(void **state)
{
    int file = create_durable("a", 1);
    struct outcomes outcomes;

    (void)state;
    assert_int_equal(put(file, SECTOR, '1', SECTOR), 0);
    assert_int_equal(put(file, 2 * SECTOR, '2', SECTOR), 0);
    outcomes = crash_often("a");
    assert_true(times(&outcomes, "o") > 0);
    assert_true(times(&outcomes, "o1") > 0);
    assert_true(times(&outcomes, "o02") > 0);
    assert_true(times(&outcomes, "o12") > 0);
    assert_int_equal(outcomes.count, 4);
}

static void an_emptied_file_has_one_life_or_the_other(void **state)
{
    int file = create_durable("a", 2);
    struct outcomes outcomes;

    (void)state;
    assert_int_equal(put(file, 0, 'p', SECTOR), 0);
    disk->ops->close(disk, file);
    file = create("a");
    assert_int_equal(put(file, SECTOR, 'n', SECTOR), 0);
    outcomes = crash_often("a");
    assert_true(times(&outcomes, "oo") > 0);
    assert_true(times(&outcomes, "po") > 0);
    assert_true(times(&outcomes, "") > 0);
    assert_true(times(&outcomes, "0n") > 0);
    assert_int_equal(outcomes.count, 4);
    assert_int_equal(disk->ops->sync(disk, file), 0);
    outcomes = crash_often("a");
    only(&outcomes, "0n");
}

static void a_name_lasts_when_its_directory_was_synced(void **state)
{
    int file = create("a");
    struct outcomes outcomes;

    (void)state;
    assert_int_equal(put(file, 0, 'n', SECTOR), 0);
    assert_int_equal(disk->ops->sync(disk, file), 0);
    outcomes = crash_often("a");
    assert_true(times(&outcomes, "-") > 0);
    assert_true(times(&outcomes, "n") > 0);
    assert_int_equal(outcomes.count, 2);
    assert_int_equal(disk->ops->sync_directory(disk), 0);
    outcomes = crash_often("a");
    only(&outcomes, "n");
    assert_int_equal(disk->ops->remove(disk, "a"), 0);
    outcomes = crash_often("a");
    assert_int_equal(outcomes.count, 2);
    assert_int_equal(disk->ops->sync_directory(disk), 0);
    outcomes = crash_often("a");
    only(&outcomes, "-");
}

static void a_rename_replaces_at_once_or_not_at_all(void **state)
{
    int old = create_durable("a", 1), new;
    unsigned before = 0, after = 0;

    (void)state;
    new = create("a.tmp");
    assert_int_equal(put(new, 0, 'n', SECTOR), 0);
    assert_int_equal(disk->ops->sync(disk, new), 0);
    assert_int_equal(disk->ops->sync_directory(disk), 0);
    assert_int_equal(disk->ops->rename(disk, "a.tmp", "a"), 0);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct lv_image_disk *left = lv_image_disk_crash(image, seed);
        char text[2][16];

        look(left, "a", text[0]);
        look(left, "a.tmp", text[1]);
        before += strcmp(text[0], "o") == 0 && strcmp(text[1], "n") == 0;
        after += strcmp(text[0], "n") == 0 && strcmp(text[1], "-") == 0;
        lv_image_disk_free(left);
    }
    assert_int_equal(before + after, SEEDS);
    assert_true(before > 0);
    assert_true(after > 0);
    disk->ops->close(disk, old);
    disk->ops->close(disk, new);
}

static void the_directory_changes_in_order(void **state)
{
    char text[2][16];

    (void)state;
    create("a");
    create("b");
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct lv_image_disk *left = lv_image_disk_crash(image, seed);

        look(left, "a", text[0]);
        look(left, "b", text[1]);
        assert_true(text[0][0] == '\0' || text[1][0] == '-'); /* never b without a */
        lv_image_disk_free(left);
    }
}

static void a_seed_leaves_the_same_again(void **state)
{
    int file = create_durable("a", 8);
    char text[2][16];

    (void)state;
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(put(file, i * SECTOR, 'n', SECTOR), 0);
    for (uint64_t seed = 0; seed < 50; seed++) {
        for (unsigned i = 0; i < 2; i++) {
            struct lv_image_disk *left = lv_image_disk_crash(image, seed);

            look(left, "a", text[i]);
            lv_image_disk_free(left);
        }
        assert_string_equal(text[0], text[1]);
    }
}

static void an_image_goes_its_own_way(void **state)
{
    int file = create_durable("a", 2);
    struct lv_image_disk *left, *copy, *first = image;
    struct outcomes outcomes;
    char text[16];

    (void)state;
    assert_int_equal(put(file, 0, 'n', SECTOR), 0);
    copy = lv_image_disk_copy(image); /* a process that ends loses nothing */
    left = lv_image_disk_crash(copy, 5);
    look(left, "a", text);
    assert_string_equal(text, "no");
    disk = lv_image_disk_view(left);
    assert_int_equal(disk->ops->open(disk, "a", false, &file), 0);
    assert_int_equal(put(file, SECTOR, 'x', SECTOR), 0);
    image = left;
    outcomes = crash_often("a"); /* crashing again while it recovers */
    assert_true(times(&outcomes, "no") > 0);
    assert_true(times(&outcomes, "nx") > 0);
    assert_int_equal(outcomes.count, 2);
    look(copy, "a", text);
    assert_string_equal(text, "no");
    image = first;
    lv_image_disk_free(left);
    lv_image_disk_free(copy);
}

static void after_a_failed_sync_no_other_helps(void **state)
{
    unsigned lost = 0, kept = 0;

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        int file = create_durable("a", 1);
        struct outcomes outcomes;
        char text[16];

        assert_int_equal(put(file, 0, 'n', SECTOR), 0);
        lv_image_disk_fail(image, LV_IMAGE_SYNC, 1, -LV_E_IO, false);
        assert_int_equal(disk->ops->sync(disk, file), -LV_E_IO);
        assert_int_equal(disk->ops->sync(disk, file), 0);
        look(image, "a", text);
        assert_string_equal(text, "n");
        outcomes = crash_often("a");
        assert_int_equal(outcomes.count, 1);
        lost += outcomes.texts[0][0] == 'o';
        kept += outcomes.texts[0][0] == 'n';
        disk->ops->close(disk, file);
    }
    assert_int_equal(lost + kept, 100);
    assert_true(lost > 0);
    assert_true(kept > 0);
}

static void the_nth_operation_fails(void **state)
{
    int file = create("a");
    uint64_t before = lv_image_disk_count(image, LV_IMAGE_WRITE);
    char text[16];
    size_t size;

    (void)state;
    lv_image_disk_fail(image, LV_IMAGE_WRITE, 2, -LV_E_FULL, false);
    assert_int_equal(put(file, 0, '1', SECTOR), 0);
    assert_int_equal(put(file, SECTOR, '2', 4 * SECTOR), -LV_E_FULL);
    assert_int_equal(put(file, 5 * SECTOR, '3', SECTOR), 0);
    assert_int_equal(lv_image_disk_count(image, LV_IMAGE_WRITE) - before, 3);
    lv_image_disk_fail(image, LV_IMAGE_READ, 1, -LV_E_IO, true);
    assert_int_equal(disk->ops->read(disk, file, 0, text, 8, &size), -LV_E_IO);
    assert_int_equal(disk->ops->read(disk, file, 0, text, 8, &size), -LV_E_IO);
    lv_image_disk_fail(image, LV_IMAGE_READ, 0, 0, false);
    assert_int_equal(disk->ops->read(disk, file, 0, text, 8, &size), 0);
    lv_image_disk_fail(image, LV_IMAGE_CHANGE, 3, -LV_E_IO, true);
    assert_int_equal(put(file, 0, '1', SECTOR), 0);
    assert_int_equal(disk->ops->rename(disk, "a", "b"), 0);
    assert_int_equal(disk->ops->rename(disk, "b", "a"), -LV_E_IO);
    assert_int_equal(disk->ops->sync_directory(disk), -LV_E_IO);
    assert_int_equal(disk->ops->remove(disk, "b"), -LV_E_IO);
    assert_int_equal(disk->ops->open(disk, "c", true, &file), -LV_E_IO);
    assert_int_equal(disk->ops->open(disk, "b", false, &file), 0);
}

static void a_full_disk_takes_what_fits_and_recovers(void **state)
{
    int a = create("a"), b = create("b");
    uint64_t space, size;

    (void)state;
    lv_image_disk_limit(image, 3 * SECTOR);
    assert_int_equal(put(a, 0, 'a', 2 * SECTOR), 0);
    assert_int_equal(put(b, 0, 'b', 2 * SECTOR), -LV_E_FULL);
    assert_int_equal(disk->ops->size(disk, b, &size), 0);
    assert_int_equal(size, SECTOR);
    assert_int_equal(disk->ops->free_space(disk, &space), 0);
    assert_int_equal(space, 0);
    assert_int_equal(put(a, 0, 'c', 2 * SECTOR), 0); /* nothing new is needed for it */
    assert_int_equal(disk->ops->remove(disk, "a"), 0);
    assert_int_equal(put(b, 0, 'b', 2 * SECTOR), -LV_E_FULL); /* it is still open */
    disk->ops->close(disk, a);
    assert_int_equal(disk->ops->sync_directory(disk), 0);
    assert_int_equal(disk->ops->free_space(disk, &space), 0);
    assert_int_equal(space, 2 * SECTOR);
    assert_int_equal(put(b, 0, 'b', 3 * SECTOR), 0);
}

static void damage_is_done_where_it_is_asked_for(void **state)
{
    struct outcomes outcomes;
    char text[16];

    (void)state;
    create_durable("a", 4);
    assert_int_equal(lv_image_disk_zero(image, "a", SECTOR, SECTOR), 0);
    look(image, "a", text);
    assert_string_equal(text, "o0oo");
    assert_int_equal(lv_image_disk_flip(image, "a", 2 * SECTOR + 9, 0x10), 0);
    look(image, "a", text);
    assert_string_equal(text, "o0?o");
    assert_int_equal(lv_image_disk_resize(image, "a", SECTOR), 0);
    assert_int_equal(lv_image_disk_resize(image, "a", 2 * SECTOR), 0);
    outcomes = crash_often("a");
    only(&outcomes, "o0"); /* what was cut does not come back */
    lv_image_disk_put(image, "a", lv_text("pp"));
    lv_image_disk_put(image, "b", lv_text("qq"));
    outcomes = crash_often("a");
    only(&outcomes, "p");
    outcomes = crash_often("b");
    only(&outcomes, "q");
    assert_int_equal(lv_image_disk_zero(image, "c", 0, 1), -LV_E_NOT_FOUND);
    assert_int_equal(lv_image_disk_flip(image, "c", 0, 1), -LV_E_NOT_FOUND);
    assert_int_equal(lv_image_disk_resize(image, "c", 0), -LV_E_NOT_FOUND);
}

static int note_name(void *ctx, const char *name)
{
    struct outcomes *outcomes = ctx;

    note(outcomes, name);
    return strcmp(name, "stop") == 0 ? 7 : 0;
}

static void files_are_listed_removed_and_not_found(void **state)
{
    struct outcomes names = {.count = 0};
    int file;

    (void)state;
    create("a");
    create("b");
    assert_int_equal(disk->ops->remove(disk, "a"), 0);
    assert_int_equal(disk->ops->remove(disk, "a"), -LV_E_NOT_FOUND);
    assert_int_equal(disk->ops->rename(disk, "a", "c"), -LV_E_NOT_FOUND);
    assert_int_equal(disk->ops->open(disk, "a", false, &file), -LV_E_NOT_FOUND);
    assert_int_equal(disk->ops->list(disk, note_name, &names), 0);
    only(&names, "b");
    create("stop");
    assert_int_equal(disk->ops->list(disk, note_name, &names), 7);
}

struct watcher {
    char seen[LV_IMAGE_OP_COUNT + 8][16]; /* the file before each change */
    unsigned count;
};

static void take_image(void *ctx, enum lv_image_op op)
{
    struct watcher *watcher = ctx;
    struct lv_image_disk *copy = lv_image_disk_copy(image);

    assert_true(op < LV_IMAGE_CHANGE);
    look(copy, "a", watcher->seen[watcher->count++]);
    lv_image_disk_free(copy);
}

static void who_watches_sees_the_disk_before_each_change(void **state)
{
    struct watcher watcher = {.count = 0};
    int file;

    (void)state;
    lv_image_disk_watch(image, take_image, &watcher);
    file = create("a");
    assert_int_equal(put(file, 0, 'x', SECTOR), 0);
    assert_int_equal(disk->ops->sync(disk, file), 0);
    disk->ops->close(disk, file);
    assert_int_equal(disk->ops->open(disk, "a", false, &file), 0);
    assert_int_equal(disk->ops->remove(disk, "a"), 0);
    lv_image_disk_watch(image, NULL, NULL);
    assert_int_equal(watcher.count, 4);
    assert_string_equal(watcher.seen[0], "-");
    assert_string_equal(watcher.seen[1], "");
    assert_string_equal(watcher.seen[2], "x");
    assert_string_equal(watcher.seen[3], "x");
}

/* Records, so that the test's own thread asserts. */
static void *write_much(void *name)
{
    uint8_t data[700];
    uintptr_t bad = 0;
    size_t size;
    int file;

    if (disk->ops->open(disk, name, true, &file) < 0)
        return name;
    for (unsigned i = 0; i < 300; i++) {
        memset(data, (int)(i + 1), sizeof data);
        bad += disk->ops->write(disk, file, i * sizeof data, lv_bytes(data, sizeof data)) < 0;
        bad += i % 10 == 9 && disk->ops->sync(disk, file) < 0;
        bad += disk->ops->read(disk, file, i * sizeof data, data, 1, &size) < 0;
        bad += data[0] != (uint8_t)(i + 1);
    }
    disk->ops->close(disk, file);
    return bad == 0 ? NULL : name;
}

static void several_threads_may_write_while_images_are_taken(void **state)
{
    char names[2][2] = {"a", "b"};
    pthread_t threads[2];
    void *result;

    (void)state;
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_much, names[i]), 0);
    for (uint64_t seed = 0; seed < 50; seed++)
        lv_image_disk_free(lv_image_disk_crash(image, seed));
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_null(result);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
#define IMAGE_TEST(name) cmocka_unit_test_setup_teardown(name, make_image, free_image)
        IMAGE_TEST(what_was_synced_survives),
        IMAGE_TEST(a_write_is_lost_whole_or_torn),
        IMAGE_TEST(writes_are_lost_in_any_order),
        IMAGE_TEST(a_sector_has_all_that_was_written_before),
        IMAGE_TEST(a_file_grows_by_what_survived),
        IMAGE_TEST(an_emptied_file_has_one_life_or_the_other),
        IMAGE_TEST(a_name_lasts_when_its_directory_was_synced),
        IMAGE_TEST(a_rename_replaces_at_once_or_not_at_all),
        IMAGE_TEST(the_directory_changes_in_order),
        IMAGE_TEST(a_seed_leaves_the_same_again),
        IMAGE_TEST(an_image_goes_its_own_way),
        IMAGE_TEST(after_a_failed_sync_no_other_helps),
        IMAGE_TEST(the_nth_operation_fails),
        IMAGE_TEST(a_full_disk_takes_what_fits_and_recovers),
        IMAGE_TEST(damage_is_done_where_it_is_asked_for),
        IMAGE_TEST(files_are_listed_removed_and_not_found),
        IMAGE_TEST(who_watches_sees_the_disk_before_each_change),
        IMAGE_TEST(several_threads_may_write_while_images_are_taken),
#undef IMAGE_TEST
    };

    return cmocka_run_group_tests_name("image disk", tests, NULL, NULL);
}
