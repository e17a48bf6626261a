#include "admin/definitions.h"

#include "base/testing.h"

static struct lv_definitions list, other;

static int set_up(void **state)
{
    lv_definitions_init(&list, (size_t)1 << 20);
    lv_definitions_init(&other, (size_t)1 << 20);
    return set_up_arena(state);
}

static int tear_down(void **state)
{
    lv_definitions_fini(&list);
    lv_definitions_fini(&other);
    return tear_down_arena(state);
}

static struct lv_change queue(const char *vhost, const char *name)
{
    return (struct lv_change){
        .kind = LV_CHANGE_QUEUE_DECLARE, .vhost = lv_text(vhost), .name = lv_text(name)};
}

static struct lv_change binding(const char *source, const char *target)
{
    return (struct lv_change){.kind = LV_CHANGE_BIND,
                              .vhost = lv_text("/"),
                              .name = lv_text(target),
                              .other = lv_text(source),
                              .key = lv_text("k")};
}

static struct lv_change of_user(enum lv_change_kind kind, const char *vhost, const char *user)
{
    return (struct lv_change){.kind = kind, .vhost = lv_text(vhost), .name = lv_text(user)};
}

static void add_to(struct lv_definitions *to, struct lv_change change)
{
    assert_int_equal(lv_definitions_add(to, &change, (uint32_t)to->count), 0);
}

static const struct lv_table *numbers(int64_t a, int64_t b)
{
    const struct lv_field fields[] = {
        {lv_text("b"), {.type = LV_TYPE_I32, .integer = b}},
        {lv_text("a"), {.type = LV_TYPE_I64, .integer = a}},
        {lv_text("a"), {.type = LV_TYPE_I64, .integer = 99}},
    };

    return table_of(3, fields);
}

static struct lv_change limits_of(const char *vhost, const char *user)
{
    struct lv_change change = of_user(LV_CHANGE_LIMITS_PUT, vhost, user);

    change.arguments = numbers(1, 2);
    return change;
}

static void changes_stand_in_the_order_in_which_they_can_be_made(void **state)
{
    static const enum lv_change_kind order[] = {
        LV_CHANGE_VHOST_PUT,      LV_CHANGE_USER_PUT,
        LV_CHANGE_PERMISSION_PUT, LV_CHANGE_TOPIC_PERMISSION_PUT,
        LV_CHANGE_LIMITS_PUT,     LV_CHANGE_EXCHANGE_DECLARE,
        LV_CHANGE_QUEUE_DECLARE,  LV_CHANGE_BIND,
    };

    (void)state;
    for (size_t i = LV_COUNT(order); i-- > 0;)
        add_to(&list, of_user(order[i], "/", "x"));
    lv_definitions_sort(&list);
    for (size_t i = 0; i < LV_COUNT(order); i++)
        assert_int_equal(list.items[i].change.kind, order[i]);
}

static void names_are_in_order_by_vhost_first(void **state)
{
    static const char *const names[] = {"q", "a", "qq", "b"};

    (void)state;
    for (size_t i = 0; i < LV_COUNT(names); i++)
        add_to(&list, queue(i < 2 ? "w" : "v", names[i]));
    lv_definitions_sort(&list);
    assert_memory_equal(list.items[0].change.name.data, "b", 1);
    assert_memory_equal(list.items[1].change.name.data, "qq", 2);
    assert_memory_equal(list.items[2].change.name.data, "a", 1);
    assert_memory_equal(list.items[3].change.name.data, "q", 1);
}

static void a_list_keeps_copies(void **state)
{
    char name[] = "queue";
    struct lv_change change = queue("/", name);

    (void)state;
    change.arguments = numbers(1, 2);
    add_to(&list, change);
    memset(name, 'x', sizeof name);
    assert_memory_equal(list.items[0].change.name.data, "queue", 5);
    assert_ptr_not_equal(list.items[0].change.arguments, change.arguments);
}

static void tables_are_by_name_and_the_first_of_a_name_counts(void **state)
{
    struct lv_change change = queue("/", "q");
    const struct lv_table *kept;

    (void)state;
    change.arguments = numbers(1, 2);
    add_to(&list, change);
    kept = list.items[0].change.arguments;
    assert_int_equal(kept->count, 2);
    assert_memory_equal(kept->fields[0].name.data, "a", 1);
    assert_int_equal(kept->fields[0].value.integer, 1);
    assert_memory_equal(kept->fields[1].name.data, "b", 1);
}

