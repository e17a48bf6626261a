#include "base/pack.h"

#include "base/err.h"
#include "base/random.h"
#include "base/testing.h"

#include <math.h>

#define SIZE_MAX_OF_TEST 4096u

#define TABLE(...)                                                                                 \
    table_of(LV_COUNT(((struct lv_field[]){__VA_ARGS__})), (struct lv_field[]){__VA_ARGS__})

static struct lv_field integer(const char *name, enum lv_type type, int64_t number)
{
    return (struct lv_field){lv_text(name), {.type = type, .integer = number}};
}

static struct lv_field bytes_field(const char *name, enum lv_type type, const void *data,
                                   size_t size)
{
    return (struct lv_field){lv_text(name), {.type = type, .bytes = lv_bytes(data, size)}};
}

static struct lv_field nested(const char *name, enum lv_type type, const struct lv_table *table)
{
    return (struct lv_field){lv_text(name), {.type = type, .table = table}};
}

static struct lv_field real(const char *name, enum lv_type type, double number)
{
    return (struct lv_field){lv_text(name), {.type = type, .real = number}};
}

/* One of everything, tables in arrays in tables. */
static const struct lv_table *everything(void)
{
    struct lv_table *array =
        TABLE(integer("", LV_TYPE_U8, 255), bytes_field("", LV_TYPE_STRING, "in", 2),
              nested("", LV_TYPE_TABLE, TABLE(integer("deep", LV_TYPE_I16, -2))),
              nested("", LV_TYPE_ARRAY, NULL));

    return TABLE(
        ((struct lv_field){lv_text("void"), {.type = LV_TYPE_VOID}}),
        ((struct lv_field){lv_text("yes"), {.type = LV_TYPE_BOOL, .boolean = true}}),
        ((struct lv_field){lv_text("no"), {.type = LV_TYPE_BOOL, .boolean = false}}),
        integer("i8", LV_TYPE_I8, -128), integer("u8", LV_TYPE_U8, 255),
        integer("i16", LV_TYPE_I16, -32768), integer("u16", LV_TYPE_U16, 65535),
        integer("i32", LV_TYPE_I32, INT32_MIN), integer("u32", LV_TYPE_U32, UINT32_MAX),
        integer("i64", LV_TYPE_I64, INT64_MIN), integer("time", LV_TYPE_TIMESTAMP, INT64_MAX),
        real("f32", LV_TYPE_F32, 0.5), real("f64", LV_TYPE_F64, 0.1),
        real("nan", LV_TYPE_F64, (double)NAN), real("zero", LV_TYPE_F64, -0.0),
        ((struct lv_field){lv_text("decimal"),
                           {.type = LV_TYPE_DECIMAL, .scale = 200, .integer = -314}}),
        bytes_field("binary", LV_TYPE_BINARY, "\0\xff\x80", 3),
        bytes_field("empty", LV_TYPE_STRING, "", 0), bytes_field("", LV_TYPE_STRING, "x", 1),
        integer("yes", LV_TYPE_I32, 2), nested("array", LV_TYPE_ARRAY, array),
        nested("table", LV_TYPE_TABLE, TABLE(nested("array", LV_TYPE_ARRAY, array))),
        nested("none", LV_TYPE_TABLE, NULL));
}

static struct lv_bytes packed(const struct lv_table *table)
{
    uint32_t size = lv_table_packed_size(table);
    uint8_t *bytes = lv_arena_alloc(&arena, size);

    assert_non_null(bytes);
    assert_ptr_equal(lv_table_pack(table, bytes), bytes + size);
    return lv_bytes(bytes, size);
}

/* Also types and widths, order and NULL for an empty one; reals bit by bit. */
static void assert_identical(const struct lv_table *a, const struct lv_table *b)
{
    assert_int_equal(a == NULL ? 0 : a->count, b == NULL ? 0 : b->count);
    for (uint32_t i = 0; a != NULL && i < a->count; i++) {
        const struct lv_value *one = &a->fields[i].value;
        const struct lv_value *other = &b->fields[i].value;

        assert_true(lv_bytes_equal(a->fields[i].name, b->fields[i].name));
        assert_int_equal(one->type, other->type);
        if (one->type == LV_TYPE_ARRAY || one->type == LV_TYPE_TABLE)
            assert_identical(one->table, other->table);
        else if (one->type == LV_TYPE_F32 || one->type == LV_TYPE_F64)
            assert_memory_equal(&one->real, &other->real, sizeof one->real);
        else
            assert_true(lv_value_equal(one, other));
        assert_int_equal(one->scale, other->scale);
    }
}

