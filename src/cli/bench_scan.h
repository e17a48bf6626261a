/*
 * cli/bench_scan.h - reads a stream of deliveries and looks at no more than it has to.
 *
 * A consumer of the load generator gets millions of messages a second. The scanner walks over
 * frames, takes tag, body size and the body's first bytes, and passes over the rest of a body
 * without needing it in one piece. It trusts the broker in the fields it does not look at. Pure.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

#include <sys/types.h>

struct lv_scan;

/* A message has come whole: tag, identity and the rest stand in `scan`. */
typedef void lv_scan_message_fn(void *ctx, const struct lv_scan *scan);

/* All zeros, but for the functions, is the start. */
struct lv_scan {
    lv_scan_message_fn *message;
    void *ctx;
    uint64_t tag;       /* delivery tag of the message */
    uint64_t body_size; /* as announced */
    uint64_t body_seen; /* bytes of it that have come */
    uint64_t skip;      /* bytes of a body frame, its end included, still to be passed over */
    uint64_t identity;  /* the body's first eight bytes, as they lie there */
    uint64_t stamp;     /* its second eight bytes */
    bool redelivered;
};

/* Takes bytes; returns how many were used. The rest, less than a frame other than a body, must be
 * presented again with what follows it. An error when the broker breaks the protocol, closes the
 * channel or the connection, or cancels the consumer. */
ssize_t lv_scan_input(struct lv_scan *scan, struct lv_bytes input, struct lv_diag *diag)
    LV_MUST_CHECK;

/* Bytes of a body that the scanner does not want to see; the host may drop them unread. */
size_t lv_scan_unwanted(const struct lv_scan *scan);
/* `size` of the unwanted bytes were taken from the stream by the host. */
void lv_scan_dropped(struct lv_scan *scan, size_t size);
