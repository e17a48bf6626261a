#include "server/eventlog.h"

#include "base/event.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct lv_settings settings;
static struct lv_diag diag;
static char directory[64];

static void set(const char *name, const char *value)
{
    assert_int_equal(lv_settings_set(&settings, name, value, &diag), 0);
}

static int begin(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/leveret-log-XXXXXX");
    if (mkdtemp(directory) == NULL || lv_settings_init(&settings) < 0)
        return -1;
    set("log.console", "false");
    set("log.dir", directory);
    return 0;
}

static int end(void **state)
{
    char command[128];

    (void)state;
    lv_settings_fini(&settings);
    snprintf(command, sizeof command, "rm -r '%s'", directory);
    return system(command); /* NOLINT: a name that mkdtemp made */
}

static void open_log(void)
{
    if (lv_eventlog_open(&settings, &diag) < 0)
        fail_msg("%s", diag.text);
}

static const char *path_of(const char *name)
{
    static char path[128];

    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

/* All of a file; each call overwrites the last one's. */
static const char *text_of(const char *name)
{
    static char text[1u << 20];
    FILE *file = fopen(path_of(name), "r");
    size_t size;

    assert_non_null(file);
    size = fread(text, 1, sizeof text - 1, file);
    text[size] = '\0';
    fclose(file);
    return text;
}

/* The text is made of such lines: a time and what is behind it. */
static void assert_lines(const char *text, const char *wanted)
{
    for (const char *line = wanted; *line != '\0'; line += strcspn(line, "\n") + 1) {
        size_t size = strcspn(line, "\n") + 1;

        assert_true(strlen(text) > 25 + size - 1);
        assert_memory_equal(text + 10, "T", 1);
        assert_memory_equal(text + 23, "Z ", 2);
        assert_memory_equal(text + 25, line, size);
        text += 25 + size;
    }
    assert_string_equal(text, "");
}

static void a_file_gets_a_line_for_each_event(void **state)
{
    (void)state;
    open_log();
    lv_event(LV_INFO, "one", LV_U("n", 1));
    lv_event(LV_DEBUG, "not.this");
    lv_event(LV_ERROR, "two");
    lv_eventlog_close(NULL);
    assert_lines(text_of(LV_EVENTLOG_FILE), "level=info event=one n=1\nlevel=error event=two\n");
}

static void a_log_that_is_opened_again_is_written_on(void **state)
{
    (void)state;
    set("log.file", "my.log");
    for (unsigned i = 0; i < 2; i++) {
        open_log();
        lv_event(LV_INFO, "again");
        lv_eventlog_close(NULL);
    }
    assert_lines(text_of("my.log"), "level=info event=again\nlevel=info event=again\n");
}

static void in_json_each_line_is_an_object(void **state)
{
    const char *text;

    (void)state;
    set("log.file.formatter", "json");
    open_log();
    lv_event(LV_WARN, "one", LV_S("why", "\"x\""));
    lv_eventlog_close(NULL);
    text = text_of(LV_EVENTLOG_FILE);
    assert_memory_equal(text, "{\"time\":\"20", 11);
    assert_string_equal(text + 33,
                        "\",\"level\":\"warning\",\"event\":\"one\",\"why\":\"\\\"x\\\"\"}\n");
}

static void levels_are_by_target_or_common(void **state)
{
    (void)state;
    set("log.level", "error");
    open_log();
    assert_false(lv_event_is_heard(LV_WARN));
    assert_true(lv_event_is_heard(LV_ERROR));
    lv_eventlog_close(NULL);
    set("log.file.level", "debug");
    open_log();
    assert_true(lv_event_is_heard(LV_DEBUG));
    lv_eventlog_close(NULL);
    set("log.file.level", "notice");
    open_log();
    assert_false(lv_event_is_heard(LV_INFO));
    assert_true(lv_event_is_heard(LV_WARN));
    lv_eventlog_close(NULL);
    set("log.file.level", "none");
    open_log();
    assert_false(lv_event_is_heard(LV_ERROR));
    lv_eventlog_close(NULL);
}

static void what_the_end_is_for_is_in_the_file(void **state)
{
    (void)state;
    open_log();
    lv_eventlog_close("no port");
    assert_lines(text_of(LV_EVENTLOG_FILE), "level=error event=server.failed why=\"no port\"\n");
}

static void a_name_alone_wants_a_directory(void **state)
{
    char path[LV_EVENTLOG_PATH_SIZE];

    (void)state;
    set("log.file", "my.log");
    assert_int_equal(lv_eventlog_path(&settings, path, &diag), 0);
    assert_string_equal(path, path_of("my.log"));
    set("log.dir", "");
    assert_int_equal(lv_eventlog_path(&settings, path, &diag), -LV_E_USAGE);
    assert_non_null(strstr(diag.text, "set log.dir"));
    set("log.file", "/var/log/x");
    assert_int_equal(lv_eventlog_path(&settings, path, &diag), 0);
    assert_string_equal(path, "/var/log/x");
    set("log.file", "");
    assert_int_equal(lv_eventlog_path(&settings, path, &diag), 0);
    assert_string_equal(path, "");
    set("log.dir", "/var/log");
    set("log.file", "false");
    assert_int_equal(lv_eventlog_path(&settings, path, &diag), 0);
    assert_string_equal(path, "");
}

static void a_file_that_can_not_be_made_is_refused(void **state)
{
    (void)state;
    set("log.file", "/dev/null/x");
    assert_int_equal(lv_eventlog_open(&settings, &diag), -LV_E_IO);
    assert_non_null(strstr(diag.text, "can't write the log /dev/null/x: Not a directory"));
    set("log.file", directory);
    assert_int_equal(lv_eventlog_open(&settings, &diag), -LV_E_IO);
    assert_non_null(strstr(diag.text, "Is a directory"));
    assert_int_equal(mkfifo(path_of("pipe"), 0600), 0);
    set("log.file", "pipe");
    assert_int_equal(lv_eventlog_open(&settings, &diag), -LV_E_IO); /* and does not hang */
    assert_false(lv_event_is_heard(LV_ERROR));
}

static void after_a_rename_a_new_file_is_begun(void **state)
{
    char old[128];

    (void)state;
    open_log();
    lv_event(LV_INFO, "before");
    snprintf(old, sizeof old, "%s", path_of("old.log"));
    assert_int_equal(rename(path_of(LV_EVENTLOG_FILE), old), 0);
    while (strlen(text_of("old.log")) == 0) /* what was said before may go to either */
        poll(NULL, 0, 1);
    lv_eventlog_reopen();
    lv_event(LV_INFO, "after");
    lv_eventlog_close(NULL);
    assert_lines(text_of("old.log"), "level=info event=before\n");
    assert_lines(text_of(LV_EVENTLOG_FILE), "level=info event=after\n");
}

static void a_file_that_can_not_be_opened_again_is_written_on(void **state)
{
    char old[128];

    (void)state;
    open_log();
    snprintf(old, sizeof old, "%s", path_of("old.log"));
    assert_int_equal(rename(path_of(LV_EVENTLOG_FILE), old), 0);
    assert_int_equal(mkdir(path_of(LV_EVENTLOG_FILE), 0700), 0);
    lv_eventlog_reopen();
    lv_event(LV_INFO, "after");
    lv_eventlog_close(NULL);
    assert_non_null(strstr(text_of("old.log"), "level=error event=log.not_reopened file="));
    assert_non_null(strstr(text_of("old.log"), "level=info event=after\n"));
}

static void *speak(void *ctx)
{
    (void)ctx;
    for (unsigned i = 0; i < 1000; i++)
        lv_event(LV_INFO, "spoken", LV_U("n", i));
    return NULL;
}

/* Each either is there, whole, or counted. */
static void lines_of_several_threads_do_not_mix(void **state)
{
    pthread_t threads[4];
    unsigned whole = 0, lost = 0;
    char *line, *rest;

    (void)state;
    open_log();
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, speak, NULL), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    lv_event(LV_INFO, "last");
    lv_eventlog_close(NULL);
    rest = strdup(text_of(LV_EVENTLOG_FILE));
    for (char *at = rest; (line = strsep(&at, "\n")) != NULL;) {
        const char *lines = strstr(line, "event=log.lost target=\"file\" lines=");

        whole += strstr(line, "Z level=info event=spoken n=") == line + 23;
        lost += lines == NULL ? 0 : (unsigned)strtoul(strrchr(lines, '=') + 1, NULL, 10);
    }
    free(rest);
    assert_int_equal(whole + lost, 4000);
}

