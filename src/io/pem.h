/*
 * io/pem.h - certificates and keys from files in PEM format, for io/tls_context.c.
 *
 * Sentences name the file and what is wrong with it. Any thread.
 */
#pragma once

#include "base/defs.h"
#include "base/err.h"

#include <openssl/x509.h>

/* Bundles of a system's authorities have some 250 KiB. */
#define LV_PEM_SIZE_MAX ((size_t)4 << 20)

/* All certificates of the file, in its order; at least one. Gives the stack, for
 * lv_pem_certificates_free(). */
int lv_pem_certificates(const char *path, STACK_OF(X509) * *ret_certificates, struct lv_diag *diag)
    LV_MUST_CHECK;
/* Takes NULL. */
void lv_pem_certificates_free(STACK_OF(X509) * certificates);
/* The first key of the file; `password` may be NULL or "" and is needed for an encrypted one. */
int lv_pem_key(const char *path, const char *password, EVP_PKEY **ret_key, struct lv_diag *diag)
    LV_MUST_CHECK;

/* -LV_E_USAGE when now is before or after the time that the certificate is valid for. */
int lv_pem_check_dates(const char *path, X509 *certificate, struct lv_diag *diag) LV_MUST_CHECK;

#define LV_PEM_NAME_SIZE 256
/* "CN=client,O=Example": RFC 4514, as RabbitMQ shows names. Cut if it does not fit; returns `text`.
 */
const char *lv_pem_name(const X509_NAME *name, char text[LV_PEM_NAME_SIZE]);
