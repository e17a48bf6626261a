/*
 * From the protocol header to connection.open-ok.
 *
 * Until the login has succeeded the peer is a stranger: frames are small, errors are met with
 * silence, and nothing of the core's is his.
 */
#include "base/alloc.h"
#include "base/map.h"
#include "codec/amqp091/frame.h"
#include "codec/amqp091/table.h"
#include "codec/sasl/sasl.h"
#include "session/amqp091/machine.h"

#include <stdio.h>

#define PROPERTIES_SIZE 1024u

/* A way to log in, by its name in start-ok. */
struct mechanism {
    const char *name;
    int (*decode)(struct lv_bytes response, struct lv_sasl_credentials *ret_credentials,
                  struct lv_diag *diag);
};

/* In the order in which they are offered. */
static const struct mechanism mechanisms[] = {
    {"AMQPLAIN", lv_sasl_amqplain_decode},
    {"PLAIN", lv_sasl_plain_decode},
};
static const char mechanism_list[] = "AMQPLAIN PLAIN";
/* For whom the transport vouches; what is in its response does not matter (RFC 4422 appendix A: it
 * would be an identity to act for, which nobody may here). */
static const struct mechanism external = {"EXTERNAL", NULL};
static const char external_list[] = "AMQPLAIN PLAIN EXTERNAL";

/* What clients may rely on (server-properties, RabbitMQ's names). */
static const char *const server_capabilities[] = {
    "publisher_confirms",           "exchange_exchange_bindings", "basic.nack",
    "consumer_cancel_notify",       "connection.blocked",         "per_consumer_qos",
    "authentication_failure_close", "consumer_priorities",        "direct_reply_to",
};

static const struct {
    const char *name;
    enum lv_session_capability bit;
} client_capabilities[] = {
    {"authentication_failure_close", LV_CAPABLE_AUTHENTICATION_FAILURE_CLOSE},
    {"connection.blocked", LV_CAPABLE_BLOCKED},
    {"consumer_cancel_notify", LV_CAPABLE_CANCEL_NOTIFY},
};

/* A table on the stack: struct lv_table ends in a flexible array. */
#define TABLE_OF(name, fields_max)                                                                 \
    union {                                                                                        \
        struct lv_table table;                                                                     \
        uint8_t room[sizeof(struct lv_table) + (fields_max) * sizeof(struct lv_field)];            \
    } name = {.table = {.count = 0}}

/* The tables here are of a fixed size that every caller stays within. */
static void put(struct lv_table *table, const char *name, struct lv_value value)
{
    struct lv_field *field = &table->fields[table->count++];

    assert(name != NULL);
    field->name = lv_text(name);
    field->value = value;
}

/* Long strings, as clients expect them in server properties. */
static void put_text(struct lv_table *table, const char *name, const char *text)
{
    assert(text != NULL);
    put(table, name, (struct lv_value){.type = LV_TYPE_STRING, .bytes = lv_text(text)});
}

/* product and version are RabbitMQ's, as clients branch on them; platform and information are ours.
 */
static void send_start(struct lv_session *session)
{
    struct lv_amqp091_method method = {.id = LV_AMQP091_CONNECTION_START};
    uint8_t properties[PROPERTIES_SIZE];
    TABLE_OF(capabilities, LV_COUNT(server_capabilities));
    TABLE_OF(server, 7);

    for (size_t i = 0; i < LV_COUNT(server_capabilities); i++)
        put(&capabilities.table, server_capabilities[i],
            (struct lv_value){.type = LV_TYPE_BOOL, .boolean = true});
    put(&server.table, "capabilities",
        (struct lv_value){.type = LV_TYPE_TABLE, .table = &capabilities.table});
    put_text(&server.table, "cluster_name", "leveret");
    put_text(&server.table, "copyright", "The Leveret authors");
    put_text(&server.table, "information", session->information);
    put_text(&server.table, "platform", "Leveret");
    put_text(&server.table, "product", "RabbitMQ");
    put_text(&server.table, "version", session->version);
    size_t size = lv_amqp091_table_size(&server.table);
    assert(size <= sizeof properties);
    lv_amqp091_table_encode(&server.table, properties);
    method.connection_start.version_minor = 9;
    method.connection_start.server_properties = lv_bytes(properties, size);
    method.connection_start.mechanisms =
        lv_text(session->certified == NULL ? mechanism_list : external_list);
    method.connection_start.locales = lv_text("en_US");
    lv_session_send(session, 0, &method);
}

