/* Is a declared object the one that is there? RabbitMQ's order of questions and its texts. */
#include "broker/core.h"

#include <stdio.h>

#define RESOURCE "%s '%.*s' in vhost '%.*s'"

/* Bytes of an argument that a text shows. */
#define SHOWN_SIZE 120
#define TEXT_SIZE  ((size_t)2 * SHOWN_SIZE)

/* What is declared, for texts. */
struct resource {
    const char *kind; /* view */
    struct lv_bytes name, vhost;
};

/* The arguments that are compared: those that mean something to a queue or an exchange. */
static const char *const of_queues[] = {
    "x-queue-type",
    "x-message-ttl",
    "x-expires",
    "x-max-length",
    "x-max-length-bytes",
    "x-overflow",
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-dead-letter-strategy",
    "x-max-priority",
    "x-single-active-consumer",
    "x-delivery-limit",
};
static const char *const of_exchanges[] = {"alternate-exchange"};

static int differs(struct lv_diag *diag, const struct resource *resource, const char *what,
                   const char *received, const char *current)
{
    return lv_fail(diag, -LV_E_PRECONDITION,
                   "inequivalent arg '%s' for " RESOURCE ": received %s but current is %s", what,
                   resource->kind, LV_FMT(resource->name), LV_FMT(resource->vhost), received,
                   current);
}

static int flag_same(struct lv_diag *diag, const struct resource *resource, const char *what,
                     bool received, bool current)
{
    static const char *const words[] = {"'false'", "'true'"};

    if (received == current)
        return 0;
    return differs(diag, resource, what, words[received], words[current]);
}

/* One side's value as the text shows it: by itself when the other side has one too. */
static const char *show(const struct lv_value *value, bool alone, char text[TEXT_SIZE])
{
    char printed[SHOWN_SIZE];

    if (value == NULL)
        return "none";
    (void)lv_value_print(value, printed, sizeof printed);
    if (alone)
        snprintf(text, TEXT_SIZE, "the value '%s' of type '%s'", printed,
                 lv_type_name(value->type));
    else
        snprintf(text, TEXT_SIZE, "'%s'", printed);
    return text;
}

/* A queue without a type is a classic one. */
static const struct lv_value *argument(const struct lv_table *arguments, const char *name)
{
    static const struct lv_value classic = {
        .type = LV_TYPE_STRING,
        .bytes = {.data = (const uint8_t *)"classic", .size = sizeof "classic" - 1},
    };
    const struct lv_value *value = lv_table_get(arguments, name);

    return value == NULL && strcmp(name, "x-queue-type") == 0 ? &classic : value;
}

static int arguments_same(struct lv_diag *diag, const struct resource *resource,
                          const struct lv_table *received, const struct lv_table *current,
                          const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct lv_value *new = argument(received, names[i]);
        const struct lv_value *old = argument(current, names[i]);
        char new_text[TEXT_SIZE], old_text[TEXT_SIZE];
        if (new == old || (new != NULL &&old != NULL &&lv_value_equal(new, old)))
            continue;
        return differs(diag, resource, names[i], show(new, old == NULL, new_text),
                       show(old, new == NULL, old_text));
    }
    return 0;
}

int lv_exchange_check_same(const struct lv_exchange *exchange, const struct lv_change *change,
                           struct lv_diag *diag)
{
    struct resource resource = {"exchange", change->name, lv_vhost_name(exchange->vhost)};
    const char *type = lv_exchange_type_word(exchange->type);
    char received[UINT8_MAX + 3], current[UINT8_MAX + 3];
    int rc;

    if (!lv_bytes_equal(change->other, lv_text(type))) {
        snprintf(received, sizeof received, "'%.*s'", LV_FMT(change->other));
        snprintf(current, sizeof current, "'%s'", type);
        return differs(diag, &resource, "type", received, current);
    }
    rc = flag_same(diag, &resource, "durable", change->durable, exchange->durable);
    if (rc == 0)
        rc = flag_same(diag, &resource, "auto_delete", change->auto_delete, exchange->auto_delete);
    if (rc == 0)
        rc = flag_same(diag, &resource, "internal", change->internal, exchange->internal);
    if (rc == 0)
        rc = arguments_same(diag, &resource, change->arguments, exchange->arguments, of_exchanges,
                            LV_COUNT(of_exchanges));
    return rc;
}

static int locked(const struct lv_queue_entry *entry, struct lv_diag *diag)
{
    return lv_fail(diag, -LV_E_LOCKED,
                   "cannot obtain exclusive access to locked " RESOURCE
                   ". It could be originally declared on another connection or the exclusive "
                   "property value does not match that of the original declaration.",
                   "queue", LV_FMT(lv_entry_name(entry)), LV_FMT(lv_vhost_name(entry->vhost)));
}

int lv_entry_check_access(const struct lv_queue_entry *entry, uint64_t client, struct lv_diag *diag)
{
    return entry->owner == 0 || entry->owner == client ? 0 : locked(entry, diag);
}

int lv_entry_check_same(const struct lv_queue_entry *entry, const struct lv_change *change,
                        struct lv_diag *diag)
{
    struct resource resource = {"queue", change->name, lv_vhost_name(entry->vhost)};
    /* Exclusive queues are stored as not durable. */
    bool durable = change->durable && !change->exclusive;
    int rc;

    if (entry->owner != (change->exclusive ? change->client : 0))
        return locked(entry, diag);
    rc = flag_same(diag, &resource, "durable", durable, entry->durable);
    if (rc == 0)
        rc = flag_same(diag, &resource, "auto_delete", change->auto_delete, entry->auto_delete);
    if (rc == 0)
        rc = arguments_same(diag, &resource, change->arguments, entry->arguments, of_queues,
                            LV_COUNT(of_queues));
    return rc;
}
