#include "server/settings.h"

#include "base/alloc.h"
#include "base/event.h"
#include "base/text.h"
#include "io/address.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define VALUE_SIZE_MAX 4096u

const struct lv_setting lv_setting_rows[] = {
#define ROW(field, name, kind, standard, min, max, unit, text)                                     \
    {name, LV_SETTING_##kind, standard, min, max, unit, text, offsetof(struct lv_settings, field)},
    LV_SETTINGS(ROW)
#undef ROW
        {.name = NULL},
};

static bool is_list(const struct lv_setting *row)
{
    assert(row->name != NULL);
    return row->kind == LV_SETTING_LISTENERS || row->kind == LV_SETTING_USERS ||
           row->kind == LV_SETTING_LIST;
}

/* Where the row's value is. */
static void *target_of(struct lv_settings *settings, const struct lv_setting *row)
{
    assert(row->offset < sizeof *settings);
    return (char *)settings + row->offset;
}

/* Gives the setting a copy of its own. */
static int set_text(char **target, const char *value)
{
    char *copy = lv_strndup(value, strlen(value));

    assert(target != NULL);
    assert(value != NULL);
    if (copy == NULL)
        return -LV_E_NOMEM;
    lv_free(*target);
    *target = copy;
    return 0;
}

/* The sentence names the range, so that the next try is right. */
static int set_number(uint64_t *target, const struct lv_setting *row, const char *value,
                      struct lv_diag *diag)
{
    bool is_size = row->kind == LV_SETTING_SIZE;
    uint64_t number;
    int rc = is_size ? lv_text_size(value, &number) : lv_text_number(value, &number);

    assert(row->min <= row->max);
    if (rc < 0 || number < row->min || number > row->max)
        return lv_fail(diag, -LV_E_USAGE,
                       "%s is a whole number from %llu to %llu (%s%s), not \"%s\"", row->name,
                       (unsigned long long)row->min, (unsigned long long)row->max, row->unit,
                       is_size ? ", or like 64k, 10MB, 1GiB" : "", value);
    *target = number;
    return 0;
}

/* The words stand in the row's unit as a sentence has them: "debug, info, warning or error". */
static int set_choice(uint64_t *target, const struct lv_setting *row, const char *value,
                      struct lv_diag *diag)
{
    const char *word = row->unit;
    size_t size;

    assert(row->kind == LV_SETTING_CHOICE);
    for (uint64_t place = 0; *word != '\0'; place++) {
        size = strcspn(word, ", ");
        if (size == strlen(value) && memcmp(word, value, size) == 0) {
            *target = place;
            return 0;
        }
        word += size;
        word += strspn(word, ", ");
        if (strncmp(word, "or ", 3) == 0)
            word += 3;
    }
    return lv_fail(diag, -LV_E_USAGE, "%s is %s, not \"%s\"", row->name, row->unit, value);
}

/* Libraries split it at the dots and compare numbers. */
static int set_version(char **target, const struct lv_setting *row, const char *value,
                       struct lv_diag *diag)
{
    unsigned major, minor, patch;
    int end = 0;

    assert(row->kind == LV_SETTING_VERSION);
    if (!isdigit((unsigned char)value[0]) || strlen(value) > 32 ||
        sscanf(value, "%u.%u.%u%n", &major, &minor, &patch, &end) != 3 || value[end] != '\0')
        return lv_fail(diag, -LV_E_USAGE, "%s is three numbers like 4.1.0, not \"%s\"", row->name,
                       value);
    return set_text(target, value);
}

/* `form` is what stood behind the setting's name: "", ".relative" or ".absolute". */
static int set_memory(struct lv_memory_limit *target, const struct lv_setting *row,
                      const char *form, const char *value, struct lv_diag *diag)
{
    bool relative =
        strcmp(form, ".relative") == 0 || (form[0] == '\0' && strchr(value, '.') != NULL);
    double share;
    uint64_t size;

    assert(row->kind == LV_SETTING_MEMORY);
    if (relative && lv_text_decimal(value, &share) == 0 && share > 0 && share <= (double)row->max) {
        *target = (struct lv_memory_limit){.relative = share};
        return 0;
    }
    if (!relative && lv_text_size(value, &size) == 0 && size > 0) {
        *target = (struct lv_memory_limit){.absolute = size};
        return 0;
    }
    if (relative)
        return lv_fail(diag, -LV_E_USAGE,
                       "%s%s is a share of the memory above 0 and up to %llu.0, like 0.6, "
                       "not \"%s\"",
                       row->name, form, (unsigned long long)row->max, value);
    return lv_fail(diag, -LV_E_USAGE, "%s%s is a size like 512MB%s, not \"%s\"", row->name, form,
                   form[0] == '\0' ? ", or a share of the memory like 0.6" : "", value);
}

/* Setting a list again replaces it. */
static void clear_names(struct lv_names *names)
{
    assert(names->count <= LV_NAMES_MAX);
    for (unsigned i = 0; i < names->count; i++)
        lv_free(names->items[i]);
    *names = (struct lv_names){.count = 0};
}

/* Names from clients come without an end, hence the size. */
bool lv_names_have(const struct lv_names *names, const void *name, size_t size)
{
    assert(names->count <= LV_NAMES_MAX);
    for (unsigned i = 0; i < names->count; i++) {
        if (strlen(names->items[i]) == size && memcmp(names->items[i], name, size) == 0)
            return true;
    }
    return false;
}

/* A name that is there already is fine: whoever says it twice means it once. */
static int add_name(struct lv_names *names, const struct lv_setting *row, const char *name,
                    struct lv_diag *diag)
{
    struct lv_endpoint endpoint;
    int rc = 0;

    assert(names->count <= LV_NAMES_MAX);
    if (row->kind == LV_SETTING_LISTENERS)
        rc = lv_endpoint_parse(name, &endpoint, diag);
    if (rc < 0)
        return rc;
    if (name[0] == '\0')
        return lv_fail(diag, -LV_E_USAGE, "%s has an empty name in it", row->name);
    if (names->is_default)
        clear_names(names);
    if (lv_names_have(names, name, strlen(name)))
        return 0;
    if (names->count == LV_NAMES_MAX)
        return lv_fail(diag, -LV_E_USAGE, "%s holds at most %u", row->name, LV_NAMES_MAX);
    rc = set_text(&names->items[names->count], name);
    if (rc == 0)
        names->count++;
    return rc;
}

/* The order of the others does not matter, so the last one fills the gap. */
static void remove_name(struct lv_names *names, const char *name)
{
    assert(name != NULL);
    for (unsigned i = 0; i < names->count; i++) {
        if (strcmp(names->items[i], name) != 0)
            continue;
        lv_free(names->items[i]);
        names->items[i] = names->items[--names->count];
        names->items[names->count] = NULL;
        return;
    }
}

/* The whole list: names with commas between, or "none". */
static int set_names(struct lv_names *names, const struct lv_setting *row, const char *value,
                     struct lv_diag *diag)
{
    int rc = 0;

    assert(value != NULL);
    clear_names(names);
    if (strcmp(value, "none") == 0 || (row->kind == LV_SETTING_LIST && value[0] == '\0'))
        return 0;
    if (row->kind == LV_SETTING_LIST)
        return add_name(names, row, value, diag);
    for (const char *at = value; rc == 0;) {
        char name[VALUE_SIZE_MAX];
        size_t blanks = strspn(at, " "), size = strcspn(at + blanks, ", ");

        if (size >= sizeof name)
            return lv_fail(diag, -LV_E_USAGE, "%s has a name that is too long", row->name);
        snprintf(name, sizeof name, "%.*s", (int)size, at + blanks);
        rc = add_name(names, row, name, diag);
        at += blanks + size;
        at += strspn(at, " ");
        if (*at == '\0')
            break;
        at++;
    }
    return rc;
}

/* One of the list: listeners.tcp.NAME = ADDRESS, loopback_users.NAME = true. */
static int set_one_name(struct lv_names *names, const struct lv_setting *row, const char *form,
                        const char *value, struct lv_diag *diag)
{
    assert(form[0] == '.');
    if (row->kind != LV_SETTING_USERS)
        return add_name(names, row, value, diag);
    if (strcmp(value, "true") == 0)
        names->is_default = false; /* here it adds to what there is */
    else if (strcmp(value, "false") != 0)
        return lv_fail(diag, -LV_E_USAGE, "%s%s is true or false, not \"%s\"", row->name, form,
                       value);
    if (value[0] == 't')
        return add_name(names, row, form + 1, diag);
    remove_name(names, form + 1);
    return 0;
}

/* The whole or one of it. */
static int set_list(struct lv_names *names, const struct lv_setting *row, const char *form,
                    const char *value, struct lv_diag *diag)
{
    assert(is_list(row));
    return form[0] == '\0' ? set_names(names, row, value, diag)
                           : set_one_name(names, row, form, value, diag);
}

/* One value by its kind; `form` is what stood behind the row's name. */
static int set_row(struct lv_settings *settings, const struct lv_setting *row, const char *form,
                   const char *value, struct lv_diag *diag)
{
    void *target = target_of(settings, row);

    assert(form[0] == '\0' || form[0] == '.');
    switch (row->kind) {
    case LV_SETTING_NUMBER:
    case LV_SETTING_SIZE:
        return set_number(target, row, value, diag);
    case LV_SETTING_TEXT:
        return set_text(target, value);
    case LV_SETTING_VERSION:
        return set_version(target, row, value, diag);
    case LV_SETTING_CHOICE:
        return set_choice(target, row, value, diag);
    case LV_SETTING_MEMORY:
        return set_memory(target, row, form, value, diag);
    case LV_SETTING_LISTENERS:
    case LV_SETTING_USERS:
    case LV_SETTING_LIST:
        return set_list(target, row, form, value, diag);
    }
    LV_IMPOSSIBLE("kinds are constants");
}

/* Whether the row takes something behind its name, and this. */
static bool takes_form(const struct lv_setting *row, const char *form)
{
    assert(row->name != NULL);
    if (form[0] == '\0')
        return true;
    if (row->kind == LV_SETTING_MEMORY)
        return strcmp(form, ".relative") == 0 || strcmp(form, ".absolute") == 0;
    return is_list(row) && form[0] == '.' && form[1] != '\0';
}

/* NULL: no such setting. */
static const struct lv_setting *find_row(const char *name, const char **ret_form)
{
    assert(name != NULL);
    assert(ret_form != NULL);
    for (const struct lv_setting *row = lv_setting_rows; row->name != NULL; row++) {
        size_t size = strlen(row->name);

        if (strncmp(name, row->name, size) == 0 && takes_form(row, name + size)) {
            *ret_form = name + size;
            return row;
        }
    }
    return NULL;
}

/* An unknown name is an error and no warning: a misspelt limit would not be in force. */
int lv_settings_set(struct lv_settings *settings, const char *name, const char *value,
                    struct lv_diag *diag)
{
    struct lv_nearest nearest = {.name = name};
    const char *form;
    const struct lv_setting *row = find_row(name, &form);

    assert(name != NULL);
    assert(value != NULL);
    if (row != NULL)
        return set_row(settings, row, form, value, diag);
    for (row = lv_setting_rows; row->name != NULL; row++)
        lv_nearest_try(&nearest, row->name);
    if (nearest.best != NULL)
        return lv_fail(diag, -LV_E_NOT_FOUND, "there is no setting \"%s\"; did you mean \"%s\"?",
                       name, nearest.best);
    return lv_fail(diag, -LV_E_NOT_FOUND, "there is no setting \"%s\"", name);
}

/* The defaults go through the same functions as everybody's values, so they can't be wrong. */
int lv_settings_init(struct lv_settings *settings)
{
    int rc = 0;

    *settings = (struct lv_settings){.shards = 0};
    for (const struct lv_setting *row = lv_setting_rows; row->name != NULL && rc == 0; row++)
        rc = set_row(settings, row, "", row->standard, NULL);
    assert(rc == 0 || rc == -LV_E_NOMEM);
    settings->listeners.is_default = settings->loopback_users.is_default = true;
    settings->default_user_tags.is_default = true;
    if (rc < 0)
        lv_settings_fini(settings);
    return rc;
}

/* Also what lv_settings_init() could not finish. */
void lv_settings_fini(struct lv_settings *settings)
{
    assert(settings != NULL);
    for (const struct lv_setting *row = lv_setting_rows; row->name != NULL; row++) {
        void *target = target_of(settings, row);

        if (row->kind == LV_SETTING_TEXT || row->kind == LV_SETTING_VERSION)
            lv_free(*(char **)target);
        else if (is_list(row))
            clear_names(target);
    }
    *settings = (struct lv_settings){.shards = 0};
}

/* One of the two is set: set_memory() writes both. */
uint64_t lv_memory_limit_size(const struct lv_memory_limit *limit, uint64_t machine_memory)
{
    assert(limit->absolute != 0 || limit->relative > 0);
    if (limit->absolute != 0)
        return limit->absolute;
    return (uint64_t)((double)machine_memory * limit->relative);
}
