/*
 * Responses of both SASL mechanisms: what gives credentials is, encoded from them again, a response
 * that gives the same.
 */
#include "codec/sasl/sasl.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_equal(const struct lv_sasl_credentials *a, const struct lv_sasl_credentials *b)
{
    assert(lv_bytes_equal(a->user, b->user));
    assert(lv_bytes_equal(a->password, b->password));
}

static void check_plain(struct lv_bytes response)
{
    struct lv_sasl_credentials credentials;
    struct lv_diag diag;
    uint8_t *out;

    if (lv_sasl_plain_decode(response, &credentials, &diag) < 0)
        return;
    assert(lv_sasl_plain_size(&credentials) == response.size);
    out = malloc(response.size);
    assert(out != NULL);
    assert(lv_sasl_plain_encode(&credentials, out) == out + response.size);
    assert(memcmp(out, response.data, response.size) == 0); /* there is one way to write it */
    free(out);
}

static void check_amqplain(struct lv_bytes response)
{
    struct lv_sasl_credentials credentials, again;
    struct lv_diag diag;
    size_t size;
    uint8_t *out;

    if (lv_sasl_amqplain_decode(response, &credentials, &diag) < 0)
        return;
    size = lv_sasl_amqplain_size(&credentials);
    assert(size <= response.size); /* which may hold other fields */
    out = malloc(size);
    assert(out != NULL);
    assert(lv_sasl_amqplain_encode(&credentials, out) == out + size);
    assert(lv_sasl_amqplain_decode(lv_bytes(out, size), &again, NULL) == 0);
    check_equal(&credentials, &again);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_plain(lv_bytes(data, size));
    check_amqplain(lv_bytes(data, size));
    return 0;
}
