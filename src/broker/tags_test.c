#include "base/alloc.h"
#include "base/err.h"
#include "broker/harness.h"
#include "broker/tags.h"

struct thing {
    uint64_t number; /* 0: not in use */
    uint64_t twice;
    uint64_t more;
};

#define SIZE sizeof(struct thing)

static uint64_t account;

static uint64_t push(struct lv_tags *tags)
{
    uint64_t tag = tags->next;
    struct thing *thing = lv_tags_push(tags, SIZE);

    assert_non_null(thing);
    *thing = (struct thing){.number = tag, .twice = 2 * tag};
    return tag;
}

static void drop(struct lv_tags *tags, uint64_t tag)
{
    struct thing *thing = lv_tags_find(tags, SIZE, tag);

    assert_non_null(thing);
    assert_int_equal(thing->number, tag);
    assert_int_equal(thing->twice, 2 * tag);
    lv_tags_drop(tags, SIZE, tag, thing);
    assert_null(lv_tags_find(tags, SIZE, tag));
}

static void tags_begin_at_one_and_go_up(void **state)
{
    struct lv_tags tags;

    (void)state;
    lv_tags_init(&tags, &account);
    assert_null(lv_tags_find(&tags, SIZE, 0));
    assert_null(lv_tags_find(&tags, SIZE, 1));
    for (uint64_t tag = 1; tag < 100; tag++)
        assert_int_equal(push(&tags), tag);
    assert_null(lv_tags_find(&tags, SIZE, 0));
    assert_null(lv_tags_find(&tags, SIZE, 100));
    for (uint64_t tag = 99; tag > 0; tag--)
        drop(&tags, tag);
    assert_int_equal(push(&tags), 100);
    lv_tags_fini(&tags, SIZE);
    assert_int_equal(account, 0);
}

static void a_skipped_tag_is_not_in_use(void **state)
{
    struct lv_tags tags;

    (void)state;
    lv_tags_init(&tags, &account);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(lv_tags_skip(&tags, SIZE), 0);
    assert_int_equal(account, 0); /* nothing to remember */
    assert_int_equal(push(&tags), 1001);
    assert_int_equal(lv_tags_skip(&tags, SIZE), 0);
    assert_int_equal(push(&tags), 1003);
    assert_null(lv_tags_find(&tags, SIZE, 1002));
    drop(&tags, 1001);
    assert_null(lv_tags_find(&tags, SIZE, 1002));
    drop(&tags, 1003);
    lv_tags_fini(&tags, SIZE);
}

static void a_few_old_ones_do_not_cost_what_passed_them_by(void **state)
{
    struct lv_tags tags;

    (void)state;
    lv_tags_init(&tags, &account);
    for (int i = 0; i < 5; i++)
        push(&tags);
    for (int i = 0; i < 100000; i++)
        drop(&tags, push(&tags));
    assert_in_range(account, 0, 4096);
    for (uint64_t tag = 1; tag <= 5; tag++)
        drop(&tags, tag);
    assert_int_equal(tags.old_capacity, 0); /* and their memory is back */
    lv_tags_fini(&tags, SIZE);
    assert_int_equal(account, 0);
}

/* Against an array with one place for every tag. */
static void any_order_of_settling_is_like_an_array(void **state)
{
    enum { TAGS = 3000 };
    static bool used[TAGS + 1];
    struct lv_random random;

    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct lv_tags tags;
        uint64_t live = 0, lowest = 1;
        lv_tags_init(&tags, &account);
        lv_random_seed(&random, seed);
        memset(used, 0, sizeof used);
        while (tags.next <= TAGS) {
            uint64_t what = lv_random_below(&random, 20);
            uint64_t tag = 1 + lv_random_below(&random, tags.next);
            if (what < 9) {
                used[push(&tags)] = true;
                live++;
            } else if (what == 9) {
                assert_int_equal(lv_tags_skip(&tags, SIZE), 0);
            } else if (what < 19) {
                /* mostly the latest, so that old ones stay behind */
                if (what < 17 && tags.next > 4)
                    tag = tags.next - 1 - lv_random_below(&random, 3);
                struct thing *thing = lv_tags_find(&tags, SIZE, tag);
                assert_int_equal(thing != NULL, tag < tags.next && used[tag]);
                if (thing != NULL) {
                    drop(&tags, tag);
                    used[tag] = false;
                    live--;
                }
            } else {
                uint64_t at = tag, expected = tag;
                while (expected < tags.next && !used[expected])
                    expected++;
                struct thing *thing = lv_tags_seek(&tags, SIZE, &at);
                assert_int_equal(thing != NULL, expected < tags.next);
                if (thing != NULL) {
                    assert_int_equal(at, expected);
                    assert_int_equal(thing->number, expected);
                }
            }
            assert_in_range(account, 0, 64 * (live + 64) * SIZE);
        }
        for (; lowest < tags.next; lowest++)
            if (used[lowest])
                drop(&tags, lowest);
        lv_tags_fini(&tags, SIZE);
        assert_int_equal(account, 0);
    }
}

static void what_is_put_in_front_is_found(void **state)
{
    struct lv_tags tags;
    uint64_t tag = 0;

    (void)state;
    lv_tags_init(&tags, &account);
    for (uint64_t i = 1; i <= 20; i++) {
        struct thing thing = {.number = 3 * i, .twice = 6 * i};
        assert_int_equal(lv_tags_put(&tags, SIZE, 3 * i, &thing), 0);
    }
    assert_int_equal(push(&tags), 61);
    for (uint64_t i = 1; i <= 20; i++) {
        assert_non_null(lv_tags_seek(&tags, SIZE, &tag));
        assert_int_equal(tag, 3 * i);
        assert_null(lv_tags_find(&tags, SIZE, tag - 1));
        drop(&tags, tag);
    }
    drop(&tags, 61);
    assert_null(lv_tags_seek(&tags, SIZE, &tag));
    lv_tags_fini(&tags, SIZE);
}

static void without_memory_nothing_changes(void **state)
{
    struct lv_tags tags;

    (void)state;
    lv_tags_init(&tags, &account);
    for (uint64_t tag = 1; tag < 500; tag++) {
        lv_alloc_fail_after(1, 1);
        struct thing *thing = lv_tags_push(&tags, SIZE);
        lv_alloc_fail_after(0, 0);
        assert_int_equal(tags.next, thing == NULL ? tag : tag + 1);
        if (thing != NULL)
            *thing = (struct thing){.number = tag, .twice = 2 * tag};
        else
            assert_int_equal(push(&tags), tag);
        if (tag % 40 != 0)
            drop(&tags, tag);
    }
    for (uint64_t tag = 40; tag < 500; tag += 40)
        drop(&tags, tag);
    lv_tags_fini(&tags, SIZE);
    assert_int_equal(account, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags_begin_at_one_and_go_up),
        cmocka_unit_test(a_skipped_tag_is_not_in_use),
        cmocka_unit_test(a_few_old_ones_do_not_cost_what_passed_them_by),
        cmocka_unit_test(any_order_of_settling_is_like_an_array),
        cmocka_unit_test(what_is_put_in_front_is_found),
        cmocka_unit_test(without_memory_nothing_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
