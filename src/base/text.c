#include "base/text.h"

#include "base/err.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define NAME_MAX_SIZE 64u

static const struct {
    const char *name;
    uint64_t factor;
} units[] = {
    {"", 1},
    {"k", 1ull << 10},
    {"KiB", 1ull << 10},
    {"M", 1ull << 20},
    {"MiB", 1ull << 20},
    {"G", 1ull << 30},
    {"GiB", 1ull << 30},
    {"T", 1ull << 40},
    {"TiB", 1ull << 40},
    {"kB", 1000ull},
    {"MB", 1000000ull},
    {"GB", 1000000000ull},
    {"TB", 1000000000000ull},
};

/* The digits at the start; *ret_end is what follows them. */
static int read_digits(const char *text, uint64_t *ret_number, const char **ret_end)
{
    char *end;

    assert(text != NULL);
    if (!isdigit((unsigned char)text[0]))
        return -LV_E_SYNTAX;
    errno = 0;
    *ret_number = strtoull(text, &end, 10);
    *ret_end = end;
    return errno == 0 ? 0 : -LV_E_SYNTAX;
}

/* Strict where strtoull() is not: no sign, no blanks, nothing behind it. */
int lv_text_number(const char *text, uint64_t *ret_number)
{
    uint64_t number;
    const char *end;

    assert(text != NULL);
    assert(ret_number != NULL);
    if (read_digits(text, &number, &end) < 0 || *end != '\0')
        return -LV_E_SYNTAX;
    *ret_number = number;
    return 0;
}

/* RabbitMQ's units: MB is a million bytes, MiB is 2^20. */
int lv_text_size(const char *text, uint64_t *ret_size)
{
    uint64_t number;
    const char *end;

    assert(text != NULL);
    assert(ret_size != NULL);
    if (read_digits(text, &number, &end) < 0)
        return -LV_E_SYNTAX;
    while (*end == ' ')
        end++;
    for (size_t i = 0; i < LV_COUNT(units); i++) {
        uint64_t size;
        if (strcasecmp(end, units[i].name) != 0)
            continue;
        if (__builtin_mul_overflow(number, units[i].factor, &size))
            return -LV_E_SYNTAX;
        *ret_size = size;
        return 0;
    }
    return -LV_E_SYNTAX;
}

/* A plain decimal, independent of the locale in practice: the program never sets one. */
int lv_text_decimal(const char *text, double *ret_number)
{
    char *end;
    double number;

    assert(text != NULL);
    assert(ret_number != NULL);
    /* strtod() alone would take "inf", "nan", "0x1p3", "-1" and blanks. */
    if (text[strspn(text, "0123456789.")] != '\0' || !isdigit((unsigned char)text[0]))
        return -LV_E_SYNTAX;
    number = strtod(text, &end);
    if (*end != '\0')
        return -LV_E_SYNTAX;
    *ret_number = number;
    return 0;
}

/* One digit behind the point only where it says something: 1.5 GiB, but 512 MiB. */
const char *lv_size_text(uint64_t size, char text[LV_SIZE_TEXT_SIZE])
{
    static const char *const names[] = {"KiB", "MiB", "GiB", "TiB"};
    double value = (double)size;
    size_t unit = 0;

    assert(text != NULL);
    if (size < 1024) {
        snprintf(text, LV_SIZE_TEXT_SIZE, "%u bytes", (unsigned)size);
        return text;
    }
    for (value /= 1024; value >= 1024 && unit + 1 < LV_COUNT(names); unit++)
        value /= 1024;
    snprintf(text, LV_SIZE_TEXT_SIZE,
             value < 10 && value != (double)(uint64_t)value ? "%.1f %s" : "%.0f %s", value,
             names[unit]);
    return text;
}

/* Of the three ways in which one more letter can be reached. */
static unsigned least(unsigned a, unsigned b, unsigned c)
{
    unsigned smaller = a < b ? a : b;

    return smaller < c ? smaller : c;
}

/* Levenshtein's table, one row at a time. */
unsigned lv_text_distance(const char *a, const char *b)
{
    size_t a_size = strnlen(a, NAME_MAX_SIZE), b_size = strnlen(b, NAME_MAX_SIZE);
    unsigned row[NAME_MAX_SIZE + 1];

    for (unsigned j = 0; j <= b_size; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_size; i++) {
        unsigned diagonal = row[0];

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_size; j++) {
            unsigned above = row[j];

            row[j] = least(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    assert(row[b_size] <= NAME_MAX_SIZE);
    return row[b_size];
}

/* The first of equals wins, so tables list the usual word first. */
void lv_nearest_try(struct lv_nearest *nearest, const char *candidate)
{
    unsigned distance = lv_text_distance(nearest->name, candidate);
    /* More than a third of the letters wrong is another word. */
    unsigned limit = (unsigned)strnlen(candidate, NAME_MAX_SIZE) / 3 + 1;

    assert(nearest->name != NULL);
    if (distance > limit || (nearest->best != NULL && distance >= nearest->distance))
        return;
    nearest->best = candidate;
    nearest->distance = distance;
}
