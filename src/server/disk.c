#include "server/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static struct lv_file_disk *file_disk(struct lv_disk *disk)
{
    return lv_container(disk, struct lv_file_disk, disk);
}

/* What errno says, as store/disk.h has it. */
static int fail(struct lv_file_disk *disk)
{
    int error = errno;

    assert(error != 0);
    atomic_store_explicit(&disk->error, error, memory_order_relaxed);
    switch (error) {
    case ENOENT:
        return -LV_E_NOT_FOUND;
    case ENOSPC:
    case EDQUOT:
    case EFBIG: /* RLIMIT_FSIZE, or what the file system allows */
        return -LV_E_FULL;
    default:
        return -LV_E_IO;
    }
}

static int refuse_change(struct lv_file_disk *disk)
{
    assert(disk->is_read_only);
    errno = EROFS;
    return fail(disk);
}

static bool is_plain(const char *name)
{
    return name[0] != '\0' && strchr(name, '/') == NULL && strlen(name) < LV_DISK_NAME_SIZE;
}

static int open_file(struct lv_disk *base, const char *name, bool create, int *ret_file)
{
    struct lv_file_disk *disk = file_disk(base);
    int flags = O_CLOEXEC | (disk->is_read_only ? O_RDONLY : O_RDWR);
    int fd;

    assert(is_plain(name));
    if (create && disk->is_read_only)
        return refuse_change(disk);
    if (create)
        flags |= O_CREAT | O_TRUNC;
    do {
        fd = openat(disk->directory, name, flags, 0600);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return fail(disk);
    *ret_file = fd;
    return 0;
}

static void close_file(struct lv_disk *base, int file)
{
    (void)base;
    assert(file >= 0);
    close(file); /* what had to last was synced, so its result says nothing */
}

static int read_file(struct lv_disk *base, int file, uint64_t offset, void *buffer, size_t size,
                     size_t *ret_size)
{
    size_t done = 0;

    assert(offset <= INT64_MAX - size);
    while (done < size) {
        ssize_t count = pread(file, (char *)buffer + done, size - done, (off_t)(offset + done));

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return fail(file_disk(base));
        if (count == 0)
            break;
        done += (size_t)count;
    }
    *ret_size = done;
    return 0;
}

/* A call that wrote less than asked is followed by one that says why. */
static int write_file(struct lv_disk *base, int file, uint64_t offset, struct lv_bytes bytes)
{
    struct lv_file_disk *disk = file_disk(base);

    assert(offset <= INT64_MAX - bytes.size);
    if (disk->is_read_only)
        return refuse_change(disk);
    while (bytes.size > 0) {
        ssize_t count = pwrite(file, bytes.data, bytes.size, (off_t)offset);

        if (count < 0 && errno == EINTR)
            continue;
        if (count == 0)
            errno = EIO; /* a promise of POSIX was broken: no further is known */
        if (count <= 0)
            return fail(disk);
        offset += (uint64_t)count;
        bytes = lv_bytes(bytes.data + count, bytes.size - (size_t)count);
    }
    return 0;
}

/* Never -LV_E_FULL: space that was missing when the kernel wrote back lost bytes that are known to
 * nobody, so trying again later would not bring them back. */
static int sync_descriptor(struct lv_file_disk *disk, int fd, int (*sync)(int))
{
    int rc;

    assert(fd >= 0);
    do {
        rc = sync(fd);
    } while (rc < 0 && errno == EINTR);
    if (rc < 0)
        (void)fail(disk);
    return rc < 0 ? -LV_E_IO : 0;
}

static int sync_file(struct lv_disk *base, int file)
{
    struct lv_file_disk *disk = file_disk(base);

    return disk->is_read_only ? refuse_change(disk) : sync_descriptor(disk, file, fdatasync);
}

/* sync_file_range(2): not a flush, and no journal is written. */
static void write_back(struct lv_disk *base, int file, uint64_t offset, uint64_t size)
{
    const unsigned all =
        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;

    assert(!file_disk(base)->is_read_only);
    (void)sync_file_range(file, (off_t)offset, (off_t)size, all);
}

static int size_file(struct lv_disk *base, int file, uint64_t *ret_size)
{
    struct stat status;

    if (fstat(file, &status) < 0)
        return fail(file_disk(base));
    assert(status.st_size >= 0);
    *ret_size = (uint64_t)status.st_size;
    return 0;
}

static int rename_file(struct lv_disk *base, const char *from, const char *to)
{
    struct lv_file_disk *disk = file_disk(base);

    assert(is_plain(from));
    assert(is_plain(to));
    if (disk->is_read_only)
        return refuse_change(disk);
    return renameat(disk->directory, from, disk->directory, to) < 0 ? fail(disk) : 0;
}

static int remove_file(struct lv_disk *base, const char *name)
{
    struct lv_file_disk *disk = file_disk(base);

    assert(is_plain(name));
    if (disk->is_read_only)
        return refuse_change(disk);
    return unlinkat(disk->directory, name, 0) < 0 ? fail(disk) : 0;
}

static int sync_directory(struct lv_disk *base)
{
    struct lv_file_disk *disk = file_disk(base);

    return disk->is_read_only ? refuse_change(disk) : sync_descriptor(disk, disk->directory, fsync);
}

/* Other kinds of entries (sockets, a directory that somebody made) are none of the store's. */
static bool is_file(const struct lv_file_disk *disk, const struct dirent *entry)
{
    struct stat status;

    if (!is_plain(entry->d_name))
        return false;
    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_REG;
    return fstatat(disk->directory, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(status.st_mode);
}

/* readdir() moves the descriptor's position, so every listing has one of its own. */
static int list_files(struct lv_disk *base, lv_disk_each_fn *each, void *ctx)
{
    struct lv_file_disk *disk = file_disk(base);
    int fd = openat(disk->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;
    int rc = 0;

    assert(each != NULL);
    if (stream == NULL) {
        rc = fail(disk);
        if (fd >= 0)
            close(fd);
        return rc;
    }
    while (rc == 0 && (errno = 0, entry = readdir(stream)) != NULL) {
        if (is_file(disk, entry))
            rc = each(ctx, entry->d_name);
    }
    if (rc == 0 && errno != 0)
        rc = fail(disk);
    closedir(stream);
    return rc;
}

static int free_space(struct lv_disk *base, uint64_t *ret_size)
{
    struct lv_file_disk *disk = file_disk(base);
    struct statvfs status;

    assert(ret_size != NULL);
    if (fstatvfs(disk->directory, &status) < 0)
        return fail(disk);
    *ret_size = (uint64_t)status.f_bavail * status.f_frsize; /* what root alone may use is none */
    return 0;
}

static const struct lv_disk_ops file_ops = {
    .open = open_file,
    .close = close_file,
    .read = read_file,
    .write = write_file,
    .sync = sync_file,
    .write_back = write_back,
    .size = size_file,
    .rename = rename_file,
    .remove = remove_file,
    .sync_directory = sync_directory,
    .list = list_files,
    .free_space = free_space,
};

int lv_file_disk_open(struct lv_file_disk *disk, const char *directory, struct lv_diag *diag)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert(directory[0] != '\0');
    if (fd < 0)
        return lv_fail(diag, errno == ENOENT ? -LV_E_NOT_FOUND : -LV_E_IO,
                       "can't open the directory %s: %s", directory, strerror(errno));
    *disk = (struct lv_file_disk){.disk.ops = &file_ops, .directory = fd};
    return 0;
}

int lv_file_disk_open_read_only(struct lv_file_disk *disk, const char *directory,
                                struct lv_diag *diag)
{
    int rc = lv_file_disk_open(disk, directory, diag);

    if (rc == 0)
        disk->is_read_only = true;
    return rc;
}

void lv_file_disk_close(struct lv_file_disk *disk)
{
    assert(disk->directory >= 0);
    close(disk->directory);
    disk->directory = -1;
}