/* For the log: the peer itself is answered with eight octets and would not read more. */
static const char *stranger_hint(enum lv_amqp091_header header)
{
    assert(header != LV_AMQP091_HEADER_0_9_1);
    if (header == LV_AMQP091_HEADER_HTTP)
        return "this looks like HTTP";
    if (header == LV_AMQP091_HEADER_TLS)
        return "this looks like TLS";
    return header == LV_AMQP091_HEADER_GARBAGE ? "this is not AMQP" : "another version of AMQP";
}

/* Whatever it is, nothing behind a wrong header is read. */
size_t lv_session_take_header(struct lv_session *session, struct lv_bytes input)
{
    enum lv_amqp091_header header;
    size_t used = lv_amqp091_header_decode(input, &header);

    assert(session->state == LV_SESSION_HEADER);
    if (used == 0)
        return 0;
    if (header == LV_AMQP091_HEADER_0_9_1) {
        lv_session_move_to(session, LV_SESSION_STARTING);
        send_start(session);
        return used;
    }
    lv_session_log(session, LV_INFO, "handshake.protocol", stranger_hint(header));
    if (lv_out_copy(&session->out,
                    lv_bytes(lv_amqp091_header_reply(header), LV_AMQP091_HEADER_SIZE)) < 0)
        lv_session_doom(session);
    else
        lv_session_wrote(session);
    lv_session_move_to(session, LV_SESSION_FINISHED);
    return input.size;
}

/* Names are compared across shards, by whoever has the same user: no secret is needed. */
static const struct lv_hash_key alias_key = {0, 0};

/* To be shown to operators, who know a client by them. Usual ones take some 300 to 700 bytes. */
static int keep_properties(struct lv_session *session, struct lv_bytes entries,
                           struct lv_diag *diag)
{
    assert(session->properties == NULL);
    if (entries.size == 0 || entries.size > LV_BOUND_SHOWN_PROPERTIES)
        return 0;
    session->properties = lv_alloc(entries.size);
    if (session->properties == NULL)
        return lv_fail(diag, -LV_E_NOMEM, "no memory for a client's properties");
    lv_put_bytes(session->properties, entries);
    session->properties_size = (uint32_t)entries.size;
    return 0;
}

/* What of the client's properties means something to the broker. */
static int read_client_properties(struct lv_session *session, struct lv_bytes entries,
                                  struct lv_diag *diag)
{
    const struct lv_table *properties;
    const struct lv_value *value;
    struct lv_arena arena;
    char name[LV_BOUND_CLIENT_NAME + 1];
    int rc;

    assert(session->capabilities == 0);
    lv_arena_init(&arena, LV_BOUND_CLIENT_PROPERTIES);
    rc = lv_amqp091_table_decode(entries, &arena, &properties, diag);
    if (rc < 0)
        goto done;
    value = lv_table_get(properties, "capabilities");
    for (size_t i = 0; i < LV_COUNT(client_capabilities); i++) {
        const struct lv_value *flag = value != NULL && value->type == LV_TYPE_TABLE
                                          ? lv_table_get(value->table, client_capabilities[i].name)
                                          : NULL;
        if (flag != NULL && flag->type == LV_TYPE_BOOL && flag->boolean)
            session->capabilities |= (uint8_t)client_capabilities[i].bit;
    }
    rc = keep_properties(session, entries, diag);
    if (rc < 0)
        goto done;
    value = lv_table_get(properties, "connection_name");
    if (value != NULL && value->type == LV_TYPE_STRING) {
        session->alias = lv_siphash(&alias_key, value->bytes);
        snprintf(name, sizeof name, "%.*s", LV_FMT(value->bytes));
        lv_session_log(session, LV_DEBUG, "connection.name", name);
    }
done:
    lv_arena_fini(&arena);
    return rc;
}

