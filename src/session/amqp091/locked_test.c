#include "session/amqp091/scene.h"

#define LOCKED(queue)                                                                              \
    "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '" queue "' in vhost '/'. "  \
    "It could be originally declared on another connection or the exclusive property value does "  \
    "not match that of the original declaration."

/* A peer that owns the exclusive queue "q", and another that wants it, on `shard`. */
struct pair {
    struct lv_world world;
    struct lv_peer owner, other;
};

static void begin(struct pair *pair, uint32_t shard_count)
{
    lv_world_init(&pair->world, shard_count);
    pair->world.origin = 9;
    lv_peer_init(&pair->owner, &pair->world, shard_count - 1);
    lv_peer_open(&pair->owner);
    lv_peer_init(&pair->other, &pair->world, 0);
    lv_peer_open(&pair->other);
    SAY(&pair->owner, 1, QUEUE_DECLARE, queue_declare, .queue = lv_text("q"), .exclusive = true);
    assert_hears(&pair->owner, "1 queue.declare-ok queue=\"q\" message_count=0 consumer_count=0\n");
}

static void end(struct pair *pair)
{
    lv_peer_fini(&pair->other);
    lv_peer_fini(&pair->owner);
    lv_world_fini(&pair->world);
}

static void want(struct pair *pair)
{
    SAY(&pair->other, 1, QUEUE_DECLARE, queue_declare, .queue = lv_text("q"), .exclusive = true);
    SAY(&pair->other, 1, BASIC_GET, basic_get, .queue = lv_text("q"));
    lv_world_settle(&pair->world);
}

static void the_lock_of_a_living_owner_stands(void **state)
{
    (void)state;
    for (uint32_t shard_count = 1; shard_count <= 3; shard_count += 2) {
        struct pair pair;
        begin(&pair, shard_count);
        want(&pair);
        assert_int_equal(pair.owner.probe_count, 1);
        assert_hears(&pair.other, "1 channel.close reply_code=405 reply_text=\"" LOCKED(
                                      "q") "\" class_id=50 method_id=10\n");
        end(&pair);
    }
}

static void the_lock_of_a_dead_owner_is_freed_before_the_answer(void **state)
{
    (void)state;
    for (uint32_t shard_count = 1; shard_count <= 3; shard_count += 2) {
        struct pair pair;
        begin(&pair, shard_count);
        pair.owner.is_numb = true;
        want(&pair);
        assert_hears(&pair.other, "");
        assert_true(lv_session_is_paused(pair.other.session));
        lv_peer_vanish(&pair.owner);
        assert_hears(&pair.other,
                     "1 queue.declare-ok queue=\"q\" message_count=0 consumer_count=0\n"
                     "1 basic.get-empty\n");
        end(&pair);
    }
}

/* What is said meanwhile waits; other connections don't. */
static void waiting_keeps_the_order(void **state)
{
    (void)state;
    struct pair pair;

    begin(&pair, 3);
    pair.owner.is_numb = true;
    want(&pair);
    SAY_PLAIN(&pair.other, 2, CHANNEL_OPEN);
    assert_hears(&pair.other, "");
    SAY(&pair.owner, 1, QUEUE_DELETE, queue_delete, .queue = lv_text("q"));
    assert_hears(&pair.owner, "1 queue.delete-ok message_count=0\n");
    lv_session_alive(pair.owner.session);
    assert_hears(&pair.other, "1 queue.declare-ok queue=\"q\" message_count=0 consumer_count=0\n"
                              "1 basic.get-empty\n2 channel.open-ok\n");
    end(&pair);
}

static void each_method_about_a_queue_looks_at_its_owner(void **state)
{
    (void)state;
    struct lv_amqp091_method methods[] = {
        {.id = LV_AMQP091_QUEUE_BIND},    {.id = LV_AMQP091_QUEUE_UNBIND},
        {.id = LV_AMQP091_QUEUE_PURGE},   {.id = LV_AMQP091_QUEUE_DELETE},
        {.id = LV_AMQP091_BASIC_CONSUME}, {.id = LV_AMQP091_BASIC_GET},
        {.id = LV_AMQP091_QUEUE_DECLARE},
    };

    methods[0].queue_bind.queue = lv_text("q\n");
    methods[0].queue_bind.exchange = lv_text("amq.fanout");
    methods[1].queue_unbind.queue = lv_text("\rq");
    methods[1].queue_unbind.exchange = lv_text("amq.fanout");
    methods[2].queue_purge.queue = lv_text("q");
    methods[3].queue_delete.queue = lv_text("q");
    methods[4].basic_consume.queue = lv_text("q");
    methods[5].basic_get.queue = lv_text("q");
    methods[6].queue_declare.queue = lv_text("q");
    methods[6].queue_declare.passive = true;
    for (size_t i = 0; i < LV_COUNT(methods); i++) {
        struct pair pair;
        begin(&pair, 1);
        lv_peer_say_method(&pair.other, 1, &methods[i]);
        lv_world_settle(&pair.world);
        assert_int_equal(pair.owner.probe_count, 1);
        assert_starts_with(lv_peer_trace(&pair.other), "1 channel.close reply_code=405");
        end(&pair);
    }
}

static void an_owner_is_not_asked_about_itself(void **state)
{
    (void)state;
    struct pair pair;

    begin(&pair, 1);
    SAY(&pair.owner, 1, QUEUE_DECLARE, queue_declare, .queue = lv_text("q"));
    assert_hears(&pair.owner, "1 channel.close reply_code=405 reply_text=\"" LOCKED(
                                  "q") "\" class_id=50 method_id=10\n");
    assert_int_equal(pair.owner.probe_count, 0);
    end(&pair);
}

static void whoever_waits_may_leave(void **state)
{
    (void)state;
    for (uint32_t shard_count = 1; shard_count <= 3; shard_count += 2) {
        struct pair pair;
        begin(&pair, shard_count);
        pair.owner.is_numb = true;
        want(&pair);
        lv_peer_vanish(&pair.other);
        lv_world_settle(&pair.world);
        lv_session_alive(pair.owner.session);
        assert_hears(&pair.other, "closed\n");
        end(&pair);
    }
}

static void a_prod_is_a_heartbeat(void **state)
{
    (void)state;
    struct pair pair;

    begin(&pair, 1);
    lv_session_prod(pair.owner.session);
    assert_hears(&pair.owner, "0 heartbeat\n");
    end(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_lock_of_a_living_owner_stands),
        cmocka_unit_test(the_lock_of_a_dead_owner_is_freed_before_the_answer),
        cmocka_unit_test(waiting_keeps_the_order),
        cmocka_unit_test(each_method_about_a_queue_looks_at_its_owner),
        cmocka_unit_test(an_owner_is_not_asked_about_itself),
        cmocka_unit_test(whoever_waits_may_leave),
        cmocka_unit_test(a_prod_is_a_heartbeat),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
