#include "io/tls_context.h"

#include "base/alloc.h"
#include "io/pem.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* Certificates that a peer may send: chains are short, and this is before anybody is known. */
#define PEER_CHAIN_SIZE 65536L
/* In which a client may resume instead of beginning anew; its certificate is not asked for again.
 */
#define TICKET_S         3600
#define CIPHER_LIST_SIZE 4096u
/* OpenSSL's own, but AES with 128 bits first: nobody breaks it either, and it costs a fifth
 * less. */
#define CLIENT_SUITES "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

/* One of several certificates of a server. */
struct pair {
    STACK_OF(X509) * chain; /* own   the server's own first */
    EVP_PKEY *key;          /* own */
};

struct lv_tls_context {
    atomic_uint refs;
    SSL_CTX *ctx;       /* own */
    struct pair *pairs; /* own   the first is in `ctx` too */
    unsigned pair_count;
    bool is_server;
};

static bool is_set(const char *text)
{
    return text != NULL && text[0] != '\0';
}

/* The last thing that OpenSSL has to say. */
static const char *reason(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_last_error());

    return text == NULL ? "unknown error" : text;
}

/* ---- certificates ---- */

/* A chain whose every part is valid now, with the key that its first part is about. */
static int load_pair(const struct lv_tls_pair *from, const char *password, struct pair *pair,
                     struct lv_diag *diag)
{
    const char *keyfile = is_set(from->keyfile) ? from->keyfile : from->certfile;
    int rc = lv_pem_certificates(from->certfile, &pair->chain, diag);

    if (rc < 0)
        return rc;
    for (int i = 0; i < sk_X509_num(pair->chain); i++) {
        rc = lv_pem_check_dates(from->certfile, sk_X509_value(pair->chain, i), diag);
        if (rc < 0)
            return rc;
    }
    rc = lv_pem_key(keyfile, password, &pair->key, diag);
    if (rc < 0)
        return rc;
    assert(pair->key != NULL);
    if (X509_check_private_key(sk_X509_value(pair->chain, 0), pair->key) != 1) {
        ERR_clear_error();
        return lv_fail(diag, -LV_E_USAGE, "the key in %s does not fit the certificate in %s",
                       keyfile, from->certfile);
    }
    return 0;
}

/* The chain behind its first certificate, or NULL: OpenSSL then makes one of the authorities. */
static STACK_OF(X509) * rest_of(const struct pair *pair)
{
    STACK_OF(X509) * rest;

    assert(sk_X509_num(pair->chain) > 0);
    if (sk_X509_num(pair->chain) == 1)
        return NULL;
    rest = sk_X509_dup(pair->chain);
    if (rest != NULL)
        sk_X509_shift(rest);
    return rest;
}

/* For all connections, unless a client asks for another. */
static int use_pair(SSL_CTX *ctx, const struct pair *pair, const char *certfile,
                    struct lv_diag *diag)
{
    STACK_OF(X509) *rest = rest_of(pair);
    int good = SSL_CTX_use_cert_and_key(ctx, sk_X509_value(pair->chain, 0), pair->key, rest, 1);

    assert(certfile != NULL);
    sk_X509_free(rest);
    if (good == 1)
        return 0;
    lv_fail(diag, -LV_E_USAGE, "the certificate in %s can't be used: %s", certfile, reason());
    ERR_clear_error();
    return -LV_E_USAGE;
}

/* RFC 6066 §3: the name is a host's, without a port. A client that asks for a name that nobody has
 * gets the first certificate and decides for itself. */
static int choose_pair(SSL *ssl, void *ctx)
{
    const struct lv_tls_context *context = ctx;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

    assert(context->is_server);
    for (unsigned i = 0; name != NULL && i < context->pair_count; i++) {
        const struct pair *pair = &context->pairs[i];
        STACK_OF(X509) * rest;
        int good;

        if (X509_check_host(sk_X509_value(pair->chain, 0), name, 0, 0, NULL) != 1)
            continue;
        if (i == 0)
            break; /* is in use already */
        rest = rest_of(pair);
        good = SSL_use_cert_and_key(ssl, sk_X509_value(pair->chain, 0), pair->key, rest, 1);
        sk_X509_free(rest);
        return good;
    }
    return 1;
}

static int load_pairs(struct lv_tls_context *context, const struct lv_tls_server_options *options,
                      struct lv_diag *diag)
{
    int rc = 0;

    assert(options->pair_count > 0);
    context->pairs = lv_calloc(options->pair_count, sizeof *context->pairs);
    if (context->pairs == NULL)
        return lv_fail(diag, -LV_E_NOMEM, "out of memory");
    context->pair_count = options->pair_count;
    for (unsigned i = 0; rc == 0 && i < options->pair_count; i++)
        rc = load_pair(&options->pairs[i], options->password, &context->pairs[i], diag);
    return rc < 0 ? rc
                  : use_pair(context->ctx, &context->pairs[0], options->pairs[0].certfile, diag);
}

