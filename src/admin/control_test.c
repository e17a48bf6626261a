#include "admin/control.h"

#include "base/alloc.h"
#include "base/deadline.h"
#include "io/clock.h"
#include "io/local.h"
#include "io/socket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ASK_QUEUES "{\"command\":\"list_queues\",\"columns\":[\"name\"]}\n"

/* A control socket whose shards are made up: each has `rows` rows, `per_slice` in a slice. */
struct world {
    char directory[64];
    struct lv_reactor *reactor;
    struct lv_control *control;
    uint64_t now;
    struct lv_slice *away[64]; /* asked for and not answered yet */
    unsigned away_count, asked, stops, acts;
    struct lv_deed *deed; /* asked for and not done yet */
    uint64_t drain_s;     /* of the last drain */
    unsigned rows, per_slice, row_size;
    bool fails; /* out of memory for the question */
    bool is_short;
};

static struct world world;

static int on_ask(void *ctx, struct lv_slice *slice)
{
    assert_ptr_equal(ctx, &world);
    world.asked++;
    if (world.fails)
        return -LV_E_NOMEM;
    world.away[world.away_count++] = slice;
    return 0;
}

static void on_status(void *ctx, const struct lv_totals *totals, struct lv_rows *rows)
{
    char text[64];

    assert_ptr_equal(ctx, &world);
    snprintf(text, sizeof text, "{\"ready\":%d}\n", (int)totals->ready);
    lv_rows_raw(rows, text);
}

static void on_stop(void *ctx)
{
    assert_ptr_equal(ctx, &world);
    world.stops++;
}

static void on_drain(void *ctx, uint64_t seconds)
{
    assert_ptr_equal(ctx, &world);
    world.drain_s = seconds;
}

static void on_environment(void *ctx, struct lv_rows *rows)
{
    assert_ptr_equal(ctx, &world);
    lv_rows_raw(rows, "{\"setting\":1}\n");
}

/* Keeps it until a test lets it go. */
static void on_act(void *ctx, struct lv_deed *deed)
{
    assert_ptr_equal(ctx, &world);
    assert_null(world.deed);
    world.deed = deed;
    world.acts++;
}

static const struct lv_control_host host = {
    .ask = on_ask,
    .status = on_status,
    .environment = on_environment,
    .act = on_act,
    .stop = on_stop,
    .drain = on_drain,
};

static int begin(void **state)
{
    struct lv_control_config config = {
        .host = &host, .ctx = &world, .now = &world.now, .shard_count = 3};

    (void)state;
    world = (struct world){.rows = 5, .per_slice = 2, .row_size = 1};
    snprintf(world.directory, sizeof world.directory, "/tmp/leveret-control-XXXXXX");
    if (mkdtemp(world.directory) == NULL)
        return -1;
    world.now = lv_clock_now();
    world.reactor = lv_reactor_new();
    config.reactor = world.reactor;
    config.directory = world.directory;
    return lv_control_open(&config, NULL, &world.control);
}

/* What a shard does: the position says how many rows have been shown. */
static void answer_one(void)
{
    struct lv_slice *slice = world.away[--world.away_count];

    if (slice->is_status) {
        slice->totals.ready += 10;
        slice->is_over = true;
    }
    if (slice->is_gathered) { /* this broker has nothing */
        slice->is_over = true;
        lv_control_answer(world.control, slice);
        return;
    }
    for (unsigned i = 0; !slice->is_status && i < world.per_slice; i++) {
        char text[70000];

        if (slice->walk.position == world.rows)
            break;
        memset(text, 'x', world.row_size);
        lv_rows_begin(&slice->rows);
        lv_rows_number(&slice->rows, slice->shard);
        lv_rows_text(&slice->rows, lv_bytes(text, world.row_size));
        lv_rows_end(&slice->rows);
        slice->walk.position++;
    }
    slice->is_over = slice->is_status || slice->walk.position == world.rows;
    slice->rows.is_short = world.is_short;
    lv_control_answer(world.control, slice);
}

