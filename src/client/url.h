/*
 * client/url.h - where a broker is and who logs in:
 * amqp://user:password@host:port/vhost?heartbeat=s
 *
 * Every part may be left out (guest, guest, localhost, 5672, vhost "/"). Parts are percent-decoded;
 * a vhost that holds a slash writes it as %2F. amqps:// means TLS (port 5671), with RabbitMQ's
 * parameters behind the question mark: cacertfile, certfile, keyfile, verify,
 * server_name_indication. Pure; any thread.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define LV_URL_PATH_SIZE 1024
#define LV_URL_DEFAULT   "amqp://guest:guest@localhost:5672/"

/* Decoded. Fixed sizes, as each part is bounded by the protocol or by DNS. */
struct lv_url {
    char user[256];
    char password[256];
    char host[256]; /* a name or an address, IPv6 without its brackets */
    char vhost[256];
    uint16_t port;
    uint16_t heartbeat_s; /* what the client wants; 0 switches heartbeats off */
    bool is_external;     /* auth_mechanism=external: by the certificate, without a password */
    bool is_tls;          /* amqps://; all below is for that only */
    bool verify_none;     /* whoever answers is believed */
    char cacertfile[LV_URL_PATH_SIZE]; /* "": the system's authorities */
    char certfile[LV_URL_PATH_SIZE];   /* "": none */
    char keyfile[LV_URL_PATH_SIZE];    /* "": in certfile */
    char server_name[256];             /* that the certificate has to have; "": the host */
};

/* The sentence says which part is wrong and never repeats a password. */
int lv_url_parse(const char *text, struct lv_diag *diag, struct lv_url *ret_url) LV_MUST_CHECK;
