#include "base/alloc.h"
#include "broker/core.h"
#include "broker/harness.h"

#include <malloc.h>

/* ---- lack of memory ---- */

/* One command of channel 1, given to a world with queue "q", three messages and a consumer "t" of
 * `other`. */
struct trial {
    struct lv_sim *sim;
    struct lv_sim_client client, other;
};

typedef void command_fn(struct trial *trial);

static void declare_new(struct trial *trial)
{
    lv_sim_declare(&trial->client, "new", "");
}

static void declare_again(struct trial *trial)
{
    lv_sim_declare(&trial->client, "q", "");
}

static void declare_exclusive(struct trial *trial)
{
    struct lv_sim_table table;

    lv_sim_declare_args(&trial->client, "", "x",
                        lv_sim_table(&table, "x-color", lv_sim_string("a colour")));
}

static void delete_queue(struct trial *trial)
{
    lv_sim_delete(&trial->client, "unused", "");
}

static void purge(struct trial *trial)
{
    lv_sim_purge(&trial->client, "q");
}

static void bind(struct trial *trial)
{
    lv_sim_bind(&trial->client, "q", "amq.fanout", "k");
}

static void unbind(struct trial *trial)
{
    lv_sim_unbind(&trial->client, "q", "amq.direct", "k");
}

static void exchange(struct trial *trial)
{
    lv_sim_exchange(&trial->client, "new", "direct", "");
}

static void exchange_delete(struct trial *trial)
{
    lv_sim_exchange_delete(&trial->client, "x", "");
}

static void consume(struct trial *trial)
{
    lv_sim_consume(&trial->client, "q", "", "");
}

static void cancel(struct trial *trial)
{
    lv_sim_cancel(&trial->client, "mine");
}

static void get(struct trial *trial)
{
    lv_sim_get(&trial->client, "q", "");
}

static void get_no_ack(struct trial *trial)
{
    lv_sim_get(&trial->client, "q", "n");
}

static void set_up(struct trial *trial, struct lv_sim *sim)
{
    trial->sim = sim;
    lv_sim_client_open(&trial->other, sim, 0);
    lv_sim_client_open(&trial->client, sim, 2);
    lv_sim_declare(&trial->other, "q", "");
    lv_sim_declare(&trial->other, "r", "");
    lv_sim_declare(&trial->other, "unused", "");
    lv_sim_bind(&trial->other, "q", "amq.direct", "k");
    lv_sim_exchange(&trial->other, "x", "fanout", "");
    lv_sim_settle(sim);
    lv_channel_qos(trial->other.channels[0].core, 1, false);
    lv_sim_consume(&trial->other, "q", "t", "");
    lv_sim_consume(&trial->client, "r", "mine", "");
    lv_sim_settle(sim);
    for (int i = 0; i < 4; i++)
        lv_sim_publish(&trial->other, "", "q", "m");
    lv_sim_settle(sim);
    lv_sim_heard_now(&trial->client);
    lv_sim_heard_now(&trial->other);
}

/* Fails the n-th allocation of the command, for every n until it needs no more: it is answered
 * once, well or with 506, and the broker goes on. */
static void starve(command_fn *command, uint32_t shard_count, bool forever)
{
    bool starved = true;

    for (uint64_t after = 1; starved; after++) {
        struct lv_sim sim;
        struct trial trial;
        lv_sim_init(&sim, shard_count, 0);
        set_up(&trial, &sim);
        lv_alloc_fail_after(after, forever);
        command(&trial);
        while (trial.client.awaited > 0 && lv_sim_step(&sim))
            ;
        lv_alloc_fail_after(0, 0);
        lv_sim_settle(&sim);
        assert_int_equal(trial.client.awaited, 0);
        starved = strstr(lv_sim_heard(&trial.client), ": 506 out of memory") != NULL;
        assert_true(after < 50);
        command(&trial); /* now it may say that it is done already, but it says so */
        lv_sim_settle(&sim);
        assert_int_equal(trial.client.awaited, 0);
        assert_null(strstr(lv_sim_heard(&trial.client), ": 506"));
        lv_sim_client_fini(&trial.client);
        lv_sim_client_fini(&trial.other);
        lv_sim_fini(&sim);
    }
}

