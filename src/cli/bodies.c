#include "cli/bodies.h"

#include "base/alloc.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define CAPACITY_MIN ((size_t)65536)

/* -1 for no separator: the whole stream is one body. */
void lv_bodies_init(struct lv_bodies *bodies, int fd, int separator)
{
    assert(fd >= 0);
    assert(separator >= -1);
    assert(separator <= UINT8_MAX);
    *bodies = (struct lv_bodies){.fd = fd, .separator = separator};
}

/* The descriptor stays the caller's. */
void lv_bodies_fini(struct lv_bodies *bodies)
{
    assert(bodies != NULL);
    lv_free(bodies->data);
    bodies->data = NULL;
}

/* Hands out `size` bytes and passes over them and a separator of `extra` bytes. */
static int hand_out(struct lv_bodies *bodies, size_t size, size_t extra, struct lv_bytes *ret_body)
{
    assert(bodies->start + size + extra <= bodies->end);
    *ret_body = lv_bytes(bodies->data + bodies->start, size);
    bodies->start += size + extra;
    bodies->searched = 0;
    return 1;
}

/* Looks only at bytes that were not looked at before, so a long body is not searched again and
 * again. */
int lv_bodies_next(struct lv_bodies *bodies, struct lv_bytes *ret_body)
{
    size_t left = bodies->end - bodies->start;
    const uint8_t *begin = left > 0 ? bodies->data + bodies->start : NULL;

    assert(bodies->searched <= left);
    if (bodies->separator >= 0 && left > bodies->searched) {
        const uint8_t *found =
            memchr(begin + bodies->searched, bodies->separator, left - bodies->searched);

        if (found != NULL)
            return hand_out(bodies, (size_t)(found - begin), 1, ret_body);
        bodies->searched = left;
    }
    if (!bodies->ended)
        return 0;
    if (bodies->separator >= 0 && left == 0)
        return -LV_E_CLOSED;
    if (bodies->separator < 0) {
        if (bodies->searched > 0 || bodies->start > 0)
            return -LV_E_CLOSED; /* the one body was handed out */
        (void)hand_out(bodies, left, 0, ret_body);
        bodies->start = bodies->end = 0;
        bodies->separator = 0; /* nothing is left: the next answer is the end */
        return 1;
    }
    return hand_out(bodies, left, 0, ret_body);
}

/* Moves what is left to the front; doubles only when that does not make enough room. */
static int grow(struct lv_bodies *bodies)
{
    size_t left = bodies->end - bodies->start;
    size_t capacity = bodies->capacity == 0 ? CAPACITY_MIN : bodies->capacity * 2;
    uint8_t *data;

    assert(bodies->start <= bodies->end);
    if (bodies->start > 0) {
        memmove(bodies->data, bodies->data + bodies->start, left);
        bodies->start = 0;
        bodies->end = left;
    }
    if (bodies->capacity - bodies->end > bodies->capacity / 2)
        return 0;
    data = lv_realloc(bodies->data, capacity);
    if (data == NULL)
        return -LV_E_NOMEM;
    bodies->data = data;
    bodies->capacity = capacity;
    return 0;
}

/* Blocks as reading does; who must answer a broker meanwhile waits for the descriptor first. */
int lv_bodies_fill(struct lv_bodies *bodies, struct lv_diag *diag)
{
    ssize_t got;

    assert(!bodies->ended);
    if (bodies->end - bodies->start > LV_BODY_SIZE_MAX)
        return lv_fail(diag, -LV_E_CONTENT_TOO_LARGE, "a body of more than 512 MiB");
    if (bodies->end == bodies->capacity && grow(bodies) < 0)
        return lv_fail(diag, -LV_E_NOMEM, "out of memory");
    do
        got = read(bodies->fd, bodies->data + bodies->end, bodies->capacity - bodies->end);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return lv_fail(diag, -LV_E_IO, "cannot read: %s", strerror(errno));
    bodies->ended = got == 0;
    bodies->end += (size_t)got;
    return 0;
}
