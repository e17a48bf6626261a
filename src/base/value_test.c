#include "base/value.h"

#include "base/defs.h"
#include "base/testing.h"

#include <math.h>
#include <stdio.h>

static struct lv_value integer(enum lv_type type, int64_t number)
{
    return (struct lv_value){.type = type, .integer = number};
}

static struct lv_value real(enum lv_type type, double number)
{
    return (struct lv_value){.type = type, .real = number};
}

static struct lv_value boolean(bool yes)
{
    return (struct lv_value){.type = LV_TYPE_BOOL, .boolean = yes};
}

static struct lv_value string(const char *text)
{
    return (struct lv_value){.type = LV_TYPE_STRING, .bytes = lv_text(text)};
}

static struct lv_value decimal(uint8_t scale, int64_t number)
{
    return (struct lv_value){.type = LV_TYPE_DECIMAL, .scale = scale, .integer = number};
}

#define FIELD(field, what)                                                                         \
    (struct lv_field)                                                                              \
    {                                                                                              \
        .name = lv_text(field), .value = (what)                                                    \
    }
#define TABLE(...)                                                                                 \
    table_of(LV_COUNT(((struct lv_field[]){__VA_ARGS__})), (struct lv_field[]){__VA_ARGS__})

static struct lv_value nested(enum lv_type type, const struct lv_table *table)
{
    return (struct lv_value){.type = type, .table = table};
}

static bool equal(struct lv_value a, struct lv_value b)
{
    bool result = lv_value_equal(&a, &b);

    assert_int_equal(lv_value_equal(&b, &a), result);
    return result;
}

static void assert_printed(struct lv_value value, const char *expected)
{
    char text[200];

    assert_ptr_equal(lv_value_print(&value, text, sizeof text), text);
    assert_string_equal(text, expected);
}

static void a_field_is_found_by_name_and_the_first_one_counts(void **state)
{
    const struct lv_table *table =
        TABLE(FIELD("a", integer(LV_TYPE_I32, 1)), FIELD("b", integer(LV_TYPE_I32, 2)),
              FIELD("a", integer(LV_TYPE_I32, 3)));

    (void)state;
    assert_int_equal(lv_table_get(table, "a")->integer, 1);
    assert_int_equal(lv_table_get(table, "b")->integer, 2);
    assert_null(lv_table_get(table, "c"));
    assert_null(lv_table_get(table, "aa"));
    assert_null(lv_table_get(NULL, "a"));
}

static void integers_are_one_kind(void **state)
{
    struct lv_value yes = boolean(true);
    struct lv_value when = integer(LV_TYPE_TIMESTAMP, 5);
    struct lv_value half = real(LV_TYPE_F64, 5);

    (void)state;
    for (int a = LV_TYPE_I8; a <= LV_TYPE_I64; a++) {
        struct lv_value five = integer((enum lv_type)a, 5);
        assert_true(lv_value_is_integer(&five));
        for (int b = LV_TYPE_I8; b <= LV_TYPE_I64; b++) {
            assert_true(equal(five, integer((enum lv_type)b, 5)));
            assert_false(equal(five, integer((enum lv_type)b, 6)));
        }
    }
    assert_false(lv_value_is_integer(&yes));
    assert_false(lv_value_is_integer(&when));
    assert_false(lv_value_is_integer(&half));
    assert_false(equal(integer(LV_TYPE_I64, 5), when));
    assert_false(equal(integer(LV_TYPE_I64, 5), half));
    assert_false(equal(integer(LV_TYPE_I64, 1), yes));
}

static void values_are_equal_by_kind_and_value(void **state)
{
    struct lv_value binary = {.type = LV_TYPE_BINARY, .bytes = lv_text("x")};

    (void)state;
    assert_true(
        equal((struct lv_value){.type = LV_TYPE_VOID}, (struct lv_value){.type = LV_TYPE_VOID}));
    assert_true(equal(boolean(true), boolean(true)));
    assert_false(equal(boolean(true), boolean(false)));
    assert_true(equal(string("x"), string("x")));
    assert_false(equal(string("x"), string("y")));
    assert_false(equal(string("x"), binary));
    assert_true(equal(real(LV_TYPE_F32, 0.5), real(LV_TYPE_F64, 0.5)));
    assert_false(equal(real(LV_TYPE_F64, 0.5), real(LV_TYPE_F64, 0.25)));
    assert_true(equal(real(LV_TYPE_F64, NAN), real(LV_TYPE_F64, NAN)));
    assert_true(equal(decimal(2, 314), decimal(2, 314)));
    assert_false(equal(decimal(2, 314), decimal(1, 314)));
    assert_true(equal(integer(LV_TYPE_TIMESTAMP, 9), integer(LV_TYPE_TIMESTAMP, 9)));
}

