/*
 * store/store.h - the core's port to where messages lie: append, view, release.
 *
 * Message bytes lie in pages of 1 MiB and are found by a 16-byte reference. This is the volatile
 * log, which is gone with the process: transient messages, and copies of what has come from a
 * segment or another shard. What has to last lies in log.h. When memory is short transient messages
 * are copied to segments and released here (broker/cold.h). A reference stands for one holder (a
 * queue, an unacknowledged delivery); a message in several queues is shared. When the last holder
 * lets go, the bytes are dead; a page without a live byte is recycled, and a page with little left
 * alive is copied together, so that a few old messages never pin much memory.
 * Pure; the owning shard only.
 */
#pragma once

#include "base/bytes.h"
#include "base/defs.h"

#ifndef LV_PAGE_SIZE            /* tests make it small */
#define LV_PAGE_SIZE (1u << 20) /* bytes; a larger message gets a page of its own */
#endif

enum lv_ref_flag {
    LV_REF_SHARED = 1u << 0,      /* several holders: the count stands in the record */
    LV_REF_REDELIVERED = 1u << 1, /* its holder's: has been delivered before */
    LV_REF_LOGGED = 1u << 2,      /* lies in the durable log, where `lsn` is a position */
    LV_REF_KEPT = 1u << 3,        /* a copy of what is kept elsewhere: settling has to be logged */
    LV_REF_COLD = 1u << 4         /* a copy of what lies in a segment */
};

/* A queued message. */
struct lv_ref {
    uint64_t lsn;   /* where its bytes begin in the log */
    uint32_t size;  /* bytes */
    uint32_t flags; /* enum lv_ref_flag */
};

struct lv_store;
struct lv_page;

struct lv_store_stats {
    uint64_t live_count;  /* messages alive */
    uint64_t live_size;   /* their bytes */
    uint64_t memory_size; /* bytes of memory held, recycled pages included */
    uint64_t spare_size;  /* of these, recycled pages that wait for messages */
    uint64_t page_count;  /* pages in use */
};

/* NULL: out of memory. */
struct lv_store *lv_store_new(void) LV_MUST_CHECK;
/* Takes NULL. What is alive is dropped; pages may not be pinned any more. */
void lv_store_free(struct lv_store *store);

/* Room for `size` bytes at *ret_data, aligned to 8, to be filled before the next call; *ret_ref
 * stands for one holder. -LV_E_NOMEM changes nothing. */
int lv_store_append(struct lv_store *store, uint32_t size, struct lv_ref *ret_ref, void **ret_data)
    LV_MUST_CHECK;
/* The bytes, valid until the next append, release or unpin, which may move them, or until the last
 * holder lets go; lv_store_pin() keeps them in place for longer. */
const void *lv_store_view(struct lv_store *store, struct lv_ref ref);
/* `extra` holders more; every holder keeps the reference as it is after this. */
void lv_store_share(struct lv_store *store, struct lv_ref *ref, uint32_t extra);
/* One holder lets go. */
void lv_store_release(struct lv_store *store, struct lv_ref ref);

/* Keeps the message's bytes at their address until lv_store_unpin(page), whoever releases it. */
struct lv_page *lv_store_pin(struct lv_store *store, struct lv_ref ref);
/* Takes a page that lv_store_pin() gave; void *, so that it is an lv_out_release_fn. */
void lv_store_unpin(void *page);

/* Cheap: everything is counted as it happens. */
void lv_store_stats(const struct lv_store *store, struct lv_store_stats *ret_stats);
