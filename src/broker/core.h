/*
 * broker/core.h - the room's own view of a shard, its clients and their channels.
 *
 * Only files of this room include it. Owning shard only.
 */
#pragma once

#include "base/list.h"
#include "base/random.h"
#include "broker/access.h"
#include "broker/broker.h"
#include "broker/cold.h"
#include "broker/kept.h"
#include "broker/op.h"
#include "broker/permit.h"
#include "broker/promise.h"
#include "broker/queue.h"
#include "broker/route.h"
#include "broker/subscriber.h"
#include "broker/topology.h"

struct lv_reply_to;
struct lv_tx;

/* Messages that one queue hands out before the next dirty queue has its turn. */
#define LV_DRAIN_BUDGET 16384u
/* So far back in the log its oldest message may wait before a queue's publishers are ahead of its
 * consumers; well below the window, in which these catch up cheaply. */
#define LV_LAG_SIZE   (4u << 20)

#define LV_SHARDS_MAX 64u

/* One shard. Everything in it is touched by the shard's thread alone. */
struct lv_broker {
    struct lv_broker_config config;
    struct lv_topology topology;
    struct lv_access access;
    struct lv_router router;
    struct lv_refs_pool refs_pool;
    struct lv_map homes;            /* view  by queue id: entries whose home is here */
    struct lv_list dirty;           /* view  of lv_queue.dirty_link */
    struct lv_list confirming;      /* view  of lv_channel.confirm_link */
    struct lv_list local;           /* own   operations to this shard itself */
    struct lv_list waiting;         /* own   ENQUEUE operations that found no memory */
    struct lv_list early;           /* own   operations about queues whose declare is to come */
    struct lv_list leaving;         /* own   closed channels that late confirms still name */
    struct lv_list redeclaring;     /* view  of lv_pending.link: wait until a namesake is gone */
    struct lv_map clients;          /* own   by id */
    struct lv_map reply_tos;        /* view  struct lv_reply_to by name, of channels here */
    struct lv_list remotes;         /* own   subscribers of channels of other shards */
    struct lv_list segments;        /* own   of lv_segment_use.link */
    struct lv_list dead_segments;   /* own   go when the log is on disk */
    struct lv_list sparse_segments; /* view  of lv_segment_use.sparse_link: worth a look */
    struct lv_list cold_queues;     /* view  of lv_cold.link */
    struct lv_link *merge_cursor;   /* view  in cold_queues: a merge goes on there; NULL: none */
    struct lv_promises promises;
    uint64_t topology_lsn;        /* of the last durable change applied here, in shard 0's log */
    uint64_t topology_synced_lsn; /* changes below it survive */
    bool log_failed;              /* what is promised is not kept any more */
    bool restoring;               /* start-up: changes come from the disk */
    bool resting;                 /* nothing leaves a queue any more */
    struct lv_random random;
    uint64_t last_client_id, last_queue_id, last_reply_to;
    uint64_t changes;     /*       of the topology, applied here */
    uint64_t memory_size; /*       unacked rings and what else has no pool */
    bool settling;        /*       the local list is being worked off */
    struct lv_broker_stats stats;
};

/* A command that awaits its answer. */
struct lv_pending {
    struct lv_link link; /* view  in lv_broker.redeclaring */
    struct lv_op *again; /* own   a declare of what seemed to be there: the change, in case it
                            is on its way out */
    struct lv_channel *channel; /* ref   NULL: the client itself waits */
    struct lv_client *client;   /* ref   NULL: an operator's change, `done` is called */
    lv_change_done_fn *done;
    void *done_ctx;              /* view */
    uint64_t *ret_message_count; /* view  of an operator's order, else NULL */
    enum lv_command command;
    int error;
    uint32_t applied; /*       shards that have applied the change */
    uint64_t message_count;
    uint64_t consumer_count;
    bool is_hurried;   /*       the answer promises nothing */
    uint64_t queue_id; /*       of the queue asked about */
    uint32_t home;     /*       its shard */
    uint8_t name_size;
    char name[255]; /*       queue's or consumer's */
    struct lv_diag diag;
};

/* A connection as the core sees it. It ends when its channels, its commands and its exclusive
 * queues have. */
struct lv_client {
    struct lv_broker *broker;        /* view */
    const struct lv_client_ops *ops; /* view */
    void *ctx;                       /* view */
    struct lv_vhost *vhost;          /* ref */
    struct lv_user *user;            /* ref */
    struct lv_permits permits;       /* own */
    uint64_t id;                     /*       unique over all shards: serial, then shard */
    uint64_t origin, alias;          /*       as in struct lv_client_config */
    struct lv_list probes;           /* own   PROBE operations that await an answer */
    struct lv_list channels;         /* own   of lv_channel.link */
    struct lv_list owned;            /* view  of lv_queue_entry.owned_link: exclusive queues */
    uint32_t refs; /*       pending commands; freed when closing and none are left */
    bool writable, closing, deleting;
    bool is_forced; /*       its session has been told to close it */
    bool is_ahead;  /*       as lv_client_took_lead() says */
};

