#include "io/tls.h"

#include "base/alloc.h"
#include "io/pem.h"
#include "io/socket.h"
#include "io/tls_testing.h"

#include <sys/socket.h>

#define BUFFER_SIZE (1u << 20)
#define STEPS_MAX   100000

/* Two ends of one connection. */
struct ends {
    struct lv_tls_context *contexts[2]; /* own   server, client */
    struct lv_tls *tls[2];              /* own */
    int fds[2];
    struct lv_diag diags[2];
    struct lv_tls_room *room; /* own   both are on this thread */
    uint8_t *buffer;          /* own */
};

/* What a test wants to be different. */
struct wish {
    struct lv_tls_server_options server;
    struct lv_tls_client_options client;
    const char *host;     /* "localhost" */
    const char *certfile; /* the server's: "server.pem" */
    const char *keyfile;
    const char *second; /* one more, for SNI */
    const char *second_key;
};

static void open_ends(struct ends *ends, struct lv_tls_place *place, const struct wish *wish)
{
    const struct lv_tls_pair pairs[2] = {
        {path_of(place, wish->certfile == NULL ? "server.pem" : wish->certfile),
         path_of(place, wish->keyfile == NULL ? "server.key" : wish->keyfile)},
        {path_of(place, "second.pem"), path_of(place, "second.key")}};
    struct lv_tls_server_options server = wish->server;
    struct lv_tls_client_options client = wish->client;

    *ends = (struct ends){.room = lv_tls_room_new(), .buffer = malloc(BUFFER_SIZE)};
    server.pairs = pairs;
    server.pair_count = wish->second == NULL ? 1 : 2;
    server.depth = 3;
    if (server.verify_peer)
        server.cacertfile = path_of(place, "ca.pem");
    if (client.cacertfile == NULL)
        client.cacertfile = path_of(place, "ca.pem");
    assert_non_null(ends->room);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends->fds), 0);
    assert_int_equal(lv_tls_server_context(&server, &ends->contexts[0], NULL), 0);
    assert_int_equal(lv_tls_client_context(&client, &ends->contexts[1], NULL), 0);
    ends->tls[0] = lv_tls_new(ends->contexts[0], ends->fds[0], NULL);
    ends->tls[1] =
        lv_tls_new(ends->contexts[1], ends->fds[1], wish->host == NULL ? "localhost" : wish->host);
    assert_non_null(ends->tls[0]);
    assert_non_null(ends->tls[1]);
}

static void close_ends(struct ends *ends)
{
    for (int i = 0; i < 2; i++) {
        lv_tls_free(ends->tls[i]);
        lv_tls_context_unref(ends->contexts[i]);
        if (ends->fds[i] >= 0)
            close(ends->fds[i]);
    }
    lv_tls_room_free(ends->room);
    free(ends->buffer);
}

/* Both until neither goes on; gives how each ended. */
static void shake(struct ends *ends, int results[2])
{
    results[0] = results[1] = 0;
    for (int step = 0; step < 20; step++) {
        for (int i = 0; i < 2; i++) {
            if (results[i] == 0)
                results[i] = lv_tls_handshake(ends->tls[i], &ends->diags[i]);
        }
    }
}

static void open_and_shake(struct ends *ends, struct lv_tls_place *place, const struct wish *wish)
{
    int results[2];

    open_ends(ends, place, wish);
    shake(ends, results);
    if (results[0] != 1 || results[1] != 1)
        fail_msg("%d %s; %d %s", results[0], ends->diags[0].text, results[1], ends->diags[1].text);
}

/* The server (or client) must not get through, with a sentence about it. */
static void expect_failure(struct lv_tls_place *place, const struct wish *wish, int end, int error,
                           const char *words)
{
    struct ends ends;
    int results[2];

    open_ends(&ends, place, wish);
    shake(&ends, results);
    if (results[end] != error || strstr(ends.diags[end].text, words) == NULL)
        fail_msg("%d \"%s\" is not %d and %s", results[end], ends.diags[end].text, error, words);
    close_ends(&ends);
}

/* A letter that tells where in the stream it stands. */
static uint8_t letter(size_t at)
{
    return (uint8_t)(at * 131u + (at >> 8) * 7u);
}

