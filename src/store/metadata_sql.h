/*
 * store/metadata_sql.h - what the files that speak SQL share. Only they include it.
 */
#pragma once

#include "base/arena.h"
#include "store/metadata.h"

#include <sqlite3.h>

/* Every statement once; prepared when the file is opened. ?1, ?2, … are bound in order. */
#define LV_METADATA_STATEMENTS(X)                                                                  \
    X(BEGIN, "BEGIN IMMEDIATE")                                                                    \
    X(BEGIN_READ, "BEGIN")                                                                         \
    X(COMMIT, "COMMIT")                                                                            \
    X(ROLLBACK, "ROLLBACK")                                                                        \
    X(GET, "SELECT value, row_hash FROM settings WHERE name = ?")                                  \
    X(SET, "INSERT OR REPLACE INTO settings VALUES (?, ?, ?)")                                     \
    X(ADD_EXCHANGE,                                                                                \
      "INSERT INTO exchanges VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING")              \
    X(ADD_QUEUE, "INSERT INTO queues VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING")      \
    X(ADD_BINDING,                                                                                 \
      "INSERT INTO bindings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING")            \
    X(DELETE_EXCHANGE, "DELETE FROM exchanges WHERE vhost = ? AND name = ? RETURNING row_hash")    \
    X(DELETE_QUEUE, "DELETE FROM queues WHERE vhost = ?1 AND name = ?2 AND ?3 IN (0, id) "         \
                    "RETURNING row_hash")                                                          \
    X(DELETE_BINDING,                                                                              \
      "DELETE FROM bindings WHERE vhost = ? AND source = ? AND to_exchange = ? AND "               \
      "destination = ? AND routing_key = ? AND identity = ? RETURNING row_hash")                   \
    X(DELETE_FROM, "DELETE FROM bindings WHERE vhost = ? AND source = ? RETURNING row_hash")       \
    X(DELETE_TO, "DELETE FROM bindings WHERE vhost = ? AND to_exchange = ? AND destination = ? "   \
                 "RETURNING row_hash")                                                             \
    X(LOAD_EXCHANGES, "SELECT * FROM exchanges")                                                   \
    X(LOAD_QUEUES, "SELECT * FROM queues")                                                         \
    X(LOAD_BINDINGS, "SELECT * FROM bindings")                                                     \
    X(ADD_VHOST, "INSERT INTO vhosts VALUES (?, ?, ?, ?)")                                         \
    X(ADD_USER, "INSERT INTO users VALUES (?, ?, ?, ?)")                                           \
    X(ADD_PERMISSION, "INSERT INTO permissions VALUES (?, ?, ?, ?, ?)")                            \
    X(ADD_TOPIC_PERMISSION, "INSERT INTO topic_permissions VALUES (?, ?, ?, ?, ?, ?)")             \
    X(ADD_LIMITS, "INSERT INTO limits VALUES (?, ?, ?, ?, ?)")                                     \
    X(DELETE_VHOST, "DELETE FROM vhosts WHERE vhost = ? RETURNING row_hash")                       \
    X(DELETE_USER, "DELETE FROM users WHERE name = ? RETURNING row_hash")                          \
    X(DELETE_PERMISSION,                                                                           \
      "DELETE FROM permissions WHERE vhost = ? AND user = ? RETURNING row_hash")                   \
    X(DELETE_TOPIC_PERMISSION,                                                                     \
      "DELETE FROM topic_permissions WHERE vhost = ? AND user = ? AND exchange = ? "               \
      "RETURNING row_hash")                                                                        \
    X(DELETE_TOPIC_PERMISSIONS,                                                                    \
      "DELETE FROM topic_permissions WHERE vhost = ? AND user = ? RETURNING row_hash")             \
    X(DELETE_LIMITS, "DELETE FROM limits WHERE vhost = ? AND user = ? RETURNING row_hash")         \
    X(VHOST_EXCHANGES, "DELETE FROM exchanges WHERE vhost = ? RETURNING row_hash")                 \
    X(VHOST_QUEUES, "DELETE FROM queues WHERE vhost = ? RETURNING row_hash")                       \
    X(VHOST_BINDINGS, "DELETE FROM bindings WHERE vhost = ? RETURNING row_hash")                   \
    X(VHOST_PERMISSIONS, "DELETE FROM permissions WHERE vhost = ? RETURNING row_hash")             \
    X(VHOST_TOPIC_PERMISSIONS, "DELETE FROM topic_permissions WHERE vhost = ? RETURNING row_hash") \
    X(VHOST_LIMITS, "DELETE FROM limits WHERE vhost = ? RETURNING row_hash")                       \
    X(USER_PERMISSIONS, "DELETE FROM permissions WHERE user = ? RETURNING row_hash")               \
    X(USER_TOPIC_PERMISSIONS, "DELETE FROM topic_permissions WHERE user = ? RETURNING row_hash")   \
    X(USER_LIMITS, "DELETE FROM limits WHERE user = ? RETURNING row_hash")                         \
    X(LOAD_VHOSTS, "SELECT * FROM vhosts")                                                         \
    X(LOAD_USERS, "SELECT * FROM users")                                                           \
    X(LOAD_PERMISSIONS, "SELECT * FROM permissions")                                               \
    X(LOAD_TOPIC_PERMISSIONS, "SELECT * FROM topic_permissions")                                   \
    X(LOAD_LIMITS, "SELECT * FROM limits")

