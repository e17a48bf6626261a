#include "base/alloc.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/pack.h"
#include "store/canonical.h"
#include "store/metadata_sql.h"

#include <stdio.h>

/* ---- the tables ---- */

/* What a table's column has of a row; ARGUMENTS are two columns. */
enum column {
    COLUMN_END,
    COLUMN_VHOST,
    COLUMN_NAME,
    COLUMN_OTHER,
    COLUMN_KEY,
    COLUMN_ID,
    COLUMN_HOME,
    COLUMN_AUTO_DELETE,
    COLUMN_INTERNAL,
    COLUMN_TO_EXCHANGE,
    COLUMN_IDENTITY,
    COLUMN_ARGUMENTS
};
#define COLUMNS_MAX 8u

/* Of each kind: its columns in their order, those of the key first; behind them is the row's hash.
 */
static const struct table {
    const char *name;
    enum lv_metadata_statement add, delete, load;
    uint8_t keys; /* columns that a row is found by */
    bool is_replaced;
    uint8_t columns[COLUMNS_MAX];
} tables[] = {
    [LV_ROW_EXCHANGE] = {"exchanges",
                         LV_SQL_ADD_EXCHANGE,
                         LV_SQL_DELETE_EXCHANGE,
                         LV_SQL_LOAD_EXCHANGES,
                         2,
                         false,
                         {COLUMN_VHOST, COLUMN_NAME, COLUMN_OTHER, COLUMN_AUTO_DELETE,
                          COLUMN_INTERNAL, COLUMN_ARGUMENTS}},
    [LV_ROW_QUEUE] = {"queues",
                      LV_SQL_ADD_QUEUE,
                      LV_SQL_DELETE_QUEUE,
                      LV_SQL_LOAD_QUEUES,
                      3,
                      false,
                      {COLUMN_VHOST, COLUMN_NAME, COLUMN_ID, COLUMN_HOME, COLUMN_AUTO_DELETE,
                       COLUMN_ARGUMENTS}},
    [LV_ROW_BINDING] = {"bindings",
                        LV_SQL_ADD_BINDING,
                        LV_SQL_DELETE_BINDING,
                        LV_SQL_LOAD_BINDINGS,
                        6,
                        false,
                        {COLUMN_VHOST, COLUMN_OTHER, COLUMN_TO_EXCHANGE, COLUMN_NAME, COLUMN_KEY,
                         COLUMN_IDENTITY, COLUMN_ARGUMENTS}},
    [LV_ROW_VHOST] = {"vhosts",
                      LV_SQL_ADD_VHOST,
                      LV_SQL_DELETE_VHOST,
                      LV_SQL_LOAD_VHOSTS,
                      1,
                      true,
                      {COLUMN_VHOST, COLUMN_ARGUMENTS}},
    [LV_ROW_USER] = {"users",
                     LV_SQL_ADD_USER,
                     LV_SQL_DELETE_USER,
                     LV_SQL_LOAD_USERS,
                     1,
                     true,
                     {COLUMN_NAME, COLUMN_OTHER, COLUMN_KEY}},
    [LV_ROW_PERMISSION] = {"permissions",
                           LV_SQL_ADD_PERMISSION,
                           LV_SQL_DELETE_PERMISSION,
                           LV_SQL_LOAD_PERMISSIONS,
                           2,
                           true,
                           {COLUMN_VHOST, COLUMN_NAME, COLUMN_ARGUMENTS}},
    [LV_ROW_TOPIC_PERMISSION] = {"topic_permissions",
                                 LV_SQL_ADD_TOPIC_PERMISSION,
                                 LV_SQL_DELETE_TOPIC_PERMISSION,
                                 LV_SQL_LOAD_TOPIC_PERMISSIONS,
                                 3,
                                 true,
                                 {COLUMN_VHOST, COLUMN_NAME, COLUMN_OTHER, COLUMN_ARGUMENTS}},
    [LV_ROW_LIMITS] = {"limits",
                       LV_SQL_ADD_LIMITS,
                       LV_SQL_DELETE_LIMITS,
                       LV_SQL_LOAD_LIMITS,
                       2,
                       true,
                       {COLUMN_VHOST, COLUMN_NAME, COLUMN_ARGUMENTS}},
};
static_assert(LV_COUNT(tables) == LV_ROW_COUNT, "every kind has its table");

