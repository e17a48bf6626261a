#include "io/local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* Connections that may wait for accept. */
#define BACKLOG 64

/* The form that bind() and connect() take. */
union sockaddr_local {
    struct sockaddr any;
    struct sockaddr_un local;
};

/* An address holds 107 bytes, a directory's name may be longer: so the directory is opened, and
 * /proc leads there by a short way. Returns the directory's descriptor, to be closed afterwards. */
static int name_address(const char *directory, const char *name, union sockaddr_local *address)
{
    int fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC), size;

    assert(name[0] != '\0');
    if (fd < 0)
        return -errno;
    memset(address, 0, sizeof *address);
    address->local.sun_family = AF_UNIX;
    size = snprintf(address->local.sun_path, sizeof address->local.sun_path, "/proc/self/fd/%d/%s",
                    fd, name);
    if (size < 0 || (size_t)size >= sizeof address->local.sun_path) {
        close(fd);
        return -ENAMETOOLONG;
    }
    return fd;
}

/* What was left behind goes: the caller has made sure that nobody listens there. The mode is that
 * of the socket before it has a name, so there is no moment at which others could connect. */
static int bind_and_listen(int fd, int directory, const char *name,
                           const union sockaddr_local *address)
{
    assert(fd >= 0);
    if (unlinkat(directory, name, 0) < 0 && errno != ENOENT)
        return -errno;
    if (fchmod(fd, S_IRUSR | S_IWUSR) < 0 || bind(fd, &address->any, sizeof address->local) < 0 ||
        listen(fd, BACKLOG) < 0)
        return -errno;
    return 0;
}

int lv_local_listen(const char *directory, const char *name, int *ret_fd, struct lv_diag *diag)
{
    union sockaddr_local address;
    int at = name_address(directory, name, &address), rc = at, fd = -1;

    assert(ret_fd != NULL);
    if (at >= 0) {
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        rc = fd < 0 ? -errno : bind_and_listen(fd, at, name, &address);
        close(at);
    }
    if (rc < 0) {
        if (fd >= 0)
            close(fd);
        return lv_fail(diag, -LV_E_IO, "can't listen on %s/%s: %s", directory, name, strerror(-rc));
    }
    *ret_fd = fd;
    return 0;
}

int lv_local_accept(int fd, int *ret_fd)
{
    int accepted = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    assert(ret_fd != NULL);
    if (accepted < 0) {
        if (errno == EAGAIN)
            return -LV_E_TIMEOUT;
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
            return -LV_E_RESOURCE;
        return -LV_E_IO;
    }
    *ret_fd = accepted;
    return 0;
}

/* Says what can be done about it. */
static int fail_connect(const char *directory, const char *name, int error, struct lv_diag *diag)
{
    assert(error > 0);
    if (error == ENOENT || error == ECONNREFUSED || error == ENOTDIR)
        return lv_fail(diag, -LV_E_NOT_FOUND, "nobody listens on %s/%s", directory, name);
    if (error == EAGAIN)
        return lv_fail(diag, -LV_E_TIMEOUT, "%s/%s takes nobody in", directory, name);
    if (error == EACCES || error == EPERM)
        return lv_fail(diag, -LV_E_ACCESS_REFUSED,
                       "%s/%s is for the user that the broker runs as, and for root", directory,
                       name);
    return lv_fail(diag, -LV_E_IO, "can't connect to %s/%s: %s", directory, name, strerror(error));
}

/* Blocks while the queue of those who wait is full; what comes afterwards doesn't. */
int lv_local_connect(const char *directory, const char *name, uint32_t timeout_ms, int *ret_fd,
                     struct lv_diag *diag)
{
    const struct timeval patience = {timeout_ms / 1000, timeout_ms % 1000 * 1000L};
    union sockaddr_local address;
    int at = name_address(directory, name, &address), error = at < 0 ? -at : 0, fd;

    assert(ret_fd != NULL);
    if (error != 0)
        return fail_connect(directory, name, error, diag);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) < 0 ||
        connect(fd, &address.any, sizeof address.local) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        error = errno;
    close(at);
    if (error != 0) {
        if (fd >= 0)
            close(fd);
        return fail_connect(directory, name, error, diag);
    }
    *ret_fd = fd;
    return 0;
}

int lv_local_peer(int fd, struct lv_local_peer *ret_peer)
{
    struct ucred credentials;
    socklen_t size = sizeof credentials;

    assert(ret_peer != NULL);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
        return -LV_E_IO;
    *ret_peer =
        (struct lv_local_peer){.pid = (uint64_t)credentials.pid, .uid = (uint64_t)credentials.uid};
    return 0;
}

void lv_local_remove(const char *directory, const char *name)
{
    int fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);

    assert(name[0] != '\0');
    if (fd < 0)
        return; /* it is gone with the directory */
    unlinkat(fd, name, 0);
    close(fd);
}
