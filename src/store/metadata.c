#include "store/metadata.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/utf8.h"
#include "store/metadata_sql.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#define FILE_NAME      "metadata.sqlite"
#define LAYOUT         2u
#define APPLICATION_ID 0x4C564D44u /* "LVMD": what `file` and other tools tell files apart by */
#define BUSY_MS        1000
/* Bytes that one row's arguments may need while they are packed and unpacked. */
#define ARENA_SIZE ((size_t)256 << 20)

static const char *const sql[LV_SQL_COUNT] = {
#define STATEMENT_TEXT(name, text) [LV_SQL_##name] = (text),
    LV_METADATA_STATEMENTS(STATEMENT_TEXT)
#undef STATEMENT_TEXT
};

/* The primary keys are all that objects are found by; bindings are also found by where they end. */
static const char schema[] =
    "BEGIN IMMEDIATE;"
    "CREATE TABLE settings (name TEXT PRIMARY KEY, value INTEGER NOT NULL,"
    " row_hash INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE vhosts (vhost TEXT PRIMARY KEY, arguments_json TEXT NOT NULL, arguments BLOB,"
    " row_hash INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE users (name TEXT PRIMARY KEY, password_hash TEXT NOT NULL, tags TEXT NOT NULL,"
    " row_hash INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE permissions (vhost TEXT, user TEXT, arguments_json TEXT NOT NULL,"
    " arguments BLOB, row_hash INTEGER NOT NULL, PRIMARY KEY (vhost, user)) WITHOUT ROWID;"
    "CREATE TABLE topic_permissions (vhost TEXT, user TEXT, exchange TEXT,"
    " arguments_json TEXT NOT NULL, arguments BLOB, row_hash INTEGER NOT NULL,"
    " PRIMARY KEY (vhost, user, exchange)) WITHOUT ROWID;"
    "CREATE TABLE limits (vhost TEXT, user TEXT, arguments_json TEXT NOT NULL, arguments BLOB,"
    " row_hash INTEGER NOT NULL, PRIMARY KEY (vhost, user)) WITHOUT ROWID;"
    "CREATE TABLE exchanges (vhost TEXT, name TEXT, type TEXT NOT NULL,"
    " auto_delete INTEGER NOT NULL, internal INTEGER NOT NULL,"
    " arguments_json TEXT NOT NULL, arguments BLOB,"
    " row_hash INTEGER NOT NULL, PRIMARY KEY (vhost, name)) WITHOUT ROWID;"
    "CREATE TABLE queues (vhost TEXT, name TEXT, id INTEGER NOT NULL, home INTEGER NOT NULL,"
    " auto_delete INTEGER NOT NULL, arguments_json TEXT NOT NULL, arguments BLOB,"
    " row_hash INTEGER NOT NULL, PRIMARY KEY (vhost, name)) WITHOUT ROWID;"
    "CREATE TABLE bindings (vhost TEXT, source TEXT, to_exchange INTEGER, destination TEXT,"
    " routing_key TEXT, identity BLOB, arguments_json TEXT NOT NULL, arguments BLOB,"
    " row_hash INTEGER NOT NULL,"
    " PRIMARY KEY (vhost, source, to_exchange, destination, routing_key, identity)) WITHOUT ROWID;"
    "CREATE INDEX bindings_by_destination ON bindings (vhost, to_exchange, destination);"
    "PRAGMA application_id = 1280724292;"
    "PRAGMA user_version = 2;"
    "COMMIT";
static_assert(APPLICATION_ID == 1280724292u && LAYOUT == 2, "as the schema has them");

/* synchronous=FULL: log files are used again on the strength of a commit, so it may not be lost.
 * With NORMAL, SQLite syncs the write-ahead log at checkpoints only. A write-ahead log of 16 MiB
 * takes changes all over a large file twice as fast as one of 4 MiB; a larger cache brings nothing.
 */
static const char tuning[] = "PRAGMA synchronous = FULL;"
                             "PRAGMA cache_size = -8192;"
                             "PRAGMA wal_autocheckpoint = 4000;"
                             "PRAGMA journal_size_limit = 16777216;"
                             "PRAGMA cell_size_check = ON;"
                             "PRAGMA trusted_schema = OFF;"
                             "PRAGMA temp_store = MEMORY";

/* ---- errors ---- */

int lv_metadata_damaged(const struct lv_metadata *metadata, struct lv_diag *diag, const char *what)
{
    assert(metadata->path != NULL);
    return lv_fail(diag, -LV_E_CORRUPT,
                   "%s is damaged: %s. Put back a copy of the whole data directory; "
                   "`sqlite3 FILE .dump` shows what can still be read",
                   metadata->path, what);
}

