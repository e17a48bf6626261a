/*
 * `leveret store`: looks at the files of a data directory.
 */
#include "cli/store.h"

#include "base/alloc.h"
#include "cli/command.h"
#include "cli/options.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int add_name(void *ctx, const char *name)
{
    struct lv_inspect *store = ctx;

    if (store->name_count == store->name_room) {
        size_t room = store->name_room * 2 + 64;
        void *names = lv_realloc(store->names, room * sizeof *store->names);

        if (names == NULL)
            return lv_fail(&store->diag, -LV_E_NOMEM, "out of memory");
        store->names = names;
        store->name_room = room;
    }
    assert(strlen(name) < LV_DISK_NAME_SIZE);
    memcpy(store->names[store->name_count++], name, strlen(name) + 1);
    return 0;
}

static int by_name(const void *a, const void *b)
{
    assert(a != NULL);
    return strcmp(a, b);
}

int lv_inspect_list(struct lv_inspect *store)
{
    struct lv_disk *disk = &store->disk.disk;
    int rc;

    store->name_count = 0;
    rc = disk->ops->list(disk, add_name, store);
    if (rc == -LV_E_NOMEM)
        return rc;
    if (rc < 0)
        return lv_fail(&store->diag, rc, "can't read the directory %s: %s", store->directory,
                       strerror(atomic_load(&store->disk.error)));
    if (store->name_count > 0)
        qsort(store->names, store->name_count, sizeof *store->names, by_name);
    assert(store->name_count <= store->name_room);
    return 0;
}

bool lv_inspect_next_shard(const struct lv_inspect *store, uint32_t shard, uint32_t *ret_shard)
{
    bool found = false;

    for (size_t i = 0; i < store->name_count; i++) {
        uint32_t other;
        uint64_t number;

        if (!lv_logfile_parse_name(store->names[i], &other, &number) &&
            !lv_checkpoint_parse_name(store->names[i], &other))
            continue;
        if (other < shard || (found && other >= *ret_shard))
            continue;
        *ret_shard = other;
        found = true;
    }
    assert(!found || *ret_shard >= shard);
    return found;
}

static int by_number(const void *a, const void *b)
{
    const struct lv_logfile *x = a, *y = b;

    assert(x->head.shard == y->head.shard);
    return x->head.number < y->head.number ? -1 : x->head.number > y->head.number;
}

/* A file that a broker has made a spare one since its name was read is no damage. */
static bool is_there(struct lv_inspect *store, const char *name)
{
    struct lv_disk *disk = &store->disk.disk;
    int file, rc = disk->ops->open(disk, name, false, &file);

    assert(rc <= 0);
    if (rc == 0)
        disk->ops->close(disk, file);
    return rc != -LV_E_NOT_FOUND;
}

/* Of a log file that is not among the shard's used ones. */
static void tell_other(struct lv_inspect *store, const char *name, lv_inspect_other_fn *other,
                       void *ctx)
{
    struct lv_diag diag = {"out of memory"};
    struct lv_logfile file;
    int rc = lv_logfile_read_head(&store->disk.disk, name, &file, &diag);

    assert(other != NULL);
    if (rc == 0) /* used since then */
        return;
    if (is_there(store, name))
        other(ctx, name, rc, diag.text);
}

static bool is_used(const char *name, const struct lv_logfile *used, size_t count)
{
    assert(used != NULL);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(used[i].name, name) == 0)
            return true;
    }
    return false;
}

int lv_inspect_heads(struct lv_inspect *store, uint32_t shard, struct lv_logfile **ret_files,
                     size_t *ret_count, lv_inspect_other_fn *other, void *ctx)
{
    struct lv_logfile *files = lv_calloc(store->name_count + 1, sizeof *files);
    size_t count = 0;
    uint32_t found;
    uint64_t number;

    if (files == NULL)
        return lv_fail(&store->diag, -LV_E_NOMEM, "out of memory");
    for (size_t i = 0; i < store->name_count; i++) {
        if (lv_logfile_parse_name(store->names[i], &found, &number) && found == shard &&
            lv_logfile_read_head(&store->disk.disk, store->names[i], &files[count], NULL) == 0)
            count++;
    }
    assert(count <= store->name_count);
    if (count > 1) /* names of another length sort otherwise than their numbers */
        qsort(files, count, sizeof *files, by_number);
    for (size_t i = 0; other != NULL && i < store->name_count; i++) {
        if (lv_logfile_parse_name(store->names[i], &found, &number) && found == shard &&
            !is_used(store->names[i], files, count))
            tell_other(store, store->names[i], other, ctx);
    }
    *ret_files = files;
    *ret_count = count;
    return 0;
}

static void put(void *ctx, struct lv_bytes bytes)
{
    struct lv_inspect *store = ctx;

    assert(store->output.fd >= 0);
    lv_output_put(&store->output, bytes);
}

