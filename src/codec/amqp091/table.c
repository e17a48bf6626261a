#include "codec/amqp091/table.h"

#include "codec/amqp091/wire.h"

enum shape { LV_SHAPE_NONE, LV_SHAPE_FIXED, LV_SHAPE_LONG };

/* A type octet: what follows it and which kind of value that is. */
struct octet {
    enum shape shape;
    uint8_t size; /* of LV_SHAPE_FIXED */
    enum lv_type type;
};

static const struct octet octets[UINT8_MAX + 1] = {
    ['V'] = {LV_SHAPE_FIXED, 0, LV_TYPE_VOID},    ['t'] = {LV_SHAPE_FIXED, 1, LV_TYPE_BOOL},
    ['b'] = {LV_SHAPE_FIXED, 1, LV_TYPE_I8},      ['B'] = {LV_SHAPE_FIXED, 1, LV_TYPE_U8},
    ['s'] = {LV_SHAPE_FIXED, 2, LV_TYPE_I16},     ['u'] = {LV_SHAPE_FIXED, 2, LV_TYPE_U16},
    ['I'] = {LV_SHAPE_FIXED, 4, LV_TYPE_I32},     ['i'] = {LV_SHAPE_FIXED, 4, LV_TYPE_U32},
    ['l'] = {LV_SHAPE_FIXED, 8, LV_TYPE_I64},     ['L'] = {LV_SHAPE_FIXED, 8, LV_TYPE_I64},
    ['f'] = {LV_SHAPE_FIXED, 4, LV_TYPE_F32},     ['d'] = {LV_SHAPE_FIXED, 8, LV_TYPE_F64},
    ['D'] = {LV_SHAPE_FIXED, 5, LV_TYPE_DECIMAL}, ['T'] = {LV_SHAPE_FIXED, 8, LV_TYPE_TIMESTAMP},
    ['S'] = {LV_SHAPE_LONG, 4, LV_TYPE_STRING},   ['x'] = {LV_SHAPE_LONG, 4, LV_TYPE_BINARY},
    ['A'] = {LV_SHAPE_LONG, 4, LV_TYPE_ARRAY},    ['F'] = {LV_SHAPE_LONG, 4, LV_TYPE_TABLE},
};

/* The octet that a type is sent with. */
static const uint8_t sent[LV_TYPE_COUNT] = {
    [LV_TYPE_VOID] = 'V',   [LV_TYPE_BOOL] = 't',   [LV_TYPE_I8] = 'b',
    [LV_TYPE_U8] = 'B',     [LV_TYPE_I16] = 's',    [LV_TYPE_U16] = 'u',
    [LV_TYPE_I32] = 'I',    [LV_TYPE_U32] = 'i',    [LV_TYPE_I64] = 'l',
    [LV_TYPE_F32] = 'f',    [LV_TYPE_F64] = 'd',    [LV_TYPE_DECIMAL] = 'D',
    [LV_TYPE_STRING] = 'S', [LV_TYPE_BINARY] = 'x', [LV_TYPE_TIMESTAMP] = 'T',
    [LV_TYPE_ARRAY] = 'A',  [LV_TYPE_TABLE] = 'F',
};

/* One walk over a table that a peer sent. */
struct walk {
    uint32_t fields_left;
    struct lv_arena *arena; /* view  NULL: look only */
    struct lv_diag *diag;   /* view */
};

/* Arrays and tables, which hold fields themselves. */
static bool is_nested(uint8_t octet)
{
    assert(octets[octet].shape != LV_SHAPE_NONE);
    return octet == 'A' || octet == 'F';
}

/* Type octet and value, in a table behind the name. */
static void read_value(struct lv_amqp091_reader *reader, struct lv_amqp091_field *ret_field)
{
    const struct octet *octet;

    assert(ret_field != NULL);
    ret_field->octet = lv_amqp091_read_octet(reader);
    octet = &octets[ret_field->octet];
    switch (octet->shape) {
    case LV_SHAPE_NONE:
        lv_amqp091_reader_stop(reader, "a field has an unknown type");
        break;
    case LV_SHAPE_FIXED:
        ret_field->value = lv_amqp091_read_bytes(reader, octet->size);
        break;
    case LV_SHAPE_LONG:
        ret_field->value = lv_amqp091_read_longstr(reader);
        break;
    }
}

