#include "codec/sasl/sasl.h"

#include "codec/amqp091/table.h"
#include "codec/amqp091/wire.h"

#define LOGIN    "LOGIN"
#define PASSWORD "PASSWORD"

/* Takes a NUL and what follows it, up to the next one or the end. */
static bool take_part(struct lv_bytes *response, struct lv_bytes *ret_part)
{
    const uint8_t *p = response->data;
    const uint8_t *nul;
    size_t size;

    if (response->size == 0 || p[0] != 0)
        return false;
    nul = memchr(p + 1, 0, response->size - 1);
    size = nul != NULL ? (size_t)(nul - p) : response->size;
    assert(size >= 1);
    assert(size <= response->size);
    *ret_part = lv_bytes(p + 1, size - 1);
    *response = lv_bytes(p + size, response->size - size);
    return true;
}

/* RFC 4616 with an empty authorization identity; nothing of the response goes into the sentence, as
 * it holds a password. */
int lv_sasl_plain_decode(struct lv_bytes response, struct lv_sasl_credentials *ret_credentials,
                         struct lv_diag *diag)
{
    struct lv_sasl_credentials credentials;

    assert(ret_credentials != NULL);
    if (!take_part(&response, &credentials.user) || !take_part(&response, &credentials.password))
        return lv_fail(diag, -LV_E_SYNTAX, "PLAIN response invalid: not NUL user NUL password");
    if (response.size > 0)
        return lv_fail(diag, -LV_E_SYNTAX, "PLAIN response invalid: more than two parts");
    *ret_credentials = credentials;
    return 0;
}

/* Two NULs and what stands between them. */
size_t lv_sasl_plain_size(const struct lv_sasl_credentials *credentials)
{
    assert(credentials != NULL);
    return 2 + credentials->user.size + credentials->password.size;
}

/* The part in front of the first NUL would be somebody else's name; we have none. */
uint8_t *lv_sasl_plain_encode(const struct lv_sasl_credentials *credentials, uint8_t *p)
{
    assert(p != NULL);
    p = lv_put_bytes(lv_put8(p, 0), credentials->user);
    return lv_put_bytes(lv_put8(p, 0), credentials->password);
}

/* The long string of this name; of two fields the first one counts. */
static int find_string(struct lv_bytes entries, const char *name, struct lv_bytes *ret_value,
                       struct lv_diag *diag)
{
    struct lv_amqp091_field field;
    int rc;

    assert(name != NULL);
    assert(ret_value != NULL);
    /* No diag: its text would show the bytes. */
    while ((rc = lv_amqp091_field_next(&entries, &field, NULL)) > 0) {
        if (lv_bytes_equal(field.name, lv_text(name)))
            break;
    }
    if (rc <= 0)
        return lv_fail(diag, -LV_E_SYNTAX, "AMQPLAIN response invalid: %s",
                       rc == 0 ? "LOGIN or PASSWORD missing" : "not a field table");
    if (field.octet != 'S')
        return lv_fail(diag, -LV_E_SYNTAX, "AMQPLAIN response invalid: %s is no long string", name);
    *ret_value = field.value;
    return 0;
}

/* A field table without its length in front: RabbitMQ's own mechanism, older than PLAIN in 0-9-1.
 */
int lv_sasl_amqplain_decode(struct lv_bytes response, struct lv_sasl_credentials *ret_credentials,
                            struct lv_diag *diag)
{
    struct lv_sasl_credentials credentials;
    int rc;

    assert(ret_credentials != NULL);
    if (lv_amqp091_table_check(response, NULL) < 0)
        return lv_fail(diag, -LV_E_SYNTAX, "AMQPLAIN response invalid: not a field table");
    rc = find_string(response, LOGIN, &credentials.user, diag);
    if (rc < 0)
        return rc;
    rc = find_string(response, PASSWORD, &credentials.password, diag);
    if (rc < 0)
        return rc;
    *ret_credentials = credentials;
    return 0;
}

/* Each name has a length octet and its string a type octet and four for the length; sizeof counts
 * the length octet as the literal's end. */
size_t lv_sasl_amqplain_size(const struct lv_sasl_credentials *credentials)
{
    size_t overhead = sizeof LOGIN + sizeof PASSWORD + 2 * (sizeof(uint8_t) + sizeof(uint32_t));

    assert(credentials != NULL);
    return overhead + credentials->user.size + credentials->password.size;
}

/* A field with a long string. */
static uint8_t *put_string(uint8_t *p, const char *name, struct lv_bytes value)
{
    assert(name != NULL);
    p = lv_amqp091_write_shortstr(p, lv_text(name));
    return lv_amqp091_write_longstr(lv_put8(p, 'S'), value);
}

/* In the order in which clients of RabbitMQ send it. */
uint8_t *lv_sasl_amqplain_encode(const struct lv_sasl_credentials *credentials, uint8_t *p)
{
    assert(p != NULL);
    p = put_string(p, LOGIN, credentials->user);
    return put_string(p, PASSWORD, credentials->password);
}
