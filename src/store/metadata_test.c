#include "store/metadata.h"

#include "base/alloc.h"
#include "base/defs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[100];
static char path[150];
static struct lv_metadata *metadata;
static struct lv_diag diag;

static void open_it(void)
{
    diag.text[0] = '\0';
    if (lv_metadata_open(directory, &metadata, &diag) < 0)
        fail_msg("%s", diag.text);
}

static void close_it(void)
{
    lv_metadata_close(metadata);
    metadata = NULL;
}

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(directory, sizeof directory, "%s/metadata-test-XXXXXX",
                   getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(directory));
    (void)snprintf(path, sizeof path, "%s/metadata.sqlite", directory);
    open_it();
    return 0;
}

static int tear_down(void **state)
{
    DIR *files = opendir(directory);
    struct dirent *entry;
    char name[400];

    (void)state;
    lv_alloc_fail_after(0, 0);
    close_it();
    assert_non_null(files);
    while ((entry = readdir(files)) != NULL) {
        (void)snprintf(name, sizeof name, "%s/%s", directory, entry->d_name);
        if (entry->d_name[0] != '.')
            (void)unlink(name);
    }
    (void)closedir(files);
    return rmdir(directory);
}

/* ---- rows in few words ---- */

static struct lv_row exchange(const char *name)
{
    return (struct lv_row){.kind = LV_ROW_EXCHANGE,
                           .vhost = lv_text("/"),
                           .name = lv_text(name),
                           .other = lv_text("topic")};
}

static struct lv_row queue(const char *name, uint64_t id)
{
    return (struct lv_row){
        .kind = LV_ROW_QUEUE, .vhost = lv_text("/"), .name = lv_text(name), .queue_id = id};
}

static struct lv_row binding(const char *source, const char *key, const char *target)
{
    return (struct lv_row){.kind = LV_ROW_BINDING,
                           .vhost = lv_text("/"),
                           .name = lv_text(target),
                           .other = lv_text(source),
                           .key = lv_text(key)};
}

static struct lv_row link_of(const char *source, const char *key, const char *target)
{
    struct lv_row row = binding(source, key, target);

    row.to_exchange = true;
    return row;
}

/* With one argument; valid until the next call with this slot. */
static struct lv_row with(struct lv_row row, struct lv_value value)
{
    static struct {
        uint32_t count;
        struct lv_field field;
    } tables[4];
    static unsigned next;
    unsigned slot = next++ % LV_COUNT(tables);

    tables[slot].count = 1;
    tables[slot].field = (struct lv_field){lv_text("n"), value};
    row.arguments = (const struct lv_table *)(const void *)&tables[slot];
    return row;
}

static struct lv_value number(enum lv_type type, int64_t integer)
{
    return (struct lv_value){.type = type, .integer = integer};
}

static void begin(void)
{
    assert_int_equal(lv_metadata_begin(metadata, &diag), 0);
}

static void commit(uint64_t lsn)
{
    assert_int_equal(lv_metadata_commit(metadata, lsn, &diag), 0);
}

static void add(struct lv_row row)
{
    if (lv_metadata_add(metadata, &row, &diag) < 0)
        fail_msg("%s", diag.text);
}

static void delete_row(struct lv_row row)
{
    if (lv_metadata_delete(metadata, &row, &diag) < 0)
        fail_msg("%s", diag.text);
}

/* ---- what is in it, as text: a line for each row ---- */

static struct {
    char text[60000];
    size_t size;
    unsigned rows;
} seen;

static void say(const char *format, ...) LV_PRINTF(1, 2);
static void say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    seen.size +=
        (size_t)vsnprintf(seen.text + seen.size, sizeof seen.text - seen.size, format, args);
    va_end(args);
    assert_true(seen.size < sizeof seen.text);
}

