#include "admin/request.h"

#include "admin/definitions.h"
#include "admin/json_memory.h"
#include "base/alloc.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_SIZE 255u

/* What is in a request besides its command, and where it goes. */
enum member_kind {
    MEMBER_NAME,     /* at most 255 bytes, to the offset */
    MEMBER_TEXT,     /* to the offset */
    MEMBER_FLAG,     /* true or false, to the offset */
    MEMBER_NUMBER,   /* not negative, to the offset */
    MEMBER_ARGUMENT, /* a string among the change's arguments */
    MEMBER_TAGS,     /* a list of strings, to the change's key */
    MEMBER_WORDS,    /* a list of strings, among the arguments, with commas between */
    MEMBER_LIMITS,   /* JSON in a string, to the change's arguments */
    MEMBER_SECONDS,  /* up to a bound, to the offset */
    MEMBER_PID       /* of a connection */
};

static const struct member {
    const char *name;
    enum member_kind kind;
    size_t offset; /* in struct lv_request */
} members[] = {
    {"vhost", MEMBER_NAME, offsetof(struct lv_request, change.vhost)},
    {"user", MEMBER_NAME, offsetof(struct lv_request, change.name)},
    {"queue", MEMBER_NAME, offsetof(struct lv_request, change.name)},
    {"exchange", MEMBER_NAME, offsetof(struct lv_request, change.other)},
    {"password", MEMBER_TEXT, offsetof(struct lv_request, password)},
    {"limit", MEMBER_TEXT, offsetof(struct lv_request, limit)},
    {"reason", MEMBER_TEXT, offsetof(struct lv_request, reason)},
    {"configure", MEMBER_ARGUMENT, 0},
    {"write", MEMBER_ARGUMENT, 0},
    {"read", MEMBER_ARGUMENT, 0},
    {"description", MEMBER_ARGUMENT, 0},
    {"default_queue_type", MEMBER_ARGUMENT, 0},
    {"vhost_tags", MEMBER_WORDS, 0},
    {"tags", MEMBER_TAGS, 0},
    {"limits", MEMBER_LIMITS, 0},
    {"pid", MEMBER_PID, 0},
    {"all", MEMBER_FLAG, offsetof(struct lv_request, is_all)},
    {"if_unused", MEMBER_FLAG, offsetof(struct lv_request, if_unused)},
    {"if_empty", MEMBER_FLAG, offsetof(struct lv_request, if_empty)},
    {"plan", MEMBER_FLAG, offsetof(struct lv_request, is_plan)},
    {"count", MEMBER_NUMBER, offsetof(struct lv_request, count)},
    {"size", MEMBER_NUMBER, offsetof(struct lv_request, size)},
    {"timeout", MEMBER_SECONDS, offsetof(struct lv_request, drain_s)},
};

