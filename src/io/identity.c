#include "io/identity.h"

#include "base/alloc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* RFC 5280 §4.1.2.2: at most 20 octets, and positive. */
#define SERIAL_SIZE 16
#define NAMES_SIZE  ((size_t)LV_IDENTITY_HOSTS_MAX * 264)

struct lv_identity {
    EVP_PKEY *key;     /* own */
    X509 *certificate; /* own */
};

/* The few extensions that verifiers look at (RFC 5280 §4.2.1). */
static const struct {
    const char *basic, *key_usage, *extended;
} profiles[] = {
    [LV_IDENTITY_CA] = {"critical,CA:TRUE", "critical,keyCertSign,cRLSign", NULL},
    [LV_IDENTITY_SERVER] = {"critical,CA:FALSE", "critical,digitalSignature", "serverAuth"},
    [LV_IDENTITY_CLIENT] = {"critical,CA:FALSE", "critical,digitalSignature", "clientAuth"},
};

/* Text form of an extension, as in openssl's configuration (x509v3_config(5)). */
static bool add_extension(X509 *certificate, X509 *issuer, int kind, const char *value)
{
    X509V3_CTX ctx;
    X509_EXTENSION *extension;
    bool good;

    assert(value != NULL);
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, issuer, certificate, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &ctx, kind, value);
    good = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return good;
}

/* What may stand in a list of names without being read as another entry. */
static bool is_name(const char *host)
{
    size_t size = strlen(host);

    assert(host != NULL);
    return size > 0 && size < 254 &&
           strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:*") ==
               size;
}

static bool is_ip(const char *host)
{
    unsigned char address[16];

    assert(host != NULL);
    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

/* subjectAltName, which is all that clients look at (RFC 6125 §6.4.4). */
static int add_hosts(X509 *certificate, const struct lv_identity_spec *spec, struct lv_diag *diag)
{
    char *names = lv_alloc(NAMES_SIZE);
    size_t size = 0;
    bool good = true;

    assert(spec->host_count <= LV_IDENTITY_HOSTS_MAX);
    if (names == NULL)
        return -LV_E_NOMEM;
    for (unsigned i = 0; i < spec->host_count; i++) {
        if (!is_name(spec->hosts[i])) {
            lv_free(names);
            return lv_fail(diag, -LV_E_USAGE, "\"%.100s\" is no host's name or address",
                           spec->hosts[i]);
        }
        size += (size_t)snprintf(names + size, NAMES_SIZE - size, "%s%s:%s", i == 0 ? "" : ",",
                                 is_ip(spec->hosts[i]) ? "IP" : "DNS", spec->hosts[i]);
        assert(size < NAMES_SIZE);
    }
    if (spec->host_count > 0)
        good = add_extension(certificate, certificate, NID_subject_alt_name, names);
    lv_free(names);
    return good ? 0 : lv_fail(diag, -LV_E_USAGE, "a host's name is none");
}

/* Random, so that two authorities of one name never give the same number twice. */
static bool set_serial(X509 *certificate)
{
    unsigned char bytes[SERIAL_SIZE];
    BIGNUM *number = NULL;
    bool good = RAND_bytes(bytes, sizeof bytes) == 1;

    bytes[0] = (unsigned char)((bytes[0] & 0x7fu) | 0x40u);
    if (good)
        number = BN_bin2bn(bytes, sizeof bytes, NULL);
    good = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
    BN_free(number);
    assert(bytes[0] != 0);
    return good;
}

/* All but names, extensions and the signature. */
static bool set_base(X509 *certificate, EVP_PKEY *key, const struct lv_identity_spec *spec)
{
    X509_NAME *subject = X509_get_subject_name(certificate);

    assert(spec->from_s < spec->until_s);
    return X509_set_version(certificate, X509_VERSION_3) == 1 && set_serial(certificate) &&
           X509_gmtime_adj(X509_getm_notBefore(certificate), spec->from_s) != NULL &&
           X509_gmtime_adj(X509_getm_notAfter(certificate), spec->until_s) != NULL &&
           X509_set_pubkey(certificate, key) == 1 &&
           X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                      (const unsigned char *)spec->name, -1, -1, 0) == 1;
}

