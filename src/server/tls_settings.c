#include "server/tls_settings.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

/* The words of ssl_cert_login_from, in their order. */
enum { FROM_DISTINGUISHED_NAME, FROM_COMMON_NAME, FROM_ALTERNATIVE_NAME };

static const enum lv_tls_name alternatives[] = {LV_TLS_NAME_DNS, LV_TLS_NAME_EMAIL, LV_TLS_NAME_URI,
                                                LV_TLS_NAME_IP};

/* Names of files, cut in two where `ssl_options.sni` has them in one. */
struct pairs {
    struct lv_tls_pair pairs[LV_NAMES_MAX + 1];
    char *copies[LV_NAMES_MAX]; /* own */
    unsigned count;
};

static int add_sni(struct pairs *pairs, const char *text)
{
    char *copy = lv_strndup(text, strlen(text));
    char *comma;

    assert(pairs->count >= 1);
    if (copy == NULL)
        return -LV_E_NOMEM;
    pairs->copies[pairs->count - 1] = copy;
    comma = strchr(copy, ',');
    if (comma != NULL)
        *comma++ = '\0';
    while (comma != NULL && *comma == ' ')
        comma++;
    pairs->pairs[pairs->count++] = (struct lv_tls_pair){.certfile = copy, .keyfile = comma};
    return 0;
}

static void free_pairs(struct pairs *pairs)
{
    for (unsigned i = 0; i < LV_NAMES_MAX; i++)
        lv_free(pairs->copies[i]);
    assert(pairs->count <= LV_NAMES_MAX + 1);
}

/* tlsv1.2 and tlsv1.3; RabbitMQ's names for what is older are refused, since nobody should use it
 * any more (RFC 8996). */
static int read_versions(const struct lv_names *versions, struct lv_tls_server_options *options,
                         struct lv_diag *diag)
{
    assert(!options->tls12);
    assert(!options->tls13);
    for (unsigned i = 0; i < versions->count; i++) {
        const char *name = versions->items[i];

        if (strcmp(name, "tlsv1.2") == 0)
            options->tls12 = true;
        else if (strcmp(name, "tlsv1.3") == 0)
            options->tls13 = true;
        else
            return lv_fail(diag, -LV_E_USAGE,
                           "ssl_options.versions are tlsv1.3 and tlsv1.2, not \"%.64s\"", name);
    }
    return 0;
}

int lv_tls_settings_context(const struct lv_settings *settings, struct lv_tls_context **ret_context,
                            struct lv_diag *diag)
{
    struct pairs pairs = {
        .pairs = {{.certfile = settings->tls_certfile, .keyfile = settings->tls_keyfile}},
        .count = 1};
    struct lv_tls_server_options options = {
        .pairs = pairs.pairs,
        .password = settings->tls_password,
        .cacertfile = settings->tls_cacertfile,
        .ciphers = (const char *const *)settings->tls_ciphers.items,
        .cipher_count = settings->tls_ciphers.count,
        .honor_cipher_order = settings->tls_honor_cipher_order != 0,
        .verify_peer = settings->tls_verify != 0,
        .fail_if_no_peer_cert = settings->tls_fail_if_no_peer_cert != 0,
        .depth = (unsigned)settings->tls_depth,
    };
    struct lv_diag why = {""};
    int rc;

    if (settings->tls_certfile[0] == '\0')
        return lv_fail(diag, -LV_E_USAGE,
                       "TLS needs a certificate: ssl_options.certfile and ssl_options.keyfile name "
                       "its files; `leveret cert` makes some for a first try");
    rc = read_versions(&settings->tls_versions, &options, diag);
    if (rc < 0)
        return rc;
    for (unsigned i = 0; rc == 0 && i < settings->tls_sni.count; i++)
        rc = add_sni(&pairs, settings->tls_sni.items[i]);
    options.pair_count = pairs.count;
    if (rc == 0)
        rc = lv_tls_server_context(&options, ret_context, &why);
    assert(rc <= 0);
    free_pairs(&pairs);
    return rc < 0 ? lv_fail(diag, rc, "TLS (ssl_options): %.450s",
                            why.text[0] == '\0' ? "out of memory" : why.text)
                  : 0;
}

/* Without a name the connection is as good as any, only EXTERNAL is not offered. */
void lv_tls_settings_name_peer(const struct lv_settings *settings, struct lv_tls *tls)
{
    enum lv_tls_name where = LV_TLS_NAME_DISTINGUISHED;
    unsigned index = 0;

    if (settings->tls_login_from == FROM_COMMON_NAME)
        where = LV_TLS_NAME_COMMON;
    if (settings->tls_login_from == FROM_ALTERNATIVE_NAME) {
        assert(settings->tls_san_type < LV_COUNT(alternatives));
        where = alternatives[settings->tls_san_type];
        index = (unsigned)settings->tls_san_index;
    }
    if (lv_tls_name_peer(tls, where, index) < 0)
        assert(lv_tls_peer_name(tls) == NULL);
}
