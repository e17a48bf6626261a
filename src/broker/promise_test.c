#include "broker/promise.h"

#include "broker/harness.h"

/* A client each on the first and, if there is one, on another shard; nothing reaches the disk by
 * itself. */
struct scene {
    struct lv_sim sim;
    struct lv_sim_client a, b;
};

static void begin(struct scene *scene, uint32_t shard_count)
{
    lv_sim_init_logged(&scene->sim, shard_count, 0);
    lv_sim_client_open(&scene->a, &scene->sim, 0);
    lv_sim_client_open(&scene->b, &scene->sim, shard_count - 1);
}

static void end(struct scene *scene)
{
    lv_sim_sync(&scene->sim);
    lv_sim_client_fini(&scene->a);
    lv_sim_client_fini(&scene->b);
    lv_sim_fini(&scene->sim);
}

/* A test with one shard and with three. */
static void on_each(void (*test)(struct scene *scene))
{
    for (uint32_t shard_count = 1; shard_count <= 3; shard_count += 2) {
        struct scene scene;
        begin(&scene, shard_count);
        test(&scene);
        end(&scene);
    }
}

static void publish_persistent(struct lv_sim_client *client, const char *key)
{
    const struct lv_message message = {
        .key = lv_text(key), .body = lv_text("x"), .flags = LV_MESSAGE_PERSISTENT};

    assert_int_equal(lv_channel_publish(lv_sim_channel(client, 1)->core, &message, false, NULL), 0);
}

static void declared(struct scene *scene)
{
    lv_sim_declare(&scene->a, "q", "d");
    lv_sim_settle(&scene->sim);
    lv_sim_sync(&scene->sim);
    assert_hears(&scene->a, "declare-ok q 0 0");
}

static void hold_declare(struct scene *scene)
{
    lv_sim_declare(&scene->a, "q", "d");
    assert_hears(&scene->a, "");
    lv_sim_sync(&scene->sim);
    assert_hears(&scene->a, "declare-ok q 0 0");
}

static void a_durable_queue_is_declared_when_it_is_on_disk(void **state)
{
    (void)state;
    on_each(hold_declare);
}

static void hold_others(struct scene *scene)
{
    lv_sim_declare(&scene->a, "q", "d");
    lv_sim_settle(&scene->sim);
    lv_sim_declare(&scene->b, "q", "d");
    assert_hears(&scene->b, "");
    lv_sim_sync(&scene->sim);
    assert_hears(&scene->b, "declare-ok q 0 0");
    assert_hears(&scene->a, "declare-ok q 0 0");
}

static void nor_is_it_for_somebody_else_before(void **state)
{
    (void)state;
    on_each(hold_others);
}

static void hold_exchange(struct scene *scene)
{
    lv_sim_exchange(&scene->a, "e", "fanout", "d");
    lv_sim_settle(&scene->sim);
    lv_sim_exchange(&scene->b, "e", "fanout", "d");
    assert_hears(&scene->a, "");
    assert_hears(&scene->b, "");
    lv_sim_sync(&scene->sim);
    assert_hears(&scene->a, "exchange-declare-ok");
    assert_hears(&scene->b, "exchange-declare-ok");
    lv_sim_exchange(&scene->b, "e", "fanout", "d");
    assert_hears(&scene->b, "exchange-declare-ok");
}

static void the_same_goes_for_exchanges(void **state)
{
    (void)state;
    on_each(hold_exchange);
}

/* What the consumer gets would come before it is told that it consumes. */
static void consume_while_declaring(struct scene *scene)
{
    declared(scene);
    lv_sim_publish(&scene->a, "", "q", "one");
    lv_sim_settle(&scene->sim);
    lv_sim_declare(&scene->a, "other", "d"); /* not on disk yet */
    lv_sim_settle(&scene->sim);
    lv_sim_consume(&scene->b, "q", "t", "n");
    assert_hears(&scene->b, "consume-ok t\nt #1 one");
    lv_sim_cancel(&scene->b, "t");
    assert_hears(&scene->b, "cancel-ok t");
    assert_hears(&scene->a, "");
}

static void consuming_waits_for_no_disk(void **state)
{
    (void)state;
    on_each(consume_while_declaring);
}

static void hold_confirm(struct scene *scene)
{
    declared(scene);
    lv_channel_confirm_select(lv_sim_channel(&scene->b, 1)->core);
    lv_sim_publish(&scene->b, "", "q", "transient");
    assert_hears(&scene->b, "confirm 1");
    publish_persistent(&scene->b, "q");
    publish_persistent(&scene->b, "q");
    assert_hears(&scene->b, "");
    lv_sim_sync(&scene->sim);
    assert_hears(&scene->b, "confirm ..3");
}

