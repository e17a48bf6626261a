/*
 * broker/harness.h - a small world for tests: shards, the roads between them, clients that write
 * down what they are told.
 *
 * Nothing happens by itself. Operations wait on the road from shard to shard until
 * lv_sim_settle() or lv_sim_step() carries them, with a seed in an order drawn at random (each road
 * by itself stays in order, as the rings do). What a client hears becomes text, a line for each
 * callback, so a test compares with the text it expects. Tests only.
 */
#pragma once

#include "base/random.h"
#include "broker/broker.h"
#include "broker/topology.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define LV_SIM_SHARDS_MAX 4u

struct lv_sim;

/* Operations from one shard to another, oldest first. */
struct lv_sim_road {
    struct lv_op **ops; /* own */
    size_t begin, end, capacity;
};

/* With a road to each other shard, itself included. */
struct lv_sim_shard {
    struct lv_sim *sim;                          /* view */
    struct lv_store *store;                      /* own */
    struct lv_log *log;                          /* own   NULL: nothing is kept */
    struct lv_broker *broker;                    /* own */
    struct lv_sim_road roads[LV_SIM_SHARDS_MAX]; /* to each shard */
};

/* A broker of several shards in one thread; when what arrives is a matter of the seed. */
struct lv_sim {
    struct lv_sim_shard shards[LV_SIM_SHARDS_MAX];
    uint32_t shard_count;
    struct lv_random random;
    bool is_random; /* the order in which things arrive */
};

/* Seed 0: everything arrives in a fixed order. */
void lv_sim_init(struct lv_sim *sim, uint32_t shard_count, uint64_t seed);
/* The same with a log, which reaches the disk when lv_sim_sync() says so. */
void lv_sim_init_logged(struct lv_sim *sim, uint32_t shard_count, uint64_t seed);
/* Called for each shard before its broker is made, to change what is in the config. A log that it
 * puts there is freed with the world. */
typedef void lv_sim_configure_fn(void *ctx, struct lv_broker_config *config);
/* As lv_sim_init(), with more than it knows of. */
void lv_sim_init_with(struct lv_sim *sim, uint32_t shard_count, uint64_t seed,
                      lv_sim_configure_fn *configure, void *ctx);
/* All clients must be closed. What is still on the roads is dropped. */
void lv_sim_fini(struct lv_sim *sim);
/* Something that is under way arrives, or a shard has its turn. False: nothing is under way, and
 * every shard has had its turn. */
bool lv_sim_step(struct lv_sim *sim);
/* Until nothing moves any more. */
void lv_sim_settle(struct lv_sim *sim);
/* The oldest operation between these shards arrives. False: there is none. */
bool lv_sim_carry(struct lv_sim *sim, uint32_t from, uint32_t to);
/* Every shard has a turn. */
void lv_sim_turn(struct lv_sim *sim);
/* All that was logged is on disk, and every shard knows. */
void lv_sim_sync(struct lv_sim *sim);
/* Where the queue lives; the test fails when there is no such queue on some shard. */
uint32_t lv_sim_home(const struct lv_sim *sim, const char *queue);
/* On no shard. */
bool lv_sim_is_gone(const struct lv_sim *sim, const char *queue);
/* Messages that the stores hold, of all shards. */
uint64_t lv_sim_live_count(const struct lv_sim *sim);

/* An operator's change, given to this shard, settled and, with a log, synced: "ok", or the error
 * and its sentence. Valid until the next one. */
const char *lv_sim_change(struct lv_sim *sim, uint32_t shard, const struct lv_change *change);
/* The same in few words: a vhost's, a user's, his three patterns, his topics' patterns. */
const char *lv_sim_put_vhost(struct lv_sim *sim, const char *vhost);
const char *lv_sim_put_user(struct lv_sim *sim, const char *user);
const char *lv_sim_permit(struct lv_sim *sim, const char *user, const char *vhost,
                          const char *const patterns[3]);
const char *lv_sim_permit_topic(struct lv_sim *sim, const char *user, const char *exchange,
                                const char *write, const char *read);

