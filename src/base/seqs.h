/*
 * base/seqs.h - a growing set of numbers that begins with all below `low`: what is gone of a queue.
 *
 * Numbers mostly go in order, which moves `low` and costs nothing else. What goes out of order is
 * kept in pieces of LV_SEQS_PIECE bits from `low` on; a piece that is full is a mark only. So one
 * old number that stays costs eight bytes for every LV_SEQS_PIECE that pass it. Pure; one owner.
 */
#pragma once

#include "base/defs.h"

#include <stdbool.h>
#include <stdint.h>

#define LV_SEQS_PIECE 4096u

struct lv_seqs {
    uint64_t low;         /*       all below are in the set, low itself is not */
    uint64_t top;         /*       none at or above it is, but what `low` says; >= low */
    uint64_t **pieces;    /* own   a ring by number / LV_SEQS_PIECE; NULL: empty piece */
    uint32_t capacity;    /*       0 or a power of two */
    uint64_t memory_size; /*       bytes, without the struct */
};

/* Everything below `low`. */
void lv_seqs_init(struct lv_seqs *seqs, uint64_t low);
/* May be used again after an init. */
void lv_seqs_fini(struct lv_seqs *seqs);

/* The numbers `from` to `to`, both included; at a cost for each LV_SEQS_PIECE of them that was not
 * there, not for each number. *ret_added: how many of them are new. -LV_E_NOMEM: some are added. */
int lv_seqs_add_range(struct lv_seqs *seqs, uint64_t from, uint64_t to, uint64_t *ret_added)
    LV_MUST_CHECK;
/* How many numbers from `from` to `to`, both included, are in the set. */
uint64_t lv_seqs_count(const struct lv_seqs *seqs, uint64_t from, uint64_t to);

/* A bit for each of the 64 numbers from `seq`, a multiple of 64, on: the lowest is the first's. */
uint64_t lv_seqs_word(const struct lv_seqs *seqs, uint64_t seq);
/* Adds the numbers whose bit is set. -LV_E_NOMEM: perhaps some. */
int lv_seqs_add_word(struct lv_seqs *seqs, uint64_t seq, uint64_t bits) LV_MUST_CHECK;

/* lv_seqs_add() of a number above low. */
int lv_seqs_add_above(struct lv_seqs *seqs, uint64_t seq) LV_MUST_CHECK;
/* Behind low the numbers up to `top` may be in the set too: moves low over them. */
void lv_seqs_advance(struct lv_seqs *seqs);
/* One that isn't below low. */
bool lv_seqs_has_above(const struct lv_seqs *seqs, uint64_t seq);
/* The first range of numbers in the set, both ends included, at or above `from` and above low.
 * False: none. */
bool lv_seqs_next(const struct lv_seqs *seqs, uint64_t from, uint64_t *ret_from, uint64_t *ret_to);

/* All below `low` are in the set. */
void lv_seqs_raise(struct lv_seqs *seqs, uint64_t low);

/* -LV_E_NOMEM changes nothing. Adding a number twice is fine. */
static inline LV_MUST_CHECK int lv_seqs_add(struct lv_seqs *seqs, uint64_t seq)
{
    if (LV_LIKELY(seq == seqs->low)) {
        seqs->low++;
        if (LV_UNLIKELY(seqs->low < seqs->top))
            lv_seqs_advance(seqs);
        else
            seqs->top = seqs->low;
        return 0;
    }
    return seq < seqs->low ? 0 : lv_seqs_add_above(seqs, seq);
}

/* One compare for what is below the lowest that is missing. */
static inline bool lv_seqs_has(const struct lv_seqs *seqs, uint64_t seq)
{
    return seq < seqs->low || (seq < seqs->top && lv_seqs_has_above(seqs, seq));
}