static void every_command_on_one_shard_survives_lack_of_memory(void **state)
{
    static command_fn *const commands[] = {
        declare_new, declare_again,   declare_exclusive, delete_queue, purge, bind,       unbind,
        exchange,    exchange_delete, consume,           cancel,       get,   get_no_ack,
    };

    (void)state;
    for (size_t i = 0; i < LV_COUNT(commands); i++) {
        starve(commands[i], 1, false);
        starve(commands[i], 1, true);
    }
}

/* Changes of the topology are not among these: shards that differ would be worse than none. */
static void commands_to_other_shards_survive_lack_of_memory(void **state)
{
    static command_fn *const commands[] = {purge, consume, cancel, get, get_no_ack};

    (void)state;
    for (size_t i = 0; i < LV_COUNT(commands); i++) {
        starve(commands[i], 3, false);
        starve(commands[i], 3, true);
    }
}

static void a_declare_that_cannot_be_told_to_all_shards_is_told_to_none(void **state)
{
    struct lv_sim sim;
    struct lv_sim_client a;

    (void)state;
    lv_sim_init(&sim, 3, 0);
    lv_sim_client_open(&a, &sim, 1);
    lv_sim_declare(&a, "q", "");
    lv_alloc_fail_after(1, 0); /* shard 0 has to make copies of it */
    assert_true(lv_sim_carry(&sim, 1, 0));
    lv_alloc_fail_after(0, 0);
    assert_hears(&a, "declare: 506 out of memory");
    assert_true(lv_sim_is_gone(&sim, "q"));
    lv_sim_declare(&a, "q", "");
    assert_hears(&a, "declare-ok q 0 0");
    lv_sim_client_fini(&a);
    lv_sim_fini(&sim);
}

static void clients_and_channels_need_memory(void **state)
{
    struct lv_sim sim;
    struct lv_client_config config = {.vhost = lv_text("/"), .user = lv_text("guest")};
    struct lv_client *client;
    struct lv_channel *channel;
    struct lv_sim_client a;

    (void)state;
    lv_sim_init(&sim, 1, 0);
    for (uint64_t after = 1; after <= 2; after++) {
        lv_alloc_fail_after(after, 1);
        assert_int_equal(lv_client_open(sim.shards[0].broker, &config, NULL, &client), -LV_E_NOMEM);
        lv_alloc_fail_after(0, 0);
    }
    lv_sim_client_open(&a, &sim, 0);
    lv_alloc_fail_after(1, 1);
    assert_int_equal(lv_channel_open(a.core, NULL, NULL, &channel), -LV_E_NOMEM);
    lv_alloc_fail_after(0, 0);
    lv_sim_client_fini(&a);
    lv_sim_fini(&sim);
}

static void a_broker_needs_memory(void **state)
{
    struct lv_store *store = lv_store_new();
    struct lv_broker_config config = {.shard_count = 1, .store = store};
    struct lv_broker *broker = NULL;

    (void)state;
    for (uint64_t after = 1; broker == NULL; after++) {
        lv_alloc_fail_after(after, 1);
        broker = lv_broker_new(&config);
        lv_alloc_fail_after(0, 0);
        assert_true(after < 50);
    }
    lv_broker_free(broker);
    lv_broker_free(NULL);
    lv_store_free(store);
}

