/*
 * io/identity.h - makes keys and X.509 certificates, for a first try with TLS and for tests.
 *
 * Elliptic keys (P-256), signed with SHA-256. Any thread.
 */
#pragma once

#include "base/defs.h"
#include "base/err.h"

#include <stdint.h>

/* What the certificate may be used for. */
enum lv_identity_use { LV_IDENTITY_CA, LV_IDENTITY_SERVER, LV_IDENTITY_CLIENT };

#define LV_IDENTITY_HOSTS_MAX 64u

struct lv_identity_spec {
    enum lv_identity_use use;
    const char *name;         /* the subject's common name, at most 64 bytes */
    const char *const *hosts; /* names and addresses that it is valid for (subjectAltName) */
    unsigned host_count;      /* at most LV_IDENTITY_HOSTS_MAX */
    int64_t from_s, until_s;  /* validity, in seconds from now */
};

/* A key with its certificate. */
struct lv_identity;

/* Signed by `issuer`, or by itself when that is NULL. -LV_E_USAGE: a name that no certificate can
 * hold. */
int lv_identity_new(const struct lv_identity_spec *spec, const struct lv_identity *issuer,
                    struct lv_identity **ret_identity, struct lv_diag *diag) LV_MUST_CHECK;
/* Takes NULL. */
void lv_identity_free(struct lv_identity *identity);

/* Two new files in PEM format that only their owner may read; `keyfile` may be NULL. -LV_E_LOCKED:
 * one of them is there already, which is left alone. */
int lv_identity_write(const struct lv_identity *identity, const char *certfile, const char *keyfile,
                      struct lv_diag *diag) LV_MUST_CHECK;
