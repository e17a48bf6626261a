#include "base/value.h"

#include "base/alloc.h"

#include <stdio.h>

/* Above this many fields two tables are equal in the same order only: comparing by name takes the
 * square of what a peer chose. */
#define UNORDERED_COUNT_MAX 256u

/* As RabbitMQ's error texts call them, which is not always what AMQP does. */
static const char *const type_names[LV_TYPE_COUNT] = {
    [LV_TYPE_VOID] = "void",       [LV_TYPE_BOOL] = "bool",       [LV_TYPE_I8] = "byte",
    [LV_TYPE_U8] = "unsignedbyte", [LV_TYPE_I16] = "short",       [LV_TYPE_U16] = "unsignedshort",
    [LV_TYPE_I32] = "signedint",   [LV_TYPE_U32] = "unsignedint", [LV_TYPE_I64] = "long",
    [LV_TYPE_F32] = "float",       [LV_TYPE_F64] = "double",      [LV_TYPE_DECIMAL] = "decimal",
    [LV_TYPE_STRING] = "longstr",  [LV_TYPE_BINARY] = "binary",   [LV_TYPE_TIMESTAMP] = "timestamp",
    [LV_TYPE_ARRAY] = "array",     [LV_TYPE_TABLE] = "table",
};

/* What is compared with what: the widths of one kind are the same. */
static enum lv_type kind_of(enum lv_type type)
{
    assert(type < LV_TYPE_COUNT);
    if (type >= LV_TYPE_I8 && type <= LV_TYPE_I64)
        return LV_TYPE_I64;
    return type == LV_TYPE_F32 ? LV_TYPE_F64 : type;
}

/* The first of several with one name counts, as for RabbitMQ. */
static const struct lv_value *find(const struct lv_table *table, struct lv_bytes name)
{
    for (uint32_t i = 0; table != NULL && i < table->count; i++) {
        if (lv_bytes_equal(table->fields[i].name, name))
            return &table->fields[i].value;
    }
    return NULL;
}

/* ---- equality ---- */

/* No table is an empty table. */
static uint32_t count_of(const struct lv_table *table)
{
    return table != NULL ? table->count : 0;
}

/* The same fields one by one. */
static bool same_in_order(const struct lv_table *a, const struct lv_table *b)
{
    if (count_of(a) != count_of(b))
        return false;
    for (uint32_t i = 0; i < count_of(a); i++) {
        if (!lv_bytes_equal(a->fields[i].name, b->fields[i].name))
            return false;
        if (!lv_value_equal(&a->fields[i].value, &b->fields[i].value))
            return false;
    }
    return true;
}

/* True when b has all that a has; of several fields with one name the first one counts. */
static bool is_part_of(const struct lv_table *a, const struct lv_table *b)
{
    assert(a != NULL);
    assert(b != NULL);
    for (uint32_t i = 0; i < a->count; i++) {
        const struct lv_field *field = &a->fields[i];
        const struct lv_value *other = find(b, field->name);
        if (other == NULL)
            return false;
        if (find(a, field->name) == &field->value && !lv_value_equal(&field->value, other))
            return false;
    }
    return true;
}

/* Has b every name of a? */
static bool names_are_part_of(const struct lv_table *a, const struct lv_table *b)
{
    assert(a != NULL);
    assert(b != NULL);
    for (uint32_t i = 0; i < a->count; i++) {
        if (find(b, a->fields[i].name) == NULL)
            return false;
    }
    return true;
}

/* By names first and by values second, so that no pair of values is compared twice: tables nest. */
static bool same_by_name(const struct lv_table *a, const struct lv_table *b)
{
    if (count_of(a) == 0 || count_of(b) == 0)
        return count_of(a) == count_of(b);
    if (a->count > UNORDERED_COUNT_MAX || b->count > UNORDERED_COUNT_MAX)
        return same_in_order(a, b);
    return names_are_part_of(b, a) && is_part_of(a, b);
}

/* Compared as values: 0.0 and -0.0 are the same argument. */
static bool same_real(double a, double b)
{
    return a == b || (a != a && b != b); /* a table with a NaN is still equal to itself */
}

/* ---- printing ---- */

/* Text that is cut where the room ends. */
struct printer {
    char *text;
    size_t size; /* room, without the end */
    size_t used;
};

/* What does not fit is cut: these texts are for people. */
static void print_bytes(struct printer *out, struct lv_bytes bytes)
{
    size_t room = out->size - out->used;
    size_t size = bytes.size < room ? bytes.size : room;

    assert(out->used <= out->size);
    assert(bytes.size == 0 || bytes.data != NULL);
    if (size > 0)
        memcpy(out->text + out->used, bytes.data, size);
    out->used += size;
}

/* Our own words. */
static void print_text(struct printer *out, const char *text)
{
    assert(text != NULL);
    print_bytes(out, lv_text(text));
}

