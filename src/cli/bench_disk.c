#include "cli/bench_disk.h"

#include "base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FILE_SIZE  ((uint64_t)64 << 20)
#define ZEROS_SIZE ((size_t)1 << 20)
#define PATH_SIZE  4096u

/* Zeros that are written: blocks which fallocate() only promises cost a journal entry later. */
static int fill(int fd)
{
    uint8_t *zeros = lv_calloc(1, ZEROS_SIZE);
    uint64_t at = 0;

    if (zeros == NULL)
        return -LV_E_NOMEM;
    while (at < FILE_SIZE) {
        ssize_t written = pwrite(fd, zeros, ZEROS_SIZE, (off_t)at);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            break;
        at += (uint64_t)written;
    }
    lv_free(zeros);
    assert(at <= FILE_SIZE);
    return at == FILE_SIZE && fsync(fd) == 0 ? 0 : -LV_E_IO;
}

int lv_bench_disk_open(const char *directory, struct lv_bench_disk *ret_disk, struct lv_diag *diag)
{
    char path[PATH_SIZE];
    int fd, rc;

    assert(directory != NULL);
    if (snprintf(path, sizeof path, "%s/leveret-bench-%ld", directory, (long)getpid()) >=
        (int)sizeof path)
        return lv_fail(diag, -LV_E_IO, "the directory's name is too long");
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return lv_fail(diag, -LV_E_IO, "%s: %s", path, strerror(errno));
    (void)unlink(path);
    rc = fill(fd);
    if (rc < 0) {
        rc = lv_fail(diag, rc, "%s: %s", path, strerror(errno));
        (void)close(fd);
        return rc;
    }
    *ret_disk = (struct lv_bench_disk){.fd = fd};
    return 0;
}

void lv_bench_disk_close(struct lv_bench_disk *disk)
{
    assert(disk != NULL);
    if (disk->fd >= 0)
        (void)close(disk->fd);
    disk->fd = -1;
}

/* Goes on behind the bytes that were written. */
static void skip(struct iovec **pieces, size_t *count, size_t written)
{
    while (*count > 0 && written >= (*pieces)->iov_len) {
        written -= (*pieces)->iov_len;
        (*pieces)++;
        (*count)--;
    }
    assert(written == 0 || *count > 0);
    if (written > 0) {
        (*pieces)->iov_base = (uint8_t *)(*pieces)->iov_base + written;
        (*pieces)->iov_len -= written;
    }
}

int lv_bench_disk_append(struct lv_bench_disk *disk, struct iovec *pieces, size_t count)
{
    uint64_t size = 0;

    assert(disk->fd >= 0);
    for (size_t i = 0; i < count; i++)
        size += pieces[i].iov_len;
    if (size > FILE_SIZE)
        return -LV_E_IO;
    if (disk->at + size > FILE_SIZE)
        disk->at = 0;
    while (count > 0) {
        ssize_t written = pwritev(disk->fd, pieces, (int)count, (off_t)disk->at);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return -LV_E_IO;
        disk->at += (uint64_t)written;
        skip(&pieces, &count, (size_t)written);
    }
    assert(disk->at <= FILE_SIZE);
    return 0;
}

int lv_bench_disk_sync(struct lv_bench_disk *disk)
{
    assert(disk->fd >= 0);
    return fdatasync(disk->fd) == 0 ? 0 : -LV_E_IO;
}
