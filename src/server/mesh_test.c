#include "server/mesh.h"

#include "base/alloc.h"
#include "base/deadline.h"
#include "io/clock.h"
#include "io/thread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The broker's end, as the mesh knows it: counts what comes and whether it comes in order. */
struct lv_broker {
    uint32_t next;
    unsigned disorder;
};

static unsigned freed;

void lv_broker_take(struct lv_broker *broker, struct lv_op *op)
{
    broker->disorder += op->from != broker->next;
    broker->next++;
    lv_free(op);
}

void lv_op_free(struct lv_op *op)
{
    freed++;
    lv_free(op);
}

static struct lv_op *numbered(uint32_t number)
{
    struct lv_op *op = lv_calloc(1, sizeof *op);

    if (op != NULL)
        op->from = number;
    return op;
}

static struct lv_op *sized(uint32_t size)
{
    struct lv_op *op = lv_calloc(1, sizeof *op);

    if (op != NULL)
        op->size = size; /* the mesh only counts it */
    return op;
}

struct world {
    struct lv_mesh *mesh;
    struct lv_reactor *reactors[2];
};

static struct world new_world(void)
{
    struct world world = {.mesh = lv_mesh_new(2)};

    for (uint32_t i = 0; i < 2; i++) {
        world.reactors[i] = lv_reactor_new();
        lv_mesh_join(world.mesh, i, world.reactors[i]);
    }
    freed = 0;
    return world;
}

static void free_world(struct world *world)
{
    lv_mesh_free(world->mesh);
    for (unsigned i = 0; i < 2; i++)
        lv_reactor_free(world->reactors[i]);
}

/* Whether the shard's next wait would end at once. */
static bool is_woken(struct world *world, unsigned shard)
{
    uint64_t before = lv_clock_now(), now = before;

    lv_reactor_wait(world->reactors[shard], &now, before + 20 * LV_NS_PER_MS);
    return now < before + 20 * LV_NS_PER_MS;
}

static void operations_are_seen_when_they_are_published(void **state)
{
    struct world world = new_world();
    struct lv_broker broker = {0};

    (void)state;
    lv_mesh_send(world.mesh, 0, 1, numbered(0));
    lv_mesh_send(world.mesh, 0, 1, numbered(1));
    lv_mesh_take(world.mesh, 1, &broker);
    assert_int_equal(broker.next, 0);
    assert_false(lv_mesh_publish(world.mesh, 0));
    lv_mesh_take(world.mesh, 1, &broker);
    assert_int_equal(broker.next, 2);
    assert_int_equal(broker.disorder, 0);
    free_world(&world);
}

static void only_one_who_sleeps_is_woken(void **state)
{
    struct world world = new_world();
    struct lv_broker broker = {0};

    (void)state;
    lv_mesh_send(world.mesh, 0, 1, numbered(0));
    lv_mesh_publish(world.mesh, 0);
    assert_false(is_woken(&world, 1));
    assert_false(lv_mesh_may_sleep(world.mesh, 1)); /* something has come */
    lv_mesh_take(world.mesh, 1, &broker);
    assert_true(lv_mesh_may_sleep(world.mesh, 1));
    lv_mesh_send(world.mesh, 0, 1, numbered(1));
    lv_mesh_publish(world.mesh, 0);
    assert_true(is_woken(&world, 1));
    lv_mesh_awake(world.mesh, 1);
    free_world(&world);
}

static void nothing_new_wakes_nobody(void **state)
{
    struct world world = new_world();

    (void)state;
    assert_true(lv_mesh_may_sleep(world.mesh, 1));
    lv_mesh_publish(world.mesh, 0);
    assert_false(is_woken(&world, 1));
    free_world(&world);
}

static void what_does_not_fit_waits_and_keeps_its_order(void **state)
{
    struct world world = new_world();
    struct lv_broker broker = {0};
    const uint32_t count = 3 * LV_MESH_RING_SIZE + 7;

    (void)state;
    for (uint32_t i = 0; i < count; i++)
        lv_mesh_send(world.mesh, 0, 1, numbered(i));
    while (lv_mesh_publish(world.mesh, 0)) {
        assert_true(broker.next < count);
        lv_mesh_take(world.mesh, 1, &broker);
        assert_true(is_woken(&world, 0)); /* there is room again */
    }
    lv_mesh_take(world.mesh, 1, &broker);
    assert_int_equal(broker.next, count);
    assert_int_equal(broker.disorder, 0);
    free_world(&world);
}

