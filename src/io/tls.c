#include "io/tls.h"

#include "base/alloc.h"
#include "io/pem.h"
#include "io/socket.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define RECORD_SIZE 16384u /* RFC 8446 §5.1 */
/* Pieces from here on are encrypted from where they lie, smaller ones are put together first: a
 * record costs a microsecond, whatever is in it. */
#define DIRECT_SIZE 4096u
/* What is taken from the socket at a time, and how often for one read. */
#define TAKE_SIZE ((size_t)64 * 1024)
#define TAKES_MAX 32u
/* A batch and the overhead of its records (RFC 5246 §6.2.3: at most 2048 bytes for each, in fact
 * 22 to 40), and room for what TLS itself has to say. */
#define SEAL_SIZE (LV_TLS_BATCH_SIZE + LV_TLS_BATCH_SIZE / DIRECT_SIZE * 256u + 32768u)
/* Answers to a peer that makes us answer and does not read. */
#define OWED_MAX   (4u * LV_TLS_BATCH_SIZE)
#define FIRST_SIZE 4u

/* The thread's: nothing stays in it between two calls. */
struct lv_tls_room {
    uint8_t taken[TAKE_SIZE];   /* from the socket, to be decrypted */
    uint8_t sealed[SEAL_SIZE];  /* encrypted, to be sent */
    uint8_t plain[RECORD_SIZE]; /* small pieces on their way into one record */
    size_t taken_at, taken_size, sealed_size;
};

struct lv_tls {
    SSL *ssl;                       /* own */
    struct lv_tls_context *context; /* ref */
    struct lv_tls_room *room;       /* view  during a call; NULL in the handshake */
    uint8_t *owed;                  /* own   encrypted, and the socket did not take it */
    size_t owed_at, owed_size;
    char *peer_name; /* own */
    char *refused;   /* own   whose certificate was not believed */
    char *host;      /* own   a client's: for sentences */
    int fd;
    int end;                   /* 0, or why nothing more comes */
    uint8_t first[FIRST_SIZE]; /* what the peer began with */
    uint8_t first_size;
};

/* ---- what OpenSSL reads from and writes to ---- */