/* ---- scenarios ---- */

/* Orders in which a scenario is played with three shards, besides once with one. */
#define LV_SIM_SEEDS 40u

typedef void lv_sim_scenario_fn(struct lv_sim *sim);

/* Plays it with one shard, then with three in many orders. */
void lv_sim_each(lv_sim_scenario_fn *scenario);
/* A teardown that tells what failed. */
int lv_sim_report(void **state);

/* A test that must end in the same way with any number of shards and in any order. */
#define SCENARIO(name)                                                                             \
    static void name##_in(struct lv_sim *sim);                                                     \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        lv_sim_each(name##_in);                                                                    \
    }                                                                                              \
    static void name##_in(struct lv_sim *sim)
#define SCENARIO_TEST(name) cmocka_unit_test_teardown(name, lv_sim_report)

/* ---- clients that write down what they hear ---- */

#define LV_SIM_CHANNELS_MAX 8u

/* What a session has for a channel. */
struct lv_sim_channel {
    struct lv_sim_client *client; /* view */
    struct lv_channel *core;      /* own   NULL: not open */
    uint32_t number;              /*       from 1 */
};

/* What a session has for a connection; what it hears becomes a text. */
struct lv_sim_client {
    struct lv_sim *sim;                                  /* view */
    struct lv_client *core;                              /* own   NULL when closed */
    struct lv_sim_channel channels[LV_SIM_CHANNELS_MAX]; /* number 1 first */
    char *trace;                                         /* own   what was heard */
    size_t trace_size, trace_capacity;
    uint32_t shard;
    uint32_t awaited;     /* replies to come */
    uint32_t stop_after;  /* > 0: stops being writable after this many deliveries */
    uint32_t close_after; /* > 0: closes itself in this reply */
    uint64_t delivered;
    bool awaits_probe; /* was asked for a sign of life */
};

/* A connection to "/" with channel 1 open. */
void lv_sim_client_open(struct lv_sim_client *client, struct lv_sim *sim, uint32_t shard);
/* The same as somebody in particular. */
struct lv_sim_identity {
    const char *user;
    uint64_t origin, alias;
    const char *vhost; /* NULL: "/", with a user who may do all there, made if need be */
};
/* Who the connection belongs to decides whether a dead one may be taken over. */
void lv_sim_client_open_as(struct lv_sim_client *client, struct lv_sim *sim, uint32_t shard,
                           const struct lv_sim_identity *identity);
/* Closes if that is still to be done, settles, frees the trace. */
void lv_sim_client_fini(struct lv_sim_client *client);
/* Closes; `client-closed` is heard when it is done. */
void lv_sim_client_close(struct lv_sim_client *client);
/* By number, from 1; it may be closed. */
struct lv_sim_channel *lv_sim_channel(struct lv_sim_client *client, uint32_t number);
/* One more channel. Its number must be free. */
struct lv_sim_channel *lv_sim_channel_open(struct lv_sim_client *client, uint32_t number);
/* `channel-closed N` is heard when it is done. */
void lv_sim_channel_close(struct lv_sim_client *client, uint32_t number);

/* Settles; what was heard since the last call, without a last newline. */
const char *lv_sim_heard(struct lv_sim_client *client);
/* Without settling. */
const char *lv_sim_heard_now(struct lv_sim_client *client);
#define assert_hears(client, text)     assert_string_equal(lv_sim_heard(client), text)
#define assert_heard_now(client, text) assert_string_equal(lv_sim_heard_now(client), text)

/* ---- commands on channel 1 in few words ---- */

/* Letters: p passive, d durable, x exclusive, a auto-delete, i internal, u if-unused, e if-empty,
 * n no-ack. They are given and not waited for; lv_sim_heard() does. */
void lv_sim_declare(struct lv_sim_client *client, const char *queue, const char *letters);
/* The same with arguments, which are borrowed. */
void lv_sim_declare_args(struct lv_sim_client *client, const char *queue, const char *letters,
                         const struct lv_table *arguments);
