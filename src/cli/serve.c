/*
 * cli/serve.c - `leveret serve`: the broker.
 */
#include "base/alloc.h"
#include "cli/command.h"
#include "cli/options.h"
#include "io/file.h"
#include "server/server.h"
#include "server/settings_text.h"

#include <stdio.h>
#include <string.h>

#define SETS_MAX        64u
#define CONFIG_SIZE_MAX (1u << 20)

/* What the command line says, kept until the file has been read, as it goes over the file. */
struct choices {
    const char *config; /* view  NULL: none */
    struct set {
        const char *name, *value; /* view */
    } sets[SETS_MAX];
    unsigned count;
    unsigned listens; /* --listen so far */
    char names[SETS_MAX][64];
};

static int add(struct choices *choices, const char *name, const char *value, struct lv_diag *diag)
{
    if (choices->count == SETS_MAX)
        return lv_fail(diag, -LV_E_USAGE, "more than %u settings; use --config", SETS_MAX);
    choices->sets[choices->count++] = (struct set){.name = name, .value = value};
    assert(choices->count <= SETS_MAX);
    return 0;
}

static int take_listen(void *ctx, const char *value, struct lv_diag *diag)
{
    struct choices *choices = ctx;

    assert(value != NULL);
    /* The first takes the place of what the file says, the others come beside it. */
    return add(choices, choices->listens++ == 0 ? "listeners.tcp" : "listeners.tcp.more", value,
               diag);
}

static int take_data_dir(void *ctx, const char *value, struct lv_diag *diag)
{
    return add(ctx, "data_dir", value, diag);
}

static int take_shards(void *ctx, const char *value, struct lv_diag *diag)
{
    return add(ctx, "shards", value, diag);
}

/* The name is copied, as argv has no end behind it. */
static int take_set(void *ctx, const char *value, struct lv_diag *diag)
{
    struct choices *choices = ctx;
    const char *equals = strchr(value, '=');
    char *name;

    assert(value != NULL);
    if (equals == NULL || equals == value)
        return lv_fail(diag, -LV_E_USAGE, "a setting is NAME=VALUE, not \"%s\"", value);
    if (choices->count == SETS_MAX || (size_t)(equals - value) >= sizeof choices->names[0])
        return lv_fail(diag, -LV_E_USAGE, "too many settings, or a name too long");
    name = choices->names[choices->count];
    snprintf(name, sizeof choices->names[0], "%.*s", (int)(equals - value), value);
    return add(choices, name, equals + 1, diag);
}

static int read_config(struct lv_settings *settings, const char *file, struct lv_diag *diag)
{
    char *text;
    size_t size;
    int rc = lv_file_read(file, CONFIG_SIZE_MAX, &text, &size, diag);

    if (rc < 0)
        return rc;
    rc = lv_settings_read(settings, file, text, diag);
    assert(rc <= 0);
    lv_free(text);
    return rc;
}

/* The file first, so that the command line goes over it. */
static int apply(struct lv_settings *settings, const struct choices *choices, struct lv_diag *diag)
{
    int rc = choices->config == NULL ? 0 : read_config(settings, choices->config, diag);

    assert(choices->count <= SETS_MAX);
    for (unsigned i = 0; rc == 0 && i < choices->count; i++)
        rc = lv_settings_set(settings, choices->sets[i].name, choices->sets[i].value, diag);
    return rc;
}

/* Returns the exit code. */
static int serve(const struct lv_usage *usage, const struct choices *choices)
{
    struct lv_settings settings;
    struct lv_diag diag = {"out of memory"};
    int rc = lv_settings_init(&settings);

    assert(usage != NULL);
    if (rc < 0) {
        fprintf(stderr, "%s: %s\n", usage->command, diag.text);
        return LV_EXIT_FAILED;
    }
    rc = apply(&settings, choices, &diag);
    if (rc < 0) {
        lv_settings_fini(&settings);
        return lv_options_refuse(usage, "%s", diag.text);
    }
    rc = lv_server_run(&settings, &diag);
    if (rc < 0)
        fprintf(stderr, "%s: %s\n", usage->command, diag.text);
    lv_settings_fini(&settings);
    return rc < 0 ? LV_EXIT_FAILED : LV_EXIT_OK;
}

/* Settings from the command line, then the server until a signal. */
int lv_run_serve(int argc, char **argv)
{
    struct choices choices = {.config = NULL};
    const struct lv_option options[] = {
        LV_CALL_OPTION("listen", 'l', "HOST:PORT", take_listen, &choices,
                       "where clients connect; may be given again (default 127.0.0.1:5672)"),
        LV_CALL_OPTION("data-dir", 'd', "DIR", take_data_dir, &choices,
                       "the broker's own directory, made if it is missing"),
        LV_CALL_OPTION("shards", 0, "N", take_shards, &choices,
                       "threads that share the work (default: by the processors)"),
        LV_TEXT_OPTION("config", 'c', "FILE", &choices.config,
                       "settings in rabbitmq.conf's format"),
        LV_CALL_OPTION("set", 's', "NAME=VALUE", take_set, &choices, "any setting, see below"),
        LV_OPTION_END,
    };
    const struct lv_usage usage = {
        .command = "leveret serve",
        .arguments = "",
        .summary = "Runs the broker in the foreground until SIGTERM or SIGINT. When it accepts "
                   "connections it prints a line that begins with `ready`.",
        .options = options,
        .details = lv_settings_help,
    };
    int status;

    assert(argc >= 1);
    if (!lv_options_parse(&usage, &argc, argv, &status))
        return status;
    return serve(&usage, &choices);
}
