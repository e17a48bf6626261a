#include "broker/change.h"

#include "base/alloc.h"
#include "base/pack.h"
#include "base/testing.h"
#include "broker/core.h"
#include "broker/harness.h"
#include "broker/words.h"

#define SIZE_MAX_OF_TEST 2048u

static const struct lv_table *words(const char *text)
{
    return lv_words_table(&arena, lv_text(text));
}

static struct lv_bytes encoded(const struct lv_change *change)
{
    uint32_t size = lv_change_size(change);
    uint8_t *bytes = lv_arena_alloc(&arena, size + 1);

    assert_non_null(bytes);
    bytes[size] = 0xee;
    lv_change_encode(change, bytes);
    assert_int_equal(bytes[size], 0xee);
    return lv_bytes(bytes, size);
}

/* All but the client, who is not kept. */
static void assert_same(const struct lv_change *a, const struct lv_change *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_true(lv_bytes_equal(a->vhost, b->vhost));
    assert_true(lv_bytes_equal(a->name, b->name));
    assert_true(lv_bytes_equal(a->other, b->other));
    assert_true(lv_bytes_equal(a->key, b->key));
    assert_int_equal(lv_table_packed_size(a->arguments), lv_table_packed_size(b->arguments));
    assert_int_equal(a->queue_id, b->queue_id);
    assert_int_equal(a->home, b->home);
    assert_int_equal(a->durable, b->durable);
    assert_int_equal(a->exclusive, b->exclusive);
    assert_int_equal(a->auto_delete, b->auto_delete);
    assert_int_equal(a->internal, b->internal);
    assert_int_equal(a->if_unused, b->if_unused);
    assert_int_equal(a->to_exchange, b->to_exchange);
}

/* All fields of a change are used. */
static struct lv_change full(void)
{
    return (struct lv_change){
        .kind = LV_CHANGE_QUEUE_DECLARE,
        .vhost = lv_text("/"),
        .name = lv_bytes("q\0\xff", 3),
        .other = lv_text("other"),
        .key = lv_text("a.*.#"),
        .arguments = words("x-max-length=10 x-mode=lazy list=[a;b] none=~"),
        .client = 17,
        .queue_id = UINT64_C(0x1122334455667788),
        .home = 63,
        .durable = true,
        .auto_delete = true,
    };
}

static void every_kind_comes_back_as_it_went_in(void **state)
{
    (void)state;
    for (int kind = LV_CHANGE_EXCHANGE_DECLARE; kind <= LV_CHANGE_LIMITS_DELETE; kind++) {
        struct lv_change change = full();
        struct lv_change back;

        change.kind = (enum lv_change_kind)kind;
        assert_int_equal(lv_change_decode(encoded(&change), &arena, &back), 0);
        assert_same(&change, &back);
        assert_int_equal(back.client, 0);
        assert_int_equal(lv_table_get(back.arguments, "x-max-length")->integer, 10);
        assert_true(lv_bytes_equal(encoded(&back), encoded(&change)));
    }
}

static void every_flag_is_one_of_its_own(void **state)
{
    bool *flags[6];
    struct lv_change change = full();

    (void)state;
    change.durable = change.auto_delete = false;
    flags[0] = &change.durable;
    flags[1] = &change.exclusive;
    flags[2] = &change.auto_delete;
    flags[3] = &change.internal;
    flags[4] = &change.if_unused;
    flags[5] = &change.to_exchange;
    for (unsigned set = 0; set < 1u << LV_COUNT(flags); set++) {
        struct lv_change back;

        for (unsigned i = 0; i < LV_COUNT(flags); i++)
            *flags[i] = set >> i & 1;
        assert_int_equal(lv_change_decode(encoded(&change), &arena, &back), 0);
        assert_same(&change, &back);
    }
}

