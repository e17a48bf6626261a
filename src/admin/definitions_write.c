#include "admin/definitions_write.h"

#include "auth/password.h"
#include "lv_version.h"

struct writer {
    const struct lv_definitions *list; /* view */
    const struct lv_json *json;        /* view */
};

/* ---- pieces ---- */

/* `,"key":` or, as the first of an object, `{"key":`. */
static void put_key(const struct writer *writer, const char *key, bool is_first)
{
    assert(key != NULL);
    lv_json_raw(writer->json, is_first ? "{\"" : ",\"");
    lv_json_raw(writer->json, key);
    lv_json_raw(writer->json, "\":");
}

static void put_text(const struct writer *writer, const char *key, struct lv_bytes text)
{
    assert(text.size == 0 || text.data != NULL);
    put_key(writer, key, false);
    lv_json_text(writer->json, text);
}

static void put_bool(const struct writer *writer, const char *key, bool value)
{
    put_key(writer, key, false);
    assert(value == 0 || value == 1);
    lv_json_raw(writer->json, value ? "true" : "false");
}

static void put_arguments(const struct writer *writer, const struct lv_change *change)
{
    put_key(writer, "arguments", true);
    assert(change != NULL);
    lv_json_table(writer->json, change->arguments);
}

/* Empty when there is none. */
static struct lv_bytes text_at(const struct lv_table *table, const char *name)
{
    const struct lv_value *value = lv_table_get(table, name);

    assert(value == NULL || value->type == LV_TYPE_STRING);
    return value == NULL ? lv_bytes(NULL, 0) : value->bytes;
}

/* Words with commas between become a list. */
static void put_tags(const struct writer *writer, bool is_first, struct lv_bytes tags)
{
    const uint8_t *next = tags.data, *end = next == NULL ? NULL : next + tags.size;

    put_key(writer, "tags", is_first);
    lv_json_raw(writer->json, "[");
    while (next < end) {
        const uint8_t *comma = memchr(next, ',', (size_t)(end - next));
        size_t size = (size_t)((comma == NULL ? end : comma) - next);

        lv_json_text(writer->json, lv_bytes(next, size));
        next += size + (comma != NULL);
        lv_json_raw(writer->json, comma != NULL ? "," : "");
        assert(next <= end);
    }
    lv_json_raw(writer->json, "]");
}

/* NULL: none. */
static const struct lv_table *limits_of(const struct writer *writer, struct lv_bytes vhost,
                                        struct lv_bytes user)
{
    const struct lv_change change = {.kind = LV_CHANGE_LIMITS_PUT, .vhost = vhost, .name = user};
    const struct lv_definition *found = lv_definitions_find(writer->list, &change);

    assert((vhost.size == 0) != (user.size == 0));
    return found == NULL ? NULL : found->change.arguments;
}

/* ---- objects ---- */

static void write_vhost(const struct writer *writer, const struct lv_change *change)
{
    const struct lv_table *limits = limits_of(writer, change->vhost, change->name);
    struct lv_bytes type = text_at(change->arguments, "default_queue_type");

    put_key(writer, "limits", true);
    lv_json_raw(writer->json, "[");
    for (uint32_t i = 0; limits != NULL && i < limits->count; i++) {
        lv_json_raw(writer->json, i > 0 ? ",[" : "[");
        lv_json_text(writer->json, limits->fields[i].name);
        lv_json_raw(writer->json, ",");
        lv_json_value(writer->json, &limits->fields[i].value);
        lv_json_raw(writer->json, "]");
    }
    lv_json_raw(writer->json, "]");
    put_key(writer, "metadata", false);
    put_key(writer, "description", true);
    lv_json_text(writer->json, text_at(change->arguments, "description"));
    if (type.size > 0)
        put_text(writer, "default_queue_type", type);
    put_tags(writer, false, text_at(change->arguments, "tags"));
    lv_json_raw(writer->json, "}");
    put_text(writer, "name", change->vhost);
    assert(change->kind == LV_CHANGE_VHOST_PUT);
}

static void write_user(const struct writer *writer, const struct lv_change *change)
{
    struct lv_password_export password;
    char hash[LV_PASSWORD_HASH_SIZE] = "";

    assert(change->other.size < sizeof hash);
    lv_put_bytes((uint8_t *)hash, change->other);
    lv_password_export(hash, &password);
    put_key(writer, "hashing_algorithm", true);
    lv_json_string(writer->json, lv_text(password.algorithm));
    put_key(writer, "limits", false);
    lv_json_table(writer->json, limits_of(writer, change->vhost, change->name));
    put_text(writer, "name", change->name);
    put_text(writer, "password_hash", lv_text(password.text));
    put_tags(writer, false, change->key);
}

static void write_permission(const struct writer *writer, const struct lv_change *change)
{
    put_key(writer, "configure", true);
    lv_json_text(writer->json, text_at(change->arguments, "configure"));
    put_text(writer, "read", text_at(change->arguments, "read"));
    put_text(writer, "user", change->name);
    put_text(writer, "vhost", change->vhost);
    put_text(writer, "write", text_at(change->arguments, "write"));
    assert(change->kind == LV_CHANGE_PERMISSION_PUT);
}

