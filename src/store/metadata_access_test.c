/* Rows of vhosts, users, permissions and limits; metadata_test.c has the others and the file. */
#include "store/metadata.h"

#include "base/alloc.h"
#include "base/defs.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[100];
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

static struct lv_row access_row(enum lv_row_kind kind, const char *vhost, const char *user)
{
    return (struct lv_row){.kind = kind, .vhost = lv_text(vhost), .name = lv_text(user)};
}

static struct lv_row user(const char *name, const char *hash, const char *tags)
{
    struct lv_row row = access_row(LV_ROW_USER, "", name);

    row.other = lv_text(hash);
    row.key = lv_text(tags);
    return row;
}

static struct lv_row topic_permission(const char *vhost, const char *name, const char *exchange)
{
    struct lv_row row = access_row(LV_ROW_TOPIC_PERMISSION, vhost, name);

    row.other = lv_text(exchange);
    return row;
}

static int see_access(void *ctx, const struct lv_row *row)
{
    char value[100] = "";

    assert_ptr_equal(ctx, &seen);
    if (row->arguments != NULL)
        lv_value_print(&row->arguments->fields[0].value, value, sizeof value);
    say("%s%s '%.*s' '%.*s' '%.*s' '%.*s' %s", seen.rows++ > 0 ? "\n" : "", lv_row_table(row->kind),
        LV_FMT(row->vhost), LV_FMT(row->name), LV_FMT(row->other), LV_FMT(row->key), value);
    return 0;
}

static const char *access_rows(void)
{
    memset(&seen, 0, sizeof seen);
    if (lv_metadata_load(metadata, see_access, &seen, &diag) < 0)
        fail_msg("%s", diag.text);
    return seen.text;
}

static void add_access(void)
{
    begin();
    add(exchange("x"));
    add(with(access_row(LV_ROW_LIMITS, "", "bob"), number(LV_TYPE_I64, 7)));
    add(with(access_row(LV_ROW_LIMITS, "/", ""), number(LV_TYPE_I64, 8)));
    add(topic_permission("/", "bob", "amq.topic"));
    add(topic_permission("/", "bob", "x"));
    add(topic_permission("v", "bob", "x"));
    add(with(access_row(LV_ROW_PERMISSION, "/", "bob"),
             (struct lv_value){.type = LV_TYPE_STRING, .bytes = lv_text(".*")}));
    add(access_row(LV_ROW_PERMISSION, "v", "bob"));
    add(access_row(LV_ROW_PERMISSION, "/", "guest"));
    add(user("bob", "hash", "administrator,x"));
    add(user("guest", "", ""));
    add(access_row(LV_ROW_VHOST, "/", ""));
    add(access_row(LV_ROW_VHOST, "v", ""));
    commit(1);
}

static void what_others_name_is_loaded_first(void **state)
{
    (void)state;
    add_access();
    for (int i = 0; i < 2; i++) {
        assert_string_equal(access_rows(), "vhosts '/' '' '' '' \n"
                                           "vhosts 'v' '' '' '' \n"
                                           "users '' 'bob' 'hash' 'administrator,x' \n"
                                           "users '' 'guest' '' '' \n"
                                           "permissions '/' 'bob' '' '' .*\n"
                                           "permissions '/' 'guest' '' '' \n"
                                           "permissions 'v' 'bob' '' '' \n"
                                           "topic_permissions '/' 'bob' 'amq.topic' '' \n"
                                           "topic_permissions '/' 'bob' 'x' '' \n"
                                           "topic_permissions 'v' 'bob' 'x' '' \n"
                                           "limits '' 'bob' '' '' 7\n"
                                           "limits '/' '' '' '' 8\n"
                                           "exchanges '/' 'x' 'topic' '' ");
        close_it();
        open_it();
    }
}

static void what_may_be_done_is_replaced(void **state)
{
    (void)state;
    begin();
    add(user("bob", "hash", "x"));
    add(user("bob", "other", ""));
    add(with(access_row(LV_ROW_PERMISSION, "/", "bob"), number(LV_TYPE_I64, 1)));
    add(with(access_row(LV_ROW_PERMISSION, "/", "bob"), number(LV_TYPE_I64, 2)));
    add(access_row(LV_ROW_VHOST, "/", ""));
    commit(1);
    begin();
    add(user("bob", "other", ""));
    add(with(access_row(LV_ROW_VHOST, "/", ""),
             (struct lv_value){.type = LV_TYPE_STRING, .bytes = lv_text("main")}));
    commit(2);
    assert_string_equal(access_rows(), "vhosts '/' '' '' '' main\n"
                                       "users '' 'bob' 'other' '' \n"
                                       "permissions '/' 'bob' '' '' 2");
}

static void a_user_takes_his_permissions_and_limits_along(void **state)
{
    (void)state;
    add_access();
    begin();
    delete_row(user("bob", "", ""));
    delete_row(user("nobody", "", ""));
    commit(2);
    assert_string_equal(access_rows(), "vhosts '/' '' '' '' \nvhosts 'v' '' '' '' \n"
                                       "users '' 'guest' '' '' \n"
                                       "permissions '/' 'guest' '' '' \n"
                                       "limits '/' '' '' '' 8\n"
                                       "exchanges '/' 'x' 'topic' '' ");
}

static void a_vhost_takes_all_that_is_in_it_along(void **state)
{
    (void)state;
    add_access();
    begin();
    add(queue("q", 65));
    add(binding("x", "k", "q"));
    commit(2);
    begin();
    delete_row(access_row(LV_ROW_VHOST, "/", ""));
    commit(3);
    assert_string_equal(access_rows(), "vhosts 'v' '' '' '' \n"
                                       "users '' 'bob' 'hash' 'administrator,x' \n"
                                       "users '' 'guest' '' '' \n"
                                       "permissions 'v' 'bob' '' '' \n"
                                       "topic_permissions 'v' 'bob' 'x' '' \n"
                                       "limits '' 'bob' '' '' 7");
}

static void topic_permissions_go_one_by_one_or_together(void **state)
{
    (void)state;
    begin();
    add(topic_permission("/", "bob", "x"));
    add(topic_permission("/", "bob", "y"));
    add(topic_permission("/", "bob", "z"));
    add(topic_permission("/", "guest", "x"));
    commit(1);
    begin();
    delete_row(topic_permission("/", "bob", "y"));
    commit(2);
    assert_string_equal(access_rows(), "topic_permissions '/' 'bob' 'x' '' \n"
                                       "topic_permissions '/' 'bob' 'z' '' \n"
                                       "topic_permissions '/' 'guest' 'x' '' ");
    begin();
    delete_row(topic_permission("/", "bob", ""));
    commit(3);
    assert_string_equal(access_rows(), "topic_permissions '/' 'guest' 'x' '' ");
}

int main(void)
{
#define ON_DISK(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ON_DISK(what_others_name_is_loaded_first),
        ON_DISK(what_may_be_done_is_replaced),
        ON_DISK(a_user_takes_his_permissions_and_limits_along),
        ON_DISK(a_vhost_takes_all_that_is_in_it_along),
        ON_DISK(topic_permissions_go_one_by_one_or_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
