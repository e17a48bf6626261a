/*
 * io/tls.h - a TLS connection over a socket that does not block (RFC 8446, RFC 5246; OpenSSL).
 *
 * What is read is decrypted until nothing of it is left inside, so a socket that has nothing more
 * to read means that there is nothing more: no caller has to ask for bytes that no event announces.
 * What is written is encrypted in large records and sent in one call; what the socket does not take
 * is kept here as `owed` and has to be gone before more is taken. One thread at a time per
 * connection; the handshake, which takes milliseconds, may run on another one than what follows.
 */
#pragma once

#include "base/bytes.h"
#include "io/reactor.h"
#include "io/tls_context.h"

#include <sys/types.h>

struct lv_tls;
struct lv_tls_room;

/* How much more than the bytes that it takes from the socket a read may give: what was kept of a
 * record that had not come whole. Buffers for lv_tls_read() must be larger. */
#define LV_TLS_SLACK_SIZE ((size_t)18 * 1024)
/* What one write takes at most, and so the most that is owed. */
#define LV_TLS_BATCH_SIZE ((size_t)256 * 1024)

/* Buffers that all connections of one thread share. NULL: out of memory. */
struct lv_tls_room *lv_tls_room_new(void) LV_MUST_CHECK;
/* Takes NULL. */
void lv_tls_room_free(struct lv_tls_room *room);

/* A connection over the socket, which stays the caller's. `host` is for clients: the name asked for
 * (SNI) and, unless the context verifies nothing, the one that the certificate has to have; NULL
 * for servers. Keeps a reference to the context. NULL: out of memory. */
struct lv_tls *lv_tls_new(struct lv_tls_context *context, int fd, const char *host) LV_MUST_CHECK;
/* Takes NULL. Says nothing to the peer. */
void lv_tls_free(struct lv_tls *tls);

/* The handshake's next step: 1 when it is done, 0 when the socket has to become ready for
 * lv_tls_wants(). Errors come with a sentence: -LV_E_CLOSED the peer went away, -LV_E_SYNTAX it
 * does not speak TLS, -LV_E_ACCESS_REFUSED a certificate was refused, -LV_E_IO all else. Takes
 * milliseconds. */
int lv_tls_handshake(struct lv_tls *tls, struct lv_diag *diag) LV_MUST_CHECK;
/* enum lv_io. */
unsigned lv_tls_wants(const struct lv_tls *tls);

/* As lv_socket_read(); `size` is above LV_TLS_SLACK_SIZE. 0 also means that the socket has nothing
 * more, though what it had may not have been a whole record. When the peer ends behind bytes that
 * it sent, these are given and lv_tls_end() tells. */
ssize_t lv_tls_read(struct lv_tls *tls, struct lv_tls_room *room, void *buffer, size_t size)
    LV_MUST_CHECK;
/* 0 while more may come, else what the next lv_tls_read() returns: no event will announce it. */
int lv_tls_end(const struct lv_tls *tls);
/* As lv_socket_write(), but takes bytes that the socket does not: see lv_tls_owed(). 0 pieces only
 * send what is owed. Takes nothing as long as something is owed. */
ssize_t lv_tls_write(struct lv_tls *tls, struct lv_tls_room *room, const struct lv_bytes *pieces,
                     size_t count) LV_MUST_CHECK;
/* Bytes that wait for room in the socket. */
size_t lv_tls_owed(const struct lv_tls *tls);
/* Tells the peer that nothing more comes (close_notify), if the socket takes it. */
void lv_tls_say_end(struct lv_tls *tls);

/* ---- after the handshake ---- */

/* Where a certificate's name for a user stands. */
enum lv_tls_name {
    LV_TLS_NAME_DISTINGUISHED, /* "CN=client,O=Example" */
    LV_TLS_NAME_COMMON,
    LV_TLS_NAME_DNS, /* of subjectAltName */
    LV_TLS_NAME_EMAIL,
    LV_TLS_NAME_URI,
    LV_TLS_NAME_IP
};

/* Keeps the name that the peer's certificate has there (the `index`-th one, for subjectAltName).
 * -LV_E_NOT_FOUND: no such name, or no certificate that was verified. */
int lv_tls_name_peer(struct lv_tls *tls, enum lv_tls_name where, unsigned index) LV_MUST_CHECK;
/* A view of that, or NULL. */
const char *lv_tls_peer_name(const struct lv_tls *tls);
/* "TLSv1.3", and OpenSSL's name of the cipher. */
const char *lv_tls_version(const struct lv_tls *tls);
const char *lv_tls_cipher(const struct lv_tls *tls);
