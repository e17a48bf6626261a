#include "io/socket.h"

#include "base/deadline.h"
#include "io/clock.h"
#include "io/holder.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* Connections that may wait for accept; the kernel cuts it to net.core.somaxconn. */
#define BACKLOG 4096
/* What is thrown away at a close at most: reading for ever would serve a peer that sends for ever.
 */
#define DISCARD_MAX 16u
/* Addresses of one name that are tried. */
#define HOST_ADDRESSES 16u

/* One of the two forms, as big as it is. */
union sockaddr_any {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* Returns the size of the form that was chosen. */
static socklen_t to_system(const struct lv_address *from, int family, union sockaddr_any *to)
{
    memset(to, 0, sizeof *to);
    if (family == AF_INET) {
        to->v4.sin_family = AF_INET;
        to->v4.sin_port = htons(from->port);
        memcpy(&to->v4.sin_addr, from->ip + 12, 4);
        return sizeof to->v4;
    }
    assert(family == AF_INET6);
    to->v6.sin6_family = AF_INET6;
    to->v6.sin6_port = htons(from->port);
    memcpy(&to->v6.sin6_addr, from->ip, sizeof from->ip);
    return sizeof to->v6;
}

/* The other way round; zeros for a family that nobody listens on here. */
static struct lv_address from_system(const union sockaddr_any *from)
{
    struct lv_address address = {0};

    if (from->any.sa_family == AF_INET) {
        address.ip[10] = address.ip[11] = 0xff;
        memcpy(address.ip + 12, &from->v4.sin_addr, 4);
        address.port = ntohs(from->v4.sin_port);
    } else if (from->any.sa_family == AF_INET6) {
        memcpy(address.ip, &from->v6.sin6_addr, sizeof address.ip);
        address.port = ntohs(from->v6.sin6_port);
    }
    return address;
}

/* Options that any TCP socket has, so that they can only fail when the peer has broken off. */
static void set_option(int fd, int level, int option, int value)
{
    int rc = setsockopt(fd, level, option, &value, sizeof value);

    assert(rc == 0 || errno == EINVAL); /* EINVAL: the peer has gone already */
    (void)rc;
}

/* Flags at once, so that no other thread's fork() can come between. */
static int open_socket(int family)
{
    assert(family == AF_INET || family == AF_INET6);
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* Says what the operator can do something about: who has the port, or that it is not ours. */
static int fail_listen(const struct lv_address *address, int error, struct lv_diag *diag)
{
    char text[LV_ADDRESS_TEXT_SIZE], holder[LV_HOLDER_TEXT_SIZE];

    assert(error != 0);
    lv_address_text(address, text);
    if (error == EADDRINUSE)
        return lv_fail(diag, -LV_E_LOCKED, "can't listen on %s: the port is taken by %s", text,
                       lv_port_holder(address->port, holder));
    if (error == EADDRNOTAVAIL || error == EAFNOSUPPORT)
        return lv_fail(diag, -LV_E_NOT_FOUND,
                       "can't listen on %s: this machine has no such address", text);
    return lv_fail(diag, -LV_E_IO, "can't listen on %s: %s%s", text, strerror(error),
                   error == EACCES ? " (ports below 1024 need the right to them)" : "");
}

/* A peer that vanished is found within two minutes, also without heartbeats. Accepted sockets take
 * this over from the one that listens, at no cost for each. */
static void keep_alive(int fd)
{
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 60);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 10);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 6);
}

/* 0, or the errno that it ended with. SO_REUSEADDR lets a restarted program have its port although
 * old connections linger; a second one that listens is refused all the same. */
static int listen_family(const struct lv_address *address, int family, int *ret_fd)
{
    union sockaddr_any system;
    socklen_t size = to_system(address, family, &system);
    int error = 0, fd = open_socket(family);

    if (fd < 0)
        return errno;
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    keep_alive(fd);
    if (family == AF_INET6)
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, !lv_address_is_any(address));
    if (bind(fd, &system.any, size) < 0 || listen(fd, BACKLOG) < 0)
        error = errno;
    if (error != 0)
        close(fd);
    else
        *ret_fd = fd;
    return error;
}

/* On a machine without IPv6, all addresses are those of IPv4. */
int lv_socket_listen(const struct lv_address *address, int *ret_fd, struct lv_diag *diag)
{
    int family = lv_address_is_ipv4(address) ? AF_INET : AF_INET6;
    int error = listen_family(address, family, ret_fd);

    if (lv_address_is_any(address) && (error == EAFNOSUPPORT || error == EADDRNOTAVAIL))
        error = listen_family(address, AF_INET, ret_fd);
    assert(error >= 0);
    return error == 0 ? 0 : fail_listen(address, error, diag);
}

/* accept4() also reports errors of the connection it was about to give (accept(2)); these are the
 * peer's, and the next one may be well. */
int lv_socket_accept(int fd, int *ret_fd, struct lv_address *ret_peer)
{
    union sockaddr_any peer = {0};
    socklen_t size = sizeof peer;
    int accepted = accept4(fd, &peer.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);

    assert(ret_fd != NULL);
    assert(ret_peer != NULL);
    if (accepted < 0) {
        if (errno == EAGAIN)
            return -LV_E_TIMEOUT;
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
            return -LV_E_RESOURCE;
        return -LV_E_IO;
    }
    set_option(accepted, IPPROTO_TCP, TCP_NODELAY, 1);
    *ret_fd = accepted;
    *ret_peer = from_system(&peer);
    return 0;
}

