/*
 * session/amqp091/inspect.h - what a connection and its channels look like, for those who list
 * them. Owning shard only.
 */
#pragma once

#include "session/amqp091/session.h"

/* Views, valid until the session's next step. */
struct lv_session_view {
    const char *state;          /* view  RabbitMQ's word: "starting" … "running", "blocked" … */
    const char *mechanism;      /* view  "" before the login */
    struct lv_bytes user;       /*       as it is known so far */
    struct lv_bytes vhost;      /*       empty before connection.open */
    struct lv_bytes properties; /*       the client's, as entries of a table; empty: not kept */
    uint64_t client;            /*       id in the core, 0: none */
    uint64_t out_size;          /*       bytes that wait to be sent */
    uint32_t channels, frame_max;
    uint16_t channel_max, heartbeat_s;
};

/* As it is now; views into the session, valid until its next step. */
void lv_session_inspect(const struct lv_session *session, struct lv_session_view *ret_view);
/* The open channel with the lowest number of at least *number, which that becomes, or NULL. */
struct lv_channel *lv_session_next_channel(const struct lv_session *session, uint32_t *number);
