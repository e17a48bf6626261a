#include "broker/arguments.h"

#include "base/err.h"

/* Longer tables are compared in order (base/value.c), so they are hashed in order. */
#define UNORDERED_COUNT_MAX 256u

/* No table and an empty one are the same arguments: clients send either when they mean none. */
bool lv_arguments_same(const struct lv_table *a, const struct lv_table *b)
{
    static const struct lv_table none = {.count = 0};
    struct lv_value left = {.type = LV_TYPE_TABLE, .table = a == NULL ? &none : a};
    struct lv_value right = {.type = LV_TYPE_TABLE, .table = b == NULL ? &none : b};

    return lv_value_equal(&left, &right);
}

/* Numbers into one. */
static uint64_t mix(const struct lv_hash_key *key, uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t words[3] = {a, b, c};

    assert(key != NULL);
    return lv_siphash(key, lv_bytes(words, sizeof words));
}

/* Equal numbers have equal bits: one zero, one NaN. */
static uint64_t real_bits(double real)
{
    uint64_t bits;

    if (real == 0 || real != real)
        return real == 0 ? 0 : 1;
    memcpy(&bits, &real, sizeof bits);
    return bits;
}

/* Has an earlier field the same name? Then this one doesn't count. */
static bool is_shadowed(const struct lv_table *table, uint32_t index)
{
    assert(index < table->count);
    for (uint32_t i = 0; i < index; i++)
        if (lv_bytes_equal(table->fields[i].name, table->fields[index].name))
            return true;
    return false;
}

/* What a value's hash is made from besides its kind. Tables nest as deep as their codec lets them.
 */
static uint64_t value_hash(const struct lv_value *value, const struct lv_hash_key *key)
{
    uint64_t hash = 0;

    assert(value != NULL);
    assert(key != NULL);
    if (lv_value_is_integer(value))
        return mix(key, LV_TYPE_I64, (uint64_t)value->integer, 0);
    switch (value->type) {
    case LV_TYPE_BOOL:
        return mix(key, LV_TYPE_BOOL, value->boolean, 0);
    case LV_TYPE_F32:
    case LV_TYPE_F64:
        return mix(key, LV_TYPE_F64, real_bits(value->real), 0);
    case LV_TYPE_DECIMAL:
    case LV_TYPE_TIMESTAMP:
        return mix(key, value->type, (uint64_t)value->integer,
                   value->type == LV_TYPE_DECIMAL ? value->scale : 0);
    case LV_TYPE_STRING:
    case LV_TYPE_BINARY:
        return mix(key, value->type, lv_siphash(key, value->bytes), value->bytes.size);
    case LV_TYPE_ARRAY:
        for (uint32_t i = 0; value->table != NULL && i < value->table->count; i++)
            hash = mix(key, hash, value_hash(&value->table->fields[i].value, key), i);
        return mix(key, LV_TYPE_ARRAY, hash, 0);
    case LV_TYPE_TABLE:
        return mix(key, LV_TYPE_TABLE, lv_arguments_hash(value->table, key), 0);
    default:
        return mix(key, value->type, 0, 0);
    }
}

/* Large tables are hashed in order, since finding shadowed fields takes the square of their count.
 * That two such tables in another order then count as different is the lesser harm. */
uint64_t lv_arguments_hash(const struct lv_table *table, const struct lv_hash_key *key)
{
    uint32_t count = table == NULL ? 0 : table->count;
    bool in_order = count > UNORDERED_COUNT_MAX;
    uint64_t hash = 0;

    assert(key != NULL);
    for (uint32_t i = 0; i < count; i++) {
        const struct lv_field *field = &table->fields[i];
        uint64_t one = mix(key, lv_siphash(key, field->name), value_hash(&field->value, key), 0);
        if (in_order)
            hash = mix(key, hash, one, 1);
        else if (!is_shadowed(table, i))
            hash += one;
    }
    return hash;
}

/* An estimate of what the copy takes; it is for a limit, and limits need no exact bytes. How deep
 * tables nest was bounded when they were decoded. */
size_t lv_arguments_size(const struct lv_table *table)
{
    size_t size = sizeof *table;

    assert(table == NULL || table->count == 0 || table->fields != NULL);
    if (table == NULL || table->count == 0)
        return 0;
    for (uint32_t i = 0; i < table->count; i++) {
        const struct lv_value *value = &table->fields[i].value;
        size += sizeof table->fields[i] + table->fields[i].name.size;
        if (value->type == LV_TYPE_STRING || value->type == LV_TYPE_BINARY)
            size += value->bytes.size;
        else if (value->type == LV_TYPE_ARRAY || value->type == LV_TYPE_TABLE)
            size += sizeof *table + lv_arguments_size(value->table);
    }
    return size;
}

/* Empty tables take no memory, and most bindings have one. */
int lv_arguments_copy(const struct lv_table *table, struct lv_table **ret_copy)
{
    assert(ret_copy != NULL);
    *ret_copy = NULL;
    if (table == NULL || table->count == 0)
        return 0;
    *ret_copy = lv_table_dup(table);
    return *ret_copy == NULL ? -LV_E_NOMEM : 0;
}
