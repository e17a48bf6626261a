/*
 * admin/control.h - the control socket: asked by one line of JSON, answers line by line.
 *
 * A socket named `control` in the data directory, for the broker's own user and for root. A
 * connection carries one request:
 *
 *   {"command": "list_queues", "vhost": "/", "columns": ["name", "messages"]}
 *   {"command": "add_user", "user": "alice", "password": "…"}
 *   {"command": "import_definitions", "size": 12}, and 12 bytes behind the line's end
 *   {"command": "status"}
 *   {"command": "stop"}
 *   {"command": "drain", "timeout": 60}
 *
 * A list is answered by a JSON array for each object, status by one object, an import by objects
 * with a "note" or a "step", an export by {"size": N} and N bytes; then comes {"ok": true}, perhaps
 * with a "count", or {"ok": false, "code": "NOT_FOUND", "error": "…"}, and the end. Requests,
 * connections and the time they take are bounded; what a slow reader has not taken of a list is
 * not made yet. Requests are wiped from memory, since they may carry passwords. One thread, the
 * one of the reactor.
 */
#pragma once

#include "admin/deed.h"
#include "io/reactor.h"

#define LV_CONTROL_NAME "control"
/* Longest request, and connections at one time. */
#define LV_CONTROL_REQUEST_MAX LV_REQUEST_MAX
#define LV_CONTROL_GUESTS_MAX  32u

struct lv_control;

/* Who knows the shards. */
struct lv_control_host {
    /* Has the shard add to the slice; takes it until lv_control_answer(). -LV_E_NOMEM. */
    int (*ask)(void *ctx, struct lv_slice *slice);
    /* One JSON object about the whole broker. */
    void (*status)(void *ctx, const struct lv_totals *totals, struct lv_rows *rows);
    /* One JSON object with all settings. */
    void (*environment)(void *ctx, struct lv_rows *rows);
    /* Has it done; takes the deed until lv_control_done(), which may come from within. */
    void (*act)(void *ctx, struct lv_deed *deed);
    /* Somebody wants the broker to end. */
    void (*stop)(void *ctx);
    /* Or to end when its clients have finished, at the latest after so long. */
    void (*drain)(void *ctx, uint64_t seconds);
};

struct lv_control_config {
    const struct lv_control_host *host; /* view */
    void *ctx;                          /* view  of the host */
    struct lv_reactor *reactor;         /* view */
    const uint64_t *now;                /* view  the time that the reactor's waits set */
    const char *directory;              /* view  outlives the control socket */
    const char *version;                /* view  of RabbitMQ, as clients are told */
    uint32_t shard_count;
};

/* Listens. The directory must belong to this process alone. */
int lv_control_open(const struct lv_control_config *config, struct lv_diag *diag,
                    struct lv_control **ret_control) LV_MUST_CHECK;
/* Nobody new comes in, and the socket is gone; who is there is cut off once no shard has a part of
 * their answer any more. May be called again. */
void lv_control_close(struct lv_control *control);
/* After lv_control_close(): nobody is there any more. */
bool lv_control_is_closed(const struct lv_control *control);
/* Only when it is closed. Takes NULL. */
void lv_control_free(struct lv_control *control);

/* Takes back the slice that `ask` was given. */
void lv_control_answer(struct lv_control *control, struct lv_slice *slice);
/* Takes back the deed that `act` was given. */
void lv_control_done(struct lv_control *control, struct lv_deed *deed);
/* When lv_control_turn() is wanted next. */
uint64_t lv_control_next(const struct lv_control *control);
/* Cuts off those who take too long. */
void lv_control_turn(struct lv_control *control);
