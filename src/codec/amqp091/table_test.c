#include "codec/amqp091/table.h"

#include "codec/testing.h"

#include <math.h>

#define ARENA_SIZE (8u << 20)

static struct lv_arena arena;

static int make_arena(void **state)
{
    (void)state;
    lv_arena_init(&arena, ARENA_SIZE);
    return 0;
}

static int free_arena(void **state)
{
    (void)state;
    lv_arena_fini(&arena);
    return 0;
}

/* What `text` says as a table, with the strings in a block that stays until the next call. */
static int decode(const char *text, const struct lv_table **ret_table, struct lv_diag *diag)
{
    static uint8_t *copy;
    struct lv_bytes bytes = golden(text);

    lv_free(copy);
    copy = exact_copy(bytes);
    return lv_amqp091_table_decode(lv_bytes(copy, bytes.size), &arena, ret_table, diag);
}

static void assert_encodes_as(const struct lv_table *table, struct lv_bytes want)
{
    size_t size = lv_amqp091_table_size(table);
    uint8_t *out = lv_alloc(size);

    assert_non_null(out);
    assert_true(lv_amqp091_table_encode(table, out) == out + size);
    assert_bytes_equal(lv_bytes(out, size), want);
    lv_free(out);
}

/* The value of a table with the one field `k`, whose type octet and value `text` says. It has to
 * encode as `sent`, or as `text` when that is NULL. */
static struct lv_value one_value(const char *text, const char *sent)
{
    const struct lv_table *table;
    char whole[256];

    snprintf(whole, sizeof whole, "01 'k' %s", text);
    assert_int_equal(lv_amqp091_table_check(golden(whole), NULL), 0);
    assert_int_equal(decode(whole, &table, NULL), 0);
    assert_int_equal(table->count, 1);
    assert_text_equal(table->fields[0].name, "k");
    if (sent != NULL)
        snprintf(whole, sizeof whole, "01 'k' %s", sent);
    assert_encodes_as(table, golden(whole));
    return table->fields[0].value;
}

static void integers_of_every_width_keep_width_and_sign(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        enum lv_type type;
        int64_t integer;
        const char *sent;
    } cases[] = {
        {"'b' 80", LV_TYPE_I8, -128, NULL},
        {"'B' 80", LV_TYPE_U8, 128, NULL},
        {"'s' ffff", LV_TYPE_I16, -1, NULL},
        {"'u' ffff", LV_TYPE_U16, 65535, NULL},
        {"'I' 80000000", LV_TYPE_I32, INT32_MIN, NULL},
        {"'i' 80000000", LV_TYPE_U32, 2147483648, NULL},
        {"'l' ffffffffffffff85", LV_TYPE_I64, -123, NULL},
        {"'L' ffffffffffffff85", LV_TYPE_I64, -123, "'l' ffffffffffffff85"},
        {"'T' 000000005f5e1000", LV_TYPE_TIMESTAMP, 1600000000, NULL},
    };

    for (size_t i = 0; i < LV_COUNT(cases); i++) {
        struct lv_value value = one_value(cases[i].bytes, cases[i].sent);
        assert_int_equal(value.type, cases[i].type);
        assert_true(value.integer == cases[i].integer);
    }
}

static void the_other_plain_types_keep_their_values(void **state)
{
    (void)state;
    struct lv_value value;

    assert_int_equal(one_value("'V'", NULL).type, LV_TYPE_VOID);
    assert_true(one_value("'t' 01", NULL).boolean);
    assert_false(one_value("'t' 00", NULL).boolean);
    assert_true(one_value("'t' 05", "'t' 01").boolean); /* any octet but 0 is true */
    value = one_value("'f' 3fc00000", NULL);
    assert_int_equal(value.type, LV_TYPE_F32);
    assert_true(fabs(value.real - 1.5) < 1e-9);
    value = one_value("'d' c004000000000000", NULL);
    assert_int_equal(value.type, LV_TYPE_F64);
    assert_true(fabs(value.real + 2.5) < 1e-9);
    value = one_value("'D' 02 fffffed4", NULL);
    assert_int_equal(value.type, LV_TYPE_DECIMAL);
    assert_int_equal(value.scale, 2);
    assert_true(value.integer == -300);
}

static void strings_and_binaries_are_views(void **state)
{
    (void)state;
    struct lv_value value = one_value("'S' 00000005 'hello'", NULL);

    assert_int_equal(value.type, LV_TYPE_STRING);
    assert_text_equal(value.bytes, "hello");
    value = one_value("'x' 00000003 00 ff 01", NULL);
    assert_int_equal(value.type, LV_TYPE_BINARY);
    assert_bytes_equal(value.bytes, golden("00 ff 01"));
    assert_int_equal(one_value("'S' 00000000", NULL).bytes.size, 0);
}

