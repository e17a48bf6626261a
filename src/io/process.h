/*
 * io/process.h - other processes of this machine. Any thread.
 */
#pragma once

#include "base/defs.h"

#include <stdint.h>

/* A descriptor that can be read (lv_socket_wait()) once the process has ended, to be closed by its
 * owner. -LV_E_NOT_FOUND: no such process; -LV_E_IO. */
int lv_process_open(uint64_t pid, int *ret_fd) LV_MUST_CHECK;
