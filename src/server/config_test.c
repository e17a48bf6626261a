#include "server/config.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct lv_config config;
static char directory[64];

/* Nothing of the environment that the tests run in may show. */
static int make_config(void **state)
{
    (void)state;
    for (const struct lv_config_variable *row = lv_config_variables; row->name != NULL; row++)
        unsetenv(row->name);
    unsetenv("RABBITMQ_CONFIG_FILE");
    unsetenv("RABBITMQ_CONFIG_FILES");
    snprintf(directory, sizeof directory, "/tmp/leveret-config-XXXXXX");
    if (mkdtemp(directory) == NULL)
        return -1;
    return lv_config_init(&config);
}

static int free_config(void **state)
{
    char command[128];

    (void)state;
    lv_config_fini(&config);
    snprintf(command, sizeof command, "rm -r '%s'", directory);
    return system(command); /* NOLINT: a name that mkdtemp made */
}

static const char *path_of(const char *name)
{
    static char path[160];

    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(path_of(name), "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void read_text(const char *text)
{
    write_file("test.conf", text);
    lv_config_read_file(&config, path_of("test.conf"));
}

static void assert_one(const struct lv_sentences *sentences, const char *hint)
{
    assert_int_equal(sentences->count, 1);
    if (strstr(sentences->items[0], hint) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", sentences->items[0], hint);
}

static void a_file_sets_what_it_says(void **state)
{
    (void)state;
    read_text("heartbeat = 30\ndefault_user = app\n");
    assert_int_equal(lv_config_apply(&config), 0);
    assert_int_equal(config.settings.heartbeat, 30);
    assert_string_equal(config.settings.default_user, "app");
    assert_one(&config.files, "test.conf");
}

static void the_command_line_goes_over_the_environment_and_that_over_files(void **state)
{
    (void)state;
    lv_config_set(&config, "heartbeat", "3", "--set");
    setenv("RABBITMQ_DEFAULT_USER", "of-environment", 1);
    setenv("RABBITMQ_DEFAULT_PASS", "of-environment", 1);
    lv_config_set(&config, "default_pass", "of-options", "--set");
    lv_config_read_environment(&config);
    read_text("heartbeat = 1\ndefault_user = of-file\ndefault_pass = of-file\nchannel_max = 7\n");
    assert_int_equal(lv_config_apply(&config), 0);
    assert_int_equal(config.settings.heartbeat, 3);
    assert_string_equal(config.settings.default_user, "of-environment");
    assert_string_equal(config.settings.default_pass, "of-options");
    assert_int_equal(config.settings.channel_max, 7);
    assert_int_equal(config.notes.count, 0);
}

static void everything_that_is_wrong_is_said(void **state)
{
    (void)state;
    read_text("hartbeat = 1\nheartbeat\nframe_max = 5\n");
    lv_config_set(&config, "shards", "many", "--shards");
    assert_int_equal(lv_config_apply(&config), -LV_E_USAGE);
    assert_int_equal(config.errors.count, 4);
    assert_non_null(strstr(config.errors.items[0], "test.conf:2: a line is"));
    assert_non_null(strstr(config.errors.items[1], "test.conf:1: there is no setting"));
    assert_non_null(strstr(config.errors.items[1], "did you mean \"heartbeat\"?"));
    assert_non_null(strstr(config.errors.items[2], "test.conf:3: frame_max is a whole number"));
    assert_non_null(strstr(config.errors.items[3], "--shards: shards is a whole number"));
}

static void what_is_said_has_an_end(void **state)
{
    char text[2 * (LV_CONFIG_SENTENCES_MAX + 5) + 1] = "";

    (void)state;
    for (size_t i = 0; i < LV_CONFIG_SENTENCES_MAX + 5; i++)
        memcpy(text + 2 * i, "x\n", 2);
    read_text(text);
    assert_int_equal(lv_config_apply(&config), -LV_E_USAGE);
    assert_int_equal(config.errors.count, LV_CONFIG_SENTENCES_MAX);
    assert_int_equal(config.errors.more, 5);
}

static void a_name_that_comes_twice_counts_where_it_is_last(void **state)
{
    (void)state;
    read_text("heartbeat = 1\nchannel_max = 5\nheartbeat = 2\n");
    assert_int_equal(lv_config_apply(&config), 0);
    assert_int_equal(config.settings.heartbeat, 2);
    assert_one(&config.notes, "test.conf:3: heartbeat counts from here; it stands in line 1, too");
}

static void a_later_file_goes_over_an_earlier_one_without_a_word(void **state)
{
    (void)state;
    read_text("heartbeat = 1\nlisteners.tcp.default = 127.0.0.1:1\n");
    write_file("more.conf", "heartbeat = 2\nlisteners.tcp.default = 127.0.0.1:2\n");
    lv_config_read_file(&config, path_of("more.conf"));
    assert_int_equal(lv_config_apply(&config), 0);
    assert_int_equal(config.settings.heartbeat, 2);
    assert_int_equal(config.settings.listeners.count, 1);
    assert_string_equal(config.settings.listeners.items[0], "127.0.0.1:2");
    assert_int_equal(config.notes.count, 0);
}

static void a_list_as_a_whole_goes_over_its_items(void **state)
{
    (void)state;
    read_text("listeners.tcp = none\nlisteners.tcp.default = 127.0.0.1:1\n");
    assert_int_equal(lv_config_apply(&config), 0);
    assert_int_equal(config.settings.listeners.count, 0);
}

static void options_replace_the_list_of_a_file(void **state)
{
    (void)state;
    read_text("listeners.tcp.a = 127.0.0.1:1\nlisteners.tcp.b = 127.0.0.1:2\n");
    lv_config_set(&config, "listeners.tcp", "127.0.0.1:3, 127.0.0.1:4", "--listen");
    lv_config_set(&config, "listeners.tcp.c", "127.0.0.1:5", "--set");
    assert_int_equal(lv_config_apply(&config), 0);
    assert_int_equal(config.settings.listeners.count, 2);
    assert_string_equal(config.settings.listeners.items[0], "127.0.0.1:3");
}

static void keys_of_rabbitmq_are_ignored_or_refused(void **state)
{
    (void)state;
    read_text("collect_statistics_interval = 5000\nmqtt.listeners.tcp.default = 1883\n"
              "auth_backends.1 = internal\nproxy_protocol = false\n");
    assert_int_equal(lv_config_apply(&config), -LV_E_USAGE);
    assert_one(&config.notes, "test.conf:1: collect_statistics_interval is ignored: ");
    assert_one(&config.errors, "test.conf:2: mqtt.listeners.tcp.default is not supported: ");
}

static void what_is_ignored_keeps_nobody_from_starting(void **state)
{
    (void)state;
    read_text("collect_statistics_interval = 5000\n");
    assert_int_equal(lv_config_apply(&config), 0);
    assert_int_equal(config.notes.count, 1);
}

static void a_port_in_the_environment_is_one_on_all_addresses(void **state)
{
    (void)state;
    setenv("RABBITMQ_NODE_PORT", "5673", 1);
    lv_config_read_environment(&config);
    read_text("listeners.tcp.default = 5672\n");
    assert_int_equal(lv_config_apply(&config), 0);
    assert_int_equal(config.settings.listeners.count, 1);
    assert_string_equal(config.settings.listeners.items[0], "5673");
}

static void an_address_in_the_environment_has_the_usual_port_or_the_given_one(void **state)
{
    (void)state;
    setenv("RABBITMQ_NODE_IP_ADDRESS", "::1", 1);
    lv_config_read_environment(&config);
    setenv("RABBITMQ_NODE_PORT", "5673", 1);
    assert_int_equal(lv_config_apply(&config), 0);
    assert_string_equal(config.settings.listeners.items[0], "[::1]:5672");
    lv_config_read_environment(&config);
    assert_int_equal(lv_config_apply(&config), 0);
    assert_string_equal(config.settings.listeners.items[0], "[::1]:5673");
}

/* Kubernetes puts such a value there for a service that is called rabbitmq-node. */
static void a_port_that_is_none_names_its_variable(void **state)
{
    (void)state;
    setenv("RABBITMQ_NODE_PORT", "tcp://10.0.0.1:5672", 1);
    lv_config_read_environment(&config);
    assert_int_equal(lv_config_apply(&config), -LV_E_USAGE);
    assert_one(&config.errors, "RABBITMQ_NODE_PORT: ");
}

static void an_empty_variable_is_none(void **state)
{
    (void)state;
    setenv("RABBITMQ_DEFAULT_USER", "", 1);
    setenv("RABBITMQ_DEFAULT_PASS_FILE", "", 1);
    lv_config_read_environment(&config);
    assert_int_equal(lv_config_apply(&config), 0);
    assert_string_equal(config.settings.default_user, "guest");
}

static void a_variable_that_rabbitmqs_image_refuses_is_refused(void **state)
{
    (void)state;
    setenv("RABBITMQ_DEFAULT_PASS_FILE", "/run/secrets/password", 1);
    lv_config_read_environment(&config);
    assert_int_equal(lv_config_apply(&config), -LV_E_USAGE);
    assert_one(&config.errors, "RABBITMQ_DEFAULT_PASS_FILE is not read");
}

static void files_of_the_environment_are_read_in_order(void **state)
{
    (void)state;
    write_file("main.conf", "heartbeat = 1\nchannel_max = 1\n");
    assert_int_equal(mkdir(path_of("more"), 0700), 0);
    write_file("more/20-b.conf", "heartbeat = 3\n");
    write_file("more/10-a.conf", "heartbeat = 2\nchannel_max = 2\n");
    assert_int_equal(mkdir(path_of("more/30-directory"), 0700), 0);
    setenv("RABBITMQ_CONFIG_FILES", path_of("more"), 1);
    setenv("RABBITMQ_CONFIG_FILE", path_of("main"), 1); /* as RabbitMQ: .conf may be left out */
    lv_config_read_default_files(&config);
    assert_int_equal(lv_config_apply(&config), 0);
    assert_int_equal(config.settings.heartbeat, 3);
    assert_int_equal(config.settings.channel_max, 2);
    assert_int_equal(config.files.count, 3);
}

static void files_may_be_a_pattern_that_matches_none(void **state)
{
    (void)state;
    setenv("RABBITMQ_CONFIG_FILES", path_of("*.conf"), 1);
    lv_config_read_default_files(&config);
    assert_int_equal(lv_config_apply(&config), 0);
    assert_int_equal(config.files.count, 0);
}

static void a_file_that_was_named_has_to_be_there(void **state)
{
    (void)state;
    setenv("RABBITMQ_CONFIG_FILE", path_of("none.conf"), 1);
    lv_config_read_default_files(&config);
    assert_int_equal(lv_config_apply(&config), -LV_E_USAGE);
    assert_one(&config.errors, "No such file or directory");
}

static void what_is_no_file_is_refused(void **state)
{
    static char text[LV_CONFIG_FILE_SIZE_MAX + 2];

    (void)state;
    lv_config_read_file(&config, directory);
    assert_one(&config.errors, "Is a directory");
    memset(text, '#', sizeof text - 1);
    read_text(text);
    assert_int_equal(config.errors.count, 2);
    assert_non_null(strstr(config.errors.items[1], "is longer than 1048576 bytes"));
    assert_int_equal(lv_config_apply(&config), -LV_E_USAGE);
}

static void there_is_an_end_to_settings_and_files(void **state)
{
    static char text[LV_CONFIG_VALUES_MAX * 24];
    size_t used = 0;

    (void)state;
    for (unsigned i = 0; i <= LV_CONFIG_VALUES_MAX; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "mnesia_%u = 1\n", i);
    read_text(text);
    assert_one(&config.errors, "more than 2000 settings");
    for (unsigned i = 0; i <= LV_CONFIG_FILES_MAX; i++) {
        snprintf(text, sizeof text, "file-%u", i);
        write_file(text, "");
    }
    setenv("RABBITMQ_CONFIG_FILES", path_of("file-*"), 1);
    lv_config_read_default_files(&config);
    assert_int_equal(config.errors.count, 2);
    assert_non_null(strstr(config.errors.items[1], "are more than 64 files"));
}

static void out_of_memory_is_no_wrong_setting(void **state)
{
    int rc = -LV_E_NOMEM;

    (void)state;
    for (unsigned n = 1; rc == -LV_E_NOMEM; n++) {
        assert_true(n < 100);
        lv_alloc_fail_after(n, 0);
        lv_config_set(&config, "default_user", "app", "--set");
        lv_config_set(&config, "hartbeat", "1", "--set");
        rc = lv_config_apply(&config);
        lv_alloc_fail_after(0, 0);
        if (rc == -LV_E_NOMEM) {
            lv_config_fini(&config);
            assert_int_equal(lv_config_init(&config), 0);
        }
    }
    assert_int_equal(rc, -LV_E_USAGE);
    assert_string_equal(config.settings.default_user, "app");
}

#define CONFIG_TEST(name) cmocka_unit_test_setup_teardown(name, make_config, free_config)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CONFIG_TEST(a_file_sets_what_it_says),
        CONFIG_TEST(the_command_line_goes_over_the_environment_and_that_over_files),
        CONFIG_TEST(everything_that_is_wrong_is_said),
        CONFIG_TEST(what_is_said_has_an_end),
        CONFIG_TEST(a_name_that_comes_twice_counts_where_it_is_last),
        CONFIG_TEST(a_later_file_goes_over_an_earlier_one_without_a_word),
        CONFIG_TEST(a_list_as_a_whole_goes_over_its_items),
        CONFIG_TEST(options_replace_the_list_of_a_file),
        CONFIG_TEST(keys_of_rabbitmq_are_ignored_or_refused),
        CONFIG_TEST(what_is_ignored_keeps_nobody_from_starting),
        CONFIG_TEST(a_port_in_the_environment_is_one_on_all_addresses),
        CONFIG_TEST(an_address_in_the_environment_has_the_usual_port_or_the_given_one),
        CONFIG_TEST(a_port_that_is_none_names_its_variable),
        CONFIG_TEST(an_empty_variable_is_none),
        CONFIG_TEST(a_variable_that_rabbitmqs_image_refuses_is_refused),
        CONFIG_TEST(files_of_the_environment_are_read_in_order),
        CONFIG_TEST(files_may_be_a_pattern_that_matches_none),
        CONFIG_TEST(a_file_that_was_named_has_to_be_there),
        CONFIG_TEST(what_is_no_file_is_refused),
        CONFIG_TEST(there_is_an_end_to_settings_and_files),
        CONFIG_TEST(out_of_memory_is_no_wrong_setting),
    };

    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
