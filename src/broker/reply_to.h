/*
 * broker/reply_to.h - direct reply-to: answers go to the channel that asked, through no queue.
 *
 * A channel that consumes from the pseudo-queue "amq.rabbitmq.reply-to" has a name that nobody can
 * guess, which ends with its shard's number. Who publishes to the default exchange with that name
 * as the key reaches the channel, over one operation (REPLY) when it is on another shard; REPLIED
 * says whether anybody was there. Only files of this room include it. Owning shard only.
 */
#pragma once

#include "broker/broker.h"
#include "broker/op.h"

struct lv_channel;
struct lv_reply_to; /* a channel's consumer of answers */

/* The pseudo-queue, under which a channel asks for its own. */
bool lv_reply_to_is_pseudo(struct lv_bytes queue);
/* The name of some channel's, alive or not. */
bool lv_reply_to_is_name(struct lv_bytes name);

/* basic.consume on the pseudo-queue; answered at once. */
void lv_reply_to_consume(struct lv_channel *channel, const struct lv_consume *consume);
/* The consumer is cancelled or its channel closes. The channel need not have one. */
void lv_reply_to_end(struct lv_channel *channel);
/* queue.declare of such a name asks whether it is alive. */
void lv_reply_to_declare(struct lv_channel *channel, struct lv_bytes name);

/* Gives the operation that carries the message, whose key is such a name; *ret_shard is where to.
 */
struct lv_op *lv_reply_to_op(const struct lv_broker *broker, const struct lv_message *message,
                             bool mandatory, uint32_t *ret_shard) LV_MUST_CHECK;
/* The client takes output again: what waited for that goes out. */
void lv_reply_to_flush(struct lv_channel *channel);

/* REPLY, REPLIED, REPLY_QUERY and REPLY_ANSWER have come. Each takes the operation. */
void lv_reply_to_run(struct lv_broker *broker, struct lv_op *op);
/* Tells the publisher of an unroutable answer, and confirms. Takes the operation. */
void lv_reply_to_done(struct lv_op *op);
/* Is the requester of this name still there? Takes the operation, which becomes the answer. */
void lv_reply_to_query(struct lv_broker *broker, struct lv_op *op);
/* Finishes the passive declare that asked. Takes the operation. */
void lv_reply_to_answered(struct lv_op *op);