static void tables_and_arrays_nest(void **state)
{
    (void)state;
    struct lv_value value =
        one_value("'A' 00000010 't' 01 'F' 00000004 01 'x' 'B' 07 'A' 00000000", NULL);
    const struct lv_table *array = value.table;

    assert_int_equal(value.type, LV_TYPE_ARRAY);
    assert_int_equal(array->count, 3);
    assert_int_equal(array->fields[0].name.size, 0);
    assert_int_equal(array->fields[0].value.type, LV_TYPE_BOOL);
    assert_int_equal(array->fields[1].value.type, LV_TYPE_TABLE);
    assert_true(lv_table_get(array->fields[1].value.table, "x")->integer == 7);
    assert_int_equal(array->fields[2].value.type, LV_TYPE_ARRAY);
    assert_int_equal(array->fields[2].value.table->count, 0);
}

static void empty_tables_of_both_kinds_are_empty(void **state)
{
    (void)state;
    const struct lv_table *table;

    assert_int_equal(lv_amqp091_table_decode(lv_bytes(NULL, 0), &arena, &table, NULL), 0);
    assert_int_equal(table->count, 0);
    assert_int_equal(lv_amqp091_table_check(lv_bytes(NULL, 0), NULL), 0);
    assert_encodes_as(table, lv_bytes(NULL, 0));
    assert_encodes_as(NULL, lv_bytes(NULL, 0));
}

static void order_and_duplicates_stay(void **state)
{
    (void)state;
    static const char text[] = "01 'b' 'B' 01 01 'a' 'B' 02 01 'b' 'B' 03";
    const struct lv_table *table;

    assert_int_equal(decode(text, &table, NULL), 0);
    assert_int_equal(table->count, 3);
    assert_true(lv_table_get(table, "b")->integer == 1);
    assert_encodes_as(table, golden(text));
}

static void every_unknown_type_is_refused(void **state)
{
    (void)state;
    unsigned known = 0;

    for (unsigned octet = 0; octet <= UINT8_MAX; octet++) {
        uint8_t entries[11] = {1, 'k', (uint8_t)octet};
        struct lv_diag diag;
        if (memchr("VtbBsuIilLfdDTSxAF", (int)octet, 18) != NULL) {
            known++;
            continue;
        }
        assert_int_equal(lv_amqp091_table_check(lv_bytes(entries, sizeof entries), &diag),
                         -LV_E_BAD_FRAME);
        assert_starts_with(diag.text, "cannot decode <<1,107,");
    }
    assert_int_equal(known, 18);
}

static void malformed_entries_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "01",                             /* name cut */
        "01 'k'",                         /* no type */
        "02 'k' 't' 01",                  /* the name takes the type */
        "01 'k' 'I' 000000",              /* number cut */
        "01 'k' 'S' 000000",              /* length cut */
        "01 'k' 'S' 00000002 'a'",        /* string cut */
        "01 'k' 'S' ffffffff 'a'",        /* length beyond all */
        "01 'k' 'F' 00000003 01 'a' 't'", /* inner value cut */
        "01 'k' 'A' 00000001 'I'",        /* inner value cut */
        "01 'k' 'A' 00000003 01 'a' 'V'", /* names in an array */
        "01 'k' 'V' 00 't' 01 00",        /* a second field cut */
    };

    for (size_t i = 0; i < LV_COUNT(bad); i++) {
        const struct lv_table *table = NULL;
        struct lv_diag diag;
        assert_int_equal(lv_amqp091_table_check(golden(bad[i]), NULL), -LV_E_BAD_FRAME);
        assert_int_equal(decode(bad[i], &table, &diag), -LV_E_BAD_FRAME);
        assert_starts_with(diag.text, "cannot decode <<");
        assert_null(table);
    }
}

/* Entries in which the innermost of `depth` tables is empty. */
static struct lv_bytes nested(unsigned depth, uint8_t octet)
{
    static uint8_t entries[1024];
    size_t name = octet == 'F' ? 1 : 0; /* arrays are in one table, which counts too */
    uint8_t *p = entries;

    for (unsigned inside = depth - 1; inside > 0; inside--) {
        bool named = name > 0 || inside == depth - 1;
        if (named)
            p = lv_put8(p, 0);
        p = lv_put32(lv_put8(p, octet), (inside - 1) * (uint32_t)(5 + name));
    }
    return lv_bytes(entries, (size_t)(p - entries));
}

