#include "client/url.h"

#include "base/bytes.h"

#include <string.h>

#define SCHEME        "amqp://"
#define HEARTBEAT_S   60u
#define HEARTBEAT_KEY "heartbeat="

/* A piece of the text, from `at` up to and without `end`. */
struct piece {
    const char *at;
    const char *end;
};

/* Bytes of a piece. */
static size_t size_of(struct piece piece)
{
    assert(piece.at <= piece.end);
    return (size_t)(piece.end - piece.at);
}

/* The first of `characters` in the piece, or its end. */
static const char *find(struct piece piece, const char *characters)
{
    const char *p = piece.at;

    assert(characters[0] != '\0');
    while (p < piece.end && strchr(characters, *p) == NULL)
        p++;
    return p;
}

/* -1 for what is none. */
static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* RFC 3986 §2.1; `what` names the part in the sentence, which does not show it. */
static int decode(struct piece piece, const char *what, struct lv_diag *diag, char out[256])
{
    size_t size = 0;

    for (const char *p = piece.at; p < piece.end; p++) {
        char c = *p;

        if (size == 255)
            return lv_fail(diag, -LV_E_USAGE, "the %s in the URL is longer than 255 bytes", what);
        if (c == '%') {
            int high = piece.end - p > 2 ? hex_digit(p[1]) : -1;
            int low = piece.end - p > 2 ? hex_digit(p[2]) : -1;

            if (high < 0 || low < 0)
                return lv_fail(diag, -LV_E_USAGE,
                               "the %s in the URL has a %% without two hexadecimal digits; "
                               "write %%25 for a percent sign",
                               what);
            c = (char)(high * 16 + low);
            p += 2;
        }
        if (c == '\0')
            return lv_fail(diag, -LV_E_USAGE, "the %s in the URL holds a zero byte", what);
        out[size++] = c;
    }
    assert(size <= 255);
    out[size] = '\0';
    return 0;
}

/* A whole decimal number up to 65535, as ports and heartbeats are. */
static int parse_number(struct piece piece, const char *what, uint16_t lowest, struct lv_diag *diag,
                        uint16_t *ret_number)
{
    uint32_t number = 0;
    bool good = size_of(piece) > 0 && size_of(piece) <= 5;

    assert(what != NULL);
    assert(ret_number != NULL);
    for (const char *p = piece.at; good && p < piece.end; p++) {
        good = *p >= '0' && *p <= '9';
        number = number * 10 + (uint32_t)(*p - '0');
    }
    if (!good || number < lowest || number > UINT16_MAX)
        return lv_fail(diag, -LV_E_USAGE,
                       "the %s in the URL is '%.*s'; it is a number from %u to 65535", what,
                       (int)size_of(piece), piece.at, lowest);
    *ret_number = (uint16_t)number;
    return 0;
}

/* user[:password] */
static int parse_login(struct piece login, struct lv_diag *diag, struct lv_url *url)
{
    struct piece user = {login.at, find(login, ":")};
    struct piece password = {user.end, login.end};
    int rc = decode(user, "user name", diag, url->user);

    assert(url != NULL);
    if (rc < 0 || size_of(password) == 0)
        return rc;
    password.at++; /* the colon */
    return decode(password, "password", diag, url->password);
}

/* Splits host and port; an IPv6 address stands in brackets because it has colons itself. */
static int parse_address(struct piece address, struct lv_diag *diag, struct lv_url *url)
{
    struct piece host = {address.at, find(address, ":")};
    struct piece port = {host.end, address.end};
    int rc;

    assert(url != NULL);
    if (size_of(address) > 0 && *address.at == '[') {
        host = (struct piece){address.at + 1, find(address, "]")};
        if (host.end == address.end)
            return lv_fail(diag, -LV_E_USAGE, "the address in the URL lacks its closing bracket");
        port.at = host.end + 1;
    }
    if (size_of(port) > 0 && *port.at != ':')
        return lv_fail(diag, -LV_E_USAGE, "'%.*s' in the URL is no port; write HOST:PORT",
                       (int)size_of(port), port.at);
    if (size_of(host) > 0) {
        rc = decode(host, "host", diag, url->host);
        if (rc < 0)
            return rc;
    }
    if (size_of(port) == 0)
        return 0;
    port.at++;
    return parse_number(port, "port", 1, diag, &url->port);
}

