/*
 * store/metadata.h - everything but messages on disk: a SQLite file.
 *
 * The truth is the log of shard 0; this file is what it adds up to, together with the LSN up to
 * which it has been applied, in one transaction. So start-up reads the file, then the log behind
 * that LSN; applying a change twice is harmless. Others may read the file with any SQLite tool
 * (WAL mode), so names and arguments are readable in it: arguments are JSON in one column and, for
 * what JSON can't say, our own encoding in another. Names that are not UTF-8, or that have a zero
 * byte, are blobs.
 *
 * SQLite notices a damaged structure, but not a bit that changed in a name. So each row has a hash
 * of what is in it, and their sum is kept beside the LSN: no row changes or vanishes unnoticed.
 * Only this program may write to the file.
 *
 * Functions block; a helper thread and start-up call them, never a shard. One thread at a time.
 */
#pragma once

#include "base/err.h"
#include "base/value.h"

#include <stdbool.h>

struct lv_metadata;

/* Part of a row's hash. */
enum lv_row_kind {
    LV_ROW_EXCHANGE,
    LV_ROW_QUEUE,
    LV_ROW_BINDING,
    LV_ROW_VHOST,
    LV_ROW_USER,
    LV_ROW_PERMISSION,
    LV_ROW_TOPIC_PERMISSION,
    LV_ROW_LIMITS,
    LV_ROW_COUNT
};

/* An object; all fields are views. */
struct lv_row {
    enum lv_row_kind kind;
    struct lv_bytes vhost;            /* of a user, and of a user's limits, empty */
    struct lv_bytes name;             /* exchange or queue; of a binding the target; else the user;
                                         of a vhost's limits empty */
    struct lv_bytes other;            /* exchange's type; of a binding the source; of a user the
                                         password's hash; of a topic permission the exchange */
    struct lv_bytes key;              /* binding's; of a user the tags */
    const struct lv_table *arguments; /* NULL: none */
    uint64_t queue_id;
    uint32_t home; /* queue's shard */
    bool auto_delete, internal;
    bool to_exchange; /* of a binding: the target is an exchange */
};

/* Opens or makes the file `metadata.sqlite` in the directory, for its owner only. -LV_E_CORRUPT:
 * SQLite says that it is damaged (the sentence has the file and what to do); -LV_E_VERSION: an
 * unknown layout. Every function that has `diag` may also say -LV_E_FULL, -LV_E_IO, -LV_E_NOMEM or
 * -LV_E_LOCKED: somebody else has kept writing to the file for a second. */
int lv_metadata_open(const char *directory, struct lv_metadata **ret_metadata, struct lv_diag *diag)
    LV_MUST_CHECK;
/* For checks of a directory that a broker may be using; changes and makes nothing when none does.
 * -LV_E_NOT_FOUND: there is no such file. */
int lv_metadata_open_read_only(const char *directory, struct lv_metadata **ret_metadata,
                               struct lv_diag *diag) LV_MUST_CHECK;
/* Takes NULL. */
void lv_metadata_close(struct lv_metadata *metadata);

/* Numbers of the directory, by name; 0 when never set. Setting one between begin and commit is part
 * of that transaction. */
int lv_metadata_get(struct lv_metadata *metadata, const char *name, uint64_t *ret_value,
                    struct lv_diag *diag) LV_MUST_CHECK;
/* Within a transaction. */
int lv_metadata_set(struct lv_metadata *metadata, const char *name, uint64_t value,
                    struct lv_diag *diag) LV_MUST_CHECK;

/* The plural that names its table. */
const char *lv_row_table(enum lv_row_kind kind);

/* Is the file whole as SQLite sees it? Slow: it reads all of it. -LV_E_CORRUPT: what is wrong. */
int lv_metadata_check(struct lv_metadata *metadata, struct lv_diag *diag) LV_MUST_CHECK;

/* Everything in the file as one moment had it, what others need before these: vhosts, users,
 * permissions, topic permissions, limits, exchanges, queues, bindings. Views are valid during the
 * call; not zero ends the walk with that result. -LV_E_CORRUPT: a row is not
 * as it was written, or rows are missing. */
typedef int lv_metadata_each_fn(void *ctx, const struct lv_row *row);
/* Shows every row; those that others depend on come first. */
int lv_metadata_load(struct lv_metadata *metadata, lv_metadata_each_fn *each, void *ctx,
                     struct lv_diag *diag) LV_MUST_CHECK;

/* Between these two everything is one transaction, which also notes the LSN and is on the disk when
 * commit says 0. After a failure, of commit too, lv_metadata_rollback() leaves the file as it was;
 * -LV_E_FULL and -LV_E_LOCKED may be tried again later. */
int lv_metadata_begin(struct lv_metadata *metadata, struct lv_diag *diag) LV_MUST_CHECK;
/* All since begin, and that the log up to `lsn` is in it, at once: it is on disk when this returns
 * 0. */
int lv_metadata_commit(struct lv_metadata *metadata, uint64_t lsn, struct lv_diag *diag)
    LV_MUST_CHECK;
void lv_metadata_rollback(struct lv_metadata *metadata);

/* An exchange, queue or binding that is there already stays as it is, id and home included, as a
 * declare in the broker leaves it; what is there of the other kinds is replaced. Bindings are told
 * from each other by all but the order and the widths in their arguments, as in the broker. In a
 * transaction only. */
int lv_metadata_add(struct lv_metadata *metadata, const struct lv_row *row, struct lv_diag *diag)
    LV_MUST_CHECK;
/* Deleting what isn't there is fine. Deleting a queue or an exchange deletes the bindings that
 * start or end at it, in a time that depends on their number only (a row's kind, vhost and name
 * suffice; for a binding all that tells it from others). A queue is only deleted when its id is
 * `queue_id` or that is 0. A vhost takes all along that is in it, a user his permissions and
 * limits; topic permissions go for all exchanges when `other` is empty. In a transaction only. */
int lv_metadata_delete(struct lv_metadata *metadata, const struct lv_row *row, struct lv_diag *diag)
    LV_MUST_CHECK;

/* All changes of the log below it are in the file. It is never less than the checkpoint's
 * `changes`: if it is, the end of SQLite's own write-ahead log was lost, which SQLite doesn't
 * tell. */
int lv_metadata_lsn(struct lv_metadata *metadata, uint64_t *ret_lsn, struct lv_diag *diag)
    LV_MUST_CHECK;