static void depth_is_limited(void **state)
{
    (void)state;
    static const uint8_t kinds[] = {'F', 'A'};

    for (size_t i = 0; i < sizeof kinds; i++) {
        const struct lv_table *table;
        struct lv_diag diag;
        struct lv_bytes deepest = nested(LV_AMQP091_TABLE_DEPTH_MAX, kinds[i]);
        assert_int_equal(lv_amqp091_table_check(deepest, NULL), 0);
        assert_int_equal(lv_amqp091_table_decode(deepest, &arena, &table, NULL), 0);
        assert_encodes_as(table, deepest);
        deepest = nested(LV_AMQP091_TABLE_DEPTH_MAX + 1, kinds[i]);
        assert_int_equal(lv_amqp091_table_check(deepest, &diag), -LV_E_BAD_FRAME);
        assert_non_null(strstr(diag.text, "tables are nested too deeply"));
        assert_int_equal(lv_amqp091_table_decode(deepest, &arena, &table, NULL), -LV_E_BAD_FRAME);
    }
}

static void the_number_of_fields_is_limited(void **state)
{
    (void)state;
    size_t size = 1 + 1 + 4 + LV_AMQP091_TABLE_FIELDS_MAX; /* an array of voids */
    uint8_t *entries = lv_alloc(size);
    const struct lv_table *table;
    struct lv_diag diag;

    assert_non_null(entries);
    memset(entries, 'V', size);
    lv_put32(lv_put8(lv_put8(entries, 0), 'A'), LV_AMQP091_TABLE_FIELDS_MAX - 1);
    /* The array itself is a field, too. */
    assert_int_equal(lv_amqp091_table_check(lv_bytes(entries, size - 1), NULL), 0);
    lv_arena_reset(&arena);
    assert_int_equal(lv_amqp091_table_decode(lv_bytes(entries, size - 1), &arena, &table, NULL), 0);
    lv_put32(entries + 2, LV_AMQP091_TABLE_FIELDS_MAX);
    assert_int_equal(lv_amqp091_table_check(lv_bytes(entries, size), &diag), -LV_E_BAD_FRAME);
    assert_non_null(strstr(diag.text, "a table has too many fields"));
    assert_int_equal(lv_amqp091_table_decode(lv_bytes(entries, size), &arena, &table, NULL),
                     -LV_E_BAD_FRAME);
    lv_free(entries);
    lv_arena_reset(&arena);
}

static void an_arena_used_up_is_out_of_memory(void **state)
{
    (void)state;
    struct lv_bytes entries = golden("01 'a' 'F' 00000004 01 'b' 'B' 01 01 'c' 'B' 02");
    const struct lv_table *table = NULL;
    struct lv_arena small;
    size_t limit = 0;
    int rc;

    do {
        lv_arena_init(&small, limit++);
        rc = lv_amqp091_table_decode(entries, &small, &table, NULL);
        lv_arena_fini(&small);
        assert_true(rc == 0 || rc == -LV_E_NOMEM);
        assert_true(rc == 0 || table == NULL);
    } while (rc != 0);
    assert_true(limit > 3 * sizeof(struct lv_field)); /* it did fail, for both tables */
}

static void single_fields_come_one_by_one(void **state)
{
    (void)state;
    struct lv_bytes entries = golden("01 'a' 'S' 00000002 'hi' 02 'bc' 'I' 00000007");
    struct lv_amqp091_field field;

    assert_int_equal(lv_amqp091_field_next(&entries, &field, NULL), 1);
    assert_text_equal(field.name, "a");
    assert_int_equal(field.octet, 'S');
    assert_text_equal(field.value, "hi");
    assert_int_equal(lv_amqp091_field_next(&entries, &field, NULL), 1);
    assert_text_equal(field.name, "bc");
    assert_int_equal(field.octet, 'I');
    assert_bytes_equal(field.value, golden("00000007"));
    assert_int_equal(lv_amqp091_field_next(&entries, &field, NULL), 0);
}

static struct lv_table *random_table(struct lv_random *random, bool named, unsigned depth);

/* A random value of the type; the union's other members are the numbers it is made of. */
static struct lv_value random_value(struct lv_random *random, unsigned depth)
{
    struct lv_value value = {.type = (enum lv_type)lv_random_below(random, LV_TYPE_COUNT)};
    uint8_t *letters;

