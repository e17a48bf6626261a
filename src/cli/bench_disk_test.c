#include "cli/bench_disk.h"

#include "base/defs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define FILE_SIZE ((size_t)64 << 20)

static char directory[] = "/tmp/leveret-disk-XXXXXX";

static int make_directory(void **state)
{
    (void)state;
    return mkdtemp(directory) == NULL;
}

/* Fails if something was left behind in it. */
static int remove_directory(void **state)
{
    (void)state;
    return rmdir(directory);
}

static struct lv_bench_disk open_disk(void)
{
    struct lv_diag diag = {.text = ""};
    struct lv_bench_disk disk;

    assert_int_equal(lv_bench_disk_open(directory, &disk, &diag), 0);
    return disk;
}

static void the_file_has_its_length_and_blocks_from_the_beginning(void **state)
{
    struct lv_bench_disk disk = open_disk();
    struct stat status;

    (void)state;
    assert_int_equal(fstat(disk.fd, &status), 0);
    assert_int_equal(status.st_size, FILE_SIZE);
    assert_true((size_t)status.st_blocks * 512 >= FILE_SIZE);
    assert_int_equal(status.st_nlink, 0); /* it has no name */
    lv_bench_disk_close(&disk);
    lv_bench_disk_close(&disk);
}

static void appends_follow_each_other(void **state)
{
    struct lv_bench_disk disk = open_disk();
    char one[] = "one,", two[] = "two,", three[] = "three", found[16];
    struct iovec first[] = {{one, 4}, {two, 4}}, second[] = {{three, 5}};

    (void)state;
    assert_int_equal(lv_bench_disk_append(&disk, first, 2), 0);
    assert_int_equal(lv_bench_disk_append(&disk, second, 1), 0);
    assert_int_equal(lv_bench_disk_sync(&disk), 0);
    assert_int_equal(pread(disk.fd, found, sizeof found, 0), sizeof found);
    assert_memory_equal(found, "one,two,three\0\0", 16);
    lv_bench_disk_close(&disk);
}

static void what_does_not_fit_begins_the_file_again(void **state)
{
    struct lv_bench_disk disk = open_disk();
    char text[] = "again", found[5];
    struct iovec piece = {text, 5};

    (void)state;
    disk.at = FILE_SIZE - 4;
    assert_int_equal(lv_bench_disk_append(&disk, &piece, 1), 0);
    assert_int_equal(disk.at, 5);
    assert_int_equal(pread(disk.fd, found, 5, 0), 5);
    assert_memory_equal(found, "again", 5);
    piece = (struct iovec){text, FILE_SIZE + 1};
    assert_int_equal(lv_bench_disk_append(&disk, &piece, 1), -LV_E_IO);
    lv_bench_disk_close(&disk);
}

static void a_directory_that_is_not_there_is_named(void **state)
{
    struct lv_diag diag = {.text = ""};
    struct lv_bench_disk disk;

    (void)state;
    assert_int_equal(lv_bench_disk_open("/no/such/place", &disk, &diag), -LV_E_IO);
    assert_non_null(strstr(diag.text, "/no/such/place"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_file_has_its_length_and_blocks_from_the_beginning),
        cmocka_unit_test(appends_follow_each_other),
        cmocka_unit_test(what_does_not_fit_begins_the_file_again),
        cmocka_unit_test(a_directory_that_is_not_there_is_named),
    };

    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