/* In the handshake just what is asked for, so that nothing of what follows it is taken. */
static int take_directly(struct lv_tls *tls, BIO *bio, char *data, int size)
{
    ssize_t count = lv_socket_read(tls->fd, data, (size_t)size);

    assert(tls->room == NULL);
    if (count == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    if (count < 0) {
        tls->end = (int)count;
        return -1;
    }
    for (ssize_t i = 0; i < count && tls->first_size < FIRST_SIZE; i++)
        tls->first[tls->first_size++] = (uint8_t)data[i];
    return (int)count;
}

/* Later from what has been read already. */
static int on_bio_read(BIO *bio, char *data, int size)
{
    struct lv_tls *tls = BIO_get_data(bio);
    struct lv_tls_room *room = tls->room;
    size_t count;

    BIO_clear_retry_flags(bio);
    if (size <= 0)
        return 0;
    if (room == NULL)
        return take_directly(tls, bio, data, size);
    count = room->taken_size - room->taken_at;
    if (count == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    if (count > (size_t)size)
        count = (size_t)size;
    memcpy(data, room->taken + room->taken_at, count);
    room->taken_at += count;
    return (int)count;
}

/* Behind what is owed already. */
static int owe(struct lv_tls *tls, const void *data, size_t size)
{
    size_t left = tls->owed_size - tls->owed_at;
    uint8_t *wider;

    assert(tls->owed_at <= tls->owed_size);
    if (size == 0)
        return 0;
    if (left + size > OWED_MAX)
        return -LV_E_RESOURCE;
    if (tls->owed_at > 0)
        memmove(tls->owed, tls->owed + tls->owed_at, left);
    tls->owed_at = 0;
    tls->owed_size = left;
    wider = lv_realloc(tls->owed, left + size);
    if (wider == NULL)
        return -LV_E_NOMEM;
    memcpy(wider + left, data, size);
    tls->owed = wider;
    tls->owed_size = left + size;
    return 0;
}

/* All of it is taken, so that OpenSSL never has to try a record again. */
static int on_bio_write(BIO *bio, const char *data, int size)
{
    struct lv_tls *tls = BIO_get_data(bio);
    struct lv_tls_room *room = tls->room;

    BIO_clear_retry_flags(bio);
    if (size <= 0)
        return 0;
    if (room == NULL)
        return owe(tls, data, (size_t)size) < 0 ? -1 : size;
    if (sizeof room->sealed - room->sealed_size < (size_t)size)
        return -1;
    memcpy(room->sealed + room->sealed_size, data, (size_t)size);
    room->sealed_size += (size_t)size;
    return size;
}

/* Flushing is ours; there is nothing else to control. */
static long on_bio_control(BIO *bio, int command, long number, void *pointer)
{
    assert(bio != NULL);
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO_METHOD *bio_method; /* own   made once, never freed */

static void make_bio_method(void)
{
    bio_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "leveret");
    assert(bio_method != NULL); /* at the first connection: there is memory */
    BIO_meth_set_read(bio_method, on_bio_read);
    BIO_meth_set_write(bio_method, on_bio_write);
    BIO_meth_set_ctrl(bio_method, on_bio_control);
}

/* ---- making ---- */

struct lv_tls_room *lv_tls_room_new(void)
{
    struct lv_tls_room *room = lv_alloc(sizeof *room);

    if (room == NULL)
        return NULL;
    room->taken_at = room->taken_size = room->sealed_size = 0;
    return room;
}

void lv_tls_room_free(struct lv_tls_room *room)
{
    lv_free(room);
}

/* OpenSSL forgets a certificate that it does not believe. */
static int on_verify(int good, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct lv_tls *tls = SSL_get_app_data(ssl);
    X509 *certificate = X509_STORE_CTX_get0_cert(store);
    char name[LV_PEM_NAME_SIZE];

    assert(tls->ssl == ssl);
    if (good || certificate == NULL || tls->refused != NULL)
        return good;
    lv_pem_name(X509_get_subject_name(certificate), name);
    tls->refused = lv_strndup(name, strlen(name));
    return 0;
}

/* RFC 6066 §3: addresses are not asked for by SNI, but a certificate may hold them. */
static bool set_host(struct lv_tls *tls, const char *host)
{
    unsigned char address[16];
    bool is_ip = inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;

    assert(host[0] != '\0');
    tls->host = lv_strndup(host, strlen(host));
    if (tls->host == NULL)
        return false;
    if (is_ip)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls->ssl), host) == 1;
    SSL_set_hostflags(tls->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(tls->ssl, tls->host) == 1 && SSL_set1_host(tls->ssl, host) == 1;
}

struct lv_tls *lv_tls_new(struct lv_tls_context *context, int fd, const char *host)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct lv_tls *tls = lv_calloc(1, sizeof *tls);
    BIO *bio = NULL;

    assert(fd >= 0);
    if (tls == NULL)
        return NULL;
    pthread_once(&once, make_bio_method);
    tls->context = lv_tls_context_ref(context);
    tls->fd = fd;
    tls->ssl = lv_tls_context_ssl(context);
    if (tls->ssl != NULL)
        bio = BIO_new(bio_method);
    if (bio == NULL || (host != NULL && host[0] != '\0' && !set_host(tls, host))) {
        BIO_free(bio);
        lv_tls_free(tls);
        ERR_clear_error();
        return NULL;
    }
    SSL_set_app_data(tls->ssl, tls);
    if (SSL_get_verify_mode(tls->ssl) != SSL_VERIFY_NONE)
        SSL_set_verify(tls->ssl, SSL_get_verify_mode(tls->ssl), on_verify);
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    SSL_set_bio(tls->ssl, bio, bio);
    if (lv_tls_context_is_server(context))
        SSL_set_accept_state(tls->ssl);
    else
        SSL_set_connect_state(tls->ssl);
    return tls;
}