static void bindings_with_equal_arguments_are_one_whatever_their_order_and_width(void **state)
{
    const struct lv_field fields[] = {
        {lv_text("a"), {.type = LV_TYPE_U8, .integer = 1}},
        {lv_text("b"), {.type = LV_TYPE_I64, .integer = 2}},
    };
    struct lv_change one = binding("e", "q"), same = one, less = one;

    (void)state;
    one.arguments = numbers(1, 2);
    same.arguments = table_of(2, fields);
    less.arguments = table_of(1, fields);
    add_to(&list, one);
    add_to(&other, same);
    add_to(&other, less);
    lv_definitions_sort(&list);
    assert_true(lv_definition_is_same(&list.items[0], &other.items[0]));
    assert_true(lv_definition_equals(&list.items[0], &other.items[0]));
    assert_false(lv_definition_is_same(&list.items[0], &other.items[1]));
    assert_ptr_equal(lv_definitions_find(&list, &other.items[0].change), &list.items[0]);
    assert_null(lv_definitions_find(&list, &other.items[1].change));
}

static void values_of_every_type_are_told_apart(void **state)
{
    const struct lv_field inner[] = {{lv_text("i"), {.type = LV_TYPE_BOOL, .boolean = true}}};
    const struct lv_value values[] = {
        {.type = LV_TYPE_VOID},
        {.type = LV_TYPE_BOOL, .boolean = false},
        {.type = LV_TYPE_BOOL, .boolean = true},
        {.type = LV_TYPE_I64, .integer = -1},
        {.type = LV_TYPE_I64, .integer = 1},
        {.type = LV_TYPE_F64, .real = 1},
        {.type = LV_TYPE_F64, .real = 1.5},
        {.type = LV_TYPE_DECIMAL, .integer = 1, .scale = 1},
        {.type = LV_TYPE_DECIMAL, .integer = 1, .scale = 2},
        {.type = LV_TYPE_STRING, .bytes = lv_text("1")},
        {.type = LV_TYPE_STRING, .bytes = lv_text("12")},
        {.type = LV_TYPE_BINARY, .bytes = lv_text("1")},
        {.type = LV_TYPE_TIMESTAMP, .integer = 1},
        {.type = LV_TYPE_ARRAY, .table = NULL},
        {.type = LV_TYPE_TABLE, .table = NULL},
        {.type = LV_TYPE_TABLE, .table = table_of(1, inner)},
    };

    (void)state;
    for (size_t i = 0; i < LV_COUNT(values); i++) {
        struct lv_change change = binding("e", "q");
        const struct lv_field field = {lv_text("v"), values[i]};

        change.arguments = table_of(1, &field);
        add_to(&list, change);
    }
    lv_definitions_sort(&list);
    for (size_t i = 1; i < list.count; i++)
        assert_false(lv_definition_is_same(&list.items[i - 1], &list.items[i]));
    for (size_t i = 0; i < list.count; i++)
        assert_ptr_equal(lv_definitions_find(&list, &list.items[i].change), &list.items[i]);
}

static void what_needs_something_that_is_gone_is_pruned(void **state)
{
    struct lv_change to_exchange = binding("e", "e"), exclusive = queue("/", "mine");

    (void)state;
    to_exchange.to_exchange = true;
    add_to(&list, of_user(LV_CHANGE_VHOST_PUT, "/", ""));
    add_to(&list, of_user(LV_CHANGE_USER_PUT, "", "u"));
    add_to(&list, of_user(LV_CHANGE_EXCHANGE_DECLARE, "/", "e"));
    add_to(&list, queue("/", "q"));
    add_to(&list, binding("e", "q"));
    add_to(&list, to_exchange);
    add_to(&list, of_user(LV_CHANGE_PERMISSION_PUT, "/", "u"));
    add_to(&list, limits_of("/", ""));
    add_to(&list, limits_of("", "u"));
    add_to(&list, of_user(LV_CHANGE_LIMITS_PUT, "/", ""));
    exclusive.exclusive = true;
    add_to(&list, exclusive);
    add_to(&list, binding("e", "mine"));
    add_to(&list, binding("e", "gone"));
    add_to(&list, binding("gone", "q"));
    add_to(&list, queue("gone", "q"));
    add_to(&list, of_user(LV_CHANGE_PERMISSION_PUT, "gone", "u"));
    add_to(&list, of_user(LV_CHANGE_PERMISSION_PUT, "/", "gone"));
    add_to(&list, of_user(LV_CHANGE_TOPIC_PERMISSION_PUT, "/", "gone"));
    add_to(&list, limits_of("", "gone"));
    lv_definitions_sort(&list);
    lv_definitions_prune(&list);
    assert_int_equal(list.count, 9);
    lv_definitions_prune(&list);
    assert_int_equal(list.count, 9);
}