/* A limit on the file's size stands for a full disk: the write fails in part, and later goes on. */
static void what_a_full_disk_swallows_is_counted(void **state)
{
    struct rlimit before, small;
    unsigned count = 0;
    char *text;

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 100;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    open_log();
    for (unsigned i = 0; i < 10; i++)
        lv_event(LV_INFO, "spoken", LV_U("n", i));
    do { /* until it has been tried */
        lv_event(LV_INFO, "spoken", LV_U("n", 10));
        count++;
        poll(NULL, 0, 1);
    } while (strlen(text_of(LV_EVENTLOG_FILE)) < 100);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    do {
        lv_event(LV_INFO, "there.is.room");
        poll(NULL, 0, 1);
    } while (strstr(text_of(LV_EVENTLOG_FILE), "event=log.lost") == NULL);
    lv_eventlog_close(NULL);
    text = strstr(text_of(LV_EVENTLOG_FILE), "event=log.lost target=\"file\" lines=");
    assert_non_null(text);
    assert_true(strtoul(strstr(text, "lines=") + 6, NULL, 10) > 0);
    text = strstr(text_of(LV_EVENTLOG_FILE), "\n20"); /* the torn line was ended */
    assert_non_null(text);
    assert_true(count > 0);
}

/* ---- the console ---- */