enum lv_metadata_statement {
#define LV_STATEMENT_CONSTANT(name, sql) LV_SQL_##name,
    LV_METADATA_STATEMENTS(LV_STATEMENT_CONSTANT)
#undef LV_STATEMENT_CONSTANT
        LV_SQL_COUNT
};

struct lv_metadata {
    sqlite3 *db;                            /* own */
    sqlite3_stmt *statements[LV_SQL_COUNT]; /* own */
    char *path;                             /* own */
    struct lv_arena arena;                  /* own   for one row at a time */
    uint8_t *json;                          /* own   text of a row's arguments */
    size_t json_size, json_capacity;
    bool json_failed;  /*       no memory for all of it */
    uint64_t sum;      /*       of the hashes of all rows */
    uint64_t kept_sum; /*       the same as the file has it */
};

/* What a statement is given, value by value; `rc` is SQLite's first error. */
struct lv_metadata_run {
    struct lv_metadata *metadata; /* view */
    sqlite3_stmt *statement;      /* view */
    int count;                    /*       values bound */
    int rc;
};

/* The statement must not be running. */
struct lv_metadata_run lv_metadata_run(struct lv_metadata *metadata,
                                       enum lv_metadata_statement statement);
void lv_metadata_bind_number(struct lv_metadata_run *run, uint64_t number);
/* Text when it is such, else a blob; the same bytes are always the same value. */
void lv_metadata_bind_name(struct lv_metadata_run *run, struct lv_bytes name);
/* Borrowed until the row is asked for; an empty one is a blob, too, and no null. */
void lv_metadata_bind_blob(struct lv_metadata_run *run, struct lv_bytes bytes);
/* What the row does not have. */
void lv_metadata_bind_null(struct lv_metadata_run *run);
/* True: there is a row; ask again for the next. False: it has ended or failed. */
bool lv_metadata_step(struct lv_metadata_run *run) LV_MUST_CHECK;
/* The statement can be used again; says what SQLite's error is for us. */
int lv_metadata_end(struct lv_metadata_run *run, struct lv_diag *diag) LV_MUST_CHECK;
/* For statements without values and rows. */
int lv_metadata_do(struct lv_metadata *metadata, enum lv_metadata_statement statement,
                   struct lv_diag *diag) LV_MUST_CHECK;

/* -LV_E_CORRUPT, with the file, what is wrong and what to do. */
int lv_metadata_damaged(const struct lv_metadata *metadata, struct lv_diag *diag, const char *what);
