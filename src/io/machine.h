/*
 * io/machine.h - what this machine has and allows. Any thread.
 */
#pragma once

#include <stdint.h>

/* Processors that this process may use. At least 1. */
unsigned lv_machine_cpus(void);
/* Bytes of memory that there are, or that the control group allows if that is less. */
uint64_t lv_machine_memory(void);
/* Bytes of memory that this process occupies now; 0 when unknown. */
uint64_t lv_machine_resident(void);
/* Raises the soft limit of open files to the hard one; returns what is in force. */
uint64_t lv_machine_raise_files(void);
/* Open files of this process, and how many it may have. */
void lv_machine_files(uint64_t *ret_used, uint64_t *ret_limit);
/* Eight bytes that nobody can guess. */
uint64_t lv_machine_random(void);
