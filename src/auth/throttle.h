/*
 * auth/throttle.h - who guesses passwords is made to wait for the answers.
 *
 * After some failures from one address the answer to each further one is held back, twice as long
 * every time up to a limit, and while LV_THROTTLE_HELD of them are held nothing more is checked for
 * that address: so guesses cannot be made faster by making more at a time. A right password is
 * answered at once. The table is of a fixed size; where it is full the address that failed longest
 * ago makes room. Of an IPv6 address the first 64 bits count, since the rest is free to choose.
 * Times are the caller's, in ns. One owner.
 */
#pragma once

#include "base/defs.h"

#include <stdbool.h>
#include <stdint.h>

/* As many failures are answered at once: people mistype, and programs are started with the old
 * password. */
#define LV_THROTTLE_FREE 10u
/* Answers of one address that may be held at a time. */
#define LV_THROTTLE_HELD 8u
/* How long the first is held, and how long any. */
#define LV_THROTTLE_MIN_NS (125ull * 1000000ull)
#define LV_THROTTLE_MAX_NS (4000ull * 1000000ull)
/* After so long a quiet time one failure is forgotten, and one more after each further. */
#define LV_THROTTLE_FORGET_NS (30ull * 1000000000ull)

struct lv_throttle;

/* Has seen nobody. NULL when out of memory. */
struct lv_throttle *lv_throttle_new(void) LV_MUST_CHECK;
/* Takes NULL. */
void lv_throttle_free(struct lv_throttle *throttle);

/* Whether nothing should be checked for this address now: enough is held. `ip` as in
 * io/address.h, IPv4 as ::ffff:a.b.c.d. */
bool lv_throttle_is_full(struct lv_throttle *throttle, const uint8_t ip[16]);
/* A password was wrong. Returns how long the answer is to be held, in ns. 0: not at all; else
 * lv_throttle_let_go() is called when it is given. */
uint64_t lv_throttle_fail(struct lv_throttle *throttle, const uint8_t ip[16], uint64_t now);
/* An answer is held no longer, whether or not anybody was still there to hear it. */
void lv_throttle_let_go(struct lv_throttle *throttle, const uint8_t ip[16]);
