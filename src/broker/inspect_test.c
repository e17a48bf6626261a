#include "broker/inspect.h"

#include "broker/harness.h"

#include <inttypes.h>
#include <stdio.h>

/* What was shown, a line for each, and when to say that the slice is full. */
struct shown {
    char text[65536];
    size_t size, count;
    size_t room; /* rows that a slice takes */
    size_t left; /* of this slice */
};

static struct shown shown;

static void forget(size_t room)
{
    shown = (struct shown){.room = room, .left = room};
}

LV_PRINTF(1, 2) static bool note(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    shown.size +=
        (size_t)vsnprintf(shown.text + shown.size, sizeof shown.text - shown.size, fmt, args);
    va_end(args);
    assert_true(shown.size < sizeof shown.text);
    shown.count++;
    return --shown.left > 0;
}

static bool show_queue(void *ctx, const struct lv_queue_view *queue)
{
    assert_ptr_equal(ctx, &shown);
    return note("%.*s %" PRIu64 " %" PRIu64 " %" PRIu64 "%s\n", LV_FMT(lv_entry_name(queue->entry)),
                queue->ready, queue->unacked, queue->consumers,
                queue->memory_size > 100 ? "" : " small");
}

static bool show_exchange(void *ctx, const struct lv_exchange *exchange)
{
    assert_ptr_equal(ctx, &shown);
    return note("%.*s\n", LV_FMT(lv_exchange_name(exchange)));
}

static bool show_binding(void *ctx, const struct lv_binding_view *binding)
{
    assert_ptr_equal(ctx, &shown);
    return note("%.*s %s %.*s %.*s%s\n", LV_FMT(binding->source),
                binding->to_exchange ? "=>" : "->", LV_FMT(binding->target), LV_FMT(binding->key),
                binding->arguments == NULL ? "" : " with arguments");
}

static bool show_consumer(void *ctx, const struct lv_consumer_view *consumer)
{
    assert_ptr_equal(ctx, &shown);
    return note("%.*s %.*s %.*s %u%s%s\n", LV_FMT(consumer->vhost), LV_FMT(consumer->queue),
                LV_FMT(consumer->tag), consumer->prefetch, consumer->no_ack ? " no-ack" : "",
                consumer->exclusive ? " exclusive" : "");
}

/* Once on each shard, all slices. Returns how many there were. */
static size_t show_queues(const struct lv_sim *sim, const char *vhost, size_t room)
{
    size_t slices = 0;

    forget(room);
    for (uint32_t i = 0; i < sim->shard_count; i++) {
        struct lv_walk walk = {.position = 0};

        do {
            shown.left = room;
            slices++;
        } while (
            lv_inspect_queues(sim->shards[i].broker, lv_text(vhost), &walk, show_queue, &shown));
    }
    return slices;
}

static void show_bindings(const struct lv_broker *broker, size_t room)
{
    struct lv_walk walk = {.position = 0};

    forget(room);
    do
        shown.left = room;
    while (lv_inspect_bindings(broker, lv_text("/"), &walk, show_binding, &shown));
}

/* How often the line was shown. */
static unsigned times(const char *line)
{
    size_t size = strlen(line);
    unsigned count = 0;

    for (const char *at = shown.text; *at != '\0'; at = strchr(at, '\n') + 1)
        count += strncmp(at, line, size) == 0 && at[size] == '\n';
    return count;
}

SCENARIO(queues_are_shown_by_their_homes_with_their_counts)
{
    struct lv_sim_client a;

    lv_sim_client_open(&a, sim, 0);
    lv_sim_declare(&a, "p", "");
    lv_sim_declare(&a, "q", "x");
    lv_sim_declare(&a, "r", "d");
    assert_hears(&a, "declare-ok p 0 0\ndeclare-ok q 0 0\ndeclare-ok r 0 0");
    for (int i = 0; i < 3; i++)
        lv_sim_publish(&a, "", "q", "m");
    lv_sim_get(&a, "q", "");
    lv_sim_consume(&a, "r", "c", "");
    lv_sim_settle(sim);
    show_queues(sim, "/", 100);
    assert_int_equal(shown.count, 3);
    assert_int_equal(times("p 0 0 0"), 1);
    assert_int_equal(times("q 2 1 0"), 1);
    assert_int_equal(times("r 0 0 1"), 1);
    show_queues(sim, "nowhere", 100);
    assert_int_equal(shown.count, 0);
    lv_sim_client_fini(&a);
}