/* Erlang prints all integers alike, whatever their width on the wire. */
static void print_integer(struct printer *out, int64_t integer)
{
    char digits[24];

    assert(out->used <= out->size);
    (void)snprintf(digits, sizeof digits, "%lld", (long long)integer);
    print_text(out, digits);
}

/* The shortest digits that read back as the same number, and always with a point. */
static void print_real(struct printer *out, double real)
{
    char digits[40];
    bool whole = real > -1e15 && real < 1e15 && real == (double)(int64_t)real;

    assert(out->used <= out->size);
    if (whole)
        (void)snprintf(digits, sizeof digits, "%.1f", real);
    for (int precision = 1; precision <= 17 && !whole; precision++) {
        (void)snprintf(digits, sizeof digits, "%.*g", precision, real);
        if (same_real(strtod(digits, NULL), real))
            break;
    }
    print_text(out, digits);
}

/* Printable ASCII and nothing else. */
static bool is_plain(struct lv_bytes bytes)
{
    assert(bytes.size == 0 || bytes.data != NULL);
    for (size_t i = 0; i < bytes.size; i++) {
        if (bytes.data[i] < 0x20 || bytes.data[i] > 0x7e)
            return false;
    }
    return true;
}

/* Inside a table a string is an Erlang binary: <<"text">>, or <<1,2,3>> when it is no text. */
static void print_binary(struct printer *out, struct lv_bytes bytes)
{
    bool plain = is_plain(bytes);

    assert(out->used <= out->size);
    print_text(out, plain && bytes.size > 0 ? "<<\"" : "<<");
    for (size_t i = 0; i < bytes.size && out->used < out->size; i++) {
        if (!plain && i > 0)
            print_text(out, ",");
        if (!plain)
            print_integer(out, bytes.data[i]);
        else if (bytes.data[i] == '"' || bytes.data[i] == '\\')
            print_text(out, "\\");
        if (plain)
            print_bytes(out, lv_bytes(&bytes.data[i], 1));
    }
    print_text(out, plain && bytes.size > 0 ? "\">>" : ">>");
}

static void print_value(struct printer *out, const struct lv_value *value, bool nested);

/* Arrays are [{type,value},…] and tables [{<<"name">>,type,value},…]. */
static void print_fields(struct printer *out, const struct lv_value *value)
{
    const struct lv_table *table = value->table;

    assert(value->type == LV_TYPE_TABLE || value->type == LV_TYPE_ARRAY);
    print_text(out, "[");
    for (uint32_t i = 0; i < count_of(table) && out->used < out->size; i++) {
        const struct lv_field *field = &table->fields[i];
        print_text(out, i > 0 ? ",{" : "{");
        if (value->type == LV_TYPE_TABLE) {
            print_binary(out, field->name);
            print_text(out, ",");
        }
        print_text(out, lv_type_name(field->value.type));
        print_text(out, ",");
        print_value(out, &field->value, true);
        print_text(out, "}");
    }
    print_text(out, "]");
}

/* As {scale,integer}. */
static void print_decimal(struct printer *out, const struct lv_value *value)
{
    assert(value->type == LV_TYPE_DECIMAL);
    print_text(out, "{");
    print_integer(out, value->scale);
    print_text(out, ",");
    print_integer(out, value->integer);
    print_text(out, "}");
}

/* Tables lie in values and values in tables; decoders bound the depth (64 at most). */
static void print_value(struct printer *out, const struct lv_value *value, bool nested)
{
    switch (kind_of(value->type)) {
    case LV_TYPE_VOID:
        print_text(out, "undefined");
        break;
    case LV_TYPE_BOOL:
        print_text(out, value->boolean ? "true" : "false");
        break;
    case LV_TYPE_I64:
    case LV_TYPE_TIMESTAMP:
        print_integer(out, value->integer);
        break;
    case LV_TYPE_F64:
        print_real(out, value->real);
        break;
    case LV_TYPE_DECIMAL:
        print_decimal(out, value);
        break;
    case LV_TYPE_STRING:
    case LV_TYPE_BINARY:
        if (nested)
            print_binary(out, value->bytes);
        else
            print_bytes(out, value->bytes);
        break;
    case LV_TYPE_ARRAY:
    case LV_TYPE_TABLE:
        print_fields(out, value);
        break;
    default:
        LV_IMPOSSIBLE("kind_of() gives no other kind");
    }
}

/* ---- copying ---- */

/* The one block of a copy: tables, which are aligned, from its start, bytes behind them. */
struct plan {
    uint8_t *tables;
    uint8_t *bytes;
};

/* Without what its values point at. */
static size_t table_size(const struct lv_table *table)
{
    assert(table != NULL);
    return sizeof *table + table->count * sizeof table->fields[0];
}

/* These live outside of the field and have to be copied along. */
static bool holds_bytes(const struct lv_value *value)
{
    assert(value->type < LV_TYPE_COUNT);
    return value->type == LV_TYPE_STRING || value->type == LV_TYPE_BINARY;
}