static void a_publish_without_memory_is_an_error_and_not_confirmed(void **state)
{
    (void)state;
    for (uint32_t shard_count = 1; shard_count <= 3; shard_count += 2) {
        int rc = -LV_E_NOMEM;
        for (uint64_t after = 1; rc < 0; after++) {
            struct lv_sim sim;
            struct trial trial;
            struct lv_diag diag;
            lv_sim_init(&sim, shard_count, 0);
            set_up(&trial, &sim);
            lv_channel_confirm_select(trial.client.channels[0].core);
            lv_alloc_fail_after(after, 1);
            rc = lv_sim_try_publish(&trial.client, "", "q", "m", false, &diag);
            lv_alloc_fail_after(0, 0);
            if (rc < 0) {
                assert_int_equal(rc, -LV_E_NOMEM);
                assert_string_equal(lv_sim_heard(&trial.client), "");
            } else {
                assert_string_equal(lv_sim_heard(&trial.client), "confirm 1");
            }
            assert_true(after < 20);
            lv_sim_client_fini(&trial.client);
            lv_sim_client_fini(&trial.other);
            lv_sim_fini(&sim);
        }
    }
}

static void deliveries_wait_for_memory(void **state)
{
    (void)state;
    for (uint32_t shard_count = 1; shard_count <= 3; shard_count += 2)
        for (uint64_t after = 1; after < 12; after++) {
            struct lv_sim sim;
            struct lv_sim_client a, b;
            lv_sim_init(&sim, shard_count, 0);
            lv_sim_client_open(&a, &sim, 0);
            lv_sim_client_open(&b, &sim, 2);
            lv_sim_declare(&a, "q", "");
            lv_sim_settle(&sim);
            lv_sim_consume(&b, "q", "t", "");
            assert_hears(&b, "consume-ok t");
            for (int i = 0; i < 10; i++)
                lv_sim_publish(&a, "", "q", i < 5 ? "early" : "late");
            while (shard_count > 1 && lv_sim_carry(&sim, 0, lv_sim_home(&sim, "q")))
                ;
            lv_alloc_fail_after(after, 0);
            lv_sim_turn(&sim);
            lv_alloc_fail_after(0, 0);
            assert_hears(&b, "t #1 early\nt #2 early\nt #3 early\nt #4 early\nt #5 early\n"
                             "t #6 late\nt #7 late\nt #8 late\nt #9 late\nt #10 late");
            lv_sim_client_fini(&a);
            lv_sim_client_fini(&b);
            lv_sim_fini(&sim);
        }
}

/* Messages of another shard that find no memory at home wait, in order, and so do their confirms.
 */
static void messages_from_other_shards_wait_for_memory(void **state)
{
    struct lv_sim sim;
    struct lv_sim_client a, b;
    uint32_t home;

    (void)state;
    lv_sim_init(&sim, 3, 0);
    lv_sim_client_open(&a, &sim, 0);
    lv_sim_client_open(&b, &sim, 2);
    lv_sim_declare(&a, "q", "");
    lv_sim_declare(&a, "r", "");
    lv_sim_declare(&a, "s", "");
    lv_sim_declare(&a, "t", "");
    lv_sim_settle(&sim);
    home = lv_sim_home(&sim, "q");
    assert_int_equal(home, 1);
    assert_int_equal(lv_sim_home(&sim, "t"), 1);
    lv_sim_bind(&a, "q", "amq.fanout", "");
    lv_sim_bind(&a, "t", "amq.fanout", "");
    lv_sim_settle(&sim);
    lv_sim_heard(&a);
    lv_channel_confirm_select(a.channels[0].core);
    lv_sim_publish(&a, "amq.fanout", "", "1");
    lv_sim_publish(&a, "", "q", "2");
    for (uint64_t after = 1; after <= 4; after++) {
        lv_alloc_fail_after(after, 1); /* the log's page, a deque, another deque */
        while (lv_sim_carry(&sim, 0, home))
            ;
        (void)lv_broker_turn(sim.shards[home].broker);
        lv_alloc_fail_after(0, 0);
        if (after == 1)
            assert_heard_now(&a, "");
    }
    assert_hears(&a, "confirm ..2");
    lv_sim_get(&b, "q", "n");
    lv_sim_get(&b, "q", "n");
    lv_sim_get(&b, "t", "n");
    lv_sim_get(&b, "t", "n");
    assert_hears(&b, "get-ok #1 1, 1 left\nget-ok #2 2, 0 left\nget-ok #3 1, 0 left\nget-empty");
    lv_sim_client_fini(&a);
    lv_sim_client_fini(&b);
    lv_sim_fini(&sim);
}