struct lv_json lv_inspect_json(struct lv_inspect *store)
{
    assert(store != NULL);
    return (struct lv_json){.put = put, .ctx = store};
}

void lv_inspect_begin(struct lv_inspect *store, const char *title)
{
    assert(title[0] != '\0');
    store->is_first = true;
    lv_output_text(&store->output, store->is_json ? "{" : title);
}

void lv_inspect_end(struct lv_inspect *store)
{
    lv_output_text(&store->output, store->is_json ? "}\n" : "\n");
    assert(store->output.size <= sizeof store->output.buffer);
}

void lv_inspect_field(struct lv_inspect *store, const char *name)
{
    assert(name[0] != '\0');
    if (store->is_json)
        lv_output_print(&store->output, "%s\"%s\":", store->is_first ? "" : ",", name);
    else
        lv_output_print(&store->output, " %s=", name);
    store->is_first = false;
}

void lv_inspect_number(struct lv_inspect *store, const char *name, uint64_t value)
{
    lv_inspect_field(store, name);
    assert(!store->is_first);
    lv_output_print(&store->output, "%" PRIu64, value);
}

void lv_inspect_string(struct lv_inspect *store, const char *name, struct lv_bytes value)
{
    struct lv_json json = lv_inspect_json(store);

    assert(value.data != NULL || value.size == 0);
    lv_inspect_field(store, name);
    lv_json_text(&json, value);
}

void lv_inspect_bytes(struct lv_inspect *store, const char *name, struct lv_bytes value)
{
    struct lv_json json = lv_inspect_json(store);

    assert(value.data != NULL || value.size == 0);
    if (!store->is_json)
        return;
    lv_inspect_field(store, name);
    lv_json_base64(&json, value);
}

void lv_inspect_table(struct lv_inspect *store, const char *name, const struct lv_table *table)
{
    struct lv_json json = lv_inspect_json(store);

    assert(name[0] != '\0');
    if (table == NULL || table->count == 0)
        return;
    lv_inspect_field(store, name);
    lv_json_table(&json, table);
}

void lv_inspect_flag(struct lv_inspect *store, const char *name, bool value)
{
    assert(name[0] != '\0');
    if (store->is_json) {
        lv_inspect_field(store, name);
        lv_output_text(&store->output, value ? "true" : "false");
    } else if (value) {
        lv_output_print(&store->output, " %s", name);
    }
}

void lv_inspect_words(struct lv_inspect *store, const char *words)
{
    assert(words != NULL);
    if (!store->is_json)
        lv_output_text(&store->output, words);
}

static int run(struct lv_inspect *store, bool is_check)
{
    int rc = lv_file_disk_open_read_only(&store->disk, store->directory, &store->diag), flushed;

    if (rc < 0)
        return rc;
    lv_output_init(&store->output, STDOUT_FILENO, NULL);
    rc = lv_inspect_list(store);
    if (rc == 0)
        rc = is_check ? lv_inspect_check(store) : lv_inspect_dump(store);
    flushed = lv_output_flush(&store->output);
    assert(flushed <= 0);
    if (rc >= 0 && flushed < 0)
        rc = lv_fail(&store->diag, flushed, "standard output cannot be written");
    lv_file_disk_close(&store->disk);
    lv_free(store->names);
    return rc;
}

int lv_run_store(int argc, char **argv)
{
    struct lv_inspect store = {.directory = NULL};
    const struct lv_option options[] = {
        LV_FLAG_OPTION("json", 'j', &store.is_json, "one JSON object per line"),
        LV_OPTION_END,
    };
    const struct lv_usage usage = {
        .command = "leveret store",
        .arguments = "check|dump DIR",
        .summary = "Looks at the files of a broker's data directory, whether a broker runs on it "
                   "or not, and changes nothing.",
        .options = options,
        .arguments_min = 2,
        .arguments_max = 2,
        .details =
            "  check  verifies every block of the log, every message of the segments and the\n"
            "         metadata, and says for each file that it is sound or where it is damaged\n"
            "         and what of it can't be read\n"
            "  dump   prints everything that is stored, one record per line\n\n"
            "The exit code is 1 when something is damaged; dump then prints what can be read.\n",
    };
    int status, rc;

    if (!lv_options_parse(&usage, &argc, argv, &status))
        return status;
    assert(argc == 3);
    if (strcmp(argv[1], "check") != 0 && strcmp(argv[1], "dump") != 0)
        return lv_options_refuse(&usage, "there is no `store %s`; there are check and dump",
                                 argv[1]);
    store.directory = argv[2];
    rc = run(&store, argv[1][0] == 'c');
    if (rc < 0 && rc != -LV_E_CLOSED)
        fprintf(stderr, "leveret store %s: %s\n", argv[1], store.diag.text);
    return rc == 0 ? LV_EXIT_OK : LV_EXIT_FAILED;
}
