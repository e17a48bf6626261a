/*
 * cli/ctl_status.h - the broker's status as rabbitmqctl shows it to people. Main thread.
 */
#pragma once

#include <jansson.h>
#include <stdio.h>

/* `unit`: "bytes", "mb" or "gb"; NULL: gb, as rabbitmqctl has it. */
void lv_ctl_status_print(FILE *file, const json_t *status, const char *unit);
