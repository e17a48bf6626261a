/*
 * broker/topology.h - vhosts, exchanges, queues by name and bindings; each shard has all of it.
 *
 * Every shard applies the same changes in the same order (shard 0 decides the order), in place, so
 * there are no snapshots and no locks, and routing never leaves the shard. lv_topology_apply() is
 * deterministic: same state and change, same result, on every shard. A queue's messages live on its
 * home shard only; there the directory's entry owns the struct lv_queue.
 * Owning shard only.
 */
#pragma once

#include "base/err.h"
#include "base/list.h"
#include "base/map.h"
#include "base/value.h"
#include "broker/headers.h"
#include "broker/tally.h"
#include "broker/trie.h"

struct lv_broker;
struct lv_client;
struct lv_queue;

/* Others are refused at the declare. */
enum lv_exchange_type {
    LV_EXCHANGE_DIRECT,
    LV_EXCHANGE_FANOUT,
    LV_EXCHANGE_TOPIC,
    LV_EXCHANGE_HEADERS
};

/* The argument that names who takes what an exchange can't route. */
#define LV_ALTERNATE_EXCHANGE "alternate-exchange"

/* A name space. */
struct lv_vhost {
    struct lv_map exchanges; /* own  by name */
    struct lv_map queues;    /* own  by name: struct lv_queue_entry */
    struct lv_table
        *arguments;        /* own  what operators say of it, see LV_CHANGE_VHOST_PUT; or NULL */
    struct lv_tally tally; /* own  its channels are not limited */
    int64_t max_queues;    /*      negative: no limit */
    uint32_t refs;         /*      clients here, and being in the table */
    uint8_t name_size;
    char name[];
};

/* Where a binding leads: to a queue or an exchange, of which this is a part. */
struct lv_target {
    struct lv_list incoming; /* own   of lv_binding.target_link */
    uint64_t mark;           /*       last routing that chose it */
    bool is_exchange;
};

/* The same on every shard. */
struct lv_exchange {
    struct lv_vhost *vhost; /* view */
    enum lv_exchange_type type;
    bool durable, auto_delete, internal;
    bool is_default;            /*       the one without a name: routes by queue name */
    struct lv_table *arguments; /* own  may be NULL */
    struct lv_bytes alternate; /* view  in the arguments: takes what no binding takes; or no data */
    struct lv_target target;   /*       for bindings that lead to it */
    struct lv_list bindings;   /* own   with it as source; of lv_binding.source_link */
    struct lv_map keys;        /* own   struct lv_binding_key by key; not of topic */
    union {
        struct lv_trie topics;     /* own   topic: the same by pattern */
        struct lv_headers headers; /* view  headers: bindings by their arguments */
    };
    struct lv_exchange *next;   /* view  whom that routing visits next */
    struct lv_link doomed_link; /* view  in lv_topology.doomed */
    uint8_t name_size;
    char name[];
};

/* One queue by name, on every shard. */
struct lv_queue_entry {
    struct lv_target target;    /*       for bindings that lead to it */
    struct lv_vhost *vhost;     /* view */
    struct lv_queue *queue;     /* own   on the home shard, else NULL */
    uint64_t id;                /*       never reused */
    uint64_t owner;             /*       id of the client it is exclusive to, or 0 */
    struct lv_table *arguments; /* own  may be NULL */
    struct lv_link owned_link;  /* view  in lv_client.owned, on the owner's shard */
    uint32_t home;              /*       shard */
    bool durable, auto_delete;
    uint8_t name_size;
    char name[];
};

/* The bindings of an exchange that have one key. */
struct lv_binding_key {
    struct lv_exchange *exchange; /* view */
    struct lv_list bindings;      /* view  of lv_binding.key_link; never empty */
    struct lv_map *index;         /* own   by identity, when there are many; else NULL */
    uint32_t count;
    uint8_t size;
    uint8_t bytes[];
};

/* What tells a binding from others with its key. */
struct lv_binding_identity {
    struct lv_target *target; /* view */
    uint64_t arguments_hash;
};