static void what_is_missing_is_named(void **state)
{
    struct lv_change change = binding("e", "q");
    struct lv_bytes name;

    (void)state;
    lv_definitions_sort(&list);
    lv_definitions_sort(&other);
    assert_string_equal(lv_definition_missing(&list, &other, &change, &name), "vhost");
    add_to(&list, of_user(LV_CHANGE_VHOST_PUT, "/", ""));
    lv_definitions_sort(&list);
    assert_string_equal(lv_definition_missing(&list, &other, &change, &name), "queue");
    assert_memory_equal(name.data, "q", 1);
    add_to(&other, queue("/", "q"));
    lv_definitions_sort(&other);
    assert_string_equal(lv_definition_missing(&list, &other, &change, &name), "exchange");
    assert_memory_equal(name.data, "e", 1);
    change = of_user(LV_CHANGE_PERMISSION_PUT, "/", "u");
    assert_string_equal(lv_definition_missing(&list, &other, &change, &name), "user");
}

static void notes_are_counted_when_there_are_too_many(void **state)
{
    (void)state;
    for (unsigned i = 0; i < LV_DEFINITIONS_NOTES_MAX + 7; i++)
        lv_definitions_note(&list, "note %u", i);
    assert_int_equal(list.note_count, LV_DEFINITIONS_NOTES_MAX + 7);
    assert_int_equal(list.notes[99].size, strlen("note 99"));
}

static void things_are_called_by_kind_name_and_vhost(void **state)
{
    char text[LV_DEFINITION_TEXT_SIZE];
    const struct {
        struct lv_change change;
        const char *text;
    } rows[] = {
        {queue("/", "q"), "queue 'q' in vhost '/'"},
        {binding("e", "q"), "binding from exchange 'e' to queue 'q' in vhost '/' with key 'k'"},
        {of_user(LV_CHANGE_VHOST_PUT, "v", ""), "vhost 'v'"},
        {of_user(LV_CHANGE_USER_PUT, "", "u"), "user 'u'"},
        {of_user(LV_CHANGE_PERMISSION_PUT, "v", "u"), "permissions of user 'u' in vhost 'v'"},
        {of_user(LV_CHANGE_TOPIC_PERMISSION_PUT, "v", "u"),
         "topic permissions of user 'u' on exchange '' in vhost 'v'"},
        {of_user(LV_CHANGE_LIMITS_PUT, "v", ""), "limits of vhost 'v'"},
        {of_user(LV_CHANGE_LIMITS_PUT, "", "u"), "limits of user 'u'"},
    };

    (void)state;
    for (size_t i = 0; i < LV_COUNT(rows); i++)
        assert_string_equal(lv_definition_print(&rows[i].change, text), rows[i].text);
}

static void a_list_that_is_full_takes_no_more(void **state)
{
    struct lv_change change = queue("/", "a name that takes some room");
    size_t before;

    (void)state;
    lv_definitions_fini(&list);
    lv_definitions_init(&list, 200);
    while (lv_definitions_add(&list, &change, 0) == 0)
        assert_true(list.count < 10);
    before = list.count;
    assert_int_equal(lv_definitions_add(&list, &change, 0), -LV_E_NOMEM);
    assert_int_equal(list.count, before);
}

static void without_memory_nothing_is_added(void **state)
{
    struct lv_change change = queue("/", "q");

    (void)state;
    change.arguments = numbers(1, 2);
    for (uint64_t after = 1;; after++) {
        int rc;

        lv_alloc_fail_after(after, 1);
        rc = lv_definitions_add(&list, &change, 0);
        lv_alloc_fail_after(0, 0);
        if (rc == 0)
            break;
        assert_int_equal(rc, -LV_E_NOMEM);
        assert_int_equal(list.count, 0);
        assert_true(after < 10);
    }
    assert_int_equal(list.count, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(changes_stand_in_the_order_in_which_they_can_be_made),
        TEST(names_are_in_order_by_vhost_first),
        TEST(a_list_keeps_copies),
        TEST(tables_are_by_name_and_the_first_of_a_name_counts),
        TEST(bindings_with_equal_arguments_are_one_whatever_their_order_and_width),
        TEST(values_of_every_type_are_told_apart),
        TEST(what_needs_something_that_is_gone_is_pruned),
        TEST(what_is_missing_is_named),
        TEST(notes_are_counted_when_there_are_too_many),
        TEST(things_are_called_by_kind_name_and_vhost),
        TEST(a_list_that_is_full_takes_no_more),
        TEST(without_memory_nothing_is_added),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