/* Commands that list nothing. Members with a question mark may be absent. */
static const struct row {
    const char *command;
    enum lv_request_kind kind;
    const char *members;
    enum lv_change_kind change;
    enum lv_close_kind close;
    bool is_new, is_purge;
} rows[] = {
    {"status", LV_REQUEST_STATUS, "", 0, 0, false, false},
    {"environment", LV_REQUEST_ENVIRONMENT, "", 0, 0, false, false},
    {"stop", LV_REQUEST_STOP, "", 0, 0, false, false},
    {"drain", LV_REQUEST_DRAIN, "timeout?", 0, 0, false, false},
    {"add_user", LV_REQUEST_CHANGE, "user password tags?", LV_CHANGE_USER_PUT, 0, true, false},
    {"delete_user", LV_REQUEST_CHANGE, "user", LV_CHANGE_USER_DELETE, 0, false, false},
    {"change_password", LV_REQUEST_CHANGE, "user password", LV_CHANGE_USER_PASSWORD, 0, false,
     false},
    {"clear_password", LV_REQUEST_CHANGE, "user", LV_CHANGE_USER_PASSWORD, 0, false, false},
    {"set_user_tags", LV_REQUEST_CHANGE, "user tags", LV_CHANGE_USER_TAGS, 0, false, false},
    {"authenticate_user", LV_REQUEST_AUTHENTICATE, "user password", 0, 0, false, false},
    {"add_vhost", LV_REQUEST_CHANGE, "vhost description? vhost_tags? default_queue_type?",
     LV_CHANGE_VHOST_PUT, 0, true, false},
    {"delete_vhost", LV_REQUEST_CHANGE, "vhost", LV_CHANGE_VHOST_DELETE, 0, false, false},
    {"set_permissions", LV_REQUEST_CHANGE, "vhost user configure write read",
     LV_CHANGE_PERMISSION_PUT, 0, false, false},
    {"clear_permissions", LV_REQUEST_CHANGE, "vhost user", LV_CHANGE_PERMISSION_DELETE, 0, false,
     false},
    {"set_topic_permissions", LV_REQUEST_CHANGE, "vhost user exchange write read",
     LV_CHANGE_TOPIC_PERMISSION_PUT, 0, false, false},
    {"clear_topic_permissions", LV_REQUEST_CHANGE, "vhost user exchange?",
     LV_CHANGE_TOPIC_PERMISSION_DELETE, 0, false, false},
    {"set_vhost_limits", LV_REQUEST_CHANGE, "vhost limits", LV_CHANGE_LIMITS_PUT, 0, false, false},
    {"clear_vhost_limits", LV_REQUEST_CHANGE, "vhost", LV_CHANGE_LIMITS_DELETE, 0, false, false},
    {"set_user_limits", LV_REQUEST_CHANGE, "user limits", LV_CHANGE_LIMITS_PUT, 0, false, false},
    {"clear_user_limits", LV_REQUEST_CHANGE, "user limit", LV_CHANGE_LIMITS_PUT, 0, false, false},
    {"close_connection", LV_REQUEST_CLOSE, "pid reason", 0, LV_CLOSE_ONE, false, false},
    {"close_all_connections", LV_REQUEST_CLOSE, "vhost reason all? count?", 0, LV_CLOSE_VHOST,
     false, false},
    {"close_all_user_connections", LV_REQUEST_CLOSE, "user reason", 0, LV_CLOSE_USER, false, false},
    {"purge_queue", LV_REQUEST_ORDER, "vhost queue", 0, 0, false, true},
    {"delete_queue", LV_REQUEST_ORDER, "vhost queue if_unused? if_empty?", 0, 0, false, false},
    {"export_definitions", LV_REQUEST_EXPORT, "", 0, 0, false, false},
    {"import_definitions", LV_REQUEST_IMPORT, "size plan?", 0, 0, false, false},
};

static struct lv_bytes text_of(const json_t *value)
{
    assert(json_is_string(value));
    return lv_bytes(json_string_value(value), json_string_length(value));
}

/* A copy that stays; there is room for all, as the line is no longer. */
static struct lv_bytes keep(struct lv_request *request, struct lv_bytes text)
{
    uint8_t *copy = request->text + request->text_size;

    assert(text.size <= sizeof request->text - request->text_size);
    lv_put_bytes(copy, text);
    request->text_size += text.size;
    return lv_bytes(copy, text.size);
}

/* ---- lists ---- */

static int take_columns(const json_t *columns, struct lv_request *request, struct lv_diag *diag)
{
    size_t count = json_array_size(columns);

    assert(request->column_count == 0);
    if (!json_is_array(columns) || count == 0 || count > LV_COLUMNS_MAX)
        return lv_fail(diag, -LV_E_SYNTAX, "\"columns\" is no list of 1 to %u names",
                       LV_COLUMNS_MAX);
    for (size_t i = 0; i < count; i++) {
        const json_t *column = json_array_get(columns, i);
        int place = json_is_string(column) ? lv_list_column(request->list, text_of(column)) : -1;

        if (place < 0)
            return lv_fail(diag, -LV_E_NOT_FOUND, "%s has no such column: %.100s",
                           lv_list_rows[request->list].command,
                           json_is_string(column) ? json_string_value(column) : "not a string");
        request->columns[request->column_count++] = (uint8_t)place;
    }
    return 0;
}

/* ---- members ---- */

static int wrong(struct lv_diag *diag, const char *member, const char *what)
{
    assert(what != NULL);
    return lv_fail(diag, -LV_E_SYNTAX, "\"%s\" is no %s", member, what);
}