const char *lv_row_table(enum lv_row_kind kind)
{
    assert(kind < LV_ROW_COUNT);
    return tables[kind].name;
}

/* ---- what a row holds beside the names ---- */

/* Bytes of a row's arguments, in the arena. */
struct packed {
    struct lv_bytes identity;  /* bindings: what tells one from another */
    struct lv_bytes arguments; /* as they came; none: no arguments, or the same as the identity */
};

static uint64_t hash_bytes(uint64_t hash, struct lv_bytes bytes)
{
    assert(bytes.size == 0 || bytes.data != NULL);
    return lv_xxh3(bytes.data, bytes.size, hash);
}

/* Of all that is read back; field after field, each seeded with those before. */
static uint64_t row_hash(const struct lv_row *row, const struct packed *packed)
{
    uint64_t numbers[] = {
        row->kind,     row->kind == LV_ROW_QUEUE ? row->queue_id : 0,
        row->home,     row->auto_delete,
        row->internal, row->to_exchange,
    };
    uint64_t hash = lv_xxh3(numbers, sizeof numbers, 0);

    assert(row->kind < LV_ROW_COUNT);
    hash = hash_bytes(hash, row->vhost);
    hash = hash_bytes(hash, row->name);
    hash = hash_bytes(hash, row->other);
    hash = hash_bytes(hash, row->key);
    hash = hash_bytes(hash, packed->identity);
    return hash_bytes(hash, packed->arguments);
}

/* Flat: one line for each column. */
static void copy_column(struct lv_row *to, const struct lv_row *from, enum column column)
{
    switch (column) {
    case COLUMN_VHOST:
        to->vhost = from->vhost;
        break;
    case COLUMN_NAME:
        to->name = from->name;
        break;
    case COLUMN_OTHER:
        to->other = from->other;
        break;
    case COLUMN_KEY:
        to->key = from->key;
        break;
    case COLUMN_ID:
        to->queue_id = from->queue_id;
        break;
    case COLUMN_HOME:
        to->home = from->home;
        break;
    case COLUMN_AUTO_DELETE:
        to->auto_delete = from->auto_delete;
        break;
    case COLUMN_INTERNAL:
        to->internal = from->internal;
        break;
    case COLUMN_TO_EXCHANGE:
        to->to_exchange = from->to_exchange;
        break;
    case COLUMN_ARGUMENTS:
        to->arguments = from->arguments;
        break;
    case COLUMN_IDENTITY: /* follows from the arguments */
    case COLUMN_END:
        break;
    }
}

/* What a row of its kind does not have is not in its hash. */
static struct lv_row normal_row(const struct lv_row *row)
{
    struct lv_row normal = {.kind = row->kind};

    assert(row->vhost.size <= UINT8_MAX);
    assert(row->name.size <= UINT8_MAX);
    for (const uint8_t *column = tables[row->kind].columns; *column != COLUMN_END; column++)
        copy_column(&normal, row, (enum column) * column);
    if (normal.arguments != NULL && normal.arguments->count == 0)
        normal.arguments = NULL;
    return normal;
}

/* Most bindings have arguments that are canonical already: these are kept once. */
static int pack_arguments(struct lv_metadata *metadata, const struct lv_row *row,
                          struct packed *ret_packed)
{
    uint32_t size;
    uint8_t *bytes;

    assert(ret_packed != NULL);
    *ret_packed = (struct packed){.identity = lv_bytes(NULL, 0)};
    if (row->arguments == NULL)
        return 0;
    lv_arena_reset(&metadata->arena);
    size = lv_table_packed_size(row->arguments);
    bytes = lv_arena_alloc(&metadata->arena, size);
    if (bytes == NULL)
        return -LV_E_NOMEM;
    (void)lv_table_pack(row->arguments, bytes);
    ret_packed->arguments = lv_bytes(bytes, size);
    if (row->kind != LV_ROW_BINDING)
        return 0;
    if (lv_canonical_pack(row->arguments, &metadata->arena, &ret_packed->identity) < 0)
        return -LV_E_NOMEM;
    if (lv_bytes_equal(ret_packed->identity, ret_packed->arguments))
        ret_packed->arguments = lv_bytes(NULL, 0);
    return 0;
}

