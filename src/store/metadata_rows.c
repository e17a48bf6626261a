#include "base/alloc.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/pack.h"
#include "store/canonical.h"
#include "store/metadata_sql.h"

#include <stdio.h>

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

    assert(row->kind <= LV_ROW_BINDING);
    hash = hash_bytes(hash, row->vhost);
    hash = hash_bytes(hash, row->name);
    hash = hash_bytes(hash, row->other);
    hash = hash_bytes(hash, row->key);
    hash = hash_bytes(hash, packed->identity);
    return hash_bytes(hash, packed->arguments);
}

/* What a row of its kind does not have is not in its hash. */
static struct lv_row normal_row(const struct lv_row *row)
{
    struct lv_row normal = {.kind = row->kind, .vhost = row->vhost, .name = row->name};

    assert(row->vhost.size <= UINT8_MAX);
    assert(row->name.size <= UINT8_MAX);
    switch (row->kind) {
    case LV_ROW_EXCHANGE:
        normal.other = row->other;
        normal.auto_delete = row->auto_delete;
        normal.internal = row->internal;
        break;
    case LV_ROW_QUEUE:
        normal.queue_id = row->queue_id;
        normal.home = row->home;
        normal.auto_delete = row->auto_delete;
        break;
    case LV_ROW_BINDING:
        normal.other = row->other;
        normal.key = row->key;
        normal.to_exchange = row->to_exchange;
        break;
    }
    normal.arguments = row->arguments != NULL && row->arguments->count > 0 ? row->arguments : NULL;
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

/* ---- adding ---- */

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

/* In the order of the table's columns. */
static struct lv_metadata_run bind_row(struct lv_metadata *metadata, const struct lv_row *row,
                                       const struct packed *packed)
{
    static const enum lv_metadata_statement adds[] = {
        [LV_ROW_EXCHANGE] = LV_SQL_ADD_EXCHANGE,
        [LV_ROW_QUEUE] = LV_SQL_ADD_QUEUE,
        [LV_ROW_BINDING] = LV_SQL_ADD_BINDING,
    };
    struct lv_metadata_run run = lv_metadata_run(metadata, adds[row->kind]);

    lv_metadata_bind_name(&run, row->vhost);
    switch (row->kind) {
    case LV_ROW_EXCHANGE:
        lv_metadata_bind_name(&run, row->name);
        lv_metadata_bind_name(&run, row->other);
        lv_metadata_bind_number(&run, row->auto_delete);
        lv_metadata_bind_number(&run, row->internal);
        break;
    case LV_ROW_QUEUE:
        lv_metadata_bind_name(&run, row->name);
        lv_metadata_bind_number(&run, row->queue_id);
        lv_metadata_bind_number(&run, row->home);
        lv_metadata_bind_number(&run, row->auto_delete);
        break;
    case LV_ROW_BINDING:
        lv_metadata_bind_name(&run, row->other);
        lv_metadata_bind_number(&run, row->to_exchange);
        lv_metadata_bind_name(&run, row->name);
        lv_metadata_bind_name(&run, row->key);
        lv_metadata_bind_blob(&run, packed->identity);
        break;
    }
    bind_arguments(&run, packed->arguments);
    return run;
}

int lv_metadata_add(struct lv_metadata *metadata, const struct lv_row *row, struct lv_diag *diag)
{
    struct lv_row normal = normal_row(row);
    struct lv_metadata_run run;
    struct packed packed;
    uint64_t hash;
    bool has_row;
    int rc;

    assert(!sqlite3_get_autocommit(metadata->db));
    assert(row->kind != LV_ROW_QUEUE || row->queue_id != 0);
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

static int delete_binding(struct lv_metadata *metadata, const struct lv_row *row,
                          struct lv_diag *diag)
{
    struct lv_metadata_run run;
    struct lv_bytes identity;
    uint64_t count;

    assert(row->kind == LV_ROW_BINDING);
    lv_arena_reset(&metadata->arena);
    if (lv_canonical_pack(row->arguments, &metadata->arena, &identity) < 0)
        return lv_fail(diag, -LV_E_NOMEM, "out of memory");
    run = lv_metadata_run(metadata, LV_SQL_DELETE_BINDING);
    lv_metadata_bind_name(&run, row->vhost);
    lv_metadata_bind_name(&run, row->other);
    lv_metadata_bind_number(&run, row->to_exchange);
    lv_metadata_bind_name(&run, row->name);
    lv_metadata_bind_name(&run, row->key);
    lv_metadata_bind_blob(&run, identity);
    return finish_delete(&run, &count, diag);
}

/* The exchange's own, then those that lead to it. */
static int delete_bindings_of(struct lv_metadata *metadata, const struct lv_row *row,
                              struct lv_diag *diag)
{
    bool is_exchange = row->kind == LV_ROW_EXCHANGE;
    struct lv_metadata_run run;
    uint64_t count;
    int rc = 0;

    assert(row->kind != LV_ROW_BINDING);
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

int lv_metadata_delete(struct lv_metadata *metadata, const struct lv_row *row, struct lv_diag *diag)
{
    bool is_queue = row->kind == LV_ROW_QUEUE;
    struct lv_metadata_run run;
    uint64_t count;
    int rc;

    assert(!sqlite3_get_autocommit(metadata->db));
    if (row->kind == LV_ROW_BINDING)
        return delete_binding(metadata, row, diag);
    run = lv_metadata_run(metadata, is_queue ? LV_SQL_DELETE_QUEUE : LV_SQL_DELETE_EXCHANGE);
    lv_metadata_bind_name(&run, row->vhost);
    lv_metadata_bind_name(&run, row->name);
    if (is_queue)
        lv_metadata_bind_number(&run, row->queue_id);
    rc = finish_delete(&run, &count, diag);
    /* Without it there are no bindings either, and those of a namesake must stay. */
    return rc < 0 || count == 0 ? rc : delete_bindings_of(metadata, row, diag);
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
static struct lv_bytes column(sqlite3_stmt *statement, int index)
{
    const void *data = sqlite3_column_blob(statement, index);

    assert(index < sqlite3_column_count(statement));
    return lv_bytes(data, (size_t)sqlite3_column_bytes(statement, index));
}

static uint64_t number(sqlite3_stmt *statement, int index)
{
    assert(index < sqlite3_column_count(statement));
    return (uint64_t)sqlite3_column_int64(statement, index);
}

/* The row's values in the order of the table's columns; `ret_packed` gets the arguments. */
static struct lv_row read_row(sqlite3_stmt *s, enum lv_row_kind kind, struct packed *ret_packed)
{
    struct lv_row row = {.kind = kind, .vhost = column(s, 0)};

    assert(ret_packed != NULL);
    *ret_packed = (struct packed){.arguments = column(s, kind == LV_ROW_BINDING ? 7 : 6)};
    switch (kind) {
    case LV_ROW_EXCHANGE:
        row.name = column(s, 1);
        row.other = column(s, 2);
        row.auto_delete = number(s, 3) != 0;
        row.internal = number(s, 4) != 0;
        break;
    case LV_ROW_QUEUE:
        row.name = column(s, 1);
        row.queue_id = number(s, 2);
        row.home = (uint32_t)number(s, 3);
        row.auto_delete = number(s, 4) != 0;
        break;
    case LV_ROW_BINDING:
        row.other = column(s, 1);
        row.to_exchange = number(s, 2) != 0;
        row.name = column(s, 3);
        row.key = column(s, 4);
        ret_packed->identity = column(s, 5);
        break;
    }
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
    static const char *const tables[] = {"exchanges", "queues", "bindings"};
    char what[200];

    assert(row->kind < LV_COUNT(tables));
    (void)snprintf(what, sizeof what, "the row of '%.*s' in the table %s is not as it was written",
                   (int)(row->name.size < 100 ? row->name.size : 100), (const char *)row->name.data,
                   tables[row->kind]);
    return lv_metadata_damaged(load->metadata, load->diag, what);
}

static int load_row(struct load *load, sqlite3_stmt *statement, enum lv_row_kind kind)
{
    struct packed packed;
    struct lv_row row = read_row(statement, kind, &packed);
    uint64_t hash = row_hash(&row, &packed);
    int rc;

    assert(load->each != NULL);
    if (hash != number(statement, sqlite3_column_count(statement) - 1))
        return bad_row(load, &row);
    load->sum += hash;
    rc = unpack_arguments(load, &packed, &row);
    return rc < 0 ? rc : load->each(load->ctx, &row);
}

static int load_table(struct load *load, enum lv_row_kind kind)
{
    static const enum lv_metadata_statement loads[] = {
        [LV_ROW_EXCHANGE] = LV_SQL_LOAD_EXCHANGES,
        [LV_ROW_QUEUE] = LV_SQL_LOAD_QUEUES,
        [LV_ROW_BINDING] = LV_SQL_LOAD_BINDINGS,
    };
    struct lv_metadata_run run = lv_metadata_run(load->metadata, loads[kind]);
    int rc = 0, ended;

    while (rc == 0 && lv_metadata_step(&run))
        rc = load_row(load, run.statement, kind);
    ended = lv_metadata_end(&run, rc == 0 ? load->diag : NULL);
    assert(kind <= LV_ROW_BINDING);
    return rc != 0 ? rc : ended;
}

int lv_metadata_load(struct lv_metadata *metadata, lv_metadata_each_fn *each, void *ctx,
                     struct lv_diag *diag)
{
    struct load load = {.metadata = metadata, .each = each, .ctx = ctx, .diag = diag};
    uint64_t sum = 0;
    int rc = lv_metadata_do(metadata, LV_SQL_BEGIN_READ, diag);

    assert(each != NULL);
    if (rc < 0)
        return rc;
    rc = lv_metadata_get(metadata, "rows_sum", &sum, diag);
    for (int kind = LV_ROW_EXCHANGE; kind <= LV_ROW_BINDING && rc == 0; kind++)
        rc = load_table(&load, (enum lv_row_kind)kind);
    if (rc == 0 && load.sum != sum)
        rc = lv_metadata_damaged(metadata, diag, "rows are missing");
    lv_metadata_rollback(metadata); /* nothing was written */
    return rc;
}
