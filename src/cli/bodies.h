/*
 * cli/bodies.h - where the bodies of messages to publish come from: a stream cut at a byte, or
 * whole.
 *
 * Reading is done when the caller knows that the descriptor can be read, so that it may wait for
 * other things too. Main thread.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

#define LV_BODY_SIZE_MAX ((size_t)512 << 20) /* the protocol's limit in RabbitMQ */

/* The buffer holds the bodies that have come and are not taken yet, and grows with the longest. */
struct lv_bodies {
    int fd;
    int separator; /*       the byte between bodies, or -1: all is one body */
    bool ended;    /*       the stream, not what is in the buffer */
    uint8_t *data; /* own */
    size_t start, end, capacity;
    size_t searched; /*     bytes from `start` on that hold no separator */
};

/* `separator` is a byte, or -1 for none. */
void lv_bodies_init(struct lv_bodies *bodies, int fd, int separator);
/* Does not close the descriptor. */
void lv_bodies_fini(struct lv_bodies *bodies);

/* 1 and the next body, a view until the next call; 0 when more has to be read first; -LV_E_CLOSED
 * after the last one. An end without a separator before it ends a body too. */
int lv_bodies_next(struct lv_bodies *bodies, struct lv_bytes *ret_body) LV_MUST_CHECK;
/* Reads once. -LV_E_NOMEM, -LV_E_CONTENT_TOO_LARGE or -LV_E_IO. */
int lv_bodies_fill(struct lv_bodies *bodies, struct lv_diag *diag) LV_MUST_CHECK;