/* A shard where the channel has a subscriber, or will have when the command under way made one. */
struct lv_remote {
    struct lv_remote *next;           /* own */
    struct lv_subscriber *subscriber; /* view  a name here; NULL: none yet */
    uint64_t settle_to;               /*       while many are settled: the last of its tags */
    uint64_t taken_size;              /*       bytes of `taken` */
    uint32_t shard;
    uint32_t taken; /*       deliveries not yet told as CREDIT */
    bool held;      /*       got a BOUNCE, waits for RESUME: what comes meanwhile bounces too */
    bool drained;   /*       held: nothing that was under way is left */
};

/* What a tag on the wire stands for once the channel consumes from more than its own shard. */
struct lv_wire_tag {
    uint64_t tag;             /* the subscriber's; 0: settled */
    struct lv_remote *remote; /* view  NULL: this shard's */
    bool counted;             /*       under the channel's own limit, counted here */
};

/* Publishes whose confirm waits for other shards, a ring of how many. */
struct lv_confirms {
    uint16_t *awaited; /* own */
    uint32_t capacity;
    uint64_t base, next; /*       [base, next) is in the ring; below base all is confirmed */
};

/* Lives from open until nothing names it any more: its commands, its subscribers on other shards,
 * its publishes under way. */
struct lv_channel {
    struct lv_link link;             /* view  in lv_client.channels, then lv_broker.leaving */
    struct lv_link confirm_link;     /* view  in lv_broker.confirming */
    struct lv_client *client;        /* view  NULL once closed */
    struct lv_broker *broker;        /* view */
    void *ctx;                       /* view  the session's */
    struct lv_subscriber subscriber; /*    for queues of this shard */
    struct lv_list subscriptions;    /* own   of lv_subscription.link */
    struct lv_map by_tag;            /* view  the same by consumer tag */
    struct lv_list deferred;         /* own   CANCELLED that wait for the answer to a command */
    struct lv_remote *remotes;       /* own */
    struct lv_tags wire; /* own   struct lv_wire_tag by tag on the wire, when `mapped` */
    struct lv_confirms confirms;
    struct lv_tx *tx;                    /* own   NULL: publishes and settles take effect at once */
    struct lv_reply_to *reply_to;        /* own   NULL: answers cannot come here directly */
    uint64_t publish_tag;                /*       of the last publish since confirm.select */
    uint64_t confirmed_tag;              /*       told to the session */
    uint32_t global_limit, global_count; /* qos of the channel as a whole */
    uint32_t refs;                       /*       ENQUEUE operations out that name this channel */
    uint32_t detaching;                  /*       DETACHED to come */
    uint32_t commands;                   /*       commands that await their answer */
    uint16_t prefetch;                   /*       for new consumers */
    bool confirm, closing;
    bool is_hurried; /*       the next command's answer promises nothing */
    bool mapped;     /*       tags on the wire are not the subscriber's */
    uint8_t last_queue_size;
    char *last_queue; /* own   the queue last declared here, or NULL */
};

/* ---- broker.c ---- */
/* Out of memory for bookkeeping that a command has already promised: says so and stops the program.
 */
_Noreturn void lv_broker_exhausted(void);
/* Are its bytes in memory? */
bool lv_broker_is_warm(const struct lv_broker *broker, struct lv_ref ref);
/* The message's record, valid as lv_store_view() says. */
const void *lv_broker_view(const struct lv_broker *broker, struct lv_ref ref);
/* NULL when no queue of this shard has the id. */
struct lv_queue_entry *lv_broker_home(const struct lv_broker *broker, uint64_t queue_id);

/* ---- queue.c ---- */
/* The message with this number, no longer ready, is gone: lets go of its holder. NULL for the queue
 * when that is gone itself. */
static inline void lv_queue_release(struct lv_broker *broker, struct lv_queue *queue, uint64_t seq,
                                    struct lv_ref ref)
{
    if (LV_LIKELY((ref.flags & (LV_REF_LOGGED | LV_REF_KEPT | LV_REF_COLD)) == 0))
        lv_store_release(broker->config.store, ref);
    else
        lv_kept_release(broker, queue, seq, ref);
}

/* ---- client.c ---- */
/* Bytes of why a client is closed by force, at most. */
#define LV_WHY_SIZE 300u
/* The sessions of all clients here of that vhost, or else of that user, are told to close them. */
void lv_clients_force(struct lv_broker *broker, const struct lv_vhost *vhost,
                      const struct lv_user *user, const char *why);
