#include "admin/definitions_read.h"

#include "admin/json_memory.h"
#include "auth/password.h"
#include "base/alloc.h"
#include "base/pack.h"
#include "base/text.h"
#include "broker/pattern.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>

#define NAME_MAX_SIZE 255u
#define PATH_SIZE     256u
/* Memory for one object's tables on their way from JSON to the list. */
#define SCRATCH_SIZE ((size_t)64 << 20)
/* A byte of JSON becomes at most so many in the list. */
#define GROWTH ((size_t)48)
/* What notes may take besides. */
#define NOTES_SIZE (sizeof(struct lv_diag) * LV_DEFINITIONS_NOTES_MAX)

/* Where the reader is. */
struct reader {
    struct lv_definitions *list; /* view */
    struct lv_diag *diag;        /* view */
    struct lv_arena scratch;     /* own   for one object */
    struct lv_bytes version;     /* view  of the broker that wrote the file, or no data */
    uint32_t place;              /*       of the object in its section */
    size_t path_size;
    char path[PATH_SIZE]; /*       "queues[3].arguments" */
};

/* ---- what is said ---- */

/* Returns what to leave() with. A path that is too long ends somewhere. */
static size_t enter(struct reader *reader, const char *fmt, ...) LV_PRINTF(2, 3);
static size_t enter(struct reader *reader, const char *fmt, ...)
{
    size_t before = reader->path_size, room = sizeof reader->path - before;
    va_list args;
    int size;

    va_start(args, fmt);
    size = vsnprintf(reader->path + before, room, fmt, args);
    va_end(args);
    assert(size >= 0);
    reader->path_size += (size_t)size < room ? (size_t)size : room - 1;
    return before;
}

static void leave(struct reader *reader, size_t before)
{
    assert(before <= reader->path_size);
    reader->path_size = before;
    reader->path[before] = '\0';
}

/* Returns -LV_E_SYNTAX. The sentence goes on behind the path. */
static int wrong(struct reader *reader, const char *fmt, ...) LV_PRINTF(2, 3);
static int wrong(struct reader *reader, const char *fmt, ...)
{
    char sentence[300];
    va_list args;

    va_start(args, fmt);
    vsnprintf(sentence, sizeof sentence, fmt, args);
    va_end(args);
    assert(reader->path_size < sizeof reader->path);
    return lv_fail(reader->diag, -LV_E_SYNTAX, "%s%s", reader->path, sentence);
}

static int no_memory(struct reader *reader)
{
    assert(reader->list != NULL);
    return lv_fail(reader->diag, -LV_E_NOMEM, "out of memory for definitions");
}

