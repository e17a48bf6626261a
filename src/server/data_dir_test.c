#include "server/data_dir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char base[64];

static int make_base(void **state)
{
    (void)state;
    snprintf(base, sizeof base, "%s", "/tmp/leveret-data-XXXXXX");
    return mkdtemp(base) == NULL ? -1 : 0;
}

static int remove_base(void **state)
{
    (void)state;
    return rmdir(base);
}

static void a_directory_is_made_locked_and_left_clean(void **state)
{
    struct lv_data_dir dir;
    char path[128], lock[160];

    (void)state;
    snprintf(path, sizeof path, "%s/new", base);
    snprintf(lock, sizeof lock, "%s/leveret.pid", path);
    assert_int_equal(lv_data_dir_open(&dir, path, NULL), 0);
    assert_string_equal(dir.path, path);
    assert_int_equal(access(lock, F_OK), 0);
    lv_data_dir_close(&dir);
    assert_int_not_equal(access(lock, F_OK), 0);
    rmdir(path);
}

static void a_directory_has_one_broker(void **state)
{
    struct lv_data_dir one, two;
    struct lv_diag diag = {""};
    char holder[32];

    (void)state;
    assert_int_equal(lv_data_dir_open(&one, base, NULL), 0);
    assert_int_equal(lv_data_dir_open(&two, base, &diag), -LV_E_LOCKED);
    snprintf(holder, sizeof holder, "(process %ld)", (long)getpid());
    assert_non_null(strstr(diag.text, holder));
    assert_non_null(strstr(diag.text, base));
    lv_data_dir_close(&one);
}

static void systemds_directory_is_the_default(void **state)
{
    struct lv_data_dir dir;

    (void)state;
    setenv("STATE_DIRECTORY", base, 1);
    assert_int_equal(lv_data_dir_open(&dir, "", NULL), 0);
    assert_string_equal(dir.path, base);
    lv_data_dir_close(&dir);
    unsetenv("STATE_DIRECTORY");
}

/* As somebody who is not root: the state directory of XDG, else of the home. */
static int look_as_somebody(void)
{
    struct lv_data_dir dir;
    char wanted[128];

    if (geteuid() == 0 && (chown(base, 65534, 65534) < 0 || seteuid(65534) < 0))
        return 1;
    unsetenv("STATE_DIRECTORY");
    setenv("XDG_STATE_HOME", base, 1);
    snprintf(wanted, sizeof wanted, "%s/leveret", base);
    if (lv_data_dir_open(&dir, "", NULL) < 0 || strcmp(dir.path, wanted) != 0)
        return 2;
    lv_data_dir_close(&dir);
    rmdir(wanted);
    unsetenv("XDG_STATE_HOME");
    setenv("HOME", base, 1);
    snprintf(wanted, sizeof wanted, "%s/.local/state/leveret", base);
    if (lv_data_dir_open(&dir, "", NULL) < 0 || strcmp(dir.path, wanted) != 0)
        return 3;
    lv_data_dir_close(&dir);
    unsetenv("HOME");
    return lv_data_dir_open(&dir, "", NULL) == -LV_E_USAGE ? 0 : 4;
}

static void others_have_it_in_their_home(void **state)
{
    char path[128];
    int status;
    pid_t child = fork();

    (void)state;
    if (child == 0)
        _exit(look_as_somebody());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    snprintf(path, sizeof path, "%s/.local/state/leveret", base);
    rmdir(path);
    snprintf(path, sizeof path, "%s/.local/state", base);
    rmdir(path);
    snprintf(path, sizeof path, "%s/.local", base);
    rmdir(path);
}

static void a_file_in_the_way_is_named(void **state)
{
    struct lv_data_dir dir;
    struct lv_diag diag = {""};

    (void)state;
    assert_int_equal(lv_data_dir_open(&dir, "/dev/null/leveret", &diag), -LV_E_IO);
    assert_non_null(strstr(diag.text, "/dev/null/leveret"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_directory_is_made_locked_and_left_clean, make_base,
                                        remove_base),
        cmocka_unit_test_setup_teardown(a_directory_has_one_broker, make_base, remove_base),
        cmocka_unit_test_setup_teardown(systemds_directory_is_the_default, make_base, remove_base),
        cmocka_unit_test_setup_teardown(others_have_it_in_their_home, make_base, remove_base),
        cmocka_unit_test(a_file_in_the_way_is_named),
    };

    return cmocka_run_group_tests_name("data_dir", tests, NULL, NULL);
}
