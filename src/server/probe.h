/*
 * server/probe.h - is a connection's peer still there? Asked when somebody wants a queue that only
 * that connection may use.
 *
 * What can be known without waiting for a heartbeat's length: whether the peer has ended its side
 * or the connection broke, although we don't read it just now; and whether the peer's kernel still
 * acknowledges what it is sent. A heartbeat gives it something to acknowledge. A peer whose process
 * hangs is there as far as anybody can know. The owning shard's thread only.
 */
#pragma once

#include <stdbool.h>

struct lv_connection;

/* Looks until it is known, at most two seconds: the session is told that the peer is alive, or the
 * connection is dropped. Only for one who seems to be the peer itself come back (`is_same`) is the
 * peer sent anything and its silence taken for death: others wait for its heartbeat. */
void lv_probe_begin(struct lv_connection *connection, bool is_same);
/* The connection goes. Nothing happens when nobody has asked. */
void lv_probe_end(struct lv_connection *connection);