/* Standard error is a pipe of one page that nobody reads. */
static int block_console(void)
{
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    assert_true(fcntl(ends[0], F_SETPIPE_SZ, 4096) > 0);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    close(ends[1]);
    set("log.console", "true");
    return ends[0];
}

/* What the thread, which goes on then, has left goes nowhere. */
static void free_console(int reader)
{
    char text[4096];
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

    assert_int_equal(dup2(nowhere, STDERR_FILENO), STDERR_FILENO);
    close(nowhere);
    while (read(reader, text, sizeof text) > 0)
        continue;
    close(reader);
}

static void a_console_that_nobody_reads_stops_nothing(void **state)
{
    unsigned count = 0;
    int reader;

    (void)state;
    reader = block_console();
    open_log();
    for (unsigned i = 0; i < 20000; i++) /* far more than pipe and memory take */
        lv_event(LV_INFO, "flood", LV_U("n", i));
    lv_eventlog_close(NULL); /* comes back, too */
    free_console(reader);
    for (const char *at = text_of(LV_EVENTLOG_FILE); (at = strchr(at, '\n')) != NULL; at++)
        count++;
    assert_true(count > 100);
}

#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOG_TEST(a_file_gets_a_line_for_each_event),
        LOG_TEST(a_log_that_is_opened_again_is_written_on),
        LOG_TEST(in_json_each_line_is_an_object),
        LOG_TEST(levels_are_by_target_or_common),
        LOG_TEST(what_the_end_is_for_is_in_the_file),
        LOG_TEST(a_name_alone_wants_a_directory),
        LOG_TEST(a_file_that_can_not_be_made_is_refused),
        LOG_TEST(after_a_rename_a_new_file_is_begun),
        LOG_TEST(a_file_that_can_not_be_opened_again_is_written_on),
        LOG_TEST(lines_of_several_threads_do_not_mix),
        LOG_TEST(what_a_full_disk_swallows_is_counted),
        LOG_TEST(a_console_that_nobody_reads_stops_nothing), /* keeps the console: the last */
    };

    return cmocka_run_group_tests_name("eventlog", tests, NULL, NULL);
}
