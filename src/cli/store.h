/*
 * cli/store.h - what `leveret store check` and `leveret store dump` share: the files of a data
 * directory, looked at and never changed, and lines about them. Main thread.
 */
#pragma once

#include "base/json.h"
#include "cli/output.h"
#include "server/disk.h"
#include "store/checkpoint.h"

#define LV_INSPECT_ATTEMPTS 5u /* a broker may use files again while we look */

struct lv_inspect {
    const char *directory;            /* view */
    bool is_json;                     /*       lines are objects */
    bool is_first;                    /*       of the line's fields */
    struct lv_file_disk disk;         /*       read only */
    struct lv_output output;          /*       standard output */
    char (*names)[LV_DISK_NAME_SIZE]; /* own   of the directory's files, ascending */
    size_t name_count, name_room;
    struct lv_diag diag;
};

/* One of the two: 0, 1 when there is damage, or an error with its sentence in `diag`. */
int lv_inspect_check(struct lv_inspect *store) LV_MUST_CHECK;
/* Prints all records there are; damage is said on standard error and passed. */
int lv_inspect_dump(struct lv_inspect *store) LV_MUST_CHECK;

/* Reads the directory's names. */
int lv_inspect_list(struct lv_inspect *store) LV_MUST_CHECK;
/* The first shard from `shard` on that has a log or a checkpoint by their names. False: there is
 * none. */
bool lv_inspect_next_shard(const struct lv_inspect *store, uint32_t shard, uint32_t *ret_shard)
    LV_MUST_CHECK;

/* Called for a log file that is not used yet (-LV_E_NOT_FOUND) or whose head can't be read. */
typedef void lv_inspect_other_fn(void *ctx, const char *name, int rc, const char *sentence);
/* The shard's log files that have a sound head, ascending; `other`, which may be NULL, is told of
 * those that have none. Gives *ret_files, for lv_free(). */
int lv_inspect_heads(struct lv_inspect *store, uint32_t shard, struct lv_logfile **ret_files,
                     size_t *ret_count, lv_inspect_other_fn *other, void *ctx) LV_MUST_CHECK;

/* A line is begun, gets fields and is ended. As text it begins with `title` and shows strings as
 * JSON does, so that a line is a line. */
void lv_inspect_begin(struct lv_inspect *store, const char *title);
/* The line is printed. */
void lv_inspect_end(struct lv_inspect *store);
/* A field `name=value`; in JSON a number. */
void lv_inspect_number(struct lv_inspect *store, const char *name, uint64_t value);
/* A field whose value is written as JSON does, in both forms. */
void lv_inspect_string(struct lv_inspect *store, const char *name, struct lv_bytes value);
/* Bytes that are no text: base64. In JSON only. */
void lv_inspect_bytes(struct lv_inspect *store, const char *name, struct lv_bytes value);
/* The same with arguments or headers; nothing when there are none. */
void lv_inspect_table(struct lv_inspect *store, const char *name, const struct lv_table *table);
/* As text its name alone, or nothing. */
void lv_inspect_flag(struct lv_inspect *store, const char *name, bool value);
/* What lv_inspect_field() has begun goes on here. */
/* A field in pieces: its name now, then lv_inspect_json() for its value. */
void lv_inspect_field(struct lv_inspect *store, const char *name);
/* Words of a text line. */
void lv_inspect_words(struct lv_inspect *store, const char *words);
struct lv_json lv_inspect_json(struct lv_inspect *store);
