#include "base/alloc.h"
#include "broker/core.h"
#include "broker/harness.h"
#include "broker/op.h"

static struct lv_sim sim;
static struct lv_sim_client a, b;

/* Three shards; "q" lives on shard 1, `a` is on 0 and `b` on 2. */
static void begin(void)
{
    lv_sim_init(&sim, 3, 0);
    lv_sim_client_open(&a, &sim, 0);
    lv_sim_client_open(&b, &sim, 2);
    lv_sim_declare(&a, "q", "");
    assert_hears(&a, "declare-ok q 0 0");
    assert_int_equal(lv_sim_home(&sim, "q"), 1);
}

static void end(void)
{
    lv_sim_client_fini(&a);
    lv_sim_client_fini(&b);
    lv_sim_fini(&sim);
}

/* Operations on the road. */
static size_t under_way(uint32_t from, uint32_t to)
{
    const struct lv_sim_road *road = &sim.shards[from].roads[to];

    return road->end - road->begin;
}

static void operations_begin_clear_and_end_with_what_they_own(void **state)
{
    struct lv_sim_table table;
    struct lv_op *op;

    (void)state;
    begin();
    op = lv_op_new(sim.shards[2].broker, LV_OP_QUERY, 100);
    assert_non_null(op);
    assert_int_equal(op->from, 2);
    assert_int_equal(op->size, 100);
    assert_null(op->command.pending);
    assert_int_equal((uintptr_t)op->data % 8, 0);
    lv_op_free(op);
    lv_op_free(NULL);
    struct lv_change change = {
        .kind = LV_CHANGE_BIND,
        .vhost = lv_text("/"),
        .name = lv_text("queue"),
        .other = lv_text("exchange"),
        .key = lv_text("key"),
        .arguments = lv_sim_table(&table, "a", lv_sim_string("value")),
    };
    op = lv_change_op(sim.shards[0].broker, &change);
    assert_non_null(op);
    assert_true(lv_bytes_equal(op->change.change.key, change.key));
    assert_true(op->change.change.key.data != change.key.data); /* a copy */
    assert_true(op->change.arguments != change.arguments);
    lv_op_free(op); /* and its arguments */
    end();
}

static void a_change_goes_to_shard_zero_and_from_there_to_all(void **state)
{
    (void)state;
    begin();
    lv_sim_declare(&b, "new", "");
    assert_int_equal(under_way(2, 0), 1);
    assert_true(lv_sim_carry(&sim, 2, 0));
    assert_int_equal(under_way(0, 1), 1);
    assert_int_equal(under_way(0, 2), 2); /* the change, and that shard 0 has applied it */
    assert_true(lv_sim_carry(&sim, 0, 2));
    assert_true(lv_sim_carry(&sim, 0, 2));
    assert_heard_now(&b, "");
    assert_true(lv_sim_carry(&sim, 0, 1));
    assert_true(lv_sim_carry(&sim, 1, 2));
    assert_hears(&b, "declare-ok new 0 0");
    end();
}

static void a_confirm_comes_when_the_home_has_the_message(void **state)
{
    (void)state;
    begin();
    lv_channel_confirm_select(a.channels[0].core);
    lv_sim_publish(&a, "", "q", "m");
    lv_sim_turn(&sim);
    assert_heard_now(&a, "");
    assert_true(lv_sim_carry(&sim, 0, 1));
    assert_true(lv_sim_carry(&sim, 1, 0));
    lv_sim_turn(&sim);
    assert_heard_now(&a, "confirm 1");
    end();
}

/* `a` has declared "new", which lives on shard 2; only shard 1, where `c` is, has heard of it. */
static void begin_known_to_one(struct lv_sim_client *c)
{
    begin();
    lv_sim_client_open(c, &sim, 1);
    lv_sim_declare(&a, "new", "");
    assert_true(lv_sim_carry(&sim, 0, 1));
    assert_int_equal(under_way(0, 2), 1);
}