void lv_tls_free(struct lv_tls *tls)
{
    if (tls == NULL)
        return;
    SSL_free(tls->ssl);
    lv_tls_context_unref(tls->context);
    assert(tls->room == NULL);
    lv_free(tls->peer_name);
    lv_free(tls->refused);
    lv_free(tls->host);
    lv_free(tls->owed);
    lv_free(tls);
}

/* ---- sending ---- */

size_t lv_tls_owed(const struct lv_tls *tls)
{
    assert(tls->owed_at <= tls->owed_size);
    return tls->owed_size - tls->owed_at;
}

/* What the socket takes now of what it did not take before. */
static int send_owed(struct lv_tls *tls)
{
    while (lv_tls_owed(tls) > 0) {
        struct lv_bytes piece = lv_bytes(tls->owed + tls->owed_at, lv_tls_owed(tls));
        ssize_t sent = lv_socket_write(tls->fd, &piece, 1);

        if (sent < 0)
            return (int)sent;
        if (sent == 0)
            return 0;
        tls->owed_at += (size_t)sent;
    }
    assert(tls->owed_at == tls->owed_size);
    lv_free(tls->owed);
    tls->owed = NULL;
    tls->owed_at = tls->owed_size = 0;
    return 0;
}

/* What OpenSSL has written in this call: to the socket, or behind what is owed. */
static int send_sealed(struct lv_tls *tls)
{
    struct lv_tls_room *room = tls->room;
    struct lv_bytes piece = lv_bytes(room->sealed, room->sealed_size);
    ssize_t sent = 0;

    assert(room->sealed_size <= sizeof room->sealed);
    if (room->sealed_size == 0)
        return 0;
    if (lv_tls_owed(tls) == 0)
        sent = lv_socket_write(tls->fd, &piece, 1);
    room->sealed_size = 0;
    if (sent < 0)
        return (int)sent;
    return owe(tls, piece.data + sent, piece.size - (size_t)sent);
}

/* Only an error that is not to be tried again can come: everything is taken. */
static bool seal(struct lv_tls *tls, const uint8_t *data, size_t size)
{
    size_t written;

    assert(size > 0);
    return SSL_write_ex(tls->ssl, data, size, &written) == 1;
}

/* Pieces become records of 16 KiB, whatever their sizes. Returns bytes, or negative. */
static ssize_t seal_pieces(struct lv_tls *tls, const struct lv_bytes *pieces, size_t count)
{
    struct lv_tls_room *room = tls->room;
    size_t total = 0, waiting = 0;

    for (size_t i = 0; i < count; i++) {
        for (size_t at = 0; at < pieces[i].size && total < LV_TLS_BATCH_SIZE;) {
            size_t size = pieces[i].size - at;
            const uint8_t *data = pieces[i].data + at;
            bool is_direct = waiting == 0 && size >= DIRECT_SIZE;

            if (size > LV_TLS_BATCH_SIZE - total)
                size = LV_TLS_BATCH_SIZE - total;
            if (!is_direct && size > RECORD_SIZE - waiting)
                size = RECORD_SIZE - waiting;
            if (!is_direct) {
                memcpy(room->plain + waiting, data, size);
                waiting += size;
            }
            if (is_direct ? !seal(tls, data, size)
                          : waiting == RECORD_SIZE && !seal(tls, room->plain, waiting))
                return -LV_E_IO;
            waiting = waiting == RECORD_SIZE ? 0 : waiting;
            at += size;
            total += size;
        }
    }
    assert(total <= LV_TLS_BATCH_SIZE);
    return waiting == 0 || seal(tls, room->plain, waiting) ? (ssize_t)total : -LV_E_IO;
}

ssize_t lv_tls_write(struct lv_tls *tls, struct lv_tls_room *room, const struct lv_bytes *pieces,
                     size_t count)
{
    ssize_t taken = 0;
    int rc = send_owed(tls);

    assert(room->sealed_size == 0);
    if (rc < 0 || lv_tls_owed(tls) > 0)
        return rc;
    ERR_clear_error();
    tls->room = room;
    taken = seal_pieces(tls, pieces, count);
    rc = send_sealed(tls);
    tls->room = NULL;
    return rc < 0 ? rc : taken;
}

