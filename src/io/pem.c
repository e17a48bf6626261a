#include "io/pem.h"

#include "base/alloc.h"
#include "io/file.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

#define TIME_TEXT_SIZE 32

/* A password that was given for a key, and whether it was asked for. */
struct password {
    const char *text; /* view  may be NULL */
    bool is_asked;
};

/* The file's text behind OpenSSL's way to read; gives both. */
static int open_file(const char *path, char **ret_text, BIO **ret_bio, struct lv_diag *diag)
{
    size_t size;
    int rc = lv_file_read(path, LV_PEM_SIZE_MAX, ret_text, &size, diag);

    assert(path != NULL);
    if (rc < 0)
        return rc;
    *ret_bio = BIO_new_mem_buf(*ret_text, (int)size);
    if (*ret_bio != NULL)
        return 0;
    lv_free(*ret_text);
    return lv_fail(diag, -LV_E_NOMEM, "out of memory");
}

/* A key is not left behind in freed memory. */
static void close_file(char *text, BIO *bio)
{
    assert(text != NULL);
    BIO_free(bio);
    OPENSSL_cleanse(text, strlen(text));
    lv_free(text);
}

/* PEM_R_NO_START_LINE is how the end of the file is reported. */
static bool is_at_end(void)
{
    unsigned long error = ERR_peek_last_error();

    assert(ERR_LIB_PEM > 0);
    return error == 0 ||
           (ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE);
}

int lv_pem_certificates(const char *path, STACK_OF(X509) * *ret_certificates, struct lv_diag *diag)
{
    STACK_OF(X509) *certificates = sk_X509_new_null();
    char *text = NULL;
    X509 *one;
    BIO *bio = NULL;
    int rc = open_file(path, &text, &bio, diag);

    if (rc < 0)
        goto fail;
    ERR_clear_error();
    while (certificates != NULL && (one = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        if (sk_X509_push(certificates, one) == 0)
            X509_free(one);
    }
    if (certificates == NULL)
        rc = lv_fail(diag, -LV_E_NOMEM, "out of memory");
    else if (!is_at_end())
        rc = lv_fail(diag, -LV_E_CORRUPT, "%s is damaged: certificate %d in it can't be read (%s)",
                     path, sk_X509_num(certificates) + 1,
                     ERR_reason_error_string(ERR_peek_last_error()));
    else if (sk_X509_num(certificates) == 0)
        rc = lv_fail(diag, -LV_E_CORRUPT,
                     "%s holds no certificate in PEM format (-----BEGIN CERTIFICATE-----)", path);
    ERR_clear_error();
    close_file(text, bio);
    if (rc < 0)
        goto fail;
    *ret_certificates = certificates;
    return 0;
fail:
    lv_pem_certificates_free(certificates);
    return rc;
}

void lv_pem_certificates_free(STACK_OF(X509) * certificates)
{
    sk_X509_pop_free(certificates, X509_free);
}

/* OpenSSL's own function would ask on the terminal. */
static int give_password(char *buffer, int size, int for_writing, void *ctx)
{
    struct password *password = ctx;
    size_t length = password->text == NULL ? 0 : strlen(password->text);

    assert(size > 0);
    (void)for_writing;
    password->is_asked = true;
    if (length == 0 || length > (size_t)size)
        return -1;
    memcpy(buffer, password->text, length);
    return (int)length;
}

int lv_pem_key(const char *path, const char *password, EVP_PKEY **ret_key, struct lv_diag *diag)
{
    struct password given = {.text = password};
    EVP_PKEY *key;
    char *text = NULL;
    BIO *bio = NULL;
    int rc = open_file(path, &text, &bio, diag);

    assert(ret_key != NULL);
    if (rc < 0)
        return rc;
    ERR_clear_error();
    key = PEM_read_bio_PrivateKey(bio, NULL, give_password, &given);
    if (key != NULL)
        *ret_key = key;
    else if (given.is_asked)
        rc = lv_fail(diag, -LV_E_USAGE, "the key in %s is encrypted, and %s", path,
                     password == NULL || password[0] == '\0' ? "no password is given"
                                                             : "the password does not open it");
    else if (strstr(text, "PRIVATE KEY-----") == NULL)
        rc = lv_fail(diag, -LV_E_CORRUPT,
                     "%s holds no key in PEM format (-----BEGIN PRIVATE KEY-----)", path);
    else
        rc = lv_fail(diag, -LV_E_CORRUPT, "the key in %s can't be read (%s)", path,
                     ERR_reason_error_string(ERR_peek_last_error()));
    ERR_clear_error();
    close_file(text, bio);
    return rc;
}

/* "2026-11-21 18:00:00 UTC". */
static const char *time_text(const ASN1_TIME *at, char text[TIME_TEXT_SIZE])
{
    struct tm tm = {0};

    assert(at != NULL);
    if (ASN1_TIME_to_tm(at, &tm) != 1 ||
        strftime(text, TIME_TEXT_SIZE, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
        snprintf(text, TIME_TEXT_SIZE, "an unknown time");
    return text;
}

/* X509_cmp_current_time(): negative when the time is over. */
int lv_pem_check_dates(const char *path, X509 *certificate, struct lv_diag *diag)
{
    char time[TIME_TEXT_SIZE], name[LV_PEM_NAME_SIZE];
    const ASN1_TIME *from = X509_get0_notBefore(certificate);
    const ASN1_TIME *until = X509_get0_notAfter(certificate);

    assert(path != NULL);
    lv_pem_name(X509_get_subject_name(certificate), name);
    if (X509_cmp_current_time(until) < 0)
        return lv_fail(diag, -LV_E_USAGE, "the certificate of %s in %s has expired on %s", name,
                       path, time_text(until, time));
    if (X509_cmp_current_time(from) > 0)
        return lv_fail(diag, -LV_E_USAGE, "the certificate of %s in %s is not valid before %s",
                       name, path, time_text(from, time));
    return 0;
}

/* The last part of the name comes first, and letters stay letters. */
const char *lv_pem_name(const X509_NAME *name, char text[LV_PEM_NAME_SIZE])
{
    BIO *bio = BIO_new(BIO_s_mem());
    int size = 0;

    assert(name != NULL);
    if (bio != NULL &&
        X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) >=
            0)
        size = BIO_read(bio, text, LV_PEM_NAME_SIZE - 1);
    text[size < 0 ? 0 : size] = '\0';
    BIO_free(bio);
    return text;
}