/* NULL when it is not offered. */
static const struct mechanism *find_mechanism(const struct lv_session *session,
                                              struct lv_bytes name)
{
    assert(name.size == 0 || name.data != NULL);
    if (session->certified != NULL && lv_bytes_equal(name, lv_text(external.name)))
        return &external;
    for (size_t i = 0; i < LV_COUNT(mechanisms); i++) {
        if (lv_bytes_equal(name, lv_text(mechanisms[i].name)))
            return &mechanisms[i];
    }
    return NULL;
}

/* Who it says it is; the transport's word is taken for the one, a password is asked for the others.
 */
static int read_credentials(const struct lv_session *session, const struct mechanism *mechanism,
                            struct lv_bytes response, struct lv_sasl_credentials *ret_credentials,
                            struct lv_diag *diag)
{
    assert(mechanism != NULL);
    if (mechanism != &external)
        return mechanism->decode(response, ret_credentials, diag);
    *ret_credentials = (struct lv_sasl_credentials){.user = lv_text(session->certified)};
    return 0;
}

/* The user is kept for connection.open; the password is not kept at all. */
int lv_session_start_ok(struct lv_session *session, const struct lv_amqp091_method *method,
                        struct lv_fault *fault)
{
    const struct lv_amqp091_connection_start_ok *start_ok = &method->connection_start_ok;
    struct lv_sasl_credentials credentials;
    const struct mechanism *mechanism = find_mechanism(session, start_ok->mechanism);
    struct lv_login login;
    int rc;

    assert(session->state == LV_SESSION_STARTING);
    rc = read_client_properties(session, start_ok->client_properties, &fault->diag);
    if (rc < 0)
        return rc;
    if (mechanism == NULL)
        return lv_fail(&fault->diag, -LV_E_COMMAND_INVALID,
                       "unknown authentication mechanism '%.*s'", LV_FMT(start_ok->mechanism));
    rc = read_credentials(session, mechanism, start_ok->response, &credentials, &fault->diag);
    if (rc < 0)
        return rc;
    if (credentials.user.size > LV_BOUND_USER)
        return lv_fail(&fault->diag, -LV_E_SYNTAX, "the user's name is too long");
    session->user = lv_strndup((const char *)credentials.user.data, credentials.user.size);
    if (session->user == NULL)
        return lv_fail(&fault->diag, -LV_E_NOMEM, "no memory for a login");
    session->mechanism = mechanism->name;
    lv_session_move_to(session, LV_SESSION_LOGIN);
    session->pause |= LV_PAUSE_ANSWER;
    login = (struct lv_login){
        .mechanism = mechanism->name,
        .user = credentials.user,
        .password = credentials.password,
        .is_proved = mechanism == &external,
    };
    session->host->login(session->host_ctx, &login);
    return 0;
}

/* What we offer; the client answers with the same or less. */
static void send_tune(struct lv_session *session)
{
    struct lv_amqp091_method method = {.id = LV_AMQP091_CONNECTION_TUNE};

    assert(session->limits->frame_max >= LV_BOUND_FRAME_MIN);
    method.connection_tune.channel_max = session->limits->channel_max;
    method.connection_tune.frame_max = session->limits->frame_max;
    method.connection_tune.heartbeat = session->limits->heartbeat_s;
    lv_session_send(session, 0, &method);
}

/* RabbitMQ's sentence, which says nothing about the reason. Clients without the capability get
 * silence, and both have to wait before they may try again on this connection's socket. */