/* In three lists and an index, so that neither end has to search when it goes. */
struct lv_binding {
    struct lv_binding_key *key;           /* view */
    struct lv_binding_identity identity;  /*       its address is the key in lv_binding_key.index */
    struct lv_link source_link;           /* view  in lv_exchange.bindings */
    struct lv_link target_link;           /* view  in lv_target.incoming */
    struct lv_link key_link;              /* view  in lv_binding_key.bindings */
    struct lv_table *arguments;           /* own   may be NULL */
    struct lv_headers_binding *headers[]; /* own  one in a headers exchange, none in others */
};

/* What peers can make is bounded: memory is for messages. */
#define LV_QUEUES_MAX         1000000u
#define LV_EXCHANGES_MAX      100000u
#define LV_BINDINGS_MAX       4000000u
#define LV_ARGUMENTS_SIZE_MAX (64u << 20) /* bytes, of all that exists */

/* Of each shard's copy, hence of the broker. */
struct lv_topology_limits {
    uint32_t queues, exchanges, bindings;
    uint64_t arguments_size;
};

/* A shard's copy of everything but messages. */
struct lv_topology {
    struct lv_map vhosts;  /* own  by name */
    struct lv_list doomed; /* view auto-delete exchanges that have lost their last binding */
    uint64_t version;      /*      of all that routing depends on; under another a route is stale */
    uint64_t arguments_size;
    uint32_t exchange_count, queue_count, binding_count;
    struct lv_topology_limits limits; /* the same on every shard */
};

/* What all shards have to agree on. Consumers and messages are nobody else's business. */
enum lv_change_kind {
    LV_CHANGE_EXCHANGE_DECLARE,
    LV_CHANGE_EXCHANGE_DELETE,
    LV_CHANGE_QUEUE_DECLARE,
    LV_CHANGE_QUEUE_DELETE,
    LV_CHANGE_BIND,
    LV_CHANGE_UNBIND,
    /* Who may do what, see broker/access.h. Putting makes or replaces. */
    LV_CHANGE_VHOST_PUT,      /* vhost; arguments: description, tags (with commas),
                                 default_queue_type (strings), tracing (bool) */
    LV_CHANGE_VHOST_DELETE,   /* with all that is in it */
    LV_CHANGE_USER_PUT,       /* name, other, key */
    LV_CHANGE_USER_DELETE,    /* with his permissions and limits */
    LV_CHANGE_PERMISSION_PUT, /* vhost, name; arguments: configure, write, read */
    LV_CHANGE_PERMISSION_DELETE,
    LV_CHANGE_TOPIC_PERMISSION_PUT,    /* vhost, name, other; arguments: write, read */
    LV_CHANGE_TOPIC_PERMISSION_DELETE, /* no exchange: for all of them */
    LV_CHANGE_LIMITS_PUT,              /* vhost or name; arguments: max-connections and, of a vhost,
                                          max-queues, of a user, max-channels; negative: none */
    LV_CHANGE_LIMITS_DELETE,
    /* Parts of a user who is there; what is durable of them is the user put as he is then. */
    LV_CHANGE_USER_PASSWORD, /* name, other */
    LV_CHANGE_USER_TAGS,     /* name, key */
    LV_CHANGE_COUNT
};

/* One change of what all shards know. Views, valid while the operation that carries it is. */
struct lv_change {
    enum lv_change_kind kind;
    struct lv_bytes vhost;
    struct lv_bytes name;  /* exchange or queue; of a binding the target; else the user */
    struct lv_bytes other; /* exchange type; of a binding the source; of a user the password's hash
                              as text, empty when no password is his; of a topic permission the
                              exchange */
    struct lv_bytes key;   /* of a user the tags, with commas between */
    const struct lv_table *arguments;
    uint64_t client;   /* id of the client that wants it, or 0 */
    uint64_t queue_id; /* declare: of the new queue; delete: of the one meant, or 0 for any */
    uint32_t home;     /* declare: shard of the new queue */
    bool durable, exclusive, auto_delete, internal, if_unused;
    bool to_exchange; /* of a binding: its target is an exchange */
    bool is_new;      /* put of a vhost or user: refused when there is one */
};

