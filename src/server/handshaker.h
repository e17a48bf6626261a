/*
 * server/handshaker.h - TLS handshakes, which take milliseconds, on threads of their own.
 *
 * A listener gives what it accepts; when the handshake is done the connection goes to a shard, in
 * turn, and everything from there on is encrypted by the shard itself. How many may be under way is
 * bounded, each has a deadline, and one that fails is a line in the log. The files with the
 * certificates can be read anew at any time: handshakes that begin from then on use what is new.
 */
#pragma once

#include "io/address.h"
#include "server/shared.h"

/* Under way at a time. Those who come on top wait in the kernel's queue. */
#define LV_HANDSHAKES_MAX 1024u

struct lv_arrival;
struct lv_handshakers;

/* Reads certificates and keys as the settings say. `shared` outlives it; its threads run when the
 * shards do. */
int lv_handshakers_open(struct lv_shared *shared, struct lv_handshakers **ret_handshakers,
                        struct lv_diag *diag) LV_MUST_CHECK;
int lv_handshakers_start(struct lv_handshakers *handshakers) LV_MUST_CHECK;
/* Main thread. Reads all files again; when one of them is wrong, all stays as it is. */
int lv_handshakers_reload(struct lv_handshakers *handshakers, struct lv_diag *diag) LV_MUST_CHECK;
/* Main thread. Those under way are dropped, the threads end. May be called again. */
void lv_handshakers_stop(struct lv_handshakers *handshakers);
/* After lv_handshakers_stop(), and after all who may still take. Takes NULL. */
void lv_handshakers_free(struct lv_handshakers *handshakers);

/* Any thread. */
unsigned lv_handshakers_count(const struct lv_handshakers *handshakers);
/* Shard 0's thread. Takes the arrival. */
void lv_handshakers_take(struct lv_handshakers *handshakers, struct lv_arrival *arrival);
