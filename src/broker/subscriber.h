/*
 * broker/subscriber.h - one channel's presence on a shard whose queues it consumes from.
 *
 * It has the channel's consumers on this shard and the ring of what has been delivered and not yet
 * acknowledged. For a channel of this shard it lies inside the channel and deliveries go straight
 * to the session; for a channel of another shard they travel as operations (op.h), at most
 * LV_REMOTE_WINDOW ahead of what that shard has taken.
 * Owning shard only.
 */
#pragma once

#include "base/err.h"
#include "base/list.h"
#include "base/map.h"
#include "broker/broker.h"
#include "broker/tags.h"
#include "store/store.h"

struct lv_queue;
struct lv_subscriber;

/* Deliveries to another shard that may be under way before it says that it took them, and their
 * bytes; the last one may exceed these. */
#define LV_REMOTE_WINDOW      512u
#define LV_REMOTE_WINDOW_SIZE (4 << 20)

/* The channel's side of a consumer, on the channel's shard. Other shards hold it as a name only. */
struct lv_subscription {
    struct lv_link link;        /* view  in lv_channel.subscriptions */
    struct lv_channel *channel; /* view */
    void *ctx;                  /* view  the session's */
    struct lv_table *arguments; /* own   may be NULL; kept to be shown */
    uint32_t home;              /*       shard of its queue */
    uint16_t prefetch;          /*       as it was asked for, like what follows */
    bool no_ack, exclusive;
    bool is_reply_to; /*       of no queue: it takes answers */
    uint8_t tag_size;
    uint8_t queue_size; /*       the queue's name lies behind the tag */
    char tag[];
};

/* The queue's side of a consumer, on the queue's shard. */
struct lv_consumer {
    struct lv_link queue_link;        /* view  in lv_queue.consumers */
    struct lv_link able_link;         /* view  in lv_queue.able, or in lv_subscriber.parked */
    struct lv_link link;              /* view  in lv_subscriber.consumers, until cancelled */
    struct lv_subscriber *subscriber; /* view */
    struct lv_queue *queue;           /* view  NULL when the queue is gone */
    struct lv_subscription
        *subscription; /* view  NULL: a getter, which holds what basic.get took */
    uint32_t unacked_count;
    int32_t priority;  /*       higher ones are served first */
    uint16_t prefetch; /*       0: no limit */
    bool no_ack;
    bool parked;    /*       able_link is in `parked` */
    bool cancelled; /*       lives only for its unacked deliveries */
};

/* 32 bytes for a delivery that awaits its acknowledgement. */
struct lv_unacked {
    struct lv_consumer *consumer; /* view  NULL: settled */
    uint64_t seq;
    struct lv_ref ref;
};

/* A channel's presence on a shard: its consumers there and what is out with them. */
struct lv_subscriber {
    struct lv_broker *broker;   /* view */
    struct lv_channel *channel; /* view  a name only when `remote` */
    struct lv_list consumers;   /* own   getters first */
    struct lv_map
        by_subscription;    /* view  consumers by the address that names their subscription */
    struct lv_list parked;  /* view  consumers that cannot take a message now */
    struct lv_tags unacked; /* own   struct lv_unacked by tag */
    uint32_t front;         /*       shard of the channel */
    uint32_t window;        /*       remote: deliveries that may still leave */
    int64_t window_size;    /*       remote: their bytes */
    struct lv_op *waiting;  /* view  the channel's command, while it waits on this shard */
    bool remote;
    bool held;                  /*       remote: its channel has no room under a global limit */
    struct lv_link remote_link; /* view  remote: in lv_broker.remotes */
};

/* Of the channel, which is on this shard, or (`remote` is set by the caller then) a name on another
 * one. */
void lv_subscriber_init(struct lv_subscriber *subscriber, struct lv_broker *broker,
                        struct lv_channel *channel);
/* Removes its consumers and puts what is unacked back. May end auto-delete queues. */
void lv_subscriber_fini(struct lv_subscriber *subscriber);

/* Borrowed for the call. */
struct lv_consumer_config {
    struct lv_subscription *subscription;
    int32_t priority;
    uint16_t prefetch;
    bool no_ack, exclusive;
};

/* A consumer on the queue, or NULL when out of memory. The caller has checked exclusivity. */
struct lv_consumer *lv_consumer_new(struct lv_subscriber *subscriber, struct lv_queue *queue,
                                    const struct lv_consumer_config *config) LV_MUST_CHECK;
/* Gone from its queue; its unacked deliveries stay settleable, it is freed with the last of them.
 */
void lv_consumer_cancel(struct lv_consumer *consumer);
/* NULL when there is none. */
struct lv_consumer *lv_subscriber_find(const struct lv_subscriber *subscriber,
                                       struct lv_subscription *subscription);

/* Could the consumer be given a message now? */
bool lv_consumer_is_able(const struct lv_consumer *consumer);
/* Until it is woken. */
void lv_consumer_park(struct lv_consumer *consumer);
/* All parked consumers that can take again. */
void lv_subscriber_wake(struct lv_subscriber *subscriber);

/* Hands one message to the consumer; takes the holder. False: out of memory, nothing happened. */
bool lv_consumer_deliver(struct lv_consumer *consumer, uint64_t seq, struct lv_ref ref)
    LV_MUST_CHECK;

/* Remembers a message as delivered under the next tag. */
int lv_subscriber_remember(struct lv_subscriber *subscriber, struct lv_consumer *consumer,
                           uint64_t seq, struct lv_ref ref) LV_MUST_CHECK;
/* Uses up a tag for what needs no answer. */
int lv_subscriber_skip(struct lv_subscriber *subscriber) LV_MUST_CHECK;
/* Makes sure that one lv_subscriber_remember() will not fail. */
int lv_subscriber_reserve(struct lv_subscriber *subscriber) LV_MUST_CHECK;
/* A consumer that stands for basic.get on the queue, or NULL when out of memory. The next call is
 * lv_subscriber_remember(): with the last of its deliveries it goes. */
struct lv_consumer *lv_subscriber_getter(struct lv_subscriber *subscriber, struct lv_queue *queue)
    LV_MUST_CHECK;

/* True when `tag` awaits an answer. */
bool lv_subscriber_is_unacked(const struct lv_subscriber *subscriber, uint64_t tag);
/* One delivery. False when it does not await an answer. */
bool lv_subscriber_settle(struct lv_subscriber *subscriber, uint64_t tag, enum lv_settle how);
/* The channel had no room for it: back to its place as if it had never left. Nothing that has to
 * be acknowledged leaves until the subscriber is no longer held. */
void lv_subscriber_bounce(struct lv_subscriber *subscriber, uint64_t tag);
/* All up to `tag`. */
void lv_subscriber_settle_to(struct lv_subscriber *subscriber, uint64_t tag, enum lv_settle how);