static void a_persistent_message_is_confirmed_when_it_is_on_disk(void **state)
{
    (void)state;
    on_each(hold_confirm);
}

/* Its queue would be gone after a crash, and the message with it. */
static void hold_confirm_for_queue(struct scene *scene)
{
    lv_sim_declare(&scene->a, "q", "d");
    lv_sim_settle(&scene->sim);
    lv_channel_confirm_select(lv_sim_channel(&scene->b, 1)->core);
    publish_persistent(&scene->b, "q");
    lv_sim_settle(&scene->sim);
    for (uint32_t i = 1; i < scene->sim.shard_count; i++) {
        struct lv_log *log = scene->sim.shards[i].log;
        struct lv_log_write write;
        lv_log_seal(log);
        while (lv_log_next_write(log, &write))
            lv_log_synced(log, write.lsn + write.size);
        lv_broker_synced(scene->sim.shards[i].broker, 0);
    }
    assert_hears(&scene->b, "");
    lv_sim_sync(&scene->sim);
    assert_hears(&scene->b, "confirm 1");
    assert_hears(&scene->a, "declare-ok q 1 0");
}

static void a_message_is_confirmed_when_its_queue_is_on_disk_too(void **state)
{
    (void)state;
    on_each(hold_confirm_for_queue);
}

static void confirm_unkept(struct scene *scene)
{
    declared(scene);
    lv_sim_declare(&scene->a, "transient", "");
    assert_hears(&scene->a, "declare-ok transient 0 0");
    lv_channel_confirm_select(lv_sim_channel(&scene->a, 1)->core);
    lv_channel_confirm_select(lv_sim_channel(&scene->b, 1)->core);
    publish_persistent(&scene->a, "transient");
    assert_hears(&scene->a, "confirm 1");
    publish_persistent(&scene->b, "transient");
    assert_hears(&scene->b, "confirm 1");
}

static void what_no_queue_keeps_is_confirmed_at_once(void **state)
{
    (void)state;
    on_each(confirm_unkept);
}

static void refuse(struct scene *scene)
{
    declared(scene);
    lv_channel_confirm_select(lv_sim_channel(&scene->b, 1)->core);
    lv_sim_publish(&scene->b, "", "q", "transient");
    assert_hears(&scene->b, "confirm 1");
    publish_persistent(&scene->b, "q");
    lv_sim_publish(&scene->b, "", "q", "transient");
    publish_persistent(&scene->b, "q");
    lv_sim_settle(&scene->sim);
    for (uint32_t i = 0; i < scene->sim.shard_count; i++)
        lv_broker_log_failed(scene->sim.shards[i].broker);
    assert_hears(&scene->b, "refused ..4");
    publish_persistent(&scene->b, "q");
    lv_sim_publish(&scene->b, "", "q", "transient");
    lv_sim_sync(&scene->sim); /* of another shard, or what was written before */
    assert_hears(&scene->b, "");
    lv_broker_log_failed(scene->sim.shards[scene->b.shard].broker);
    assert_hears(&scene->b, ""); /* once */
}

static void what_is_not_confirmed_is_refused_when_the_log_fails(void **state)
{
    (void)state;
    on_each(refuse);
}

static void refuse_last(struct scene *scene)
{
    declared(scene);
    lv_channel_confirm_select(lv_sim_channel(&scene->a, 1)->core);
    lv_channel_confirm_select(lv_sim_channel(&scene->b, 1)->core);
    lv_sim_channel_open(&scene->a, 2); /* has not asked for confirms */
    publish_persistent(&scene->a, "q");
    lv_sim_settle(&scene->sim);
    lv_sim_sync(&scene->sim); /* due, and not said yet */
    publish_persistent(&scene->a, "q");
    lv_broker_log_failed(scene->sim.shards[0].broker);
    if (scene->sim.shard_count == 1)
        assert_hears(&scene->a, "confirm 1\nrefused 2");
    assert_hears(&scene->b, "");
}

static void what_is_due_is_confirmed_even_then(void **state)
{
    (void)state;
    on_each(refuse_last);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_durable_queue_is_declared_when_it_is_on_disk),
        cmocka_unit_test(nor_is_it_for_somebody_else_before),
        cmocka_unit_test(the_same_goes_for_exchanges),
        cmocka_unit_test(consuming_waits_for_no_disk),
        cmocka_unit_test(a_persistent_message_is_confirmed_when_it_is_on_disk),
        cmocka_unit_test(a_message_is_confirmed_when_its_queue_is_on_disk_too),
        cmocka_unit_test(what_no_queue_keeps_is_confirmed_at_once),
        cmocka_unit_test(what_is_not_confirmed_is_refused_when_the_log_fails),
        cmocka_unit_test(what_is_due_is_confirmed_even_then),
    };
    return cmocka_run_group_tests_name("broker promises", tests, NULL, NULL);
}