/* /vhost, percent-decoded; without it, or with the slash alone, the default one. */
static int parse_vhost(struct piece path, struct lv_diag *diag, struct lv_url *url)
{
    if (size_of(path) <= 1)
        return 0; /* nothing, or the slash alone: the default vhost */
    assert(*path.at == '/');
    path.at++;
    if (find(path, "/") != path.end)
        return lv_fail(diag, -LV_E_USAGE,
                       "the vhost '%.*s' in the URL holds a slash; write it as %%2F",
                       (int)size_of(path), path.at);
    return decode(path, "vhost", diag, url->vhost);
}

/* ?heartbeat=SECONDS and nothing else: options that are not known must not be swallowed. */
static int parse_query(struct piece query, struct lv_diag *diag, struct lv_url *url)
{
    size_t key_size = strlen(HEARTBEAT_KEY);

    assert(url != NULL);
    if (size_of(query) == 0)
        return 0;
    query.at++; /* the question mark */
    if (size_of(query) < key_size || memcmp(query.at, HEARTBEAT_KEY, key_size) != 0)
        return lv_fail(diag, -LV_E_USAGE,
                       "'%.*s' in the URL is not known; only heartbeat=SECONDS may follow '?'",
                       (int)size_of(query), query.at);
    query.at += key_size;
    return parse_number(query, "heartbeat", 0, diag, &url->heartbeat_s);
}

/* Where the login ends, or NULL. */
static const char *last_at_sign(struct piece piece)
{
    const char *p = piece.end;

    assert(piece.at <= piece.end);
    while (p > piece.at && p[-1] != '@')
        p--;
    return p == piece.at ? NULL : p - 1;
}

/* By hand: the vhost is percent-encoded, and an empty one differs from none (RabbitMQ's URI
 * specification). */
int lv_url_parse(const char *text, struct lv_diag *diag, struct lv_url *ret_url)
{
    struct lv_url url = {.user = "guest",
                         .password = "guest",
                         .host = "localhost",
                         .vhost = "/",
                         .port = 5672,
                         .heartbeat_s = HEARTBEAT_S};
    const char *login_end;
    struct piece rest, authority;
    int rc;

    assert(text != NULL);
    if (strncmp(text, "amqps://", 8) == 0)
        return lv_fail(diag, -LV_E_USAGE,
                       "amqps:// needs TLS, which is not there yet; use amqp://");
    if (strncmp(text, SCHEME, strlen(SCHEME)) != 0)
        return lv_fail(diag, -LV_E_USAGE,
                       "a URL starts with amqp://, such as amqp://user:password@host:5672/vhost");
    rest = (struct piece){text + strlen(SCHEME), text + strlen(text)};
    authority = (struct piece){rest.at, find(rest, "/?")};
    rest.at = authority.end;
    /* A password may hold an unescaped @: the last one ends the login. */
    login_end = last_at_sign(authority);
    if (login_end != NULL) {
        rc = parse_login((struct piece){authority.at, login_end}, diag, &url);
        if (rc < 0)
            return rc;
        authority.at = login_end + 1;
    }
    rc = parse_address(authority, diag, &url);
    if (rc < 0)
        return rc;
    rc = parse_vhost((struct piece){rest.at, find(rest, "?")}, diag, &url);
    if (rc < 0)
        return rc;
    rc = parse_query((struct piece){find(rest, "?"), rest.end}, diag, &url);
    if (rc < 0)
        return rc;
    *ret_url = url;
    return 0;
}