static int see(void *ctx, const struct lv_row *row)
{
    char value[100];

    assert_ptr_equal(ctx, &seen);
    assert_true(lv_bytes_equal(row->vhost, lv_text("/")));
    if (seen.rows++ > 0)
        say("\n");
    if (row->kind == LV_ROW_EXCHANGE)
        say("x %.*s %.*s%s%s", LV_FMT(row->name), LV_FMT(row->other),
            row->auto_delete ? " auto-delete" : "", row->internal ? " internal" : "");
    else if (row->kind == LV_ROW_QUEUE)
        say("q %.*s %llu@%u%s", LV_FMT(row->name), (unsigned long long)row->queue_id, row->home,
            row->auto_delete ? " auto-delete" : "");
    else
        say("%.*s -%.*s-> %.*s%s", LV_FMT(row->other), LV_FMT(row->key), LV_FMT(row->name),
            row->to_exchange ? " exchange" : "");
    if (row->arguments != NULL)
        say(" %.*s=%s:%s", LV_FMT(row->arguments->fields[0].name),
            lv_type_name(row->arguments->fields[0].value.type),
            lv_value_print(&row->arguments->fields[0].value, value, sizeof value));
    return 0;
}

static const char *rows_of(struct lv_metadata *from)
{
    memset(&seen, 0, sizeof seen);
    if (lv_metadata_load(from, see, &seen, &diag) < 0)
        fail_msg("%s", diag.text);
    return seen.text;
}

static const char *rows(void)
{
    return rows_of(metadata);
}

/* For a connection of somebody else. */
static void execute(const char *sql)
{
    sqlite3 *db = NULL;
    char *error = NULL;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK)
        fail_msg("%s: %s", sql, error);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* The first value of the first row. */
static const char *ask(const char *sql)
{
    static char answer[500];
    sqlite3_stmt *statement = NULL;
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    (void)snprintf(answer, sizeof answer, "%s", (const char *)sqlite3_column_text(statement, 0));
    (void)sqlite3_finalize(statement);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return answer;
}

/* ---- tests ---- */

static void a_new_file_is_empty_and_its_owners_alone(void **state)
{
    struct stat status;
    uint64_t lsn = 7;

    (void)state;
    assert_string_equal(rows(), "");
    assert_int_equal(lv_metadata_lsn(metadata, &lsn, &diag), 0);
    assert_int_equal(lsn, 0);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    begin();
    commit(1);
}

