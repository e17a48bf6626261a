/*
 * server/service.h - what the service manager hears of the broker: that it is ready, reloads or
 * stops, and by the watchdog that every shard's loop turns.
 *
 * Main thread, but for the shards' answers. Without a service manager all of it does nothing.
 */
#pragma once

#include "io/notify.h"
#include "server/shard.h"

/* A question to one shard; answered within its turn. */
struct lv_pulse {
    struct lv_call call;
    struct lv_service *service; /* view */
    atomic_bool is_awaited;     /* any   the shard has not answered yet */
};

struct lv_service {
    struct lv_notify notify;
    struct lv_shared *shared; /* view */
    struct lv_pulse *pulses;  /* own   one for each shard; NULL: nobody wants pings */
    uint64_t next;            /*       when the shards are asked again */
    atomic_uint awaited;      /* any   shards that have not answered yet */
    bool is_asking;           /*       and no ping was sent since */
    bool is_late;             /*       the log has been told who does not answer */
};

/* When there are shards. What the manager said and makes no sense is an event in the log, and then
 * nobody is told anything. -LV_E_NOMEM. */
int lv_service_open(struct lv_service *service, struct lv_shared *shared, uint64_t now)
    LV_MUST_CHECK;
/* When the shards are gone. Also one that is all zeros but for notify.fd -1. */
void lv_service_close(struct lv_service *service);

/* Lines of NAME=VALUE, without the last newline. */
void lv_service_tell(struct lv_service *service, const char *fmt, ...) LV_PRINTF(2, 3);

/* Asks the shards, and pings when all have answered. */
void lv_service_turn(struct lv_service *service, uint64_t now);
/* When lv_service_turn() is wanted next, besides after every wait. */
uint64_t lv_service_next(const struct lv_service *service);
