/*
 * base/mailbox.h - how a helper thread hands its result to a shard.
 *
 * Any thread may post; only the shard that owns the box takes. Posting is one compare-and-swap and
 * taking empties the box in one swap, so there is no lock, no allocation and no ABA problem. A
 * letter lives inside the object it carries; lv_container() leads back to it.
 */
#pragma once

#include "base/defs.h"

#include <stdatomic.h>
#include <stdbool.h>

/* Lives in what is handed over, which must stay until the letter has been taken. */
struct lv_letter {
    struct lv_letter *next; /* view */
};

/* A stack that anybody pushes on and the owner empties as a whole. */
struct lv_mailbox {
    _Atomic(struct lv_letter *) newest; /* any */
};

/* Before any thread knows the box. */
void lv_mailbox_init(struct lv_mailbox *box);

/* Takes the letter until lv_mailbox_take() gives it on. True when the box was empty, which is when
 * the poster has to wake the owning shard. */
bool lv_mailbox_post(struct lv_mailbox *box, struct lv_letter *letter);

/* Gives every letter, oldest first, or NULL. Owning shard only. Read `next` before letting go. */
struct lv_letter *lv_mailbox_take(struct lv_mailbox *box);
