/*
 * cli/output.h - standard output for messages: buffered, and patient with slow readers.
 *
 * While the reader of a pipe takes its time the broker still gets heartbeats. A reader that has
 * gone is an error that the caller ends with. Main thread.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "client/driver.h"

/* Gathers small writes: one system call for many messages. */
struct lv_output {
    int fd;
    struct lv_driver *driver; /* view  kept alive; may be NULL */
    int error;                /*       0, or why nothing is written any more */
    size_t size;              /*       bytes that wait */
    uint8_t buffer[65536];
};

/* Borrows the descriptor and the driver, which may be NULL. */
void lv_output_init(struct lv_output *output, int fd, struct lv_driver *driver);
/* Errors are kept until the flush. */
void lv_output_put(struct lv_output *output, struct lv_bytes bytes);
/* The string without its end. */
void lv_output_text(struct lv_output *output, const char *text);
/* At most 511 bytes. */
void lv_output_print(struct lv_output *output, const char *fmt, ...) LV_PRINTF(2, 3);
/* -LV_E_CLOSED: the reader has gone; -LV_E_IO: the disk is full or the like. */
int lv_output_flush(struct lv_output *output) LV_MUST_CHECK;