/* ---- arguments for people ---- */

/* Grows by doubling; a failure is remembered. */
static void put_json(void *ctx, struct lv_bytes bytes)
{
    struct lv_metadata *metadata = ctx;
    size_t capacity = metadata->json_capacity == 0 ? 256 : metadata->json_capacity;
    uint8_t *grown;

    assert(metadata->json_size <= metadata->json_capacity);
    while (capacity - metadata->json_size < bytes.size)
        capacity *= 2;
    if (capacity > metadata->json_capacity && !metadata->json_failed) {
        grown = lv_realloc(metadata->json, capacity);
        metadata->json_failed = grown == NULL;
        if (grown != NULL) {
            metadata->json = grown;
            metadata->json_capacity = capacity;
        }
    }
    if (metadata->json_failed)
        return;
    lv_put_bytes(metadata->json + metadata->json_size, bytes);
    metadata->json_size += bytes.size;
}

static int write_json(struct lv_metadata *metadata, const struct lv_table *arguments)
{
    struct lv_json json = {.put = put_json, .ctx = metadata};

    metadata->json_size = 0;
    metadata->json_failed = false;
    lv_json_table(&json, arguments);
    assert(metadata->json_failed || metadata->json_size >= 2);
    return metadata->json_failed ? -LV_E_NOMEM : 0;
}

/* ---- binding values ---- */

static void bind_arguments(struct lv_metadata_run *run, struct lv_bytes arguments)
{
    const struct lv_metadata *metadata = run->metadata;

    assert(metadata->json_size > 0);
    lv_metadata_bind_name(run, lv_bytes(metadata->json, metadata->json_size));
    if (arguments.size > 0)
        lv_metadata_bind_blob(run, arguments);
    else
        lv_metadata_bind_null(run);
}

static void bind_column(struct lv_metadata_run *run, const struct lv_row *row,
                        const struct packed *packed, enum column column)
{
    switch (column) {
    case COLUMN_VHOST:
        lv_metadata_bind_name(run, row->vhost);
        break;
    case COLUMN_NAME:
        lv_metadata_bind_name(run, row->name);
        break;
    case COLUMN_OTHER:
        lv_metadata_bind_name(run, row->other);
        break;
    case COLUMN_KEY:
        lv_metadata_bind_name(run, row->key);
        break;
    case COLUMN_ID:
        lv_metadata_bind_number(run, row->queue_id);
        break;
    case COLUMN_HOME:
        lv_metadata_bind_number(run, row->home);
        break;
    case COLUMN_AUTO_DELETE:
        lv_metadata_bind_number(run, row->auto_delete);
        break;
    case COLUMN_INTERNAL:
        lv_metadata_bind_number(run, row->internal);
        break;
    case COLUMN_TO_EXCHANGE:
        lv_metadata_bind_number(run, row->to_exchange);
        break;
    case COLUMN_IDENTITY:
        lv_metadata_bind_blob(run, packed->identity);
        break;
    case COLUMN_ARGUMENTS:
        bind_arguments(run, packed->arguments);
        break;
    case COLUMN_END:
        LV_IMPOSSIBLE("it ends the list");
    }
}

/* In the order of the table's columns. */
static struct lv_metadata_run bind_row(struct lv_metadata *metadata, const struct lv_row *row,
                                       const struct packed *packed)
{
    const struct table *table = &tables[row->kind];
    struct lv_metadata_run run = lv_metadata_run(metadata, table->add);

    assert(table->columns[COLUMNS_MAX - 1] == COLUMN_END);
    for (const uint8_t *column = table->columns; *column != COLUMN_END; column++)
        bind_column(&run, row, packed, (enum column) * column);
    return run;
}

/* ---- deleting ---- */