static void write_topic_permission(const struct writer *writer, const struct lv_change *change)
{
    put_key(writer, "exchange", true);
    lv_json_text(writer->json, change->other);
    put_text(writer, "read", text_at(change->arguments, "read"));
    put_text(writer, "user", change->name);
    put_text(writer, "vhost", change->vhost);
    put_text(writer, "write", text_at(change->arguments, "write"));
    assert(change->kind == LV_CHANGE_TOPIC_PERMISSION_PUT);
}

/* Only of vhosts: those of users stand with them. */
static void write_limits(const struct writer *writer, const struct lv_change *change)
{
    put_key(writer, "component", true);
    lv_json_raw(writer->json, "\"vhost-limits\"");
    put_text(writer, "name", lv_text("limits"));
    put_key(writer, "value", false);
    lv_json_table(writer->json, change->arguments);
    put_text(writer, "vhost", change->vhost);
    assert(change->name.size == 0);
}

static void write_exchange(const struct writer *writer, const struct lv_change *change)
{
    put_arguments(writer, change);
    put_bool(writer, "auto_delete", change->auto_delete);
    put_bool(writer, "durable", change->durable);
    put_bool(writer, "internal", change->internal);
    put_text(writer, "name", change->name);
    put_text(writer, "type", change->other);
    put_text(writer, "vhost", change->vhost);
    assert(change->kind == LV_CHANGE_EXCHANGE_DECLARE);
}

static void write_queue(const struct writer *writer, const struct lv_change *change)
{
    put_arguments(writer, change);
    put_bool(writer, "auto_delete", change->auto_delete);
    put_bool(writer, "durable", change->durable);
    put_text(writer, "name", change->name);
    put_text(writer, "type", lv_text("classic"));
    put_text(writer, "vhost", change->vhost);
    assert(change->kind == LV_CHANGE_QUEUE_DECLARE);
}

static void write_binding(const struct writer *writer, const struct lv_change *change)
{
    put_arguments(writer, change);
    put_text(writer, "destination", change->name);
    put_text(writer, "destination_type", lv_text(change->to_exchange ? "exchange" : "queue"));
    put_text(writer, "routing_key", change->key);
    put_text(writer, "source", change->other);
    put_text(writer, "vhost", change->vhost);
    assert(change->kind == LV_CHANGE_BIND);
}

/* ---- the file ---- */

/* Sections in the order of their names. */
static const struct section {
    const char *name;
    enum lv_change_kind kind;
    void (*write)(const struct writer *writer, const struct lv_change *change);
} sections[] = {
    {"bindings", LV_CHANGE_BIND, write_binding},
    {"exchanges", LV_CHANGE_EXCHANGE_DECLARE, write_exchange},
    {"global_parameters", LV_CHANGE_COUNT, NULL},
    {"parameters", LV_CHANGE_LIMITS_PUT, write_limits},
    {"permissions", LV_CHANGE_PERMISSION_PUT, write_permission},
    {"policies", LV_CHANGE_COUNT, NULL},
    {"queues", LV_CHANGE_QUEUE_DECLARE, write_queue},
    {"topic_permissions", LV_CHANGE_TOPIC_PERMISSION_PUT, write_topic_permission},
    {"users", LV_CHANGE_USER_PUT, write_user},
    {"vhosts", LV_CHANGE_VHOST_PUT, write_vhost},
};

static bool is_written(const struct section *section, const struct lv_change *change)
{
    bool is_exchange = change->kind == LV_CHANGE_EXCHANGE_DECLARE;
    bool is_inborn = change->name.size == 0 ||
                     (change->name.size >= 4 && memcmp(change->name.data, "amq.", 4) == 0);

    assert(section->name != NULL);
    if (change->kind != section->kind)
        return false;
    return !(is_exchange && is_inborn) &&
           !(change->kind == LV_CHANGE_LIMITS_PUT && change->name.size > 0);
}

static void write_section(const struct writer *writer, const struct section *section)
{
    const struct lv_definitions *list = writer->list;
    bool is_first = true;

    put_key(writer, section->name, section == sections);
    lv_json_raw(writer->json, "[");
    for (size_t i = 0; i < list->count; i++) {
        if (!is_written(section, &list->items[i].change))
            continue;
        lv_json_raw(writer->json, is_first ? "\n" : ",\n");
        section->write(writer, &list->items[i].change);
        lv_json_raw(writer->json, "}");
        is_first = false;
    }
    assert(section->kind < LV_CHANGE_COUNT || is_first);
    lv_json_raw(writer->json, is_first ? "]\n" : "\n]\n");
}

void lv_definitions_write(const struct lv_definitions *list, const char *version,
                          const struct lv_json *json)
{
    const struct writer writer = {list, json};

    assert(list->is_sorted || list->count == 0);
    for (size_t i = 0; i < LV_COUNT(sections); i++)
        write_section(&writer, &sections[i]);
    put_text(&writer, "product_name", lv_text("Leveret"));
    put_text(&writer, "product_version", lv_text(LV_VERSION));
    put_text(&writer, "rabbit_version", lv_text(version));
    put_text(&writer, "rabbitmq_version", lv_text(version));
    lv_json_raw(json, "}\n");
}