static void tables_are_equal_in_any_order(void **state)
{
    struct lv_field a = FIELD("a", integer(LV_TYPE_I32, 1));
    struct lv_field wide_a = FIELD("a", integer(LV_TYPE_I64, 1));
    struct lv_field other_a = FIELD("a", integer(LV_TYPE_I32, 2));
    struct lv_field b = FIELD("b", string("x"));
    struct lv_value ab = nested(LV_TYPE_TABLE, TABLE(a, b));

    (void)state;
    assert_true(equal(ab, nested(LV_TYPE_TABLE, TABLE(a, b))));
    assert_true(equal(ab, nested(LV_TYPE_TABLE, TABLE(b, wide_a))));
    assert_false(equal(ab, nested(LV_TYPE_TABLE, TABLE(b, other_a))));
    assert_false(equal(ab, nested(LV_TYPE_TABLE, TABLE(a))));
    assert_false(equal(nested(LV_TYPE_TABLE, TABLE(a, a)), ab));
    /* Of several with one name the first one counts. */
    assert_true(equal(ab, nested(LV_TYPE_TABLE, TABLE(b, a, other_a))));
    assert_false(equal(ab, nested(LV_TYPE_TABLE, TABLE(b, other_a, a))));
}

static void no_table_is_an_empty_table(void **state)
{
    struct lv_value none = nested(LV_TYPE_TABLE, NULL);
    struct lv_value empty = nested(LV_TYPE_TABLE, table_of(0, NULL));

    (void)state;
    assert_true(equal(none, empty));
    assert_true(equal(none, none));
    assert_false(equal(none, nested(LV_TYPE_TABLE, TABLE(FIELD("a", boolean(true))))));
}

static void arrays_are_equal_in_order_only(void **state)
{
    struct lv_field one = FIELD("", integer(LV_TYPE_I32, 1));
    struct lv_field two = FIELD("", integer(LV_TYPE_I32, 2));
    struct lv_value array = nested(LV_TYPE_ARRAY, TABLE(one, two));

    (void)state;
    assert_true(equal(array, nested(LV_TYPE_ARRAY, TABLE(one, two))));
    assert_false(equal(array, nested(LV_TYPE_ARRAY, TABLE(two, one))));
    assert_false(equal(array, nested(LV_TYPE_TABLE, TABLE(one, two))));
}

/* A table as large as a frame allows, in turned order: comparing it must not take its square. */
static void a_strangers_large_table_costs_little(void **state)
{
    enum { COUNT = 60000 };
    struct lv_field *fields = lv_calloc(COUNT, sizeof *fields);
    char(*names)[8] = lv_calloc(COUNT, sizeof *names);
    struct lv_table *rising;
    struct lv_table *falling;

    (void)state;
    assert_non_null(fields);
    assert_non_null(names);
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(names[i], sizeof names[i], "%d", i);
        fields[i] = FIELD(names[i], boolean(true));
    }
    rising = table_of(COUNT, fields);
    for (int i = 0; i < COUNT; i++)
        fields[i].name = lv_text(names[COUNT - 1 - i]);
    falling = table_of(COUNT, fields);
    assert_true(equal(nested(LV_TYPE_TABLE, rising), nested(LV_TYPE_TABLE, rising)));
    assert_false(equal(nested(LV_TYPE_TABLE, rising), nested(LV_TYPE_TABLE, falling)));
    lv_free(names);
    lv_free(fields);
}

static void types_have_rabbitmqs_names(void **state)
{
    (void)state;
    assert_string_equal(lv_type_name(LV_TYPE_STRING), "longstr");
    assert_string_equal(lv_type_name(LV_TYPE_I32), "signedint");
    assert_string_equal(lv_type_name(LV_TYPE_I64), "long");
    assert_string_equal(lv_type_name(LV_TYPE_U8), "unsignedbyte");
    for (int type = 0; type < LV_TYPE_COUNT; type++)
        assert_non_null(lv_type_name((enum lv_type)type));
}

static void plain_values_print_as_they_are(void **state)
{
    (void)state;
    assert_printed(integer(LV_TYPE_I32, -60000), "-60000");
    assert_printed(integer(LV_TYPE_I64, INT64_MIN), "-9223372036854775808");
    assert_printed(integer(LV_TYPE_TIMESTAMP, 1700000000), "1700000000");
    assert_printed(boolean(true), "true");
    assert_printed(boolean(false), "false");
    assert_printed(string("drop-head"), "drop-head");
    assert_printed(string(""), "");
    assert_printed((struct lv_value){.type = LV_TYPE_VOID}, "undefined");
    assert_printed(decimal(2, 314), "{2,314}");
}

