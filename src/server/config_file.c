#include "server/config_file.h"

#include "base/defs.h"
#include "base/err.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* A line on its way: its value may grow when variables are put in. */
struct line {
    const struct lv_config_reader *reader; /* view */
    char name[LV_CONFIG_NAME_SIZE_MAX];
    char value[LV_CONFIG_VALUE_SIZE_MAX];
    size_t value_size;
};

/* \r is one, so that files from other systems can be read. */
static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct lv_bytes trim(struct lv_bytes text)
{
    while (text.size > 0 && is_blank(text.data[0]))
        text = lv_bytes(text.data + 1, text.size - 1);
    while (text.size > 0 && is_blank(text.data[text.size - 1]))
        text.size--;
    return text;
}

/* What is left when so many bytes are taken. */
static struct lv_bytes rest_of(struct lv_bytes text, size_t taken)
{
    assert(taken <= text.size);
    return lv_bytes(text.data + taken, text.size - taken);
}

/* Where the character is; the text's size when it is nowhere. */
static size_t find(struct lv_bytes text, char wanted)
{
    const uint8_t *at = text.size == 0 ? NULL : memchr(text.data, wanted, text.size);

    return at == NULL ? text.size : (size_t)(at - text.data);
}

static bool begins(struct lv_bytes text, const char *with)
{
    size_t size = strlen(with);

    return text.size >= size && memcmp(text.data, with, size) == 0;
}

/* Control characters have no business in a setting; a zero byte would cut it off unseen. */
static int check_bytes(struct lv_bytes text, struct lv_diag *diag)
{
    for (size_t i = 0; i < text.size; i++) {
        if ((text.data[i] >= 0x20 && text.data[i] != 0x7f) || is_blank(text.data[i]))
            continue;
        return lv_fail(diag, -LV_E_USAGE,
                       "byte %zu of the line is 0x%02x, which no setting may have in it: is this "
                       "a text file in UTF-8?",
                       i + 1, text.data[i]);
    }
    return 0;
}

/* What somebody tried who wrote a line without `=`. */
static int refuse_line(struct lv_bytes line, struct lv_diag *diag)
{
    assert(line.size > 0);
    if (strchr("[{%", line.data[0]) != NULL)
        return lv_fail(diag, -LV_E_USAGE,
                       "a line is `name = value`; this looks like RabbitMQ's classic format "
                       "(rabbitmq.config, advanced.config), which is not read");
    if (begins(line, "include "))
        return lv_fail(diag, -LV_E_USAGE,
                       "a line is `name = value`; to have several files put them into conf.d");
    return lv_fail(diag, -LV_E_USAGE, "a line is `name = value`");
}

/* A dot that belongs to a name in the name may have a backslash before it. */
static int take_name(struct line *line, struct lv_bytes name, struct lv_diag *diag)
{
    size_t size = 0;

    if (name.size == 0)
        return lv_fail(diag, -LV_E_USAGE, "a line is `name = value`, and this one has no name");
    if (name.size >= sizeof line->name)
        return lv_fail(diag, -LV_E_USAGE, "a name has at most %zu bytes, this one has %zu",
                       sizeof line->name - 1, name.size);
    for (size_t i = 0; i < name.size; i++) {
        if (is_blank(name.data[i]))
            return lv_fail(diag, -LV_E_USAGE, "a name has no blanks in it: \"%.*s\"", LV_FMT(name));
        if (name.data[i] != '\\' || i + 1 == name.size || name.data[i + 1] != '.')
            line->name[size++] = (char)name.data[i];
    }
    assert(size < sizeof line->name);
    line->name[size] = '\0';
    return 0;
}

static int add(struct line *line, struct lv_bytes bytes, struct lv_diag *diag)
{
    assert(line->value_size < sizeof line->value);
    if (bytes.size >= sizeof line->value - line->value_size)
        return lv_fail(diag, -LV_E_USAGE, "%s has a value of more than %zu bytes", line->name,
                       sizeof line->value - 1);
    if (bytes.size > 0)
        memcpy(line->value + line->value_size, bytes.data, bytes.size);
    line->value_size += bytes.size;
    line->value[line->value_size] = '\0';
    return 0;
}

