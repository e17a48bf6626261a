/*
 * cli/bench_process.h - what other processes cost: processor time and memory, from /proc.
 *
 * Blocks as long as reading /proc takes; any thread.
 */
#pragma once

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct lv_process_usage {
    uint64_t cpu_ns;   /* user and system time of all threads that are alive */
    uint64_t resident; /* bytes */
    uint64_t peak;     /* bytes, since the last lv_process_reset_peak() */
};

/* The sum over all processes. -LV_E_NOT_FOUND names one that is gone. */
int lv_process_measure(const int *pids, size_t count, struct lv_process_usage *ret_usage,
                       struct lv_diag *diag) LV_MUST_CHECK;
/* Forgets the peaks; does nothing where it may not. */
void lv_process_reset_peak(const int *pids, size_t count);
/* This process: user and system time in ns. */
uint64_t lv_process_own_cpu(void);