static void many_bytes_congest_like_many_operations(void **state)
{
    struct world world = new_world();
    struct lv_broker broker = {0};

    (void)state;
    lv_mesh_send(world.mesh, 0, 1, sized(LV_MESH_LANE_SIZE));
    assert_false(lv_mesh_publish(world.mesh, 0));
    lv_mesh_send(world.mesh, 0, 1, sized(1));
    assert_true(lv_mesh_publish(world.mesh, 0));
    lv_mesh_take(world.mesh, 1, &broker);
    assert_true(is_woken(&world, 0));
    assert_false(lv_mesh_publish(world.mesh, 0));
    free_world(&world);
}

static void what_is_under_way_at_the_end_is_freed(void **state)
{
    struct world world = new_world();

    (void)state;
    for (uint32_t i = 0; i < LV_MESH_RING_SIZE + 5; i++)
        lv_mesh_send(world.mesh, 1, 0, numbered(i));
    free_world(&world);
    assert_int_equal(freed, LV_MESH_RING_SIZE + 5);
}

#define RACE_COUNT 200000u

static void send_many(void *ctx)
{
    struct world *world = ctx;
    bool congested = false;

    for (uint32_t i = 0; i < RACE_COUNT; i++) {
        lv_mesh_send(world->mesh, 0, 1, numbered(i));
        if (i % 7 == 0)
            congested = lv_mesh_publish(world->mesh, 0);
        while (congested)
            congested = lv_mesh_publish(world->mesh, 0);
    }
    while (lv_mesh_publish(world->mesh, 0))
        ;
}

/* Should a wake get lost, the receiver sleeps for ever and the test with it. */
static void a_receiver_that_sleeps_between_misses_nothing(void **state)
{
    struct world world = new_world();
    struct lv_broker broker = {0};
    struct lv_thread sender;
    uint64_t now = lv_clock_now();

    (void)state;
    assert_int_equal(lv_thread_start(&sender, "sender", send_many, &world), 0);
    while (broker.next < RACE_COUNT) {
        if (lv_mesh_may_sleep(world.mesh, 1))
            lv_reactor_wait(world.reactors[1], &now, LV_NEVER);
        lv_mesh_awake(world.mesh, 1);
        lv_mesh_take(world.mesh, 1, &broker);
    }
    lv_thread_join(&sender);
    assert_int_equal(broker.disorder, 0);
    free_world(&world);
}

static void a_shard_alone_may_always_sleep(void **state)
{
    struct lv_mesh *mesh = lv_mesh_new(1);

    (void)state;
    assert_true(lv_mesh_may_sleep(mesh, 0));
    assert_false(lv_mesh_publish(mesh, 0));
    lv_mesh_free(mesh);
    lv_mesh_free(NULL);
}

static void without_memory_there_is_no_mesh(void **state)
{
    (void)state;
    for (uint64_t after = 1; after <= 6; after++) {
        lv_alloc_fail_after(after, 1);
        assert_null(lv_mesh_new(2));
        lv_alloc_fail_after(0, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_are_seen_when_they_are_published),
        cmocka_unit_test(only_one_who_sleeps_is_woken),
        cmocka_unit_test(nothing_new_wakes_nobody),
        cmocka_unit_test(what_does_not_fit_waits_and_keeps_its_order),
        cmocka_unit_test(many_bytes_congest_like_many_operations),
        cmocka_unit_test(what_is_under_way_at_the_end_is_freed),
        cmocka_unit_test(a_receiver_that_sleeps_between_misses_nothing),
        cmocka_unit_test(a_shard_alone_may_always_sleep),
        cmocka_unit_test(without_memory_there_is_no_mesh),
    };

    return cmocka_run_group_tests_name("mesh", tests, NULL, NULL);
}