SCENARIO(slices_of_any_size_show_everything_once)
{
    struct lv_sim_client a;
    char name[16];

    lv_sim_client_open(&a, sim, 0);
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "q%d", i);
        lv_sim_declare(&a, name, "");
        lv_sim_bind(&a, name, "amq.topic", "a.b");
    }
    lv_sim_settle(sim);
    for (size_t room = 1; room < 45; room += 7) {
        size_t slices = show_queues(sim, "/", room);

        assert_int_equal(shown.count, 40);
        assert_true(slices >= 40 / room);
        for (int i = 0; i < 40; i++) {
            snprintf(name, sizeof name, "q%d 0 0 0", i);
            assert_int_equal(times(name), 1);
        }
        show_bindings(sim->shards[0].broker, room);
        assert_int_equal(shown.count, 80);
    }
    lv_sim_client_fini(&a);
}

SCENARIO(bindings_are_shown_from_both_kinds_of_sources_and_the_one_that_lies_nowhere)
{
    struct lv_sim_client a;
    struct lv_sim_table table;

    lv_sim_client_open(&a, sim, 0);
    lv_sim_declare(&a, "q", "");
    lv_sim_exchange(&a, "x", "topic", "");
    lv_sim_bind(&a, "q", "amq.direct", "k");
    lv_sim_bind_args(&a, "q", "amq.headers", "", lv_sim_table(&table, "h", lv_sim_string("v")));
    lv_sim_link(&a, "amq.fanout", "x", "#", NULL);
    lv_sim_settle(sim);
    for (uint32_t i = 0; i < sim->shard_count; i++) {
        show_bindings(sim->shards[i].broker, 100);
        assert_int_equal(shown.count, 4);
        assert_int_equal(times(" -> q q"), 1);
        assert_int_equal(times("amq.direct -> q k"), 1);
        assert_int_equal(times("amq.headers -> q  with arguments"), 1);
        assert_int_equal(times("amq.fanout => x #"), 1);
    }
    lv_sim_client_fini(&a);
}

static void exchanges_are_those_of_the_vhost(void **state)
{
    struct lv_sim sim;
    struct lv_walk walk = {.position = 0};

    (void)state;
    lv_sim_init(&sim, 1, 0);
    forget(100);
    while (lv_inspect_exchanges(sim.shards[0].broker, lv_text("/"), &walk, show_exchange, &shown))
        continue;
    assert_int_equal(shown.count, 7);
    assert_int_equal(times(""), 1);
    assert_int_equal(times("amq.topic"), 1);
    walk = (struct lv_walk){.position = 0};
    assert_false(
        lv_inspect_exchanges(sim.shards[0].broker, lv_text("x"), &walk, show_exchange, &shown));
    assert_int_equal(shown.count, 7);
    lv_sim_fini(&sim);
}

/* Many others come and go between slices; those that stay are shown once each. */
static void what_stays_is_shown_once_whatever_comes_and_goes(void **state)
{
    struct lv_sim sim;
    struct lv_sim_client a;
    struct lv_walk walk = {.position = 0};
    char name[32];
    int come = 0, gone = 0;

    (void)state;
    lv_sim_init(&sim, 1, 0);
    lv_sim_client_open(&a, &sim, 0);
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "stay%d", i);
        lv_sim_declare(&a, name, "");
    }
    lv_sim_settle(&sim);
    forget(3);
    while (lv_inspect_queues(sim.shards[0].broker, lv_text("/"), &walk, show_queue, &shown)) {
        shown.left = 3;
        for (int i = 0; i < 20 && come < 400; i++) {
            snprintf(name, sizeof name, "come%d", come++);
            lv_sim_declare(&a, name, "");
        }
        for (int i = 0; i < 15 && gone < come; i++) {
            snprintf(name, sizeof name, "come%d", gone++);
            lv_sim_delete(&a, name, "");
        }
        lv_sim_settle(&sim);
    }
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "stay%d 0 0 0", i);
        assert_int_equal(times(name), 1);
    }
    lv_sim_client_fini(&a);
    lv_sim_fini(&sim);
}