/* Takes one field off the entries: 1, 0 at their end, or an error. Arrays have no names. */
static int next(struct lv_bytes *entries, bool named, struct lv_amqp091_field *ret_field,
                struct lv_diag *diag)
{
    struct lv_amqp091_reader reader = lv_amqp091_reader(*entries);
    struct lv_amqp091_field field = {.octet = 0};

    if (entries->size == 0)
        return 0;
    if (named)
        field.name = lv_amqp091_read_shortbytes(&reader);
    read_value(&reader, &field);
    if (reader.why != NULL)
        return lv_amqp091_cannot_decode(*entries, reader.why, diag);
    assert(reader.p > entries->data);
    *entries = lv_bytes(reader.p, lv_amqp091_reader_left(&reader));
    *ret_field = field;
    return 1;
}

/* One level only; values that nest are returned as their bytes. */
int lv_amqp091_field_next(struct lv_bytes *entries, struct lv_amqp091_field *ret_field,
                          struct lv_diag *diag)
{
    assert(entries != NULL);
    assert(ret_field != NULL);
    return next(entries, true, ret_field, diag);
}

/* Goes into a table or array at this depth. */
static int enter(const struct walk *walk, struct lv_bytes entries, unsigned depth)
{
    assert(depth > 0);
    if (depth > LV_AMQP091_TABLE_DEPTH_MAX)
        return lv_amqp091_cannot_decode(entries, "tables are nested too deeply", walk->diag);
    return 0;
}

/* Counts one more field; `rest` is what follows it. */
static int count_field(struct walk *walk, struct lv_bytes rest)
{
    if (walk->fields_left == 0)
        return lv_amqp091_cannot_decode(rest, "a table has too many fields", walk->diag);
    assert(walk->fields_left <= LV_AMQP091_TABLE_FIELDS_MAX);
    walk->fields_left--;
    return 0;
}

/* Recursion ends at LV_AMQP091_TABLE_DEPTH_MAX. */
static int check_level(struct walk *walk, struct lv_bytes entries, bool named, unsigned depth)
{
    struct lv_amqp091_field field = {.octet = 0};
    int rc = enter(walk, entries, depth);

    assert(depth > 0);
    assert(depth <= LV_AMQP091_TABLE_DEPTH_MAX + 1);
    if (rc < 0)
        return rc;
    while ((rc = next(&entries, named, &field, walk->diag)) > 0) {
        rc = count_field(walk, entries);
        if (rc == 0 && is_nested(field.octet))
            rc = check_level(walk, field.value, field.octet == 'F', depth + 1);
        if (rc < 0)
            return rc;
    }
    return rc;
}

/* Depth and number of fields are bounded, so no table takes more stack or time than that. */
int lv_amqp091_table_check(struct lv_bytes entries, struct lv_diag *diag)
{
    struct walk walk = {.fields_left = LV_AMQP091_TABLE_FIELDS_MAX, .diag = diag};

    assert(entries.size == 0 || entries.data != NULL);
    return check_level(&walk, entries, true, 1);
}

/* Bits and not a cast: the wire has IEEE 754, whatever the compiler makes of unions. */
static double get_float(const uint8_t *p)
{
    uint32_t bits = lv_get32(p);
    float real;

    assert(p != NULL);
    static_assert(sizeof real == sizeof bits, "binary32");
    memcpy(&real, &bits, sizeof real);
    return (double)real;
}

/* The same for eight octets. */
static double get_double(const uint8_t *p)
{
    uint64_t bits = lv_get64(p);
    double real;

    assert(p != NULL);
    static_assert(sizeof real == sizeof bits, "binary64");
    memcpy(&real, &bits, sizeof real);
    return real;
}

/* Everything but tables and arrays; one flat switch. The casts keep signs. */
static struct lv_value plain_value(const struct lv_amqp091_field *field)
{
    struct lv_value value = {.type = octets[field->octet].type};
    const uint8_t *p = field->value.data;