/* As do these; an empty one may have no memory at all. */
static bool holds_table(const struct lv_value *value)
{
    assert(value->type < LV_TYPE_COUNT);
    return (value->type == LV_TYPE_ARRAY || value->type == LV_TYPE_TABLE) && value->table != NULL;
}

/* Adds what the table needs: its own and its tables' size, and the size of all strings. */
static void measure(const struct lv_table *table, size_t *ret_tables, size_t *ret_bytes)
{
    assert(table != NULL);
    *ret_tables += table_size(table);
    for (uint32_t i = 0; i < table->count; i++) {
        const struct lv_field *field = &table->fields[i];
        *ret_bytes += field->name.size;
        if (holds_bytes(&field->value))
            *ret_bytes += field->value.bytes.size;
        else if (holds_table(&field->value))
            measure(field->value.table, ret_tables, ret_bytes);
    }
}

/* Into the block's second half; the sum was counted before. */
static struct lv_bytes copy_bytes(struct plan *plan, struct lv_bytes bytes)
{
    struct lv_bytes copy = lv_bytes(plan->bytes, bytes.size);

    assert(bytes.size == 0 || bytes.data != NULL);
    plan->bytes = lv_put_bytes(plan->bytes, bytes);
    return copy;
}

/* Tables within the table come behind it, each one whole before the next. */
static struct lv_table *copy_table(struct plan *plan, const struct lv_table *table)
{
    struct lv_table *copy = (struct lv_table *)(void *)plan->tables;

    assert((uintptr_t)copy % _Alignof(struct lv_table) == 0);
    memcpy(copy, table, table_size(table));
    plan->tables += table_size(table);
    for (uint32_t i = 0; i < copy->count; i++) {
        struct lv_field *field = &copy->fields[i];
        field->name = copy_bytes(plan, field->name);
        if (holds_bytes(&field->value))
            field->value.bytes = copy_bytes(plan, field->value.bytes);
        else if (holds_table(&field->value))
            field->value.table = copy_table(plan, field->value.table);
    }
    return copy;
}

/* NULL also for a table that is not there, so that callers need not tell the two apart. */
const struct lv_value *lv_table_get(const struct lv_table *table, const char *name)
{
    assert(name != NULL);
    return find(table, lv_text(name));
}

/* Of any width: AMQP has eight types for it, and clients choose any. */
bool lv_value_is_integer(const struct lv_value *value)
{
    assert(value->type < LV_TYPE_COUNT);
    return kind_of(value->type) == LV_TYPE_I64;
}

/* As RabbitMQ compares: numbers by value, tables without regard to order. */
bool lv_value_equal(const struct lv_value *a, const struct lv_value *b)
{
    enum lv_type kind = kind_of(a->type);

    if (kind != kind_of(b->type))
        return false;
    switch (kind) {
    case LV_TYPE_VOID:
        return true;
    case LV_TYPE_BOOL:
        return a->boolean == b->boolean;
    case LV_TYPE_I64:
    case LV_TYPE_TIMESTAMP:
        return a->integer == b->integer;
    case LV_TYPE_DECIMAL:
        return a->integer == b->integer && a->scale == b->scale;
    case LV_TYPE_F64:
        return same_real(a->real, b->real);
    case LV_TYPE_STRING:
    case LV_TYPE_BINARY:
        return lv_bytes_equal(a->bytes, b->bytes);
    case LV_TYPE_ARRAY:
        return same_in_order(a->table, b->table);
    case LV_TYPE_TABLE:
        return same_by_name(a->table, b->table);
    default:
        LV_IMPOSSIBLE("kind_of() gives no other kind");
    }
}

/* RabbitMQ's names, which stand in its error texts. */
const char *lv_type_name(enum lv_type type)
{
    assert(type < LV_TYPE_COUNT);
    return type_names[type];
}

/* As Erlang's ~p would, since error texts quote values that way. */
const char *lv_value_print(const struct lv_value *value, char *text, size_t size)
{
    struct printer out = {.text = text, .size = size - 1};

    assert(size > 0);
    print_value(&out, value, false);
    text[out.used] = '\0';
    return text;
}

/* One block for the whole tree: one allocation to fail, one to free. */
struct lv_table *lv_table_dup(const struct lv_table *table)
{
    size_t tables = 0;
    size_t bytes = 0;
    struct plan plan;
    uint8_t *block;
    struct lv_table *copy;

    assert(table != NULL);
    static_assert(sizeof(struct lv_table) % 8 == 0, "tables lie behind each other in a block");
    measure(table, &tables, &bytes);
    block = lv_alloc(tables + bytes);
    if (block == NULL)
        return NULL;
    plan = (struct plan){.tables = block, .bytes = block + tables};
    copy = copy_table(&plan, table);
    assert(plan.tables == block + tables);
    assert(plan.bytes == block + tables + bytes);
    return copy;
}