SCENARIO(channels_show_their_modes_and_counts)
{
    struct lv_sim_client a;
    struct lv_channel_view view;
    struct lv_sim_channel *second;

    lv_sim_client_open_as(&a, sim, sim->shard_count - 1,
                          &(struct lv_sim_identity){.user = "somebody"});
    second = lv_sim_channel_open(&a, 2);
    lv_sim_declare(&a, "q", "");
    lv_sim_settle(sim);
    lv_channel_qos(a.channels[0].core, 2, false);
    lv_channel_confirm_select(a.channels[0].core);
    for (int i = 0; i < 5; i++)
        lv_sim_publish(&a, "", "q", "m");
    lv_sim_consume(&a, "q", "c", "");
    lv_sim_settle(sim);
    assert_true(lv_inspect_channel(a.channels[0].core, &view));
    assert_true(lv_bytes_equal(view.user, lv_text("somebody")));
    assert_true(lv_bytes_equal(view.vhost, lv_text("/")));
    assert_int_equal(view.consumers, 1);
    assert_int_equal(view.unacked, 2);
    assert_int_equal(view.unconfirmed, 0);
    assert_int_equal(view.prefetch, 2);
    assert_true(view.confirm && !view.transactional);
    lv_channel_qos(second->core, 7, true);
    assert_true(lv_inspect_channel(second->core, &view));
    assert_int_equal(view.global_prefetch, 7);
    assert_int_equal(view.unacked, 0);
    assert_int_equal(view.client, lv_inspect_client(a.core).id);
    lv_sim_client_fini(&a);
}

SCENARIO(a_transaction_shows_what_it_keeps)
{
    struct lv_sim_client a;
    struct lv_channel_view view;

    lv_sim_client_open(&a, sim, 0);
    lv_sim_declare(&a, "q", "");
    lv_sim_publish(&a, "", "q", "m");
    lv_sim_settle(sim);
    assert_int_equal(lv_channel_tx_select(a.channels[0].core, NULL), 0);
    lv_sim_get(&a, "q", "");
    lv_sim_settle(sim);
    lv_sim_settle_tag(&a, 1, "a");
    lv_sim_publish(&a, "", "q", "m");
    lv_sim_publish(&a, "", "nowhere", "m");
    assert_true(lv_inspect_channel(a.channels[0].core, &view));
    assert_true(view.transactional);
    assert_int_equal(view.uncommitted, 2);
    assert_int_equal(view.acks_uncommitted, 1);
    assert_int_equal(view.unacked, 0);
    assert_int_equal(lv_channel_tx_rollback(a.channels[0].core, NULL), 0);
    assert_true(lv_inspect_channel(a.channels[0].core, &view));
    assert_int_equal(view.uncommitted, 0);
    assert_int_equal(view.acks_uncommitted, 0);
    assert_int_equal(view.unacked, 1);
    lv_sim_client_fini(&a);
}

SCENARIO(consumers_are_shown_by_their_channel_a_few_at_a_time)
{
    struct lv_sim_client a;
    char tag[16];

    lv_sim_client_open(&a, sim, 0);
    lv_sim_declare(&a, "p", "");
    lv_sim_declare(&a, "q", "");
    lv_sim_settle(sim);
    lv_sim_consume(&a, "p", "one", "x");
    lv_sim_settle(sim);
    lv_channel_qos(a.channels[0].core, 9, false);
    for (int i = 0; i < 10; i++) {
        snprintf(tag, sizeof tag, "t%d", i);
        lv_sim_consume(&a, "q", tag, "n");
        lv_sim_settle(sim);
    }
    for (size_t room = 1; room < 13; room += 5) {
        struct lv_walk walk = {.position = 0};

        forget(room);
        while (lv_inspect_consumers(a.channels[0].core, &walk, show_consumer, &shown))
            shown.left = room;
        assert_int_equal(shown.count, 11);
        assert_int_equal(times("/ p one 0 exclusive"), 1);
        assert_int_equal(times("/ q t0 9 no-ack"), 1);
        assert_int_equal(times("/ q t9 9 no-ack"), 1);
    }
    lv_sim_cancel(&a, "one");
    assert_non_null(strstr(lv_sim_heard(&a), "cancel-ok one"));
    struct lv_walk walk = {.position = 0};
    forget(100);
    assert_false(lv_inspect_consumers(a.channels[0].core, &walk, show_consumer, &shown));
    assert_int_equal(shown.count, 10);
    lv_sim_client_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENARIO_TEST(queues_are_shown_by_their_homes_with_their_counts),
        SCENARIO_TEST(slices_of_any_size_show_everything_once),
        SCENARIO_TEST(bindings_are_shown_from_both_kinds_of_sources_and_the_one_that_lies_nowhere),
        cmocka_unit_test(exchanges_are_those_of_the_vhost),
        cmocka_unit_test(what_stays_is_shown_once_whatever_comes_and_goes),
        SCENARIO_TEST(channels_show_their_modes_and_counts),
        SCENARIO_TEST(a_transaction_shows_what_it_keeps),
        SCENARIO_TEST(consumers_are_shown_by_their_channel_a_few_at_a_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