/* Goes on with closing when nothing is awaited any more; may free the client. */
void lv_client_progress(struct lv_client *client);
/* A command that waits holds its client; so does a close that goes through all channels. */
void lv_client_ref(struct lv_client *client);
/* The last one of a closing client may free it. */
void lv_client_unref(struct lv_client *client);
/* The shard of the client with this id. */
uint32_t lv_client_shard(uint64_t id);
/* NULL when it is not (or no longer) of this shard. */
struct lv_client *lv_client_find(const struct lv_broker *broker, uint64_t id);

/* May the client publish this? 0 or -LV_E_ACCESS_REFUSED. Once for each message. */
static inline int lv_permit_publish(struct lv_client *client, const struct lv_message *message,
                                    struct lv_diag *diag)
{
    if (LV_LIKELY(client->permits.version == client->broker->access.version &&
                  client->permits.publishes_freely))
        return 0;
    return lv_permit_publish_asking(client, message, diag);
}

/* ---- owner.c ---- */
/* PROBE and PROBED have come. Each takes the operation. */
void lv_owner_probe(struct lv_broker *broker, struct lv_op *op);
/* Back on the asking shard: the command that waited goes on. */
void lv_owner_probed(struct lv_op *op);
/* Who waits for the client's end, or for a sign of life, may look again. */
void lv_client_answer_probes(struct lv_client *client);

/* ---- channel.c ---- */
/* A local consumer's message: tags it and hands it to the session. `tag` is the subscriber's.
 * lv_channel_reserve_tag() has been called. */
void lv_channel_deliver_local(struct lv_channel *channel, const struct lv_consumer *consumer,
                              uint64_t tag, struct lv_ref ref);
/* Makes sure that one tag on the wire can be remembered. */
static inline int lv_channel_reserve_tag(struct lv_channel *channel)
{
    if (LV_LIKELY(!channel->mapped))
        return 0;
    return lv_tags_reserve(&channel->wire, sizeof(struct lv_wire_tag));
}
/* Is there room under the channel's own limit? */
bool lv_channel_has_room(const struct lv_channel *channel);
/* A delivery under the channel's own limit began (+1) or ended (-1). */
void lv_channel_count(struct lv_channel *channel, int change);
/* NULL when the channel has nothing to do with that shard. */
struct lv_remote *lv_channel_remote(struct lv_channel *channel, uint32_t shard);
/* Before a command that may make a subscriber on another shard: gets ready to learn of it. */
int lv_channel_expect(struct lv_channel *channel, uint32_t shard) LV_MUST_CHECK;
/* Learns of its subscriber on another shard. */
void lv_channel_learn(struct lv_channel *channel, uint32_t shard, struct lv_subscriber *subscriber);
/* HELD has come: all that bounces has bounced. */
void lv_channel_drained(struct lv_channel *channel, uint32_t shard);
/* DELIVER has come. */
void lv_channel_take_delivery(struct lv_channel *channel, const struct lv_op *op);
/* The next tag on the wire for what a subscriber handed out under `tag` (0: it needs no answer), or
 * 0 when out of memory. */
uint64_t lv_channel_wire_tag(struct lv_channel *channel, const struct lv_wire_tag *what)
    LV_MUST_CHECK;
/* The delivery could not be told to the session: back to its queue. */
void lv_channel_give_back(struct lv_channel *channel, const struct lv_wire_tag *what);
/* Publishes that the log had to keep are on disk. */
void lv_channel_logged(struct lv_channel *channel, uint64_t from, uint64_t to);
/* ENQUEUED or REPLIED has come. */
void lv_channel_enqueued(const struct lv_op *op);
/* The operation that carries the message to the queues of its route on `shard`, or NULL. */
struct lv_op *lv_enqueue_op(const struct lv_broker *broker, const struct lv_message *message,
                            const struct lv_targets *targets, uint32_t shard) LV_MUST_CHECK;
/* lv_channel_settle() whether the channel has transactions or not. */
int lv_channel_settle_now(struct lv_channel *channel, uint64_t tag, bool multiple,
                          enum lv_settle settle, struct lv_diag *diag) LV_MUST_CHECK;
/* Sends the confirms that are due. */
void lv_channel_confirm(struct lv_channel *channel);
/* At the end of the log: nothing more is confirmed, and that is said. */
void lv_channel_refuse(struct lv_channel *channel);
/* DETACHED has come. */
void lv_channel_detached(struct lv_channel *channel);
/* As lv_channel_close(), with operations to the own shard left to be worked off. */
void lv_channel_begin_close(struct lv_channel *channel);
/* Goes on with closing when nothing is awaited any more; may free the channel. */
void lv_channel_progress(struct lv_channel *channel);
/* Lets go of a subscriber on another shard. */
void lv_channel_detach(struct lv_channel *channel, uint32_t shard,
                       struct lv_subscriber *subscriber);