/* ---- turns ---- */

static void a_long_queue_does_not_keep_others_waiting(void **state)
{
    struct lv_sim sim;
    struct lv_sim_client a, b, c;
    struct lv_broker *broker;

    (void)state;
    lv_sim_init(&sim, 1, 0);
    broker = sim.shards[0].broker;
    lv_sim_client_open(&a, &sim, 0);
    lv_sim_client_open(&b, &sim, 0);
    lv_sim_client_open(&c, &sim, 0);
    lv_sim_declare(&a, "long", "");
    lv_sim_declare(&a, "short", "");
    lv_sim_consume(&b, "long", "t", "n");
    lv_sim_consume(&c, "short", "t", "n");
    for (uint32_t i = 0; i < 2 * LV_DRAIN_BUDGET; i++)
        lv_sim_publish(&a, "", "long", "m");
    lv_sim_publish(&a, "", "short", "m");
    assert_true(lv_broker_turn(broker)); /* more is left */
    assert_int_equal(b.delivered, LV_DRAIN_BUDGET);
    assert_int_equal(c.delivered, 1);
    lv_sim_publish(&a, "", "short", "m");
    assert_true(lv_broker_turn(broker) || b.delivered == 2 * LV_DRAIN_BUDGET);
    assert_int_equal(b.delivered, 2 * LV_DRAIN_BUDGET);
    assert_int_equal(c.delivered, 2);
    (void)lv_broker_turn(broker);
    assert_false(lv_broker_turn(broker));
    lv_sim_client_fini(&a);
    lv_sim_client_fini(&b);
    lv_sim_client_fini(&c);
    lv_sim_fini(&sim);
}

/* ---- numbers ---- */

static void sum(const struct lv_sim *sim, struct lv_broker_stats *ret)
{
    *ret = (struct lv_broker_stats){0};
    for (uint32_t i = 0; i < sim->shard_count; i++) {
        struct lv_broker_stats stats;
        lv_broker_stats(sim->shards[i].broker, &stats);
        ret->connections += stats.connections;
        ret->channels += stats.channels;
        ret->queues += stats.queues;
        ret->exchanges = stats.exchanges;
        ret->consumers += stats.consumers;
        ret->ready += stats.ready;
        ret->unacked += stats.unacked;
        ret->published += stats.published;
        ret->delivered += stats.delivered;
        ret->memory_size += stats.memory_size;
    }
}

SCENARIO(numbers_tell_what_there_is)
{
    struct lv_sim_client a, b;
    struct lv_broker_stats stats;

    lv_sim_client_open(&a, sim, 0);
    lv_sim_client_open(&b, sim, 2);
    lv_sim_channel_open(&b, 2);
    lv_sim_declare(&a, "q", "");
    lv_sim_declare(&a, "r", "");
    lv_sim_exchange(&a, "x", "direct", "");
    lv_sim_settle(sim);
    for (int i = 0; i < 5; i++)
        lv_sim_publish(&a, "", "q", "m");
    lv_sim_settle(sim);
    lv_sim_get(&b, "q", "");
    lv_sim_get(&b, "q", "n");
    lv_sim_settle(sim);
    lv_channel_qos(b.channels[0].core, 2, false);
    lv_sim_consume(&b, "q", "t", "");
    lv_sim_consume(&b, "r", "u", "");
    lv_sim_settle(sim);
    sum(sim, &stats);
    assert_int_equal(stats.connections, 2);
    assert_int_equal(stats.channels, 3);
    assert_int_equal(stats.queues, 2);
    assert_int_equal(stats.exchanges, 8);
    assert_int_equal(stats.consumers, 2);
    assert_int_equal(stats.ready, 1);
    assert_int_equal(stats.unacked, 3);
    assert_int_equal(stats.published, 5);
    assert_int_equal(stats.delivered, 4);
    lv_sim_delete(&a, "q", "");
    lv_sim_client_fini(&b);
    sum(sim, &stats);
    assert_int_equal(stats.connections, 1);
    assert_int_equal(stats.channels, 1);
    assert_int_equal(stats.queues, 1);
    assert_int_equal(stats.consumers, 0);
    assert_int_equal(stats.ready, 0);
    assert_int_equal(stats.unacked, 0);
    lv_sim_client_fini(&a);
}

