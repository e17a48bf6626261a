#include "store/canonical.h"

#include "base/err.h"
#include "base/pack.h"

/* Longer tables are compared in order (base/value.c). */
#define UNORDERED_COUNT_MAX 256u

/* Fields of one name in the order in which they came, since the first one counts: both lie in one
 * table. */
static int compare(const void *left, const void *right)
{
    const struct lv_field *a = *(const struct lv_field *const *)left;
    const struct lv_field *b = *(const struct lv_field *const *)right;
    size_t size = a->name.size < b->name.size ? a->name.size : b->name.size;
    int order = size > 0 ? memcmp(a->name.data, b->name.data, size) : 0;

    assert(a != b);
    if (order == 0 && a->name.size != b->name.size)
        return a->name.size < b->name.size ? -1 : 1;
    return order != 0 ? order : a < b ? -1 : 1;
}

/* There are two zeros and many NaNs, each kind equal among themselves. */
static double canonical_real(double real)
{
    if (real != real)
        return (double)__builtin_nanf("");
    return real == 0 ? 0 : real;
}

static int make_table(const struct lv_table *table, bool named, struct lv_arena *arena,
                      const struct lv_table **ret_table);

/* In place. */
static int make_value(struct lv_value *value, struct lv_arena *arena)
{
    assert(value->type < LV_TYPE_COUNT);
    if (lv_value_is_integer(value))
        value->type = LV_TYPE_I64;
    if (value->type == LV_TYPE_F32)
        value->type = LV_TYPE_F64;
    if (value->type == LV_TYPE_F64)
        value->real = canonical_real(value->real);
    if (value->type == LV_TYPE_ARRAY || value->type == LV_TYPE_TABLE)
        return make_table(value->table, value->type == LV_TYPE_TABLE, arena, &value->table);
    return 0;
}

/* By name, and each name once. */
static int sort_fields(struct lv_table *table, const struct lv_table *from, struct lv_arena *arena)
{
    const struct lv_field **sorted = lv_arena_alloc(arena, from->count * sizeof *sorted);
    uint32_t count = 0;

    assert(table->count == from->count);
    if (sorted == NULL)
        return -LV_E_NOMEM;
    for (uint32_t i = 0; i < from->count; i++)
        sorted[i] = &from->fields[i];
    qsort(sorted, from->count, sizeof(void *), compare);
    for (uint32_t i = 0; i < from->count; i++)
        if (i == 0 || !lv_bytes_equal(sorted[i]->name, sorted[i - 1]->name))
            table->fields[count++] = *sorted[i];
    table->count = count;
    return 0;
}

/* How deep tables nest was bounded when they were decoded. */
static int make_table(const struct lv_table *table, bool named, struct lv_arena *arena,
                      const struct lv_table **ret_table)
{
    uint32_t count = table == NULL ? 0 : table->count;
    size_t size = count * sizeof(struct lv_field);
    struct lv_table *made = lv_arena_alloc(arena, sizeof *made + size);
    int rc = 0;

    assert(ret_table != NULL);
    if (made == NULL)
        return -LV_E_NOMEM;
    made->count = count;
    if (count > 0)
        memcpy(made->fields, table->fields, size);
    if (named && count > 1 && count <= UNORDERED_COUNT_MAX)
        rc = sort_fields(made, table, arena);
    for (uint32_t i = 0; i < made->count && rc == 0; i++)
        rc = make_value(&made->fields[i].value, arena);
    *ret_table = made;
    return rc;
}

int lv_canonical_pack(const struct lv_table *table, struct lv_arena *arena,
                      struct lv_bytes *ret_bytes)
{
    const struct lv_table *made;
    uint8_t *bytes;
    uint32_t size;
    int rc;

    assert(ret_bytes != NULL);
    *ret_bytes = lv_bytes(NULL, 0);
    if (table == NULL || table->count == 0)
        return 0;
    rc = make_table(table, true, arena, &made);
    if (rc < 0)
        return rc;
    size = lv_table_packed_size(made);
    bytes = lv_arena_alloc(arena, size);
    if (bytes == NULL)
        return -LV_E_NOMEM;
    (void)lv_table_pack(made, bytes);
    *ret_bytes = lv_bytes(bytes, size);
    return 0;
}