/* Each row that goes tells its hash. */
static int finish_delete(struct lv_metadata_run *run, uint64_t *ret_count, struct lv_diag *diag)
{
    uint64_t gone = 0;
    int rc;

    assert(ret_count != NULL);
    *ret_count = 0;
    while (lv_metadata_step(run)) {
        gone += (uint64_t)sqlite3_column_int64(run->statement, 0);
        (*ret_count)++;
    }
    rc = lv_metadata_end(run, diag);
    if (rc == 0)
        run->metadata->sum -= gone;
    return rc;
}

/* The row alone that has this key. */
static int delete_row(struct lv_metadata *metadata, const struct lv_row *row, uint64_t *ret_count,
                      struct lv_diag *diag)
{
    const struct table *table = &tables[row->kind];
    struct packed packed = {.arguments = lv_bytes(NULL, 0)};
    struct lv_metadata_run run;

    assert(table->keys < COLUMNS_MAX);
    lv_arena_reset(&metadata->arena);
    if (row->kind == LV_ROW_BINDING &&
        lv_canonical_pack(row->arguments, &metadata->arena, &packed.identity) < 0)
        return lv_fail(diag, -LV_E_NOMEM, "out of memory");
    run = lv_metadata_run(metadata, table->delete);
    for (unsigned i = 0; i < table->keys; i++)
        bind_column(&run, row, &packed, (enum column)table->columns[i]);
    return finish_delete(&run, ret_count, diag);
}

/* The exchange's own, then those that lead to it. */
static int delete_bindings_of(struct lv_metadata *metadata, const struct lv_row *row,
                              struct lv_diag *diag)
{
    bool is_exchange = row->kind == LV_ROW_EXCHANGE;
    struct lv_metadata_run run;
    uint64_t count;
    int rc = 0;

    assert(is_exchange || row->kind == LV_ROW_QUEUE);
    if (is_exchange) {
        run = lv_metadata_run(metadata, LV_SQL_DELETE_FROM);
        lv_metadata_bind_name(&run, row->vhost);
        lv_metadata_bind_name(&run, row->name);
        rc = finish_delete(&run, &count, diag);
    }
    if (rc < 0)
        return rc;
    run = lv_metadata_run(metadata, LV_SQL_DELETE_TO);
    lv_metadata_bind_name(&run, row->vhost);
    lv_metadata_bind_number(&run, is_exchange);
    lv_metadata_bind_name(&run, row->name);
    return finish_delete(&run, &count, diag);
}

/* What is in the vhost, or the user's. */
static int delete_within(struct lv_metadata *metadata, struct lv_bytes name,
                         enum lv_metadata_statement first, enum lv_metadata_statement last,
                         struct lv_diag *diag)
{
    uint64_t count;
    int rc = 0;

    assert(first <= last);
    for (int statement = (int)first; statement <= (int)last && rc == 0; statement++) {
        struct lv_metadata_run run =
            lv_metadata_run(metadata, (enum lv_metadata_statement)statement);
        lv_metadata_bind_name(&run, name);
        rc = finish_delete(&run, &count, diag);
    }
    return rc;
}

/* A row is gone: so is what cannot be without it. */
static int delete_dependents(struct lv_metadata *metadata, const struct lv_row *row,
                             struct lv_diag *diag)
{
    switch (row->kind) {
    case LV_ROW_EXCHANGE:
    case LV_ROW_QUEUE:
        return delete_bindings_of(metadata, row, diag);
    case LV_ROW_VHOST:
        return delete_within(metadata, row->vhost, LV_SQL_VHOST_EXCHANGES, LV_SQL_VHOST_LIMITS,
                             diag);
    case LV_ROW_USER:
        return delete_within(metadata, row->name, LV_SQL_USER_PERMISSIONS, LV_SQL_USER_LIMITS,
                             diag);
    default:
        return 0;
    }
}

/* Of one user in one vhost, for all exchanges. */
static int delete_topic_permissions(struct lv_metadata *metadata, const struct lv_row *row,
                                    struct lv_diag *diag)
{
    struct lv_metadata_run run = lv_metadata_run(metadata, LV_SQL_DELETE_TOPIC_PERMISSIONS);
    uint64_t count;

    assert(row->kind == LV_ROW_TOPIC_PERMISSION);
    lv_metadata_bind_name(&run, row->vhost);
    lv_metadata_bind_name(&run, row->name);
    return finish_delete(&run, &count, diag);
}

