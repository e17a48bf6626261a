/*
 * Configuration files: lines come in order, names and values within their bounds, and each is put
 * in force, refused, ignored or unknown. What is put in force twice is the same.
 */
#include "server/config_file.h"
#include "server/foreign.h"
#include "server/settings.h"

#include "base/alloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the lines did so far. */
struct seen {
    struct lv_settings *settings; /* view */
    unsigned line;
};

static void take_line(struct seen *seen, unsigned line)
{
    assert(line > seen->line);
    seen->line = line;
}

static void on_set(void *ctx, unsigned line, const char *name, const char *value)
{
    struct seen *seen = ctx;
    struct lv_diag diag = {""};
    const struct lv_foreign *foreign;
    int rc;

    take_line(seen, line);
    assert(name[0] != '\0' && strlen(name) < LV_CONFIG_NAME_SIZE_MAX);
    assert(strlen(value) < LV_CONFIG_VALUE_SIZE_MAX);
    rc = lv_settings_set(seen->settings, name, value, &diag);
    assert(rc == 0 || diag.text[0] != '\0');
    assert(rc != 0 || lv_settings_set(seen->settings, name, value, &diag) == 0);
    foreign = lv_foreign_find(name);
    if (foreign != NULL)
        (void)lv_foreign_is_same(foreign, value);
}

static void on_wrong(void *ctx, unsigned line, const char *sentence)
{
    take_line(ctx, line);
    assert(sentence[0] != '\0');
}

/* Half of the names have a value. */
static const char *on_variable(void *ctx, const char *name)
{
    (void)ctx;
    assert(name[0] != '\0' && strlen(name) < LV_CONFIG_NAME_SIZE_MAX);
    return name[0] < 'M' ? "a value" : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lv_settings settings;
    struct seen seen = {.settings = &settings};
    const struct lv_config_reader reader = {
        .ctx = &seen, .set = on_set, .wrong = on_wrong, .variable = on_variable};

    if (lv_settings_init(&settings) < 0)
        return 0;
    lv_config_file_parse(&reader, lv_bytes(data, size));
    lv_settings_fini(&settings);
    return 0;
}