/* Sends `total` bytes in pieces of `piece_size`, and reads them at the other end in between. */
static void transfer(struct ends *ends, int from, size_t total, size_t piece_size, size_t read_size)
{
    size_t sent = 0, got = 0;
    uint8_t *data = malloc(total);

    for (size_t i = 0; i < total; i++)
        data[i] = letter(i);
    for (int step = 0; got < total && step < STEPS_MAX; step++) {
        struct lv_bytes pieces[LV_SOCKET_PIECES];
        size_t count = 0;
        ssize_t size;

        for (size_t at = sent; at < total && count < LV_SOCKET_PIECES; count++) {
            size_t left = total - at;

            pieces[count] = lv_bytes(data + at, left < piece_size ? left : piece_size);
            at += pieces[count].size;
        }
        size = lv_tls_write(ends->tls[from], ends->room, pieces, count);
        assert_true(size >= 0);
        sent += (size_t)size;
        assert_true(lv_tls_owed(ends->tls[from]) < 2 * LV_TLS_BATCH_SIZE);
        size = lv_tls_read(ends->tls[1 - from], ends->room, ends->buffer, read_size);
        assert_true(size >= 0);
        assert_true(got + (size_t)size <= total);
        assert_memory_equal(ends->buffer, data + got, (size_t)size);
        got += (size_t)size;
    }
    assert_int_equal(got, total);
    assert_int_equal(lv_tls_owed(ends->tls[from]), 0);
    free(data);
}

static void small_buffers(int fd)
{
    int size = 4096;

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
}

static void bytes_arrive_as_they_were_sent(void **state)
{
    static const size_t pieces[] = {1, 60, 4095, 4096, 16384, 32704, 300000};
    static const size_t reads[] = {LV_TLS_SLACK_SIZE + 1, 65536, BUFFER_SIZE};
    const struct wish wish = {.host = NULL};
    struct ends ends;

    open_and_shake(&ends, *state, &wish);
    assert_string_equal(lv_tls_version(ends.tls[0]), "TLSv1.3");
    for (size_t i = 0; i < LV_COUNT(pieces); i++) {
        for (size_t j = 0; j < LV_COUNT(reads); j++) {
            transfer(&ends, 0, j == 0 ? 20000 : 700000, pieces[i], reads[j]);
            transfer(&ends, 1, j == 0 ? 20000 : 700000, pieces[i], reads[j]);
        }
    }
    close_ends(&ends);
}

/* The socket takes a little at a time, so most of every batch is owed for a while. */
static void what_the_socket_does_not_take_is_kept(void **state)
{
    const struct wish wish = {.server = {.tls12 = true}};
    struct ends ends;
    struct lv_bytes piece;

    open_and_shake(&ends, *state, &wish);
    assert_string_equal(lv_tls_version(ends.tls[0]), "TLSv1.2");
    small_buffers(ends.fds[0]);
    transfer(&ends, 0, 700000, 1000, BUFFER_SIZE);
    memset(ends.buffer, 'x', BUFFER_SIZE);
    piece = lv_bytes(ends.buffer, BUFFER_SIZE);
    assert_int_equal(lv_tls_write(ends.tls[0], ends.room, &piece, 1), LV_TLS_BATCH_SIZE);
    assert_true(lv_tls_owed(ends.tls[0]) > 0);
    assert_int_equal(lv_tls_write(ends.tls[0], ends.room, &piece, 1),
                     0); /* not before it is gone */
    assert_int_equal(lv_tls_wants(ends.tls[0]), LV_IO_WRITE);
    close_ends(&ends);
}

static void an_end_that_comes_with_the_last_bytes_is_told(void **state)
{
    const struct wish wish = {.host = NULL};
    struct lv_bytes piece = lv_text("goodbye");
    struct ends ends;

    open_and_shake(&ends, *state, &wish);
    assert_int_equal(lv_tls_write(ends.tls[1], ends.room, &piece, 1), 7);
    lv_tls_say_end(ends.tls[1]);
    assert_int_equal(lv_tls_read(ends.tls[0], ends.room, ends.buffer, BUFFER_SIZE), 7);
    assert_memory_equal(ends.buffer, "goodbye", 7);
    assert_int_equal(lv_tls_end(ends.tls[0]), -LV_E_CLOSED);
    assert_int_equal(lv_tls_read(ends.tls[0], ends.room, ends.buffer, BUFFER_SIZE), -LV_E_CLOSED);
    /* The other way is still open. */
    assert_int_equal(lv_tls_write(ends.tls[0], ends.room, &piece, 1), 7);
    close_ends(&ends);
}

