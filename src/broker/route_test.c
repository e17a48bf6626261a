#include "base/alloc.h"
#include "broker/core.h"
#include "broker/harness.h"
#include "broker/route.h"

static struct lv_sim sim;
static struct lv_sim_client client;

static void begin(uint32_t shard_count)
{
    lv_sim_init(&sim, shard_count, 0);
    lv_sim_client_open(&client, &sim, 0);
}

static void end(void)
{
    lv_sim_client_fini(&client);
    lv_sim_fini(&sim);
}

static int find(const char *exchange, const char *key, struct lv_targets *ret_targets)
{
    struct lv_broker *broker = sim.shards[0].broker;
    struct lv_message message = {.exchange = lv_text(exchange), .key = lv_text(key)};

    return lv_route(broker, lv_topology_vhost(&broker->topology, lv_text("/")), &message, NULL,
                    ret_targets);
}

/* The names of the queues, in order of the route, as one text. */
static const char *route(const char *exchange, const char *key)
{
    static char text[4096];
    struct lv_targets targets;
    size_t used = 0;

    text[0] = '\0';
    lv_sim_settle(&sim);
    assert_int_equal(find(exchange, key, &targets), 0);
    for (uint32_t i = 0; i < targets.count; i++) {
        const struct lv_queue_entry *entry = targets.entries[i];
        assert_int_equal(entry->home == 0, i < targets.local_count);
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%.*s", i > 0 ? " " : "",
                                 LV_FMT(lv_entry_name(entry)));
    }
    return text;
}

/* Found by search the first time and in the cache the second time. */
#define assert_route(exchange, key, names)                                                         \
    do {                                                                                           \
        assert_string_equal(route(exchange, key), names);                                          \
        assert_string_equal(route(exchange, key), names);                                          \
    } while (0)

static void a_kept_route_ends_with_any_change(void **state)
{
    (void)state;
    begin(1);
    assert_route("", "q", "");
    lv_sim_declare(&client, "q", "");
    assert_route("", "q", "q");
    assert_route("amq.direct", "k", "");
    lv_sim_bind(&client, "q", "amq.direct", "k");
    assert_route("amq.direct", "k", "q");
    lv_sim_declare(&client, "p", "");
    lv_sim_bind(&client, "p", "amq.direct", "k");
    assert_route("amq.direct", "k", "q p");
    lv_sim_unbind(&client, "q", "amq.direct", "k");
    assert_route("amq.direct", "k", "p");
    lv_sim_exchange(&client, "x", "direct", "");
    lv_sim_bind(&client, "p", "x", "k");
    assert_route("x", "k", "p");
    lv_sim_exchange_delete(&client, "x", "");
    lv_sim_exchange(&client, "x", "fanout", "");
    assert_route("x", "k", "");
    lv_sim_bind(&client, "q", "x", "");
    lv_sim_bind(&client, "p", "x", "");
    assert_route("x", "k", "q p");
    lv_sim_delete(&client, "q", "");
    assert_route("x", "k", "p");
    lv_sim_delete(&client, "p", "");
    assert_route("x", "k", "");
    assert_route("", "p", "");
    end();
}

static void keys_are_not_mistaken_for_each_other(void **state)
{
    (void)state;
    begin(1);
    lv_sim_declare(&client, "q", "");
    /* The last eight bytes choose the slot; the same ones in another exchange or with another
     * beginning are another route. */
    lv_sim_bind(&client, "q", "amq.direct", "a.12345678");
    assert_route("amq.direct", "a.12345678", "q");
    assert_route("amq.direct", "b.12345678", "");
    assert_route("amq.direct", "a.12345678", "q");
    assert_route("amq.topic", "a.12345678", "");
    end();
}

static void this_shards_queues_come_first(void **state)
{
    (void)state;
    begin(3);
    for (int i = 0; i < 9; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "q%d", i);
        lv_sim_declare(&client, name, i % 2 == 0 ? "" : "x");
        lv_sim_bind(&client, name, "amq.fanout", name);
        lv_sim_bind(&client, name, "amq.fanout", "twice");
    }
    lv_sim_settle(&sim);
    const char *text = route("amq.fanout", "k"); /* which asserts it */
    assert_int_equal(strlen(text), 9 * 3 - 1);   /* and each once */
    assert_string_equal(route("amq.fanout", "k"), text);
    end();
}

static void long_names_and_wide_routes_are_found_anew(void **state)
{
    static char key[256];
    char name[16];
    struct lv_broker *broker;
    struct lv_targets targets;

    (void)state;
    begin(1);
    broker = sim.shards[0].broker;
    memset(key, 'k', 255);
    lv_sim_declare(&client, "q", "");
    lv_sim_bind(&client, "q", "amq.direct", key);
    assert_route("amq.direct", key, "q");
    for (int i = 0; i < 300; i++) {
        (void)snprintf(name, sizeof name, "%d", i);
        lv_sim_declare(&client, name, "");
        lv_sim_bind(&client, name, "amq.fanout", "");
    }
    lv_sim_settle(&sim);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(find("amq.fanout", "k", &targets), 0);
        assert_int_equal(targets.count, 300);
        assert_ptr_equal(targets.entries, broker->router.entries); /* not from a slot */
    }
    end();
}

static void a_route_without_memory_is_an_error_or_just_not_kept(void **state)
{
    struct lv_targets targets;
    char name[16];
    int refused = 0;

    (void)state;
    begin(1);
    for (int i = 0; i < 20; i++) {
        (void)snprintf(name, sizeof name, "%d", i);
        lv_sim_declare(&client, name, "");
        lv_sim_bind(&client, name, "amq.fanout", "");
        lv_sim_settle(&sim);
        lv_alloc_fail_after(1, 1);
        int rc = find("amq.fanout", "k", &targets);
        lv_alloc_fail_after(0, 0);
        if (rc == 0)
            assert_int_equal(targets.count, i + 1);
        else
            assert_int_equal(rc, -LV_E_NOMEM);
        refused += rc < 0;
        assert_int_equal(find("amq.fanout", "k", &targets), 0);
        assert_int_equal(targets.count, i + 1);
    }
    assert_in_range(refused, 1, 3);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kept_route_ends_with_any_change),
        cmocka_unit_test(keys_are_not_mistaken_for_each_other),
        cmocka_unit_test(this_shards_queues_come_first),
        cmocka_unit_test(long_names_and_wide_routes_are_found_anew),
        cmocka_unit_test(a_route_without_memory_is_an_error_or_just_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
