/*
 * admin/slice.h - a part of a list on its way: made on a shard's thread, sent from another.
 *
 * Whoever holds the slice owns it. A shard fills the rows up to a bound and notes in the walk where
 * the next slice goes on; it is asked for that only when these rows have been sent, so neither a
 * long list nor a slow reader needs more memory than one slice.
 */
#pragma once

#include "admin/changes.h"
#include "admin/list.h"
#include "admin/rows.h"
#include "base/err.h"
#include "base/mailbox.h"
#include "broker/inspect.h"
#include "io/address.h"

/* A slice ends with the row that reaches one of these. */
#define LV_SLICE_ROWS 1000u
#define LV_SLICE_SIZE ((size_t)256 * 1024)

/* Numbers that are added up over the shards. */
struct lv_totals {
    uint64_t connections, channels, consumers;
    uint64_t ready, unacked; /* messages */
    uint64_t queues, exchanges, vhosts;
};

struct lv_slice {
    struct lv_letter letter; /*       of who carries it back */
    bool is_status;          /*       totals are wanted and no list */
    enum lv_list_kind kind;
    uint8_t columns[LV_COLUMNS_MAX]; /* places in the list's table */
    unsigned column_count;
    struct lv_bytes vhost; /* view  the holder's */
    struct lv_bytes user;  /* view  likewise; of lists that are a user's; no data: of all */
    bool is_all;           /*       VHOST_LIMIT, USER_LIMIT: of everybody */
    bool is_gathered;      /*       changes are wanted and no list, see admin/gather.h: */
    enum lv_changes changes;
    uint32_t shard;      /*       asked now */
    struct lv_walk walk; /*       on that shard */
    uint64_t connection; /*       CHANNEL, CONSUMER: whose turn it is, by its number on the shard */
    uint32_t channel;    /*       CONSUMER: likewise */
    struct lv_rows rows; /*       own */
    bool is_over;        /*       this shard has no more */
    struct lv_diag diag; /*       not empty: there is no such vhost or user, and no row */
    struct lv_totals totals;
};

static inline bool lv_slice_has_room(const struct lv_slice *slice)
{
    return slice->rows.count < LV_SLICE_ROWS && slice->rows.size < LV_SLICE_SIZE &&
           !slice->rows.is_short;
}

/* QUEUE, EXCHANGE and BINDING: the next rows of this shard. */
void lv_slice_fill(struct lv_slice *slice, const struct lv_broker *broker);
/* From LV_LIST_ACCESS_FIRST on: likewise; any shard has them all. */
void lv_slice_access(struct lv_slice *slice, const struct lv_broker *broker);

/* A connection as its shard sees it; views, valid for the call. */
struct lv_connection_view {
    struct lv_address peer, local;
    uint64_t client;       /*       id in the core, 0: not open yet */
    const char *state;     /* view  RabbitMQ's word */
    const char *mechanism; /* view  of the login; "" before */
    struct lv_bytes user, vhost;
    const struct lv_table *properties; /* view  NULL: none, or they are not kept */
    uint64_t connected_ms;             /*       since 1970 */
    uint64_t send_pending;             /*       bytes that wait to be sent */
    uint32_t channels, frame_max;
    uint16_t channel_max, heartbeat_s;
    bool is_tls;
};

/* CONNECTION: a row. */
void lv_slice_connection(struct lv_slice *slice, const struct lv_connection_view *connection);
/* CHANNEL: a row. The core may know the channel no more: then there is none. */
void lv_slice_channel(struct lv_slice *slice, const struct lv_connection_view *connection,
                      const struct lv_channel *channel, unsigned number);
/* CONSUMER: the channel's next ones. False: that was all of them. */
bool lv_slice_consumers(struct lv_slice *slice, const struct lv_connection_view *connection,
                        const struct lv_channel *channel, unsigned number);
