#include "client/url.h"

#include "base/bytes.h"

#include <string.h>

#define SCHEME      "amqp://"
#define TLS_SCHEME  "amqps://"
#define HEARTBEAT_S 60u
#define PORT        5672
#define TLS_PORT    5671
#define WORD_SIZE   32

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
static int decode_up_to(struct piece piece, const char *what, struct lv_diag *diag, char *out,
                        size_t room)
{
    size_t size = 0;

    assert(room > 1);

    for (const char *p = piece.at; p < piece.end; p++) {
        char c = *p;

        if (size == room - 1)
            return lv_fail(diag, -LV_E_USAGE, "the %s in the URL is longer than %zu bytes", what,
                           room - 1);
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
    assert(size < room);
    out[size] = '\0';
    return 0;
}

/* Names, which the protocol and DNS bound alike. */
static int decode(struct piece piece, const char *what, struct lv_diag *diag, char out[256])
{
    assert(out != NULL);
    return decode_up_to(piece, what, diag, out, 256);
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

/* One of two words, as RabbitMQ's are. Returns whether it is the second. */
static int parse_word(struct piece value, const char *key, const char *const words[2],
                      struct lv_diag *diag, bool *ret_is_second)
{
    char word[WORD_SIZE] = "";
    int rc = decode_up_to(value, key, diag, word, sizeof word);

    assert(words[0] != NULL);
    if (rc < 0)
        return rc;
    if (strcmp(word, words[0]) != 0 && strcmp(word, words[1]) != 0)
        return lv_fail(diag, -LV_E_USAGE, "%s in the URL is %s or %s, not \"%s\"", key, words[0],
                       words[1], word);
    *ret_is_second = strcmp(word, words[1]) == 0;
    return 0;
}

static bool is_key(struct piece key, const char *name)
{
    assert(name[0] != '\0');
    return size_of(key) == strlen(name) && memcmp(key.at, name, size_of(key)) == 0;
}

/* What only makes sense with TLS. -LV_E_NOT_FOUND: it is nothing of that. */
static int parse_tls(struct piece key, struct piece value, struct lv_diag *diag, struct lv_url *url)
{
    static const char *const verify[2] = {"verify_peer", "verify_none"};
    int rc = -LV_E_NOT_FOUND;

    if (is_key(key, "cacertfile"))
        rc = decode_up_to(value, "cacertfile", diag, url->cacertfile, LV_URL_PATH_SIZE);
    else if (is_key(key, "certfile"))
        rc = decode_up_to(value, "certfile", diag, url->certfile, LV_URL_PATH_SIZE);
    else if (is_key(key, "keyfile"))
        rc = decode_up_to(value, "keyfile", diag, url->keyfile, LV_URL_PATH_SIZE);
    else if (is_key(key, "server_name_indication"))
        rc = decode(value, "server_name_indication", diag, url->server_name);
    else if (is_key(key, "verify"))
        rc = parse_word(value, "verify", verify, diag, &url->verify_none);
    assert(rc <= 0);
    if (rc == 0 && !url->is_tls)
        return lv_fail(diag, -LV_E_USAGE, "%.*s in the URL is for TLS, which amqps:// asks for",
                       (int)size_of(key), key.at);
    return rc;
}

/* Options that are not known must not be swallowed. */
static int parse_parameter(struct piece key, struct piece value, struct lv_diag *diag,
                           struct lv_url *url)
{
    static const char *const mechanisms[2] = {"plain", "external"};
    int rc;

    if (is_key(key, "heartbeat"))
        return parse_number(value, "heartbeat", 0, diag, &url->heartbeat_s);
    if (is_key(key, "auth_mechanism"))
        return parse_word(value, "auth_mechanism", mechanisms, diag, &url->is_external);
    rc = parse_tls(key, value, diag, url);
    if (rc != -LV_E_NOT_FOUND)
        return rc;
    assert(size_of(key) < INT32_MAX);
    return lv_fail(diag, -LV_E_USAGE,
                   "'%.*s' in the URL is not known; behind '?' may follow heartbeat and "
                   "auth_mechanism and for amqps:// cacertfile, certfile, keyfile, verify and "
                   "server_name_indication",
                   (int)size_of(key), key.at);
}

/* ?key=value&key=value */
static int parse_query(struct piece query, struct lv_diag *diag, struct lv_url *url)
{
    int rc = 0;

    assert(url != NULL);
    if (size_of(query) == 0)
        return 0;
    query.at++; /* the question mark */
    while (rc == 0 && size_of(query) > 0) {
        struct piece one = {query.at, find(query, "&")};
        struct piece key = {one.at, find(one, "=")};
        struct piece value = {key.end == one.end ? one.end : key.end + 1, one.end};

        rc = parse_parameter(key, value, diag, url);
        query.at = one.end == query.end ? one.end : one.end + 1;
    }
    return rc;
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
                         .port = PORT,
                         .heartbeat_s = HEARTBEAT_S};
    const char *login_end;
    struct piece rest, authority;
    int rc;

    assert(text != NULL);
    url.is_tls = strncmp(text, TLS_SCHEME, strlen(TLS_SCHEME)) == 0;
    if (url.is_tls)
        url.port = TLS_PORT;
    else if (strncmp(text, SCHEME, strlen(SCHEME)) != 0)
        return lv_fail(diag, -LV_E_USAGE,
                       "a URL starts with amqp://, such as amqp://user:password@host:5672/vhost, "
                       "or with amqps://");
    rest = (struct piece){text + strlen(url.is_tls ? TLS_SCHEME : SCHEME), text + strlen(text)};
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