static void an_end_without_a_word_is_one_too(void **state)
{
    const struct wish wish = {.host = NULL};
    struct ends ends;

    open_and_shake(&ends, *state, &wish);
    /* What lies there unread would make the kernel break off. */
    assert_int_equal(lv_tls_read(ends.tls[1], ends.room, ends.buffer, BUFFER_SIZE), 0);
    close(ends.fds[1]);
    ends.fds[1] = -1;
    assert_int_equal(lv_tls_read(ends.tls[0], ends.room, ends.buffer, BUFFER_SIZE), -LV_E_CLOSED);
    assert_int_equal(lv_tls_end(ends.tls[0]), -LV_E_CLOSED);
    close_ends(&ends);
}

static void bytes_that_were_changed_on_the_way_end_it(void **state)
{
    const struct wish wish = {.host = NULL};
    uint8_t record[64] = {0x17, 0x03, 0x03, 0x00, 0x3b};
    struct lv_bytes piece = lv_bytes(record, sizeof record);
    struct ends ends;

    open_and_shake(&ends, *state, &wish);
    assert_int_equal(lv_socket_write(ends.fds[1], &piece, 1), (ssize_t)sizeof record);
    assert_int_equal(lv_tls_read(ends.tls[0], ends.room, ends.buffer, BUFFER_SIZE), -LV_E_IO);
    assert_int_equal(lv_tls_end(ends.tls[0]), -LV_E_IO);
    piece = lv_text("x");
    assert_true(lv_tls_write(ends.tls[0], ends.room, &piece, 1) < 0);
    lv_tls_say_end(ends.tls[0]);
    close_ends(&ends);
}

/* Sends something else in place of a ClientHello. */
static void expect_no_tls(struct lv_tls_place *place, struct lv_bytes bytes, int error,
                          const char *words)
{
    const struct wish wish = {.host = NULL};
    struct ends ends;
    int rc = 0;

    open_ends(&ends, place, &wish);
    for (size_t at = 0; at < bytes.size && rc == 0; at++) {
        struct lv_bytes one = lv_bytes(bytes.data + at, 1);

        assert_int_equal(lv_socket_write(ends.fds[1], &one, 1), 1);
        rc = lv_tls_handshake(ends.tls[0], &ends.diags[0]);
    }
    shutdown(ends.fds[1], SHUT_WR);
    if (rc == 0)
        rc = lv_tls_handshake(ends.tls[0], &ends.diags[0]);
    if (rc != error || strstr(ends.diags[0].text, words) == NULL)
        fail_msg("%d \"%s\" is not %d and %s", rc, ends.diags[0].text, error, words);
    close_ends(&ends);
}

static void what_is_not_tls_is_told_what_it_is(void **state)
{
    static const uint8_t amqp[] = {'A', 'M', 'Q', 'P', 0, 0, 9, 1};
    static const uint8_t huge[] = {0x16, 0x03, 0x01, 0xff, 0xff, 0x01, 0, 0, 0, 0, 0, 0};
    uint8_t noise[3000];

    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)(letter(i) | 0x80u);
    expect_no_tls(*state, lv_bytes(amqp, sizeof amqp), -LV_E_SYNTAX, "AMQP without TLS");
    expect_no_tls(*state, lv_text("GET / HTTP/1.1\r\n\r\n"), -LV_E_SYNTAX, "HTTP");
    expect_no_tls(*state, lv_bytes(noise, sizeof noise), -LV_E_SYNTAX, "not TLS");
    expect_no_tls(*state, lv_bytes(huge, sizeof huge), -LV_E_SYNTAX, "not TLS");
    expect_no_tls(*state, lv_text(""), -LV_E_CLOSED, "ended");
    expect_no_tls(*state, lv_bytes(huge, 3), -LV_E_CLOSED, "ended");
}

