#include "io/notify.h"

#include "base/deadline.h"
#include "base/text.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* Longer than any manager waits; so it fits into nanoseconds. */
#define WATCHDOG_US_MAX (UINT64_C(1) << 50)

/* The form that connect() takes. */
union sockaddr_notify {
    struct sockaddr any;
    struct sockaddr_un local;
};

/* A path, or a name in the abstract space, written with @ in place of its zero byte (unix(7)). */
static int read_address(const char *text, union sockaddr_notify *address, socklen_t *ret_size,
                        struct lv_diag *diag)
{
    size_t size = strlen(text);

    memset(address, 0, sizeof *address);
    if ((text[0] != '/' && text[0] != '@') || size < 2 || size >= sizeof address->local.sun_path)
        return lv_fail(diag, -LV_E_USAGE,
                       "NOTIFY_SOCKET is no path and no @name of at most %zu bytes: \"%.120s\"",
                       sizeof address->local.sun_path - 1, text);
    address->local.sun_family = AF_UNIX;
    memcpy(address->local.sun_path, text, size);
    if (text[0] == '@')
        address->local.sun_path[0] = '\0';
    /* An abstract name is as long as the address says, so no byte may be too many. */
    *ret_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    assert(*ret_size < sizeof address->local);
    return 0;
}

/* sd_watchdog_enabled(3): WATCHDOG_PID says whom the manager means, if it is there. */
static int read_watchdog(uint64_t *ret_ns, struct lv_diag *diag)
{
    const char *time = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    uint64_t us, number;

    assert(ret_ns != NULL);
    *ret_ns = 0;
    if (time == NULL)
        return 0;
    if (pid != NULL && (lv_text_number(pid, &number) < 0 || number != (uint64_t)getpid()))
        return 0;
    if (lv_text_number(time, &us) < 0 || us == 0 || us > WATCHDOG_US_MAX)
        return lv_fail(diag, -LV_E_USAGE, "WATCHDOG_USEC is no time in microseconds: \"%.40s\"",
                       time);
    *ret_ns = us * 1000;
    return 0;
}

/* Who does not take what we say for a second holds us up no longer. */
static int connect_to(const union sockaddr_notify *address, socklen_t size)
{
    const struct timeval patience = {.tv_sec = 1};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert(size > 0);
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0 &&
        connect(fd, &address->any, size) == 0)
        return fd;
    if (fd >= 0) {
        int error = errno;

        close(fd);
        return -error;
    }
    return -errno;
}

int lv_notify_open(struct lv_notify *ret_notify, struct lv_diag *diag)
{
    const char *text = getenv("NOTIFY_SOCKET");
    struct lv_notify notify = {.fd = -1};
    union sockaddr_notify address;
    socklen_t size = 0;
    int rc = 0;

    assert(ret_notify != NULL);
    if (text != NULL && text[0] != '\0') {
        rc = read_address(text, &address, &size, diag);
        if (rc == 0)
            rc = read_watchdog(&notify.watchdog_ns, diag);
        if (rc < 0)
            return rc;
        notify.fd = connect_to(&address, size);
        if (notify.fd < 0)
            return lv_fail(diag, -LV_E_IO, "can't reach the service manager at %s: %s", text,
                           strerror(-notify.fd));
    }
    *ret_notify = notify;
    return 0;
}

void lv_notify_close(struct lv_notify *notify)
{
    assert(notify->fd >= -1);
    if (notify->fd >= 0)
        close(notify->fd);
    notify->fd = -1;
}

int lv_notify_send(const struct lv_notify *notify, const char *lines)
{
    size_t size = strlen(lines);
    ssize_t sent;

    assert(size > 0);
    if (notify->fd < 0)
        return 0;
    do
        sent = send(notify->fd, lines, size, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)size ? 0 : -LV_E_IO;
}
