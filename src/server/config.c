#include "server/config.h"

#include "base/alloc.h"
#include "base/bytes.h"
#include "io/file.h"
#include "server/config_file.h"
#include "server/eventlog.h"
#include "server/foreign.h"

#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SENTENCE_SIZE_MAX 1024u
#define PATH_SIZE_MAX     4096u

struct lv_config_value {
    char *name, *value; /* own */
    char *where;        /* own   "leveret.conf:12" */
    enum lv_config_layer layer;
    unsigned file; /*       which one it was read from; 0: none */
    unsigned line;
};

/* One file while it is read. */
struct reading {
    struct lv_config *config; /* view */
    const char *path;         /* view */
    unsigned file;
};

const struct lv_config_variable lv_config_variables[] = {
#define ROW(name, setting, why) {name, setting, why},
    LV_CONFIG_VARIABLES(ROW)
#undef ROW
        {.name = NULL},
};

/* ---- what there is to say ---- */

static char *copy_text(struct lv_config *config, const char *text)
{
    char *copy = lv_strndup(text, strlen(text));

    assert(text != NULL);
    if (copy == NULL)
        config->is_out_of_memory = true;
    return copy;
}

LV_PRINTF(3, 4)
static void say(struct lv_config *config, struct lv_sentences *sentences, const char *fmt, ...)
{
    char text[SENTENCE_SIZE_MAX];
    va_list args;

    assert(sentences->count <= LV_CONFIG_SENTENCES_MAX);
    if (sentences->count == LV_CONFIG_SENTENCES_MAX) {
        sentences->more++;
        return;
    }
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    sentences->items[sentences->count] = copy_text(config, text);
    if (sentences->items[sentences->count] != NULL)
        sentences->count++;
}

static void clear(struct lv_sentences *sentences)
{
    assert(sentences->count <= LV_CONFIG_SENTENCES_MAX);
    for (unsigned i = 0; i < sentences->count; i++)
        lv_free(sentences->items[i]);
    *sentences = (struct lv_sentences){.count = 0};
}

/* ---- collecting ---- */

static void free_value(struct lv_config_value *value)
{
    assert(value != NULL);
    lv_free(value->name);
    lv_free(value->value);
    lv_free(value->where);
}

/* NULL: nobody has set that name yet. */
static struct lv_config_value *find_value(struct lv_config *config, const char *name)
{
    assert(config->count <= config->capacity);
    for (unsigned i = 0; i < config->count; i++) {
        if (strcmp(config->values[i].name, name) == 0)
            return &config->values[i];
    }
    return NULL;
}

/* Room for one more. */
static bool grow(struct lv_config *config)
{
    unsigned capacity = config->capacity == 0 ? 32 : 2 * config->capacity;
    struct lv_config_value *values;

    if (config->count < config->capacity)
        return true;
    values = lv_realloc(config->values, capacity * sizeof *values);
    if (values == NULL)
        return false;
    config->values = values;
    config->capacity = capacity;
    assert(config->count < config->capacity);
    return true;
}

/* A name has one value. What was said of it before is left, and said so if that was in the same
 * file: mostly somebody has not seen the first. */
static void leave(struct lv_config *config, unsigned at, const struct lv_config_value *by)
{
    struct lv_config_value *before = &config->values[at];

    assert(at < config->count);
    if (before->file != 0 && before->file == by->file)
        say(config, &config->notes, "%s: %s counts from here; it stands in line %u, too", by->where,
            by->name, before->line);
    free_value(before);
    memmove(before, before + 1, (config->count - at - 1) * sizeof *before);
    config->count--;
}

/* Takes the value's texts, whatever happens. */
static void collect(struct lv_config *config, struct lv_config_value *value)
{
    struct lv_config_value *before;

    if (value->name == NULL || value->value == NULL || value->where == NULL) {
        free_value(value);
        return;
    }
    before = find_value(config, value->name);
    if (before != NULL && before->layer > value->layer) {
        free_value(value);
        return;
    }
    if (before != NULL)
        leave(config, (unsigned)(before - config->values), value);
    if (config->count == LV_CONFIG_VALUES_MAX || !grow(config)) {
        if (config->count == LV_CONFIG_VALUES_MAX)
            say(config, &config->errors, "%s: more than %u settings", value->where,
                LV_CONFIG_VALUES_MAX);
        else
            config->is_out_of_memory = true;
        free_value(value);
        return;
    }
    config->values[config->count++] = *value;
}

static void collect_from(struct lv_config *config, enum lv_config_layer layer, const char *name,
                         const char *value, const char *where)
{
    struct lv_config_value one = {
        .name = copy_text(config, name),
        .value = copy_text(config, value),
        .where = copy_text(config, where),
        .layer = layer,
    };

    collect(config, &one);
}