int lv_metadata_delete(struct lv_metadata *metadata, const struct lv_row *row, struct lv_diag *diag)
{
    uint64_t count = 0;
    int rc;

    assert(!sqlite3_get_autocommit(metadata->db));
    if (row->kind == LV_ROW_TOPIC_PERMISSION && row->other.size == 0)
        return delete_topic_permissions(metadata, row, diag);
    rc = delete_row(metadata, row, &count, diag);
    /* Without it there are no dependents either, and those of a namesake must stay. */
    return rc < 0 || count == 0 ? rc : delete_dependents(metadata, row, diag);
}

/* ---- adding ---- */

int lv_metadata_add(struct lv_metadata *metadata, const struct lv_row *row, struct lv_diag *diag)
{
    struct lv_row normal = normal_row(row);
    struct lv_metadata_run run;
    struct packed packed;
    uint64_t hash;
    bool has_row;
    int rc = 0;

    assert(!sqlite3_get_autocommit(metadata->db));
    assert(row->kind != LV_ROW_QUEUE || row->queue_id != 0);
    if (tables[row->kind].is_replaced)
        rc = delete_row(metadata, &normal, &hash, diag);
    if (rc < 0)
        return rc;
    if (pack_arguments(metadata, &normal, &packed) < 0 ||
        write_json(metadata, normal.arguments) < 0)
        return lv_fail(diag, -LV_E_NOMEM, "out of memory");
    hash = row_hash(&normal, &packed);
    run = bind_row(metadata, &normal, &packed);
    lv_metadata_bind_number(&run, hash);
    has_row = lv_metadata_step(&run);
    assert(!has_row);
    (void)has_row;
    rc = lv_metadata_end(&run, diag);
    if (rc == 0 && sqlite3_changes(metadata->db) == 1)
        metadata->sum += hash;
    return rc;
}

/* ---- loading ---- */

struct load {
    struct lv_metadata *metadata; /* view */
    lv_metadata_each_fn *each;
    void *ctx;            /* view */
    uint64_t sum;         /*       of the rows seen */
    struct lv_diag *diag; /* view */
};

/* Text and blobs alike, as they lie. */
static struct lv_bytes bytes_at(sqlite3_stmt *statement, int index)
{
    const void *data = sqlite3_column_blob(statement, index);

    assert(index < sqlite3_column_count(statement));
    return lv_bytes(data, (size_t)sqlite3_column_bytes(statement, index));
}

static uint64_t number_at(sqlite3_stmt *statement, int index)
{
    assert(index < sqlite3_column_count(statement));
    return (uint64_t)sqlite3_column_int64(statement, index);
}

/* The values at `index`, and behind it the arguments' own. */
static void read_column(sqlite3_stmt *s, int index, enum column column, struct lv_row *row,
                        struct packed *packed)
{
    switch (column) {
    case COLUMN_VHOST:
        row->vhost = bytes_at(s, index);
        break;
    case COLUMN_NAME:
        row->name = bytes_at(s, index);
        break;
    case COLUMN_OTHER:
        row->other = bytes_at(s, index);
        break;
    case COLUMN_KEY:
        row->key = bytes_at(s, index);
        break;
    case COLUMN_ID:
        row->queue_id = number_at(s, index);
        break;
    case COLUMN_HOME:
        row->home = (uint32_t)number_at(s, index);
        break;
    case COLUMN_AUTO_DELETE:
        row->auto_delete = number_at(s, index) != 0;
        break;
    case COLUMN_INTERNAL:
        row->internal = number_at(s, index) != 0;
        break;
    case COLUMN_TO_EXCHANGE:
        row->to_exchange = number_at(s, index) != 0;
        break;
    case COLUMN_IDENTITY:
        packed->identity = bytes_at(s, index);
        break;
    case COLUMN_ARGUMENTS:
        packed->arguments = bytes_at(s, index + 1);
        break;
    case COLUMN_END:
        LV_IMPOSSIBLE("it ends the list");
    }
}

