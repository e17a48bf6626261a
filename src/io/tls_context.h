/*
 * io/tls_context.h - what all TLS connections of a listener, or of a client, have in common:
 * certificates, keys, authorities, versions and ciphers.
 *
 * A context does not change; to change something a new one takes its place, and connections that
 * the old one began go on with it. Any thread; contexts are counted.
 */
#pragma once

#include "base/defs.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct lv_tls_context;
struct ssl_st;

/* A certificate with those between it and its authority, and its key. */
struct lv_tls_pair {
    const char *certfile;
    const char *keyfile; /* NULL or "": in the same file */
};

/* Strings may be NULL or "" for "none". */
struct lv_tls_server_options {
    const struct lv_tls_pair *pairs; /* the first is for whoever asks for no other (SNI) */
    unsigned pair_count;
    const char *password;   /* of the keys */
    const char *cacertfile; /* who may sign clients' certificates */
    bool tls12, tls13;      /* neither: both, as far as `ciphers` has some for them */
    const char *const
        *ciphers; /* OpenSSL's names, in order of preference; none: OpenSSL's choice */
    unsigned cipher_count;
    bool honor_cipher_order; /* ours and not the client's */
    bool verify_peer;        /* ask for a certificate, and refuse one that is not well */
    bool fail_if_no_peer_cert;
    unsigned depth; /* certificates between a client's and the authority's, at most */
};

/* Strings as above. */
struct lv_tls_client_options {
    const char *cacertfile; /* none: the system's authorities */
    struct lv_tls_pair pair;
    bool verify_none;
};

/* Reads and checks all files; the sentence names the one that is wrong. Gives the context. */
int lv_tls_server_context(const struct lv_tls_server_options *options,
                          struct lv_tls_context **ret_context, struct lv_diag *diag) LV_MUST_CHECK;
int lv_tls_client_context(const struct lv_tls_client_options *options,
                          struct lv_tls_context **ret_context, struct lv_diag *diag) LV_MUST_CHECK;
struct lv_tls_context *lv_tls_context_ref(struct lv_tls_context *context);
/* Takes NULL. The last one frees it. */
void lv_tls_context_unref(struct lv_tls_context *context);

/* For io/tls.c: gives a connection without a socket, or NULL when out of memory. */
struct ssl_st *lv_tls_context_ssl(const struct lv_tls_context *context) LV_MUST_CHECK;
bool lv_tls_context_is_server(const struct lv_tls_context *context);
