/*
 * cli/ctl_password.h - a password from the terminal, which doesn't show it, or from a line of
 * standard input. Main thread.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

#define LV_CTL_PASSWORD_SIZE 1024

/* Asks for it with "Password: ". The text is terminated; whoever has it wipes it.
 * -LV_E_NOT_FOUND: none was given; -LV_E_SYNTAX: too long. */
int lv_ctl_password_read(char text[LV_CTL_PASSWORD_SIZE]) LV_MUST_CHECK;