static void what_comes_back_is_what_went_in(void **state)
{
    const struct lv_table *table = everything();
    struct lv_bytes bytes = packed(table);
    struct lv_table *back = NULL;

    (void)state;
    assert_int_equal(lv_table_unpack(bytes, &arena, &back), 0);
    assert_identical(table, back);
    assert_true(lv_bytes_equal(packed(back), bytes));
}

static void the_bytes_are_those_of_the_format(void **state)
{
    static const uint8_t golden[] = {2,
                                     0,
                                     0,
                                     0, /* two fields */
                                     1,
                                     0,
                                     0,
                                     0,
                                     'n',
                                     LV_TYPE_I32,
                                     5,
                                     1,
                                     0,
                                     0,
                                     0,
                                     0,
                                     0,
                                     0, /* n = 261 */
                                     2,
                                     0,
                                     0,
                                     0,
                                     'a',
                                     'b',
                                     LV_TYPE_ARRAY,
                                     2,
                                     0,
                                     0,
                                     0, /* ab = two values */
                                     LV_TYPE_BOOL,
                                     1,
                                     LV_TYPE_STRING,
                                     1,
                                     0,
                                     0,
                                     0,
                                     's'};
    const struct lv_table *array =
        TABLE(((struct lv_field){lv_text(""), {.type = LV_TYPE_BOOL, .boolean = true}}),
              bytes_field("", LV_TYPE_STRING, "s", 1));
    const struct lv_table *table =
        TABLE(integer("n", LV_TYPE_I32, 261), nested("ab", LV_TYPE_ARRAY, array));

    (void)state;
    assert_true(lv_bytes_equal(packed(table), lv_bytes(golden, sizeof golden)));
}

static void no_table_packs_like_an_empty_one(void **state)
{
    struct lv_table *back = table_of(0, NULL);

    (void)state;
    assert_true(lv_bytes_equal(packed(NULL), packed(back)));
    assert_true(lv_bytes_equal(packed(NULL), lv_bytes("\0\0\0\0", 4)));
    assert_int_equal(lv_table_unpack(packed(NULL), &arena, &back), 0);
    assert_null(back);
}

/* A copy of its own size, so that a sanitizer sees a read behind it. */
static int unpack_copy(struct lv_bytes bytes)
{
    uint8_t *copy = lv_alloc(bytes.size);
    struct lv_arena own;
    struct lv_table *table;
    int rc;

    assert_non_null(copy);
    lv_put_bytes(copy, bytes);
    lv_arena_init(&own, 64 * SIZE_MAX_OF_TEST);
    rc = lv_table_unpack(lv_bytes(copy, bytes.size), &own, &table);
    if (rc == 0) /* whatever it is now, it can be packed again */
        assert_int_equal(lv_table_packed_size(table), bytes.size);
    lv_arena_fini(&own);
    lv_free(copy);
    return rc;
}

static void every_truncation_is_told(void **state)
{
    struct lv_bytes bytes = packed(everything());

    (void)state;
    assert_true(bytes.size < SIZE_MAX_OF_TEST);
    for (size_t size = 0; size < bytes.size; size++)
        assert_int_equal(unpack_copy(lv_bytes(bytes.data, size)), -LV_E_CORRUPT);
    assert_int_equal(unpack_copy(bytes), 0);
}

static void bytes_behind_the_table_are_told(void **state)
{
    struct lv_bytes bytes = packed(everything());
    uint8_t longer[SIZE_MAX_OF_TEST] = {0};

    (void)state;
    assert_true(bytes.size < sizeof longer);
    lv_put_bytes(longer, bytes);
    assert_int_equal(unpack_copy(lv_bytes(longer, bytes.size + 1)), -LV_E_CORRUPT);
}

/* What still reads as a table packs to the very bytes it was read from: there is one encoding. */
static void a_flipped_bit_is_told_or_gives_another_table(void **state)
{
    struct lv_bytes bytes = packed(everything());
    uint8_t flipped[SIZE_MAX_OF_TEST];

    (void)state;
    lv_put_bytes(flipped, bytes);
    for (size_t bit = 0; bit < bytes.size * 8; bit++) {
        struct lv_table *table;
        int rc;

        flipped[bit / 8] ^= (uint8_t)(1u << bit % 8);
        rc = lv_table_unpack(lv_bytes(flipped, bytes.size), &arena, &table);
        assert_true(rc == 0 || rc == -LV_E_CORRUPT);
        if (rc == 0)
            assert_memory_equal(packed(table).data, flipped, bytes.size);
        assert_int_equal(unpack_copy(lv_bytes(flipped, bytes.size)), rc);
        flipped[bit / 8] ^= (uint8_t)(1u << bit % 8);
        lv_arena_reset(&arena);
        bytes = packed(everything());
    }
}