/* All up to the second quote; behind it there may be a comment. */
static int take_quoted(struct line *line, struct lv_bytes value, struct lv_diag *diag)
{
    struct lv_bytes text = rest_of(value, 1);
    size_t end = find(text, '\'');
    struct lv_bytes behind;

    assert(value.data[0] == '\'');
    if (end == text.size)
        return lv_fail(diag, -LV_E_USAGE, "%s has a value that begins with ' and does not end so",
                       line->name);
    behind = trim(rest_of(text, end + 1));
    if (behind.size > 0 && behind.data[0] != '#')
        return lv_fail(diag, -LV_E_USAGE,
                       "%s has something behind the value in quotes; a quote can't be in it",
                       line->name);
    return add(line, lv_bytes(text.data, end), diag);
}

/* How many bytes `$(NAME)` takes at the beginning of the text; 0: it is none. */
static size_t variable_size(struct lv_bytes text)
{
    size_t size = 2;

    if (!begins(text, "$("))
        return 0;
    while (size < text.size && (isalnum(text.data[size]) || text.data[size] == '_'))
        size++;
    return size > 2 && size < text.size && text.data[size] == ')' ? size + 1 : 0;
}

static int add_variable(struct line *line, struct lv_bytes word, struct lv_diag *diag)
{
    char name[LV_CONFIG_NAME_SIZE_MAX];
    struct lv_bytes inner = lv_bytes(word.data + 2, word.size - 3);
    const char *value = NULL;

    assert(word.size > 3);
    if (inner.size < sizeof name) {
        snprintf(name, sizeof name, "%.*s", LV_FMT(inner));
        value = line->reader->variable(line->reader->ctx, name);
    }
    if (value == NULL)
        return lv_fail(diag, -LV_E_USAGE, "%s wants the variable %.*s, which is not set",
                       line->name, (int)(inner.size < 100 ? inner.size : 100),
                       (const char *)inner.data);
    return add(line, lv_text(value), diag);
}

/* Up to a comment, with variables put in. */
static int take_plain(struct line *line, struct lv_bytes value, struct lv_diag *diag)
{
    int rc = 0;

    value = trim(lv_bytes(value.data, find(value, '#')));
    while (rc == 0 && value.size > 0) {
        size_t size = variable_size(value);

        if (size > 0) {
            rc = add_variable(line, lv_bytes(value.data, size), diag);
        } else {
            size = 1 + find(rest_of(value, 1), '$');
            rc = add(line, lv_bytes(value.data, size), diag);
        }
        value = rest_of(value, size);
    }
    return rc;
}

static int read_line(struct line *line, struct lv_bytes text, struct lv_diag *diag)
{
    size_t equals = find(text, '=');
    struct lv_bytes value;
    int rc = check_bytes(text, diag);

    assert(text.size > 0);
    if (rc < 0)
        return rc;
    if (equals == text.size)
        return refuse_line(text, diag);
    rc = take_name(line, trim(lv_bytes(text.data, equals)), diag);
    if (rc < 0)
        return rc;
    line->value_size = 0;
    line->value[0] = '\0';
    value = trim(rest_of(text, equals + 1));
    if (begins(value, "'"))
        return take_quoted(line, value, diag);
    return take_plain(line, value, diag);
}

void lv_config_file_parse(const struct lv_config_reader *reader, struct lv_bytes text)
{
    struct line line = {.reader = reader};
    struct lv_diag diag;

    assert(reader->set != NULL);
    assert(reader->wrong != NULL);
    if (begins(text, "\xef\xbb\xbf")) /* what some editors begin a text in UTF-8 with */
        text = rest_of(text, 3);
    for (unsigned number = 1; text.size > 0; number++) {
        size_t size = find(text, '\n');
        struct lv_bytes one = trim(lv_bytes(text.data, size));

        text = rest_of(text, size < text.size ? size + 1 : size);
        if (one.size == 0 || one.data[0] == '#')
            continue;
        if (read_line(&line, one, &diag) < 0)
            reader->wrong(reader->ctx, number, diag.text);
        else
            reader->set(reader->ctx, number, line.name, line.value);
    }
}
