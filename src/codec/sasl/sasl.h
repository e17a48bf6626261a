/*
 * codec/sasl/sasl.h - what clients answer when asked who they are: PLAIN and AMQPLAIN.
 *
 * Views of the response. No text here ever shows a response: it holds a password. How long a name
 * or a password may be is up to the frame that carries it; tokens in place of passwords take
 * kilobytes. Pure; any thread.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

/* Views of the response: they go with its frame. */
struct lv_sasl_credentials {
    struct lv_bytes user;     /* view */
    struct lv_bytes password; /* view */
};

/* RFC 4616, NUL user NUL password. As with RabbitMQ nobody may act for another (the authorization
 * identity before the first NUL is empty) and neither part holds a NUL. 0 or -LV_E_SYNTAX. */
int lv_sasl_plain_decode(struct lv_bytes response, struct lv_sasl_credentials *ret_credentials,
                         struct lv_diag *diag) LV_MUST_CHECK;
/* Bytes of the response. */
size_t lv_sasl_plain_size(const struct lv_sasl_credentials *credentials);
/* Writes the response and returns the byte behind it. PLAIN has no way to say NUL: with one in
 * either part every server refuses the response. */
uint8_t *lv_sasl_plain_encode(const struct lv_sasl_credentials *credentials, uint8_t *p);

/* The entries of a 0-9-1 field table (without a length before them) with the long strings LOGIN and
 * PASSWORD; of several the first counts, and other fields are ignored. 0 or -LV_E_SYNTAX. */
int lv_sasl_amqplain_decode(struct lv_bytes response, struct lv_sasl_credentials *ret_credentials,
                            struct lv_diag *diag) LV_MUST_CHECK;
/* Bytes of the response. */
size_t lv_sasl_amqplain_size(const struct lv_sasl_credentials *credentials);
/* Writes the response and returns the byte behind it. */
uint8_t *lv_sasl_amqplain_encode(const struct lv_sasl_credentials *credentials, uint8_t *p);
