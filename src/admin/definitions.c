#include "admin/definitions.h"

#include "base/alloc.h"
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

/* In the order in which changes can be made. */
static const struct kind {
    enum lv_change_kind kind;
    const char *section; /* of the file */
    const char *what;    /* for sentences */
} kinds[] = {
    {LV_CHANGE_VHOST_PUT, "vhosts", "vhost"},
    {LV_CHANGE_USER_PUT, "users", "user"},
    {LV_CHANGE_PERMISSION_PUT, "permissions", "permissions"},
    {LV_CHANGE_TOPIC_PERMISSION_PUT, "topic_permissions", "topic permissions"},
    {LV_CHANGE_LIMITS_PUT, "parameters", "limits"},
    {LV_CHANGE_EXCHANGE_DECLARE, "exchanges", "exchange"},
    {LV_CHANGE_QUEUE_DECLARE, "queues", "queue"},
    {LV_CHANGE_BIND, "bindings", "binding"},
};

/* The kind's place in the table. */
static unsigned rank_of(enum lv_change_kind kind)
{
    for (unsigned i = 0; i < LV_COUNT(kinds); i++)
        if (kinds[i].kind == kind)
            return i;
    LV_IMPOSSIBLE("only what makes something is in a list");
}

static int compare_bytes(struct lv_bytes a, struct lv_bytes b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size == 0 ? 0 : memcmp(a.data, b.data, size);

    assert(a.size == 0 || a.data != NULL);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

/* ---- tables: copied by name, compared one by one ---- */

static int copy_bytes(struct lv_arena *arena, struct lv_bytes bytes, struct lv_bytes *ret_copy)
{
    uint8_t *copy;

    assert(bytes.size == 0 || bytes.data != NULL);
    *ret_copy = (struct lv_bytes){.size = 0};
    if (bytes.size == 0)
        return 0;
    copy = lv_arena_alloc(arena, bytes.size);
    if (copy == NULL)
        return -LV_E_NOMEM;
    lv_put_bytes(copy, bytes);
    *ret_copy = lv_bytes(copy, bytes.size);
    return 0;
}

/* Of equal names the first comes first. */
static int compare_fields(const void *a, const void *b)
{
    const struct lv_field *left = *(const struct lv_field *const *)a;
    const struct lv_field *right = *(const struct lv_field *const *)b;
    int order = compare_bytes(left->name, right->name);

    assert(left->value.type < LV_TYPE_COUNT);
    return order != 0 ? order : (left > right) - (left < right);
}

/* Gives (lv_free) pointers to those fields that count, by name; of an array to all, as they stand.
 * NULL: no memory. */
static const struct lv_field **order_fields(const struct lv_table *table, bool is_array,
                                            uint32_t *ret_count)
{
    const struct lv_field **fields = lv_alloc(table->count * sizeof *fields);
    uint32_t count = 0;

    assert(table->count > 0);
    if (fields == NULL)
        return NULL;
    for (uint32_t i = 0; i < table->count; i++)
        fields[i] = &table->fields[i];
    *ret_count = table->count;
    if (is_array)
        return fields;
    qsort(fields, table->count, sizeof *fields, compare_fields);
    for (uint32_t i = 0; i < table->count; i++)
        if (count == 0 || !lv_bytes_equal(fields[count - 1]->name, fields[i]->name))
            fields[count++] = fields[i];
    *ret_count = count;
    return fields;
}

/* Tables nest no deeper than their decoder lets them. */
static int copy_table(struct lv_arena *arena, const struct lv_table *table, bool is_array,
                      const struct lv_table **ret_copy)
{
    const struct lv_field **fields;
    struct lv_table *copy = NULL;
    uint32_t count;
    int rc = -LV_E_NOMEM;

    *ret_copy = NULL;
    if (table == NULL || table->count == 0)
        return 0;
    fields = order_fields(table, is_array, &count);
    if (fields != NULL)
        copy = lv_arena_alloc(arena, sizeof *copy + count * sizeof copy->fields[0]);
    if (copy != NULL)
        rc = 0;
    for (uint32_t i = 0; rc == 0 && i < count; i++) {
        struct lv_field *field = &copy->fields[i];
        struct lv_value *value = &field->value;

        *field = *fields[i];
        rc = copy_bytes(arena, field->name, &field->name);
        if (rc == 0 && (value->type == LV_TYPE_STRING || value->type == LV_TYPE_BINARY))
            rc = copy_bytes(arena, value->bytes, &value->bytes);
        else if (rc == 0 && (value->type == LV_TYPE_ARRAY || value->type == LV_TYPE_TABLE))
            rc = copy_table(arena, value->table, value->type == LV_TYPE_ARRAY, &value->table);
    }
    lv_free(fields);
    if (rc < 0)
        return rc;
    assert(count > 0);
    copy->count = count;
    *ret_copy = copy;
    return 0;
}

/* Values that the broker calls equal are equal here: widths don't count. */
static enum lv_type type_of(const struct lv_value *value)
{
    if (lv_value_is_integer(value))
        return LV_TYPE_I64;
    assert(value->type < LV_TYPE_COUNT);
    return value->type == LV_TYPE_F32 ? LV_TYPE_F64 : value->type;
}

/* Of one type, which is none that nests. */
static int compare_scalars(const struct lv_value *a, const struct lv_value *b)
{
    assert(type_of(a) == type_of(b));
    switch (a->type) {
    case LV_TYPE_VOID:
        return 0;
    case LV_TYPE_BOOL:
        return a->boolean - b->boolean;
    case LV_TYPE_F32:
    case LV_TYPE_F64:
        return (a->real > b->real) - (a->real < b->real);
    case LV_TYPE_STRING:
    case LV_TYPE_BINARY:
        return compare_bytes(a->bytes, b->bytes);
    case LV_TYPE_DECIMAL:
        if (a->scale != b->scale)
            return a->scale - b->scale;
        break;
    default:
        break;
    }
    return (a->integer > b->integer) - (a->integer < b->integer);
}

static int compare_tables(const struct lv_table *a, const struct lv_table *b)
{
    uint32_t left = a == NULL ? 0 : a->count, right = b == NULL ? 0 : b->count;

    for (uint32_t i = 0; i < left && i < right; i++) {
        const struct lv_value *x = &a->fields[i].value, *y = &b->fields[i].value;
        int order = compare_bytes(a->fields[i].name, b->fields[i].name);

        if (order == 0)
            order = (int)type_of(x) - (int)type_of(y);
        if (order == 0 && (x->type == LV_TYPE_TABLE || x->type == LV_TYPE_ARRAY))
            order = compare_tables(x->table, y->table);
        else if (order == 0)
            order = compare_scalars(x, y);
        if (order != 0)
            return order;
    }
    return (left > right) - (left < right);
}

/* ---- the list ---- */

void lv_definitions_init(struct lv_definitions *list, size_t limit)
{
    assert(limit > 0);
    *list = (struct lv_definitions){.items = NULL};
    lv_arena_init(&list->arena, limit);
}

void lv_definitions_fini(struct lv_definitions *list)
{
    assert(list->count <= list->capacity);
    lv_free(list->items);
    lv_arena_fini(&list->arena);
    *list = (struct lv_definitions){.items = NULL};
}

static int make_room(struct lv_definitions *list)
{
    size_t capacity = list->capacity < 64 ? 64 : 2 * list->capacity;
    struct lv_definition *items;

    assert(list->count <= list->capacity);
    if (list->count < list->capacity)
        return 0;
    items = lv_realloc(list->items, capacity * sizeof *items);
    if (items == NULL)
        return -LV_E_NOMEM;
    list->items = items;
    list->capacity = capacity;
    return 0;
}

int lv_definitions_add(struct lv_definitions *list, const struct lv_change *change, uint32_t place)
{
    struct lv_change copy = *change;
    int rc = make_room(list);

    assert(rank_of(change->kind) < LV_COUNT(kinds));
    if (rc == 0)
        rc = copy_bytes(&list->arena, change->vhost, &copy.vhost);
    if (rc == 0)
        rc = copy_bytes(&list->arena, change->name, &copy.name);
    if (rc == 0)
        rc = copy_bytes(&list->arena, change->other, &copy.other);
    if (rc == 0)
        rc = copy_bytes(&list->arena, change->key, &copy.key);
    if (rc == 0)
        rc = copy_table(&list->arena, change->arguments, false, &copy.arguments);
    if (rc < 0)
        return rc;
    list->items[list->count++] = (struct lv_definition){.change = copy, .place = place};
    list->is_sorted = false;
    return 0;
}

/* Without memory the number of notes tells that one is missing. */
void lv_definitions_note(struct lv_definitions *list, const char *fmt, ...)
{
    char text[sizeof(struct lv_diag)];
    va_list args;
    int size;

    va_start(args, fmt);
    size = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    assert(size >= 0);
    if (list->note_count < LV_DEFINITIONS_NOTES_MAX &&
        copy_bytes(&list->arena, lv_text(text), &list->notes[list->note_count]) < 0)
        return;
    list->note_count++;
}

/* What makes an object another one: its kind and names, of bindings the arguments as well. */
static int compare_identities(const struct lv_change *a, const struct lv_change *b)
{
    int order = (int)rank_of(a->kind) - (int)rank_of(b->kind);
    bool is_binding = a->kind == LV_CHANGE_BIND;

    if (order == 0)
        order = compare_bytes(a->vhost, b->vhost);
    if (order == 0 && is_binding)
        order = compare_bytes(a->other, b->other);
    if (order == 0 && is_binding)
        order = a->to_exchange - b->to_exchange;
    if (order == 0)
        order = compare_bytes(a->name, b->name);
    if (order == 0 && a->kind == LV_CHANGE_TOPIC_PERMISSION_PUT)
        order = compare_bytes(a->other, b->other);
    if (order == 0 && is_binding)
        order = compare_bytes(a->key, b->key);
    if (order == 0 && is_binding)
        order = compare_tables(a->arguments, b->arguments);
    return order;
}

static int compare_items(const void *a, const void *b)
{
    const struct lv_definition *left = a, *right = b;
    int order = compare_identities(&left->change, &right->change);

    assert(left != NULL);
    return order != 0 ? order : (left->place > right->place) - (left->place < right->place);
}

void lv_definitions_sort(struct lv_definitions *list)
{
    if (list->count > 1)
        qsort(list->items, list->count, sizeof *list->items, compare_items);
    assert(list->count <= list->capacity);
    list->is_sorted = true;
}

static int compare_to_item(const void *change, const void *item)
{
    const struct lv_definition *definition = item;

    assert(definition != NULL);
    return compare_identities(change, &definition->change);
}

const struct lv_definition *lv_definitions_find(const struct lv_definitions *list,
                                                const struct lv_change *change)
{
    assert(list->is_sorted || list->count == 0);
    return list->count == 0
               ? NULL
               : bsearch(change, list->items, list->count, sizeof *list->items, compare_to_item);
}

bool lv_definition_is_same(const struct lv_definition *a, const struct lv_definition *b)
{
    assert(a != NULL);
    return compare_identities(&a->change, &b->change) == 0;
}

bool lv_definition_equals(const struct lv_definition *a, const struct lv_definition *b)
{
    const struct lv_change *x = &a->change, *y = &b->change;

    assert(x != NULL);
    return compare_identities(x, y) == 0 && lv_bytes_equal(x->other, y->other) &&
           lv_bytes_equal(x->key, y->key) && compare_tables(x->arguments, y->arguments) == 0 &&
           x->durable == y->durable && x->auto_delete == y->auto_delete &&
           x->internal == y->internal;
}

/* Where to look for what a change needs. */
struct search {
    const struct lv_definitions *list, *more; /* view */
};

static bool has(const struct search *search, enum lv_change_kind kind, struct lv_bytes vhost,
                struct lv_bytes name)
{
    const struct lv_change change = {.kind = kind, .vhost = vhost, .name = name};

    assert(vhost.size + name.size > 0);
    return lv_definitions_find(search->list, &change) != NULL ||
           lv_definitions_find(search->more, &change) != NULL;
}

const char *lv_definition_missing(const struct lv_definitions *list,
                                  const struct lv_definitions *more, const struct lv_change *change,
                                  struct lv_bytes *ret_name)
{
    static const struct lv_bytes none = {.size = 0};
    const struct search search = {list, more};
    bool is_of_user = change->kind == LV_CHANGE_PERMISSION_PUT ||
                      change->kind == LV_CHANGE_TOPIC_PERMISSION_PUT ||
                      (change->kind == LV_CHANGE_LIMITS_PUT && change->name.size > 0);
    bool is_binding = change->kind == LV_CHANGE_BIND;
    enum lv_change_kind target =
        change->to_exchange ? LV_CHANGE_EXCHANGE_DECLARE : LV_CHANGE_QUEUE_DECLARE;

    assert(ret_name != NULL);
    *ret_name = change->vhost;
    if (change->vhost.size > 0 && !has(&search, LV_CHANGE_VHOST_PUT, change->vhost, none))
        return "vhost";
    *ret_name = change->name;
    if (is_of_user && !has(&search, LV_CHANGE_USER_PUT, none, change->name))
        return "user";
    if (is_binding && !has(&search, target, change->vhost, change->name))
        return change->to_exchange ? "exchange" : "queue";
    *ret_name = change->other;
    if (is_binding && !has(&search, LV_CHANGE_EXCHANGE_DECLARE, change->vhost, change->other))
        return "exchange";
    return NULL;
}

/* Exclusive queues end with their connections; limits of nothing are none. */
static bool is_kept(const struct lv_change *change)
{
    bool is_empty = change->arguments == NULL || change->arguments->count == 0;

    assert(change != NULL);
    return !(change->kind == LV_CHANGE_QUEUE_DECLARE && change->exclusive) &&
           !(change->kind == LV_CHANGE_LIMITS_PUT && is_empty);
}

/* Those that are marked go. */
static void drop_marked(struct lv_definitions *list)
{
    size_t kept = 0;

    for (size_t i = 0; i < list->count; i++)
        if (!list->items[i].is_dangling)
            list->items[kept++] = list->items[i];
    assert(kept <= list->count);
    list->count = kept;
}

/* Judged by the whole list: who is needed by others needs a vhost at most, and so do they. */
void lv_definitions_prune(struct lv_definitions *list)
{
    struct lv_bytes name;

    assert(list->is_sorted || list->count == 0);
    for (size_t i = 0; i < list->count; i++)
        list->items[i].is_dangling = !is_kept(&list->items[i].change);
    drop_marked(list);
    for (size_t i = 0; i < list->count; i++) {
        struct lv_definition *item = &list->items[i];

        item->is_dangling = lv_definition_missing(list, list, &item->change, &name) != NULL;
    }
    drop_marked(list);
}

/* ---- words ---- */

const char *lv_definition_section(enum lv_change_kind kind)
{
    assert(rank_of(kind) < LV_COUNT(kinds));
    return kinds[rank_of(kind)].section;
}

const char *lv_definition_print(const struct lv_change *change, char *text)
{
    const char *what = kinds[rank_of(change->kind)].what;
    size_t size = LV_DEFINITION_TEXT_SIZE;

    assert(text != NULL);
    switch (change->kind) {
    case LV_CHANGE_VHOST_PUT:
        snprintf(text, size, "%s '%.*s'", what, LV_FMT(change->vhost));
        break;
    case LV_CHANGE_USER_PUT:
        snprintf(text, size, "%s '%.*s'", what, LV_FMT(change->name));
        break;
    case LV_CHANGE_PERMISSION_PUT:
        snprintf(text, size, "%s of user '%.*s' in vhost '%.*s'", what, LV_FMT(change->name),
                 LV_FMT(change->vhost));
        break;
    case LV_CHANGE_TOPIC_PERMISSION_PUT:
        snprintf(text, size, "%s of user '%.*s' on exchange '%.*s' in vhost '%.*s'", what,
                 LV_FMT(change->name), LV_FMT(change->other), LV_FMT(change->vhost));
        break;
    case LV_CHANGE_LIMITS_PUT:
        snprintf(text, size, "%s of %s '%.*s'", what, change->name.size > 0 ? "user" : "vhost",
                 LV_FMT(change->name.size > 0 ? change->name : change->vhost));
        break;
    case LV_CHANGE_BIND:
        snprintf(text, size, "%s from exchange '%.*s' to %s '%.*s' in vhost '%.*s' with key '%.*s'",
                 what, LV_FMT(change->other), change->to_exchange ? "exchange" : "queue",
                 LV_FMT(change->name), LV_FMT(change->vhost), LV_FMT(change->key));
        break;
    default:
        snprintf(text, size, "%s '%.*s' in vhost '%.*s'", what, LV_FMT(change->name),
                 LV_FMT(change->vhost));
    }
    return text;
}