/* A signal only ends the poll(), not the wait. */
bool lv_socket_is_hung_up(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLRDHUP};

    assert(fd >= 0);
    return poll(&poll_fd, 1, 0) > 0 && (poll_fd.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

int lv_socket_echo(int fd, struct lv_socket_echo *ret_echo)
{
    struct tcp_info info;
    socklen_t size = sizeof info;

    memset(&info, 0, sizeof info); /* an older kernel fills less */
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
        return -LV_E_IO;
    *ret_echo = (struct lv_socket_echo){
        .unanswered = info.tcpi_unacked,
        .silent_ms = info.tcpi_last_ack_recv,
    };
    return 0;
}

int lv_socket_wait(int fd, bool for_write, int timeout_ms)
{
    struct pollfd poller = {.fd = fd, .events = for_write ? POLLOUT : POLLIN};
    int count;

    assert(fd >= 0);
    do
        count = poll(&poller, 1, timeout_ms);
    while (count < 0 && errno == EINTR);
    return count > 0 ? 0 : -LV_E_TIMEOUT;
}

/* 0, or the errno that it ended with. */
static int connect_one(const struct lv_address *address, int timeout_ms, int *ret_fd)
{
    int family = lv_address_is_ipv4(address) ? AF_INET : AF_INET6;
    union sockaddr_any system;
    socklen_t size = to_system(address, family, &system), error_size = sizeof(int);
    int error = 0, fd = open_socket(family);

    assert(timeout_ms >= 0);
    if (fd < 0)
        return errno;
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (connect(fd, &system.any, size) < 0) {
        error = errno;
        if (error == EINPROGRESS && lv_socket_wait(fd, true, timeout_ms) < 0)
            error = ETIMEDOUT;
        else if (error == EINPROGRESS)
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_size);
    }
    if (error != 0)
        close(fd);
    else
        *ret_fd = fd;
    return error;
}

/* All addresses share the time; the sentence is about the last one. */
int lv_socket_connect(const char *host, uint16_t port, uint32_t timeout_ms, int *ret_fd,
                      struct lv_diag *diag)
{
    uint64_t end = lv_clock_now() + timeout_ms * LV_NS_PER_MS;
    struct lv_address addresses[HOST_ADDRESSES];
    int count = lv_address_resolve(host[0] == '\0' ? "localhost" : host, port, addresses,
                                   HOST_ADDRESSES, diag);
    int error = 0;
    char text[LV_ADDRESS_TEXT_SIZE] = "";

    assert(ret_fd != NULL);
    if (count < 0)
        return count;
    for (int i = 0; i < count; i++) {
        uint64_t now = lv_clock_now();
        int left_ms = now < end ? (int)((end - now) / LV_NS_PER_MS) : 0;

        error = connect_one(&addresses[i], left_ms, ret_fd);
        if (error == 0)
            return 0;
        lv_address_text(&addresses[i], text);
    }
    return lv_fail(diag, error == ETIMEDOUT ? -LV_E_TIMEOUT : -LV_E_IO, "can't connect to %s: %s",
                   text, strerror(error));
}

/* recv() is a little cheaper than read(), as it need not ask what kind of file it is. */
ssize_t lv_socket_read(int fd, void *buffer, size_t size)
{
    ssize_t count = recv(fd, buffer, size, 0);

    assert(size > 0);
    if (LV_LIKELY(count > 0))
        return count;
    if (count == 0)
        return -LV_E_CLOSED;
    return errno == EAGAIN || errno == EINTR ? 0 : -LV_E_IO;
}

/* sendmsg() and not writev(), for MSG_NOSIGNAL: a peer that is gone is an error and no SIGPIPE. */
ssize_t lv_socket_write(int fd, const struct lv_bytes *pieces, size_t count)
{
    struct iovec vectors[LV_SOCKET_PIECES];
    struct msghdr message = {.msg_iov = vectors, .msg_iovlen = count};
    ssize_t written;

    assert(count > 0);
    assert(count <= LV_SOCKET_PIECES);
    for (size_t i = 0; i < count; i++) {
        union {
            const void *view;
            void *base;
        } cast = {.view = pieces[i].data}; /* sendmsg() only reads */
        vectors[i] = (struct iovec){.iov_base = cast.base, .iov_len = pieces[i].size};
    }
    written = sendmsg(fd, &message, MSG_NOSIGNAL);
    if (LV_LIKELY(written >= 0))
        return written;
    return errno == EAGAIN || errno == EINTR ? 0 : -LV_E_IO;
}

struct lv_address lv_socket_local(int fd)
{
    union sockaddr_any local = {0};
    socklen_t size = sizeof local;
    int rc = getsockname(fd, &local.any, &size);

    assert(rc == 0);
    (void)rc;
    return from_system(&local);
}

/* The peer reads our last words and then the end of the stream, if it reads in time. */
void lv_socket_close(int fd)
{
    char discarded[4096];

    assert(fd >= 0);
    shutdown(fd, SHUT_WR);
    for (unsigned i = 0; i < DISCARD_MAX; i++) {
        if (recv(fd, discarded, sizeof discarded, MSG_DONTWAIT) <= 0)
            break;
    }
    close(fd);
}
