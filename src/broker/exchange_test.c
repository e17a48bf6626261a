#include "base/alloc.h"
#include "broker/core.h"
#include "broker/exchange.h"
#include "broker/harness.h"

enum { MANY = 3000 };

struct scene {
    struct lv_sim sim;
    struct lv_broker *broker;
    struct lv_vhost *vhost;
    struct lv_exchange *exchange;
    struct lv_queue_entry *entries[MANY]; /* not in the directory: only bound */
};

static struct scene scene;

static void begin(enum lv_exchange_type type)
{
    lv_sim_init(&scene.sim, 1, 0);
    scene.broker = scene.sim.shards[0].broker;
    scene.vhost = lv_topology_vhost(&scene.broker->topology, lv_text("/"));
    scene.exchange = lv_exchange_new(scene.broker, scene.vhost, lv_text("x"), type);
    assert_non_null(scene.exchange);
    for (int i = 0; i < MANY; i++) {
        scene.entries[i] = lv_calloc(1, sizeof(struct lv_queue_entry));
        assert_non_null(scene.entries[i]);
        lv_list_init(&scene.entries[i]->target.incoming);
    }
}

static void end(void)
{
    lv_exchange_free(scene.exchange);
    for (int i = 0; i < MANY; i++) {
        assert_true(lv_list_is_empty(&scene.entries[i]->target.incoming));
        lv_free(scene.entries[i]);
    }
    lv_sim_fini(&scene.sim);
}

static struct lv_binding *find(int queue, const char *key)
{
    return lv_exchange_find(scene.exchange, &scene.entries[queue]->target, lv_text(key), NULL);
}

static void bind(int queue, const char *key)
{
    assert_null(find(queue, key));
    assert_int_equal(
        lv_exchange_bind(scene.exchange, &scene.entries[queue]->target, lv_text(key), NULL, NULL),
        0);
    assert_non_null(find(queue, key));
}

static void unbind(int queue, const char *key)
{
    struct lv_binding *binding = find(queue, key);

    assert_non_null(binding);
    lv_binding_free(binding);
    assert_null(find(queue, key));
}

/* How many bindings have the key. */
static uint32_t count(const char *key)
{
    struct lv_binding_key *bound = lv_exchange_key(scene.exchange, lv_text(key));
    uint32_t found = 0;

    if (bound == NULL)
        return 0;
    LV_LIST_EACH(&bound->bindings, link)
    found++;
    assert_int_equal(found, bound->count);
    return found;
}

static void a_binding_is_found_by_queue_and_key(void **state)
{
    (void)state;
    begin(LV_EXCHANGE_DIRECT);
    bind(0, "a");
    bind(0, "b");
    bind(1, "a");
    assert_null(find(1, "b"));
    assert_null(find(0, ""));
    assert_int_equal(count("a"), 2);
    unbind(0, "a");
    assert_non_null(find(1, "a"));
    unbind(1, "a");
    assert_null(lv_exchange_key(scene.exchange, lv_text("a"))); /* the key goes with its last */
    unbind(0, "b");
    assert_true(lv_list_is_empty(&scene.exchange->bindings));
    end();
}

static void many_bindings_of_a_key_are_found_and_removed_in_any_order(void **state)
{
    (void)state;
    begin(LV_EXCHANGE_DIRECT);
    for (int i = 0; i < MANY; i++)
        bind(i, "k");
    assert_int_equal(count("k"), MANY);
    for (int i = 0; i < MANY; i += 3)
        unbind(i, "k");
    for (int i = MANY - 1; i >= 0; i--)
        if (i % 3 != 0)
            unbind(i, "k");
    assert_int_equal(count("k"), 0);
    for (int i = 0; i < 20; i++)
        bind(i, "k");
    end(); /* which frees the rest */
}

static void arguments_tell_bindings_apart(void **state)
{
    struct lv_sim_table memory;
    const struct lv_table *arguments = NULL;

    (void)state;
    begin(LV_EXCHANGE_FANOUT);
    bind(0, "k");
    for (int i = 0; i < MANY; i++) {
        arguments = lv_sim_table(&memory, "n", lv_sim_integer(LV_TYPE_I32, i));
        assert_null(
            lv_exchange_find(scene.exchange, &scene.entries[0]->target, lv_text("k"), arguments));
        assert_int_equal(lv_exchange_bind(scene.exchange, &scene.entries[0]->target, lv_text("k"),
                                          arguments, NULL),
                         0);
    }
    assert_int_equal(count("k"), MANY + 1);
    unbind(0, "k");
    for (int i = 0; i < MANY; i++) {
        arguments = lv_sim_table(&memory, "n", lv_sim_integer(LV_TYPE_I64, i));
        lv_binding_free(
            lv_exchange_find(scene.exchange, &scene.entries[0]->target, lv_text("k"), arguments));
    }
    assert_int_equal(count("k"), 0);
    end();
}

static void a_bind_without_memory_changes_nothing(void **state)
{
    struct lv_sim_table memory;
    const struct lv_table *arguments =
        lv_sim_table(&memory, "name", lv_sim_string("a value of some length"));

    (void)state;
    begin(LV_EXCHANGE_DIRECT);
    for (int i = 0; i < 40; i++) {
        const char *key = i < 20 ? "k" : "l";
        for (uint64_t after = 1;; after++) {
            lv_alloc_fail_after(after, 1);
            int rc = lv_exchange_bind(scene.exchange, &scene.entries[i]->target, lv_text(key),
                                      arguments, NULL);
            lv_alloc_fail_after(0, 0);
            assert_int_equal(count(key), (rc == 0) + i % 20);
            if (rc == 0)
                break;
            assert_int_equal(rc, -LV_E_NOMEM);
            assert_true(after < 20);
        }
    }
    end();
}

static void a_binding_costs_little(void **state)
{
    static char keys[MANY][16];

    (void)state;
    assert_true(sizeof(struct lv_binding) <= 80);
    assert_true(sizeof(struct lv_binding_key) <= 48);
    begin(LV_EXCHANGE_DIRECT);
    /* Each with a key of its own is what costs most: the binding, the key, its place in a map that
     * has just grown. (An entry of a map takes 24 bytes, at most 3 of 8 are in use then.) */
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "%d", i);
        bind(i, keys[i]);
    }
    size_t worst = sizeof(struct lv_binding) + sizeof(struct lv_binding_key) + 24 * 8 / 3;
    assert_in_range(worst, 1, 200);
    assert_true((size_t)scene.exchange->keys.capacity * 24 / MANY <= 24 * 8 / 3);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_binding_is_found_by_queue_and_key),
        cmocka_unit_test(many_bindings_of_a_key_are_found_and_removed_in_any_order),
        cmocka_unit_test(arguments_tell_bindings_apart),
        cmocka_unit_test(a_bind_without_memory_changes_nothing),
        cmocka_unit_test(a_binding_costs_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