/* The row's values in the order of the table's columns; `ret_packed` gets the arguments. */
static struct lv_row read_row(sqlite3_stmt *s, enum lv_row_kind kind, struct packed *ret_packed)
{
    struct lv_row row = {.kind = kind};
    int index = 0;

    assert(ret_packed != NULL);
    *ret_packed = (struct packed){.arguments = lv_bytes(NULL, 0)};
    for (const uint8_t *column = tables[kind].columns; *column != COLUMN_END; column++)
        read_column(s, index++, (enum column) * column, &row, ret_packed);
    return row;
}

static int unpack_arguments(struct load *load, const struct packed *packed, struct lv_row *row)
{
    bool has_own = packed->arguments.size > 0;
    struct lv_table *table = NULL;
    int rc;

    assert(row->arguments == NULL);
    if (!has_own && packed->identity.size == 0)
        return 0;
    lv_arena_reset(&load->metadata->arena);
    rc = lv_table_unpack(has_own ? packed->arguments : packed->identity, &load->metadata->arena,
                         &table);
    row->arguments = table;
    if (rc == -LV_E_NOMEM)
        return lv_fail(load->diag, rc, "out of memory");
    return rc < 0 ? lv_metadata_damaged(load->metadata, load->diag, "arguments cannot be read") : 0;
}

/* Which row it is helps to find it in a copy. */
static int bad_row(const struct load *load, const struct lv_row *row)
{
    struct lv_bytes name = row->kind == LV_ROW_VHOST ? row->vhost : row->name;
    char what[200];

    assert(row->kind < LV_ROW_COUNT);
    (void)snprintf(what, sizeof what, "the row of '%.*s' in the table %s is not as it was written",
                   (int)(name.size < 100 ? name.size : 100), (const char *)name.data,
                   tables[row->kind].name);
    return lv_metadata_damaged(load->metadata, load->diag, what);
}

static int load_row(struct load *load, sqlite3_stmt *statement, enum lv_row_kind kind)
{
    struct packed packed;
    struct lv_row row = read_row(statement, kind, &packed);
    uint64_t hash = row_hash(&row, &packed);
    int rc;

    assert(load->each != NULL);
    if (hash != number_at(statement, sqlite3_column_count(statement) - 1))
        return bad_row(load, &row);
    load->sum += hash;
    rc = unpack_arguments(load, &packed, &row);
    return rc < 0 ? rc : load->each(load->ctx, &row);
}

static int load_table(struct load *load, enum lv_row_kind kind)
{
    struct lv_metadata_run run = lv_metadata_run(load->metadata, tables[kind].load);
    int rc = 0, ended;

    while (rc == 0 && lv_metadata_step(&run))
        rc = load_row(load, run.statement, kind);
    ended = lv_metadata_end(&run, rc == 0 ? load->diag : NULL);
    assert(kind < LV_ROW_COUNT);
    return rc != 0 ? rc : ended;
}

int lv_metadata_load(struct lv_metadata *metadata, lv_metadata_each_fn *each, void *ctx,
                     struct lv_diag *diag)
{
    /* What others name comes first. */
    static const enum lv_row_kind order[] = {
        LV_ROW_VHOST,  LV_ROW_USER,     LV_ROW_PERMISSION, LV_ROW_TOPIC_PERMISSION,
        LV_ROW_LIMITS, LV_ROW_EXCHANGE, LV_ROW_QUEUE,      LV_ROW_BINDING,
    };
    struct load load = {.metadata = metadata, .each = each, .ctx = ctx, .diag = diag};
    uint64_t sum = 0;
    int rc = lv_metadata_do(metadata, LV_SQL_BEGIN_READ, diag);

    assert(each != NULL);
    if (rc < 0)
        return rc;
    rc = lv_metadata_get(metadata, "rows_sum", &sum, diag);
    static_assert(LV_COUNT(order) == LV_ROW_COUNT, "every table is loaded");
    for (size_t i = 0; i < LV_COUNT(order) && rc == 0; i++)
        rc = load_table(&load, order[i]);
    if (rc == 0 && load.sum != sum)
        rc = lv_metadata_damaged(metadata, diag, "rows are missing");
    lv_metadata_rollback(metadata); /* nothing was written */
    return rc;
}
