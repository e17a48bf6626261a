#include "base/pack.h"

#include "base/err.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are written as they lie");

/* How a value lies behind its type. */
enum shape {
    SHAPE_NONE,
    SHAPE_BOOL,
    SHAPE_INTEGER,
    SHAPE_REAL,
    SHAPE_DECIMAL,
    SHAPE_BYTES,
    SHAPE_TABLE
};

/* The bytes of type are part of the format: new types go behind these. */
static const uint8_t shapes[] = {
    [LV_TYPE_VOID] = SHAPE_NONE,         [LV_TYPE_BOOL] = SHAPE_BOOL,
    [LV_TYPE_I8] = SHAPE_INTEGER,        [LV_TYPE_U8] = SHAPE_INTEGER,
    [LV_TYPE_I16] = SHAPE_INTEGER,       [LV_TYPE_U16] = SHAPE_INTEGER,
    [LV_TYPE_I32] = SHAPE_INTEGER,       [LV_TYPE_U32] = SHAPE_INTEGER,
    [LV_TYPE_I64] = SHAPE_INTEGER,       [LV_TYPE_F32] = SHAPE_REAL,
    [LV_TYPE_F64] = SHAPE_REAL,          [LV_TYPE_DECIMAL] = SHAPE_DECIMAL,
    [LV_TYPE_STRING] = SHAPE_BYTES,      [LV_TYPE_BINARY] = SHAPE_BYTES,
    [LV_TYPE_TIMESTAMP] = SHAPE_INTEGER, [LV_TYPE_ARRAY] = SHAPE_TABLE,
    [LV_TYPE_TABLE] = SHAPE_TABLE,
};
static_assert(LV_COUNT(shapes) == LV_TYPE_COUNT, "every type has a shape");
static_assert(LV_TYPE_TABLE == 16, "the numbers of types lie on disk");

/* ---- writing ---- */

static size_t table_size(const struct lv_table *table, bool named);

static size_t value_size(const struct lv_value *value)
{
    assert(value->type < LV_TYPE_COUNT);
    switch ((enum shape)shapes[value->type]) {
    case SHAPE_NONE:
        return 0;
    case SHAPE_BOOL:
        return 1;
    case SHAPE_INTEGER:
    case SHAPE_REAL:
        return 8;
    case SHAPE_DECIMAL:
        return 1 + 8;
    case SHAPE_BYTES:
        return 4 + value->bytes.size;
    case SHAPE_TABLE:
        return table_size(value->table, value->type == LV_TYPE_TABLE);
    }
    LV_IMPOSSIBLE("a type has a shape");
}

/* Tables nest; whoever made them has bounded how deep. */
static size_t table_size(const struct lv_table *table, bool named)
{
    size_t size = 4;

    for (uint32_t i = 0; table != NULL && i < table->count; i++) {
        assert(named || table->fields[i].name.size == 0);
        size += (named ? 4 + table->fields[i].name.size : 0) + 1;
        size += value_size(&table->fields[i].value);
    }
    return size;
}

static uint8_t *put(uint8_t *p, const void *data, size_t size)
{
    assert(p != NULL);
    return lv_put_bytes(p, lv_bytes(data, size));
}

/* With the size in front. */
static uint8_t *put_sized(uint8_t *p, struct lv_bytes bytes)
{
    uint32_t size = (uint32_t)bytes.size;

    assert(bytes.size <= UINT32_MAX);
    return lv_put_bytes(put(p, &size, sizeof size), bytes);
}

static uint8_t *put_table(uint8_t *p, const struct lv_table *table, bool named);

static uint8_t *put_value(uint8_t *p, const struct lv_value *value)
{
    assert(value->type < LV_TYPE_COUNT);
    p = lv_put8(p, (uint8_t)value->type);
    switch ((enum shape)shapes[value->type]) {
    case SHAPE_NONE:
        return p;
    case SHAPE_BOOL:
        return lv_put8(p, value->boolean);
    case SHAPE_INTEGER:
        return put(p, &value->integer, sizeof value->integer);
    case SHAPE_REAL:
        return put(p, &value->real, sizeof value->real);
    case SHAPE_DECIMAL:
        return put(lv_put8(p, value->scale), &value->integer, sizeof value->integer);
    case SHAPE_BYTES:
        return put_sized(p, value->bytes);
    case SHAPE_TABLE:
        return put_table(p, value->table, value->type == LV_TYPE_TABLE);
    }
    LV_IMPOSSIBLE("a type has a shape");
}

static uint8_t *put_table(uint8_t *p, const struct lv_table *table, bool named)
{
    uint32_t count = table == NULL ? 0 : table->count;

    p = put(p, &count, sizeof count);
    for (uint32_t i = 0; i < count; i++) {
        if (named)
            p = put_sized(p, table->fields[i].name);
        p = put_value(p, &table->fields[i].value);
    }
    assert(p != NULL);
    return p;
}