static void noise_never_crashes_and_takes_little_memory(void **state)
{
    struct lv_random random;
    uint8_t noise[64];

    (void)state;
    lv_random_seed(&random, 4711);
    for (int i = 0; i < 20000; i++) {
        size_t size = lv_random_below(&random, sizeof noise);
        struct lv_arena own;
        struct lv_table *table;
        int rc;

        for (size_t at = 0; at < size; at++)
            noise[at] = (uint8_t)lv_random_below(&random, at % 4 == 0 ? 20 : 2);
        lv_arena_init(&own, 48 * sizeof noise);
        rc = lv_table_unpack(lv_bytes(noise, size), &own, &table);
        assert_true(rc == 0 || rc == -LV_E_CORRUPT);
        lv_arena_fini(&own);
    }
}

static void damaged_counts_ask_for_no_memory(void **state)
{
    uint8_t many[] = {0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0};
    uint8_t nest[600];
    struct lv_table *table;

    (void)state;
    lv_arena_reset(&arena);
    assert_int_equal(lv_table_unpack(lv_bytes(many, sizeof many), &arena, &table), -LV_E_CORRUPT);
    assert_int_equal(arena.used, 0);
    /* Arrays in arrays, and each claims all that follows as its fields. */
    for (size_t i = 0; i < sizeof nest; i += 5) {
        uint32_t rest = (uint32_t)(sizeof nest - i);
        nest[i] = LV_TYPE_ARRAY;
        memcpy(nest + i + 1, &rest, sizeof rest);
    }
    memcpy(nest, "\x01\0\0\0\0\0\0\0", 8);
    nest[8] = LV_TYPE_ARRAY;
    memcpy(nest + 9, "\xff\1\0\0", 4);
    assert_int_equal(lv_table_unpack(lv_bytes(nest, sizeof nest), &arena, &table), -LV_E_CORRUPT);
    assert_true(arena.used <= 48 * sizeof nest);
}

/* `depth` tables, each in the one before. */
static const struct lv_table *nest(unsigned depth)
{
    const struct lv_table *table = TABLE(integer("in", LV_TYPE_I8, 1));

    for (unsigned i = 1; i < depth; i++)
        table = TABLE(nested("t", LV_TYPE_TABLE, table));
    return table;
}

static void tables_nest_as_deep_as_the_limit(void **state)
{
    struct lv_table *table = NULL;

    (void)state;
    assert_int_equal(lv_table_unpack(packed(nest(LV_PACK_DEPTH_MAX)), &arena, &table), 0);
    assert_identical(table, nest(LV_PACK_DEPTH_MAX));
    assert_int_equal(lv_table_unpack(packed(nest(LV_PACK_DEPTH_MAX + 1)), &arena, &table),
                     -LV_E_CORRUPT);
}

static void memory_that_runs_out_is_told(void **state)
{
    struct lv_bytes bytes = packed(everything());
    struct lv_table *table = NULL;
    struct lv_arena own;

    (void)state;
    for (size_t limit = 0; limit < 900; limit += 100) {
        lv_arena_init(&own, limit);
        assert_int_equal(lv_table_unpack(bytes, &own, &table), -LV_E_NOMEM);
        lv_arena_fini(&own);
    }
    lv_arena_init(&own, 1 << 20);
    lv_alloc_fail_after(1, 0);
    assert_int_equal(lv_table_unpack(bytes, &own, &table), -LV_E_NOMEM);
    lv_arena_fini(&own);
    assert_null(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ARENA(what_comes_back_is_what_went_in),
        WITH_ARENA(the_bytes_are_those_of_the_format),
        WITH_ARENA(no_table_packs_like_an_empty_one),
        WITH_ARENA(every_truncation_is_told),
        WITH_ARENA(bytes_behind_the_table_are_told),
        WITH_ARENA(a_flipped_bit_is_told_or_gives_another_table),
        WITH_ARENA(noise_never_crashes_and_takes_little_memory),
        WITH_ARENA(damaged_counts_ask_for_no_memory),
        WITH_ARENA(tables_nest_as_deep_as_the_limit),
        WITH_ARENA(memory_that_runs_out_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
