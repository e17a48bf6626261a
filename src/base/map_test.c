#include "base/map.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static const struct lv_hash_key key = {.k0 = 0x0706050403020100, .k1 = 0x0f0e0d0c0b0a0908};

static int let_all_succeed(void **state)
{
    (void)state;
    lv_alloc_fail_after(0, 0);
    return 0;
}

/* A plain SipHash-c-d as its paper describes it, a byte at a time, to compare with. With 2 and 4
 * rounds it is checked against the paper's own vector; the map uses 1 and 3. */
static void plain_rounds(uint64_t v[4], int rounds)
{
#define ROTATE(x, b) (x) = ((x) << (b)) | ((x) >> (64 - (b)))
    while (rounds-- > 0) {
        v[0] += v[1], ROTATE(v[1], 13), v[1] ^= v[0], ROTATE(v[0], 32);
        v[2] += v[3], ROTATE(v[3], 16), v[3] ^= v[2];
        v[0] += v[3], ROTATE(v[3], 21), v[3] ^= v[0];
        v[2] += v[1], ROTATE(v[1], 17), v[1] ^= v[2], ROTATE(v[2], 32);
    }
#undef ROTATE
}

static uint64_t plain_siphash(const uint8_t *data, size_t size, int c, int d)
{
    uint64_t v[4] = {key.k0 ^ 0x736f6d6570736575, key.k1 ^ 0x646f72616e646f6d,
                     key.k0 ^ 0x6c7967656e657261, key.k1 ^ 0x7465646279746573};

    for (size_t block = 0; block <= size / 8; block++) {
        uint64_t word = block == size / 8 ? (uint64_t)size << 56 : 0;
        for (size_t i = 0; i < 8 && block * 8 + i < size; i++)
            word |= (uint64_t)data[block * 8 + i] << (8 * i);
        v[3] ^= word;
        plain_rounds(v, c);
        v[0] ^= word;
    }
    v[2] ^= 0xff;
    plain_rounds(v, d);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static void siphash_is_siphash_1_3(void **state)
{
    uint8_t data[64];

    (void)state;
    for (uint8_t i = 0; i < sizeof data; i++)
        data[i] = i;
    assert_true(plain_siphash(data, 15, 2, 4) == 0xa129ca6149be45e5);
    for (size_t size = 0; size <= sizeof data; size++)
        assert_true(lv_siphash(&key, lv_bytes(data, size)) == plain_siphash(data, size, 1, 3));
}

static void another_key_gives_another_hash(void **state)
{
    struct lv_hash_key other = {.k0 = key.k0, .k1 = key.k1 + 1};

    (void)state;
    assert_true(lv_siphash(&key, lv_text("queue")) != lv_siphash(&other, lv_text("queue")));
}

static void an_empty_map_owns_no_memory(void **state)
{
    struct lv_map map;
    int value;

    (void)state;
    lv_map_init(&map, &key);
    assert_null(map.entries);
    assert_null(lv_map_get(&map, lv_text("a")));
    assert_null(lv_map_remove(&map, lv_text("a")));
    assert_int_equal(lv_map_put(&map, lv_text("a"), &value), 0);
    assert_true(map.capacity <= 4); /* most maps are tiny */
    assert_ptr_equal(lv_map_remove(&map, lv_text("a")), &value);
    assert_null(map.entries);
    lv_map_fini(&map);
}

static void keys_are_bytes_of_any_kind(void **state)
{
    struct lv_map map;
    int values[4];

    (void)state;
    lv_map_init(&map, &key);
    assert_int_equal(lv_map_put(&map, lv_bytes(NULL, 0), &values[0]), 0);
    assert_int_equal(lv_map_put(&map, lv_bytes("\0", 1), &values[1]), 0);
    assert_int_equal(lv_map_put(&map, lv_bytes("\0\0", 2), &values[2]), 0);
    assert_int_equal(lv_map_put(&map, lv_text("ä"), &values[3]), 0);
    assert_ptr_equal(lv_map_get(&map, lv_text("")), &values[0]);
    assert_ptr_equal(lv_map_get(&map, lv_bytes("\0", 1)), &values[1]);
    assert_ptr_equal(lv_map_get(&map, lv_bytes("\0\0", 2)), &values[2]);
    assert_ptr_equal(lv_map_get(&map, lv_text("ä")), &values[3]);
    assert_null(lv_map_get(&map, lv_bytes("\0\0\0", 3)));
    assert_null(lv_map_remove(&map, lv_bytes("\0\0\0", 3)));
    assert_int_equal(map.count, 4);
    lv_map_fini(&map);
}

static void out_of_memory_changes_nothing(void **state)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    struct lv_map map;
    int value;

    (void)state;
    lv_map_init(&map, &key);
    lv_alloc_fail_after(1, 1);
    assert_int_equal(lv_map_put(&map, lv_text("a"), &value), -LV_E_NOMEM);
    assert_null(lv_map_get(&map, lv_text("a")));
    lv_alloc_fail_after(0, 0);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(lv_map_put(&map, lv_text(names[i]), &value), 0);
    lv_alloc_fail_after(1, 1);
    assert_int_equal(lv_map_put(&map, lv_text(names[3]), &value), -LV_E_NOMEM);
    assert_int_equal(map.count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_ptr_equal(lv_map_get(&map, lv_text(names[i])), &value);
    assert_null(lv_map_get(&map, lv_text(names[3])));
    lv_map_fini(&map);
}

struct item {
    char name[16];
    bool in;
    uint32_t seen;
};

#define ITEM_COUNT 2000u

static struct lv_bytes name_of(const struct item *item)
{
    return lv_text(item->name);
}

/* All that is in the map is given by a walk, once; nothing else is. */
static void check_walk(const struct lv_map *map, struct item *items)
{
    uint32_t cursor = 0;
    uint32_t count = 0;
    struct item *item;

    for (uint32_t i = 0; i < ITEM_COUNT; i++)
        items[i].seen = 0;
    for (; (item = lv_map_next(map, &cursor)) != NULL; count++) {
        assert_true(item->in);
        assert_int_equal(item->seen++, 0);
    }
    assert_int_equal(count, map->count);
}

static void check_all(const struct lv_map *map, struct item *items)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < ITEM_COUNT; i++) {
        assert_ptr_equal(lv_map_get(map, name_of(&items[i])), items[i].in ? &items[i] : NULL);
        count += items[i].in;
    }
    assert_int_equal(map->count, count);
    check_walk(map, items);
}