static void the_write_ahead_log_is_the_owners_alone_too(void **state)
{
    struct stat status;
    char name[160];

    (void)state;
    begin();
    commit(1);
    (void)snprintf(name, sizeof name, "%s-wal", path);
    assert_int_equal(stat(name, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

static void rows_are_there_after_opening_again(void **state)
{
    struct lv_row odd = exchange("events");
    struct lv_row auto_queue = queue("auto", UINT64_MAX);

    (void)state;
    odd.internal = odd.auto_delete = true;
    auto_queue.auto_delete = true;
    auto_queue.home = 63;
    begin();
    add(binding("events", "a.#", "jobs"));
    add(with(queue("jobs", 65), number(LV_TYPE_U16, 10)));
    add(auto_queue);
    add(odd);
    add(link_of("events", "", "events"));
    add(with(exchange("other"),
             (struct lv_value){.type = LV_TYPE_STRING, .bytes = lv_text("alternate")}));
    commit(4096);
    for (int i = 0; i < 2; i++) {
        uint64_t lsn;

        assert_string_equal(rows(), "x events topic auto-delete internal\n"
                                    "x other topic n=longstr:alternate\n"
                                    "q auto 18446744073709551615@63 auto-delete\n"
                                    "q jobs 65@0 n=unsignedshort:10\n"
                                    "events -a.#-> jobs\n"
                                    "events --> events exchange");
        assert_int_equal(lv_metadata_lsn(metadata, &lsn, &diag), 0);
        assert_int_equal(lsn, 4096);
        close_it();
        open_it();
    }
}

static void what_is_there_stays_as_it_is(void **state)
{
    (void)state;
    begin();
    add(with(queue("q", 65), number(LV_TYPE_I32, 1)));
    add(with(queue("q", 129), number(LV_TYPE_I64, 1)));
    add(exchange("x"));
    add(exchange("x"));
    add(binding("x", "k", "q"));
    add(binding("x", "k", "q"));
    commit(1);
    assert_string_equal(rows(), "x x topic\nq q 65@0 n=signedint:1\nx -k-> q");
}

static void bindings_differ_in_everything_but_order_and_widths(void **state)
{
    (void)state;
    begin();
    add(binding("x", "k", "q"));
    add(binding("y", "k", "q"));
    add(binding("x", "l", "q"));
    add(binding("x", "k", "r"));
    add(link_of("x", "k", "q"));
    add(with(binding("x", "k", "q"), number(LV_TYPE_I32, 1)));
    add(with(binding("x", "k", "q"), number(LV_TYPE_I64, 1)));
    add(with(binding("x", "k", "q"), number(LV_TYPE_I32, 2)));
    commit(1);
    (void)rows();
    assert_int_equal(seen.rows, 7);
    begin();
    delete_row(with(binding("x", "k", "q"), number(LV_TYPE_U8, 1)));
    delete_row(binding("x", "k", "q"));
    delete_row(binding("y", "l", "q")); /* never was there */
    commit(2);
    assert_string_equal(rows(), "x -k-> q n=signedint:2\nx -l-> q\nx -k-> r\n"
                                "x -k-> q exchange\ny -k-> q");
}

static void a_queue_takes_its_bindings_along(void **state)
{
    (void)state;
    begin();
    add(queue("q", 65));
    add(queue("r", 129));
    add(exchange("q")); /* a namesake that is something else */
    add(exchange("x"));
    add(binding("x", "1", "q"));
    add(binding("x", "2", "q"));
    add(binding("x", "3", "r"));
    add(link_of("x", "4", "q"));
    add(binding("q", "5", "r"));
    commit(1);
    begin();
    delete_row(queue("q", 0));
    commit(2);
    assert_string_equal(rows(), "x q topic\nx x topic\nq r 129@0\n"
                                "q -5-> r\nx -3-> r\nx -4-> q exchange");
}

static void an_exchange_takes_the_bindings_of_both_ends_along(void **state)
{
    (void)state;
    begin();
    add(exchange("x"));
    add(exchange("y"));
    add(queue("x", 65));
    add(binding("x", "1", "x"));
    add(link_of("x", "2", "y"));
    add(link_of("y", "3", "x"));
    add(link_of("x", "4", "x"));
    add(binding("y", "5", "x"));
    commit(1);
    begin();
    delete_row(exchange("x"));
    commit(2);
    assert_string_equal(rows(), "x y topic\nq x 65@0\ny -5-> x");
}

static void a_queue_with_another_id_stays(void **state)
{
    (void)state;
    begin();
    add(queue("q", 65));
    add(binding("amq.topic", "k", "q"));
    commit(1);
    begin();
    delete_row(queue("q", 129));
    delete_row(queue("p", 65));
    commit(2);
    assert_string_equal(rows(), "q q 65@0\namq.topic -k-> q");
    begin();
    delete_row(queue("q", 65));
    commit(3);
    assert_string_equal(rows(), "");
}

/* SQLite's plan for a statement. */
static const char *plan_of(const char *sql)
{
    static char plan[500];
    sqlite3_stmt *statement = NULL;
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    (void)snprintf(plan, sizeof plan, "%s", (const char *)sqlite3_column_text(statement, 3));
    (void)sqlite3_finalize(statement);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return plan;
}

static void deleting_never_walks_what_stays(void **state)
{
    (void)state;
    assert_string_equal(plan_of("EXPLAIN QUERY PLAN DELETE FROM bindings WHERE vhost = 'v' AND "
                                "to_exchange = 0 AND destination = 'd'"),
                        "SEARCH bindings USING COVERING INDEX bindings_by_destination "
                        "(vhost=? AND to_exchange=? AND destination=?)");
    assert_string_equal(plan_of("EXPLAIN QUERY PLAN DELETE FROM bindings WHERE vhost = 'v' AND "
                                "source = 's'"),
                        "SEARCH bindings USING PRIMARY KEY (vhost=? AND source=?)");
}

static void a_transaction_is_done_whole_or_not_at_all(void **state)
{
    uint64_t lsn, value;

    (void)state;
    begin();
    add(queue("kept", 65));
    assert_int_equal(lv_metadata_set(metadata, "shards", 3, &diag), 0);
    commit(100);
    begin();
    add(queue("lost", 129));
    delete_row(queue("kept", 0));
    assert_int_equal(lv_metadata_set(metadata, "shards", 4, &diag), 0);
    lv_metadata_rollback(metadata);
    assert_string_equal(rows(), "q kept 65@0");
    assert_int_equal(lv_metadata_lsn(metadata, &lsn, &diag), 0);
    assert_int_equal(lsn, 100);
    assert_int_equal(lv_metadata_get(metadata, "shards", &value, &diag), 0);
    assert_int_equal(value, 3);
    begin();
    add(queue("later", 193));
    close_it(); /* as a crash does */
    open_it();
    assert_string_equal(rows(), "q kept 65@0");
}

static void settings_are_numbers_by_name(void **state)
{
    uint64_t value = 7;

    (void)state;
    assert_int_equal(lv_metadata_get(metadata, "never set", &value, &diag), 0);
    assert_int_equal(value, 0);
    assert_int_equal(lv_metadata_set(metadata, "large", UINT64_MAX, &diag), 0);
    assert_int_equal(lv_metadata_set(metadata, "changed", 1, &diag), 0);
    assert_int_equal(lv_metadata_set(metadata, "changed", 2, &diag), 0);
    close_it();
    open_it();
    assert_int_equal(lv_metadata_get(metadata, "large", &value, &diag), 0);
    assert_true(value == UINT64_MAX);
    assert_int_equal(lv_metadata_get(metadata, "changed", &value, &diag), 0);
    assert_int_equal(value, 2);
}

/* Names are strangers' bytes: what is no text is kept as a blob and told from text. */
static void names_of_any_bytes_come_back(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
    } names[] = {{"", 0},     {"\0", 1}, {"a\0b", 3},     {"a", 1},
                 {"\xff", 1}, {"'", 1},  {"\xc3\xa9", 2}, {"\xf0\x9f\x90\x87", 4},
                 {"A", 1},    {"a\0", 2}};
    char longest[255];

    (void)state;
    memset(longest, 'n', sizeof longest);
    begin();
    for (size_t i = 0; i < LV_COUNT(names); i++) {
        struct lv_row row = binding("x", "", "");

        row.name = row.key = row.other = lv_bytes(names[i].bytes, names[i].size);
        add(row);
    }
    add((struct lv_row){.kind = LV_ROW_QUEUE,
                        .vhost = lv_text("/"),
                        .name = lv_bytes(longest, sizeof longest),
                        .queue_id = 65});
    commit(1);
    (void)rows();
    assert_int_equal(seen.rows, LV_COUNT(names) + 1);
    begin();
    for (size_t i = 0; i < LV_COUNT(names); i++) {
        struct lv_row row = binding("x", "", "");

        row.name = row.key = row.other = lv_bytes(names[i].bytes, names[i].size);
        delete_row(row);
    }
    commit(2);
    (void)rows();
    assert_int_equal(seen.rows, 1);
}

static void others_can_read_it(void **state)
{
    struct lv_value value = {.type = LV_TYPE_BINARY, .bytes = lv_bytes("\xff\0", 2)};

    (void)state;
    begin();
    add(with(queue("jobs", 65), number(LV_TYPE_I32, 10)));
    add(with(binding("x", "k", "jobs"), value));
    add(exchange("x"));
    commit(1);
    assert_string_equal(ask("SELECT arguments_json FROM queues WHERE name = 'jobs'"), "{\"n\":10}");
    assert_string_equal(ask("SELECT json_extract(arguments_json, '$.n') FROM queues"), "10");
    assert_string_equal(ask("SELECT arguments_json FROM bindings"),
                        "{\"n\":{\"base64\":\"/wA=\"}}");
    assert_string_equal(ask("SELECT name || type || arguments_json FROM exchanges"), "xtopic{}");
    assert_string_equal(ask("PRAGMA integrity_check"), "ok");
    (void)rows();
    assert_non_null(strstr(seen.text, "jobs n=binary:"));
}

static void a_reader_sees_one_moment_while_another_writes(void **state)
{
    struct lv_metadata *reader = NULL;
    struct lv_row row = queue("no", 321);

    (void)state;
    begin();
    add(queue("before", 65));
    commit(1);
    assert_int_equal(lv_metadata_open_read_only(directory, &reader, &diag), 0);
    begin();
    add(queue("during", 129));
    assert_string_equal(rows_of(reader), "q before 65@0");
    commit(2);
    assert_string_equal(rows_of(reader), "q before 65@0\nq during 129@0");
    assert_int_equal(lv_metadata_set(reader, "shards", 1, &diag), -LV_E_IO);
    lv_metadata_close(reader);
    begin();
    add(row);
    commit(3);
}

static unsigned file_count(void)
{
    DIR *files = opendir(directory);
    struct dirent *entry;
    unsigned count = 0;

    assert_non_null(files);
    while ((entry = readdir(files)) != NULL)
        count += entry->d_name[0] != '.';
    (void)closedir(files);
    return count;
}

/* Also on a disk that cannot be written, and in a directory with a name that means something in a
 * URI. */
static void reading_what_nobody_uses_leaves_no_trace(void **state)
{
    struct lv_metadata *reader = NULL;
    char renamed[sizeof directory + 10];
    int rc;

    (void)state;
    begin();
    add(queue("q", 65));
    commit(1);
    close_it();
    assert_int_equal(file_count(), 1);
    (void)snprintf(renamed, sizeof renamed, "%s%%20?a#b", directory);
    assert_int_equal(rename(directory, renamed), 0);
    rc = lv_metadata_open_read_only(renamed, &reader, &diag);
    assert_int_equal(rename(renamed, directory), 0);
    if (rc < 0)
        fail_msg("%s", diag.text);
    assert_string_equal(rows_of(reader), "q q 65@0");
    assert_int_equal(file_count(), 1);
    lv_metadata_close(reader);
    assert_int_equal(file_count(), 1);
}

static void what_a_crash_left_in_the_write_ahead_log_is_read(void **state)
{
    struct lv_metadata *reader = NULL;

    (void)state;
    begin();
    add(queue("q", 65));
    commit(1); /* nothing has moved it into the file yet */
    assert_int_equal(lv_metadata_open_read_only(directory, &reader, &diag), 0);
    assert_string_equal(rows_of(reader), "q q 65@0");
    lv_metadata_close(reader);
}

static void reading_what_is_not_there_makes_nothing(void **state)
{
    struct lv_metadata *reader = NULL;

    (void)state;
    close_it();
    assert_int_equal(unlink(path), 0);
    assert_int_equal(lv_metadata_open_read_only(directory, &reader, &diag), -LV_E_NOT_FOUND);
    assert_non_null(strstr(diag.text, path));
    assert_int_equal(access(path, F_OK), -1);
    assert_null(reader);
}

static void a_directory_that_is_not_there_is_named(void **state)
{
    struct lv_metadata *none = NULL;

    (void)state;
    assert_int_equal(lv_metadata_open("/nowhere/at/all", &none, &diag), -LV_E_IO);
    assert_non_null(strstr(diag.text, "/nowhere/at/all/metadata.sqlite"));
}

static void an_unknown_layout_is_refused_by_name(void **state)
{
    struct lv_metadata *other = NULL;

    (void)state;
    close_it();
    execute("PRAGMA user_version = 3");
    assert_int_equal(lv_metadata_open(directory, &other, &diag), -LV_E_VERSION);
    assert_non_null(strstr(diag.text, path));
    assert_non_null(strstr(diag.text, "layout 3"));
    assert_int_equal(lv_metadata_open_read_only(directory, &other, &diag), -LV_E_VERSION);
    execute("PRAGMA user_version = 2; PRAGMA application_id = 7");
    assert_int_equal(lv_metadata_open(directory, &other, &diag), -LV_E_VERSION);
    assert_non_null(strstr(diag.text, "another program"));
    assert_null(other);
}

static void what_a_crash_left_of_a_new_file_is_made_anew(void **state)
{
    (void)state;
    close_it();
    assert_int_equal(truncate(path, 0), 0);
    open_it();
    begin();
    add(queue("q", 65));
    commit(1);
    assert_string_equal(rows(), "q q 65@0");
}

/* ---- damage ---- */

static void overwrite(off_t offset, const void *data, size_t size)
{
    int file = open(path, O_WRONLY);

    assert_true(file >= 0);
    assert_int_equal(pwrite(file, data, size, offset), (ssize_t)size);
    (void)close(file);
}

static int load_result(void)
{
    int rc = lv_metadata_open(directory, &metadata, &diag);

    memset(&seen, 0, sizeof seen);
    if (rc == 0)
        rc = lv_metadata_load(metadata, see, &seen, &diag);
    close_it();
    return rc;
}

static void what_is_no_database_is_told_with_what_to_do(void **state)
{
    static const char noise[64] = "This is a text file that somebody put here by mistake.";

    (void)state;
    close_it();
    overwrite(0, noise, sizeof noise);
    assert_int_equal(load_result(), -LV_E_CORRUPT);
    assert_non_null(strstr(diag.text, path));
    assert_non_null(strstr(diag.text, "Put back a copy"));
}

/* Commits one queue after the other and says each LSN once it is on disk. */
static _Noreturn void commit_until_killed(int to)
{
    char name[32];

    open_it();
    for (uint64_t lsn = 1;; lsn++) {
        (void)snprintf(name, sizeof name, "queue-%llu", (unsigned long long)lsn);
        begin();
        add(queue(name, lsn));
        commit(lsn);
        if (write(to, &lsn, sizeof lsn) != sizeof lsn)
            _exit(1);
    }
}

static void what_was_committed_survives_a_kill(void **state)
{
    uint64_t lsn = 0, found;
    int ends[2];
    pid_t child;

    (void)state;
    close_it();
    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        commit_until_killed(ends[1]);
    (void)close(ends[1]);
    while (lsn < 100)
        assert_int_equal(read(ends[0], &lsn, sizeof lsn), sizeof lsn);
    assert_int_equal(kill(child, SIGKILL), 0);
    while (read(ends[0], &found, sizeof found) == sizeof found)
        lsn = found;
    assert_int_equal(waitpid(child, NULL, 0), child);
    (void)close(ends[0]);
    open_it();
    assert_int_equal(lv_metadata_lsn(metadata, &found, &diag), 0);
    assert_in_range(found, lsn, lsn + 1);
    (void)rows();
    assert_int_equal(seen.rows, found);
}

/* Something of everything. */
static void fill(void)
{
    begin();
    for (uint64_t i = 1; i <= 40; i++) {
        char name[20];

        (void)snprintf(name, sizeof name, "object-%llu", (unsigned long long)i);
        add(i % 2 == 0 ? with(queue(name, i), number(LV_TYPE_I64, (int64_t)i)) : exchange(name));
        add(binding("amq.topic", name, name));
        add(with(binding("amq.headers", name, "object-2"), number(LV_TYPE_I32, 2)));
    }
    commit(77);
    assert_int_equal(lv_metadata_set(metadata, "shards", 2, &diag), 0);
}

/* Bit after bit, the file either reads as it was or says that it is damaged; and there are bytes
 * that nobody reads. */
static void a_flipped_bit_never_changes_what_is_read(void **state)
{
    static char before[sizeof seen.text];
    struct stat status;
    uint8_t *bytes;
    unsigned told = 0, tries = 0;
    int file;

    (void)state;
    fill();
    (void)snprintf(before, sizeof before, "%s", rows());
    close_it();
    assert_int_equal(stat(path, &status), 0);
    bytes = lv_alloc((size_t)status.st_size);
    file = open(path, O_RDONLY);
    assert_true(bytes != NULL && file >= 0);
    assert_int_equal(read(file, bytes, (size_t)status.st_size), status.st_size);
    (void)close(file);
    for (off_t at = 0; at < status.st_size; at += at < 200 ? 1 : 29) {
        uint8_t flipped = bytes[at] ^ (uint8_t)(1u << at % 8);
        int rc;

        overwrite(at, &flipped, 1);
        rc = load_result();
        if (rc == 0)
            assert_string_equal(seen.text, before);
        else
            assert_true(rc == -LV_E_CORRUPT || rc == -LV_E_VERSION || rc == -LV_E_INTERNAL);
        told += rc != 0;
        tries++;
        overwrite(0, bytes, (size_t)status.st_size); /* opening may have written */
    }
    assert_in_range(told, tries / 8, tries);
    lv_free(bytes);
}

static void a_row_that_was_changed_is_named(void **state)
{
    (void)state;
    fill();
    close_it();
    execute("UPDATE queues SET home = 1 WHERE name = 'object-8'");
    assert_int_equal(load_result(), -LV_E_CORRUPT);
    assert_non_null(strstr(diag.text, "'object-8' in the table queues"));
}

static void missing_and_surplus_rows_are_told(void **state)
{
    static const char *const changes[] = {
        "DELETE FROM bindings WHERE routing_key = 'object-9' AND source = 'amq.topic'",
        "INSERT INTO exchanges SELECT 'v2', name, type, 0, 0, '', NULL, row_hash FROM exchanges",
        "UPDATE settings SET value = value + 1 WHERE name = 'rows_sum'",
        "DELETE FROM settings WHERE name = 'rows_sum'",
        "UPDATE exchanges SET arguments = X'0100' WHERE name = 'object-1'",
    };

    (void)state;
    for (size_t i = 0; i < LV_COUNT(changes); i++) {
        fill();
        close_it();
        execute(changes[i]);
        assert_int_equal(load_result(), -LV_E_CORRUPT);
        assert_int_equal(unlink(path), 0);
        open_it();
    }
}

/* ---- what goes wrong outside ---- */

static void a_full_disk_leaves_the_file_as_it_was(void **state)
{
    struct rlimit limit, old;
    struct lv_row row;
    char name[32];
    int rc = 0;

    (void)state;
    fill();
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    limit = (struct rlimit){.rlim_cur = 300000, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    begin();
    for (uint64_t i = 100; i < 20000 && rc == 0; i++) {
        (void)snprintf(name, sizeof name, "filler-%llu", (unsigned long long)i);
        row = queue(name, i);
        rc = lv_metadata_add(metadata, &row, &diag);
    }
    if (rc == 0)
        rc = lv_metadata_commit(metadata, 78, &diag);
    lv_metadata_rollback(metadata);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    if (rc != -LV_E_FULL)
        fail_msg("%s", diag.text);
    assert_non_null(strstr(diag.text, path));
    (void)rows();
    assert_int_equal(seen.rows, 120);
    begin();
    add(queue("when there is room", 500));
    commit(78);
    (void)rows();
    assert_int_equal(seen.rows, 121);
}

static void a_foreign_writer_is_waited_for_and_then_told(void **state)
{
    sqlite3 *db = NULL;

    (void)state;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(lv_metadata_begin(metadata, &diag), -LV_E_LOCKED);
    assert_non_null(strstr(diag.text, path));
    lv_metadata_rollback(metadata);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    begin();
    add(queue("q", 65));
    commit(1);
}

static void memory_that_runs_out_is_told(void **state)
{
    struct lv_row row = with(binding("x", "k", "q"), number(LV_TYPE_I32, 1));
    int rc;
    int after = 0;

    (void)state;
    begin();
    do {
        lv_alloc_fail_after((uint64_t)++after, 0);
        rc = lv_metadata_add(metadata, &row, &diag);
        lv_alloc_fail_after(0, 0);
        assert_true(rc == 0 || rc == -LV_E_NOMEM);
    } while (rc < 0);
    assert_in_range(after, 2, 20);
    commit(1);
    assert_string_equal(rows(), "x -k-> q n=signedint:1");
}

static int stop_at_second(void *ctx, const struct lv_row *row)
{
    unsigned *count = ctx;

    assert_non_null(row);
    return ++*count == 2 ? -LV_E_STOPPED : 0;
}

static void the_callers_error_ends_a_load(void **state)
{
    unsigned count = 0;

    (void)state;
    fill();
    assert_int_equal(lv_metadata_load(metadata, stop_at_second, &count, &diag), -LV_E_STOPPED);
    assert_int_equal(count, 2);
    (void)rows();
    assert_int_equal(seen.rows, 120);
}

int main(void)
{
#define ON_DISK(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ON_DISK(a_new_file_is_empty_and_its_owners_alone),
        ON_DISK(the_write_ahead_log_is_the_owners_alone_too),
        ON_DISK(rows_are_there_after_opening_again),
        ON_DISK(what_is_there_stays_as_it_is),
        ON_DISK(bindings_differ_in_everything_but_order_and_widths),
        ON_DISK(a_queue_takes_its_bindings_along),
        ON_DISK(an_exchange_takes_the_bindings_of_both_ends_along),
        ON_DISK(a_queue_with_another_id_stays),
        ON_DISK(deleting_never_walks_what_stays),
        ON_DISK(a_transaction_is_done_whole_or_not_at_all),
        ON_DISK(settings_are_numbers_by_name),
        ON_DISK(names_of_any_bytes_come_back),
        ON_DISK(others_can_read_it),
        ON_DISK(a_reader_sees_one_moment_while_another_writes),
        ON_DISK(reading_what_nobody_uses_leaves_no_trace),
        ON_DISK(what_a_crash_left_in_the_write_ahead_log_is_read),
        ON_DISK(reading_what_is_not_there_makes_nothing),
        ON_DISK(a_directory_that_is_not_there_is_named),
        ON_DISK(an_unknown_layout_is_refused_by_name),
        ON_DISK(what_a_crash_left_of_a_new_file_is_made_anew),
        ON_DISK(what_was_committed_survives_a_kill),
        ON_DISK(what_is_no_database_is_told_with_what_to_do),
        ON_DISK(a_flipped_bit_never_changes_what_is_read),
        ON_DISK(a_row_that_was_changed_is_named),
        ON_DISK(missing_and_surplus_rows_are_told),
        ON_DISK(a_full_disk_leaves_the_file_as_it_was),
        ON_DISK(a_foreign_writer_is_waited_for_and_then_told),
        ON_DISK(memory_that_runs_out_is_told),
        ON_DISK(the_callers_error_ends_a_load),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
