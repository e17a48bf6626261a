#include "base/alloc.h"
#include "broker/core.h"
#include "broker/harness.h"
#include "broker/subscriber.h"

static struct lv_sim sim;
static struct lv_sim_client client;
static struct lv_subscriber *subscriber;

/* A client with the queues "q0" … "q19", each with one message. */
static void begin(void)
{
    char name[16];

    lv_sim_init(&sim, 1, 0);
    lv_sim_client_open(&client, &sim, 0);
    subscriber = &client.channels[0].core->subscriber;
    for (int i = 0; i < 20; i++) {
        (void)snprintf(name, sizeof name, "q%d", i);
        lv_sim_declare(&client, name, "");
        lv_sim_publish(&client, "", name, "m");
    }
    lv_sim_heard(&client);
}

static void end(void)
{
    lv_sim_client_fini(&client);
    lv_sim_fini(&sim);
}

static struct lv_queue *queue(const char *name)
{
    const struct lv_vhost *vhost = lv_topology_vhost(&sim.shards[0].broker->topology, lv_text("/"));

    return lv_vhost_queue(vhost, lv_text(name))->queue;
}

static uint32_t count(const struct lv_list *list)
{
    uint32_t links = 0;

    for (const struct lv_link *link = list->head.next; link != &list->head; link = link->next)
        links++;
    return links;
}

static void what_was_got_hangs_on_a_getter_of_its_queue(void **state)
{
    (void)state;
    begin();
    lv_sim_publish(&client, "", "q0", "m");
    lv_sim_get(&client, "q0", "");
    lv_sim_get(&client, "q0", "");
    lv_sim_get(&client, "q1", "");
    lv_sim_get(&client, "q2", "n");
    assert_int_equal(count(&subscriber->consumers), 2);
    assert_int_equal(queue("q0")->unacked_count, 2);
    assert_int_equal(queue("q0")->consumer_count, 0);
    lv_sim_settle_tag(&client, 1, "a");
    assert_int_equal(count(&subscriber->consumers), 2);
    lv_sim_settle_tag(&client, 2, "q"); /* it goes with its last message */
    assert_int_equal(count(&subscriber->consumers), 1);
    assert_int_equal(count(&queue("q0")->consumers), 0);
    end();
}

/* Getting from many queues in turn must not look through all of them each time. */
static void getters_of_many_queues_are_not_looked_through(void **state)
{
    char name[16];

    (void)state;
    begin();
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 20; i++) {
            (void)snprintf(name, sizeof name, "q%d", i);
            lv_sim_publish(&client, "", name, "m");
            lv_sim_get(&client, name, "");
        }
    assert_in_range(count(&subscriber->consumers), 20, 60);
    lv_sim_settle_tag(&client, 0, "+q");
    assert_int_equal(count(&subscriber->consumers), 0);
    for (int i = 0; i < 20; i++) {
        (void)snprintf(name, sizeof name, "q%d", i);
        assert_int_equal(lv_queue_ready_count(queue(name)), 4);
        assert_int_equal(queue(name)->unacked_count, 0);
    }
    end();
}

static void consumers_are_found_by_their_subscription(void **state)
{
    struct lv_channel *channel;

    (void)state;
    begin();
    channel = client.channels[0].core;
    lv_sim_consume(&client, "q0", "s", "");
    lv_sim_consume(&client, "q1", "t", "");
    struct lv_subscription *s = lv_channel_subscription(channel, lv_text("s"));
    struct lv_subscription *t = lv_channel_subscription(channel, lv_text("t"));
    assert_ptr_equal(lv_subscriber_find(subscriber, s)->queue, queue("q0"));
    assert_ptr_equal(lv_subscriber_find(subscriber, t)->queue, queue("q1"));
    assert_null(lv_channel_subscription(channel, lv_text("u")));
    lv_consumer_cancel(lv_subscriber_find(subscriber, s));
    assert_null(lv_subscriber_find(subscriber, s));
    end();
}

static void a_consumer_that_cannot_take_is_parked_until_it_can(void **state)
{
    (void)state;
    begin();
    lv_channel_qos(client.channels[0].core, 1, false);
    lv_sim_consume(&client, "q0", "t", "");
    lv_sim_publish(&client, "", "q0", "m");
    assert_hears(&client, "consume-ok t\nt #1 m");
    const struct lv_consumer *consumer =
        lv_container(lv_list_first(&subscriber->parked), struct lv_consumer, able_link);
    assert_true(consumer->parked);
    assert_false(lv_consumer_is_able(consumer));
    assert_true(lv_list_is_empty(&queue("q0")->able));
    lv_subscriber_wake(subscriber); /* nothing has changed */
    assert_true(consumer->parked);
    lv_sim_settle_tag(&client, 1, "a");
    assert_false(consumer->parked);
    assert_int_equal(count(&queue("q0")->able), 1);
    end();
}

static void settling_tells_whether_there_was_something(void **state)
{
    (void)state;
    begin();
    assert_false(lv_subscriber_settle(subscriber, 1, LV_SETTLE_ACK));
    lv_sim_get(&client, "q0", "");
    assert_true(lv_subscriber_is_unacked(subscriber, 1));
    assert_true(lv_subscriber_settle(subscriber, 1, LV_SETTLE_ACK));
    assert_false(lv_subscriber_is_unacked(subscriber, 1));
    assert_false(lv_subscriber_settle(subscriber, 1, LV_SETTLE_ACK));
    lv_subscriber_settle_to(subscriber, UINT64_MAX, LV_SETTLE_ACK); /* none is no error */
    assert_int_equal(sim.shards[0].broker->stats.unacked, 0);
    end();
}

static void a_consumer_needs_memory(void **state)
{
    struct lv_subscription *name = (struct lv_subscription *)(void *)&sim; /* a name only */
    struct lv_consumer_config config = {.subscription = name};
    struct lv_consumer *consumer = NULL;

    (void)state;
    begin();
    for (uint64_t after = 1; consumer == NULL; after++) {
        lv_alloc_fail_after(after, 1);
        consumer = lv_consumer_new(subscriber, queue("q0"), &config);
        lv_alloc_fail_after(0, 0);
        assert_int_equal(queue("q0")->consumer_count, consumer != NULL);
        assert_true(after < 5);
    }
    lv_consumer_cancel(consumer);
    assert_int_equal(queue("q0")->consumer_count, 0);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_got_hangs_on_a_getter_of_its_queue),
        cmocka_unit_test(getters_of_many_queues_are_not_looked_through),
        cmocka_unit_test(consumers_are_found_by_their_subscription),
        cmocka_unit_test(a_consumer_that_cannot_take_is_parked_until_it_can),
        cmocka_unit_test(settling_tells_whether_there_was_something),
        cmocka_unit_test(a_consumer_needs_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