static int take_text(const json_t *json, const struct member *member, struct lv_request *request,
                     struct lv_diag *diag)
{
    bool is_name = member->kind == MEMBER_NAME;
    struct lv_bytes *to = (struct lv_bytes *)(void *)((char *)request + member->offset);

    assert(member->offset < sizeof *request);
    if (!json_is_string(json) || (is_name && json_string_length(json) > NAME_MAX_SIZE))
        return wrong(diag, member->name, is_name ? "name" : "string");
    *to = keep(request, text_of(json));
    return 0;
}

static struct lv_value *add_argument(struct lv_request *request, struct lv_bytes name)
{
    struct lv_table *table = request->arguments;
    struct lv_field *field = &table->fields[table->count++];

    assert(table->count <= LV_REQUEST_ARGUMENTS_MAX);
    request->change.arguments = table;
    field->name = name;
    return &field->value;
}

/* Words with commas between, as one text. */
static int join(const json_t *json, const char *member, struct lv_request *request,
                struct lv_diag *diag, struct lv_bytes *ret_words)
{
    size_t before = request->text_size;

    assert(member != NULL);
    if (!json_is_array(json))
        return wrong(diag, member, "list of strings");
    for (size_t i = 0; i < json_array_size(json); i++) {
        const json_t *word = json_array_get(json, i);

        if (!json_is_string(word))
            return wrong(diag, member, "list of strings");
        if (memchr(json_string_value(word), ',', json_string_length(word)) != NULL)
            return lv_fail(diag, -LV_E_PRECONDITION, "a tag may not have a comma in it: %.100s",
                           json_string_value(word));
        if (i > 0)
            (void)keep(request, lv_text(","));
        (void)keep(request, text_of(word));
    }
    *ret_words = lv_bytes(request->text + before, request->text_size - before);
    return 0;
}

/* A value of wrong type as Erlang's users see it. */
static void print_term(const json_t *json, char *text, size_t size)
{
    assert(size > 0);
    if (json_is_string(json))
        snprintf(text, size, "<<\"%.60s\">>", json_string_value(json));
    else if (json_is_integer(json))
        snprintf(text, size, "%" JSON_INTEGER_FORMAT, json_integer_value(json));
    else if (json_is_boolean(json))
        snprintf(text, size, "%s", json_is_true(json) ? "true" : "false");
    else
        snprintf(text, size, "%s", json_is_null(json) ? "null" : "something else");
}

/* RabbitMQ's sentences; for vhosts in the words around them that parameters have. */
static int wrong_limit(const struct lv_request *request, struct lv_diag *diag, const char *name,
                       const json_t *value, bool is_known)
{
    bool is_of_user = request->change.name.size > 0;
    char term[100];

    assert(name != NULL);
    print_term(value, term, sizeof term);
    if (is_known)
        return lv_fail(diag, -LV_E_PRECONDITION, "%s%s should be a number, actually was %s%s",
                       is_of_user ? "" : "Validation failed\n\n", name, term,
                       is_of_user ? "" : "\n");
    return lv_fail(diag, -LV_E_PRECONDITION, "%sUnrecognised terms [{<<\"%.60s\">>,%s}] in %s%s",
                   is_of_user ? "" : "Validation failed\n\n", name, term,
                   is_of_user ? "user-limits" : "limits", is_of_user ? "" : "\n");
}

static int take_limits_of(json_t *object, struct lv_request *request, struct lv_diag *diag)
{
    const char *other = request->change.name.size > 0 ? "max-channels" : "max-queues";
    const char *name;
    json_t *value;

    assert(request->change.kind == LV_CHANGE_LIMITS_PUT);
    request->change.arguments = request->arguments;
    json_object_foreach(object, name, value)
    {
        bool is_known = strcmp(name, "max-connections") == 0 || strcmp(name, other) == 0;

        if (!is_known || !json_is_integer(value))
            return wrong_limit(request, diag, name, value, is_known);
        *add_argument(request, keep(request, lv_text(name))) =
            (struct lv_value){.type = LV_TYPE_I64, .integer = json_integer_value(value)};
    }
    return 0;
}