/* Says who is who, what for, and signs all of it. */
static int finish(const struct lv_identity *identity, const struct lv_identity_spec *spec,
                  const struct lv_identity *issuer, struct lv_diag *diag)
{
    X509 *certificate = identity->certificate;
    int rc;

    assert(issuer != NULL);
    if (X509_set_issuer_name(certificate, X509_get_subject_name(issuer->certificate)) != 1 ||
        !add_extension(certificate, issuer->certificate, NID_basic_constraints,
                       profiles[spec->use].basic) ||
        !add_extension(certificate, issuer->certificate, NID_key_usage,
                       profiles[spec->use].key_usage) ||
        !add_extension(certificate, issuer->certificate, NID_subject_key_identifier, "hash") ||
        (issuer != identity && !add_extension(certificate, issuer->certificate,
                                              NID_authority_key_identifier, "keyid:always")))
        return lv_fail(diag, -LV_E_INTERNAL, "a certificate could not be made");
    if (profiles[spec->use].extended != NULL &&
        !add_extension(certificate, issuer->certificate, NID_ext_key_usage,
                       profiles[spec->use].extended))
        return lv_fail(diag, -LV_E_INTERNAL, "a certificate could not be made");
    rc = add_hosts(certificate, spec, diag);
    if (rc < 0)
        return rc;
    return X509_sign(certificate, issuer->key, EVP_sha256()) > 0
               ? 0
               : lv_fail(diag, -LV_E_INTERNAL, "a certificate could not be signed");
}

int lv_identity_new(const struct lv_identity_spec *spec, const struct lv_identity *issuer,
                    struct lv_identity **ret_identity, struct lv_diag *diag)
{
    struct lv_identity *identity = lv_calloc(1, sizeof *identity);
    int rc = -LV_E_NOMEM;

    assert(spec->use <= LV_IDENTITY_CLIENT);
    if (identity == NULL)
        return lv_fail(diag, -LV_E_NOMEM, "out of memory");
    if (spec->name[0] == '\0' || strlen(spec->name) > 64)
        rc = lv_fail(diag, -LV_E_USAGE, "a name in a certificate has 1 to 64 bytes, not %zu",
                     strlen(spec->name));
    else
        identity->key = EVP_EC_gen("P-256");
    if (identity->key != NULL)
        identity->certificate = X509_new();
    if (identity->certificate != NULL)
        rc = set_base(identity->certificate, identity->key, spec)
                 ? finish(identity, spec, issuer == NULL ? identity : issuer, diag)
                 : lv_fail(diag, -LV_E_USAGE, "\"%s\" can't stand in a certificate", spec->name);
    if (rc < 0) {
        lv_identity_free(identity);
        return rc;
    }
    *ret_identity = identity;
    return 0;
}

void lv_identity_free(struct lv_identity *identity)
{
    if (identity == NULL)
        return;
    X509_free(identity->certificate);
    EVP_PKEY_free(identity->key);
    lv_free(identity);
}

/* O_EXCL: what is there stays, and no link is followed. */
static int create(const char *path, FILE **ret_file, struct lv_diag *diag)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    assert(path[0] != '\0');
    if (fd < 0)
        return lv_fail(diag, errno == EEXIST ? -LV_E_LOCKED : -LV_E_IO,
                       errno == EEXIST ? "%s is there already, and is not overwritten"
                                       : "can't write %s: %s",
                       path, strerror(errno));
    *ret_file = fdopen(fd, "w");
    if (*ret_file == NULL) {
        close(fd);
        unlink(path);
        return lv_fail(diag, -LV_E_NOMEM, "out of memory");
    }
    return 0;
}

/* One of the two, whichever the file is for. */
static int write_one(const char *path, X509 *certificate, EVP_PKEY *key, struct lv_diag *diag)
{
    FILE *file = NULL;
    bool good;
    int rc = create(path, &file, diag);

    assert((certificate == NULL) != (key == NULL));
    if (rc < 0)
        return rc;
    good = certificate != NULL ? PEM_write_X509(file, certificate) == 1
                               : PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1;
    if (fclose(file) != 0 || !good) {
        unlink(path);
        return lv_fail(diag, -LV_E_IO, "can't write %s", path);
    }
    return 0;
}

/* Not a half of it: without its certificate a key is of no use. */
int lv_identity_write(const struct lv_identity *identity, const char *certfile, const char *keyfile,
                      struct lv_diag *diag)
{
    int rc = write_one(certfile, identity->certificate, NULL, diag);

    assert(identity->key != NULL);
    if (rc < 0 || keyfile == NULL)
        return rc;
    rc = write_one(keyfile, NULL, identity->key, diag);
    if (rc < 0)
        unlink(certfile);
    return rc;
}
