#include "admin/changes.h"

#include "base/defs.h"
#include "broker/core.h"

/* A walk and who gets what it finds. */
struct finder {
    const struct lv_client_view *of; /* view */
    lv_change_show_fn *show;
    void *ctx; /* view  of `show` */
};

#define FIELDS_MAX 3u

/* A table for a change's arguments. */
struct arguments {
    struct lv_field fields[FIELDS_MAX];
    uint32_t count;
};

/* Shows the change with the arguments, which a table has behind its head. */
static bool show_with(const struct finder *finder, struct lv_change change,
                      const struct arguments *arguments)
{
    _Alignas(8) uint8_t room[sizeof(struct lv_table) + sizeof arguments->fields];
    struct lv_table *table = (struct lv_table *)(void *)room;

    assert(arguments->count <= FIELDS_MAX);
    table->count = arguments->count;
    memcpy(table->fields, arguments->fields, sizeof arguments->fields);
    change.arguments = table;
    return finder->show(finder->ctx, &change);
}

static bool is_wanted(struct lv_bytes wanted, struct lv_bytes name)
{
    assert(wanted.size == 0 || wanted.data != NULL);
    return wanted.size == 0 || lv_bytes_equal(wanted, name);
}

/* ---- vhosts and users ---- */

static bool show_vhost(void *ctx, const struct lv_vhost *vhost)
{
    const struct finder *finder = ctx;
    const struct lv_change change = {
        .kind = LV_CHANGE_VHOST_PUT,
        .vhost = lv_vhost_name(vhost),
        .arguments = vhost->arguments,
    };

    assert(vhost->refs > 0);
    return finder->show(finder->ctx, &change);
}

static bool show_user(void *ctx, const struct lv_user *user)
{
    const struct finder *finder = ctx;
    const struct lv_change change = {
        .kind = LV_CHANGE_USER_PUT,
        .name = lv_user_name(user),
        .other = lv_text(user->hash),
        .key = lv_text(user->tags),
    };

    assert(user->refs > 0);
    return finder->show(finder->ctx, &change);
}

static void put_limit(struct arguments *arguments, const char *name, int64_t limit)
{
    assert(arguments->count < FIELDS_MAX);
    if (limit >= 0)
        arguments->fields[arguments->count++] = (struct lv_field){
            .name = lv_text(name), .value = {.type = LV_TYPE_I64, .integer = limit}};
}

static bool show_vhost_limits(void *ctx, const struct lv_vhost *vhost)
{
    const struct finder *finder = ctx;
    struct lv_change change = {.kind = LV_CHANGE_LIMITS_PUT, .vhost = lv_vhost_name(vhost)};
    struct arguments arguments = {.count = 0};

    put_limit(&arguments, "max-connections", vhost->tally.max_connections);
    put_limit(&arguments, "max-queues", vhost->max_queues);
    assert(change.vhost.size > 0);
    return arguments.count == 0 || !is_wanted(finder->of->vhost, change.vhost) ||
           show_with(finder, change, &arguments);
}

static bool show_user_limits(void *ctx, const struct lv_user *user)
{
    const struct finder *finder = ctx;
    struct lv_change change = {.kind = LV_CHANGE_LIMITS_PUT, .name = lv_user_name(user)};
    struct arguments arguments = {.count = 0};

    put_limit(&arguments, "max-channels", user->tally.max_channels);
    put_limit(&arguments, "max-connections", user->tally.max_connections);
    assert(change.name.size > 0);
    return arguments.count == 0 || !is_wanted(finder->of->user, change.name) ||
           show_with(finder, change, &arguments);
}

/* ---- permissions ---- */

/* Patterns from the one for `first` on. */
static bool show_patterns(const struct finder *finder, const struct lv_change *change,
                          const struct lv_pattern *patterns, unsigned first)
{
    static const char *const words[LV_PERMISSIONS] = {"configure", "write", "read"};
    struct arguments arguments = {.count = 0};

    static_assert(LV_PERMISSIONS <= FIELDS_MAX, "all patterns are shown");
    assert(first < LV_PERMISSIONS);
    for (unsigned i = first; i < LV_PERMISSIONS; i++)
        arguments.fields[arguments.count++] = (struct lv_field){
            .name = lv_text(words[i]),
            .value = {.type = LV_TYPE_STRING, .bytes = lv_pattern_text(&patterns[i])},
        };
    return show_with(finder, *change, &arguments);
}

