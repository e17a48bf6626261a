#include "cli/bench_route.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Exchange and routing key as in basic.publish. */
static struct lv_bytes key_of(const char *exchange, const char *routing_key)
{
    static uint8_t memory[LV_RELAY_KEY_MAX];
    uint8_t *p = lv_put_bytes(lv_put8(memory, (uint8_t)strlen(exchange)), lv_text(exchange));

    p = lv_put_bytes(lv_put8(p, (uint8_t)strlen(routing_key)), lv_text(routing_key));
    return lv_bytes(memory, (size_t)(p - memory));
}

static uint32_t count(struct lv_relay_table *table, const char *exchange, const char *key)
{
    const struct lv_relay_route *route = lv_relay_find(table, key_of(exchange, key));

    assert_non_null(route);
    return route->target_count;
}

static struct lv_relay_table *with_queues(const char *first, const char *second)
{
    struct lv_relay_table *table = lv_relay_new();

    assert_non_null(table);
    assert_non_null(lv_relay_queue(table, lv_text(first)));
    assert_non_null(lv_relay_queue(table, lv_text(second)));
    return table;
}

static void the_default_exchange_leads_to_the_queue_of_the_name(void **state)
{
    struct lv_relay_table *table = with_queues("one", "two");
    const struct lv_relay_route *route = lv_relay_find(table, key_of("", "two"));

    (void)state;
    assert_int_equal(route->target_count, 1);
    assert_string_equal(route->targets[0]->name, "two");
    assert_int_equal(count(table, "", "three"), 0);
    assert_ptr_equal(lv_relay_queue(table, lv_text("two")), route->targets[0]);
    lv_relay_free(table);
}

static void bindings_lead_by_the_kind_of_exchange(void **state)
{
    struct lv_relay_table *table = with_queues("one", "two");

    (void)state;
    assert_int_equal(lv_relay_exchange(table, lv_text("f"), lv_text("fanout")), 0);
    assert_int_equal(lv_relay_exchange(table, lv_text("t"), lv_text("topic")), 0);
    assert_int_equal(lv_relay_exchange(table, lv_text("d"), lv_text("direct")), 0);
    assert_int_equal(lv_relay_bind(table, lv_text("one"), lv_text("f"), lv_text("")), 0);
    assert_int_equal(lv_relay_bind(table, lv_text("two"), lv_text("f"), lv_text("")), 0);
    assert_int_equal(lv_relay_bind(table, lv_text("one"), lv_text("t"), lv_text("a.*")), 0);
    assert_int_equal(lv_relay_bind(table, lv_text("two"), lv_text("d"), lv_text("a.b")), 0);
    assert_int_equal(lv_relay_bind(table, lv_text("two"), lv_text("d"), lv_text("a.b")), 0);
    assert_int_equal(count(table, "f", "whatever"), 2);
    assert_int_equal(count(table, "t", "a.b"), 1);
    assert_int_equal(count(table, "t", "a.b.c"), 0);
    assert_int_equal(count(table, "d", "a.b"), 1); /* one copy, however many bindings */
    assert_int_equal(count(table, "d", "a"), 0);
    assert_int_equal(count(table, "unknown", "a"), 0);
    lv_relay_free(table);
}

static void a_change_makes_routes_invalid(void **state)
{
    struct lv_relay_table *table = with_queues("one", "two");
    uint64_t version;

    (void)state;
    assert_int_equal(lv_relay_exchange(table, lv_text("f"), lv_text("fanout")), 0);
    assert_int_equal(count(table, "f", ""), 0);
    version = lv_relay_version(table);
    assert_int_equal(lv_relay_bind(table, lv_text("one"), lv_text("f"), lv_text("")), 0);
    assert_true(lv_relay_version(table) != version);
    assert_int_equal(count(table, "f", ""), 1);
    lv_relay_delete_queue(table, lv_text("one"));
    lv_relay_delete_queue(table, lv_text("absent"));
    assert_int_equal(count(table, "f", ""), 0);
    assert_int_equal(count(table, "", "one"), 0);
    assert_int_equal(count(table, "", "two"), 1);
    lv_relay_free(table);
}

static void a_consumer_that_goes_is_forgotten(void **state)
{
    struct lv_relay_table *table = with_queues("one", "two");
    int me, you;

    (void)state;
    lv_relay_queue(table, lv_text("one"))->consumer = &me;
    lv_relay_queue(table, lv_text("two"))->consumer = &you;
    lv_relay_forget(table, &me);
    assert_null(lv_relay_queue(table, lv_text("one"))->consumer);
    assert_ptr_equal(lv_relay_queue(table, lv_text("two"))->consumer, &you);
    lv_relay_free(table);
}

static void lack_of_memory_is_told(void **state)
{
    struct lv_relay_table *table = lv_relay_new();

    (void)state;
    assert_non_null(table);
    lv_alloc_fail_after(1, 1);
    assert_null(lv_relay_queue(table, lv_text("q")));
    assert_null(lv_relay_find(table, key_of("", "q")));
    assert_int_equal(lv_relay_bind(table, lv_text("q"), lv_text("x"), lv_text("")), -LV_E_NOMEM);
    lv_alloc_fail_after(0, 0);
    assert_int_equal(count(table, "", "q"), 0);
    lv_relay_free(table);
    lv_relay_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_exchange_leads_to_the_queue_of_the_name),
        cmocka_unit_test(bindings_lead_by_the_kind_of_exchange),
        cmocka_unit_test(a_change_makes_routes_invalid),
        cmocka_unit_test(a_consumer_that_goes_is_forgotten),
        cmocka_unit_test(lack_of_memory_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