    switch (value.type) {
    case LV_TYPE_VOID:
        break;
    case LV_TYPE_BOOL:
        value.boolean = lv_random_below(random, 2) == 1;
        break;
    case LV_TYPE_F32:
    case LV_TYPE_F64:
        value.real = (double)lv_random_below(random, 1000) / 8;
        break;
    case LV_TYPE_STRING:
    case LV_TYPE_BINARY:
        value.bytes.size = lv_random_below(random, 20);
        letters = lv_arena_alloc(&arena, value.bytes.size + 1);
        assert_non_null(letters);
        put_letters(random, letters, value.bytes.size);
        value.bytes.data = letters;
        break;
    case LV_TYPE_ARRAY:
    case LV_TYPE_TABLE:
        if (depth == 4)
            return (struct lv_value){.type = LV_TYPE_VOID};
        value.table = random_table(random, value.type == LV_TYPE_TABLE, depth + 1);
        break;
    default:
        value.scale = (uint8_t)lv_random_below(random, 10);
        value.integer = (int64_t)lv_random_next(random);
    }
    return value;
}

static struct lv_table *random_table(struct lv_random *random, bool named, unsigned depth)
{
    size_t count = lv_random_below(random, 6);
    struct lv_table *table =
        lv_arena_alloc(&arena, sizeof *table + count * sizeof table->fields[0]);

    assert_non_null(table);
    table->count = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        uint8_t *name = lv_arena_alloc(&arena, 8);
        assert_non_null(name);
        put_letters(random, name, 8);
        table->fields[i].name = lv_bytes(name, named ? lv_random_below(random, 9) : 0);
        table->fields[i].value = random_value(random, depth);
    }
    return table;
}

static void random_tables_stay_what_they_are(void **state)
{
    (void)state;
    struct lv_random random;

    lv_random_seed(&random, 11);
    for (int i = 0; i < 500; i++) {
        const struct lv_table *table, *again;
        size_t size;
        uint8_t *entries;

        lv_arena_reset(&arena);
        table = random_table(&random, true, 1);
        size = lv_amqp091_table_size(table);
        entries = lv_alloc(size);
        assert_non_null(entries);
        assert_true(lv_amqp091_table_encode(table, entries) == entries + size);
        assert_int_equal(lv_amqp091_table_check(lv_bytes(entries, size), NULL), 0);
        assert_int_equal(lv_amqp091_table_decode(lv_bytes(entries, size), &arena, &again, NULL), 0);
        assert_encodes_as(again, lv_bytes(entries, size));
        lv_free(entries);
    }
}

/* Both answers to the same bytes in a block of their own; they have to agree. */
static int verdict(struct lv_bytes bytes)
{
    uint8_t *copy = exact_copy(bytes);
    const struct lv_table *table;
    int checked = lv_amqp091_table_check(lv_bytes(copy, bytes.size), NULL);

    assert_int_equal(lv_amqp091_table_decode(lv_bytes(copy, bytes.size), &arena, &table, NULL),
                     checked);
    lv_free(copy);
    return checked;
}

static void cut_or_damaged_tables_are_read_inside_their_bounds(void **state)
{
    (void)state;
    struct lv_random random;
    int refused = 0;

    lv_random_seed(&random, 12);
    for (int i = 0; i < 200; i++) {
        const struct lv_table *table;
        size_t size;
        uint8_t *entries;

        lv_arena_reset(&arena);
        table = random_table(&random, true, 1);
        size = lv_amqp091_table_size(table);
        entries = lv_alloc(size + 1);
        assert_non_null(entries);
        lv_amqp091_table_encode(table, entries);
        for (size_t cut = 0; cut < size; cut++)
            refused += verdict(lv_bytes(entries, cut)) < 0;
        for (int j = 0; j < 20 && size > 0; j++) {
            entries[lv_random_below(&random, size)] ^= (uint8_t)(1u << lv_random_below(&random, 8));
            refused += verdict(lv_bytes(entries, size)) < 0;
        }
        lv_free(entries);
    }
    assert_true(refused > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_of_every_width_keep_width_and_sign),
        cmocka_unit_test(the_other_plain_types_keep_their_values),
        cmocka_unit_test(strings_and_binaries_are_views),
        cmocka_unit_test(tables_and_arrays_nest),
        cmocka_unit_test(empty_tables_of_both_kinds_are_empty),
        cmocka_unit_test(order_and_duplicates_stay),
        cmocka_unit_test(every_unknown_type_is_refused),
        cmocka_unit_test(malformed_entries_are_refused),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(the_number_of_fields_is_limited),
        cmocka_unit_test(an_arena_used_up_is_out_of_memory),
        cmocka_unit_test(single_fields_come_one_by_one),
        cmocka_unit_test(random_tables_stay_what_they_are),
        cmocka_unit_test(cut_or_damaged_tables_are_read_inside_their_bounds),
    };
    return cmocka_run_group_tests_name("codec amqp091 table", tests, make_arena, free_arena);
}