static const char *type_word(const json_t *json)
{
    static const char *const words[] = {
        [JSON_OBJECT] = "an object", [JSON_ARRAY] = "a list",  [JSON_STRING] = "a string",
        [JSON_INTEGER] = "a number", [JSON_REAL] = "a number", [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",      [JSON_NULL] = "null",
    };

    assert(json_typeof(json) <= JSON_NULL);
    return words[json_typeof(json)];
}

/* Only for values that the path leads to. */
static int wrong_type(struct reader *reader, const json_t *json, const char *right)
{
    assert(right != NULL);
    if (json == NULL)
        return wrong(reader, " is missing: it has to be %s", right);
    return wrong(reader, " is %s: it has to be %s", type_word(json), right);
}

/* ---- values ---- */

static struct lv_bytes bytes_of(const json_t *json)
{
    assert(json_is_string(json));
    return lv_bytes(json_string_value(json), json_string_length(json));
}

/* A string of at most `max` bytes; without `is_needed` it may be absent, and is not looked at then.
 */
static int take_text(struct reader *reader, const json_t *object, const char *key, size_t max,
                     bool is_needed, struct lv_bytes *ret_text)
{
    const json_t *json = json_object_get(object, key);
    size_t before;
    int rc = 0;

    if (json == NULL && !is_needed)
        return 0;
    assert(max > 0);
    before = enter(reader, ".%s", key);
    if (!json_is_string(json))
        rc = wrong_type(reader, json, "a string");
    else if (json_string_length(json) > max)
        rc =
            wrong(reader, " has %zu bytes: at most %zu are allowed", json_string_length(json), max);
    else
        *ret_text = bytes_of(json);
    leave(reader, before);
    return rc;
}

/* What a thing is called. */
static int take_name(struct reader *reader, const json_t *object, const char *key,
                     struct lv_bytes *ret_name)
{
    int rc = take_text(reader, object, key, NAME_MAX_SIZE, true, ret_name);

    assert(key != NULL);
    if (rc < 0 || ret_name->size > 0)
        return rc;
    enter(reader, ".%s", key);
    return wrong(reader, " is empty: it has to have 1 to %u bytes", NAME_MAX_SIZE);
}

/* Absent, it keeps its value. */
static int take_bool(struct reader *reader, const json_t *object, const char *key, bool is_needed,
                     bool *ret_value)
{
    const json_t *json = json_object_get(object, key);

    assert(ret_value != NULL);
    if (json == NULL && !is_needed)
        return 0;
    if (!json_is_boolean(json)) {
        enter(reader, ".%s", key);
        return wrong_type(reader, json, "true or false");
    }
    *ret_value = json_is_true(json);
    return 0;
}

static void take_scalar(const json_t *json, struct lv_value *ret_value)
{
    *ret_value = (struct lv_value){.type = LV_TYPE_VOID};
    assert(!json_is_object(json));
    if (json_is_boolean(json)) {
        ret_value->type = LV_TYPE_BOOL;
        ret_value->boolean = json_is_true(json);
    } else if (json_is_integer(json)) {
        ret_value->type = LV_TYPE_I64;
        ret_value->integer = json_integer_value(json);
    } else if (json_is_real(json)) {
        ret_value->type = LV_TYPE_F64;
        ret_value->real = json_real_value(json);
    } else if (json_is_string(json)) {
        ret_value->type = LV_TYPE_STRING;
        ret_value->bytes = bytes_of(json);
    }
}

/* The members of an object or a list, one after the other. */
struct members {
    json_t *json; /* view */
    void *next;   /* view  of an object */
    size_t index;
};

/* The next one; its name, or its number, is entered into the path and left by the caller. */
static json_t *next_member(struct reader *reader, struct members *members,
                           struct lv_bytes *ret_name)
{
    json_t *object = members->json, *value;

    *ret_name = (struct lv_bytes){.size = 0};
    if (!json_is_object(object)) {
        enter(reader, "[%zu]", members->index);
        return json_array_get(object, members->index++);
    }
    if (members->next == NULL)
        members->next = json_object_iter(object);
    value = json_object_iter_value(members->next);
    *ret_name = lv_text(json_object_iter_key(members->next));
    members->next = json_object_iter_next(object, members->next);
    enter(reader, ".%.100s", (const char *)ret_name->data);
    assert(value != NULL);
    return value;
}

/* Gives an empty table, in whose fields there is room. NULL: no memory. */
static struct lv_table *new_table(struct reader *reader, size_t room)
{
    struct lv_table *table =
        lv_arena_alloc(&reader->scratch, sizeof *table + room * sizeof table->fields[0]);

    assert(room <= LV_DEFINITIONS_SIZE_MAX);
    if (table != NULL)
        table->count = 0;
    return table;
}

/* A list becomes a table without names. */
static int take_table(struct reader *reader, json_t *json, unsigned depth,
                      const struct lv_table **ret_table)
{
    size_t count = json_is_object(json) ? json_object_size(json) : json_array_size(json);
    struct lv_table *table = new_table(reader, count);
    struct members members = {.json = json};

    if (table == NULL)
        return no_memory(reader);
    if (depth > LV_DEFINITIONS_DEPTH_MAX)
        return wrong(reader, " nests deeper than %u levels", LV_DEFINITIONS_DEPTH_MAX);
    while (table->count < count) {
        struct lv_field *field = &table->fields[table->count++];
        size_t before = reader->path_size;
        json_t *value = next_member(reader, &members, &field->name);
        int rc = 0;

        if (field->name.size > NAME_MAX_SIZE)
            return wrong(reader, " has a name of %zu bytes: at most %u are allowed",
                         field->name.size, NAME_MAX_SIZE);
        if (json_is_object(value) || json_is_array(value)) {
            field->value.type = json_is_object(value) ? LV_TYPE_TABLE : LV_TYPE_ARRAY;
            rc = take_table(reader, value, depth + 1, &field->value.table);
        } else {
            take_scalar(value, &field->value);
        }
        if (rc < 0)
            return rc;
        leave(reader, before);
    }
    *ret_table = table;
    return 0;
}

/* An absent one is empty. */
static int take_arguments(struct reader *reader, const json_t *object,
                          const struct lv_table **ret_arguments)
{
    json_t *json = json_object_get(object, "arguments");
    size_t before = enter(reader, ".arguments");
    int rc = 0;

    *ret_arguments = NULL;
    if (json != NULL && !json_is_object(json))
        rc = wrong_type(reader, json, "an object");
    else if (json != NULL)
        rc = take_table(reader, json, 1, ret_arguments);
    if (rc == 0 && lv_table_packed_size(*ret_arguments) > LV_DEFINITIONS_ARGUMENTS_MAX)
        rc = wrong(reader, " take %u bytes: at most %zu are allowed",
                   lv_table_packed_size(*ret_arguments), LV_DEFINITIONS_ARGUMENTS_MAX);
    if (rc == 0)
        leave(reader, before);
    return rc;
}

static int add(struct reader *reader, const struct lv_change *change)
{
    int rc = lv_definitions_add(reader->list, change, reader->place);

    assert(rc == 0 || rc == -LV_E_NOMEM);
    return rc < 0 ? no_memory(reader) : 0;
}

static void put_text(struct lv_table *table, const char *name, struct lv_bytes text)
{
    assert(table != NULL);
    table->fields[table->count++] =
        (struct lv_field){.name = lv_text(name), .value = {.type = LV_TYPE_STRING, .bytes = text}};
}

/* ---- limits: of vhosts in three ways, of users in one ---- */

static int take_limit(struct reader *reader, const struct lv_change *change, struct lv_bytes name,
                      const json_t *json, struct lv_table *limits)
{
    const char *other = change->name.size > 0 ? "max-channels" : "max-queues";

    if (!lv_bytes_equal(name, lv_text("max-connections")) && !lv_bytes_equal(name, lv_text(other)))
        return wrong(reader, ": there is no such limit; there are max-connections and %s", other);
    if (!json_is_integer(json))
        return wrong_type(reader, json, "a whole number");
    assert(limits->count < 2);
    if (json_integer_value(json) < 0)
        return 0; /* no limit */
    limits->fields[limits->count++] = (struct lv_field){
        .name = name, .value = {.type = LV_TYPE_I64, .integer = json_integer_value(json)}};
    return 0;
}

/* RabbitMQ writes [["max-queues", 5], …] in vhosts, and {"max-queues": 5, …} elsewhere. */
static int take_limits(struct reader *reader, json_t *json, struct lv_change *change)
{
    size_t count = json_is_object(json) ? json_object_size(json) : json_array_size(json);
    struct lv_table *limits = new_table(reader, 2);
    struct members members = {.json = json};

    assert(change->kind == LV_CHANGE_LIMITS_PUT);
    if (limits == NULL)
        return no_memory(reader);
    if (!json_is_object(json) && !json_is_array(json))
        return wrong_type(reader, json, "an object of limits");
    if (count > 2)
        return wrong(reader, " has %zu members: there are two limits", count);
    for (size_t i = 0; i < count; i++) {
        size_t before = reader->path_size;
        struct lv_bytes name;
        const json_t *value = next_member(reader, &members, &name);
        int rc;

        if (json_is_array(json)) {
            if (json_array_size(value) != 2 || !json_is_string(json_array_get(value, 0)))
                return wrong(reader, " is no pair of a limit's name and its value");
            name = bytes_of(json_array_get(value, 0));
            value = json_array_get(value, 1);
        }
        rc = take_limit(reader, change, name, value, limits);
        if (rc < 0)
            return rc;
        leave(reader, before);
    }
    change->arguments = limits;
    return count == 0 ? 0 : add(reader, change);
}

static int take_limits_of(struct reader *reader, const json_t *object, struct lv_bytes vhost,
                          struct lv_bytes user)
{
    json_t *json = json_object_get(object, "limits");
    struct lv_change change = {.kind = LV_CHANGE_LIMITS_PUT, .vhost = vhost, .name = user};
    size_t before;
    int rc;

    assert((vhost.size == 0) != (user.size == 0));
    if (json == NULL)
        return 0;
    before = enter(reader, ".limits");
    rc = take_limits(reader, json, &change);
    leave(reader, before);
    return rc;
}

/* ---- users ---- */

/* Before 3.6 RabbitMQ had one algorithm and did not name it. */
static struct lv_bytes usual_algorithm(const struct reader *reader)
{
    struct lv_bytes version = reader->version;
    bool is_old = version.size >= 4 && version.data[0] == '3' && version.data[1] == '.' &&
                  version.data[2] < '6' && version.data[3] == '.';

    assert(version.size == 0 || version.data != NULL);
    return lv_text(is_old ? "rabbit_password_hashing_md5" : "rabbit_password_hashing_sha256");
}

/* A clear password is hashed here, which takes its time. */
static int take_password(struct reader *reader, const json_t *object,
                         char hash[LV_PASSWORD_HASH_SIZE])
{
    struct lv_bytes algorithm = usual_algorithm(reader), text = {.size = 0};
    bool is_clear = json_object_get(object, "password_hash") == NULL;
    const char *key = is_clear ? "password" : "password_hash";
    struct lv_diag diag;
    int rc = take_text(reader, object, "hashing_algorithm", NAME_MAX_SIZE, false, &algorithm);

    if (rc == 0 && is_clear && json_object_get(object, key) == NULL)
        return wrong(reader, " has neither a password_hash nor a password");
    if (rc == 0)
        rc = take_text(reader, object, key, LV_PASSWORD_MAX, true, &text);
    if (rc < 0)
        return rc;
    hash[0] = '\0';
    if (is_clear)
        rc = lv_password_hash(text, hash, &diag);
    else if (text.size > 0)
        rc = lv_password_import(algorithm, text, hash, &diag);
    if (rc == -LV_E_NOMEM)
        return no_memory(reader);
    enter(reader, ".%s", key);
    return rc < 0 ? wrong(reader, ": %s", diag.text) : 0;
}

/* RabbitMQ's older exports have one string with commas, newer ones a list. Gives a view of
 * `text`. */
static int take_tags(struct reader *reader, const json_t *json, char text[NAME_MAX_SIZE],
                     struct lv_bytes *ret_tags)
{
    size_t size = 0, count = json_is_string(json) ? 1 : json_array_size(json);

    if (!json_is_string(json) && !json_is_array(json))
        return wrong_type(reader, json, "a list of strings");
    for (size_t i = 0; i < count; i++) {
        const json_t *tag = json_is_string(json) ? json : json_array_get(json, i);
        struct lv_bytes bytes;

        if (!json_is_string(tag)) {
            enter(reader, "[%zu]", i);
            return wrong_type(reader, tag, "a string");
        }
        bytes = bytes_of(tag);
        if (bytes.size + 1 > NAME_MAX_SIZE - size)
            return wrong(reader, " take more than %u bytes", NAME_MAX_SIZE - 1);
        if (json_is_array(json) && memchr(bytes.data, ',', bytes.size) != NULL)
            return wrong(reader, "[%zu] has a comma in it, which tags can't have", i);
        if (i > 0)
            text[size++] = ',';
        size = (size_t)((char *)lv_put_bytes((uint8_t *)text + size, bytes) - text);
    }
    assert(size < NAME_MAX_SIZE);
    *ret_tags = lv_bytes(text, size);
    return 0;
}

static int take_user(struct reader *reader, const json_t *object)
{
    struct lv_change change = {.kind = LV_CHANGE_USER_PUT};
    const json_t *tags = json_object_get(object, "tags");
    char hash[LV_PASSWORD_HASH_SIZE], text[NAME_MAX_SIZE];
    size_t before = reader->path_size;
    int rc = take_name(reader, object, "name", &change.name);

    assert(json_is_object(object));
    if (rc == 0)
        rc = take_password(reader, object, hash);
    if (rc < 0)
        return rc;
    leave(reader, before);
    change.other = lv_text(hash);
    if (tags != NULL) {
        enter(reader, ".tags");
        rc = take_tags(reader, tags, text, &change.key);
        if (rc < 0)
            return rc;
        leave(reader, before);
    }
    rc = add(reader, &change);
    explicit_bzero(hash, sizeof hash);
    return rc < 0 ? rc : take_limits_of(reader, object, change.vhost, change.name);
}

/* ---- vhosts, permissions, parameters ---- */

/* What newer RabbitMQs have in "metadata" older ones have beside it. */
static int take_metadata(struct reader *reader, const json_t *object, char tags[NAME_MAX_SIZE],
                         struct lv_table *table)
{
    struct lv_bytes description = {.size = 0}, type = {.size = 0}, joined = {.size = 0};
    const json_t *json = json_object_get(object, "tags");
    size_t before = reader->path_size;
    int rc =
        take_text(reader, object, "description", LV_DEFINITIONS_ARGUMENTS_MAX, false, &description);

    assert(table != NULL);
    if (rc == 0)
        rc = take_text(reader, object, "default_queue_type", NAME_MAX_SIZE, false, &type);
    if (rc == 0 && json != NULL) {
        enter(reader, ".tags");
        rc = take_tags(reader, json, tags, &joined);
        if (rc == 0)
            leave(reader, before);
    }
    if (rc < 0)
        return rc;
    if (type.size > 0 && !lv_bytes_equal(type, lv_text("undefined")) &&
        !lv_bytes_equal(type, lv_text("classic")))
        return wrong(reader, ".default_queue_type is '%.*s': this broker has classic queues",
                     LV_FMT(type));
    if (description.size > 0)
        put_text(table, "description", description);
    if (joined.size > 0)
        put_text(table, "tags", joined);
    if (lv_bytes_equal(type, lv_text("classic")))
        put_text(table, "default_queue_type", type);
    return 0;
}

static int take_vhost(struct reader *reader, const json_t *object)
{
    struct lv_change change = {.kind = LV_CHANGE_VHOST_PUT};
    struct lv_table *table = new_table(reader, 6);
    const json_t *metadata = json_object_get(object, "metadata");
    char tags[NAME_MAX_SIZE];
    size_t before = reader->path_size;
    int rc = take_name(reader, object, "name", &change.vhost);

    if (table == NULL)
        return no_memory(reader);
    if (rc == 0 && json_is_object(metadata)) {
        enter(reader, ".metadata");
        rc = take_metadata(reader, metadata, tags, table);
        if (rc == 0)
            leave(reader, before);
    } else if (rc == 0) {
        rc = take_metadata(reader, object, tags, table);
    }
    if (rc < 0)
        return rc;
    assert(table->count <= 6);
    change.arguments = table;
    rc = add(reader, &change);
    return rc < 0 ? rc : take_limits_of(reader, object, change.vhost, change.name);
}

static int take_pattern(struct reader *reader, const json_t *object, const char *key,
                        struct lv_table *table)
{
    struct lv_bytes text = {.size = 0};
    struct lv_pattern pattern = {.size = 0};
    struct lv_diag diag;
    int rc = take_text(reader, object, key, LV_PATTERN_SIZE_MAX, true, &text);

    assert(table != NULL);
    if (rc < 0)
        return rc;
    rc = lv_pattern_init(&pattern, text, &diag);
    lv_pattern_fini(&pattern);
    if (rc == -LV_E_NOMEM)
        return no_memory(reader);
    if (rc < 0) {
        enter(reader, ".%s", key);
        return wrong(reader, ": %s", diag.text);
    }
    put_text(table, key, text);
    return 0;
}

/* Both kinds: those for topics name an exchange and have nothing to configure. */
static int take_grant(struct reader *reader, const json_t *object, struct lv_change *change)
{
    struct lv_table *table = new_table(reader, 3);
    bool is_topic = change->kind == LV_CHANGE_TOPIC_PERMISSION_PUT;
    int rc = take_name(reader, object, "user", &change->name);

    if (table == NULL)
        return no_memory(reader);
    if (rc == 0)
        rc = take_name(reader, object, "vhost", &change->vhost);
    if (rc == 0 && is_topic)
        rc = take_text(reader, object, "exchange", NAME_MAX_SIZE, true, &change->other);
    if (rc == 0 && !is_topic)
        rc = take_pattern(reader, object, "configure", table);
    if (rc == 0)
        rc = take_pattern(reader, object, "write", table);
    if (rc == 0)
        rc = take_pattern(reader, object, "read", table);
    assert(table->count <= 3);
    change->arguments = table;
    return rc < 0 ? rc : add(reader, change);
}

static int take_permission(struct reader *reader, const json_t *object)
{
    struct lv_change change = {.kind = LV_CHANGE_PERMISSION_PUT};

    assert(json_is_object(object));
    return take_grant(reader, object, &change);
}

static int take_topic_permission(struct reader *reader, const json_t *object)
{
    struct lv_change change = {.kind = LV_CHANGE_TOPIC_PERMISSION_PUT};

    assert(json_is_object(object));
    return take_grant(reader, object, &change);
}

/* Policies, parameters of other components, global parameters. */
static int leave_out(struct reader *reader, const json_t *object)
{
    const char *name = json_string_value(json_object_get(object, "name"));
    const char *component = json_string_value(json_object_get(object, "component"));

    assert(json_is_object(object));
    lv_definitions_note(reader->list, "%s is left out: this broker has nothing like %s%s'%.200s'",
                        reader->path, component == NULL ? "" : component,
                        component == NULL ? "" : " ", name == NULL ? "" : name);
    return 0;
}

static int take_parameter(struct reader *reader, const json_t *object)
{
    struct lv_change change = {.kind = LV_CHANGE_LIMITS_PUT};
    struct lv_bytes component = {.size = 0};
    json_t *value = json_object_get(object, "value");
    int rc = take_name(reader, object, "component", &component);

    if (rc < 0 || !lv_bytes_equal(component, lv_text("vhost-limits")))
        return rc < 0 ? rc : leave_out(reader, object);
    rc = take_name(reader, object, "vhost", &change.vhost);
    if (rc < 0)
        return rc;
    enter(reader, ".value");
    assert(change.name.size == 0);
    return value == NULL ? wrong_type(reader, value, "an object of limits")
                         : take_limits(reader, value, &change);
}

/* ---- exchanges, queues, bindings ---- */

static int add_declare(struct reader *reader, const struct lv_change *change)
{
    struct lv_diag diag;
    int rc = lv_declare_check_arguments(change, &diag);

    assert(!change->exclusive);
    if (rc < 0)
        return wrong(reader, ": %s%s", diag.text,
                     rc == -LV_E_NOT_IMPLEMENTED ? ", which this broker doesn't have" : "");
    return add(reader, change);
}

static int take_exchange(struct reader *reader, const json_t *object)
{
    struct lv_change change = {.kind = LV_CHANGE_EXCHANGE_DECLARE};
    enum lv_exchange_type type;
    int rc = take_text(reader, object, "name", NAME_MAX_SIZE, true, &change.name);

    if (rc == 0 && change.name.size == 0) {
        lv_definitions_note(reader->list, "%s is left out: every vhost has the default exchange",
                            reader->path);
        return 0;
    }
    if (rc == 0)
        rc = take_name(reader, object, "vhost", &change.vhost);
    if (rc == 0)
        rc = take_name(reader, object, "type", &change.other);
    if (rc == 0 && !lv_exchange_type_parse(change.other, &type))
        rc = wrong(reader, ".type is '%.*s': there are direct, fanout, topic and headers",
                   LV_FMT(change.other));
    if (rc == 0)
        rc = take_bool(reader, object, "durable", true, &change.durable);
    if (rc == 0)
        rc = take_bool(reader, object, "auto_delete", true, &change.auto_delete);
    if (rc == 0)
        rc = take_bool(reader, object, "internal", false, &change.internal);
    if (rc == 0)
        rc = take_arguments(reader, object, &change.arguments);
    return rc < 0 ? rc : add_declare(reader, &change);
}

/* Newer exports say the type beside the arguments, too. */
static int check_queue_type(struct reader *reader, const json_t *object,
                            const struct lv_table *arguments)
{
    const struct lv_value *declared = lv_table_get(arguments, "x-queue-type");
    struct lv_bytes type = lv_text("classic");
    int rc = take_text(reader, object, "type", NAME_MAX_SIZE, false, &type);

    assert(object != NULL);
    if (rc == 0 && declared == NULL && !lv_bytes_equal(type, lv_text("classic")))
        return wrong(reader, ".type is '%.*s': this broker has classic queues", LV_FMT(type));
    return rc;
}

static int take_queue(struct reader *reader, const json_t *object)
{
    struct lv_change change = {.kind = LV_CHANGE_QUEUE_DECLARE};
    int rc = take_name(reader, object, "name", &change.name);

    assert(json_is_object(object));
    if (rc == 0)
        rc = take_name(reader, object, "vhost", &change.vhost);
    if (rc == 0)
        rc = take_bool(reader, object, "durable", true, &change.durable);
    if (rc == 0)
        rc = take_bool(reader, object, "auto_delete", true, &change.auto_delete);
    if (rc == 0)
        rc = take_arguments(reader, object, &change.arguments);
    if (rc == 0)
        rc = check_queue_type(reader, object, change.arguments);
    if (rc < 0)
        return rc;
    return add_declare(reader, &change);
}

static int take_binding(struct reader *reader, const json_t *object)
{
    struct lv_change change = {.kind = LV_CHANGE_BIND};
    struct lv_bytes type = {.size = 0};
    int rc = take_text(reader, object, "source", NAME_MAX_SIZE, true, &change.other);

    if (rc == 0 && change.other.size == 0) {
        lv_definitions_note(reader->list,
                            "%s is left out: the default exchange has a binding to every queue",
                            reader->path);
        return 0;
    }
    if (rc == 0)
        rc = take_name(reader, object, "vhost", &change.vhost);
    if (rc == 0)
        rc = take_name(reader, object, "destination", &change.name);
    if (rc == 0)
        rc = take_name(reader, object, "destination_type", &type);
    change.to_exchange = lv_bytes_equal(type, lv_text("exchange"));
    if (rc == 0 && !change.to_exchange && !lv_bytes_equal(type, lv_text("queue")))
        rc = wrong(reader, ".destination_type is '%.*s': it has to be queue or exchange",
                   LV_FMT(type));
    if (rc == 0)
        rc = take_text(reader, object, "routing_key", NAME_MAX_SIZE, true, &change.key);
    if (rc == 0)
        rc = take_arguments(reader, object, &change.arguments);
    assert(change.client == 0);
    return rc < 0 ? rc : add(reader, &change);
}

/* ---- the file ---- */

static const struct section {
    const char *name;
    const char *keys; /* that its objects may have, with spaces between; NULL: any */
    int (*take)(struct reader *reader, const json_t *object);
} sections[] = {
    {"vhosts", "name limits metadata description tags default_queue_type tracing", take_vhost},
    {"users", "name password_hash hashing_algorithm password tags limits", take_user},
    {"permissions", "user vhost configure write read", take_permission},
    {"topic_permissions", "user vhost exchange write read", take_topic_permission},
    {"parameters", "component vhost name value", take_parameter},
    {"global_parameters", NULL, leave_out},
    {"policies", NULL, leave_out},
    {"exchanges", "name vhost type durable auto_delete internal arguments", take_exchange},
    {"queues", "name vhost type durable auto_delete arguments", take_queue},
    {"bindings", "source vhost destination destination_type routing_key arguments properties_key",
     take_binding},
};

/* What says where the file comes from. */
static const char about[] = "rabbit_version rabbitmq_version product_name product_version "
                            "rabbitmq_definition_format original_cluster_name explanation";

/* Is it one of the words? */
static bool is_among(const char *words, const char *word)
{
    size_t size = strlen(word);

    assert(words != NULL);
    while (*words != '\0') {
        size_t next = strcspn(words, " ");

        if (next == size && memcmp(words, word, size) == 0)
            return true;
        words += next + (words[next] == ' ');
    }
    return false;
}

static void note_unknown(struct reader *reader, json_t *object, const char *keys)
{
    assert(keys != NULL);
    for (void *next = json_object_iter(object); next != NULL;
         next = json_object_iter_next(object, next)) {
        const char *key = json_object_iter_key(next);

        if (!is_among(keys, key))
            lv_definitions_note(reader->list, "%s.%.100s is left out: it isn't known", reader->path,
                                key);
    }
}

static int take_section(struct reader *reader, const struct section *section, const json_t *list)
{
    size_t count = json_array_size(list);

    leave(reader, 0);
    enter(reader, "%s", section->name);
    if (!json_is_array(list))
        return wrong_type(reader, list, "a list");
    for (size_t i = 0; i < count; i++) {
        json_t *object = json_array_get(list, i);
        int rc;

        leave(reader, 0);
        enter(reader, "%s[%zu]", section->name, i);
        reader->place = (uint32_t)i;
        if (!json_is_object(object))
            return wrong_type(reader, object, "an object");
        if (section->keys != NULL)
            note_unknown(reader, object, section->keys);
        rc = section->take(reader, object);
        lv_arena_reset(&reader->scratch);
        if (rc < 0)
            return rc;
    }
    assert(count <= LV_DEFINITIONS_SIZE_MAX);
    return 0;
}

/* A word that is nearly right would leave out all that is in it. */
static int check_sections(struct reader *reader, json_t *root)
{
    assert(json_is_object(root));
    for (void *next = json_object_iter(root); next != NULL;
         next = json_object_iter_next(root, next)) {
        const char *key = json_object_iter_key(next);
        struct lv_nearest nearest = {.name = key};
        bool is_known = is_among(about, key);

        for (size_t i = 0; i < LV_COUNT(sections) && !is_known; i++) {
            lv_nearest_try(&nearest, sections[i].name);
            is_known = strcmp(key, sections[i].name) == 0;
        }
        if (!is_known && nearest.best != NULL)
            return wrong(reader, "\"%.100s\" isn't known; did you mean \"%s\"?", key, nearest.best);
        if (!is_known)
            lv_definitions_note(reader->list, "%.100s is left out: it isn't known", key);
    }
    return 0;
}

static int take_root(struct reader *reader, json_t *root)
{
    int rc;

    if (!json_is_object(root))
        return wrong(reader, "definitions are an object, and this is %s", type_word(root));
    rc = check_sections(reader, root);
    if (rc == 0 && json_is_string(json_object_get(root, "rabbit_version")))
        reader->version = bytes_of(json_object_get(root, "rabbit_version"));
    for (size_t i = 0; i < LV_COUNT(sections) && rc == 0; i++) {
        const json_t *list = json_object_get(root, sections[i].name);

        if (list != NULL)
            rc = take_section(reader, &sections[i], list);
    }
    assert(rc <= 0);
    return rc;
}

/* The same thing twice is once; two that differ are a mistake. */
static int settle_doubles(struct lv_definitions *list, struct lv_diag *diag)
{
    size_t kept = 0;
    char text[LV_DEFINITION_TEXT_SIZE];

    assert(list->is_sorted);
    for (size_t i = 0; i < list->count; i++) {
        const struct lv_definition *item = &list->items[i];
        const struct lv_definition *last = &list->items[kept == 0 ? 0 : kept - 1];

        if (kept == 0 || !lv_definition_is_same(last, item))
            list->items[kept++] = *item;
        else if (!lv_definition_equals(last, item))
            return lv_fail(diag, -LV_E_SYNTAX, "%s[%u]: %.300s is there twice, and they differ",
                           lv_definition_section(item->change.kind), item->place,
                           lv_definition_print(&item->change, text));
    }
    list->count = kept;
    return 0;
}

int lv_definitions_read(struct lv_bytes text, struct lv_definitions *list, struct lv_diag *diag)
{
    struct reader reader = {.list = list, .diag = diag};
    json_error_t error;
    json_t *root;
    int rc;

    assert(list->items == NULL);
    if (text.size > LV_DEFINITIONS_SIZE_MAX)
        return lv_fail(diag, -LV_E_SYNTAX, "definitions have %zu bytes: at most %zu are allowed",
                       text.size, LV_DEFINITIONS_SIZE_MAX);
    lv_json_memory();
    root = json_loadb((const char *)text.data, text.size,
                      JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY, &error);
    if (root == NULL && json_error_code(&error) == json_error_out_of_memory)
        return no_memory(&reader);
    if (root == NULL)
        return lv_fail(diag, -LV_E_SYNTAX, "line %d, column %d: this is no JSON: %s", error.line,
                       error.column, error.text);
    lv_definitions_init(list, GROWTH * text.size + NOTES_SIZE);
    lv_arena_init(&reader.scratch, SCRATCH_SIZE);
    rc = take_root(&reader, root);
    lv_arena_fini(&reader.scratch);
    json_decref(root);
    if (rc == 0) {
        lv_definitions_sort(list);
        rc = settle_doubles(list, diag);
    }
    if (rc < 0)
        lv_definitions_fini(list);
    return rc;
}
