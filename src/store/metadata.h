/*
 * store/metadata.h - exchanges, queues and bindings on disk: a SQLite file.
 *
 * The truth is the log of shard 0; this file is what it adds up to, together with the LSN up to
 * which it has been applied, in one transaction. So start-up reads the file, then the log behind
 * that LSN; applying a change twice is harmless. Others may read the file with any SQLite tool
 * (WAL mode), so names and arguments are readable in it: arguments are JSON in one column and, for
 * what JSON can't say, our own encoding in another.
 *
 * Functions block; a helper thread and start-up call them, never a shard. One thread at a time.
 */
#pragma once

#include "base/err.h"
#include "base/value.h"

#include <stdbool.h>

struct lv_metadata;

enum lv_row_kind { LV_ROW_EXCHANGE, LV_ROW_QUEUE, LV_ROW_BINDING };

/* An object; all fields are views. */
struct lv_row {
    enum lv_row_kind kind;
    struct lv_bytes vhost;
    struct lv_bytes name;             /* exchange or queue; of a binding the target */
    struct lv_bytes other;            /* exchange's type; of a binding the source */
    struct lv_bytes key;              /* binding */
    const struct lv_table *arguments; /* NULL: none */
    uint64_t queue_id;
    uint32_t home; /* queue's shard */
    bool auto_delete, internal;
    bool to_exchange; /* of a binding: the target is an exchange */
};

/* Opens or makes the file `metadata.sqlite` in the directory. -LV_E_CORRUPT: SQLite says that it is
 * damaged (the sentence has the file and what to do); -LV_E_VERSION: an unknown layout. */
int lv_metadata_open(const char *directory, struct lv_metadata **ret_metadata, struct lv_diag *diag)
    LV_MUST_CHECK;
/* For checks of a directory that a broker may be using. */
int lv_metadata_open_read_only(const char *directory, struct lv_metadata **ret_metadata,
                               struct lv_diag *diag) LV_MUST_CHECK;
void lv_metadata_close(struct lv_metadata *metadata);

/* Settings of the directory that may not change between runs, by name; 0 when never set. */
int lv_metadata_get(struct lv_metadata *metadata, const char *name, uint64_t *ret_value,
                    struct lv_diag *diag) LV_MUST_CHECK;
int lv_metadata_set(struct lv_metadata *metadata, const char *name, uint64_t value,
                    struct lv_diag *diag) LV_MUST_CHECK;

/* A row of SQLite's own for each object: exchanges first, then queues, then bindings. */
typedef int lv_metadata_each_fn(void *ctx, const struct lv_row *row);
int lv_metadata_load(struct lv_metadata *metadata, lv_metadata_each_fn *each, void *ctx,
                     struct lv_diag *diag) LV_MUST_CHECK;

/* Between these two everything is one transaction, which also notes the LSN. A failed one leaves
 * the file as it was; -LV_E_FULL may be tried again later. */
int lv_metadata_begin(struct lv_metadata *metadata, struct lv_diag *diag) LV_MUST_CHECK;
int lv_metadata_commit(struct lv_metadata *metadata, uint64_t lsn, struct lv_diag *diag)
    LV_MUST_CHECK;
void lv_metadata_rollback(struct lv_metadata *metadata);

/* Puts or replaces; deleting what isn't there is fine. Deleting a queue or an exchange deletes the
 * bindings that start or end at it (a row's kind, vhost and name suffice; for a binding all that
 * tells it from others). Auto-delete exchanges that this leaves without bindings are the caller's
 * to delete. A queue is only deleted when its id is `queue_id` or that is 0. */
int lv_metadata_put(struct lv_metadata *metadata, const struct lv_row *row, struct lv_diag *diag)
    LV_MUST_CHECK;
int lv_metadata_delete(struct lv_metadata *metadata, const struct lv_row *row, struct lv_diag *diag)
    LV_MUST_CHECK;

/* All changes of the log below it are in the file. */
int lv_metadata_lsn(struct lv_metadata *metadata, uint64_t *ret_lsn, struct lv_diag *diag)
    LV_MUST_CHECK;
