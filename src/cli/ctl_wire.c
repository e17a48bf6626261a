#include "cli/ctl_wire.h"

#include "admin/control.h"
#include "base/alloc.h"
#include "base/deadline.h"
#include "io/clock.h"
#include "io/local.h"
#include "io/socket.h"

#include <limits.h>
#include <string.h>

/* One row at most: an argument table of the largest size, written with all that JSON needs. */
#define LINE_MAX_SIZE ((size_t)64 << 20)
#define BUFFER_MIN    ((size_t)64 * 1024)

int lv_ctl_wire_open(struct lv_ctl_wire *wire, const char *directory, uint64_t deadline,
                     struct lv_diag *diag)
{
    uint64_t now = lv_clock_now(), left_ms = 1; /* 0 would be for ever */

    assert(directory != NULL);
    *wire = (struct lv_ctl_wire){.fd = -1, .deadline = deadline};
    if (deadline > now + LV_NS_PER_MS)
        left_ms = (deadline - now) / LV_NS_PER_MS;
    return lv_local_connect(directory, LV_CONTROL_NAME,
                            left_ms < UINT32_MAX ? (uint32_t)left_ms : UINT32_MAX, &wire->fd, diag);
}

void lv_ctl_wire_close(struct lv_ctl_wire *wire)
{
    assert(wire->begin <= wire->end);
    if (wire->fd >= 0)
        lv_socket_close(wire->fd);
    lv_free(wire->buffer);
    *wire = (struct lv_ctl_wire){.fd = -1};
}

/* Until the descriptor is ready or the time is up. */
static int wait(const struct lv_ctl_wire *wire, bool for_write, struct lv_diag *diag)
{
    uint64_t now = lv_clock_now(), left_ms = INT_MAX;

    assert(wire->fd >= 0);
    if (wire->deadline <= now)
        return lv_fail(diag, -LV_E_TIMEOUT, "timed out");
    if (wire->deadline != LV_NEVER && (wire->deadline - now) / LV_NS_PER_MS < INT_MAX)
        left_ms = (wire->deadline - now) / LV_NS_PER_MS + 1;
    if (lv_socket_wait(wire->fd, for_write, (int)left_ms) < 0)
        return lv_fail(diag, -LV_E_TIMEOUT, "timed out");
    return 0;
}

static int send_all(const struct lv_ctl_wire *wire, const char *text, size_t size,
                    struct lv_diag *diag)
{
    size_t done = 0;

    assert(size > 0);
    while (done < size) {
        struct lv_bytes piece = lv_bytes(text + done, size - done);
        ssize_t sent = lv_socket_write(wire->fd, &piece, 1);
        int rc = sent == 0 ? wait(wire, true, diag) : 0;

        if (sent < 0)
            return lv_fail(diag, -LV_E_CLOSED, "the broker has ended the connection");
        if (rc < 0)
            return rc;
        done += (size_t)sent;
    }
    return 0;
}

int lv_ctl_wire_send(struct lv_ctl_wire *wire, json_t *request, struct lv_diag *diag)
{
    char text[LV_CONTROL_REQUEST_MAX];
    size_t size = request == NULL ? 0 : json_dumpb(request, text, sizeof text, JSON_COMPACT);
    int rc;

    json_decref(request);
    if (size == 0)
        return lv_fail(diag, -LV_E_SYNTAX, "the request can't be written; is a name not UTF-8?");
    if (size >= sizeof text)
        return lv_fail(diag, -LV_E_SYNTAX, "the request is too long");
    assert(memchr(text, '\n', size) == NULL);
    text[size] = '\n';
    rc = send_all(wire, text, size + 1, diag);
    explicit_bzero(text, size);
    return rc;
}

int lv_ctl_wire_write(struct lv_ctl_wire *wire, const void *bytes, size_t size,
                      struct lv_diag *diag)
{
    assert(bytes != NULL);
    return send_all(wire, bytes, size, diag);
}

/* Room for more behind what is there. */
static int make_room(struct lv_ctl_wire *wire, struct lv_diag *diag)
{
    size_t size = wire->end - wire->begin, capacity;
    char *buffer;

    if (wire->begin > 0 && size > 0)
        memmove(wire->buffer, wire->buffer + wire->begin, size);
    wire->begin = 0;
    wire->end = size;
    if (wire->capacity - size >= BUFFER_MIN / 2)
        return 0;
    capacity = wire->capacity == 0 ? BUFFER_MIN : 2 * wire->capacity;
    if (capacity > LINE_MAX_SIZE)
        return lv_fail(diag, -LV_E_SYNTAX, "the broker's answer is too long");
    buffer = lv_realloc(wire->buffer, capacity);
    if (buffer == NULL)
        return lv_fail(diag, -LV_E_NOMEM, "out of memory");
    wire->buffer = buffer;
    wire->capacity = capacity;
    assert(wire->end < wire->capacity);
    return 0;
}

/* At least one byte more. */
static int read_more(struct lv_ctl_wire *wire, struct lv_diag *diag)
{
    ssize_t count = 0;
    int rc = make_room(wire, diag);

    while (rc == 0 && count == 0) {
        count = lv_socket_read(wire->fd, wire->buffer + wire->end, wire->capacity - wire->end);
        if (count == 0)
            rc = wait(wire, false, diag);
    }
    if (rc < 0)
        return rc;
    if (count < 0)
        return lv_fail(diag, -LV_E_CLOSED, "the broker has ended the connection");
    wire->end += (size_t)count;
    assert(wire->end <= wire->capacity);
    return 0;
}

/* The buffer begins with a whole line of *ret_size bytes and its end. */
static int read_line(struct lv_ctl_wire *wire, size_t *ret_size, struct lv_diag *diag)
{
    size_t seen = 0; /* bytes that hold no end of line */

    assert(wire->fd >= 0);
    for (;;) {
        size_t size = wire->end - wire->begin;
        int rc;

        for (; seen < size; seen++) {
            if (wire->buffer[wire->begin + seen] == '\n') {
                *ret_size = seen;
                return 0;
            }
        }
        rc = read_more(wire, diag);
        if (rc < 0)
            return rc;
    }
}

int lv_ctl_wire_read(struct lv_ctl_wire *wire, void *bytes, size_t size, struct lv_diag *diag)
{
    uint8_t *to = bytes;

    assert(bytes != NULL);
    while (size > 0) {
        size_t there = wire->end - wire->begin;
        size_t piece = there < size ? there : size;
        int rc = there == 0 ? read_more(wire, diag) : 0;

        if (rc < 0)
            return rc;
        to = lv_put_bytes(to, lv_bytes(wire->buffer + wire->begin, piece));
        wire->begin += piece;
        size -= piece;
    }
    return 0;
}

int lv_ctl_wire_next(struct lv_ctl_wire *wire, json_t **ret_value, struct lv_diag *diag)
{
    const char *line;
    size_t size;
    int rc = read_line(wire, &size, diag);

    assert(ret_value != NULL);
    if (rc < 0)
        return rc;
    line = wire->buffer + wire->begin;
    wire->begin += size + 1;
    *ret_value = json_loadb(line, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (*ret_value == NULL)
        return lv_fail(diag, -LV_E_SYNTAX, "the broker's answer can't be read");
    return 0;
}
