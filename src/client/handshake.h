/*
 * client/handshake.h - what a client says of itself and of the connection it wants.
 *
 * Pure functions that client/engine.c uses between the protocol header and connection.open.
 */
#pragma once

#include "client/engine.h"

/* Entries of client-properties: who we are and what we understand. */
#define LV_HANDSHAKE_PROPERTIES_SIZE 1024u
/* Writes them and returns their size. A long connection name is cut. */
size_t lv_handshake_properties(const struct lv_engine_config *config,
                               uint8_t entries[LV_HANDSHAKE_PROPERTIES_SIZE]);

/* The answer to connection.tune: the smaller of both wishes, where 0 means no limit. */
struct lv_amqp091_connection_tune_ok
lv_handshake_tune(const struct lv_engine_config *config,
                  const struct lv_amqp091_connection_tune *offer);

/* Is the word in the list of connection.start's mechanisms? */
bool lv_handshake_offers(struct lv_bytes mechanisms, const char *word);

/* "RabbitMQ 3.10.8", from connection.start's server-properties. Returns `text`. */
const char *lv_handshake_server(struct lv_bytes properties, char *text, size_t size);

/* The error for a reply code, -LV_E_INTERNAL for one that nobody knows. */
int lv_handshake_error(uint16_t reply_code);
