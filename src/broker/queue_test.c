#include "base/alloc.h"
#include "broker/core.h"
#include "broker/harness.h"
#include "broker/queue.h"

static struct lv_sim sim;
static struct lv_sim_client client;
static struct lv_queue *queue;

static void begin(void)
{
    lv_sim_init(&sim, 1, 0);
    lv_sim_client_open(&client, &sim, 0);
    lv_sim_declare(&client, "q", "");
    const struct lv_vhost *vhost = lv_topology_vhost(&sim.shards[0].broker->topology, lv_text("/"));
    queue = lv_vhost_queue(vhost, lv_text("q"))->queue;
}

static void end(void)
{
    lv_sim_client_fini(&client);
    lv_sim_fini(&sim);
}

static void push(uint64_t number)
{
    struct lv_ref ref;
    void *data;

    assert_int_equal(lv_store_append(sim.shards[0].store, sizeof number, &ref, &data), 0);
    memcpy(data, &number, sizeof number);
    assert_int_equal(lv_queue_push(queue, ref), 0);
}

/* The number of the message that comes next, which leaves the queue; its place and holder. */
static uint64_t take(uint64_t *ret_seq, struct lv_ref *ret_ref)
{
    uint64_t number;

    assert_true(lv_queue_take(queue, ret_seq, ret_ref));
    memcpy(&number, lv_store_view(sim.shards[0].store, *ret_ref), sizeof number);
    return number;
}

static void an_empty_queue_gives_nothing(void **state)
{
    uint64_t seq;
    struct lv_ref ref;

    (void)state;
    begin();
    assert_false(lv_queue_peek(queue, &seq, &ref));
    assert_false(lv_queue_take(queue, &seq, &ref));
    assert_int_equal(lv_queue_clear(queue), 0);
    assert_int_equal(lv_queue_ready_count(queue), 0);
    end();
}

static void what_comes_back_stands_where_it_stood(void **state)
{
    enum { COUNT = 200 };
    uint64_t seqs[COUNT], seq;
    struct lv_ref refs[COUNT], ref;
    struct lv_random random;

    (void)state;
    begin();
    lv_random_seed(&random, 11);
    for (uint64_t i = 0; i < COUNT; i++)
        push(i);
    for (uint64_t i = 0; i < COUNT / 2; i++)
        assert_int_equal(take(&seqs[i], &refs[i]), i);
    for (uint64_t i = COUNT / 2; i > 1; i--) { /* in any order */
        uint64_t other = lv_random_below(&random, i);
        uint64_t swap = seqs[i - 1];
        struct lv_ref swap_ref = refs[i - 1];
        seqs[i - 1] = seqs[other];
        refs[i - 1] = refs[other];
        seqs[other] = swap;
        refs[other] = swap_ref;
    }
    for (uint64_t i = 0; i < COUNT / 2; i++) {
        lv_queue_return(queue, seqs[i], refs[i]);
        assert_int_equal(lv_queue_ready_count(queue), COUNT / 2 + i + 1);
    }
    push(COUNT); /* what is new comes last */
    for (uint64_t i = 0; i <= COUNT; i++) {
        assert_true(lv_queue_peek(queue, &seq, &ref));
        assert_int_equal(seq, i);
        assert_int_equal(take(&seq, &ref), i);
        lv_store_release(sim.shards[0].store, ref);
    }
    end();
}

static void places_that_are_not_needed_any_more_take_no_memory(void **state)
{
    struct lv_broker *broker;
    uint64_t memory, seq;
    struct lv_ref ref;

    (void)state;
    begin();
    broker = sim.shards[0].broker;
    memory = broker->memory_size;
    for (uint64_t i = 0; i < 100; i++)
        push(i);
    for (uint64_t i = 0; i < 100; i++) {
        assert_int_equal(take(&seq, &ref), 0);
        lv_queue_return(queue, seq, ref);
    }
    assert_true(broker->memory_size > memory);
    assert_int_equal(lv_queue_clear(queue), 100);
    assert_int_equal(broker->memory_size, memory);
    assert_int_equal(broker->stats.ready, 0);
    end();
}

static void a_queue_waits_for_its_turn_once(void **state)
{
    struct lv_broker *broker;

    (void)state;
    begin();
    broker = sim.shards[0].broker;
    (void)lv_broker_turn(broker);
    assert_true(lv_list_is_empty(&broker->dirty));
    push(1);
    push(2);
    lv_queue_touch(queue);
    assert_ptr_equal(lv_list_first(&broker->dirty), &queue->dirty_link);
    assert_ptr_equal(queue->dirty_link.next, &broker->dirty.head);
    assert_false(lv_queue_drain(queue, 10)); /* nobody is there to take them */
    end();
}

static void a_drain_stops_at_its_budget(void **state)
{
    (void)state;
    begin();
    lv_sim_consume(&client, "q", "t", "n");
    for (int i = 0; i < 10; i++)
        lv_sim_publish(&client, "", "q", "m");
    assert_true(lv_queue_drain(queue, 4));
    assert_int_equal(client.delivered, 4);
    assert_true(lv_queue_drain(queue, 5));
    assert_int_equal(client.delivered, 9);
    assert_false(lv_queue_drain(queue, 5));
    assert_int_equal(client.delivered, 10);
    end();
}

static void a_push_without_memory_leaves_the_holder_with_the_caller(void **state)
{
    struct lv_ref ref;
    void *data;

    (void)state;
    begin();
    assert_int_equal(lv_store_append(sim.shards[0].store, 8, &ref, &data), 0);
    lv_alloc_fail_after(1, 0);
    assert_int_equal(lv_queue_push(queue, ref), -LV_E_NOMEM);
    lv_alloc_fail_after(0, 0);
    assert_int_equal(lv_queue_ready_count(queue), 0);
    lv_store_release(sim.shards[0].store, ref);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_queue_gives_nothing),
        cmocka_unit_test(what_comes_back_stands_where_it_stood),
        cmocka_unit_test(places_that_are_not_needed_any_more_take_no_memory),
        cmocka_unit_test(a_queue_waits_for_its_turn_once),
        cmocka_unit_test(a_drain_stops_at_its_budget),
        cmocka_unit_test(a_push_without_memory_leaves_the_holder_with_the_caller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