static void it_holds_what_was_put_and_not_removed(void **state)
{
    static struct item items[ITEM_COUNT];
    struct lv_random random;
    struct lv_map map;

    (void)state;
    lv_random_seed(&random, 4711);
    lv_map_init(&map, &key);
    for (uint32_t i = 0; i < ITEM_COUNT; i++)
        (void)snprintf(items[i].name, sizeof items[i].name, "queue-%u", i);
    for (uint32_t step = 0; step < 100000; step++) {
        /* Rising and falling, so that the table is now full, now nearly empty. */
        uint32_t among = 1 + step % 20000 * ITEM_COUNT / 20000;
        struct item *item = &items[lv_random_below(&random, among)];
        if (item->in)
            assert_ptr_equal(lv_map_remove(&map, name_of(item)), item);
        else
            assert_int_equal(lv_map_put(&map, name_of(item), item), 0);
        item->in = !item->in;
        assert_ptr_equal(lv_map_get(&map, name_of(item)), item->in ? item : NULL);
        if (step % 5000 == 0)
            check_all(&map, items);
    }
    check_all(&map, items);
    lv_map_fini(&map);
}

static void everything_can_be_removed_by_walks_that_start_again(void **state)
{
    static struct item items[100];
    struct lv_map map;
    struct item *item;
    uint32_t cursor = 0;

    (void)state;
    lv_map_init(&map, &key);
    for (uint32_t i = 0; i < LV_COUNT(items); i++) {
        (void)snprintf(items[i].name, sizeof items[i].name, "%u", i);
        assert_int_equal(lv_map_put(&map, name_of(&items[i]), &items[i]), 0);
    }
    while ((item = lv_map_next(&map, &cursor)) != NULL) {
        assert_ptr_equal(lv_map_remove(&map, name_of(item)), item);
        cursor = 0;
    }
    assert_int_equal(map.count, 0);
    assert_null(map.entries);
}

struct numbered {
    uint32_t number, visits;
};

static void count_visit(void *ctx, void *value)
{
    struct numbered *one = value;

    one->visits++;
    ++*(unsigned *)ctx;
}

static void put_numbered(struct lv_map *map, struct numbered *one, uint32_t number)
{
    *one = (struct numbered){.number = number};
    assert_int_equal(lv_map_put(map, lv_bytes(&one->number, sizeof one->number), one), 0);
}

/* At random moments of the walk others come and go, so that the map grows and begins anew. */
static void scan_visits_once_what_stays_while_others_come_and_go(void **state)
{
    enum { STAY = 300, COME = 4000 };
    static struct numbered stay[STAY], come[COME];
    struct lv_random random;
    struct lv_map map;

    (void)state;
    lv_random_seed(&random, 11);
    for (int round = 0; round < 40; round++) {
        uint64_t position = 0;
        unsigned visits = 0;
        uint32_t there = 0, stays = (uint32_t)lv_random_below(&random, STAY + 1);

        lv_map_init(&map, &key);
        for (uint32_t i = 0; i < stays; i++)
            put_numbered(&map, &stay[i], i);
        while (lv_map_scan(&map, &position, count_visit, &visits)) {
            uint64_t dice = lv_random_below(&random, 40);

            if (dice == 0)
                for (uint32_t i = 0; i < 200 && there < COME; i++, there++)
                    put_numbered(&map, &come[there], STAY + there);
            else if (dice == 1)
                for (; there > 0; there--)
                    lv_map_remove(&map, lv_bytes(&come[there - 1].number, sizeof(uint32_t)));
        }
        for (uint32_t i = 0; i < stays; i++)
            assert_int_equal(stay[i].visits, 1);
        for (uint32_t i = 0; i < there; i++)
            assert_true(come[i].visits <= 1);
        lv_map_fini(&map);
    }
}

static void scan_of_an_empty_map_is_over_at_once(void **state)
{
    struct lv_map map;
    uint64_t position = 0;
    unsigned visits = 0;

    (void)state;
    lv_map_init(&map, &key);
    assert_false(lv_map_scan(&map, &position, count_visit, &visits));
    assert_int_equal(visits, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(siphash_is_siphash_1_3),
        cmocka_unit_test(another_key_gives_another_hash),
        cmocka_unit_test(an_empty_map_owns_no_memory),
        cmocka_unit_test(keys_are_bytes_of_any_kind),
        cmocka_unit_test_teardown(out_of_memory_changes_nothing, let_all_succeed),
        cmocka_unit_test(it_holds_what_was_put_and_not_removed),
        cmocka_unit_test(scan_visits_once_what_stays_while_others_come_and_go),
        cmocka_unit_test(scan_of_an_empty_map_is_over_at_once),
        cmocka_unit_test(everything_can_be_removed_by_walks_that_start_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