/* ---- reading ---- */

struct reader {
    const uint8_t *next, *end;
    size_t field_room; /* fields that may still come: each takes a byte at least */
    struct lv_arena *arena;
};

static int get(struct reader *in, void *to, size_t size)
{
    assert(in->next <= in->end);
    if ((size_t)(in->end - in->next) < size)
        return -LV_E_CORRUPT;
    memcpy(to, in->next, size);
    in->next += size;
    return 0;
}

static int get_sized(struct reader *in, struct lv_bytes *ret_bytes)
{
    uint32_t size;

    assert(ret_bytes != NULL);
    if (get(in, &size, sizeof size) < 0 || (size_t)(in->end - in->next) < size)
        return -LV_E_CORRUPT;
    *ret_bytes = lv_bytes(in->next, size);
    in->next += size;
    return 0;
}

static int get_table(struct reader *in, bool named, unsigned depth, struct lv_table **ret_table);

/* A bool of 2 or the like was never written. */
static int get_boolean(struct reader *in, bool *ret_boolean)
{
    uint8_t byte;

    if (get(in, &byte, sizeof byte) < 0 || byte > 1)
        return -LV_E_CORRUPT;
    assert(ret_boolean != NULL);
    *ret_boolean = byte != 0;
    return 0;
}

static int get_value(struct reader *in, unsigned depth, struct lv_value *ret_value)
{
    struct lv_table *table;
    uint8_t type;
    int rc;

    assert(depth <= LV_PACK_DEPTH_MAX);
    if (get(in, &type, sizeof type) < 0 || type >= LV_TYPE_COUNT)
        return -LV_E_CORRUPT;
    *ret_value = (struct lv_value){.type = (enum lv_type)type};
    switch ((enum shape)shapes[type]) {
    case SHAPE_NONE:
        return 0;
    case SHAPE_BOOL:
        return get_boolean(in, &ret_value->boolean);
    case SHAPE_INTEGER:
        return get(in, &ret_value->integer, sizeof ret_value->integer);
    case SHAPE_REAL:
        return get(in, &ret_value->real, sizeof ret_value->real);
    case SHAPE_DECIMAL:
        rc = get(in, &ret_value->scale, sizeof ret_value->scale);
        return rc < 0 ? rc : get(in, &ret_value->integer, sizeof ret_value->integer);
    case SHAPE_BYTES:
        return get_sized(in, &ret_value->bytes);
    case SHAPE_TABLE:
        rc = get_table(in, type == LV_TYPE_TABLE, depth + 1, &table);
        if (rc == 0)
            ret_value->table = table;
        return rc;
    }
    LV_IMPOSSIBLE("a type has a shape");
}

/* Damaged counts, also many within each other, do not ask for much memory. */
static int get_table(struct reader *in, bool named, unsigned depth, struct lv_table **ret_table)
{
    struct lv_table *table;
    uint32_t count;
    int rc = get(in, &count, sizeof count);

    if (rc < 0 || depth > LV_PACK_DEPTH_MAX || count > in->field_room)
        return -LV_E_CORRUPT;
    in->field_room -= count;
    *ret_table = NULL;
    if (count == 0)
        return 0;
    table = lv_arena_alloc(in->arena, sizeof *table + count * sizeof table->fields[0]);
    if (table == NULL)
        return -LV_E_NOMEM;
    table->count = count;
    for (uint32_t i = 0; i < count && rc == 0; i++) {
        struct lv_field *field = &table->fields[i];

        field->name = lv_bytes(NULL, 0);
        if (named)
            rc = get_sized(in, &field->name);
        if (rc == 0)
            rc = get_value(in, depth, &field->value);
    }
    assert(in->next <= in->end);
    *ret_table = table;
    return rc;
}

uint32_t lv_table_packed_size(const struct lv_table *table)
{
    size_t size = table_size(table, true);

    assert(size <= UINT32_MAX);
    return (uint32_t)size;
}

uint8_t *lv_table_pack(const struct lv_table *table, uint8_t *bytes)
{
    uint8_t *end = put_table(bytes, table, true);

    LV_EXPENSIVE_ASSERT(end == bytes + lv_table_packed_size(table));
    return end;
}

int lv_table_unpack(struct lv_bytes bytes, struct lv_arena *arena, struct lv_table **ret_table)
{
    struct reader in = {.next = bytes.data,
                        .end = bytes.data + bytes.size,
                        .field_room = bytes.size,
                        .arena = arena};
    struct lv_table *table = NULL;
    int rc = get_table(&in, true, 1, &table);

    assert(ret_table != NULL);
    if (rc < 0)
        return rc;
    if (in.next != in.end)
        return -LV_E_CORRUPT;
    *ret_table = table;
    return 0;
}
