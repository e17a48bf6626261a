/*
 * broker/inspect.h - what a shard has, for those who list it: queues, exchanges, bindings, channels
 * and consumers, vhosts, users and permissions, a slice at a time.
 *
 * Nothing is changed and nothing is remembered here: a struct lv_walk says where the next slice
 * goes on, and between two slices everything may change. What is there from the beginning of a walk
 * to its end is shown once; what comes or goes meanwhile may be shown or not. Owning shard only.
 */
#pragma once

#include "broker/access.h"
#include "broker/broker.h"
#include "broker/topology.h"

/* Where a walk goes on. All zeros is the beginning. */
struct lv_walk {
    uint64_t position; /* in the table of objects that is walked */
    uint64_t skip;     /* things already shown of the objects at this position */
    unsigned stage;    /* of the tables that the walk takes one after the other */
};

/* Objects that one slice looks at, whether it shows them or not. */
#define LV_WALK_STEPS 4096u

/* Views, valid for the call. */
struct lv_queue_view {
    const struct lv_queue_entry *entry;
    uint64_t ready, unacked, consumers; /* on the home shard */
    uint64_t memory_size;               /* bytes, about; the messages themselves not included */
};

struct lv_binding_view {
    struct lv_bytes source, target, key;
    const struct lv_table *arguments; /* may be NULL */
    bool to_exchange;
};

struct lv_client_view {
    struct lv_bytes user, vhost;
    uint64_t id;
};

struct lv_channel_view {
    struct lv_bytes user, vhost;
    uint64_t client; /* id */
    uint64_t consumers, unacked, unconfirmed;
    uint64_t uncommitted, acks_uncommitted;
    uint32_t global_prefetch;
    uint16_t prefetch;
    bool confirm, transactional;
};

struct lv_consumer_view {
    struct lv_bytes queue, tag, vhost;
    const struct lv_table *arguments; /* may be NULL */
    uint16_t prefetch;
    bool no_ack, exclusive;
};

/* False: what follows has to wait for the next slice. */
typedef bool lv_queue_show_fn(void *ctx, const struct lv_queue_view *queue);
typedef bool lv_exchange_show_fn(void *ctx, const struct lv_exchange *exchange);
typedef bool lv_binding_show_fn(void *ctx, const struct lv_binding_view *binding);
typedef bool lv_consumer_show_fn(void *ctx, const struct lv_consumer_view *consumer);
typedef bool lv_entry_show_fn(void *ctx, const struct lv_queue_entry *entry);
typedef bool lv_vhost_show_fn(void *ctx, const struct lv_vhost *vhost);
typedef bool lv_user_show_fn(void *ctx, const struct lv_user *user);
typedef bool lv_grant_show_fn(void *ctx, const struct lv_user *user, const struct lv_grant *grant);
typedef bool lv_topic_show_fn(void *ctx, const struct lv_user *user, const struct lv_grant *grant,
                              const struct lv_topic_grant *topic);

/* The queues of the vhost whose home is this shard. Each of these is false when the walk is
 * over; a vhost that does not exist has nothing. */
bool lv_inspect_queues(const struct lv_broker *broker, struct lv_bytes vhost, struct lv_walk *walk,
                       lv_queue_show_fn *show, void *ctx);
/* All queues by name, wherever they live. */
bool lv_inspect_entries(const struct lv_broker *broker, struct lv_bytes vhost, struct lv_walk *walk,
                        lv_entry_show_fn *show, void *ctx);
/* Any shard has all exchanges. */
bool lv_inspect_exchanges(const struct lv_broker *broker, struct lv_bytes vhost,
                          struct lv_walk *walk, lv_exchange_show_fn *show, void *ctx);
/* And all bindings. Every queue has one from the default exchange, which lies nowhere. Of an object
 * with so many that they don't fit into a slice some may be left out or come twice when others
 * are removed meanwhile. */
bool lv_inspect_bindings(const struct lv_broker *broker, struct lv_bytes vhost,
                         struct lv_walk *walk, lv_binding_show_fn *show, void *ctx);
/* The same may happen with a channel's consumers. */
bool lv_inspect_consumers(const struct lv_channel *channel, struct lv_walk *walk,
                          lv_consumer_show_fn *show, void *ctx);

/* Any shard has all of these. */
bool lv_inspect_vhosts(const struct lv_broker *broker, struct lv_walk *walk, lv_vhost_show_fn *show,
                       void *ctx);
bool lv_inspect_users(const struct lv_broker *broker, struct lv_walk *walk, lv_user_show_fn *show,
                      void *ctx);
/* Of one user in one vhost, or of all where a name is empty. When permissions of a user come and go
 * meanwhile, others of his may be left out or come twice. */
bool lv_inspect_permissions(const struct lv_broker *broker, struct lv_bytes vhost,
                            struct lv_bytes user, struct lv_walk *walk, lv_grant_show_fn *show,
                            void *ctx);
/* The same for topics. */
bool lv_inspect_topic_permissions(const struct lv_broker *broker, struct lv_bytes vhost,
                                  struct lv_bytes user, struct lv_walk *walk,
                                  lv_topic_show_fn *show, void *ctx);

struct lv_client_view lv_inspect_client(const struct lv_client *client);
/* Whether its client has deliveries that await an answer. */
bool lv_inspect_has_unacked(const struct lv_channel *channel);
/* Whether the broker owes it confirms. */
bool lv_inspect_has_unconfirmed(const struct lv_channel *channel);
/* False: the channel is closing. */
bool lv_inspect_channel(const struct lv_channel *channel, struct lv_channel_view *ret_view)
    LV_MUST_CHECK;