/* Everything that can move does. */
static void settle(void)
{
    unsigned moved;

    do {
        moved = lv_reactor_wait(world.reactor, &world.now, world.now + LV_NS_PER_MS);
        while (world.away_count > 0) {
            answer_one();
            moved++;
        }
        lv_control_turn(world.control);
    } while (moved > 0);
}

static int end(void **state)
{
    (void)state;
    lv_control_close(world.control);
    while (world.away_count > 0)
        answer_one();
    assert_true(lv_control_is_closed(world.control));
    lv_control_free(world.control);
    lv_reactor_free(world.reactor);
    return rmdir(world.directory);
}

static int dial(void)
{
    int fd;

    assert_int_equal(lv_local_connect(world.directory, LV_CONTROL_NAME, 1000, &fd, NULL), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    struct lv_bytes piece = lv_text(text);

    assert_int_equal(lv_socket_write(fd, &piece, 1), piece.size);
}

static char heard[1 << 20];

/* What is there; true when the other end has closed. */
static bool hear(int fd, size_t *size)
{
    ssize_t count;

    while ((count = lv_socket_read(fd, heard + *size, sizeof heard - 1 - *size)) > 0)
        *size += (size_t)count;
    heard[*size] = '\0';
    return count < 0;
}

/* Asks and hears all of the answer. */
static const char *answer_to(const char *request)
{
    int fd = dial();
    size_t size = 0;

    say(fd, request);
    settle();
    assert_true(hear(fd, &size));
    close(fd);
    return heard;
}

static void a_list_comes_from_all_shards_slice_by_slice(void **state)
{
    (void)state;
    assert_string_equal(answer_to(ASK_QUEUES), "[0,\"x\"]\n[0,\"x\"]\n[0,\"x\"]\n[0,\"x\"]\n"
                                               "[0,\"x\"]\n[1,\"x\"]\n[1,\"x\"]\n[1,\"x\"]\n"
                                               "[1,\"x\"]\n[1,\"x\"]\n[2,\"x\"]\n[2,\"x\"]\n"
                                               "[2,\"x\"]\n[2,\"x\"]\n[2,\"x\"]\n{\"ok\":true}\n");
    assert_int_equal(world.asked, 9);
}

static void what_all_shards_have_comes_from_one(void **state)
{
    (void)state;
    world.rows = 1;
    assert_string_equal(answer_to("{\"command\":\"list_bindings\",\"columns\":[\"arguments\"]}\n"),
                        "[0,\"x\"]\n{\"ok\":true}\n");
    assert_int_equal(world.asked, 1);
}

static void an_empty_list_is_only_its_end(void **state)
{
    (void)state;
    world.rows = 0;
    assert_string_equal(answer_to(ASK_QUEUES), "{\"ok\":true}\n");
}

static void status_adds_up_what_the_shards_say(void **state)
{
    (void)state;
    assert_string_equal(answer_to("{\"command\":\"status\"}\n"), "{\"ready\":30}\n{\"ok\":true}\n");
}

static void stop_is_answered_before_it_happens(void **state)
{
    int fd = dial();
    size_t size = 0;

    (void)state;
    say(fd, "{\"command\":\"stop\"}\n");
    assert_int_equal(world.stops, 0);
    settle();
    assert_int_equal(world.stops, 1);
    assert_true(hear(fd, &size));
    assert_string_equal(heard, "{\"ok\":true}\n");
    close(fd);
}

static void so_is_a_drain_with_its_time(void **state)
{
    int fd = dial();
    size_t size = 0;

    (void)state;
    say(fd, "{\"command\":\"drain\",\"timeout\":7}\n");
    settle();
    assert_int_equal(world.drain_s, 7);
    assert_int_equal(world.stops, 0);
    assert_true(hear(fd, &size));
    assert_string_equal(heard, "{\"ok\":true}\n");
    close(fd);
    assert_string_equal(answer_to("{\"command\":\"drain\"}\n"), "{\"ok\":true}\n");
    assert_int_equal(world.drain_s, 60);
}

static void a_stop_that_nobody_waits_for_is_one_all_the_same(void **state)
{
    int fd = dial();

    (void)state;
    say(fd, "{\"command\":\"stop\"}\n{\"command\":\"stop\"}\n");
    settle();
    close(fd);
    settle();
    assert_int_equal(world.stops, 1);
}

static void lack_of_memory_ends_the_answer_and_says_so(void **state)
{
    (void)state;
    world.fails = true;
    assert_string_equal(answer_to(ASK_QUEUES),
                        "{\"ok\":false,\"code\":\"RESOURCE_ERROR\",\"error\":\"out of memory\"}\n");
    world.fails = false;
    world.is_short = true;
    assert_string_equal(answer_to(ASK_QUEUES), "[0,\"x\"]\n[0,\"x\"]\n{\"ok\":false,\"code\":"
                                               "\"RESOURCE_ERROR\",\"error\":\"out of memory\"}\n");
}

/* Only what the sockets hold is made ahead. */
static void nothing_is_made_for_one_who_does_not_read(void **state)
{
    int fd = dial();
    size_t size = 0;
    unsigned asked;

    (void)state;
    world.rows = 100;
    world.row_size = 65536;
    say(fd, ASK_QUEUES);
    settle();
    asked = world.asked;
    assert_in_range(asked, 1, 20);
    settle();
    assert_int_equal(world.asked, asked);
    for (unsigned i = 0; !hear(fd, &size); i++) {
        assert_true(i < 10000);
        size = 0;
        settle();
    }
    assert_int_equal(world.asked, 150);
    assert_string_equal(heard + size - 12, "{\"ok\":true}\n");
    close(fd);
}

static void one_who_reads_nothing_for_a_minute_is_cut_off(void **state)
{
    int fd = dial();
    size_t size = 0;

    (void)state;
    world.rows = 100;
    world.row_size = 65536;
    say(fd, ASK_QUEUES);
    settle();
    assert_true(lv_control_next(world.control) > world.now + 50 * LV_NS_PER_S);
    world.now += 61 * LV_NS_PER_S;
    lv_control_turn(world.control);
    while (!hear(fd, &size))
        size = 0;
    assert_null(strstr(heard, "ok"));
    close(fd);
}

static void one_who_asks_nothing_for_ten_seconds_is_cut_off(void **state)
{
    int fd = dial();
    size_t size = 0;

    (void)state;
    settle();
    assert_false(hear(fd, &size));
    world.now += 11 * LV_NS_PER_S;
    lv_control_turn(world.control);
    assert_true(hear(fd, &size));
    assert_int_equal(size, 0);
    close(fd);
}

static void one_who_goes_while_a_shard_works_for_him_is_forgotten_afterwards(void **state)
{
    int fd = dial();

    (void)state;
    say(fd, ASK_QUEUES);
    while (world.away_count == 0)
        lv_reactor_wait(world.reactor, &world.now, world.now + LV_NS_PER_S);
    close(fd);
    lv_reactor_wait(world.reactor, &world.now, world.now + LV_NS_PER_S);
    assert_int_equal(world.away_count, 1);
    settle();
    assert_int_equal(world.asked, 1);
    assert_string_equal(answer_to("{\"command\":\"status\"}\n"), "{\"ready\":30}\n{\"ok\":true}\n");
}

/* Lets the deed go as it was done. */
static void do_deed(int error, const char *why, uint64_t count)
{
    struct lv_deed *deed = world.deed;

    assert_non_null(deed);
    world.deed = NULL;
    deed->error = error < 0 ? lv_fail(&deed->diag, error, "%s", why) : 0;
    deed->count = count;
    lv_control_done(world.control, deed);
}

#define ADD_USER "{\"command\":\"add_user\",\"user\":\"u\",\"password\":\"p\"}\n"

static void await_deed(void)
{
    while (world.deed == NULL) {
        lv_reactor_wait(world.reactor, &world.now, world.now + LV_NS_PER_S);
        while (world.away_count > 0)
            answer_one();
    }
}

static void a_deed_is_answered_when_it_is_done(void **state)
{
    int fd = dial();
    size_t size = 0;

    (void)state;
    say(fd, ADD_USER);
    await_deed();
    assert_int_equal(world.deed->request->change.kind, LV_CHANGE_USER_PUT);
    do_deed(0, NULL, 3);
    settle();
    assert_true(hear(fd, &size));
    assert_string_equal(heard, "{\"ok\":true,\"count\":3}\n");
    close(fd);
}

static void a_deed_that_fails_says_why(void **state)
{
    int fd = dial();
    size_t size = 0;

    (void)state;
    say(fd, ADD_USER);
    await_deed();
    do_deed(-LV_E_NOT_FOUND, "nobody", 0);
    settle();
    assert_true(hear(fd, &size));
    assert_string_equal(heard, "{\"ok\":false,\"code\":\"NOT_FOUND\",\"error\":\"nobody\"}\n");
    close(fd);
}

static void one_who_goes_before_a_deed_is_done_is_forgotten_afterwards(void **state)
{
    int fd = dial();

    (void)state;
    say(fd, ADD_USER);
    await_deed();
    close(fd);
    lv_reactor_wait(world.reactor, &world.now, world.now + LV_NS_PER_S);
    do_deed(0, NULL, 0);
    settle();
    assert_string_equal(answer_to("{\"command\":\"environment\"}\n"),
                        "{\"setting\":1}\n{\"ok\":true}\n");
}

static void an_import_waits_for_its_file_and_for_what_there_is(void **state)
{
    int fd = dial();
    size_t size = 0;

    (void)state;
    say(fd, "{\"command\":\"import_definitions\",\"size\":5}\n{\"a");
    settle();
    assert_int_equal(world.asked, 0);
    say(fd, "\":");
    await_deed();
    assert_true(world.asked > 0);
    assert_memory_equal(world.deed->body.data, "{\"a\":", 5);
    assert_int_equal(world.deed->gather->list.count, 0);
    do_deed(0, NULL, 0);
    settle();
    assert_true(hear(fd, &size));
    assert_string_equal(heard, "{\"ok\":true,\"count\":0}\n");
    close(fd);
}

static void more_than_was_announced_is_refused(void **state)
{
    (void)state;
    assert_string_equal(
        answer_to("{\"command\":\"import_definitions\",\"size\":1}\n{}"),
        "{\"ok\":false,\"code\":\"SYNTAX_ERROR\",\"error\":\"more bytes come than were "
        "announced\"}\n");
}

static void closing_waits_for_shards_and_for_nobody_else(void **state)
{
    int idle = dial(), busy = dial();
    size_t size = 0;

    (void)state;
    say(busy, ASK_QUEUES);
    while (world.away_count == 0)
        lv_reactor_wait(world.reactor, &world.now, world.now + LV_NS_PER_S);
    lv_control_close(world.control);
    lv_control_close(world.control);
    assert_false(lv_control_is_closed(world.control));
    assert_true(hear(idle, &size));
    assert_true(hear(busy, &size));
    assert_int_equal(lv_local_connect(world.directory, LV_CONTROL_NAME, 10, &idle, NULL),
                     -LV_E_NOT_FOUND);
    answer_one();
    assert_true(lv_control_is_closed(world.control));
    close(busy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
        TEST(a_list_comes_from_all_shards_slice_by_slice),
        TEST(what_all_shards_have_comes_from_one),
        TEST(an_empty_list_is_only_its_end),
        TEST(status_adds_up_what_the_shards_say),
        TEST(stop_is_answered_before_it_happens),
        TEST(so_is_a_drain_with_its_time),
        TEST(a_stop_that_nobody_waits_for_is_one_all_the_same),
        TEST(lack_of_memory_ends_the_answer_and_says_so),
        TEST(nothing_is_made_for_one_who_does_not_read),
        TEST(one_who_reads_nothing_for_a_minute_is_cut_off),
        TEST(one_who_asks_nothing_for_ten_seconds_is_cut_off),
        TEST(one_who_goes_while_a_shard_works_for_him_is_forgotten_afterwards),
        TEST(a_deed_is_answered_when_it_is_done),
        TEST(a_deed_that_fails_says_why),
        TEST(one_who_goes_before_a_deed_is_done_is_forgotten_afterwards),
        TEST(an_import_waits_for_its_file_and_for_what_there_is),
        TEST(more_than_was_announced_is_refused),
        TEST(closing_waits_for_shards_and_for_nobody_else),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