/* A message of the handshake may say that 16 MiB follow; as many are never kept. */
static void a_handshake_message_is_bounded(void **state)
{
    const struct wish wish = {.host = NULL};
    uint8_t record[5 + 16384] = {0x16, 0x03, 0x01, 0x40, 0x00, 0x01, 0xff, 0xff, 0xff};
    struct lv_bytes piece = lv_bytes(record, sizeof record);
    struct ends ends;
    int rc = 0;

    open_ends(&ends, *state, &wish);
    for (int i = 0; i < 1024 && rc == 0; i++) {
        if (lv_socket_write(ends.fds[1], &piece, 1) < 0)
            break;
        rc = lv_tls_handshake(ends.tls[0], &ends.diags[0]);
    }
    assert_true(rc < 0);
    close_ends(&ends);
}

static void a_client_believes_only_its_authority(void **state)
{
    struct lv_tls_place *place = *state;
    struct wish wish = {.client = {.cacertfile = NULL}};
    char path[128];

    snprintf(path, sizeof path, "%s", path_of(place, "other.pem"));
    wish.client.cacertfile = path;
    expect_failure(place, &wish, 1, -LV_E_ACCESS_REFUSED, "is refused");
    expect_failure(place, &wish, 0, -LV_E_IO, "the peer says");
    wish.client.verify_none = true;
    {
        struct ends ends;

        open_and_shake(&ends, place, &wish);
        close_ends(&ends);
    }
}

static void a_client_looks_at_the_name(void **state)
{
    const struct wish wrong = {.host = "elsewhere.example"}, ip = {.host = "127.0.0.1"};

    expect_failure(*state, &wrong, 1, -LV_E_ACCESS_REFUSED, "is not for elsewhere.example");
    expect_failure(*state, &ip, 1, -LV_E_ACCESS_REFUSED, "is not for 127.0.0.1");
}

static void clients_without_a_certificate_are_refused_if_asked_for(void **state)
{
    struct wish wish = {.server = {.verify_peer = true, .fail_if_no_peer_cert = true}};
    struct ends ends;

    expect_failure(*state, &wish, 0, -LV_E_ACCESS_REFUSED, "has no certificate");
    wish.server.fail_if_no_peer_cert = false;
    open_and_shake(&ends, *state, &wish);
    assert_int_equal(lv_tls_name_peer(ends.tls[0], LV_TLS_NAME_COMMON, 0), -LV_E_NOT_FOUND);
    close_ends(&ends);
}

/* Opens with the client's certificate of that name. */
static struct wish with_client(struct lv_tls_place *place, const char *name, char paths[2][128])
{
    struct wish wish = {.server = {.verify_peer = true}};

    snprintf(paths[0], 128, "%s/%s.pem", place->directory, name);
    snprintf(paths[1], 128, "%s/%s.key", place->directory, name);
    wish.client.pair = (struct lv_tls_pair){paths[0], paths[1]};
    return wish;
}

static void certificates_of_strangers_are_refused(void **state)
{
    struct lv_tls_place *place = *state;
    char paths[2][128];
    struct wish wish = with_client(place, "stranger", paths);
    struct ends ends;

    expect_failure(place, &wish, 0, -LV_E_ACCESS_REFUSED, "CN=stranger is refused");
    wish.server.verify_peer = false; /* then it is not even asked for */
    open_and_shake(&ends, place, &wish);
    assert_int_equal(lv_tls_name_peer(ends.tls[0], LV_TLS_NAME_COMMON, 0), -LV_E_NOT_FOUND);
    close_ends(&ends);
}

static void a_certificate_names_a_user(void **state)
{
    static const struct {
        enum lv_tls_name where;
        unsigned index;
        const char *name;
    } names[] = {{LV_TLS_NAME_DISTINGUISHED, 0, "CN=client"},
                 {LV_TLS_NAME_COMMON, 0, "client"},
                 {LV_TLS_NAME_DNS, 0, "first.example"},
                 {LV_TLS_NAME_DNS, 1, "second.example"},
                 {LV_TLS_NAME_DNS, 2, NULL},
                 {LV_TLS_NAME_IP, 0, "10.0.0.7"},
                 {LV_TLS_NAME_EMAIL, 0, NULL},
                 {LV_TLS_NAME_URI, 0, NULL}};
    char paths[2][128];
    struct wish wish = with_client(*state, "client", paths);

    for (size_t i = 0; i < LV_COUNT(names); i++) {
        struct ends ends;
        int rc;

        open_and_shake(&ends, *state, &wish);
        rc = lv_tls_name_peer(ends.tls[0], names[i].where, names[i].index);
        assert_int_equal(rc, names[i].name == NULL ? -LV_E_NOT_FOUND : 0);
        if (rc == 0)
            assert_string_equal(lv_tls_peer_name(ends.tls[0]), names[i].name);
        close_ends(&ends);
    }
}

