/*
 * server/connection.h - a socket and the session behind it. The owning shard's thread only.
 *
 * The connection reads into the shard's one buffer, keeps what the session could not use yet, and
 * sends the session's output. While nothing moves it owns no buffer.
 */
#pragma once

#include "base/deadline.h"
#include "base/list.h"
#include "io/address.h"
#include "io/reactor.h"

#include <stddef.h>

struct lv_probe;
struct lv_session;
struct lv_shard;
struct lv_tls;

/* Owned by its shard, in `connections` of which it is until it is freed. */
struct lv_connection {
    struct lv_watch watch;
    struct lv_shard *shard;     /* view */
    struct lv_session *session; /* own */
    struct lv_tls *tls;         /* own   NULL: nothing is encrypted */
    struct lv_link all;         /*       in the shard's connections */
    struct lv_link dirty;       /*       in the shard's dirty */
    struct lv_link waits;       /*       in the shard's again, held, ahead or closing */
    uint8_t *left;              /* own   input that was not used yet */
    uint32_t left_size;
    uint64_t number;       /*       of the shard's connections, from 1; later ones have higher */
    uint64_t connected_ms; /*       since 1970 */
    struct lv_address peer;
    struct lv_probe *probe;     /* own   NULL: nobody asks whether the peer is there */
    struct lv_attempt *attempt; /* view  a login that has not been answered yet, or NULL */
    bool is_lost;               /* the socket is of no more use */
    bool is_finished;           /* the session is done: close once the output is sent */
    bool is_ahead;              /* of consumers that don't keep up, which are alive */
    bool is_full;               /* the socket takes no more for now */
    uint64_t closes_at;         /* finished: when it is closed in any case */
};

/* Takes the socket and `tls`, which may be NULL, also when it fails. */
void lv_connection_open(struct lv_shard *shard, int fd, const struct lv_address *peer,
                        struct lv_tls *tls);
/* Presents what was left, when the session goes on. */
void lv_connection_resume(struct lv_connection *connection);
/* Sends what can be sent; closes and frees a connection that is done. */
void lv_connection_flush(struct lv_connection *connection);
/* The answer to a login (server/login.h) that had to wait. */
void lv_connection_login(void *asker, const char *refusal);
/* Cuts the peer off. */
void lv_connection_drop(struct lv_connection *connection);
/* A deadline of the shard: publishers have waited long enough for consumers. */
void lv_connection_end_ahead(struct lv_deadline *deadline, uint64_t now);
/* A deadline of the shard: closes those that were finished long ago and have not sent all. */
void lv_connection_close_late(struct lv_deadline *deadline, uint64_t now);