/* Before the peer can have seen its own certificate refused there is nobody to say it to. */
void lv_tls_say_end(struct lv_tls *tls)
{
    assert(tls->room == NULL);
    if (SSL_in_init(tls->ssl) || tls->end == -LV_E_IO || lv_tls_owed(tls) > 0)
        return;
    (void)SSL_shutdown(tls->ssl);
    ERR_clear_error();
    if (send_owed(tls) < 0)
        tls->end = -LV_E_IO;
}

/* ---- receiving ---- */

int lv_tls_end(const struct lv_tls *tls)
{
    assert(tls->end <= 0);
    return tls->end;
}

/* Decrypts all that was taken. `size` is enough: records shrink. */
static size_t open_all(struct lv_tls *tls, uint8_t *buffer, size_t size)
{
    size_t got = 0, count;

    for (;;) {
        assert(got < size);
        if (SSL_read_ex(tls->ssl, buffer + got, size - got, &count) == 1) {
            got += count;
            continue;
        }
        switch (SSL_get_error(tls->ssl, 0)) {
        case SSL_ERROR_WANT_READ:
            break;
        case SSL_ERROR_ZERO_RETURN:
            tls->end = -LV_E_CLOSED;
            break;
        default:
            tls->end = -LV_E_IO;
        }
        return got;
    }
}

/* What lies in the room. TLS may have to answer (a new key, an alert), which is sent too. */
static size_t open_taken(struct lv_tls *tls, struct lv_tls_room *room, uint8_t *buffer, size_t size)
{
    size_t got;

    ERR_clear_error();
    tls->room = room;
    got = open_all(tls, buffer, size);
    assert(tls->end < 0 || room->taken_at == room->taken_size);
    if (send_sealed(tls) < 0)
        tls->end = -LV_E_IO;
    tls->room = NULL;
    return got;
}

/* In pieces that stay in the processor's cache from the socket to the caller's buffer. A peer that
 * sends records with nothing in them gets no more than its share. */
ssize_t lv_tls_read(struct lv_tls *tls, struct lv_tls_room *room, void *buffer, size_t size)
{
    size_t got = 0;

    assert(size > LV_TLS_SLACK_SIZE);
    for (unsigned i = 0; i < TAKES_MAX && tls->end == 0 && size - got > LV_TLS_SLACK_SIZE; i++) {
        size_t want = size - got - LV_TLS_SLACK_SIZE;
        ssize_t count;

        if (want > sizeof room->taken)
            want = sizeof room->taken;
        count = lv_socket_read(tls->fd, room->taken, want);
        if (count < 0)
            tls->end = (int)count;
        if (count <= 0)
            break;
        room->taken_at = 0;
        room->taken_size = (size_t)count;
        got += open_taken(tls, room, (uint8_t *)buffer + got, size - got);
        if ((size_t)count < want && got > 0)
            break; /* that was all */
    }
    return got > 0 ? (ssize_t)got : tls->end;
}

/* ---- the handshake ---- */

unsigned lv_tls_wants(const struct lv_tls *tls)
{
    return lv_tls_owed(tls) > 0 ? LV_IO_WRITE : LV_IO_READ;
}

/* Of what the peer showed. */
static int explain_certificate(const struct lv_tls *tls, struct lv_diag *diag)
{
    long result = SSL_get_verify_result(tls->ssl);
    const char *why = X509_verify_cert_error_string(result);
    const char *name = tls->refused == NULL ? "" : tls->refused;

    assert(result != X509_V_OK);
    if (tls->host == NULL)
        return lv_fail(diag, -LV_E_ACCESS_REFUSED, "the client's certificate %s is refused: %s",
                       name, why);
    if (result == X509_V_ERR_HOSTNAME_MISMATCH || result == X509_V_ERR_IP_ADDRESS_MISMATCH)
        return lv_fail(diag, -LV_E_ACCESS_REFUSED,
                       "the server's certificate (%s) is not for %s; name the host as the "
                       "certificate does, or say server_name_indication=NAME",
                       name, tls->host);
    return lv_fail(diag, -LV_E_ACCESS_REFUSED,
                   "the server's certificate (%s) is refused: %s; cacertfile=FILE names the "
                   "authority that signed it",
                   name, why);
}

