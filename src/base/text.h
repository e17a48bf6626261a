/*
 * base/text.h - numbers and names as people type them.
 *
 * Pure; any thread.
 */
#pragma once

#include "base/defs.h"

#include <stdint.h>

/* A whole decimal number and nothing else. -LV_E_SYNTAX, also when it does not fit. */
int lv_text_number(const char *text, uint64_t *ret_number) LV_MUST_CHECK;
/* Bytes: a number and perhaps a unit. k, M, G, T (and KiB, MiB, …) are powers of 1024, kB, MB, GB,
 * TB powers of 1000, as in rabbitmq.conf; capitals do not matter. */
int lv_text_size(const char *text, uint64_t *ret_size) LV_MUST_CHECK;
/* A number that is not negative, with or without a fraction. */
int lv_text_decimal(const char *text, double *ret_number) LV_MUST_CHECK;

#define LV_SIZE_TEXT_SIZE 32
/* "512 MiB", "1.5 GiB", "100 bytes". Returns `text`. */
const char *lv_size_text(uint64_t size, char text[LV_SIZE_TEXT_SIZE]);

/* Letters to insert, remove or replace to get from one name to the other; looks at 64 of each. */
unsigned lv_text_distance(const char *a, const char *b);

/* Finds what somebody meant who typed `name`. Start with all zeros but `name`; `best` is NULL as
 * long as nothing is near. */
struct lv_nearest {
    const char *name; /* view */
    const char *best; /* view */
    unsigned distance;
};
/* Remembers the candidate if it is nearer than what was tried before, and near at all. */
void lv_nearest_try(struct lv_nearest *nearest, const char *candidate);
