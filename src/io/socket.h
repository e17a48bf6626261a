/*
 * io/socket.h - stream sockets that never block and send without delay.
 *
 * Every socket made here is non-blocking, closed on exec and has TCP_NODELAY. Any thread; one at a
 * time per socket.
 */
#pragma once

#include "base/bytes.h"
#include "io/address.h"

#include <sys/types.h>

/* Listens on the address; port 0 takes a free one (lv_socket_local() says which). A taken port is
 * named in `diag` together with the program that has it. -LV_E_NOT_FOUND: this machine has no such
 * address. */
int lv_socket_listen(const struct lv_address *address, int *ret_fd, struct lv_diag *diag)
    LV_MUST_CHECK;

/* The next connection that waits. -LV_E_TIMEOUT: none does. -LV_E_RESOURCE: out of descriptors or
 * memory, it goes on waiting. -LV_E_IO: that one went away, ask again. */
int lv_socket_accept(int fd, int *ret_fd, struct lv_address *ret_peer) LV_MUST_CHECK;

/* Tries the host's addresses in turn. -LV_E_NOT_FOUND: no such host; -LV_E_TIMEOUT; -LV_E_IO. */
int lv_socket_connect(const char *host, uint16_t port, uint32_t timeout_ms, int *ret_fd,
                      struct lv_diag *diag) LV_MUST_CHECK;

/* Bytes read; 0: nothing there now. -LV_E_CLOSED: the peer has ended; -LV_E_IO: it broke off. */
ssize_t lv_socket_read(int fd, void *buffer, size_t size) LV_MUST_CHECK;

/* Most pieces that one write takes. */
#define LV_SOCKET_PIECES 128u
/* Bytes written, 0: no room now. -LV_E_IO: the peer is gone. At most LV_SOCKET_PIECES. */
ssize_t lv_socket_write(int fd, const struct lv_bytes *pieces, size_t count) LV_MUST_CHECK;

/* Without reading: has the peer ended its side, or has the connection broken? */
bool lv_socket_is_hung_up(int fd);

/* What the kernel knows of the peer's answers. */
struct lv_socket_echo {
    uint32_t unanswered; /* segments sent and not acknowledged */
    uint32_t silent_ms;  /* since it last acknowledged anything */
};
/* -LV_E_IO: not of this socket. */
int lv_socket_echo(int fd, struct lv_socket_echo *ret_echo) LV_MUST_CHECK;

/* Waits until it can be read (or written), at most so long. -LV_E_TIMEOUT. */
int lv_socket_wait(int fd, bool for_write, int timeout_ms) LV_MUST_CHECK;

/* Where the socket is on this machine; tells the port that was chosen for port 0. */
struct lv_address lv_socket_local(int fd);
/* Says that nothing more will be sent, throws away what was not read, and closes: unread bytes
 * would otherwise make the kernel reset the connection and lose what was sent last. */
void lv_socket_close(int fd);
