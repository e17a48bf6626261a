/*
 * io/address.h - where a peer is: an IP address and a port, and the texts people write for them.
 *
 * Any thread; only lv_address_resolve() may take long, as it asks the system's resolver.
 */
#pragma once

#include "base/defs.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lv_address {
    uint8_t ip[16]; /* IPv6; IPv4 as ::ffff:a.b.c.d */
    uint16_t port;
};

#define LV_ADDRESS_TEXT_SIZE 56
/* "127.0.0.1:5672", "[::1]:5672". Returns `text`. */
const char *lv_address_text(const struct lv_address *address, char text[LV_ADDRESS_TEXT_SIZE]);
/* 127.0.0.0/8, also as ::ffff:127.0.0.1, and ::1. */
bool lv_address_is_loopback(const struct lv_address *address);
/* Whether it is written, listened on and connected to as IPv4. */
bool lv_address_is_ipv4(const struct lv_address *address);

/* 0.0.0.0 or ::, which listen on all addresses; :: takes IPv4 too. */
bool lv_address_is_any(const struct lv_address *address);

struct lv_endpoint {
    char host[256]; /* "": all addresses of this machine */
    uint16_t port;
};

/* HOST:PORT, [IPV6]:PORT, :PORT, *:PORT or PORT. */
int lv_endpoint_parse(const char *text, struct lv_endpoint *ret_endpoint, struct lv_diag *diag)
    LV_MUST_CHECK;

/* The addresses of a host's name, without doubles; returns how many, at least one. `host` "" gives
 * [::], which listens for IPv4 too. */
int lv_address_resolve(const char *host, uint16_t port, struct lv_address *addresses, size_t max,
                       struct lv_diag *diag) LV_MUST_CHECK;