static void numbers_with_a_point_print_their_shortest_form(void **state)
{
    (void)state;
    assert_printed(real(LV_TYPE_F64, 0.1), "0.1");
    assert_printed(real(LV_TYPE_F64, 1.5), "1.5");
    assert_printed(real(LV_TYPE_F64, 100), "100.0");
    assert_printed(real(LV_TYPE_F64, -3), "-3.0");
    assert_printed(real(LV_TYPE_F64, 1.0 / 3), "0.3333333333333333");
    assert_printed(real(LV_TYPE_F64, 1e300), "1e+300");
    assert_printed(real(LV_TYPE_F64, -1e300), "-1e+300");
}

static void tables_print_as_erlang_terms(void **state)
{
    struct lv_value array = nested(
        LV_TYPE_ARRAY, TABLE(FIELD("", integer(LV_TYPE_I32, 1)), FIELD("", string("say \"x\""))));
    struct lv_value bytes = string("\x01\xff");

    (void)state;
    assert_printed(array, "[{signedint,1},{longstr,<<\"say \\\"x\\\"\">>}]");
    assert_printed(nested(LV_TYPE_TABLE, TABLE(FIELD("b", bytes), FIELD("e", string("")))),
                   "[{<<\"b\">>,longstr,<<1,255>>},{<<\"e\">>,longstr,<<>>}]");
    assert_printed(nested(LV_TYPE_TABLE, TABLE(FIELD("in", array))),
                   "[{<<\"in\">>,array,[{signedint,1},{longstr,<<\"say \\\"x\\\"\">>}]}]");
    assert_printed(nested(LV_TYPE_TABLE, NULL), "[]");
}

static void a_text_is_cut_at_every_size(void **state)
{
    struct lv_value value = nested(
        LV_TYPE_TABLE, TABLE(FIELD("name", string("\x01")), FIELD("n", real(LV_TYPE_F64, 2))));
    char whole[100];

    (void)state;
    (void)lv_value_print(&value, whole, sizeof whole);
    for (size_t size = 1; size <= strlen(whole) + 1; size++) {
        char text[100];
        memset(text, '#', sizeof text);
        (void)lv_value_print(&value, text, size);
        assert_int_equal(strlen(text), size - 1);
        assert_memory_equal(text, whole, size - 1);
        assert_int_equal(text[size], '#');
    }
}

static void a_copy_is_one_block_that_needs_nothing_of_the_original(void **state)
{
    struct lv_value array =
        nested(LV_TYPE_ARRAY, TABLE(FIELD("", string("deep")), FIELD("", integer(LV_TYPE_U8, 7))));
    struct lv_value inner =
        nested(LV_TYPE_TABLE, TABLE(FIELD("array", array), FIELD("odd", string("abc"))));
    const struct lv_table *table =
        TABLE(FIELD("x-max-length", integer(LV_TYPE_I32, 10)), FIELD("inner", inner),
              FIELD("none", nested(LV_TYPE_TABLE, NULL)));
    struct lv_table *copy = lv_table_dup(table);
    struct lv_table *again;

    (void)state;
    assert_non_null(copy);
    assert_true(equal(nested(LV_TYPE_TABLE, copy), nested(LV_TYPE_TABLE, table)));
    lv_arena_fini(&arena); /* whoever reads the original now is told by the sanitizers */
    assert_int_equal(lv_table_get(copy, "x-max-length")->integer, 10);
    assert_printed(*lv_table_get(copy, "inner"),
                   "[{<<\"array\">>,array,[{longstr,<<\"deep\">>},{unsignedbyte,7}]},"
                   "{<<\"odd\">>,longstr,<<\"abc\">>}]");
    again = lv_table_dup(copy);
    assert_non_null(again);
    lv_free(copy);
    assert_int_equal(lv_table_get(again, "x-max-length")->integer, 10);
    lv_free(again);
}

static void a_copy_without_memory_is_null(void **state)
{
    const struct lv_table *table = TABLE(FIELD("a", string("b")));

    (void)state;
    lv_alloc_fail_after(1, 0);
    assert_null(lv_table_dup(table));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ARENA(a_field_is_found_by_name_and_the_first_one_counts),
        WITH_ARENA(integers_are_one_kind),
        WITH_ARENA(values_are_equal_by_kind_and_value),
        WITH_ARENA(tables_are_equal_in_any_order),
        WITH_ARENA(no_table_is_an_empty_table),
        WITH_ARENA(arrays_are_equal_in_order_only),
        WITH_ARENA(a_strangers_large_table_costs_little),
        WITH_ARENA(types_have_rabbitmqs_names),
        WITH_ARENA(plain_values_print_as_they_are),
        WITH_ARENA(numbers_with_a_point_print_their_shortest_form),
        WITH_ARENA(tables_print_as_erlang_terms),
        WITH_ARENA(a_text_is_cut_at_every_size),
        WITH_ARENA(a_copy_is_one_block_that_needs_nothing_of_the_original),
        WITH_ARENA(a_copy_without_memory_is_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