/* Tells shards what deliveries have been taken. */
void lv_channel_grant(struct lv_channel *channel);
/* NULL when the tag is free. */
struct lv_subscription *lv_channel_subscription(const struct lv_channel *channel,
                                                struct lv_bytes tag);
/* Gives a subscription of the channel, or NULL. The consume's queue and tag are no longer empty,
 * and the tag must be free. */
struct lv_subscription *lv_subscription_new(struct lv_channel *channel,
                                            const struct lv_consume *consume, uint32_t home)
    LV_MUST_CHECK;
/* Leaves its channel and is freed. Takes NULL. */
void lv_subscription_free(struct lv_subscription *subscription);

/* ---- declare.c ---- */
/* The queue that a command means; an empty name becomes that of the last one declared.
 * -LV_E_NOT_FOUND, or (first) -LV_E_ACCESS_REFUSED, or -LV_E_LOCKED. */
int lv_channel_queue(const struct lv_channel *channel, struct lv_bytes *name,
                     enum lv_permission permission, struct lv_diag *diag,
                     struct lv_queue_entry **ret_entry) LV_MUST_CHECK;
/* Sends a command to the queue's home; `ask` has what the command needs besides. Takes `again`, see
 * struct lv_pending; NULL but for declares. */
void lv_channel_ask(struct lv_channel *channel, enum lv_command command,
                    const struct lv_queue_entry *entry, const struct lv_op_command *ask,
                    struct lv_op *again);

/* Chooses number and home of a queue to be declared by this shard. */
void lv_queue_place(struct lv_broker *broker, struct lv_change *change);

/* ---- command.c ---- */
/* A command of the channel, or (NULL) one that only the client itself waits for, or (NULL too) an
 * operator's. */
struct lv_pending *lv_pending_new(struct lv_client *client, struct lv_channel *channel,
                                  enum lv_command command) LV_MUST_CHECK;
/* Takes the pending command: the session hears how it ended. May free the channel and the client.
 */
void lv_pending_finish(struct lv_pending *pending, const struct lv_delivery *delivery);
/* At most 255 bytes, copied. */
void lv_pending_set_name(struct lv_pending *pending, struct lv_bytes name);
/* The command could not be sent: nobody waits. Takes NULL. */
void lv_pending_free(struct lv_pending *pending);
/* The command fails before it began: the session hears the diag's sentence. */
void lv_command_refuse(struct lv_channel *channel, enum lv_command command, int error,
                       const struct lv_diag *diag);
/* The same for lack of memory. */
void lv_command_refuse_memory(struct lv_channel *channel, enum lv_command command);
/* Gives the operation that asks `pending->home` about `pending->queue_id`, to be filled and sent,
 * or NULL. The queue's name goes along when it is known. */
struct lv_op *lv_command_op(struct lv_broker *broker, enum lv_op_kind kind,
                            struct lv_pending *pending, const struct lv_queue_entry *entry)
    LV_MUST_CHECK;
/* ANSWER and APPLIED have come. */
void lv_command_answer(struct lv_broker *broker, struct lv_op *op);
/* One of APPLIED has come; after the last one the command goes on or ends. */
void lv_command_applied(struct lv_broker *broker, struct lv_op *op);
/* A queue is gone: declares that waited for it go on. */
void lv_command_redeclare(struct lv_broker *broker);
/* An operation with a copy of the change, or NULL. */
struct lv_op *lv_change_op(const struct lv_broker *broker, const struct lv_change *change)
    LV_MUST_CHECK;
/* Sends the change to shard 0; shard `origin` hears of it when `pending` (there) is not NULL.
 * -LV_E_NOMEM sends nothing. */
int lv_change_submit(struct lv_broker *broker, const struct lv_change *change,
                     struct lv_pending *pending, uint32_t origin) LV_MUST_CHECK;
/* SUBMIT has come to shard 0, APPLY to any. Both take the operation. */
void lv_change_sequence(struct lv_broker *broker, struct lv_op *op);
/* In the order in which shard 0 has sent them. */
void lv_change_apply(struct lv_broker *broker, struct lv_op *op);
/* The queue's last consumer is gone or its owner is: has it removed. `pending` may be NULL. */
void lv_queue_submit_delete(struct lv_broker *broker, const struct lv_queue_entry *entry,
                            struct lv_pending *pending);

/* ---- home.c ---- */
/* The home's side of QUERY … CANCEL. Takes the operation, which becomes the ANSWER. */
void lv_command_run(struct lv_broker *broker, struct lv_op *op);

/* ---- op.c ---- */
/* The sender knows of changes that have not come here. */
static inline bool lv_op_is_early(const struct lv_broker *broker, const struct lv_op *op)
{
    return op->changes > broker->changes;
}
/* What found no memory has another try, in its order. */
void lv_broker_retry(struct lv_broker *broker);
