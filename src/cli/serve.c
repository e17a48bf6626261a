/*
 * cli/serve.c - `leveret serve`: the broker.
 */
#include "base/alloc.h"
#include "cli/command.h"
#include "cli/options.h"
#include "server/config.h"
#include "server/server.h"
#include "server/settings_text.h"
#include "server/tls_settings.h"

#include <stdio.h>
#include <string.h>

#define LISTENS_SIZE_MAX 4096u
#define NAME_SIZE_MAX    256u

/* What the command line says. */
struct choices {
    struct lv_config *config; /* view */
    const char *file;         /* view  NULL: the files that are read by default */
    bool is_check;
    char listens[LISTENS_SIZE_MAX];     /* of --listen so far, as one list */
    char tls_listens[LISTENS_SIZE_MAX]; /* the same of --tls-listen */
};

/* All of them together take the place of what the file says. */
static int add_listen(char list[LISTENS_SIZE_MAX], const char *value, struct lv_diag *diag)
{
    size_t used = strlen(list);

    assert(used < LISTENS_SIZE_MAX);
    if (strlen(value) + 3 > LISTENS_SIZE_MAX - used)
        return lv_fail(diag, -LV_E_USAGE, "too many addresses; use --config");
    snprintf(list + used, LISTENS_SIZE_MAX - used, "%s%s", used == 0 ? "" : ", ", value);
    return 0;
}

static int take_listen(void *ctx, const char *value, struct lv_diag *diag)
{
    struct choices *choices = ctx;
    int rc = add_listen(choices->listens, value, diag);

    assert(choices->config != NULL);
    if (rc == 0)
        lv_config_set(choices->config, "listeners.tcp", choices->listens, "--listen");
    return rc;
}

static int take_tls_listen(void *ctx, const char *value, struct lv_diag *diag)
{
    struct choices *choices = ctx;
    int rc = add_listen(choices->tls_listens, value, diag);

    assert(choices->config != NULL);
    if (rc == 0)
        lv_config_set(choices->config, "listeners.ssl", choices->tls_listens, "--tls-listen");
    return rc;
}

static int take_data_dir(void *ctx, const char *value, struct lv_diag *diag)
{
    struct choices *choices = ctx;

    (void)diag;
    assert(value != NULL);
    lv_config_set(choices->config, "data_dir", value, "--data-dir");
    return 0;
}

static int take_shards(void *ctx, const char *value, struct lv_diag *diag)
{
    struct choices *choices = ctx;

    (void)diag;
    assert(value != NULL);
    lv_config_set(choices->config, "shards", value, "--shards");
    return 0;
}

/* The name is copied, as argv has no end behind it. */
static int take_set(void *ctx, const char *value, struct lv_diag *diag)
{
    struct choices *choices = ctx;
    const char *equals = strchr(value, '=');
    char name[NAME_SIZE_MAX];

    assert(value != NULL);
    if (equals == NULL || equals == value)
        return lv_fail(diag, -LV_E_USAGE, "a setting is NAME=VALUE, not \"%s\"", value);
    if ((size_t)(equals - value) >= sizeof name)
        return lv_fail(diag, -LV_E_USAGE, "no setting has a name that long");
    snprintf(name, sizeof name, "%.*s", (int)(equals - value), value);
    lv_config_set(choices->config, name, equals + 1, "--set");
    return 0;
}

/* A line each. */
static void print_sentences(FILE *file, const char *before, const struct lv_sentences *sentences)
{
    assert(sentences->count <= LV_CONFIG_SENTENCES_MAX);
    for (unsigned i = 0; i < sentences->count; i++)
        fprintf(file, "%s: %s\n", before, sentences->items[i]);
    if (sentences->more > 0)
        fprintf(file, "%s: and %u more\n", before, sentences->more);
}

/* What is wrong comes as always on standard error, what is well on standard output. The files that
 * TLS needs are a part of the configuration. */
static int check(const struct lv_usage *usage, const struct lv_config *config)
{
    struct lv_tls_context *context = NULL;
    struct lv_diag diag = {"out of memory"};

    assert(config->errors.count == 0);
    if (config->settings.tls_listeners.count > 0 &&
        lv_tls_settings_context(&config->settings, &context, &diag) < 0) {
        fprintf(stderr, "%s: %s\n", usage->command, diag.text);
        return LV_EXIT_USAGE;
    }
    lv_tls_context_unref(context);
    print_sentences(stdout, "note", &config->notes);
    print_sentences(stdout, "read", &config->files);
    printf("ok\n");
    return fflush(stdout) == 0 ? LV_EXIT_OK : LV_EXIT_FAILED;
}

/* Returns the exit code. */
static int serve(const struct lv_usage *usage, const struct choices *choices)
{
    struct lv_config *config = choices->config;
    struct lv_diag diag = {"out of memory"};
    int rc;

    assert(usage != NULL);
    if (choices->file == NULL)
        lv_config_read_default_files(config);
    else
        lv_config_read_file(config, choices->file);
    lv_config_read_environment(config);
    rc = lv_config_apply(config);
    if (rc == -LV_E_USAGE) {
        print_sentences(stderr, usage->command, &config->errors);
        return LV_EXIT_USAGE;
    }
    if (rc == 0 && choices->is_check)
        return check(usage, config);
    if (rc == 0)
        rc = lv_server_run(config, &diag);
    if (rc < 0)
        fprintf(stderr, "%s: %s\n", usage->command, diag.text);
    return rc < 0 ? LV_EXIT_FAILED : LV_EXIT_OK;
}

/* Settings from everywhere, then the server until a signal. */
int lv_run_serve(int argc, char **argv)
{
    struct lv_config config;
    struct choices choices = {.config = &config};
    const struct lv_option options[] = {
        LV_CALL_OPTION("listen", 'l', "HOST:PORT", take_listen, &choices,
                       "where clients connect; may be given again (default 127.0.0.1:5672)"),
        LV_CALL_OPTION("tls-listen", 0, "HOST:PORT", take_tls_listen, &choices,
                       "the same with TLS; needs a certificate (see ssl_options)"),
        LV_CALL_OPTION("data-dir", 'd', "DIR", take_data_dir, &choices,
                       "the broker's own directory, made if it is missing"),
        LV_CALL_OPTION("shards", 0, "N", take_shards, &choices,
                       "threads that share the work (default: by the processors)"),
        LV_TEXT_OPTION("config", 'c', "FILE", &choices.file,
                       "settings in rabbitmq.conf's format (default:\n" LV_CONFIG_DEFAULT_FILE
                       " and " LV_CONFIG_DEFAULT_FILES ",\nor $RABBITMQ_CONFIG_FILE and "
                       "$RABBITMQ_CONFIG_FILES)"),
        LV_CALL_OPTION("set", 's', "NAME=VALUE", take_set, &choices, "any setting, see below"),
        LV_FLAG_OPTION("check-config", 0, &choices.is_check,
                       "read the settings, say what is wrong with them, and end"),
        LV_OPTION_END,
    };
    const struct lv_usage usage = {
        .command = "leveret serve",
        .arguments = "",
        .summary = "Runs the broker in the foreground until SIGTERM or SIGINT. When it accepts "
                   "connections it prints a line that begins with `ready`.",
        .options = options,
        .details = lv_settings_help(),
    };
    int status = LV_EXIT_FAILED;

    assert(argc >= 1);
    if (lv_config_init(&config) < 0)
        fprintf(stderr, "%s: out of memory\n", usage.command);
    else if (lv_options_parse(&usage, &argc, argv, &status))
        status = serve(&usage, &choices);
    lv_config_fini(&config);
    return status;
}