    assert(p != NULL); /* even of nothing: readers do not give NULL for what is there */
    assert(!is_nested(field->octet));
    assert(octets[field->octet].shape == LV_SHAPE_LONG ||
           field->value.size == octets[field->octet].size);
    switch (value.type) {
    case LV_TYPE_BOOL:
        value.boolean = p[0] != 0;
        break;
    case LV_TYPE_I8:
        value.integer = (int64_t)(int8_t)p[0];
        break;
    case LV_TYPE_U8:
        value.integer = p[0];
        break;
    case LV_TYPE_I16:
        value.integer = (int16_t)lv_get16(p);
        break;
    case LV_TYPE_U16:
        value.integer = lv_get16(p);
        break;
    case LV_TYPE_I32:
        value.integer = (int32_t)lv_get32(p);
        break;
    case LV_TYPE_U32:
        value.integer = lv_get32(p);
        break;
    case LV_TYPE_I64:
    case LV_TYPE_TIMESTAMP:
        value.integer = (int64_t)lv_get64(p);
        break;
    case LV_TYPE_F32:
        value.real = get_float(p);
        break;
    case LV_TYPE_F64:
        value.real = get_double(p);
        break;
    case LV_TYPE_DECIMAL:
        value.scale = p[0];
        value.integer = (int32_t)lv_get32(p + 1);
        break;
    case LV_TYPE_STRING:
    case LV_TYPE_BINARY:
        value.bytes = field->value;
        break;
    default:
        assert(value.type == LV_TYPE_VOID);
    }
    return value;
}

/* How many fields are there at this depth? Nested ones are not looked into yet. */
static int count_level(struct walk *walk, struct lv_bytes entries, bool named, unsigned depth)
{
    struct lv_amqp091_field field = {.octet = 0};
    int count = 0;
    int rc = enter(walk, entries, depth);

    if (rc < 0)
        return rc;
    while ((rc = next(&entries, named, &field, walk->diag)) > 0) {
        rc = count_field(walk, entries);
        if (rc < 0)
            return rc;
        count++;
    }
    assert(count <= (int)LV_AMQP091_TABLE_FIELDS_MAX);
    return rc < 0 ? rc : count;
}

/* Two passes over each level: one to know how much to allocate, one to fill it. Recursion ends at
 * LV_AMQP091_TABLE_DEPTH_MAX. */
static int decode_level(struct walk *walk, struct lv_bytes entries, bool named, unsigned depth,
                        const struct lv_table **ret_table)
{
    int count = count_level(walk, entries, named, depth);
    struct lv_table *table;

    assert(walk->arena != NULL);
    if (count < 0)
        return count;
    table = lv_arena_alloc(walk->arena, sizeof *table + (size_t)count * sizeof table->fields[0]);
    if (table == NULL)
        return lv_fail(walk->diag, -LV_E_NOMEM, "a table takes too much memory");
    table->count = (uint32_t)count;
    for (int i = 0; i < count; i++) {
        struct lv_amqp091_field field = {.octet = 0};
        struct lv_field *into = &table->fields[i];
        int rc = next(&entries, named, &field, walk->diag);

        assert(rc == 1); /* counted */
        into->name = field.name;
        if (!is_nested(field.octet)) {
            into->value = plain_value(&field);
            continue;
        }
        into->value = (struct lv_value){.type = octets[field.octet].type};
        rc = decode_level(walk, field.value, field.octet == 'F', depth + 1, &into->value.table);
        if (rc < 0)
            return rc;
    }
    *ret_table = table;
    return 0;
}

/* Into the arena, whose limit bounds what a table becomes in memory: small fields grow a lot. */
int lv_amqp091_table_decode(struct lv_bytes entries, struct lv_arena *arena,
                            const struct lv_table **ret_table, struct lv_diag *diag)
{
    struct walk walk = {
        .fields_left = LV_AMQP091_TABLE_FIELDS_MAX,
        .arena = arena,
        .diag = diag,
    };

    assert(arena != NULL);
    return decode_level(&walk, entries, true, 1, ret_table);
}

