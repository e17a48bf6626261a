/*
 * base/random.h - a small seeded generator, so that every run can be repeated from its seed.
 *
 * Not for secrets by itself: whoever needs names that can't be guessed seeds it from the kernel.
 * Pure; one owner.
 */
#pragma once

#include <stdint.h>

/* For schedules of tests and for names, never for secrets. */
struct lv_random {
    uint64_t state[4]; /* xoshiro256** */
};

/* The same seed gives the same sequence, on every machine. */
void lv_random_seed(struct lv_random *random, uint64_t seed);
/* 64 bits. */
uint64_t lv_random_next(struct lv_random *random);
/* Uniform in [0, bound), bound > 0. */
uint64_t lv_random_below(struct lv_random *random, uint64_t bound);
/* Writes 22 characters of base64url (132 random bits) and no end. */
void lv_random_name(struct lv_random *random, char name[22]);