void lv_config_set(struct lv_config *config, const char *name, const char *value, const char *where)
{
    collect_from(config, LV_CONFIG_OPTIONS, name, value, where);
}

/* ---- files ---- */

static void on_set(void *ctx, unsigned line, const char *name, const char *value)
{
    struct reading *reading = ctx;
    char where[PATH_SIZE_MAX + 16];
    struct lv_config_value one = {
        .name = copy_text(reading->config, name),
        .value = copy_text(reading->config, value),
        .layer = LV_CONFIG_FILES,
        .file = reading->file,
        .line = line,
    };

    assert(line > 0);
    snprintf(where, sizeof where, "%s:%u", reading->path, line);
    one.where = copy_text(reading->config, where);
    collect(reading->config, &one);
}

static void on_wrong(void *ctx, unsigned line, const char *sentence)
{
    struct reading *reading = ctx;

    assert(line > 0);
    say(reading->config, &reading->config->errors, "%s:%u: %s", reading->path, line, sentence);
}

static const char *on_variable(void *ctx, const char *name)
{
    (void)ctx;
    assert(name[0] != '\0');
    return getenv(name);
}

void lv_config_read_file(struct lv_config *config, const char *path)
{
    struct reading reading = {.config = config, .path = path};
    const struct lv_config_reader reader = {
        .ctx = &reading, .set = on_set, .wrong = on_wrong, .variable = on_variable};
    struct lv_diag diag = {"out of memory"};
    char *text;
    size_t size;
    int rc;

    assert(path != NULL);
    rc = lv_file_read(path, LV_CONFIG_FILE_SIZE_MAX, &text, &size, &diag);
    if (rc < 0) {
        say(config, &config->errors, "%s", diag.text);
        return;
    }
    say(config, &config->files, "%s", path);
    reading.file = config->files.count;
    lv_config_file_parse(&reader, lv_bytes(text, size));
    lv_free(text);
}

/* NULL when it is not set or empty, which means the same to RabbitMQ. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);

    assert(name != NULL);
    return value == NULL || value[0] == '\0' ? NULL : value;
}

static bool is_there(const char *path)
{
    assert(path != NULL);
    return access(path, F_OK) == 0;
}

/* Named as RabbitMQ takes it: with .conf or without. */
static void read_main_file(struct lv_config *config)
{
    const char *path = variable("RABBITMQ_CONFIG_FILE");
    char longer[PATH_SIZE_MAX];

    if (path == NULL) {
        if (is_there(LV_CONFIG_DEFAULT_FILE))
            lv_config_read_file(config, LV_CONFIG_DEFAULT_FILE);
        return;
    }
    snprintf(longer, sizeof longer, "%s.conf", path);
    assert(strlen(longer) > 0);
    lv_config_read_file(config, !is_there(path) && is_there(longer) ? longer : path);
}