static void a_message_that_overtakes_its_queues_declare_arrives(void **state)
{
    struct lv_sim_client c;

    (void)state;
    begin_known_to_one(&c);
    lv_channel_confirm_select(c.channels[0].core);
    assert_int_equal(lv_sim_try_publish(&c, "", "new", "1", true, NULL), 0);
    assert_int_equal(lv_sim_try_publish(&c, "", "new", "2", true, NULL), 0);
    while (lv_sim_carry(&sim, 1, 2))
        ;
    lv_sim_turn(&sim);
    assert_false(lv_sim_carry(&sim, 2, 1)); /* no word of them yet */
    assert_heard_now(&c, "");
    assert_true(lv_sim_carry(&sim, 0, 2));
    while (lv_sim_carry(&sim, 2, 1))
        ;
    lv_sim_turn(&sim);
    assert_heard_now(&c, "confirm ..2");
    assert_hears(&a, "declare-ok new 2 0"); /* they are there already */
    lv_sim_get(&a, "new", "n");
    lv_sim_get(&a, "new", "n");
    assert_hears(&a, "get-ok #1 1, 1 left\nget-ok #2 2, 0 left");
    lv_sim_client_fini(&c);
    end();
}

/* Queues "old" and "new" have one home, and one operation is for both. */
static void only_the_queue_that_is_not_there_yet_is_waited_for(void **state)
{
    struct lv_sim_client c, d; /* a command of `a` would wait for the one before */

    (void)state;
    begin();
    lv_sim_client_open(&c, &sim, 1);
    lv_sim_client_open(&d, &sim, 0);
    lv_sim_declare(&a, "old", "");
    lv_sim_declare(&a, "y", "");
    lv_sim_declare(&a, "z", "");
    lv_sim_bind(&a, "old", "amq.fanout", "");
    lv_sim_settle(&sim);
    (void)lv_sim_heard(&a);
    lv_sim_declare(&a, "new", "");
    lv_sim_bind(&d, "new", "amq.fanout", "");
    while (lv_sim_carry(&sim, 0, 1))
        ;
    lv_channel_confirm_select(c.channels[0].core);
    lv_sim_publish(&c, "amq.fanout", "", "m");
    assert_true(lv_sim_carry(&sim, 1, 2));
    assert_int_equal(lv_sim_live_count(&sim), 1);
    lv_sim_turn(&sim);
    assert_int_equal(under_way(2, 1), 0);
    assert_true(lv_sim_carry(&sim, 0, 2));
    assert_int_equal(lv_sim_live_count(&sim), 2);
    assert_int_equal(under_way(2, 1), 1);
    assert_hears(&c, "confirm 1");
    assert_int_equal(lv_sim_home(&sim, "old"), lv_sim_home(&sim, "new"));
    (void)lv_sim_heard(&a);
    lv_sim_purge(&a, "old");
    lv_sim_purge(&a, "new");
    assert_hears(&a, "purge-ok 1\npurge-ok 1");
    lv_sim_client_fini(&c);
    lv_sim_client_fini(&d);
    end();
}

/* The same with a log: the queue that had the message does not get it again. */
static void what_is_kept_arrives_once_though_one_queue_is_waited_for(void **state)
{
    const struct lv_message message = {
        .exchange = lv_text("amq.fanout"), .body = lv_text("m"), .flags = LV_MESSAGE_PERSISTENT};
    static const char *const names[] = {"q", "old", "y", "z"}; /* "old" is at home on shard 2 */
    struct lv_sim_client c, d;

    (void)state;
    lv_sim_init_logged(&sim, 3, 0);
    lv_sim_client_open(&a, &sim, 0);
    lv_sim_client_open(&b, &sim, 0);
    lv_sim_client_open(&c, &sim, 1);
    lv_sim_client_open(&d, &sim, 0);
    for (size_t i = 0; i < LV_COUNT(names); i++) {
        lv_sim_declare(&a, names[i], "d");
        lv_sim_settle(&sim);
        lv_sim_sync(&sim);
    }
    lv_sim_bind(&a, "old", "amq.fanout", "");
    lv_sim_settle(&sim);
    lv_sim_sync(&sim);
    (void)lv_sim_heard(&a);
    lv_sim_declare(&a, "new", "d");
    lv_sim_bind(&d, "new", "amq.fanout", "");
    while (lv_sim_carry(&sim, 0, 1))
        ;
    assert_int_equal(lv_channel_publish(c.channels[0].core, &message, false, NULL), 0);
    assert_true(lv_sim_carry(&sim, 1, 2)); /* "new" is not known there */
    lv_sim_turn(&sim);
    lv_sim_settle(&sim);
    lv_sim_sync(&sim);
    assert_int_equal(lv_sim_home(&sim, "old"), lv_sim_home(&sim, "new"));
    (void)lv_sim_heard(&a);
    lv_sim_purge(&a, "old");
    lv_sim_settle(&sim);
    assert_hears(&a, "purge-ok 1");
    lv_sim_purge(&a, "new");
    lv_sim_settle(&sim);
    assert_hears(&a, "purge-ok 1");
    lv_sim_client_fini(&c);
    lv_sim_client_fini(&d);
    end();
}