static void an_idle_queue_takes_little_memory(void **state)
{
    enum { COUNT = 1000 };
    struct lv_sim sim;
    struct lv_sim_client a;
    struct lv_broker *broker;
    char name[32];
    size_t size = 0;

    (void)state;
    lv_sim_init(&sim, 1, 0);
    broker = sim.shards[0].broker;
    lv_sim_client_open(&a, &sim, 0);
    for (int i = 0; i < COUNT; i++) { /* each has been used, and is empty again */
        (void)snprintf(name, sizeof name, "a queue's name, %d", i);
        lv_sim_declare(&a, name, "");
        lv_sim_publish(&a, "", name, "m");
        lv_sim_get(&a, name, "n");
        lv_sim_heard(&a);
    }
    const struct lv_vhost *vhost = lv_topology_vhost(&broker->topology, lv_text("/"));
    uint32_t cursor = 0;
    for (struct lv_queue_entry *entry; (entry = lv_map_next(&vhost->queues, &cursor)) != NULL;)
        size += malloc_usable_size(entry) + malloc_usable_size(entry->queue);
    size += broker->refs_pool.memory_size;
    size += malloc_usable_size(vhost->queues.entries) + malloc_usable_size(broker->homes.entries);
    print_message("# an idle queue: %zu bytes\n", size / COUNT);
    assert_in_range(size / COUNT, 100, 1500);
    lv_sim_client_fini(&a);
    lv_sim_fini(&sim);
}

/* ---- the end ---- */

static void what_is_under_way_when_all_stops_is_freed(void **state)
{
    struct lv_sim sim;
    struct lv_sim_client a, b;

    (void)state;
    lv_sim_init(&sim, 3, 0);
    lv_sim_client_open(&a, &sim, 0);
    lv_sim_client_open(&b, &sim, 2);
    lv_sim_declare(&a, "q", "");
    lv_sim_settle(&sim);
    lv_sim_consume(&b, "q", "t", "");
    lv_sim_settle(&sim);
    lv_channel_confirm_select(a.channels[0].core);
    for (int i = 0; i < 5; i++)
        lv_sim_publish(&a, "", "q", "m");
    assert_true(lv_sim_carry(&sim, 0, lv_sim_home(&sim, "q")));
    lv_sim_turn(&sim);
    lv_sim_client_close(&a); /* publishes and a confirm of its channel are on the road */
    assert_null(a.core);
    lv_sim_client_close(&b); /* which awaits that its subscriber is gone */
    assert_non_null(b.core);
    assert_true(lv_sim_carry(&sim, 2, 1));
    assert_true(lv_sim_carry(&sim, 1, 2)); /* a delivery */
    assert_true(lv_sim_carry(&sim, 1, 2));
    assert_null(b.core);
    lv_sim_client_fini(&a);
    lv_sim_client_fini(&b);
    lv_sim_fini(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_on_one_shard_survives_lack_of_memory),
        cmocka_unit_test(commands_to_other_shards_survive_lack_of_memory),
        cmocka_unit_test(a_declare_that_cannot_be_told_to_all_shards_is_told_to_none),
        cmocka_unit_test(clients_and_channels_need_memory),
        cmocka_unit_test(a_broker_needs_memory),
        cmocka_unit_test(a_publish_without_memory_is_an_error_and_not_confirmed),
        cmocka_unit_test(deliveries_wait_for_memory),
        cmocka_unit_test(messages_from_other_shards_wait_for_memory),
        cmocka_unit_test(a_long_queue_does_not_keep_others_waiting),
        SCENARIO_TEST(numbers_tell_what_there_is),
        cmocka_unit_test(an_idle_queue_takes_little_memory),
        cmocka_unit_test(what_is_under_way_when_all_stops_is_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