static void the_bytes_are_those_of_version_1(void **state)
{
    static const uint8_t golden[] = {
        1,
        LV_CHANGE_BIND,
        0x20,
        0, /* version, kind, to an exchange */
        2,
        0,
        0,
        0, /* home */
        7,
        0,
        0,
        0,
        0,
        0,
        0,
        0, /* queue's id */
        9,
        0,
        0,
        0, /* size of the arguments */
        1,
        2,
        1,
        3, /* sizes of vhost, name, other and key */
        '/',
        't',
        'o',
        's',
        'k',
        'e',
        'y', /* themselves */
        1,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        LV_TYPE_VOID, /* one argument without a name */
    };
    struct lv_sim_table memory;
    struct lv_change change = {
        .kind = LV_CHANGE_BIND,
        .vhost = lv_text("/"),
        .name = lv_text("to"),
        .other = lv_text("s"),
        .key = lv_text("key"),
        .home = 2,
        .queue_id = 7,
        .to_exchange = true,
        .arguments = lv_sim_table(&memory, "", (struct lv_value){.type = LV_TYPE_VOID}),
    };

    (void)state;
    assert_int_equal(lv_change_size(&change), sizeof golden);
    assert_memory_equal(encoded(&change).data, golden, sizeof golden);
}

static void no_arguments_and_empty_ones_are_the_same(void **state)
{
    struct lv_table *empty = lv_arena_alloc(&arena, sizeof *empty);
    struct lv_change change = full();
    struct lv_change back;
    struct lv_bytes without;

    (void)state;
    assert_non_null(empty);
    empty->count = 0;
    change.arguments = NULL;
    without = encoded(&change);
    change.arguments = empty;
    assert_true(lv_bytes_equal(encoded(&change), without));
    assert_int_equal(lv_change_decode(without, &arena, &back), 0);
    assert_null(back.arguments);
}

/* In a block of its own size, so that a sanitizer sees a read behind it. */
static int decode_copy(struct lv_bytes bytes)
{
    uint8_t *copy = lv_alloc(bytes.size);
    struct lv_change change;
    struct lv_arena own;
    int rc;

    assert_non_null(copy);
    lv_put_bytes(copy, bytes);
    lv_arena_init(&own, 48 * SIZE_MAX_OF_TEST);
    rc = lv_change_decode(lv_bytes(copy, bytes.size), &own, &change);
    if (rc == 0)
        assert_true(lv_bytes_equal(encoded(&change), bytes));
    lv_arena_fini(&own);
    lv_free(copy);
    return rc;
}

static void every_truncation_and_every_addition_is_told(void **state)
{
    struct lv_change change = full();
    struct lv_bytes bytes = encoded(&change);

    (void)state;
    assert_true(bytes.size < SIZE_MAX_OF_TEST);
    for (size_t size = 0; size < bytes.size; size++)
        assert_int_equal(decode_copy(lv_bytes(bytes.data, size)), -LV_E_CORRUPT);
    assert_int_equal(decode_copy(lv_bytes(bytes.data, bytes.size + 1)), -LV_E_CORRUPT);
    assert_int_equal(decode_copy(bytes), 0);
}

static void a_flipped_bit_is_told_or_gives_another_change(void **state)
{
    struct lv_change change = full();
    struct lv_bytes bytes = encoded(&change);
    uint8_t flipped[SIZE_MAX_OF_TEST];

    (void)state;
    lv_put_bytes(flipped, bytes);
    for (size_t bit = 0; bit < bytes.size * 8; bit++) {
        int rc;

        flipped[bit / 8] ^= (uint8_t)(1u << bit % 8);
        rc = decode_copy(lv_bytes(flipped, bytes.size));
        if (bit < 8)
            assert_int_equal(rc, -LV_E_VERSION);
        else
            assert_true(rc == 0 || rc == -LV_E_CORRUPT);
        flipped[bit / 8] ^= (uint8_t)(1u << bit % 8);
        lv_arena_reset(&arena);
    }
}

