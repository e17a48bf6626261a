#include "codec/amqp091/wire.h"

#include <stdio.h>

/* Of what could not be decoded, this much is shown: enough to find it in a capture. */
#define SHOWN_MAX 32u

const char lv_amqp091_not_utf8[] = "Malformed UTF-8 in shortstr";

/* RabbitMQ quotes offending bytes as Erlang binaries. */
const char *lv_amqp091_octets(struct lv_bytes bytes, size_t max, char text[LV_AMQP091_OCTETS_SIZE])
{
    char *p = text, *end = text + LV_AMQP091_OCTETS_SIZE;
    size_t count = bytes.size < max ? bytes.size : max;

    assert(max <= SHOWN_MAX);
    p += snprintf(p, (size_t)(end - p), "<<");
    for (size_t i = 0; i < count; i++)
        p += snprintf(p, (size_t)(end - p), i == 0 ? "%u" : ",%u", bytes.data[i]);
    p += snprintf(p, (size_t)(end - p), count < bytes.size ? ",...>>" : ">>");
    assert(p < end);
    return text;
}

/* A frame that cannot be decoded ends the connection (0-9-1 §4.2.3), so the sentence is all that
 * the peer learns. */
int lv_amqp091_cannot_decode(struct lv_bytes whole, const char *why, struct lv_diag *diag)
{
    char octets[LV_AMQP091_OCTETS_SIZE];

    assert(why != NULL);
    if (diag == NULL)
        return -LV_E_BAD_FRAME;
    if (why == lv_amqp091_not_utf8)
        return lv_fail(diag, -LV_E_BAD_FRAME, "%s", why);
    return lv_fail(diag, -LV_E_BAD_FRAME, "cannot decode %s: %s",
                   lv_amqp091_octets(whole, SHOWN_MAX, octets), why);
}