/* Tables in tables come from our own code or were bounded when they came in. */
static size_t level_size(const struct lv_table *table, bool named, unsigned depth)
{
    size_t size = 0;

    assert(depth <= LV_AMQP091_TABLE_DEPTH_MAX);
    if (table == NULL)
        return 0;
    for (uint32_t i = 0; i < table->count; i++) {
        const struct lv_value *value = &table->fields[i].value;
        uint8_t octet = sent[value->type];

        size += named ? 2 + table->fields[i].name.size : 1;
        size += octets[octet].size;
        if (is_nested(octet))
            size += level_size(value->table, octet == 'F', depth + 1);
        else if (octets[octet].shape == LV_SHAPE_LONG)
            size += value->bytes.size;
    }
    return size;
}

/* Without the length in front, as the caller may write that itself. */
size_t lv_amqp091_table_size(const struct lv_table *table)
{
    assert(table == NULL || table->count <= LV_AMQP091_TABLE_FIELDS_MAX);
    return level_size(table, true, 1);
}

/* IEEE 754 in both widths; what came as 32 bits fits there again. */
static uint8_t *put_real(const struct lv_value *value, uint8_t *p)
{
    float narrow = (float)value->real;
    uint64_t bits64;
    uint32_t bits32;

    if (value->type == LV_TYPE_F64) {
        memcpy(&bits64, &value->real, sizeof bits64);
        return lv_put64(p, bits64);
    }
    assert(value->type == LV_TYPE_F32);
    memcpy(&bits32, &narrow, sizeof bits32);
    return lv_put32(p, bits32);
}

/* Everything but tables and arrays; one flat switch. */
static uint8_t *put_plain(const struct lv_value *value, uint8_t *p)
{
    switch (value->type) {
    case LV_TYPE_VOID:
        return p;
    case LV_TYPE_BOOL:
        return lv_put8(p, value->boolean);
    case LV_TYPE_I8:
    case LV_TYPE_U8:
        return lv_put8(p, (uint8_t)value->integer);
    case LV_TYPE_I16:
    case LV_TYPE_U16:
        return lv_put16(p, (uint16_t)value->integer);
    case LV_TYPE_I32:
    case LV_TYPE_U32:
        return lv_put32(p, (uint32_t)value->integer);
    case LV_TYPE_I64:
    case LV_TYPE_TIMESTAMP:
        return lv_put64(p, (uint64_t)value->integer);
    case LV_TYPE_F32:
    case LV_TYPE_F64:
        return put_real(value, p);
    case LV_TYPE_DECIMAL:
        return lv_put32(lv_put8(p, value->scale), (uint32_t)value->integer);
    case LV_TYPE_STRING:
    case LV_TYPE_BINARY:
        return lv_amqp091_write_longstr(p, value->bytes);
    default:
        LV_IMPOSSIBLE("a table or array is not plain");
    }
}

/* Walks as level_size() does, and so writes just as much. */
static uint8_t *put_level(const struct lv_table *table, bool named, unsigned depth, uint8_t *p)
{
    assert(depth <= LV_AMQP091_TABLE_DEPTH_MAX);
    if (table == NULL)
        return p;
    for (uint32_t i = 0; i < table->count; i++) {
        const struct lv_value *value = &table->fields[i].value;
        uint8_t octet = sent[value->type];
        uint8_t *entries;

        assert(value->type < LV_TYPE_COUNT);
        if (named)
            p = lv_amqp091_write_shortstr(p, table->fields[i].name);
        p = lv_put8(p, octet);
        if (!is_nested(octet)) {
            p = put_plain(value, p);
            continue;
        }
        entries = p + 4; /* behind the length, which is known afterwards */
        p = put_level(value->table, octet == 'F', depth + 1, entries);
        assert((size_t)(p - entries) <= UINT32_MAX);
        lv_put32(entries - 4, (uint32_t)(p - entries));
    }
    return p;
}

/* What the size function has measured. */
uint8_t *lv_amqp091_table_encode(const struct lv_table *table, uint8_t *p)
{
    assert(p != NULL);
    return put_level(table, true, 1, p);
}