/* Others than files (a directory in the directory) are none of them. */
static bool is_regular(const char *path)
{
    struct stat status;

    assert(path != NULL);
    return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

static void read_pattern(struct lv_config *config, const char *pattern)
{
    glob_t found;
    unsigned count = 0;
    int rc = glob(pattern, 0, NULL, &found);

    assert(pattern != NULL);
    if (rc == GLOB_NOMATCH)
        return;
    if (rc != 0) {
        say(config, &config->errors, "can't look for the files %s", pattern);
        return;
    }
    for (size_t i = 0; i < found.gl_pathc; i++) {
        if (!is_regular(found.gl_pathv[i]))
            continue;
        if (++count > LV_CONFIG_FILES_MAX) {
            say(config, &config->errors, "%s are more than %u files", pattern, LV_CONFIG_FILES_MAX);
            break;
        }
        lv_config_read_file(config, found.gl_pathv[i]);
    }
    globfree(&found);
}

static void read_more_files(struct lv_config *config)
{
    const char *pattern = variable("RABBITMQ_CONFIG_FILES");
    char all[PATH_SIZE_MAX];
    struct stat status;

    if (pattern == NULL) {
        read_pattern(config, LV_CONFIG_DEFAULT_FILES);
        return;
    }
    if (stat(pattern, &status) == 0 && S_ISDIR(status.st_mode)) {
        snprintf(all, sizeof all, "%s/*", pattern);
        pattern = all;
    }
    read_pattern(config, pattern);
}

void lv_config_read_default_files(struct lv_config *config)
{
    assert(config->count <= config->capacity);
    read_main_file(config);
    read_more_files(config);
}

/* ---- environment ---- */

/* A port alone is one of all addresses, an address alone has the usual port. */
static void read_listener(struct lv_config *config, const char *where)
{
    const char *host = variable("RABBITMQ_NODE_IP_ADDRESS"), *port = variable("RABBITMQ_NODE_PORT");
    char text[LV_CONFIG_VALUE_SIZE_MAX];
    bool is_bare_v6 = host != NULL && strchr(host, ':') != NULL && host[0] != '[';

    assert(host != NULL || port != NULL);
    if (port == NULL)
        port = "5672";
    if (host == NULL || strcmp(host, "auto") == 0)
        snprintf(text, sizeof text, "%s", port);
    else
        snprintf(text, sizeof text, "%s%s%s:%s", is_bare_v6 ? "[" : "", host, is_bare_v6 ? "]" : "",
                 port);
    collect_from(config, LV_CONFIG_ENVIRONMENT, "listeners.tcp", text, where);
}

void lv_config_read_environment(struct lv_config *config)
{
    assert(lv_config_variables[0].name != NULL);
    for (const struct lv_config_variable *row = lv_config_variables; row->name != NULL; row++) {
        const char *value = variable(row->name);

        if (value == NULL)
            continue;
        if (row->setting[0] == '\0')
            say(config, &config->errors, "%s is not read, so it must not be set: %s", row->name,
                row->why);
        else if (strcmp(row->setting, "listeners.tcp") == 0)
            read_listener(config, row->name);
        else
            collect_from(config, LV_CONFIG_ENVIRONMENT, row->setting, value, row->name);
    }
}

/* ---- in force ---- */

/* What RabbitMQ knows and we don't. */
static void judge_foreign(struct lv_config *config, const struct lv_foreign *row,
                          const struct lv_config_value *value)
{
    assert(row->why != NULL);
    if (lv_foreign_is_same(row, value->value))
        return;
    if (row->verdict == LV_FOREIGN_IGNORED)
        say(config, &config->notes, "%s: %s is ignored: %s", value->where, value->name, row->why);
    else
        say(config, &config->errors, "%s: %s is not supported: %s", value->where, value->name,
            row->why);
}

static void apply_one(struct lv_config *config, const struct lv_config_value *value)
{
    struct lv_diag diag = {""};
    int rc = lv_settings_set(&config->settings, value->name, value->value, &diag);
    const struct lv_foreign *foreign = rc == -LV_E_NOT_FOUND ? lv_foreign_find(value->name) : NULL;

    assert(rc <= 0);
    if (foreign != NULL)
        judge_foreign(config, foreign, value);
    else if (rc == -LV_E_NOMEM)
        config->is_out_of_memory = true;
    else if (rc < 0)
        say(config, &config->errors, "%s: %s", value->where, diag.text);
}

/* Whether the name is all of a setting, and not one item of a list. */
static bool is_whole(const char *name)
{
    assert(name != NULL);
    for (const struct lv_setting *row = lv_setting_rows; row->name != NULL; row++) {
        if (strcmp(row->name, name) == 0)
            return true;
    }
    return false;
}

/* Items first: `listeners.tcp = none` means none, whatever else the file says. */
static void apply_layer(struct lv_config *config, enum lv_config_layer layer)
{
    assert(layer <= LV_CONFIG_OPTIONS);
    for (unsigned i = 0; i < config->count; i++) {
        if (config->values[i].layer == layer && !is_whole(config->values[i].name))
            apply_one(config, &config->values[i]);
    }
    for (unsigned i = 0; i < config->count; i++) {
        if (config->values[i].layer == layer && is_whole(config->values[i].name))
            apply_one(config, &config->values[i]);
    }
}

int lv_config_apply(struct lv_config *config)
{
    char path[LV_EVENTLOG_PATH_SIZE];
    struct lv_diag diag;

    assert(config->count <= LV_CONFIG_VALUES_MAX);
    apply_layer(config, LV_CONFIG_FILES);
    apply_layer(config, LV_CONFIG_ENVIRONMENT);
    apply_layer(config, LV_CONFIG_OPTIONS);
    if (lv_eventlog_path(&config->settings, path, &diag) < 0)
        say(config, &config->errors, "%s", diag.text);
    if (config->is_out_of_memory)
        return -LV_E_NOMEM;
    return config->errors.count > 0 ? -LV_E_USAGE : 0;
}

int lv_config_init(struct lv_config *config)
{
    *config = (struct lv_config){.values = NULL};
    assert(lv_setting_rows[0].name != NULL);
    return lv_settings_init(&config->settings);
}

void lv_config_fini(struct lv_config *config)
{
    assert(config->count <= config->capacity);
    for (unsigned i = 0; i < config->count; i++)
        free_value(&config->values[i]);
    lv_free(config->values);
    clear(&config->errors);
    clear(&config->notes);
    clear(&config->files);
    lv_settings_fini(&config->settings);
    *config = (struct lv_config){.values = NULL};
}