static bool show_grant(void *ctx, const struct lv_user *user, const struct lv_grant *grant)
{
    const struct lv_change change = {
        .kind = LV_CHANGE_PERMISSION_PUT,
        .vhost = lv_bytes(grant->name, grant->name_size),
        .name = lv_user_name(user),
    };

    assert(grant->is_granted);
    return show_patterns(ctx, &change, grant->patterns, LV_PERMISSION_CONFIGURE);
}

static bool show_topic(void *ctx, const struct lv_user *user, const struct lv_grant *grant,
                       const struct lv_topic_grant *topic)
{
    const struct lv_change change = {
        .kind = LV_CHANGE_TOPIC_PERMISSION_PUT,
        .vhost = lv_bytes(grant->name, grant->name_size),
        .name = lv_user_name(user),
        .other = lv_bytes(topic->name, topic->name_size),
    };

    assert(ctx != NULL);
    return show_patterns(ctx, &change, topic->patterns, LV_PERMISSION_WRITE);
}

/* ---- what is declared in a vhost ---- */

static bool show_exchange(void *ctx, const struct lv_exchange *exchange)
{
    const struct finder *finder = ctx;
    const struct lv_change change = {
        .kind = LV_CHANGE_EXCHANGE_DECLARE,
        .vhost = lv_vhost_name(exchange->vhost),
        .name = lv_exchange_name(exchange),
        .other = lv_text(lv_exchange_type_word(exchange->type)),
        .arguments = exchange->arguments,
        .durable = exchange->durable,
        .auto_delete = exchange->auto_delete,
        .internal = exchange->internal,
    };

    assert(exchange->is_default == (change.name.size == 0));
    return exchange->is_default || finder->show(finder->ctx, &change);
}

static bool show_entry(void *ctx, const struct lv_queue_entry *entry)
{
    const struct finder *finder = ctx;
    const struct lv_change change = {
        .kind = LV_CHANGE_QUEUE_DECLARE,
        .vhost = lv_vhost_name(entry->vhost),
        .name = lv_entry_name(entry),
        .arguments = entry->arguments,
        .queue_id = entry->id,
        .home = entry->home,
        .durable = entry->durable,
        .exclusive = entry->owner != 0,
        .auto_delete = entry->auto_delete,
    };

    assert(entry->id != 0);
    return finder->show(finder->ctx, &change);
}

static bool show_binding(void *ctx, const struct lv_binding_view *binding)
{
    const struct finder *finder = ctx;
    const struct lv_change change = {
        .kind = LV_CHANGE_BIND,
        .vhost = finder->of->vhost,
        .name = binding->target,
        .other = binding->source,
        .key = binding->key,
        .arguments = binding->arguments,
        .to_exchange = binding->to_exchange,
    };

    assert(change.vhost.size > 0);
    return binding->source.size == 0 || finder->show(finder->ctx, &change);
}

bool lv_changes_walk(const struct lv_broker *broker, enum lv_changes changes,
                     const struct lv_client_view *of, struct lv_walk *walk, lv_change_show_fn *show,
                     void *ctx)
{
    struct finder finder = {.of = of, .show = show, .ctx = ctx};

    assert(of != NULL);
    switch (changes) {
    case LV_CHANGES_VHOSTS:
        return lv_inspect_vhosts(broker, walk, show_vhost, &finder);
    case LV_CHANGES_USERS:
        return lv_inspect_users(broker, walk, show_user, &finder);
    case LV_CHANGES_PERMISSIONS:
        return lv_inspect_permissions(broker, of->vhost, of->user, walk, show_grant, &finder);
    case LV_CHANGES_TOPIC_PERMISSIONS:
        return lv_inspect_topic_permissions(broker, of->vhost, of->user, walk, show_topic, &finder);
    case LV_CHANGES_VHOST_LIMITS:
        return lv_inspect_vhosts(broker, walk, show_vhost_limits, &finder);
    case LV_CHANGES_USER_LIMITS:
        return lv_inspect_users(broker, walk, show_user_limits, &finder);
    case LV_CHANGES_EXCHANGES:
        return lv_inspect_exchanges(broker, of->vhost, walk, show_exchange, &finder);
    case LV_CHANGES_QUEUES:
        return lv_inspect_entries(broker, of->vhost, walk, show_entry, &finder);
    case LV_CHANGES_BINDINGS:
        return lv_inspect_bindings(broker, of->vhost, walk, show_binding, &finder);
    case LV_CHANGES_COUNT:
        break;
    }
    LV_IMPOSSIBLE("every kind has its case");
}