static void refuse(struct lv_session *session)
{
    struct lv_amqp091_method method = {.id = LV_AMQP091_CONNECTION_CLOSE};
    struct lv_diag diag;
    char text[256];

    assert(session->mechanism != NULL);
    if (session->capabilities & LV_CAPABLE_AUTHENTICATION_FAILURE_CLOSE) {
        (void)lv_fail(&diag, -LV_E_ACCESS_REFUSED,
                      "Login was refused using authentication mechanism %s. For details see the "
                      "broker logfile.",
                      session->mechanism);
        lv_session_error_text(-LV_E_ACCESS_REFUSED, diag.text, text);
        method.connection_close.reply_code = (uint16_t)lv_error_code(-LV_E_ACCESS_REFUSED);
        method.connection_close.reply_text = lv_text(text);
        lv_session_send(session, 0, &method);
    }
    lv_session_wait(session, LV_SESSION_LINGERING, LV_BOUND_LINGER);
}

/* The answer may have come from another thread, long after start-ok. */
void lv_session_logged_in(struct lv_session *session, const char *refusal)
{
    assert(session->state == LV_SESSION_LOGIN);
    if (refusal != NULL) {
        lv_session_log(session, LV_WARN, "login.refused", refusal);
        refuse(session);
        return;
    }
    lv_session_move_to(session, LV_SESSION_TUNING);
    send_tune(session);
    lv_session_resume(session, LV_PAUSE_ANSWER);
}

/* RabbitMQ's check: 0 asks for no limit, which is more than any. */
static int check_tuned(const char *field, uint32_t value, uint32_t min, uint32_t max,
                       struct lv_diag *diag)
{
    assert(min <= max);
    if (value != 0 && value < min)
        return lv_fail(diag, -LV_E_NOT_ALLOWED,
                       "negotiated %s = %u is lower than the minimum allowed value (%u)", field,
                       (unsigned)value, (unsigned)min);
    if (value == 0 || value > max)
        return lv_fail(diag, -LV_E_NOT_ALLOWED,
                       "negotiated %s = %u%s is higher than the maximum allowed value (%u)", field,
                       (unsigned)value, value == 0 ? " (no limit)" : "", (unsigned)max);
    return 0;
}

/* The heartbeat is the client's choice, 0 included. */
int lv_session_tune_ok(struct lv_session *session, const struct lv_amqp091_method *method,
                       struct lv_fault *fault)
{
    const struct lv_amqp091_connection_tune_ok *tune_ok = &method->connection_tune_ok;
    const struct lv_session_limits *limits = session->limits;
    int rc;

    assert(session->state == LV_SESSION_TUNING);
    fault->method = LV_AMQP091_CONNECTION_TUNE; /* as RabbitMQ names it, not tune-ok */
    rc = check_tuned("frame_max", tune_ok->frame_max, LV_BOUND_FRAME_MIN, limits->frame_max,
                     &fault->diag);
    if (rc == 0)
        rc = check_tuned("channel_max", tune_ok->channel_max, 1, limits->channel_max, &fault->diag);
    if (rc < 0)
        return rc;
    session->frame_max = tune_ok->frame_max;
    session->channel_max = tune_ok->channel_max;
    session->heartbeat_s = tune_ok->heartbeat;
    lv_session_move_to(session, LV_SESSION_OPENING);
    return 0;
}

/* The vhost is looked up here: a missing one is RabbitMQ's 530. */
int lv_session_open(struct lv_session *session, const struct lv_amqp091_method *method,
                    struct lv_fault *fault, uint64_t now)
{
    struct lv_amqp091_method open_ok = {.id = LV_AMQP091_CONNECTION_OPEN_OK};
    struct lv_client_config config = {
        .ops = &lv_session_client_ops,
        .ctx = session,
        .vhost = method->connection_open.virtual_host,
        .user = lv_text(session->user),
        .origin = session->origin,
        .alias = session->alias,
    };
    int rc;

    assert(session->state == LV_SESSION_OPENING);
    assert(session->client == NULL);
    rc = lv_client_open(session->broker, &config, &fault->diag, &session->client);
    if (rc < 0)
        return rc;
    lv_free(session->user);
    session->user = NULL;
    lv_session_move_to(session, LV_SESSION_RUNNING);
    lv_session_send(session, 0, &open_ok);
    lv_session_arm_heartbeat(session, now);
    return 0;
}
