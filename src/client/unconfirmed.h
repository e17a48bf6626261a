/*
 * client/unconfirmed.h - which of a channel's publishes the broker has still to confirm.
 *
 * Confirms name a delivery tag, or all up to a tag (0-9-1 with RabbitMQ's confirm.select). They may
 * come out of order, so tags between the lowest open one and the next are kept as bits: 1 for those
 * settled early. Pure; one owner.
 */
#pragma once

#include "base/err.h"

#include <stdint.h>

/* Publishes that may be open at once: 1 MiB of bits. */
#define LV_UNCONFIRMED_OPEN_MAX ((uint64_t)1 << 23)

/* Confirms come mostly in order: a lowest open tag, and bits for what came early. */
struct lv_unconfirmed {
    uint64_t lowest;    /* the lowest open tag; `next` when none is open */
    uint64_t next;      /* the tag of the next publish; starts with 1 */
    uint64_t early;     /* tags above `lowest` that are settled */
    uint64_t *words;    /* own   bit t & (bit_count - 1) stands for tag t */
    uint64_t bit_count; /*       a power of two, or 0 */
};

/* A run of tags that have just been settled. */
typedef void lv_unconfirmed_fn(void *ctx, uint64_t first, uint64_t last);

/* None is open, and the first tag will be 1. */
void lv_unconfirmed_init(struct lv_unconfirmed *confirms);
/* May be used again after it. */
void lv_unconfirmed_fini(struct lv_unconfirmed *confirms);

/* Opens the next tag. -LV_E_NOMEM, or -LV_E_RESOURCE when too many are open. */
int lv_unconfirmed_open(struct lv_unconfirmed *confirms, uint64_t *ret_tag) LV_MUST_CHECK;
/* How many are open. */
uint64_t lv_unconfirmed_count(const struct lv_unconfirmed *confirms);

/* basic.ack or basic.nack: calls `settled` once for each run of tags that were open. Tag 0 with
 * `multiple` means all. -LV_E_SYNTAX for a tag that was never given or is settled already. */
int lv_unconfirmed_settle(struct lv_unconfirmed *confirms, uint64_t tag, bool multiple,
                          lv_unconfirmed_fn *settled, void *ctx) LV_MUST_CHECK;
