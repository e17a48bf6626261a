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
/* The only argument that RabbitMQ compares. */
static const char *const of_exchanges[] = {"alternate-exchange"};

/* RabbitMQ's sentence word for word, since people search for it and some tools parse it. */
static int differs(struct lv_diag *diag, const struct resource *resource, const char *what,
                   const char *received, const char *current)
{
    assert(received != NULL);
    assert(current != NULL);
    return lv_fail(diag, -LV_E_PRECONDITION,
                   "inequivalent arg '%s' for " RESOURCE ": received %s but current is %s", what,
                   resource->kind, LV_FMT(resource->name), LV_FMT(resource->vhost), received,
                   current);
}

/* Erlang prints atoms in quotes, and so do we. */
static int flag_same(struct lv_diag *diag, const struct resource *resource, const char *what,
                     bool received, bool current)
{
    static const char *const words[] = {"'false'", "'true'"};

    assert(what != NULL);
    if (received == current)
        return 0;
    return differs(diag, resource, what, words[received], words[current]);
}

/* One side's value as the text shows it: by itself when the other side has one too. */
static const char *show(const struct lv_value *value, bool alone, char text[TEXT_SIZE])
{
    char printed[SHOWN_SIZE];

    assert(text != NULL);
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

    assert(name != NULL);
    return value == NULL && strcmp(name, "x-queue-type") == 0 ? &classic : value;
}

/* Only arguments that mean something are compared; others may differ, as in RabbitMQ. */
static int arguments_same(struct lv_diag *diag, const struct resource *resource,
                          const struct lv_table *received, const struct lv_table *current,
                          const char *const *names, size_t count)
{
    assert(count == 0 || names != NULL);
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

/* In RabbitMQ's order: the first difference is the one that is told. */
static int exchange_same(const struct lv_change *received, const struct lv_change *current,
                         const struct resource *resource, struct lv_diag *diag)
{
    char received_type[UINT8_MAX + 3], current_type[UINT8_MAX + 3];
    int rc;

    assert(received->kind == LV_CHANGE_EXCHANGE_DECLARE);
    if (!lv_bytes_equal(received->other, current->other)) {
        snprintf(received_type, sizeof received_type, "'%.*s'", LV_FMT(received->other));
        snprintf(current_type, sizeof current_type, "'%.*s'", LV_FMT(current->other));
        return differs(diag, resource, "type", received_type, current_type);
    }
    rc = flag_same(diag, resource, "durable", received->durable, current->durable);
    if (rc == 0)
        rc = flag_same(diag, resource, "auto_delete", received->auto_delete, current->auto_delete);
    if (rc == 0)
        rc = flag_same(diag, resource, "internal", received->internal, current->internal);
    if (rc == 0)
        rc = arguments_same(diag, resource, received->arguments, current->arguments, of_exchanges,
                            LV_COUNT(of_exchanges));
    return rc;
}

static int queue_same(const struct lv_change *received, const struct lv_change *current,
                      const struct resource *resource, struct lv_diag *diag)
{
    int rc = flag_same(diag, resource, "durable", received->durable, current->durable);

    assert(received->kind == LV_CHANGE_QUEUE_DECLARE);
    if (rc == 0)
        rc = flag_same(diag, resource, "auto_delete", received->auto_delete, current->auto_delete);
    if (rc == 0)
        rc = arguments_same(diag, resource, received->arguments, current->arguments, of_queues,
                            LV_COUNT(of_queues));
    return rc;
}

int lv_declare_check_same(const struct lv_change *received, const struct lv_change *current,
                          struct lv_diag *diag)
{
    bool is_queue = received->kind == LV_CHANGE_QUEUE_DECLARE;
    struct resource resource = {is_queue ? "queue" : "exchange", received->name, received->vhost};

    assert(received->kind == current->kind);
    return is_queue ? queue_same(received, current, &resource, diag)
                    : exchange_same(received, current, &resource, diag);
}

int lv_exchange_check_same(const struct lv_exchange *exchange, const struct lv_change *change,
                           struct lv_diag *diag)
{
    struct resource resource = {"exchange", change->name, lv_vhost_name(exchange->vhost)};
    const struct lv_change current = {
        .kind = LV_CHANGE_EXCHANGE_DECLARE,
        .other = lv_text(lv_exchange_type_word(exchange->type)),
        .arguments = exchange->arguments,
        .durable = exchange->durable,
        .auto_delete = exchange->auto_delete,
        .internal = exchange->internal,
    };

    assert(exchange->vhost != NULL);
    return exchange_same(change, &current, &resource, diag);
}

/* One sentence for both reasons, as RabbitMQ has it. */
static int locked(const struct lv_queue_entry *entry, struct lv_diag *diag)
{
    assert(entry->vhost != NULL);
    return lv_fail(diag, -LV_E_LOCKED,
                   "cannot obtain exclusive access to locked " RESOURCE
                   ". It could be originally declared on another connection or the exclusive "
                   "property value does not match that of the original declaration.",
                   "queue", LV_FMT(lv_entry_name(entry)), LV_FMT(lv_vhost_name(entry->vhost)));
}

/* Owners are clients, so another connection of the same user is a stranger. */
int lv_entry_check_access(const struct lv_queue_entry *entry, uint64_t client, struct lv_diag *diag)
{
    assert(entry->vhost != NULL);
    return entry->owner == 0 || entry->owner == client ? 0 : locked(entry, diag);
}

/* Exclusiveness first: whether other arguments differ is none of a stranger's business. */
int lv_entry_check_same(const struct lv_queue_entry *entry, const struct lv_change *change,
                        struct lv_diag *diag)
{
    struct resource resource = {"queue", change->name, lv_vhost_name(entry->vhost)};
    const struct lv_change current = {
        .kind = LV_CHANGE_QUEUE_DECLARE,
        .arguments = entry->arguments,
        .durable = entry->durable,
        .auto_delete = entry->auto_delete,
    };
    struct lv_change received = *change;

    assert(entry->vhost != NULL);
    received.durable &= !change->exclusive; /* exclusive queues are stored as not durable */
    if (entry->owner != (change->exclusive ? change->client : 0))
        return locked(entry, diag);
    return queue_same(&received, &current, &resource, diag);
}
