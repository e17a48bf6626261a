#include "io/address.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool lv_address_is_ipv4(const struct lv_address *address)
{
    assert(address != NULL);
    return memcmp(address->ip, mapped_prefix, sizeof mapped_prefix) == 0;
}

/* RFC 1122 §3.2.1.3 for IPv4, RFC 4291 §2.5.3 for IPv6. */
bool lv_address_is_loopback(const struct lv_address *address)
{
    static const uint8_t one[16] = {[15] = 1};

    assert(address != NULL);
    if (lv_address_is_ipv4(address))
        return address->ip[12] == 127;
    return memcmp(address->ip, one, sizeof one) == 0;
}

bool lv_address_is_any(const struct lv_address *address)
{
    static const uint8_t zeros[16];

    assert(address != NULL);
    if (lv_address_is_ipv4(address))
        return memcmp(address->ip + sizeof mapped_prefix, zeros, 4) == 0;
    return memcmp(address->ip, zeros, sizeof zeros) == 0;
}

const char *lv_address_text(const struct lv_address *address, char text[LV_ADDRESS_TEXT_SIZE])
{
    char ip[INET6_ADDRSTRLEN];
    bool v4 = lv_address_is_ipv4(address);
    const void *bytes = v4 ? address->ip + sizeof mapped_prefix : address->ip;
    const char *done = inet_ntop(v4 ? AF_INET : AF_INET6, bytes, ip, sizeof ip);

    assert(done != NULL);
    snprintf(text, LV_ADDRESS_TEXT_SIZE, v4 ? "%s:%u" : "[%s]:%u", done, address->port);
    return text;
}

/* One sentence for all that can be wrong with an address: what is right is short. */
static int fail_parse(const char *text, struct lv_diag *diag)
{
    assert(text != NULL);
    return lv_fail(diag, -LV_E_USAGE,
                   "an address is HOST:PORT, like 127.0.0.1:5672, [::1]:5672 or 5672, not \"%s\"",
                   text);
}

/* Looks for the port from the end, as an IPv6 address has colons of its own. */
int lv_endpoint_parse(const char *text, struct lv_endpoint *ret_endpoint, struct lv_diag *diag)
{
    const char *colon = strrchr(text, ':'), *host = text;
    const char *port_text = colon == NULL ? text : colon + 1;
    size_t size = colon == NULL ? 0 : (size_t)(colon - text);
    uint64_t port;

    assert(text != NULL);
    assert(ret_endpoint != NULL);
    if (lv_text_number(port_text, &port) < 0 || port > UINT16_MAX)
        return fail_parse(text, diag);
    if (size >= 2 && host[0] == '[' && host[size - 1] == ']') {
        host++;
        size -= 2;
    } else if (memchr(host, ':', size) != NULL) {
        return fail_parse(text, diag); /* ::1:5672 could mean two things */
    }
    if (size == 1 && host[0] == '*')
        size = 0;
    if (size >= sizeof ret_endpoint->host)
        return fail_parse(text, diag);
    memcpy(ret_endpoint->host, host, size);
    ret_endpoint->host[size] = '\0';
    ret_endpoint->port = (uint16_t)port;
    return 0;
}

/* False for a family that is neither IPv4 nor IPv6. */
static bool read_ip(const struct sockaddr *from, struct lv_address *address)
{
    if (from->sa_family == AF_INET) {
        struct sockaddr_in v4;

        memcpy(&v4, from, sizeof v4);
        memcpy(address->ip, mapped_prefix, sizeof mapped_prefix);
        memcpy(address->ip + sizeof mapped_prefix, &v4.sin_addr, 4);
        return true;
    }
    if (from->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;

        memcpy(&v6, from, sizeof v6);
        memcpy(address->ip, &v6.sin6_addr, sizeof address->ip);
        return true;
    }
    return false;
}

/* The resolver gives an address once per socket type and per line of /etc/hosts. */
static bool is_known(const struct lv_address *addresses, size_t count, const struct lv_address *one)
{
    assert(one != NULL);
    for (size_t i = 0; i < count; i++) {
        if (memcmp(addresses[i].ip, one->ip, sizeof one->ip) == 0)
            return true;
    }
    return false;
}

int lv_address_resolve(const char *host, uint16_t port, struct lv_address *addresses, size_t max,
                       struct lv_diag *diag)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    size_t count = 0;
    int rc;

    assert(max > 0);
    if (host[0] == '\0') {
        addresses[0] = (struct lv_address){.port = port};
        return 1;
    }
    rc = getaddrinfo(host, NULL, &hints, &list);
    if (rc != 0)
        return lv_fail(diag, -LV_E_NOT_FOUND, "the address of \"%s\" is unknown: %s", host,
                       gai_strerror(rc));
    for (const struct addrinfo *one = list; one != NULL && count < max; one = one->ai_next) {
        struct lv_address address = {.port = port};

        if (read_ip(one->ai_addr, &address) && !is_known(addresses, count, &address))
            addresses[count++] = address;
    }
    freeaddrinfo(list);
    if (count == 0)
        return lv_fail(diag, -LV_E_NOT_FOUND, "\"%s\" has no IP address", host);
    return (int)count;
}