/* Whom we believe; a server also tells its clients, who choose a certificate by it. */
static int load_authorities(SSL_CTX *ctx, const char *path, bool tell, struct lv_diag *diag)
{
    STACK_OF(X509) * authorities;
    int rc = lv_pem_certificates(path, &authorities, diag);

    assert(path != NULL);
    if (rc < 0)
        return rc;
    for (int i = 0; rc == 0 && i < sk_X509_num(authorities); i++) {
        X509 *one = sk_X509_value(authorities, i);

        if (X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), one) != 1 ||
            (tell && SSL_CTX_add_client_CA(ctx, one) != 1))
            rc =
                lv_fail(diag, -LV_E_USAGE, "a certificate in %s can't be used: %s", path, reason());
    }
    ERR_clear_error();
    lv_pem_certificates_free(authorities);
    return rc;
}

/* ---- ciphers and versions ---- */

/* OpenSSL ignores names that it does not know as long as one is right; an operator would not. */
static bool is_cipher(SSL_CTX *ctx, const char *name, bool is_13)
{
    SSL *ssl;
    bool found = false;

    assert(name != NULL);
    if (is_13)
        return SSL_CTX_set_ciphersuites(ctx, name) == 1;
    if (strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != strlen(name) ||
        SSL_CTX_set_cipher_list(ctx, name) != 1)
        return false;
    ssl = SSL_new(ctx);
    for (int i = 0; ssl != NULL && !found && SSL_get_cipher_list(ssl, i) != NULL; i++)
        found = strcmp(SSL_get_cipher_list(ssl, i), name) == 0;
    SSL_free(ssl);
    return found;
}

/* TLS 1.3's suites have a name and a place of their own. */
static int set_ciphers(SSL_CTX *ctx, const struct lv_tls_server_options *options, bool *ret_has12,
                       bool *ret_has13, struct lv_diag *diag)
{
    char lists[2][CIPHER_LIST_SIZE] = {"", ""};
    size_t sizes[2] = {0, 0};

    for (unsigned i = 0; i < options->cipher_count; i++) {
        const char *name = options->ciphers[i];
        unsigned is_13 = strncmp(name, "TLS_", 4) == 0;
        bool good = is_cipher(ctx, name, is_13 != 0);

        ERR_clear_error();
        if (!good || sizes[is_13] + strlen(name) + 2 > CIPHER_LIST_SIZE)
            return lv_fail(diag, -LV_E_USAGE,
                           "there is no cipher \"%.100s\"; `openssl ciphers -s -v` lists them",
                           name);
        sizes[is_13] +=
            (size_t)snprintf(lists[is_13] + sizes[is_13], CIPHER_LIST_SIZE - sizes[is_13], "%s%s",
                             sizes[is_13] == 0 ? "" : ":", name);
    }
    *ret_has12 = options->cipher_count == 0 || sizes[0] > 0;
    *ret_has13 = options->cipher_count == 0 || sizes[1] > 0;
    if (sizes[0] > 0 && SSL_CTX_set_cipher_list(ctx, lists[0]) != 1)
        return lv_fail(diag, -LV_E_USAGE, "the ciphers can't be used: %s", reason());
    if (sizes[1] > 0 && SSL_CTX_set_ciphersuites(ctx, lists[1]) != 1)
        return lv_fail(diag, -LV_E_USAGE, "the ciphers can't be used: %s", reason());
    return 0;
}

/* A version that no cipher is allowed for would be offered and then fail. */
static int set_versions(SSL_CTX *ctx, const struct lv_tls_server_options *options,
                        struct lv_diag *diag)
{
    bool is_free = !options->tls12 && !options->tls13;
    bool has12 = false, has13 = false, use12, use13;
    int rc = set_ciphers(ctx, options, &has12, &has13, diag);

    if (rc < 0)
        return rc;
    assert(has12 || has13);
    use12 = is_free ? has12 : options->tls12;
    use13 = is_free ? has13 : options->tls13;
    if ((use12 && !has12) || (use13 && !has13))
        return lv_fail(diag, -LV_E_USAGE, "no cipher is given for TLS %s: its names begin with %s",
                       has12 ? "1.3" : "1.2", has12 ? "TLS_" : "ECDHE- or the like");
    SSL_CTX_set_min_proto_version(ctx, use12 ? TLS1_2_VERSION : TLS1_3_VERSION);
    SSL_CTX_set_max_proto_version(ctx, use13 ? TLS1_3_VERSION : TLS1_2_VERSION);
    return 0;
}

/* ---- contexts ---- */

/* Buffers are given back while nothing moves: a connection that waits keeps none. */
static struct lv_tls_context *new_context(bool is_server)
{
    struct lv_tls_context *context = lv_calloc(1, sizeof *context);