/* Reasons that an operator can do something about; others in OpenSSL's words. */
static int explain(const struct lv_tls *tls, struct lv_diag *diag)
{
    unsigned long error = ERR_peek_error();
    int reason = ERR_GET_REASON(error);
    const char *text = ERR_reason_error_string(error);
    bool is_server = lv_tls_context_is_server(tls->context);

    assert(diag != NULL);
    if (tls->first_size == FIRST_SIZE && memcmp(tls->first, "AMQP", FIRST_SIZE) == 0)
        return lv_fail(diag, -LV_E_SYNTAX,
                       is_server ? "this is AMQP without TLS; amqps:// URLs are for this port"
                                 : "the broker speaks AMQP without TLS on this port");
    if (error == 0 || ERR_GET_LIB(error) != ERR_LIB_SSL)
        return tls->end == -LV_E_CLOSED || error == 0
                   ? lv_fail(diag, -LV_E_CLOSED, "the peer ended the connection in the handshake")
                   : lv_fail(diag, -LV_E_IO, "%s", text == NULL ? "unknown error" : text);
    switch (reason) {
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
        return lv_fail(diag, -LV_E_SYNTAX, "this is HTTP without TLS");
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_UNKNOWN_PROTOCOL:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
        return lv_fail(diag, -LV_E_SYNTAX, "this is not TLS");
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
        return lv_fail(diag, -LV_E_IO, "no common version of TLS (%s)", text);
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
        return explain_certificate(tls, diag);
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        return lv_fail(diag, -LV_E_ACCESS_REFUSED,
                       "the client has no certificate, and fail_if_no_peer_cert asks for one");
    default:
        /* Alerts are 1000 and their number: what the peer said (RFC 8446 §6). */
        return lv_fail(diag, -LV_E_IO, "%s%s",
                       reason > SSL_AD_REASON_OFFSET ? "the peer says: " : "",
                       text == NULL ? "unknown error" : text);
    }
}

/* A session that is resumed brings the certificate of its beginning along. */
static int check_peer(const struct lv_tls *tls, struct lv_diag *diag)
{
    X509 *certificate = SSL_get0_peer_certificate(tls->ssl);

    assert(SSL_is_init_finished(tls->ssl));
    if (certificate != NULL && tls->host == NULL && SSL_session_reused(tls->ssl) == 1 &&
        X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0)
        return lv_fail(diag, -LV_E_ACCESS_REFUSED,
                       "the client's certificate has expired since its session began");
    return 1;
}

/* Also after an error something may have to be sent: the alert that tells the peer. */
int lv_tls_handshake(struct lv_tls *tls, struct lv_diag *diag)
{
    int rc, error, sent;

    assert(tls->room == NULL);
    ERR_clear_error();
    rc = SSL_do_handshake(tls->ssl);
    error = rc == 1 ? SSL_ERROR_NONE : SSL_get_error(tls->ssl, rc);
    sent = send_owed(tls);
    if (error == SSL_ERROR_WANT_READ && sent == 0)
        return 0;
    if (error != SSL_ERROR_NONE)
        rc = explain(tls, diag);
    else if (sent < 0)
        rc = lv_fail(diag, -LV_E_CLOSED, "the peer ended the connection in the handshake");
    else
        rc = check_peer(tls, diag);
    ERR_clear_error();
    return rc;
}

/* ---- who it is ---- */

