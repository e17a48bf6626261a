#include "io/file.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
    char directory[64];
    char path[128];
};

static int make_place(void **state)
{
    static struct place place;

    snprintf(place.directory, sizeof place.directory, "%s", "/tmp/leveret-file-XXXXXX");
    if (mkdtemp(place.directory) == NULL)
        return -1;
    *state = &place;
    return 0;
}

static int remove_place(void **state)
{
    struct place *place = *state;

    return rmdir(place->directory);
}

static const char *path_in(struct place *place, const char *name)
{
    snprintf(place->path, sizeof place->path, "%s/%s", place->directory, name);
    return place->path;
}

static void directories_are_made_with_those_above(void **state)
{
    struct place *place = *state;
    struct stat status;

    assert_int_equal(lv_directory_make(path_in(place, "a/b/c"), NULL), 0);
    assert_int_equal(stat(place->path, &status), 0);
    assert_true(S_ISDIR(status.st_mode));
    assert_int_equal(status.st_mode & 07, 0); /* nobody else's business */
    assert_int_equal(lv_directory_make(place->path, NULL), 0);
    rmdir(path_in(place, "a/b/c"));
    rmdir(path_in(place, "a/b"));
    rmdir(path_in(place, "a"));
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void a_file_is_no_directory(void **state)
{
    struct place *place = *state;
    struct lv_diag diag = {""};

    write_file(path_in(place, "file"), "");
    assert_int_equal(lv_directory_make(place->path, &diag), -LV_E_IO);
    assert_non_null(strstr(diag.text, "Not a directory"));
    unlink(place->path);
}

static void files_are_read_whole_up_to_a_limit(void **state)
{
    struct place *place = *state;
    struct lv_diag diag = {""};
    size_t size;
    char *text;

    write_file(path_in(place, "file"), "12345");
    assert_int_equal(lv_file_read(place->path, 5, &text, &size, NULL), 0);
    assert_int_equal(size, 5);
    assert_string_equal(text, "12345");
    lv_free(text);
    assert_int_equal(lv_file_read(place->path, 4, &text, &size, &diag), -LV_E_RESOURCE);
    unlink(place->path);
    assert_int_equal(lv_file_read(place->path, 5, &text, &size, &diag), -LV_E_IO);
    assert_non_null(strstr(diag.text, place->path));
}

static void a_lock_keeps_other_processes_out_and_names_its_holder(void **state)
{
    struct place *place = *state;
    int fd, status, pipes[2];
    char go;

    path_in(place, "lock");
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        int rc = read(pipes[0], &go, 1) == 1 ? 0 : 1;
        struct lv_diag diag = {""};
        char parent[64];

        snprintf(parent, sizeof parent, "(process %ld)", (long)getppid());
        if (rc != 0 || lv_file_lock(place->path, &fd, &diag) != -LV_E_LOCKED)
            _exit(1);
        _exit(strstr(diag.text, parent) == NULL ? 2 : 0);
    }
    assert_int_equal(lv_file_lock(place->path, &fd, NULL), 0);
    assert_int_equal(write(pipes[1], "g", 1), 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(pipes[0]);
    close(pipes[1]);
    lv_file_unlock(place->path, fd);
    assert_int_equal(access(place->path, F_OK), -1);
}

static void an_old_lock_file_that_nobody_holds_is_taken(void **state)
{
    struct place *place = *state;
    char *text, mine[32];
    size_t size;
    int fd;

    write_file(path_in(place, "lock"), "123456789012\n");
    assert_int_equal(lv_file_lock(place->path, &fd, NULL), 0);
    assert_int_equal(lv_file_read(place->path, 64, &text, &size, NULL), 0);
    snprintf(mine, sizeof mine, "%ld\n", (long)getpid());
    assert_string_equal(text, mine);
    lv_free(text);
    lv_file_unlock(place->path, fd);
}

static void a_lock_in_no_directory_is_an_error(void **state)
{
    struct lv_diag diag = {""};
    int fd;

    assert_int_equal(lv_file_lock(path_in(*state, "nowhere/lock"), &fd, &diag), -LV_E_IO);
    assert_non_null(strstr(diag.text, "No such file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(directories_are_made_with_those_above, make_place,
                                        remove_place),
        cmocka_unit_test_setup_teardown(a_file_is_no_directory, make_place, remove_place),
        cmocka_unit_test_setup_teardown(files_are_read_whole_up_to_a_limit, make_place,
                                        remove_place),
        cmocka_unit_test_setup_teardown(a_lock_keeps_other_processes_out_and_names_its_holder,
                                        make_place, remove_place),
        cmocka_unit_test_setup_teardown(an_old_lock_file_that_nobody_holds_is_taken, make_place,
                                        remove_place),
        cmocka_unit_test_setup_teardown(a_lock_in_no_directory_is_an_error, make_place,
                                        remove_place),
    };

    return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
