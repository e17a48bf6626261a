/*
 * session/amqp091/properties.h - what the core and the session look up in a message's properties.
 *
 * Properties stay as they came (0-9-1 §4.2.6.1); here is who finds headers in them when a rule
 * asks. They have been checked when they came. Pure; any thread that holds the bytes.
 */
#pragma once

#include "broker/message.h"

/* For the core: struct lv_broker_config. */
extern const struct lv_properties lv_session_properties;

/* Do these properties, which have headers, name further routing keys (CC, BCC)? */
bool lv_session_has_extra_keys(struct lv_bytes properties);
