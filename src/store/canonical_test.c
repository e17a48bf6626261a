#include "store/canonical.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct lv_arena arena;

static int set_up(void **state)
{
    (void)state;
    lv_arena_init(&arena, 1 << 26);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    lv_alloc_fail_after(0, 0);
    lv_arena_fini(&arena);
    return 0;
}

static struct lv_table *table_of(uint32_t count, const struct lv_field *fields)
{
    struct lv_table *table =
        lv_arena_alloc(&arena, sizeof *table + count * sizeof table->fields[0]);

    assert_non_null(table);
    table->count = count;
    if (count > 0)
        memcpy(table->fields, fields, count * sizeof *fields);
    return table;
}

#define TABLE(...)                                                                                 \
    table_of(LV_COUNT(((struct lv_field[]){__VA_ARGS__})), (struct lv_field[]){__VA_ARGS__})

static struct lv_field integer(const char *name, enum lv_type type, int64_t number)
{
    return (struct lv_field){lv_text(name), {.type = type, .integer = number}};
}

static struct lv_field real(const char *name, enum lv_type type, double number)
{
    return (struct lv_field){lv_text(name), {.type = type, .real = number}};
}

static struct lv_field nested(const char *name, enum lv_type type, const struct lv_table *table)
{
    return (struct lv_field){lv_text(name), {.type = type, .table = table}};
}

static struct lv_bytes pack(const struct lv_table *table)
{
    struct lv_bytes bytes;

    assert_int_equal(lv_canonical_pack(table, &arena, &bytes), 0);
    return bytes;
}

static bool same(const struct lv_table *a, const struct lv_table *b)
{
    return lv_bytes_equal(pack(a), pack(b));
}

static void an_empty_table_takes_no_bytes(void **state)
{
    (void)state;
    assert_int_equal(pack(NULL).size, 0);
    assert_int_equal(pack(table_of(0, NULL)).size, 0);
    assert_int_not_equal(pack(TABLE(integer("a", LV_TYPE_I8, 0))).size, 0);
}

static void order_and_widths_do_not_count(void **state)
{
    struct lv_field one = integer("one", LV_TYPE_I8, 1), wide = integer("one", LV_TYPE_U32, 1);
    struct lv_field half = real("half", LV_TYPE_F32, 0.5);
    struct lv_field wide_half = real("half", LV_TYPE_F64, 0.5);

    (void)state;
    assert_true(same(TABLE(one, half), TABLE(wide_half, wide)));
    assert_false(same(TABLE(one, half), TABLE(one)));
    assert_false(same(TABLE(one), TABLE(integer("one", LV_TYPE_I8, 2))));
    assert_false(same(TABLE(one), TABLE(integer("one", LV_TYPE_TIMESTAMP, 1))));
    assert_false(same(TABLE(one), TABLE(real("one", LV_TYPE_F64, 1))));
    assert_false(same(TABLE(one), TABLE(integer("on", LV_TYPE_I8, 1))));
}

static void of_fields_with_one_name_the_first_counts(void **state)
{
    struct lv_field a = integer("a", LV_TYPE_I8, 1), b = integer("b", LV_TYPE_I8, 1);
    struct lv_field other = integer("a", LV_TYPE_I8, 2);

    (void)state;
    assert_true(same(TABLE(a, b), TABLE(b, a, other)));
    assert_false(same(TABLE(a, b), TABLE(b, other, a)));
}

static void there_is_one_zero_and_one_nan(void **state)
{
    (void)state;
    assert_true(same(TABLE(real("r", LV_TYPE_F64, 0.0)), TABLE(real("r", LV_TYPE_F64, -0.0))));
    assert_true(same(TABLE(real("r", LV_TYPE_F64, (double)NAN)),
                     TABLE(real("r", LV_TYPE_F32, -(double)NAN))));
}

static void arrays_keep_their_order_and_tables_in_them_do_not(void **state)
{
    struct lv_field a = integer("a", LV_TYPE_I8, 1), b = integer("b", LV_TYPE_I8, 2);
    struct lv_field ab = nested("", LV_TYPE_TABLE, TABLE(a, b));
    struct lv_field ba = nested("", LV_TYPE_TABLE, TABLE(b, a));
    struct lv_field one = integer("", LV_TYPE_I8, 1);

    (void)state;
    assert_true(same(TABLE(nested("x", LV_TYPE_ARRAY, TABLE(ab, one))),
                     TABLE(nested("x", LV_TYPE_ARRAY, TABLE(ba, one)))));
    assert_false(same(TABLE(nested("x", LV_TYPE_ARRAY, TABLE(ab, one))),
                      TABLE(nested("x", LV_TYPE_ARRAY, TABLE(one, ab)))));
    assert_true(same(TABLE(nested("x", LV_TYPE_ARRAY, NULL)),
                     TABLE(nested("x", LV_TYPE_ARRAY, table_of(0, NULL)))));
}

static struct lv_value random_value(struct lv_random *random, unsigned depth);

