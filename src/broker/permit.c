#include "broker/permit.h"

#include "base/alloc.h"
#include "broker/core.h"

#include <stdio.h>

static const char *const words[LV_PERMISSIONS] = {"configure", "write", "read"};

void lv_permits_fini(struct lv_permits *permits)
{
    assert(permits != NULL);
    lv_free(permits->permitted);
    *permits = (struct lv_permits){0};
}

/* Something has changed: what was remembered holds no more. */
static void refresh(struct lv_client *client)
{
    struct lv_permits *permits = &client->permits;
    const struct lv_grant *grant;

    if (LV_LIKELY(permits->version == client->broker->access.version))
        return;
    lv_permits_fini(permits);
    permits->version = client->broker->access.version;
    grant = lv_user_grant(client->user, lv_vhost_name(client->vhost));
    permits->grant = grant;
    permits->publishes_freely = grant != NULL && grant->is_granted &&
                                grant->patterns[LV_PERMISSION_WRITE].is_all &&
                                grant->topics.count == 0;
}

/* An operator wants to know of a pattern that nobody can use. */
static void tell(struct lv_client *client, const struct lv_pattern *pattern, struct lv_bytes name)
{
    char why[300];

    assert(pattern->text != NULL);
    snprintf(why, sizeof why, "pattern '%.100s' of user '%.60s' gives up on '%.*s'", pattern->text,
             client->user->name, (int)(name.size < 80 ? name.size : 80), (const char *)name.data);
    client->ops->warned(client->ctx, "access.gave_up", why);
}

static bool matches(struct lv_client *client, const struct lv_pattern *pattern,
                    struct lv_bytes name)
{
    enum lv_match match = lv_pattern_match(pattern, &client->broker->access.matcher, name);

    if (LV_UNLIKELY(match == LV_MATCH_GAVE_UP))
        tell(client, pattern, name);
    return match == LV_MATCH_YES;
}

/* As patterns and sentences know it. */
static struct lv_bytes shown(enum lv_resource kind, struct lv_bytes name)
{
    return kind == LV_RESOURCE_EXCHANGE && name.size == 0 ? lv_text("amq.default") : name;
}

static int refused(const struct lv_client *client, enum lv_resource kind, struct lv_bytes name,
                   enum lv_permission permission, struct lv_diag *diag)
{
    return lv_fail(diag, -LV_E_ACCESS_REFUSED,
                   "%s access to %s '%.*s' in vhost '%.*s' refused for user '%.*s'",
                   words[permission], kind == LV_RESOURCE_QUEUE ? "queue" : "exchange",
                   LV_FMT(name), LV_FMT(lv_vhost_name(client->vhost)),
                   LV_FMT(lv_user_name(client->user)));
}

static bool may(struct lv_client *client, struct lv_bytes name, enum lv_permission permission)
{
    const struct lv_grant *grant;

    refresh(client);
    grant = client->permits.grant;
    return grant != NULL && grant->is_granted &&
           matches(client, &grant->patterns[permission], name);
}

int lv_permit(struct lv_client *client, enum lv_resource kind, struct lv_bytes name,
              enum lv_permission permission, struct lv_diag *diag)
{
    name = shown(kind, name);
    return may(client, name, permission) ? 0 : refused(client, kind, name, permission, diag);
}

int lv_permit_any(struct lv_client *client, enum lv_resource kind, struct lv_bytes name,
                  struct lv_diag *diag)
{
    name = shown(kind, name);
    for (int permission = 0; permission < (int)LV_PERMISSIONS; permission++)
        if (may(client, name, (enum lv_permission)permission))
            return 0;
    return refused(client, kind, name, LV_PERMISSION_CONFIGURE, diag);
}

/* NULL: nothing is said of topics of this exchange, so all are allowed. */
static const struct lv_topic_grant *topic_of(const struct lv_client *client, struct lv_bytes name)
{
    const struct lv_grant *grant = client->permits.grant;

    assert(client->permits.version == client->broker->access.version);
    return grant == NULL || grant->topics.count == 0 ? NULL : lv_map_get(&grant->topics, name);
}

int lv_permit_topic(struct lv_client *client, const struct lv_exchange *exchange,
                    struct lv_bytes key, enum lv_permission permission, struct lv_diag *diag)
{
    const struct lv_topic_grant *topic;

    refresh(client);
    if (exchange->type != LV_EXCHANGE_TOPIC)
        return 0;
    topic = topic_of(client, lv_exchange_name(exchange));
    if (topic == NULL || matches(client, &topic->expanded[permission], key))
        return 0;
    return lv_fail(diag, -LV_E_ACCESS_REFUSED,
                   "%s access to topic '%.*s' in exchange '%.*s' in vhost '%.*s' refused for user "
                   "'%.*s'",
                   words[permission], LV_FMT(key), LV_FMT(lv_exchange_name(exchange)),
                   LV_FMT(lv_vhost_name(client->vhost)), LV_FMT(lv_user_name(client->user)));
}

/* ---- publishing ---- */

static bool is_permitted(const struct lv_permitted *permitted, const struct lv_message *message)
{
    if (permitted == NULL)
        return false;
    struct lv_bytes exchange = lv_bytes(permitted->names, permitted->exchange_size);
    struct lv_bytes key = lv_bytes(permitted->names + exchange.size, permitted->key_size);

    return lv_bytes_equal(exchange, message->exchange) &&
           (permitted->any_key || lv_bytes_equal(key, message->key));
}

/* Without memory it is asked again next time. */
static void remember(struct lv_permits *permits, const struct lv_message *message, bool any_key)
{
    if (permits->permitted == NULL)
        permits->permitted = lv_alloc(sizeof *permits->permitted);
    struct lv_permitted *permitted = permits->permitted;
    if (permitted == NULL)
        return;
    assert(message->exchange.size + message->key.size <= sizeof permitted->names);
    permitted->any_key = any_key;
    permitted->exchange_size = (uint8_t)message->exchange.size;
    permitted->key_size = (uint8_t)message->key.size;
    lv_put_bytes(lv_put_bytes(permitted->names, message->exchange), message->key);
}

/* In RabbitMQ's order: the exchange's name, then whether there is such an exchange to publish to,
 * which lv_route() says, then the topic. An exchange of another type may become one of topics, so
 * what is said of its topics is asked each time. */
int lv_permit_publish_asking(struct lv_client *client, const struct lv_message *message,
                             struct lv_diag *diag)
{
    struct lv_permits *permits = &client->permits;
    const struct lv_exchange *exchange;
    int rc;

    refresh(client);
    if (permits->publishes_freely || is_permitted(permits->permitted, message))
        return 0;
    rc = lv_permit(client, LV_RESOURCE_EXCHANGE, message->exchange, LV_PERMISSION_WRITE, diag);
    if (rc < 0)
        return rc;
    if (topic_of(client, message->exchange) == NULL) {
        remember(permits, message, true);
        return 0;
    }
    exchange = lv_vhost_exchange(client->vhost, message->exchange);
    if (exchange == NULL || exchange->internal || exchange->type != LV_EXCHANGE_TOPIC)
        return 0;
    rc = lv_permit_topic(client, exchange, message->key, LV_PERMISSION_WRITE, diag);
    if (rc == 0)
        remember(permits, message, false);
    return rc;
}