/* The topology asserts what is refused here. */
static void what_could_not_be_applied_is_refused(void **state)
{
    struct lv_change change = full();
    uint8_t bytes[SIZE_MAX_OF_TEST];

    (void)state;
    change.queue_id = 0;
    assert_int_equal(decode_copy(encoded(&change)), -LV_E_CORRUPT);
    change.kind = LV_CHANGE_QUEUE_DELETE;
    assert_int_equal(decode_copy(encoded(&change)), 0);
    change.name = lv_bytes(NULL, 0);
    assert_int_equal(decode_copy(encoded(&change)), 0);
    change.kind = LV_CHANGE_EXCHANGE_DECLARE;
    assert_int_equal(decode_copy(encoded(&change)), -LV_E_CORRUPT);
    change.kind = LV_CHANGE_USER_PUT;
    assert_int_equal(decode_copy(encoded(&change)), -LV_E_CORRUPT);
    change.kind = LV_CHANGE_VHOST_DELETE;
    assert_int_equal(decode_copy(encoded(&change)), 0);
    change.vhost = lv_bytes(NULL, 0);
    assert_int_equal(decode_copy(encoded(&change)), -LV_E_CORRUPT);
    change = full();
    lv_put_bytes(bytes, encoded(&change));
    bytes[1] = LV_CHANGE_LIMITS_DELETE + 1;
    assert_int_equal(decode_copy(lv_bytes(bytes, lv_change_size(&change))), -LV_E_CORRUPT);
    bytes[1] = LV_CHANGE_UNBIND;
    bytes[2] = 0x40;
    assert_int_equal(decode_copy(lv_bytes(bytes, lv_change_size(&change))), -LV_E_CORRUPT);
}

static void memory_that_runs_out_is_told(void **state)
{
    struct lv_change change = full();
    struct lv_bytes bytes = encoded(&change);
    struct lv_arena small;

    (void)state;
    lv_arena_init(&small, 16);
    assert_int_equal(lv_change_decode(bytes, &small, &change), -LV_E_NOMEM);
    lv_arena_fini(&small);
}

/* What a broker learns from the log is what the one before had. */
static void a_replay_makes_the_same_topology(void **state)
{
    static struct lv_sim sim;
    struct lv_change changes[] = {
        {.kind = LV_CHANGE_EXCHANGE_DECLARE, .name = lv_text("x"), .other = lv_text("topic")},
        {.kind = LV_CHANGE_QUEUE_DECLARE, .name = lv_text("q"), .queue_id = 64},
        {.kind = LV_CHANGE_BIND,
         .name = lv_text("q"),
         .other = lv_text("x"),
         .key = lv_text("a.#"),
         .arguments = words("n=1")},
    };
    struct lv_broker *broker;
    struct lv_vhost *vhost;

    (void)state;
    lv_sim_init(&sim, 1, 0);
    broker = sim.shards[0].broker;
    for (size_t i = 0; i < LV_COUNT(changes); i++) {
        struct lv_change change;

        changes[i].vhost = lv_text("/");
        changes[i].durable = true;
        assert_int_equal(lv_change_decode(encoded(&changes[i]), &arena, &change), 0);
        assert_int_equal(lv_topology_apply(broker, &change, NULL, NULL), 0);
    }
    vhost = lv_topology_vhost(&broker->topology, lv_text("/"));
    assert_int_equal(lv_vhost_queue(vhost, lv_text("q"))->id, 64);
    assert_true(lv_vhost_queue(vhost, lv_text("q"))->durable);
    assert_int_equal(lv_vhost_exchange(vhost, lv_text("x"))->type, LV_EXCHANGE_TOPIC);
    assert_int_equal(broker->topology.binding_count, 1);
    lv_sim_fini(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ARENA(every_kind_comes_back_as_it_went_in),
        WITH_ARENA(every_flag_is_one_of_its_own),
        WITH_ARENA(the_bytes_are_those_of_version_1),
        WITH_ARENA(no_arguments_and_empty_ones_are_the_same),
        WITH_ARENA(every_truncation_and_every_addition_is_told),
        WITH_ARENA(a_flipped_bit_is_told_or_gives_another_change),
        WITH_ARENA(what_could_not_be_applied_is_refused),
        WITH_ARENA(memory_that_runs_out_is_told),
        WITH_ARENA(a_replay_makes_the_same_topology),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
