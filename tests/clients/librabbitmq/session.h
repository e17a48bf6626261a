/*
 * session.h - librabbitmq made brief: what every check needs, failing the check when it goes wrong.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <amqp.h>
#include <amqp_framing.h>

/* A message or return as it arrived; strings are copies that live as long as the check. */
struct message {
    amqp_bytes_t body;
    amqp_basic_properties_t properties;
    amqp_bytes_t exchange;
    amqp_bytes_t routing_key;
    amqp_bytes_t tag;
    uint64_t delivery_tag;
    uint32_t left; /* of get-ok */
    bool redelivered;
};

/* A connection that has not logged in. */
amqp_connection_state_t session_socket(void);

/* A connection that is open, with its channel 1. */
amqp_connection_state_t session_open(void);
amqp_connection_state_t session_open_with_heartbeat(int seconds);

/* Opens one more channel. */
void session_channel(amqp_connection_state_t conn, amqp_channel_t channel);

/* Takes the socket away without a word. */
void session_drop(amqp_connection_state_t conn);

/* Fails the check unless the last synchronous call went well. */
void session_must(amqp_connection_state_t conn);

/* The last synchronous call was answered by closing the channel with this error. `text` may be
 * NULL. The channel can be opened again afterwards. */
void session_must_be_refused(amqp_connection_state_t conn, amqp_channel_t channel, int code,
                             const char *text);

/* The broker closes the channel with this error, unasked. */
void session_wait_refused(amqp_connection_state_t conn, amqp_channel_t channel, int code,
                          const char *text);

/* The broker closes the connection with this error, unasked. */
void session_wait_closed(amqp_connection_state_t conn, int code, const char *text);

/* The next method on any channel; it must have this id. Decoded arguments are given. */
void *session_wait_method(amqp_connection_state_t conn, amqp_method_number_t id);

/* An exclusive queue that the broker names. The name lives as long as the check. */
amqp_bytes_t session_queue(amqp_connection_state_t conn, amqp_channel_t channel);

/* A durable queue of this name. */
void session_declare(amqp_connection_state_t conn, const char *queue);

void session_publish(amqp_connection_state_t conn, amqp_channel_t channel, const char *exchange,
                     amqp_bytes_t key, const char *body);

/* Publishes to the default exchange the bodies "0", "1", ... */
void session_fill(amqp_connection_state_t conn, amqp_bytes_t queue, int count);

void session_consume(amqp_connection_state_t conn, amqp_channel_t channel, amqp_bytes_t queue,
                     const char *tag, bool no_ack);

/* Waits for the next delivery. */
struct message session_wait(amqp_connection_state_t conn);

/* True when nothing is delivered for a while. */
bool session_is_quiet(amqp_connection_state_t conn);

/* Gets from the queue; false when it is empty. */
bool session_get(amqp_connection_state_t conn, amqp_channel_t channel, amqp_bytes_t queue,
                 bool no_ack, struct message *ret_message);

/* Reads the content that follows basic.return. */
struct message session_wait_return(amqp_connection_state_t conn);

/* Waits until this many messages are ready. */
void session_expect_depth(amqp_connection_state_t conn, amqp_bytes_t queue, unsigned count);

bool session_body_is(const struct message *message, const char *body);
bool session_text_is(amqp_bytes_t bytes, const char *text);

/* On a connection of their own, whatever happens. */
void session_delete_queue(const char *queue);
void session_delete_exchange(const char *exchange);