/* OpenSSL refuses to send one that has expired only at the other end. */
static void an_expired_certificate_is_refused(void **state)
{
    struct lv_tls_place *place = *state;
    const struct lv_identity_spec spec = {
        .use = LV_IDENTITY_CLIENT, .name = "short", .from_s = -DAY_OF_TEST, .until_s = 1};
    char paths[2][128];
    struct wish wish = with_client(place, "short", paths);
    struct ends ends;
    int results[2];

    issue(place, "short", place->ca, &spec);
    open_ends(&ends, place, &wish); /* it is valid when it is loaded */
    while (usleep(100000) == 0) {
        STACK_OF(X509) * all;
        int rc;

        assert_int_equal(lv_pem_certificates(paths[0], &all, NULL), 0);
        rc = lv_pem_check_dates("", sk_X509_value(all, 0), NULL);
        lv_pem_certificates_free(all);
        if (rc < 0)
            break;
    }
    shake(&ends, results);
    assert_int_equal(results[0], -LV_E_ACCESS_REFUSED);
    assert_non_null(strstr(ends.diags[0].text, "expired"));
    close_ends(&ends);
}

static void the_name_that_is_asked_for_chooses_the_certificate(void **state)
{
    struct wish wish = {.second = "second.pem", .host = "two.example"};
    struct ends ends;

    open_and_shake(&ends, *state, &wish); /* the client has looked at the name */
    close_ends(&ends);
    wish.host = "localhost";
    open_and_shake(&ends, *state, &wish);
    close_ends(&ends);
    wish.host = "nobody.example"; /* gets the first, and refuses it */
    expect_failure(*state, &wish, 1, -LV_E_ACCESS_REFUSED, "CN=server) is not for nobody.example");
}

static void our_order_of_ciphers_counts_if_we_want(void **state)
{
    static const char *const ours[] = {"TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_256_GCM_SHA384"};
    struct wish wish = {.server = {.ciphers = ours, .cipher_count = 2, .honor_cipher_order = true}};
    struct ends ends;

    open_and_shake(&ends, *state, &wish);
    assert_string_equal(lv_tls_cipher(ends.tls[0]), ours[0]);
    close_ends(&ends);
    wish.server.honor_cipher_order = false;
    open_and_shake(&ends, *state, &wish);
    assert_string_equal(lv_tls_cipher(ends.tls[0]), ours[1]);
    close_ends(&ends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_arrive_as_they_were_sent),
        cmocka_unit_test(what_the_socket_does_not_take_is_kept),
        cmocka_unit_test(an_end_that_comes_with_the_last_bytes_is_told),
        cmocka_unit_test(an_end_without_a_word_is_one_too),
        cmocka_unit_test(bytes_that_were_changed_on_the_way_end_it),
        cmocka_unit_test(what_is_not_tls_is_told_what_it_is),
        cmocka_unit_test(a_handshake_message_is_bounded),
        cmocka_unit_test(a_client_believes_only_its_authority),
        cmocka_unit_test(a_client_looks_at_the_name),
        cmocka_unit_test(clients_without_a_certificate_are_refused_if_asked_for),
        cmocka_unit_test(certificates_of_strangers_are_refused),
        cmocka_unit_test(a_certificate_names_a_user),
        cmocka_unit_test(an_expired_certificate_is_refused),
        cmocka_unit_test(the_name_that_is_asked_for_chooses_the_certificate),
        cmocka_unit_test(our_order_of_ciphers_counts_if_we_want),
    };
    return cmocka_run_group_tests(tests, make_tls_place, remove_tls_place);
}