static int take_limits(const json_t *json, struct lv_request *request, struct lv_diag *diag)
{
    json_t *object;
    int rc;

    if (!json_is_string(json))
        return wrong(diag, "limits", "string");
    object =
        json_loadb(json_string_value(json), json_string_length(json), JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(object)) {
        json_decref(object);
        return lv_fail(diag, -LV_E_PRECONDITION, "JSON decoding error. Reason: badarg");
    }
    rc = take_limits_of(object, request, diag);
    json_decref(object);
    assert(rc <= 0);
    return rc;
}

/* <leveret.0.ID.0>, as lists show it; a channel's will do. */
static int take_pid(const json_t *json, struct lv_request *request, struct lv_diag *diag)
{
    const char *text = json_is_string(json) ? json_string_value(json) : "";
    unsigned channel;
    int end = 0;

    if (sscanf(text, "<leveret.0.%" SCNu64 ".%u>%n", &request->client, &channel, &end) == 2 &&
        end > 0 && text[end] == '\0')
        return 0;
    assert(text != NULL);
    return lv_fail(diag, -LV_E_PRECONDITION, "{:invalid_pid_syntax, \"%.100s\"}", text);
}

static int take_member(const json_t *json, const struct member *member, struct lv_request *request,
                       struct lv_diag *diag)
{
    void *to = (char *)request + member->offset;
    struct lv_bytes words;
    int rc;

    assert(json != NULL);
    switch (member->kind) {
    case MEMBER_NAME:
    case MEMBER_TEXT:
        return take_text(json, member, request, diag);
    case MEMBER_FLAG:
        *(bool *)to = json_is_true(json);
        return json_is_boolean(json) ? 0 : wrong(diag, member->name, "true or false");
    case MEMBER_NUMBER:
        *(uint64_t *)to = (uint64_t)json_integer_value(json);
        return json_is_integer(json) && json_integer_value(json) >= 0
                   ? 0
                   : wrong(diag, member->name, "number");
    case MEMBER_SECONDS:
        *(uint64_t *)to = (uint64_t)json_integer_value(json);
        if (json_is_integer(json) && *(uint64_t *)to <= LV_REQUEST_DRAIN_S_MAX)
            return 0;
        return lv_fail(diag, -LV_E_SYNTAX, "\"%s\" is no number of seconds from 0 to %u",
                       member->name, LV_REQUEST_DRAIN_S_MAX);
    case MEMBER_ARGUMENT:
        if (!json_is_string(json))
            return wrong(diag, member->name, "string");
        if (strcmp(member->name, "default_queue_type") == 0 &&
            strcmp(json_string_value(json), "classic") != 0)
            return lv_fail(diag, -LV_E_PRECONDITION,
                           "queue type '%.100s' isn't there: this broker has classic queues",
                           json_string_value(json));
        *add_argument(request, lv_text(member->name)) =
            (struct lv_value){.type = LV_TYPE_STRING, .bytes = keep(request, text_of(json))};
        return 0;
    case MEMBER_TAGS:
        return join(json, member->name, request, diag, &request->change.key);
    case MEMBER_WORDS:
        rc = join(json, member->name, request, diag, &words);
        if (rc == 0)
            *add_argument(request, lv_text("tags")) =
                (struct lv_value){.type = LV_TYPE_STRING, .bytes = words};
        return rc;
    case MEMBER_LIMITS:
        return take_limits(json, request, diag);
    case MEMBER_PID:
        return take_pid(json, request, diag);
    }
    LV_IMPOSSIBLE("every kind has its case");
}

static const struct member *find_member(const char *word, size_t size)
{
    assert(size > 0);
    for (size_t i = 0; i < LV_COUNT(members); i++)
        if (strlen(members[i].name) == size && memcmp(members[i].name, word, size) == 0)
            return &members[i];
    LV_IMPOSSIBLE("rows name members that there are");
}

