/*
 * io/local.h - stream sockets with a name in the file system, for programs on this machine.
 *
 * Reading, writing and closing are as in io/socket.h. Any thread.
 */
#pragma once

#include "base/defs.h"
#include "base/err.h"

#include <stdint.h>

/* Who is at the other end. */
struct lv_local_peer {
    uint64_t pid, uid;
};

/* Listens under `name` in the directory; only the process's user may connect (mode 0600). Takes the
 * place of a socket that is there already. */
int lv_local_listen(const char *directory, const char *name, int *ret_fd, struct lv_diag *diag)
    LV_MUST_CHECK;
/* The next connection that waits. -LV_E_TIMEOUT: none does. -LV_E_RESOURCE: out of descriptors or
 * memory, it goes on waiting. -LV_E_IO: that one went away, ask again. */
int lv_local_accept(int fd, int *ret_fd) LV_MUST_CHECK;
/* Connects to who listens there; waits so long while too many others do. -LV_E_NOT_FOUND: nobody
 * listens; -LV_E_ACCESS_REFUSED: not for this user; -LV_E_TIMEOUT. */
int lv_local_connect(const char *directory, const char *name, uint32_t timeout_ms, int *ret_fd,
                     struct lv_diag *diag) LV_MUST_CHECK;
/* As of when the peer connected, or began to listen. */
int lv_local_peer(int fd, struct lv_local_peer *ret_peer) LV_MUST_CHECK;
/* Nobody finds the socket any more. */
void lv_local_remove(const char *directory, const char *name);
