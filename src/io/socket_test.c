#include "io/socket.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* A listener on a free port of the loopback, and a connection through it. */
struct pair {
    int listener, near, far;
    struct lv_address address, peer;
};

static const struct lv_address loopback = {.ip = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}};

static struct pair connect_pair(void)
{
    struct pair pair;

    assert_int_equal(lv_socket_listen(&loopback, &pair.listener, NULL), 0);
    pair.address = lv_socket_local(pair.listener);
    assert_int_not_equal(pair.address.port, 0);
    assert_int_equal(lv_socket_connect("127.0.0.1", pair.address.port, 5000, &pair.near, NULL), 0);
    assert_int_equal(lv_socket_wait(pair.listener, false, 5000), 0);
    assert_int_equal(lv_socket_accept(pair.listener, &pair.far, &pair.peer), 0);
    return pair;
}

static void close_pair(struct pair *pair)
{
    lv_socket_close(pair->near);
    lv_socket_close(pair->far);
    close(pair->listener);
}

static void accepted_sockets_know_their_peer(void **state)
{
    struct pair pair = connect_pair();
    struct lv_address near = lv_socket_local(pair.near);

    (void)state;
    assert_true(lv_address_is_loopback(&pair.peer));
    assert_int_equal(pair.peer.port, near.port);
    close_pair(&pair);
}

static void assert_options(int fd)
{
    int value = 0;
    socklen_t size = sizeof value;

    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &size), 0);
    assert_int_not_equal(value, 0);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static void both_ends_send_at_once_and_never_block(void **state)
{
    struct pair pair = connect_pair();

    (void)state;
    assert_options(pair.near);
    assert_options(pair.far);
    close_pair(&pair);
}

static void sockets_that_were_accepted_are_kept_alive(void **state)
{
    struct pair pair = connect_pair();
    int value = 0;
    socklen_t size = sizeof value;

    (void)state;
    assert_int_equal(getsockopt(pair.far, SOL_SOCKET, SO_KEEPALIVE, &value, &size), 0);
    assert_int_not_equal(value, 0);
    assert_int_equal(getsockopt(pair.far, IPPROTO_TCP, TCP_KEEPIDLE, &value, &size), 0);
    assert_int_equal(value, 60);
    close_pair(&pair);
}

/* Bytes that nobody has read stand before the end, and yet the end is seen. */
static void a_peer_that_hung_up_is_known_without_reading(void **state)
{
    struct pair pair = connect_pair();
    struct lv_bytes piece = lv_text("unread");

    (void)state;
    assert_false(lv_socket_is_hung_up(pair.far));
    assert_int_equal(lv_socket_write(pair.near, &piece, 1), 6);
    assert_false(lv_socket_is_hung_up(pair.far));
    assert_int_equal(shutdown(pair.near, SHUT_WR), 0);
    assert_true(lv_socket_is_hung_up(pair.far));
    close_pair(&pair);
}

static void a_living_peer_acknowledges_what_it_is_sent(void **state)
{
    struct pair pair = connect_pair();
    struct lv_bytes piece = lv_text("are you there?");
    struct lv_socket_echo echo = {.unanswered = 1};
    int pipes[2];

    (void)state;
    assert_int_equal(lv_socket_write(pair.far, &piece, 1), (int)piece.size);
    while (echo.unanswered > 0) /* whoever reads or not: its kernel answers */
        assert_int_equal(lv_socket_echo(pair.far, &echo), 0);
    assert_true(echo.silent_ms < 10000);
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(lv_socket_echo(pipes[0], &echo), -LV_E_IO);
    close(pipes[0]);
    close(pipes[1]);
    close_pair(&pair);
}

static void an_empty_queue_of_connections_is_a_timeout(void **state)
{
    struct pair pair = connect_pair();
    struct lv_address peer;
    int fd;

    (void)state;
    assert_int_equal(lv_socket_accept(pair.listener, &fd, &peer), -LV_E_TIMEOUT);
    close_pair(&pair);
}

static void reading_tells_nothing_yet_from_the_end(void **state)
{
    struct pair pair = connect_pair();
    char buffer[16];

    (void)state;
    assert_int_equal(lv_socket_read(pair.far, buffer, sizeof buffer), 0);
    assert_int_equal(shutdown(pair.near, SHUT_WR), 0);
    assert_int_equal(lv_socket_wait(pair.far, false, 5000), 0);
    assert_int_equal(lv_socket_read(pair.far, buffer, sizeof buffer), -LV_E_CLOSED);
    close_pair(&pair);
}

static void pieces_arrive_as_one_stream(void **state)
{
    struct pair pair = connect_pair();
    const struct lv_bytes pieces[] = {lv_text("one,"), lv_text(""), lv_text("two,"),
                                      lv_text("three")};
    char buffer[64] = "";

    (void)state;
    assert_int_equal(lv_socket_write(pair.near, pieces, LV_COUNT(pieces)), 13);
    assert_int_equal(lv_socket_wait(pair.far, false, 5000), 0);
    assert_int_equal(lv_socket_read(pair.far, buffer, sizeof buffer), 13);
    assert_string_equal(buffer, "one,two,three");
    close_pair(&pair);
}

static void a_reader_that_does_not_read_fills_the_socket(void **state)
{
    struct pair pair = connect_pair();
    struct lv_bytes piece = {.data = calloc(1, 1 << 20), .size = 1 << 20};
    ssize_t sent, total = 0;

    (void)state;
    do {
        sent = lv_socket_write(pair.near, &piece, 1);
        assert_true(sent >= 0);
        total += sent;
    } while (sent > 0 && total < (64 << 20));
    assert_int_equal(sent, 0);
    assert_int_equal(lv_socket_wait(pair.near, true, 0), -LV_E_TIMEOUT);
    free((void *)(uintptr_t)piece.data);
    close_pair(&pair);
}