/* SQLite takes ENOSPC alone for a full disk; a quota and a limit on the size of files are others.
 */
static bool is_full(int rc, int os_error)
{
    if ((rc & 0xff) == SQLITE_FULL)
        return true;
    return ((rc & 0xff) == SQLITE_IOERR || (rc & 0xff) == SQLITE_CANTOPEN) &&
           (os_error == ENOSPC || os_error == EDQUOT || os_error == EFBIG);
}

/* Directly behind a call of SQLite that failed, before which errno was 0: its own record of the
 * system's error has nothing when a commit fails. Its own words are for the sentence. */
static int failure(const struct lv_metadata *metadata, int rc, struct lv_diag *diag)
{
    int os_error = errno;
    const char *words = metadata->db != NULL ? sqlite3_errmsg(metadata->db) : sqlite3_errstr(rc);

    assert((rc & 0xff) != SQLITE_OK);
    assert((rc & 0xff) != SQLITE_ROW);
    assert((rc & 0xff) != SQLITE_DONE);
    if (is_full(rc, os_error))
        return lv_fail(diag, -LV_E_FULL, "no space left to write %s", metadata->path);
    switch (rc & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return lv_metadata_damaged(metadata, diag, words);
    case SQLITE_NOMEM:
        return lv_fail(diag, -LV_E_NOMEM, "out of memory");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return lv_fail(diag, -LV_E_LOCKED, "another program keeps writing to %s", metadata->path);
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return lv_fail(diag, -LV_E_IO, "%s: %s (%d, %s)", metadata->path, words, rc,
                       os_error != 0 ? strerror(os_error) : "no error of the system");
    default:
        return lv_fail(diag, -LV_E_INTERNAL, "%s: %s (%d)", metadata->path, words, rc);
    }
}

/* ---- running statements ---- */

struct lv_metadata_run lv_metadata_run(struct lv_metadata *metadata,
                                       enum lv_metadata_statement statement)
{
    assert(statement < LV_SQL_COUNT);
    assert(!sqlite3_stmt_busy(metadata->statements[statement]));
    return (struct lv_metadata_run){
        .metadata = metadata, .statement = metadata->statements[statement], .rc = SQLITE_OK};
}

/* Numbers above 2^63 are negative there, and come back as they went. */
void lv_metadata_bind_number(struct lv_metadata_run *run, uint64_t number)
{
    assert(run->count < sqlite3_bind_parameter_count(run->statement));
    if (run->rc == SQLITE_OK)
        run->rc = sqlite3_bind_int64(run->statement, ++run->count, (sqlite3_int64)number);
}

void lv_metadata_bind_blob(struct lv_metadata_run *run, struct lv_bytes bytes)
{
    const void *data = bytes.size > 0 ? (const void *)bytes.data : "";

    assert(bytes.size <= INT_MAX);
    if (run->rc == SQLITE_OK) /* NULL would be SQL's NULL */
        run->rc =
            sqlite3_bind_blob(run->statement, ++run->count, data, (int)bytes.size, SQLITE_STATIC);
}

void lv_metadata_bind_name(struct lv_metadata_run *run, struct lv_bytes name)
{
    const char *text = name.size > 0 ? (const char *)name.data : "";

    assert(name.size <= INT_MAX);
    if (!lv_utf8_is_valid(name) || memchr(text, 0, name.size) != NULL)
        lv_metadata_bind_blob(run, name);
    else if (run->rc == SQLITE_OK)
        run->rc =
            sqlite3_bind_text(run->statement, ++run->count, text, (int)name.size, SQLITE_STATIC);
}

void lv_metadata_bind_null(struct lv_metadata_run *run)
{
    assert(run->statement != NULL);
    if (run->rc == SQLITE_OK)
        run->rc = sqlite3_bind_null(run->statement, ++run->count);
}

bool lv_metadata_step(struct lv_metadata_run *run)
{
    assert(run->count == sqlite3_bind_parameter_count(run->statement) || run->rc != SQLITE_OK);
    errno = 0;
    if (run->rc == SQLITE_OK || run->rc == SQLITE_ROW)
        run->rc = sqlite3_step(run->statement);
    return run->rc == SQLITE_ROW;
}

int lv_metadata_end(struct lv_metadata_run *run, struct lv_diag *diag)
{
    bool well = run->rc == SQLITE_OK || run->rc == SQLITE_ROW || run->rc == SQLITE_DONE;
    int rc = well ? 0 : failure(run->metadata, sqlite3_extended_errcode(run->metadata->db), diag);

    assert(run->statement != NULL);
    (void)sqlite3_reset(run->statement); /* repeats the error */
    return rc;
}