    if (context == NULL)
        return NULL;
    atomic_init(&context->refs, 1);
    context->is_server = is_server;
    context->ctx = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
    if (context->ctx == NULL) {
        lv_free(context);
        return NULL;
    }
    SSL_CTX_set_mode(context->ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(context->ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_min_proto_version(context->ctx, TLS1_2_VERSION);
    SSL_CTX_set_max_cert_list(context->ctx, PEER_CHAIN_SIZE);
    return context;
}

/* Tickets are sealed with a key that the context makes: nothing of them is kept here, and they are
 * of no use any more when a new context has taken its place. */
static int set_up_server(struct lv_tls_context *context,
                         const struct lv_tls_server_options *options, struct lv_diag *diag)
{
    static const unsigned char session_id[] = "leveret";
    int mode = options->verify_peer ? SSL_VERIFY_PEER : SSL_VERIFY_NONE;
    int rc = load_pairs(context, options, diag);

    if (rc == 0 && is_set(options->cacertfile))
        rc = load_authorities(context->ctx, options->cacertfile, options->verify_peer, diag);
    if (rc == 0)
        rc = set_versions(context->ctx, options, diag);
    if (rc < 0)
        return rc;
    assert(context->pair_count > 0);
    if (options->honor_cipher_order)
        SSL_CTX_set_options(context->ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_session_cache_mode(context->ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(context->ctx, TICKET_S);
    SSL_CTX_set_session_id_context(context->ctx, session_id, sizeof session_id - 1);
    if (options->verify_peer && options->fail_if_no_peer_cert)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(context->ctx, mode, NULL);
    SSL_CTX_set_verify_depth(context->ctx, (int)options->depth);
    if (context->pair_count > 1)
        SSL_CTX_set_cert_cb(context->ctx, choose_pair, context);
    return 0;
}

int lv_tls_server_context(const struct lv_tls_server_options *options,
                          struct lv_tls_context **ret_context, struct lv_diag *diag)
{
    struct lv_tls_context *context = new_context(true);
    int rc;

    assert(options->pair_count > 0);
    if (context == NULL)
        return lv_fail(diag, -LV_E_NOMEM, "out of memory");
    if (options->verify_peer && !is_set(options->cacertfile))
        rc = lv_fail(diag, -LV_E_USAGE,
                     "verify_peer needs a cacertfile: who may sign clients' "
                     "certificates");
    else if (options->fail_if_no_peer_cert && !options->verify_peer)
        rc = lv_fail(diag, -LV_E_USAGE,
                     "fail_if_no_peer_cert needs verify = verify_peer: without "
                     "it no client is asked for a certificate");
    else
        rc = set_up_server(context, options, diag);
    if (rc < 0) {
        lv_tls_context_unref(context);
        return rc;
    }
    *ret_context = context;
    return 0;
}

/* The certificate is optional, and the authorities are the system's unless some are named. */
static int set_up_client(struct lv_tls_context *context,
                         const struct lv_tls_client_options *options, struct lv_diag *diag)
{
    const struct lv_tls_server_options own = {.pairs = &options->pair, .pair_count = 1};
    int rc = 0;

    assert(!context->is_server);
    SSL_CTX_set_ciphersuites(context->ctx, CLIENT_SUITES);
    if (is_set(options->cacertfile))
        rc = load_authorities(context->ctx, options->cacertfile, false, diag);
    else
        SSL_CTX_set_default_verify_paths(context->ctx);
    if (rc == 0 && is_set(options->pair.certfile))
        rc = load_pairs(context, &own, diag);
    SSL_CTX_set_verify(context->ctx, options->verify_none ? SSL_VERIFY_NONE : SSL_VERIFY_PEER,
                       NULL);
    return rc;
}

int lv_tls_client_context(const struct lv_tls_client_options *options,
                          struct lv_tls_context **ret_context, struct lv_diag *diag)
{
    struct lv_tls_context *context = new_context(false);
    int rc;

    assert(ret_context != NULL);
    if (context == NULL)
        return lv_fail(diag, -LV_E_NOMEM, "out of memory");
    rc = set_up_client(context, options, diag);
    if (rc < 0) {
        lv_tls_context_unref(context);
        return rc;
    }
    *ret_context = context;
    return 0;
}

struct lv_tls_context *lv_tls_context_ref(struct lv_tls_context *context)
{
    unsigned before = atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);

    assert(before > 0);
    (void)before;
    return context;
}

void lv_tls_context_unref(struct lv_tls_context *context)
{
    if (context == NULL || atomic_fetch_sub(&context->refs, 1) > 1)
        return;
    for (unsigned i = 0; i < context->pair_count; i++) {
        lv_pem_certificates_free(context->pairs[i].chain);
        EVP_PKEY_free(context->pairs[i].key);
    }
    assert(context->ctx != NULL);
    SSL_CTX_free(context->ctx);
    lv_free(context->pairs);
    lv_free(context);
}

struct ssl_st *lv_tls_context_ssl(const struct lv_tls_context *context)
{
    assert(context->ctx != NULL);
    return SSL_new(context->ctx);
}

bool lv_tls_context_is_server(const struct lv_tls_context *context)
{
    return context->is_server;
}