/* What only the home shard can tell. */
struct lv_change_result {
    uint64_t message_count; /* queue delete, on the home shard: ready messages dropped */
};

/* Without a vhost. */
void lv_topology_init(struct lv_broker *broker, struct lv_topology *topology);
/* With all that is in it; queues of this shard release their messages. */
void lv_topology_fini(struct lv_topology *topology);

/* NULL when there is none. */
struct lv_vhost *lv_topology_vhost(const struct lv_topology *topology, struct lv_bytes name);
/* By its whole name; "" is the default exchange. NULL when there is none. */
struct lv_exchange *lv_vhost_exchange(const struct lv_vhost *vhost, struct lv_bytes name);
/* NULL when this shard knows none (yet) of the name. Its messages may be on another shard. */
struct lv_queue_entry *lv_vhost_queue(const struct lv_vhost *vhost, struct lv_bytes name);

/* A client lets go; a vhost that is deleted lives until the last one has. */
void lv_vhost_unref(struct lv_vhost *vhost);
/* -LV_E_NOT_FOUND: what is said to operators. */
int lv_vhost_missing(struct lv_bytes name, struct lv_diag *diag);
/* Shard 0 writes down a change that survives a restart, as it happens. */
void lv_topology_log(struct lv_broker *broker, const struct lv_change *change);

/* Applies the change to this shard's copy; errors change nothing. `ret_result` may be NULL. */
int lv_topology_apply(struct lv_broker *broker, const struct lv_change *change,
                      struct lv_diag *diag, struct lv_change_result *ret_result) LV_MUST_CHECK;

/* Would this declare of an existing object be the same object? 0, or -LV_E_PRECONDITION with
 * RabbitMQ's text; for queues also -LV_E_LOCKED. */
int lv_exchange_check_same(const struct lv_exchange *exchange, const struct lv_change *change,
                           struct lv_diag *diag) LV_MUST_CHECK;
/* The same for a queue; 405 when it is exclusive to somebody else, before anything is compared. */
int lv_entry_check_same(const struct lv_queue_entry *entry, const struct lv_change *change,
                        struct lv_diag *diag) LV_MUST_CHECK;
/* The same for two declares of one queue or exchange, without a look at exclusiveness. */
int lv_declare_check_same(const struct lv_change *received, const struct lv_change *current,
                          struct lv_diag *diag) LV_MUST_CHECK;
/* Can these be the arguments of a new queue, or exchange? 0, -LV_E_PRECONDITION with RabbitMQ's
 * text, -LV_E_NOT_IMPLEMENTED. */
int lv_declare_check_arguments(const struct lv_change *change, struct lv_diag *diag) LV_MUST_CHECK;
/* May this client use the queue? 0 or -LV_E_LOCKED. */
int lv_entry_check_access(const struct lv_queue_entry *entry, uint64_t client, struct lv_diag *diag)
    LV_MUST_CHECK;
/* The type's word in declares: "direct". */
const char *lv_exchange_type_word(enum lv_exchange_type type);
/* False when the word names no type. */
bool lv_exchange_type_parse(struct lv_bytes word, enum lv_exchange_type *ret_type) LV_MUST_CHECK;

/* Valid as long as the queue is. */
static inline struct lv_bytes lv_entry_name(const struct lv_queue_entry *entry)
{
    return lv_bytes(entry->name, entry->name_size);
}

/* Valid as long as the exchange is. */
static inline struct lv_bytes lv_exchange_name(const struct lv_exchange *exchange)
{
    return lv_bytes(exchange->name, exchange->name_size);
}

/* Valid as long as the vhost is. */
static inline struct lv_bytes lv_vhost_name(const struct lv_vhost *vhost)
{
    return lv_bytes(vhost->name, vhost->name_size);
}
