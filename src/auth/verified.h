/*
 * auth/verified.h - passwords that were right a moment ago, so that whoever comes back need not
 * wait for a slow hash again.
 *
 * What is remembered is neither the password nor its stored hash but a keyed digest of both
 * (SipHash, 128 bits), under a key that is made with the table and leaves it never. A user
 * whose stored hash changes has another digest: nothing has to be looked up to forget the old one.
 * The table is of a fixed size; where it is full the digest that would end first makes room. Times
 * are the caller's, in ns. One owner.
 */
#pragma once

#include "base/bytes.h"
#include "base/defs.h"

/* From the moment that the password was checked, however often it is used meanwhile. */
#define LV_VERIFIED_NS (300ull * 1000000000ull)

/* Tells a pair of stored hash and password from every other, to those who have the key. */
struct lv_verified_digest {
    uint64_t words[2];
};

struct lv_verified;

/* Knows nobody yet. NULL when out of memory. */
struct lv_verified *lv_verified_new(void) LV_MUST_CHECK;
/* Takes NULL. */
void lv_verified_free(struct lv_verified *verified);

/* Under this table's key. `hash` as it is stored, the password as it was given. */
struct lv_verified_digest lv_verified_digest(const struct lv_verified *verified, const char *hash,
                                             struct lv_bytes password);
/* Whether it was put less than LV_VERIFIED_NS ago. */
bool lv_verified_has(const struct lv_verified *verified, const struct lv_verified_digest *digest,
                     uint64_t now);
/* The password has just been found right. */
void lv_verified_put(struct lv_verified *verified, const struct lv_verified_digest *digest,
                     uint64_t now);
