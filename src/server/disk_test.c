#include "server/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char base[64];
static struct lv_file_disk disk;

static int open_disk(void **state)
{
    (void)state;
    snprintf(base, sizeof base, "%s", "/tmp/leveret-disk-XXXXXX");
    if (mkdtemp(base) == NULL)
        return -1;
    return lv_file_disk_open(&disk, base, NULL);
}

static int remove_each(void *ctx, const char *name)
{
    (void)ctx;
    return disk.disk.ops->remove(&disk.disk, name);
}

static int close_disk(void **state)
{
    int rc = disk.disk.ops->list(&disk.disk, remove_each, NULL);

    (void)state;
    lv_file_disk_close(&disk);
    return rc < 0 ? rc : rmdir(base);
}

static int create(const char *name)
{
    int file;

    assert_int_equal(disk.disk.ops->open(&disk.disk, name, true, &file), 0);
    return file;
}

static int write_text(int file, uint64_t offset, const char *text)
{
    return disk.disk.ops->write(&disk.disk, file, offset, lv_text(text));
}

/* What lies there, up to 63 bytes. */
static const char *read_text(int file, uint64_t offset, size_t size)
{
    static char text[64];
    size_t got;

    assert_true(size < sizeof text);
    assert_int_equal(disk.disk.ops->read(&disk.disk, file, offset, text, size, &got), 0);
    text[got] = '\0';
    return text;
}

static void what_is_written_is_read_from_anywhere(void **state)
{
    int file = create("a");
    uint64_t size;

    (void)state;
    assert_int_equal(write_text(file, 0, "hello world"), 0);
    assert_int_equal(write_text(file, 6, "there"), 0);
    assert_string_equal(read_text(file, 0, 11), "hello there");
    assert_string_equal(read_text(file, 4, 3), "o t");
    assert_string_equal(read_text(file, 8, 60), "ere"); /* shorter at the end */
    assert_string_equal(read_text(file, 100, 8), "");
    assert_int_equal(write_text(file, 20, "far"), 0);
    assert_int_equal(disk.disk.ops->size(&disk.disk, file, &size), 0);
    assert_int_equal(size, 23);
    assert_int_equal(disk.disk.ops->sync(&disk.disk, file), 0);
    disk.disk.ops->close(&disk.disk, file);
}

static void creating_empties_and_opening_does_not(void **state)
{
    int file = create("a");
    uint64_t size;

    (void)state;
    assert_int_equal(write_text(file, 0, "old"), 0);
    disk.disk.ops->close(&disk.disk, file);
    assert_int_equal(disk.disk.ops->open(&disk.disk, "a", false, &file), 0);
    assert_string_equal(read_text(file, 0, 10), "old");
    assert_int_equal(write_text(file, 0, "new"), 0);
    disk.disk.ops->close(&disk.disk, file);
    file = create("a");
    assert_int_equal(disk.disk.ops->size(&disk.disk, file, &size), 0);
    assert_int_equal(size, 0);
    disk.disk.ops->close(&disk.disk, file);
    assert_int_equal(disk.disk.ops->open(&disk.disk, "b", false, &file), -LV_E_NOT_FOUND);
}

