/*
 * broker/tx.h - what a channel has done since tx.select, the last commit or the last rollback.
 *
 * A publish is judged and routed at once, and kept as the operations that will carry it to its
 * queues (op.h); a settle is kept as the delivery's tag, which nobody can settle a second time. A
 * commit sends the operations, its own shard's too, settles the deliveries and is answered when
 * every operation has come back. Between publish and commit nothing of it is to be seen by others.
 * Only files of this room include it. Owning shard only.
 */
#pragma once

#include "broker/broker.h"
#include "broker/core.h"
#include "broker/route.h"

/* Keeps a message for its queues. 406 when the transaction becomes too large. */
int lv_tx_publish(struct lv_channel *channel, const struct lv_message *message,
                  const struct lv_targets *targets, bool mandatory, struct lv_diag *diag)
    LV_MUST_CHECK;
/* As lv_channel_settle(). */
int lv_tx_settle(struct lv_channel *channel, uint64_t tag, bool multiple, enum lv_settle how,
                 struct lv_diag *diag) LV_MUST_CHECK;
/* One of the operations of a commit has come back. Perhaps the last one: then the session hears of
 * it, and the channel may go on closing. */
void lv_tx_enqueued(struct lv_channel *channel);
/* The channel closes: all that is kept is dropped. A commit under way goes on. */
void lv_tx_close(struct lv_channel *channel);

/* What waits for the commit, for those who look. */
struct lv_tx_counts {
    uint64_t messages, settles;
};

/* Zeros for a channel without transactions. */
struct lv_tx_counts lv_tx_counts(const struct lv_channel *channel);
