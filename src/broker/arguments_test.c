#include "base/alloc.h"
#include "base/err.h"
#include "broker/arguments.h"
#include "broker/harness.h"

static const struct lv_hash_key key = {.k0 = 3, .k1 = 4};

struct table {
    uint32_t count;
    struct lv_field fields[4];
};

static const struct lv_table *table(const struct table *memory)
{
    static_assert(offsetof(struct table, fields) == offsetof(struct lv_table, fields), "a table");
    return (const struct lv_table *)(const void *)memory;
}

static struct lv_field field(const char *name, struct lv_value value)
{
    return (struct lv_field){.name = lv_text(name), .value = value};
}

static struct lv_value real(enum lv_type type, double number)
{
    return (struct lv_value){.type = type, .real = number};
}

/* The same tables have the same hash, and others another one. */
static void compare(const struct table *a, const struct table *b, bool same)
{
    const struct lv_table *left = a == NULL ? NULL : table(a);
    const struct lv_table *right = b == NULL ? NULL : table(b);

    assert_int_equal(lv_arguments_same(left, right), same);
    assert_int_equal(lv_arguments_hash(left, &key) == lv_arguments_hash(right, &key), same);
}

static void order_and_width_make_no_difference(void **state)
{
    struct table a = {2,
                      {field("a", lv_sim_integer(LV_TYPE_I32, 5)), field("b", lv_sim_string("x"))}};
    struct table b = {2,
                      {field("b", lv_sim_string("x")), field("a", lv_sim_integer(LV_TYPE_I64, 5))}};
    struct table twice = {3, {a.fields[0], a.fields[1], field("a", lv_sim_string("not seen"))}};
    struct table empty = {.count = 0};

    (void)state;
    compare(&a, &b, true);
    compare(&a, &twice, true); /* of several fields with one name the first counts */
    compare(&empty, NULL, true);
    compare(NULL, NULL, true);
    compare(&a, NULL, false);
}

static void every_value_makes_a_difference(void **state)
{
    struct table inner = {1, {field("n", lv_sim_integer(LV_TYPE_U8, 1))}};
    struct table other = {1, {field("n", lv_sim_integer(LV_TYPE_U8, 2))}};
    struct lv_value values[] = {
        lv_sim_integer(LV_TYPE_I16, 5),
        lv_sim_integer(LV_TYPE_I16, 6),
        lv_sim_integer(LV_TYPE_TIMESTAMP, 5),
        {.type = LV_TYPE_DECIMAL, .scale = 1, .integer = 5},
        {.type = LV_TYPE_DECIMAL, .scale = 2, .integer = 5},
        real(LV_TYPE_F64, 5),
        real(LV_TYPE_F64, 5.5),
        lv_sim_string("5"),
        lv_sim_string(""),
        {.type = LV_TYPE_BINARY, .bytes = lv_text("5")},
        {.type = LV_TYPE_BOOL, .boolean = true},
        {.type = LV_TYPE_BOOL, .boolean = false},
        {.type = LV_TYPE_VOID},
        {.type = LV_TYPE_TABLE, .table = table(&inner)},
        {.type = LV_TYPE_TABLE, .table = table(&other)},
        {.type = LV_TYPE_TABLE},
        {.type = LV_TYPE_ARRAY, .table = table(&inner)},
        {.type = LV_TYPE_ARRAY, .table = table(&other)},
        {.type = LV_TYPE_ARRAY},
    };

    (void)state;
    for (size_t i = 0; i < LV_COUNT(values); i++)
        for (size_t j = 0; j < LV_COUNT(values); j++) {
            struct table a = {1, {field("a", values[i])}};
            struct table b = {1, {field("a", values[j])}};
            struct table c = {1, {field("c", values[j])}};
            compare(&a, &b, i == j);
            compare(&a, &c, false);
        }
}

static void equal_numbers_have_one_hash(void **state)
{
    struct table zero = {1, {field("a", real(LV_TYPE_F64, 0.0))}};
    struct table minus = {1, {field("a", real(LV_TYPE_F32, -0.0))}};
    struct table nan1 = {1, {field("a", real(LV_TYPE_F64, __builtin_nan("")))}};
    struct table nan2 = {1, {field("a", real(LV_TYPE_F64, -__builtin_nan("1")))}};

    (void)state;
    compare(&zero, &minus, true);
    compare(&nan1, &nan2, true);
}

static void long_tables_are_the_same_in_order_only(void **state)
{
    enum { COUNT = 300 };
    struct lv_table *a = lv_calloc(1, sizeof *a + COUNT * sizeof a->fields[0]);
    struct lv_table *b = lv_calloc(1, sizeof *b + COUNT * sizeof b->fields[0]);
    static const char names[COUNT + 1] = {1};

    (void)state;
    assert_non_null(a);
    assert_non_null(b);
    a->count = b->count = COUNT;
    for (uint32_t i = 0; i < COUNT; i++) {
        a->fields[i].name = lv_bytes(names, i);
        b->fields[COUNT - 1 - i].name = lv_bytes(names, i);
    }
    assert_true(lv_arguments_same(a, a));
    assert_false(lv_arguments_same(a, b));
    assert_true(lv_arguments_hash(a, &key) != lv_arguments_hash(b, &key));
    assert_in_range(lv_arguments_size(a), COUNT * COUNT / 2, 2 * COUNT * COUNT);
    lv_free(a);
    lv_free(b);
}

static void a_copy_has_a_size_and_may_fail(void **state)
{
    struct table inner = {1, {field("inner", lv_sim_string("0123456789"))}};
    struct table outer = {
        1, {field("outer", (struct lv_value){.type = LV_TYPE_TABLE, .table = table(&inner)})}};
    struct lv_table *copy;

    (void)state;
    assert_int_equal(lv_arguments_copy(NULL, &copy), 0);
    assert_null(copy);
    assert_int_equal(lv_arguments_size(NULL), 0);
    assert_int_equal(lv_arguments_copy(table(&outer), &copy), 0);
    assert_true(lv_arguments_same(copy, table(&outer)));
    assert_int_equal(lv_arguments_size(copy), lv_arguments_size(table(&outer)));
    assert_in_range(lv_arguments_size(copy), 100, 200);
    lv_free(copy);
    lv_alloc_fail_after(1, 0);
    assert_int_equal(lv_arguments_copy(table(&outer), &copy), -LV_E_NOMEM);
    lv_alloc_fail_after(0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_and_width_make_no_difference),
        cmocka_unit_test(every_value_makes_a_difference),
        cmocka_unit_test(equal_numbers_have_one_hash),
        cmocka_unit_test(long_tables_are_the_same_in_order_only),
        cmocka_unit_test(a_copy_has_a_size_and_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
