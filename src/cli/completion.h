/*
 * cli/completion.h - what shells need to complete `leveret`'s command lines, printed from the
 * tables that --help is printed from. Main thread.
 */
#pragma once

#include <stdio.h>

void lv_completion_bash(FILE *file);
void lv_completion_zsh(FILE *file);
void lv_completion_fish(FILE *file);