static int take_members(const json_t *root, const char *words, struct lv_request *request,
                        struct lv_diag *diag)
{
    assert(words != NULL);
    while (*words != '\0') {
        size_t size = strcspn(words, " ?");
        bool is_optional = words[size] == '?';
        const struct member *member = find_member(words, size);
        const json_t *json = json_object_get(root, member->name);
        int rc = 0;

        if (json != NULL)
            rc = take_member(json, member, request, diag);
        else if (!is_optional)
            rc = lv_fail(diag, -LV_E_SYNTAX, "the request has no \"%s\"", member->name);
        if (rc < 0)
            return rc;
        words += size + is_optional;
        words += *words == ' ';
    }
    return 0;
}

/* ---- the line ---- */

static int take_list(const json_t *root, struct lv_bytes command, struct lv_request *request,
                     struct lv_diag *diag)
{
    int rc;

    request->kind = LV_REQUEST_LIST;
    request->change.vhost = lv_text("/");
    request->list = lv_list_find(command);
    if (request->list == LV_LIST_COUNT)
        return lv_fail(diag, -LV_E_NOT_FOUND, "no such command: %.100s",
                       (const char *)command.data);
    rc = take_members(root, "vhost? user? all?", request, diag);
    if (rc == 0)
        rc = take_columns(json_object_get(root, "columns"), request, diag);
    assert(rc < 0 || request->column_count > 0);
    return rc;
}

static int take_row(const json_t *root, const struct row *row, struct lv_request *request,
                    struct lv_diag *diag)
{
    int rc;

    request->kind = row->kind;
    request->change.kind = row->change;
    request->change.is_new = row->is_new;
    request->close = row->close;
    request->is_purge = row->is_purge;
    request->drain_s = LV_REQUEST_DRAIN_S;
    rc = take_members(root, row->members, request, diag);
    if (rc < 0)
        return rc;
    request->has_password = request->password.data != NULL;
    if (row->close == LV_CLOSE_VHOST && request->is_all)
        request->close = LV_CLOSE_ALL;
    if (row->kind == LV_REQUEST_IMPORT && request->size > LV_DEFINITIONS_SIZE_MAX)
        return lv_fail(diag, -LV_E_PRECONDITION,
                       "definitions have %" PRIu64 " bytes: at most %zu are allowed", request->size,
                       LV_DEFINITIONS_SIZE_MAX);
    assert(request->text_size <= sizeof request->text);
    return 0;
}

static int take_request(const json_t *root, struct lv_request *request, struct lv_diag *diag)
{
    const json_t *command = json_object_get(root, "command");

    if (!json_is_string(command))
        return lv_fail(diag, -LV_E_SYNTAX, "the request has no \"command\"");
    assert(request->text_size == 0);
    for (size_t i = 0; i < LV_COUNT(rows); i++)
        if (strcmp(rows[i].command, json_string_value(command)) == 0)
            return take_row(root, &rows[i], request, diag);
    return take_list(root, text_of(command), request, diag);
}

int lv_request_parse(struct lv_bytes line, struct lv_request *ret_request, struct lv_diag *diag)
{
    json_error_t error;
    json_t *root;
    int rc;

    memset(ret_request, 0, sizeof *ret_request);
    if (line.size > LV_REQUEST_MAX)
        return lv_fail(diag, -LV_E_SYNTAX, "the request is too long");
    ret_request->arguments =
        lv_calloc(1, sizeof(struct lv_table) + LV_REQUEST_ARGUMENTS_MAX * sizeof(struct lv_field));
    if (ret_request->arguments == NULL)
        return lv_fail(diag, -LV_E_NOMEM, "out of memory for a request");
    lv_json_memory();
    root = json_loadb((const char *)line.data, line.size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL,
                      &error);
    if (root == NULL && json_error_code(&error) == json_error_out_of_memory)
        return lv_fail(diag, -LV_E_NOMEM, "out of memory for a request");
    if (root == NULL)
        return lv_fail(diag, -LV_E_SYNTAX, "the request is no JSON: %s", error.text);
    rc = take_request(root, ret_request, diag);
    json_decref(root);
    assert(rc <= 0);
    return rc;
}

void lv_request_wipe(struct lv_request *request)
{
    assert(request->text_size <= sizeof request->text);
    lv_free(request->arguments);
    explicit_bzero(request, sizeof *request);
}