static void files_belong_to_their_owner_alone(void **state)
{
    struct stat status;
    char path[128];

    (void)state;
    disk.disk.ops->close(&disk.disk, create("a"));
    snprintf(path, sizeof path, "%s/a", base);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

struct names {
    unsigned count;
    char text[128];
};

static int note_name(void *ctx, const char *name)
{
    struct names *names = ctx;
    size_t size = strlen(names->text);

    snprintf(names->text + size, sizeof names->text - size, "%s ", name);
    names->count++;
    return strcmp(name, "stop") == 0 ? 7 : 0;
}

static void files_are_renamed_removed_and_listed(void **state)
{
    struct names names = {0};
    int file = create("a.tmp");
    char path[128];

    (void)state;
    assert_int_equal(write_text(file, 0, "x"), 0);
    disk.disk.ops->close(&disk.disk, file);
    disk.disk.ops->close(&disk.disk, create("a"));
    assert_int_equal(disk.disk.ops->rename(&disk.disk, "a.tmp", "a"), 0);
    assert_int_equal(disk.disk.ops->sync_directory(&disk.disk), 0);
    snprintf(path, sizeof path, "%s/folder", base);
    assert_int_equal(mkdir(path, 0700), 0); /* no file: not listed */
    assert_int_equal(disk.disk.ops->list(&disk.disk, note_name, &names), 0);
    assert_string_equal(names.text, "a ");
    assert_int_equal(disk.disk.ops->open(&disk.disk, "folder", false, &file), -LV_E_IO);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(disk.disk.ops->open(&disk.disk, "a", false, &file), 0);
    assert_string_equal(read_text(file, 0, 8), "x");
    disk.disk.ops->close(&disk.disk, file);
    assert_int_equal(disk.disk.ops->remove(&disk.disk, "a"), 0);
    assert_int_equal(disk.disk.ops->remove(&disk.disk, "a"), -LV_E_NOT_FOUND);
    assert_int_equal(disk.disk.ops->rename(&disk.disk, "a", "b"), -LV_E_NOT_FOUND);
}

static void a_listing_can_be_ended_and_repeated(void **state)
{
    struct names names = {0};

    (void)state;
    disk.disk.ops->close(&disk.disk, create("stop"));
    assert_int_equal(disk.disk.ops->list(&disk.disk, note_name, &names), 7);
    assert_int_equal(disk.disk.ops->list(&disk.disk, note_name, &names), 7);
    assert_int_equal(names.count, 2);
}

/* The part that fits is written, then the kernel says why no more is. */
static void a_limit_on_the_size_of_files_is_a_full_disk_that_ends(void **state)
{
    struct rlimit limit, small;
    int file = create("a"), first, second, third;

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    small = (struct rlimit){.rlim_cur = 4096, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    first = write_text(file, 4090, "beyond it");
    second = write_text(file, 5000, "beyond it");
    third = write_text(file, 0, "below it");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(first, -LV_E_FULL);
    assert_int_equal(second, -LV_E_FULL);
    assert_int_equal(third, 0);
    assert_int_equal(atomic_load(&disk.error), EFBIG);
    assert_int_equal(write_text(file, 4090, "beyond it"), 0);
    assert_string_equal(read_text(file, 4090, 20), "beyond it");
    disk.disk.ops->close(&disk.disk, file);
}

/* The kernel's own full disk. */
static void no_space_and_a_broken_sync_are_told_apart(void **state)
{
    struct lv_file_disk devices;
    uint64_t space;
    int file;

    (void)state;
    assert_int_equal(lv_file_disk_open(&devices, "/dev", NULL), 0);
    assert_int_equal(devices.disk.ops->open(&devices.disk, "full", false, &file), 0);
    assert_int_equal(devices.disk.ops->write(&devices.disk, file, 0, lv_text("x")), -LV_E_FULL);
    assert_int_equal(atomic_load(&devices.error), ENOSPC);
    assert_int_equal(devices.disk.ops->sync(&devices.disk, file), -LV_E_IO);
    devices.disk.ops->close(&devices.disk, file);
    lv_file_disk_close(&devices);
    assert_int_equal(disk.disk.ops->free_space(&disk.disk, &space), 0);
    assert_true(space > 0);
}

static void looking_only_changes_nothing(void **state)
{
    struct lv_file_disk view;
    struct names names = {0};
    char text[8];
    size_t size;
    int file = create("a");

    (void)state;
    assert_int_equal(write_text(file, 0, "kept"), 0);
    disk.disk.ops->close(&disk.disk, file);
    assert_int_equal(lv_file_disk_open_read_only(&view, base, NULL), 0);
    assert_int_equal(view.disk.ops->open(&view.disk, "b", true, &file), -LV_E_IO);
    assert_int_equal(view.disk.ops->open(&view.disk, "a", false, &file), 0);
    assert_int_equal(fcntl(file, F_GETFL) & O_ACCMODE, O_RDONLY);
    assert_int_equal(view.disk.ops->write(&view.disk, file, 0, lv_text("lost")), -LV_E_IO);
    assert_int_equal(view.disk.ops->sync(&view.disk, file), -LV_E_IO);
    assert_int_equal(view.disk.ops->read(&view.disk, file, 0, text, 8, &size), 0);
    assert_memory_equal(text, "kept", 4);
    assert_int_equal(size, 4);
    view.disk.ops->close(&view.disk, file);
    assert_int_equal(view.disk.ops->rename(&view.disk, "a", "b"), -LV_E_IO);
    assert_int_equal(view.disk.ops->remove(&view.disk, "a"), -LV_E_IO);
    assert_int_equal(view.disk.ops->sync_directory(&view.disk), -LV_E_IO);
    assert_int_equal(view.disk.ops->list(&view.disk, note_name, &names), 0);
    assert_string_equal(names.text, "a ");
    lv_file_disk_close(&view);
}

static void a_missing_directory_is_named(void **state)
{
    struct lv_file_disk missing;
    struct lv_diag diag = {""};

    (void)state;
    assert_int_equal(lv_file_disk_open(&missing, "/nowhere/at/all", &diag), -LV_E_NOT_FOUND);
    assert_non_null(strstr(diag.text, "/nowhere/at/all"));
    assert_int_equal(lv_file_disk_open(&missing, "/dev/null", &diag), -LV_E_IO);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
#define DISK_TEST(name) cmocka_unit_test_setup_teardown(name, open_disk, close_disk)
        DISK_TEST(what_is_written_is_read_from_anywhere),
        DISK_TEST(creating_empties_and_opening_does_not),
        DISK_TEST(files_belong_to_their_owner_alone),
        DISK_TEST(files_are_renamed_removed_and_listed),
        DISK_TEST(a_listing_can_be_ended_and_repeated),
        DISK_TEST(a_limit_on_the_size_of_files_is_a_full_disk_that_ends),
        DISK_TEST(no_space_and_a_broken_sync_are_told_apart),
        DISK_TEST(looking_only_changes_nothing),
#undef DISK_TEST
        cmocka_unit_test(a_missing_directory_is_named),
    };

    return cmocka_run_group_tests_name("disk", tests, NULL, NULL);
}
