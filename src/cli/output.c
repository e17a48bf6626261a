#include "cli/output.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A pipe that can be written takes this much without blocking: pipe(7). */
#define WRITE_SIZE  ((size_t)PIPE_BUF)
#define PATIENCE_MS 500

void lv_output_init(struct lv_output *output, int fd, struct lv_driver *driver)
{
    assert(fd >= 0);
    output->fd = fd;
    output->driver = driver;
    output->error = 0;
    output->size = 0;
}

/* Waits until a write would not block. */
static void await_reader(struct lv_output *output)
{
    struct pollfd poller = {.fd = output->fd, .events = POLLOUT};

    assert(output->error == 0);
    while (poll(&poller, 1, PATIENCE_MS) == 0)
        if (output->driver != NULL)
            lv_driver_keep_alive(output->driver);
}

/* Small writes behind a poll: a pipe that is ready takes PIPE_BUF bytes without blocking, so the
 * connection is never left alone for longer than the poll lasts. */
static void write_all(struct lv_output *output, struct lv_bytes bytes)
{
    while (bytes.size > 0 && output->error == 0) {
        ssize_t written;

        await_reader(output);
        written = write(output->fd, bytes.data, bytes.size < WRITE_SIZE ? bytes.size : WRITE_SIZE);
        if (written < 0 && errno != EINTR && errno != EAGAIN)
            output->error = errno == EPIPE ? -LV_E_CLOSED : -LV_E_IO;
        if (written > 0)
            bytes = lv_bytes(bytes.data + written, bytes.size - (size_t)written);
    }
    assert(bytes.size == 0 || output->error < 0);
}

int lv_output_flush(struct lv_output *output)
{
    write_all(output, lv_bytes(output->buffer, output->size));
    assert(output->size <= sizeof output->buffer);
    output->size = 0;
    return output->error;
}

void lv_output_put(struct lv_output *output, struct lv_bytes bytes)
{
    if (bytes.size > sizeof output->buffer - output->size && lv_output_flush(output) < 0)
        return;
    if (bytes.size > sizeof output->buffer) {
        write_all(output, bytes);
        return;
    }
    assert(output->size + bytes.size <= sizeof output->buffer);
    if (bytes.size > 0)
        memcpy(output->buffer + output->size, bytes.data, bytes.size);
    output->size += bytes.size;
}

void lv_output_text(struct lv_output *output, const char *text)
{
    assert(text != NULL);
    lv_output_put(output, lv_text(text));
}

void lv_output_print(struct lv_output *output, const char *fmt, ...)
{
    char text[512];
    va_list args;
    int size;

    va_start(args, fmt);
    size = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    assert(size >= 0);
    assert((size_t)size < sizeof text);
    lv_output_put(output, lv_bytes(text, (size_t)size));
}
