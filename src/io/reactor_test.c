#include "io/reactor.h"

#include "base/deadline.h"
#include "io/clock.h"
#include "io/thread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* One end of a socket pair, and what it was told. */
struct end {
    struct lv_watch watch;
    struct lv_reactor *reactor;
    struct end *victim; /* removed when we are called */
    unsigned calls, ready;
    int other;
};

static void on_ready(struct lv_watch *watch, unsigned ready)
{
    struct end *end = lv_container(watch, struct end, watch);

    end->calls++;
    end->ready = ready;
    if (end->victim != NULL)
        lv_reactor_remove(end->reactor, &end->victim->watch);
}

static struct end open_end(struct lv_reactor *reactor, unsigned wanted)
{
    struct end end = {.reactor = reactor};
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    end.other = fds[1];
    end.watch = (struct lv_watch){.fd = fds[0], .wanted = wanted};
    return end;
}

static void watch_end(struct end *end)
{
    assert_int_equal(
        lv_reactor_add(end->reactor, &end->watch, end->watch.fd, end->watch.wanted, on_ready), 0);
}

static void close_end(struct end *end)
{
    lv_reactor_remove(end->reactor, &end->watch);
    close(end->watch.fd);
    close(end->other);
}

static unsigned poll_now(struct lv_reactor *reactor)
{
    uint64_t now = lv_clock_now();

    return lv_reactor_wait(reactor, &now, 0);
}

static void what_is_ready_is_called(void **state)
{
    struct lv_reactor *reactor = lv_reactor_new();
    struct end end = open_end(reactor, LV_IO_READ);

    (void)state;
    watch_end(&end);
    assert_int_equal(poll_now(reactor), 0);
    assert_int_equal(write(end.other, "x", 1), 1);
    assert_int_equal(poll_now(reactor), 1);
    assert_int_equal(end.ready, LV_IO_READ);
    assert_int_equal(poll_now(reactor), 1); /* level-triggered: as long as it is not read */
    assert_int_equal(end.calls, 2);
    close_end(&end);
    lv_reactor_free(reactor);
}

static void what_is_not_wanted_is_not_called(void **state)
{
    struct lv_reactor *reactor = lv_reactor_new();
    struct end end = open_end(reactor, LV_IO_READ | LV_IO_WRITE);

    (void)state;
    watch_end(&end);
    assert_int_equal(write(end.other, "x", 1), 1);
    poll_now(reactor);
    assert_int_equal(end.ready, LV_IO_READ | LV_IO_WRITE);
    lv_reactor_change(reactor, &end.watch, LV_IO_WRITE);
    poll_now(reactor);
    assert_int_equal(end.ready, LV_IO_WRITE);
    lv_reactor_change(reactor, &end.watch, 0);
    assert_int_equal(poll_now(reactor), 0);
    close_end(&end);
    lv_reactor_free(reactor);
}

static void a_peer_that_is_gone_is_told_unasked(void **state)
{
    struct lv_reactor *reactor = lv_reactor_new();
    struct end end = open_end(reactor, 0);

    (void)state;
    watch_end(&end);
    close(end.other);
    end.other = dup(end.watch.fd);
    assert_int_equal(poll_now(reactor), 1);
    assert_int_equal(end.ready, LV_IO_HANGUP);
    close_end(&end);
    lv_reactor_free(reactor);
}

static void a_handler_may_remove_others_that_are_ready_too(void **state)
{
    struct lv_reactor *reactor = lv_reactor_new();
    struct end one = open_end(reactor, LV_IO_WRITE), two = open_end(reactor, LV_IO_WRITE);

    (void)state;
    one.victim = &two;
    two.victim = &one;
    watch_end(&one);
    watch_end(&two);
    assert_int_equal(poll_now(reactor), 1);
    assert_int_equal(one.calls + two.calls, 1);
    assert_int_equal(poll_now(reactor), 1); /* the one that is left removes nothing any more */
    close_end(&one);
    close_end(&two);
    lv_reactor_free(reactor);
}

static void a_wait_ends_at_its_deadline_and_tells_the_time(void **state)
{
    struct lv_reactor *reactor = lv_reactor_new();
    uint64_t before = lv_clock_now(), now = before;

    (void)state;
    assert_int_equal(lv_reactor_wait(reactor, &now, before + 5 * LV_NS_PER_MS), 0);
    assert_true(now >= before + 5 * LV_NS_PER_MS);
    lv_reactor_free(reactor);
}

static void a_wake_ends_the_next_wait_once(void **state)
{
    struct lv_reactor *reactor = lv_reactor_new();
    uint64_t now = lv_clock_now(), before = now;

    (void)state;
    lv_reactor_wake(reactor);
    lv_reactor_wake(reactor);
    assert_int_equal(lv_reactor_wait(reactor, &now, LV_NEVER), 0);
    before = now;
    assert_int_equal(lv_reactor_wait(reactor, &now, before + LV_NS_PER_MS), 0);
    assert_true(now >= before + LV_NS_PER_MS);
    lv_reactor_free(reactor);
}

static void wake(void *ctx)
{
    lv_reactor_wake(ctx);
}

static void another_thread_wakes_one_that_sleeps(void **state)
{
    struct lv_reactor *reactor = lv_reactor_new();
    struct lv_thread thread;
    uint64_t now = lv_clock_now();

    (void)state;
    assert_int_equal(lv_thread_start(&thread, "waker", wake, reactor), 0);
    assert_int_equal(lv_reactor_wait(reactor, &now, LV_NEVER), 0);
    lv_thread_join(&thread);
    lv_reactor_free(reactor);
}

static void removing_what_is_not_watched_changes_nothing(void **state)
{
    struct lv_reactor *reactor = lv_reactor_new();
    struct lv_watch watch = {.ready = NULL};

    (void)state;
    lv_reactor_remove(reactor, &watch);
    assert_int_equal(poll_now(reactor), 0);
    lv_reactor_free(reactor);
    lv_reactor_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_ready_is_called),
        cmocka_unit_test(what_is_not_wanted_is_not_called),
        cmocka_unit_test(a_peer_that_is_gone_is_told_unasked),
        cmocka_unit_test(a_handler_may_remove_others_that_are_ready_too),
        cmocka_unit_test(a_wait_ends_at_its_deadline_and_tells_the_time),
        cmocka_unit_test(a_wake_ends_the_next_wait_once),
        cmocka_unit_test(another_thread_wakes_one_that_sleeps),
        cmocka_unit_test(removing_what_is_not_watched_changes_nothing),
    };

    return cmocka_run_group_tests_name("reactor", tests, NULL, NULL);
}
