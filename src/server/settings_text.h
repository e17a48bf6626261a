/*
 * server/settings_text.h - the table of settings as people read it. Main thread.
 */
#pragma once

#include "server/settings.h"

#include <stdio.h>

/* For --help: the names with their defaults, and what they are. Always the same text. */
const char *lv_settings_help(void);
/* docs/settings.md. */
void lv_settings_print_markdown(FILE *file);
/* A file for --config with every setting at its default and behind a #. */
void lv_settings_print_example(FILE *file);
/* The parts of the manual page, in man(7)'s macros. */
void lv_settings_print_man(FILE *file);
void lv_settings_print_man_variables(FILE *file);

/* Longer values are cut. */
#define LV_SETTING_VALUE_SIZE 1024
/* The value as it would be written in a file; of a password that there is one. Returns `text`. */
const char *lv_setting_value(const struct lv_settings *settings, const struct lv_setting *row,
                             char text[LV_SETTING_VALUE_SIZE]);
