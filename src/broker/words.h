/*
 * broker/words.h - tables from a line of words, and properties that are such a line. Tests only.
 *
 * "a=1 b=one c=~ CC=[x;y]": a number, a string, a void, an array of strings. `t` is true, 7h a
 * short number, 7.5 a real, @7 a time.
 */
#pragma once

#include "broker/message.h"

/* The table, in the arena and in the words; NULL for no words. The test ends when memory does. */
const struct lv_table *lv_words_table(struct lv_arena *arena, struct lv_bytes words);

/* Message properties in this form, for struct lv_broker_config. A first byte of 0 means that there
 * are none. */
extern const struct lv_properties lv_words_properties;
/* Do the words name further routing keys? */
bool lv_words_have_extra_keys(struct lv_bytes words);