/* Names, types and numbers are few, so that many tables are equal. */
static const struct lv_table *random_table(struct lv_random *random, bool named, unsigned depth)
{
    static const char *const names[] = {"a", "b", "aa", ""};
    uint32_t count = (uint32_t)lv_random_below(random, 4);
    struct lv_table *table = table_of(0, NULL);

    if (count == 0)
        return lv_random_below(random, 2) == 0 ? NULL : table;
    table = lv_arena_alloc(&arena, sizeof *table + count * sizeof table->fields[0]);
    assert_non_null(table);
    table->count = count;
    for (uint32_t i = 0; i < count; i++) {
        table->fields[i].name = lv_text(named ? names[lv_random_below(random, 4)] : "");
        table->fields[i].value = random_value(random, depth);
    }
    return table;
}

static struct lv_value random_value(struct lv_random *random, unsigned depth)
{
    static const enum lv_type types[] = {LV_TYPE_I8,    LV_TYPE_I32,  LV_TYPE_F32,
                                         LV_TYPE_F64,   LV_TYPE_BOOL, LV_TYPE_STRING,
                                         LV_TYPE_TABLE, LV_TYPE_ARRAY};
    struct lv_value value = {.type = types[lv_random_below(random, depth > 1 ? 6 : 8)]};

    if (value.type == LV_TYPE_TABLE || value.type == LV_TYPE_ARRAY)
        value.table = random_table(random, value.type == LV_TYPE_TABLE, depth + 1);
    else if (value.type == LV_TYPE_STRING)
        value.bytes = lv_text(lv_random_below(random, 2) == 0 ? "x" : "");
    else if (value.type == LV_TYPE_F32 || value.type == LV_TYPE_F64)
        value.real = lv_random_below(random, 2) == 0 ? -0.0 : 0.0;
    else if (value.type == LV_TYPE_BOOL)
        value.boolean = lv_random_below(random, 2) == 0;
    else
        value.integer = (int64_t)lv_random_below(random, 2);
    return value;
}

static void the_bytes_are_the_same_exactly_when_the_values_are_equal(void **state)
{
    struct lv_random random;
    unsigned equal_count = 0;

    (void)state;
    lv_random_seed(&random, 42);
    for (int i = 0; i < 60000; i++) {
        struct lv_value a = {.type = LV_TYPE_TABLE, .table = random_table(&random, true, 0)};
        struct lv_value b = {.type = LV_TYPE_TABLE, .table = random_table(&random, true, 0)};
        bool equal = lv_value_equal(&a, &b);

        assert_int_equal(same(a.table, b.table), equal);
        equal_count += equal;
        lv_arena_reset(&arena);
    }
    assert_in_range(equal_count, 2000, 30000);
}

/* As the broker compares them. */
static void very_long_tables_are_taken_in_order(void **state)
{
    enum { COUNT = 300 };
    static char names[COUNT][8];
    struct lv_field fields[COUNT];
    struct lv_table *rising, *falling;

    (void)state;
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(names[i], sizeof names[i], "%03d", i);
        fields[i] = integer(names[i], LV_TYPE_I32, i);
    }
    rising = table_of(COUNT, fields);
    for (int i = 0; i < COUNT; i++)
        fields[i] = integer(names[COUNT - 1 - i], LV_TYPE_I64, COUNT - 1 - i);
    falling = table_of(COUNT, fields);
    assert_false(same(rising, falling));
    rising->count = falling->count = 256;
    falling->fields[0] = rising->fields[0]; /* these two have no names in common but one */
    assert_false(same(rising, falling));
    for (uint32_t i = 0; i < 256; i++)
        falling->fields[i] = rising->fields[255 - i];
    assert_true(same(rising, falling));
}

static void memory_that_runs_out_is_told(void **state)
{
    const struct lv_table *table = TABLE(integer("b", LV_TYPE_I8, 1), integer("a", LV_TYPE_I8, 1));
    struct lv_bytes bytes;
    struct lv_arena small;
    size_t limit = 0;
    int rc;

    (void)state;
    do {
        lv_arena_init(&small, limit);
        rc = lv_canonical_pack(table, &small, &bytes);
        lv_arena_fini(&small);
        assert_true(rc == 0 || rc == -LV_E_NOMEM);
        limit += 8;
    } while (rc < 0);
    assert_in_range(limit, 100, 300);
}

int main(void)
{
#define WITH_ARENA(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_ARENA(an_empty_table_takes_no_bytes),
        WITH_ARENA(order_and_widths_do_not_count),
        WITH_ARENA(of_fields_with_one_name_the_first_counts),
        WITH_ARENA(there_is_one_zero_and_one_nan),
        WITH_ARENA(arrays_keep_their_order_and_tables_in_them_do_not),
        WITH_ARENA(the_bytes_are_the_same_exactly_when_the_values_are_equal),
        WITH_ARENA(very_long_tables_are_taken_in_order),
        WITH_ARENA(memory_that_runs_out_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
