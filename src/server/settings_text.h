/*
 * server/settings_text.h - the table of settings as people read it. Main thread.
 */
#pragma once

#include <stdio.h>

/* For --help: the names with their defaults, and what they are. Always the same text. */
const char *lv_settings_help(void);
/* docs/settings.md. */
void lv_settings_print_markdown(FILE *file);
/* A file for --config with every setting at its default and behind a #. */
void lv_settings_print_example(FILE *file);
/* The part of the manual page, in man(7)'s macros. */
void lv_settings_print_man(FILE *file);
