/*
 * cli/man.h - the manual pages, printed from the tables that --help is printed from. Main thread.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

/* leveret(1). */
void lv_man_program(FILE *file);
/* leveret.conf(5). */
void lv_man_settings(FILE *file);
/* leveret-COMMAND(1). False: there is no such command. */
bool lv_man_command(FILE *file, const char *command);