/* Heard: `delete-ok` and how many messages went along. */
void lv_sim_delete(struct lv_sim_client *client, const char *queue, const char *letters);
/* Heard: `purge-ok` and how many messages were ready. */
void lv_sim_purge(struct lv_sim_client *client, const char *queue);
/* Heard: `exchange-declare-ok`, or the error. */
void lv_sim_exchange(struct lv_sim_client *client, const char *name, const char *type,
                     const char *letters);
/* Letter u: only when unused. */
void lv_sim_exchange_delete(struct lv_sim_client *client, const char *name, const char *letters);
/* The same with arguments, such as an alternate exchange. */
void lv_sim_exchange_args(struct lv_sim_client *client, const char *name, const char *type,
                          const char *letters, const struct lv_table *arguments);
/* Without arguments. An empty queue is the last one declared. */
void lv_sim_bind(struct lv_sim_client *client, const char *queue, const char *exchange,
                 const char *key);
/* With arguments, as headers exchanges want them. */
void lv_sim_bind_args(struct lv_sim_client *client, const char *queue, const char *exchange,
                      const char *key, const struct lv_table *arguments);
/* Of what was bound with lv_sim_bind(). */
void lv_sim_unbind(struct lv_sim_client *client, const char *queue, const char *exchange,
                   const char *key);
/* The arguments are part of a binding's identity. */
void lv_sim_unbind_args(struct lv_sim_client *client, const char *queue, const char *exchange,
                        const char *key, const struct lv_table *arguments);
/* From an exchange to another one. `arguments` may be NULL. */
void lv_sim_link(struct lv_sim_client *client, const char *source, const char *destination,
                 const char *key, const struct lv_table *arguments);
/* The same arguments as it was made with. */
void lv_sim_unlink(struct lv_sim_client *client, const char *source, const char *destination,
                   const char *key, const struct lv_table *arguments);
/* Letters n and x. Deliveries are heard as `TAG #DELIVERY BODY`. */
void lv_sim_consume(struct lv_sim_client *client, const char *queue, const char *tag,
                    const char *letters);
/* Heard: `cancel-ok TAG`. */
void lv_sim_cancel(struct lv_sim_client *client, const char *tag);
/* Heard: `get-ok`, with what is left, or `get-empty`. */
void lv_sim_get(struct lv_sim_client *client, const char *queue, const char *letters);
/* Must succeed. */
void lv_sim_publish(struct lv_sim_client *client, const char *exchange, const char *key,
                    const char *body);
/* Letter m: mandatory. The result, with the sentence. */
int lv_sim_try_publish(struct lv_sim_client *client, const char *exchange, const char *key,
                       const char *body, bool mandatory, struct lv_diag *diag);
/* The same with headers, as words.h has them. */
int lv_sim_try_publish_words(struct lv_sim_client *client, const char *exchange, const char *key,
                             const char *words, const char *body, struct lv_diag *diag);
/* Letters: a acknowledges, r rejects, q requeues; + means all up to the tag. Must succeed. */
void lv_sim_settle_tag(struct lv_sim_client *client, uint64_t tag, const char *letters);

/* The same on another of the client's channels. */
void lv_sim_consume_on(struct lv_sim_channel *channel, const char *queue, const char *tag,
                       const char *letters);

/* A table with one field, for arguments; lives in `memory`. */
struct lv_sim_table {
    uint32_t count;
    struct lv_field field;
};
/* A view of `memory`, with one field. */
const struct lv_table *lv_sim_table(struct lv_sim_table *memory, const char *name,
                                    struct lv_value value);

/* A long string, as clients send most arguments. */
static inline struct lv_value lv_sim_string(const char *text)
{
    return (struct lv_value){.type = LV_TYPE_STRING, .bytes = lv_text(text)};
}

/* Of the given width: AMQP has eight. */
static inline struct lv_value lv_sim_integer(enum lv_type type, int64_t integer)
{
    return (struct lv_value){.type = type, .integer = integer};
}