static void a_command_that_overtakes_its_queues_declare_is_done(void **state)
{
    struct lv_sim_client c;

    (void)state;
    begin_known_to_one(&c);
    lv_sim_consume(&c, "new", "t", "");
    assert_true(lv_sim_carry(&sim, 1, 2));
    assert_hears(&c, "consume-ok t");
    lv_sim_client_fini(&c);
    end();
}

static void many_settled_at_once_are_one_operation(void **state)
{
    (void)state;
    begin();
    lv_sim_consume(&b, "q", "t", "");
    for (int i = 0; i < 50; i++)
        lv_sim_publish(&a, "", "q", "m");
    lv_sim_settle(&sim);
    assert_int_equal(b.delivered, 50);
    lv_sim_settle_tag(&b, 40, "+a");
    assert_int_equal(under_way(2, 1), 1);
    lv_sim_settle_tag(&b, 41, "a");
    lv_sim_settle_tag(&b, 0, "+q");
    assert_int_equal(under_way(2, 1), 3);
    lv_sim_settle(&sim);
    assert_int_equal(b.delivered, 59);
    end();
}

static void credit_is_told_now_and_then_and_not_each_time(void **state)
{
    size_t most = 0;

    (void)state;
    begin();
    lv_sim_consume(&b, "q", "t", "n");
    lv_sim_settle(&sim);
    for (unsigned i = 0; i < LV_REMOTE_WINDOW; i++) {
        lv_sim_publish(&a, "", "q", "m");
        while (lv_sim_carry(&sim, 0, 1))
            ;
        (void)lv_broker_turn(sim.shards[1].broker);
        while (lv_sim_carry(&sim, 1, 2))
            ;
        most = under_way(2, 1) > most ? under_way(2, 1) : most;
    }
    assert_int_equal(b.delivered, LV_REMOTE_WINDOW);
    assert_in_range(most, 1, 4);
    end();
}

static void a_closing_channel_leaves_no_trace_on_other_shards(void **state)
{
    (void)state;
    begin();
    lv_sim_consume(&b, "q", "t", "");
    lv_sim_publish(&a, "", "q", "m");
    lv_sim_settle(&sim);
    assert_false(lv_list_is_empty(&sim.shards[1].broker->remotes));
    lv_sim_channel_close(&b, 1);
    assert_hears(&b, "consume-ok t\nt #1 m\nchannel-closed");
    assert_true(lv_list_is_empty(&sim.shards[1].broker->remotes));
    lv_sim_get(&a, "q", "n");
    assert_hears(&a, "get-ok #1 m again, 0 left");
    end();
}

/* The answer to a consume and the end of its queue may arrive with anything in between. */
static void a_late_notice_finds_its_channel_gone(void **state)
{
    (void)state;
    begin();
    lv_sim_consume(&b, "q", "t", "");
    assert_hears(&b, "consume-ok t");
    lv_sim_delete(&a, "q", "");
    while (under_way(1, 2) == 0)
        assert_true(lv_sim_carry(&sim, 0, 1) || lv_sim_carry(&sim, 1, 0));
    lv_sim_channel_close(&b, 1); /* the notice is under way */
    assert_hears(&b, "channel-closed");
    assert_hears(&a, "delete-ok 0");
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_begin_clear_and_end_with_what_they_own),
        cmocka_unit_test(a_change_goes_to_shard_zero_and_from_there_to_all),
        cmocka_unit_test(a_confirm_comes_when_the_home_has_the_message),
        cmocka_unit_test(a_message_that_overtakes_its_queues_declare_arrives),
        cmocka_unit_test(only_the_queue_that_is_not_there_yet_is_waited_for),
        cmocka_unit_test(what_is_kept_arrives_once_though_one_queue_is_waited_for),
        cmocka_unit_test(a_command_that_overtakes_its_queues_declare_is_done),
        cmocka_unit_test(many_settled_at_once_are_one_operation),
        cmocka_unit_test(credit_is_told_now_and_then_and_not_each_time),
        cmocka_unit_test(a_closing_channel_leaves_no_trace_on_other_shards),
        cmocka_unit_test(a_late_notice_finds_its_channel_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
