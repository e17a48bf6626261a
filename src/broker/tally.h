/*
 * broker/tally.h - how many connections and channels a user or a vhost has, over all shards.
 *
 * Each shard counts its own. While there is a limit it tells the others whenever its number
 * changes, and once when the limit is set; without a limit nobody is told and nothing is kept. So a
 * limit is exact as soon as what was under way has arrived: connections that open on two shards
 * within a turn may both be let in. Owning shard only.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

#include <stdbool.h>

struct lv_broker;
struct lv_op;

struct lv_counts {
    uint32_t connections, channels;
};

struct lv_tally {
    int64_t max_connections, max_channels; /*       negative: no limit */
    struct lv_counts here;                 /*       of this shard */
    struct lv_counts *there;               /* own   by shard, as they have told; NULL: none has */
};

/* Without limits. */
void lv_tally_init(struct lv_tally *tally);
/* From now on nobody is told of it. */
void lv_tally_forget_limits(struct lv_tally *tally);
void lv_tally_fini(struct lv_tally *tally);

/* A connection or a channel comes (+1) or goes (-1) here. */
void lv_tally_count_connection(struct lv_broker *broker, struct lv_tally *tally, bool is_vhost,
                               struct lv_bytes name, int change);
void lv_tally_count_channel(struct lv_broker *broker, struct lv_tally *tally, bool is_vhost,
                            struct lv_bytes name, int change);
/* Its limit has been set: tells the others what is here. */
void lv_tally_tell(struct lv_broker *broker, const struct lv_tally *tally, bool is_vhost,
                   struct lv_bytes name);
/* Is there no room for one more? */
bool lv_tally_is_full_of_connections(const struct lv_broker *broker, const struct lv_tally *tally);
bool lv_tally_is_full_of_channels(const struct lv_broker *broker, const struct lv_tally *tally);

/* COUNT has come. Takes the operation. */
void lv_tally_take(struct lv_broker *broker, struct lv_op *op);