int lv_metadata_do(struct lv_metadata *metadata, enum lv_metadata_statement statement,
                   struct lv_diag *diag)
{
    struct lv_metadata_run run = lv_metadata_run(metadata, statement);
    bool has_row = lv_metadata_step(&run);

    assert(!has_row);
    (void)has_row;
    return lv_metadata_end(&run, diag);
}

/* ---- opening ---- */

/* SQLite would make it with the process's mask, for others to read. The name is synced with the
 * directory, since SQLite does that for its own new files only. */
static int make_file(const char *directory, const char *path, struct lv_diag *diag)
{
    int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int rc = 0;

    assert(directory != NULL);
    if (file < 0 && errno == EEXIST)
        return 0;
    if (file >= 0) {
        (void)close(file);
        file = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (file >= 0)
            rc = fsync(file);
    }
    if (file < 0 || rc < 0)
        rc = lv_fail(diag, errno == ENOSPC || errno == EDQUOT ? -LV_E_FULL : -LV_E_IO,
                     "cannot make %s: %s", path, strerror(errno));
    if (file >= 0)
        (void)close(file);
    return rc;
}

static int execute(struct lv_metadata *metadata, const char *text, struct lv_diag *diag)
{
    int rc;

    assert(text != NULL);
    errno = 0;
    rc = sqlite3_exec(metadata->db, text, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : failure(metadata, sqlite3_extended_errcode(metadata->db), diag);
}

/* The first number of the first row. */
static int ask(struct lv_metadata *metadata, const char *text, uint64_t *ret_number,
               struct lv_diag *diag)
{
    sqlite3_stmt *statement = NULL;
    int rc;

    assert(ret_number != NULL);
    errno = 0;
    rc = sqlite3_prepare_v2(metadata->db, text, -1, &statement, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW)
        *ret_number = (uint64_t)sqlite3_column_int64(statement, 0);
    rc = rc == SQLITE_ROW ? 0 : failure(metadata, sqlite3_extended_errcode(metadata->db), diag);
    (void)sqlite3_finalize(statement);
    return rc;
}

/* A file without a single table is new, or its making was cut off by a crash. */
static int check_layout(struct lv_metadata *metadata, bool *ret_is_new, struct lv_diag *diag)
{
    uint64_t application = 0, layout = 0, tables = 0;
    int rc = ask(metadata, "PRAGMA application_id", &application, diag);

    assert(ret_is_new != NULL);
    if (rc == 0)
        rc = ask(metadata, "PRAGMA user_version", &layout, diag);
    if (rc == 0)
        rc = ask(metadata, "SELECT count(*) FROM sqlite_schema", &tables, diag);
    if (rc < 0)
        return rc;
    *ret_is_new = application == 0 && layout == 0 && tables == 0;
    if (*ret_is_new)
        return 0;
    if (application != APPLICATION_ID)
        return lv_fail(diag, -LV_E_VERSION,
                       "%s belongs to another program (application_id %llu): move it away, or name "
                       "another data directory",
                       metadata->path, (unsigned long long)application);
    if (layout != LAYOUT)
        return lv_fail(diag, -LV_E_VERSION,
                       "%s has layout %llu, and this version knows layout %u: start the version "
                       "that wrote it",
                       metadata->path, (unsigned long long)layout, LAYOUT);
    return 0;
}

static int prepare(struct lv_metadata *metadata, struct lv_diag *diag)
{
    errno = 0;
    for (int i = 0; i < LV_SQL_COUNT; i++) {
        int rc = sqlite3_prepare_v3(metadata->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                                    &metadata->statements[i], NULL);
        assert(sql[i] != NULL);
        if (rc != SQLITE_OK)
            return failure(metadata, sqlite3_extended_errcode(metadata->db), diag);
    }
    return 0;
}

/* Its structure, then what it says of itself. */
static int begin_use(struct lv_metadata *metadata, bool read_only, struct lv_diag *diag)
{
    bool is_new = false;
    int rc = check_layout(metadata, &is_new, diag);

    assert(metadata->db != NULL);
    if (rc == 0 && is_new && read_only)
        return lv_fail(diag, -LV_E_NOT_FOUND, "%s is empty", metadata->path);
    if (rc == 0 && !read_only)
        rc = execute(metadata, "PRAGMA journal_mode = WAL", diag);
    if (rc == 0)
        rc = execute(metadata, tuning, diag);
    if (rc == 0 && is_new)
        rc = execute(metadata, schema, diag);
    if (rc == 0)
        rc = prepare(metadata, diag);
    if (rc == 0)
        rc = lv_metadata_get(metadata, "rows_sum", &metadata->kept_sum, diag);
    metadata->sum = metadata->kept_sum;
    return rc;
}

/* Without a path, for a failed open to say it. */
static struct lv_metadata *metadata_new(const char *directory)
{
    struct lv_metadata *metadata = lv_calloc(1, sizeof *metadata);
    size_t size = strlen(directory) + sizeof "/" FILE_NAME;

    assert(directory[0] != '\0');
    if (metadata == NULL)
        return NULL;
    lv_arena_init(&metadata->arena, ARENA_SIZE);
    metadata->path = lv_alloc(size);
    if (metadata->path == NULL) {
        lv_free(metadata);
        return NULL;
    }
    (void)snprintf(metadata->path, size, "%s/" FILE_NAME, directory);
    return metadata;
}

/* The last one to close moves the write-ahead log into the file. */
void lv_metadata_close(struct lv_metadata *metadata)
{
    int rc;

    if (metadata == NULL)
        return;
    for (int i = 0; i < LV_SQL_COUNT; i++)
        (void)sqlite3_finalize(metadata->statements[i]);
    rc = sqlite3_close(metadata->db);
    assert(rc == SQLITE_OK);
    (void)rc;
    lv_arena_fini(&metadata->arena);
    lv_free(metadata->json);
    lv_free(metadata->path);
    lv_free(metadata);
}

/* Takes the metadata when it fails. */
static int connect(struct lv_metadata *metadata, const char *name, int flags, struct lv_diag *diag)
{
    bool read_only = (flags & SQLITE_OPEN_READONLY) != 0;
    int rc;

    assert(metadata->db == NULL);
    errno = 0;
    rc = sqlite3_open_v2(name, &metadata->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc != SQLITE_OK)
        rc = failure(metadata, rc, diag);
    if (rc == 0) {
        (void)sqlite3_busy_timeout(metadata->db, BUSY_MS);
        rc = begin_use(metadata, read_only, diag);
    }
    if (rc < 0)
        lv_metadata_close(metadata);
    return rc;
}

int lv_metadata_open(const char *directory, struct lv_metadata **ret_metadata, struct lv_diag *diag)
{
    struct lv_metadata *metadata = metadata_new(directory);
    int rc;

    assert(ret_metadata != NULL);
    if (metadata == NULL)
        return lv_fail(diag, -LV_E_NOMEM, "out of memory");
    rc = make_file(directory, metadata->path, diag);
    if (rc < 0) {
        lv_metadata_close(metadata);
        return rc;
    }
    rc = connect(metadata, metadata->path, SQLITE_OPEN_READWRITE, diag);
    if (rc == 0)
        *ret_metadata = metadata;
    return rc;
}

/* Has the file's write-ahead log a name? Only while somebody uses it, or after a crash. */
static bool is_in_use(const struct lv_metadata *metadata, char *name, size_t size)
{
    int length = snprintf(name, size, "%s-wal", metadata->path);

    assert(length > 0);
    assert((size_t)length < size);
    (void)length;
    return access(name, F_OK) == 0;
}

/* The path as a URI, in which SQLite is told that nobody writes to the file: so it makes no others
 * beside it, and reads what lies where nothing can be written. */
static void write_uri(const struct lv_metadata *metadata, char *uri, size_t size)
{
    char *to = uri + snprintf(uri, size, metadata->path[0] == '/' ? "file://" : "file:");

    for (const char *from = metadata->path; *from != '\0'; from++) {
        if (strchr("%?#", *from) != NULL)
            to += snprintf(to, 4, "%%%02x", (unsigned)*from);
        else
            *to++ = *from;
    }
    (void)snprintf(to, size - (size_t)(to - uri), "?immutable=1");
    assert(strlen(uri) < size);
}

int lv_metadata_open_read_only(const char *directory, struct lv_metadata **ret_metadata,
                               struct lv_diag *diag)
{
    struct lv_metadata *metadata = metadata_new(directory);
    size_t size = strlen(directory) * 3 + 100;
    char *name = metadata == NULL ? NULL : lv_alloc(size);
    int rc;

    assert(ret_metadata != NULL);
    if (name == NULL) {
        lv_metadata_close(metadata);
        return lv_fail(diag, -LV_E_NOMEM, "out of memory");
    }
    if (access(metadata->path, F_OK) < 0) {
        rc = lv_fail(diag, -LV_E_NOT_FOUND, "there is no %s", metadata->path);
        lv_metadata_close(metadata);
    } else {
        if (is_in_use(metadata, name, size))
            (void)snprintf(name, size, "%s", metadata->path);
        else
            write_uri(metadata, name, size);
        rc = connect(metadata, name, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, diag);
    }
    lv_free(name);
    if (rc == 0)
        *ret_metadata = metadata;
    return rc;
}

/* SQLite walks every page and compares what refers to what; the first fault is enough. */
int lv_metadata_check(struct lv_metadata *metadata, struct lv_diag *diag)
{
    sqlite3_stmt *statement = NULL;
    char what[200] = "SQLite can't check it";
    int rc = sqlite3_prepare_v2(metadata->db, "PRAGMA integrity_check(1)", -1, &statement, NULL);

    assert(metadata->db != NULL);
    if (rc == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) {
        const unsigned char *text = sqlite3_column_text(statement, 0);
        (void)snprintf(what, sizeof what, "%s", text == NULL ? "" : (const char *)text);
    }
    (void)sqlite3_finalize(statement);
    for (char *p = what; *p != '\0'; p++)
        if (*p == '\n')
            *p = ' ';
    return strcmp(what, "ok") == 0 ? 0 : lv_metadata_damaged(metadata, diag, what);
}

/* ---- settings ---- */

/* Over the name too: no row can stand for another. */
static uint64_t setting_hash(const char *name, uint64_t value)
{
    assert(name[0] != '\0');
    return lv_xxh3(name, strlen(name), lv_xxh3(&value, sizeof value, 0));
}

int lv_metadata_get(struct lv_metadata *metadata, const char *name, uint64_t *ret_value,
                    struct lv_diag *diag)
{
    struct lv_metadata_run run = lv_metadata_run(metadata, LV_SQL_GET);
    uint64_t value = 0;
    bool is_sound = true;
    int rc;

    assert(name != NULL);
    assert(ret_value != NULL);
    lv_metadata_bind_name(&run, lv_text(name));
    if (lv_metadata_step(&run)) {
        value = (uint64_t)sqlite3_column_int64(run.statement, 0);
        is_sound = (uint64_t)sqlite3_column_int64(run.statement, 1) == setting_hash(name, value);
    }
    rc = lv_metadata_end(&run, diag);
    if (rc == 0 && !is_sound)
        rc = lv_metadata_damaged(metadata, diag, "a setting is not as it was written");
    if (rc == 0)
        *ret_value = value;
    return rc;
}

int lv_metadata_set(struct lv_metadata *metadata, const char *name, uint64_t value,
                    struct lv_diag *diag)
{
    struct lv_metadata_run run = lv_metadata_run(metadata, LV_SQL_SET);
    bool has_row;

    assert(name != NULL);
    lv_metadata_bind_name(&run, lv_text(name));
    lv_metadata_bind_number(&run, value);
    lv_metadata_bind_number(&run, setting_hash(name, value));
    has_row = lv_metadata_step(&run);
    assert(!has_row);
    (void)has_row;
    return lv_metadata_end(&run, diag);
}

/* ---- transactions ---- */

int lv_metadata_begin(struct lv_metadata *metadata, struct lv_diag *diag)
{
    assert(sqlite3_get_autocommit(metadata->db));
    assert(metadata->sum == metadata->kept_sum);
    return lv_metadata_do(metadata, LV_SQL_BEGIN, diag);
}

int lv_metadata_commit(struct lv_metadata *metadata, uint64_t lsn, struct lv_diag *diag)
{
    int rc = lv_metadata_set(metadata, "lsn", lsn, diag);

    assert(!sqlite3_get_autocommit(metadata->db) || rc < 0);
    if (rc == 0)
        rc = lv_metadata_set(metadata, "rows_sum", metadata->sum, diag);
    if (rc == 0)
        rc = lv_metadata_do(metadata, LV_SQL_COMMIT, diag);
    if (rc == 0)
        metadata->kept_sum = metadata->sum;
    return rc;
}

/* Some errors have SQLite roll back by itself. */
void lv_metadata_rollback(struct lv_metadata *metadata)
{
    int rc = 0;

    metadata->sum = metadata->kept_sum;
    if (!sqlite3_get_autocommit(metadata->db))
        rc = lv_metadata_do(metadata, LV_SQL_ROLLBACK, NULL);
    assert(rc == 0 || sqlite3_get_autocommit(metadata->db));
    (void)rc;
}

int lv_metadata_lsn(struct lv_metadata *metadata, uint64_t *ret_lsn, struct lv_diag *diag)
{
    assert(ret_lsn != NULL);
    return lv_metadata_get(metadata, "lsn", ret_lsn, diag);
}