static void writing_to_one_who_broke_off_is_an_error_and_no_signal(void **state)
{
    struct pair pair = connect_pair();
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    struct lv_bytes piece = lv_text("hello");

    (void)state;
    assert_int_equal(setsockopt(pair.far, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    close(pair.far);
    assert_int_equal(lv_socket_write(pair.near, &piece, 1), -LV_E_IO);
    close(pair.near);
    close(pair.listener);
}

static void the_last_words_arrive_although_input_was_not_read(void **state)
{
    struct pair pair = connect_pair();
    struct lv_bytes words = lv_text("goodbye"), ignored = lv_text("never read");
    char buffer[16] = "";

    (void)state;
    assert_int_equal(lv_socket_write(pair.near, &ignored, 1), 10);
    assert_int_equal(lv_socket_wait(pair.far, false, 5000), 0);
    assert_int_equal(lv_socket_write(pair.far, &words, 1), 7);
    lv_socket_close(pair.far);
    assert_int_equal(lv_socket_wait(pair.near, false, 5000), 0);
    assert_int_equal(lv_socket_read(pair.near, buffer, sizeof buffer), 7);
    assert_string_equal(buffer, "goodbye");
    lv_socket_close(pair.near);
    close(pair.listener);
}

static void a_taken_port_is_named_with_its_holder(void **state)
{
    struct pair pair = connect_pair();
    struct lv_diag diag = {""};
    int fd;

    (void)state;
    assert_int_equal(lv_socket_listen(&pair.address, &fd, &diag), -LV_E_LOCKED);
    assert_non_null(strstr(diag.text, "the port is taken by io_socket_test (process "));
    close_pair(&pair);
}

static void an_address_of_somebody_else_is_not_found(void **state)
{
    /* 192.0.2.0/24 is reserved for documents, RFC 5737 */
    const struct lv_address address = {
        .ip = {[10] = 0xff, [11] = 0xff, [12] = 192, [14] = 2, [15] = 1}};
    struct lv_diag diag = {""};
    int fd;

    (void)state;
    assert_int_equal(lv_socket_listen(&address, &fd, &diag), -LV_E_NOT_FOUND);
    assert_non_null(strstr(diag.text, "192.0.2.1:0"));
}

static void a_port_nobody_listens_on_refuses(void **state)
{
    struct pair pair = connect_pair();
    struct lv_diag diag = {""};
    int fd;

    (void)state;
    close_pair(&pair);
    assert_int_equal(lv_socket_connect("127.0.0.1", pair.address.port, 5000, &fd, &diag), -LV_E_IO);
    assert_non_null(strstr(diag.text, "Connection refused"));
}

static void all_addresses_take_ipv4_too(void **state)
{
    const struct lv_address any = {.port = 0};
    struct lv_address peer;
    int listener, near, far;

    (void)state;
    assert_int_equal(lv_socket_listen(&any, &listener, NULL), 0);
    assert_int_equal(
        lv_socket_connect("127.0.0.1", lv_socket_local(listener).port, 5000, &near, NULL), 0);
    assert_int_equal(lv_socket_wait(listener, false, 5000), 0);
    assert_int_equal(lv_socket_accept(listener, &far, &peer), 0);
    assert_true(lv_address_is_ipv4(&peer));
    close(near);
    close(far);
    close(listener);
}

static void without_descriptors_a_connection_goes_on_waiting(void **state)
{
    struct pair pair = connect_pair();
    struct rlimit before, none;
    struct lv_address peer;
    int near, fd;

    (void)state;
    assert_int_equal(lv_socket_connect("127.0.0.1", pair.address.port, 5000, &near, NULL), 0);
    assert_int_equal(lv_socket_wait(pair.listener, false, 5000), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(lv_socket_accept(pair.listener, &fd, &peer), -LV_E_RESOURCE);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(lv_socket_accept(pair.listener, &fd, &peer), 0);
    close(fd);
    close(near);
    close_pair(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepted_sockets_know_their_peer),
        cmocka_unit_test(both_ends_send_at_once_and_never_block),
        cmocka_unit_test(sockets_that_were_accepted_are_kept_alive),
        cmocka_unit_test(a_peer_that_hung_up_is_known_without_reading),
        cmocka_unit_test(a_living_peer_acknowledges_what_it_is_sent),
        cmocka_unit_test(an_empty_queue_of_connections_is_a_timeout),
        cmocka_unit_test(reading_tells_nothing_yet_from_the_end),
        cmocka_unit_test(pieces_arrive_as_one_stream),
        cmocka_unit_test(a_reader_that_does_not_read_fills_the_socket),
        cmocka_unit_test(writing_to_one_who_broke_off_is_an_error_and_no_signal),
        cmocka_unit_test(the_last_words_arrive_although_input_was_not_read),
        cmocka_unit_test(a_taken_port_is_named_with_its_holder),
        cmocka_unit_test(an_address_of_somebody_else_is_not_found),
        cmocka_unit_test(a_port_nobody_listens_on_refuses),
        cmocka_unit_test(all_addresses_take_ipv4_too),
        cmocka_unit_test(without_descriptors_a_connection_goes_on_waiting),
    };

    return cmocka_run_group_tests_name("socket", tests, NULL, NULL);
}
