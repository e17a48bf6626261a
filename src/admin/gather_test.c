#include "admin/gather.h"

#include "base/alloc.h"
#include "broker/harness.h"

#include <string.h>

static struct lv_gather gather;
static struct lv_slice slice;

static int forget(void **state)
{
    (void)state;
    lv_alloc_fail_after(0, 0);
    lv_gather_fini(&gather);
    lv_rows_fini(&slice.rows);
    return 0;
}

/* All slices, as the server would take them; returns how many there were. */
static unsigned gather_all(const struct lv_sim *sim)
{
    unsigned slices = 0;
    int rc = 1;

    forget(NULL);
    slice = (struct lv_slice){.shard = 0};
    lv_gather_begin(&gather, &slice);
    while (rc > 0) {
        lv_gather_fill(&slice, sim->shards[0].broker);
        rc = lv_gather_take(&gather, &slice);
        slices++;
    }
    assert_int_equal(rc, 0);
    return slices;
}

/* How many changes of the kind there are; the last one of them. */
static size_t count(enum lv_change_kind kind, const struct lv_change **ret_last)
{
    size_t found = 0;

    for (size_t i = 0; i < gather.list.count; i++) {
        if (gather.list.items[i].change.kind != kind)
            continue;
        *ret_last = &gather.list.items[i].change;
        found++;
    }
    return found;
}

static bool is_text(struct lv_bytes bytes, const char *text)
{
    return lv_bytes_equal(bytes, lv_text(text));
}

static void everything_declared_is_gathered(void **state)
{
    struct lv_sim sim;
    struct lv_sim_client a;
    struct lv_sim_table table;
    const struct lv_change *change = NULL;

    (void)state;
    lv_sim_init(&sim, 3, 0);
    lv_sim_client_open(&a, &sim, 1);
    lv_sim_exchange_args(&a, "x", "topic", "ai",
                         lv_sim_table(&table, "alternate-exchange", lv_sim_string("amq.fanout")));
    for (unsigned i = 0; i < 5; i++) {
        char name[] = {'q', (char)('0' + i), '\0'};

        lv_sim_declare(&a, name, "");
    }
    lv_sim_declare(&a, "mine", "x");
    lv_sim_bind_args(&a, "q1", "x", "a.#", lv_sim_table(&table, "k", lv_sim_string("v")));
    lv_sim_link(&a, "amq.direct", "x", "y", NULL);
    lv_sim_settle(&sim);
    gather_all(&sim);
    assert_int_equal(count(LV_CHANGE_QUEUE_DECLARE, &change), 6);
    assert_int_equal(count(LV_CHANGE_BIND, &change), 2); /* none of the default exchange */
    assert_true(change->to_exchange || is_text(change->name, "q1"));
    assert_int_equal(count(LV_CHANGE_EXCHANGE_DECLARE, &change), 7);
    assert_true(is_text(change->name, "x"));
    assert_true(change->internal && change->auto_delete);
    assert_non_null(lv_table_get(change->arguments, "alternate-exchange"));
    for (size_t i = 0; i < gather.list.count; i++) {
        change = &gather.list.items[i].change;
        if (change->kind == LV_CHANGE_QUEUE_DECLARE)
            assert_int_equal(change->exclusive, is_text(change->name, "mine"));
    }
    lv_sim_client_fini(&a);
    lv_sim_fini(&sim);
}

static void who_may_do_what_is_gathered_with_it(void **state)
{
    struct lv_sim sim;
    const struct lv_change *change = NULL;

    (void)state;
    lv_sim_init(&sim, 2, 0);
    lv_sim_put_vhost(&sim, "v");
    lv_sim_put_user(&sim, "u");
    lv_sim_permit(&sim, "u", "v", (const char *const[]){"^c", "w", "r"});
    lv_sim_settle(&sim);
    gather_all(&sim);
    assert_true(count(LV_CHANGE_VHOST_PUT, &change) >= 1);
    assert_true(count(LV_CHANGE_USER_PUT, &change) >= 1);
    assert_true(count(LV_CHANGE_PERMISSION_PUT, &change) >= 1);
    for (size_t i = 0; i < gather.list.count; i++) {
        change = &gather.list.items[i].change;
        if (change->kind != LV_CHANGE_PERMISSION_PUT || !is_text(change->name, "u"))
            continue;
        assert_true(is_text(change->vhost, "v"));
        assert_true(is_text(lv_table_get(change->arguments, "configure")->bytes, "^c"));
        assert_true(is_text(lv_table_get(change->arguments, "read")->bytes, "r"));
    }
    /* The exchanges that the vhost was born with. */
    assert_true(count(LV_CHANGE_EXCHANGE_DECLARE, &change) >= 6);
    lv_sim_fini(&sim);
}

static void many_objects_come_in_many_slices(void **state)
{
    struct lv_sim sim;
    struct lv_sim_client a;
    const struct lv_change *change = NULL;

    (void)state;
    lv_sim_init(&sim, 1, 0);
    lv_sim_client_open(&a, &sim, 0);
    for (unsigned i = 0; i < 2500; i++) {
        char name[16];

        snprintf(name, sizeof name, "q%u", i);
        lv_sim_declare(&a, name, "");
    }
    lv_sim_settle(&sim);
    assert_true(gather_all(&sim) > 9 + 2);
    assert_int_equal(count(LV_CHANGE_QUEUE_DECLARE, &change), 2500);
    lv_sim_client_fini(&a);
    lv_sim_fini(&sim);
}

static void lack_of_memory_is_told(void **state)
{
    struct lv_sim sim;
    struct lv_sim_client a;
    int rc = -LV_E_NOMEM;

    (void)state;
    lv_sim_init(&sim, 1, 0);
    lv_sim_client_open(&a, &sim, 0);
    lv_sim_declare(&a, "q", "");
    lv_sim_settle(&sim);
    for (uint64_t n = 1; rc < 0; n++) {
        forget(NULL);
        slice = (struct lv_slice){.shard = 0};
        lv_gather_begin(&gather, &slice);
        lv_alloc_fail_after(n, 1);
        for (rc = 1; rc > 0;) {
            lv_gather_fill(&slice, sim.shards[0].broker);
            rc = lv_gather_take(&gather, &slice);
        }
        lv_alloc_fail_after(0, 0);
        assert_true(rc == 0 || rc == -LV_E_NOMEM);
        assert_true(n < 1000);
    }
    lv_sim_client_fini(&a);
    lv_sim_fini(&sim);
}

#define TEST(name) cmocka_unit_test_teardown(name, forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(everything_declared_is_gathered),
        TEST(who_may_do_what_is_gathered_with_it),
        TEST(many_objects_come_in_many_slices),
        TEST(lack_of_memory_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
