#include "io/file.h"

#include "base/alloc.h"
#include "base/text.h"
#include "io/holder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* For the owner and the group: what lies in it is nobody else's business. */
static int make_one(const char *path)
{
    assert(path[0] != '\0');
    return mkdir(path, 0750) < 0 && errno != EEXIST ? -errno : 0;
}

int lv_directory_make(const char *path, struct lv_diag *diag)
{
    char *copy = lv_strndup(path, strlen(path));
    struct stat status;
    int error = 0;

    assert(path[0] != '\0');
    if (copy == NULL)
        return -LV_E_NOMEM;
    for (char *slash = strchr(copy + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        make_one(copy); /* what matters is whether the last one is there */
        *slash = '/';
    }
    error = make_one(copy);
    if (error == 0 && stat(copy, &status) == 0 && !S_ISDIR(status.st_mode))
        error = -ENOTDIR;
    lv_free(copy);
    if (error < 0)
        return lv_fail(diag, -LV_E_IO, "can't make the directory %s: %s", path, strerror(-error));
    return 0;
}

/* Bytes read, up to `max`; negative: -errno. */
static ssize_t read_all(int fd, char *text, size_t max)
{
    size_t size = 0;

    while (size < max) {
        ssize_t count = read(fd, text + size, max - size);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        if (count == 0)
            break;
        size += (size_t)count;
    }
    assert(size <= max);
    return (ssize_t)size;
}

/* Reads up to a limit instead of asking for the size: files of /proc have none. */
int lv_file_read(const char *path, size_t max, char **ret_text, size_t *ret_size,
                 struct lv_diag *diag)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *text = NULL;
    ssize_t size;
    int rc;

    assert(max > 0);
    if (fd < 0)
        return lv_fail(diag, -LV_E_IO, "can't read %s: %s", path, strerror(errno));
    text = lv_alloc(max + 1);
    rc = -LV_E_NOMEM;
    if (text == NULL)
        goto fail;
    size = read_all(fd, text, max + 1);
    rc = size < 0 ? lv_fail(diag, -LV_E_IO, "can't read %s: %s", path, strerror((int)-size)) : 0;
    if (rc == 0 && (size_t)size > max)
        rc = lv_fail(diag, -LV_E_RESOURCE, "%s is longer than %zu bytes", path, max);
    if (rc < 0)
        goto fail;
    close(fd);
    text[size] = '\0';
    *ret_text = text;
    *ret_size = (size_t)size;
    return 0;
fail:
    lv_free(text);
    close(fd);
    return rc;
}

/* The process that wrote its number into the lock file. */
static int fail_locked(const char *path, struct lv_diag *diag)
{
    char holder[LV_HOLDER_TEXT_SIZE];
    uint64_t pid;
    size_t size;
    char *text = NULL;

    if (lv_file_read(path, 32, &text, &size, NULL) < 0)
        return lv_fail(diag, -LV_E_LOCKED, "%s is locked by another process", path);
    assert(text != NULL);
    text[strcspn(text, "\n")] = '\0';
    if (lv_text_number(text, &pid) < 0)
        lv_fail(diag, -LV_E_LOCKED, "%s is locked by another process", path);
    else
        lv_fail(diag, -LV_E_LOCKED, "%s is locked by %s", path, lv_process_text(pid, holder));
    lv_free(text);
    return -LV_E_LOCKED;
}

/* flock() belongs to the open file, so it ends with the process however that ends, and a file that
 * was left behind by one that was killed is simply taken. */
int lv_file_lock(const char *path, int *ret_fd, struct lv_diag *diag)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    char pid[32];
    int size = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());

    assert(path[0] != '\0');
    if (fd < 0)
        return lv_fail(diag, -LV_E_IO, "can't write %s: %s", path, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        close(fd);
        return fail_locked(path, diag);
    }
    if (ftruncate(fd, 0) < 0 || write(fd, pid, (size_t)size) != size) {
        lv_fail(diag, -LV_E_IO, "can't write %s: %s", path, strerror(errno));
        close(fd);
        return -LV_E_IO;
    }
    *ret_fd = fd;
    return 0;
}

void lv_file_unlock(const char *path, int fd)
{
    assert(fd >= 0);
    unlink(path); /* before it is free: afterwards it may be another's */
    close(fd);
}
