/*
 * broker/restore.h - from what the disk has to queues with messages, before a shard runs.
 *
 * In this order: all changes of the topology, on every shard; what the log says is gone; its
 * messages; lv_broker_restored(). Main thread, before the shards' threads begin.
 */
#pragma once

#include "broker/broker.h"
#include "broker/topology.h"

/* Applying one twice is harmless. -LV_E_NOMEM; what the change itself says is wrong with it. */
int lv_broker_restore_change(struct lv_broker *broker, const struct lv_change *change,
                             struct lv_diag *diag) LV_MUST_CHECK;
/* A change of the first start: every shard applies it as if it had come by itself, so it will be on
 * disk soon. After lv_broker_restored(). */
int lv_broker_begin_change(struct lv_broker *broker, const struct lv_change *change,
                           struct lv_diag *diag) LV_MUST_CHECK;
/* The vhost and the user of a first start. */
struct lv_first {
    struct lv_bytes vhost, user;
    struct lv_bytes hash, tags;             /* as in struct lv_user_view */
    struct lv_bytes configure, write, read; /* the user's permissions in the vhost */
};
/* Whether there is neither a vhost nor a user: nobody has ever made one. */
bool lv_broker_is_new(const struct lv_broker *broker);
/* Makes them when it is new, on every shard. */
int lv_broker_begin(struct lv_broker *broker, const struct lv_first *first, struct lv_diag *diag)
    LV_MUST_CHECK;
/* No queue gets this id or one below it again, also if the clock has gone back. */
void lv_broker_restore_last_id(struct lv_broker *broker, uint64_t queue_id);
/* A settle, state or bits record. What is about queues that are not here is left out.
 * -LV_E_CORRUPT: it contradicts itself. */
int lv_broker_restore_gone(struct lv_broker *broker, const struct lv_record_head *head,
                           const uint8_t *payload) LV_MUST_CHECK;
/* A message record whose payload lies at `lsn` in the log's window. `is_clean`: the broker had been
 * stopped in good order, so who was delivered before is known; else every message might have been.
 * -LV_E_CORRUPT: a number that no message can have. */
int lv_broker_restore_message(struct lv_broker *broker, uint64_t lsn,
                              const struct lv_record_head *head, const uint8_t *payload,
                              bool is_clean) LV_MUST_CHECK;
/* All is there. */
int lv_broker_restored(struct lv_broker *broker, bool is_clean) LV_MUST_CHECK;

/* The other end: everything that a clean restart needs is in the log, the mark of it last. */
int lv_broker_log_clean(struct lv_broker *broker) LV_MUST_CHECK;