/* Of the certificate's subject. */
static int subject_name(X509 *certificate, enum lv_tls_name where, char text[LV_PEM_NAME_SIZE])
{
    const X509_NAME *subject = X509_get_subject_name(certificate);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    unsigned char *utf8 = NULL;
    int size;

    assert(where == LV_TLS_NAME_DISTINGUISHED || where == LV_TLS_NAME_COMMON);
    if (where == LV_TLS_NAME_DISTINGUISHED) {
        lv_pem_name(subject, text);
        return text[0] == '\0' || strlen(text) == LV_PEM_NAME_SIZE - 1 ? -LV_E_NOT_FOUND : 0;
    }
    if (at < 0)
        return -LV_E_NOT_FOUND;
    size = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    if (size <= 0 || size >= LV_PEM_NAME_SIZE || memchr(utf8, '\0', (size_t)size) != NULL)
        size = 0;
    snprintf(text, LV_PEM_NAME_SIZE, "%.*s", size, utf8 == NULL ? "" : (const char *)utf8);
    OPENSSL_free(utf8);
    return size == 0 ? -LV_E_NOT_FOUND : 0;
}

/* One entry of subjectAltName as text. */
static int general_text(const GENERAL_NAME *name, char text[LV_PEM_NAME_SIZE])
{
    const ASN1_STRING *string;
    int size;

    if (name->type == GEN_IPADD) {
        const unsigned char *ip = ASN1_STRING_get0_data(name->d.iPAddress);
        int family = ASN1_STRING_length(name->d.iPAddress) == 4 ? AF_INET : AF_INET6;

        if (family == AF_INET6 && ASN1_STRING_length(name->d.iPAddress) != 16)
            return -LV_E_NOT_FOUND;
        return inet_ntop(family, ip, text, LV_PEM_NAME_SIZE) == NULL ? -LV_E_NOT_FOUND : 0;
    }
    assert(name->type == GEN_DNS || name->type == GEN_EMAIL || name->type == GEN_URI);
    string = name->d.ia5;
    size = ASN1_STRING_length(string);
    if (size <= 0 || size >= LV_PEM_NAME_SIZE ||
        memchr(ASN1_STRING_get0_data(string), '\0', (size_t)size) != NULL)
        return -LV_E_NOT_FOUND;
    memcpy(text, ASN1_STRING_get0_data(string), (size_t)size);
    text[size] = '\0';
    return 0;
}

/* The `index`-th of its kind. */
static int alternative_name(X509 *certificate, enum lv_tls_name where, unsigned index,
                            char text[LV_PEM_NAME_SIZE])
{
    static const int types[] = {[LV_TLS_NAME_DNS] = GEN_DNS,
                                [LV_TLS_NAME_EMAIL] = GEN_EMAIL,
                                [LV_TLS_NAME_URI] = GEN_URI,
                                [LV_TLS_NAME_IP] = GEN_IPADD};
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    int rc = -LV_E_NOT_FOUND;

    assert(where >= LV_TLS_NAME_DNS);
    for (int i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

        if (name->type == types[where] && index-- == 0) {
            rc = general_text(name, text);
            break;
        }
    }
    GENERAL_NAMES_free(names);
    return rc;
}

int lv_tls_name_peer(struct lv_tls *tls, enum lv_tls_name where, unsigned index)
{
    X509 *certificate = SSL_get0_peer_certificate(tls->ssl);
    char text[LV_PEM_NAME_SIZE];
    int rc;

    assert(tls->peer_name == NULL);
    if (certificate == NULL || SSL_get_verify_mode(tls->ssl) == SSL_VERIFY_NONE ||
        SSL_get_verify_result(tls->ssl) != X509_V_OK)
        return -LV_E_NOT_FOUND;
    if (where == LV_TLS_NAME_DISTINGUISHED || where == LV_TLS_NAME_COMMON)
        rc = subject_name(certificate, where, text);
    else
        rc = alternative_name(certificate, where, index, text);
    if (rc < 0)
        return rc;
    tls->peer_name = lv_strndup(text, strlen(text));
    return tls->peer_name == NULL ? -LV_E_NOMEM : 0;
}

const char *lv_tls_peer_name(const struct lv_tls *tls)
{
    return tls->peer_name;
}

const char *lv_tls_version(const struct lv_tls *tls)
{
    assert(tls->ssl != NULL);
    return SSL_get_version(tls->ssl);
}

const char *lv_tls_cipher(const struct lv_tls *tls)
{
    const char *name = SSL_get_cipher_name(tls->ssl);

    return name == NULL ? "" : name;
}
