#include "store/store.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define MIB (1024u * 1024u)

/* Squeezed are only pages beyond those that may wait, and a few dead ones are kept. */
#define KEPT_PAGES 20u

static int set_up(void **state)
{
    *state = lv_store_new();
    return *state == NULL;
}

static int tear_down(void **state)
{
    lv_alloc_fail_after(0, 0);
    lv_store_free(*state);
    return 0;
}

static struct lv_store_stats stats_of(const struct lv_store *store)
{
    struct lv_store_stats stats;

    lv_store_stats(store, &stats);
    return stats;
}

/* Every message has bytes of its own, by which it can be told from all others. */
static uint8_t byte_of(uint64_t id, size_t at)
{
    return (uint8_t)((id * 0x9e3779b97f4a7c15u >> 56) + at * 7 + at / 251);
}

/* Of large ones a part, to be quick; always the first and the last bytes. */
static size_t step_of(size_t size)
{
    return size > 8192 ? 509 : 1;
}

static void fill(void *data, uint64_t id, size_t size)
{
    uint8_t *bytes = data;

    for (size_t i = 0; i < size; i += step_of(size))
        bytes[i] = byte_of(id, i);
    if (size > 0)
        bytes[size - 1] = byte_of(id, size - 1);
}

static void check(struct lv_store *store, struct lv_ref ref, uint64_t id)
{
    const uint8_t *bytes = lv_store_view(store, ref);

    for (size_t i = 0; i < ref.size; i += step_of(ref.size))
        assert_int_equal(bytes[i], byte_of(id, i));
    if (ref.size > 0)
        assert_int_equal(bytes[ref.size - 1], byte_of(id, ref.size - 1));
}

static struct lv_ref add(struct lv_store *store, uint64_t id, uint32_t size)
{
    struct lv_ref ref;
    void *data;

    assert_int_equal(lv_store_append(store, size, &ref, &data), 0);
    assert_int_equal(ref.size, size);
    assert_int_equal(ref.flags, 0);
    assert_int_equal((uintptr_t)data % 8, 0);
    fill(data, id, size);
    return ref;
}

/* Messages that come and go at once, without looking at their bytes. */
static void pass_by(struct lv_store *store, uint64_t count, uint32_t size)
{
    while (count-- > 0) {
        struct lv_ref ref;
        void *data;
        assert_int_equal(lv_store_append(store, size, &ref, &data), 0);
        lv_store_release(store, ref);
    }
}

static void what_was_appended_can_be_viewed(void **state)
{
    struct lv_store *store = *state;
    struct lv_ref refs[300];

    for (uint32_t i = 0; i < 300; i++)
        refs[i] = add(store, i, i * 37 % 5000);
    for (uint32_t i = 0; i < 300; i++)
        check(store, refs[i], i);
}

static void an_empty_message_is_a_message_too(void **state)
{
    struct lv_store *store = *state;
    struct lv_ref a = add(store, 1, 0);
    struct lv_ref b = add(store, 2, 0);

    assert_true(a.lsn != b.lsn);
    assert_true(lv_store_view(store, a) != NULL);
    assert_int_equal(stats_of(store).live_count, 2);
    lv_store_release(store, a);
    lv_store_release(store, b);
    assert_int_equal(stats_of(store).live_count, 0);
}

static void no_reference_is_zero(void **state)
{
    assert_true(add(*state, 1, 10).lsn != 0);
}

static void counts_follow_what_is_alive(void **state)
{
    struct lv_store *store = *state;
    struct lv_ref small = add(store, 1, 100);
    struct lv_ref jumbo = add(store, 2, 3 * MIB);

    assert_int_equal(stats_of(store).live_count, 2);
    assert_int_equal(stats_of(store).live_size, 100 + 3 * MIB);
    assert_int_equal(stats_of(store).page_count, 2);
    assert_true(stats_of(store).memory_size >= 4 * MIB);
    lv_store_release(store, jumbo);
    assert_int_equal(stats_of(store).live_size, 100);
    assert_int_equal(stats_of(store).page_count, 1);
    assert_true(stats_of(store).memory_size < 2 * MIB);
    lv_store_release(store, small);
    assert_int_equal(stats_of(store).live_size, 0);
}

static void a_shared_message_lives_until_its_last_holder_lets_go(void **state)
{
    struct lv_store *store = *state;
    struct lv_ref ref = add(store, 5, 1000);

    lv_store_share(store, &ref, 2);
    assert_true((ref.flags & LV_REF_SHARED) != 0);
    lv_store_share(store, &ref, 1); /* a holder passes it on to one more */
    for (int left = 4; left > 0; left--) {
        assert_int_equal(stats_of(store).live_count, 1);
        check(store, ref, 5);
        lv_store_release(store, ref);
    }
    assert_int_equal(stats_of(store).live_count, 0);
}

static void a_holders_own_flags_do_not_matter_to_the_store(void **state)
{
    struct lv_store *store = *state;
    struct lv_ref ref = add(store, 5, 1000);

    ref.flags |= LV_REF_REDELIVERED;
    check(store, ref, 5);
    lv_store_release(store, ref);
    assert_int_equal(stats_of(store).live_count, 0);
}

static void a_stream_that_is_consumed_at_once_stays_in_a_little_memory(void **state)
{
    struct lv_store *store = *state;
    uintptr_t low = UINTPTR_MAX;
    uintptr_t high = 0;

    for (int i = 0; i < 100000; i++) {
        struct lv_ref ref;
        void *data;
        assert_int_equal(lv_store_append(store, 1000, &ref, &data), 0);
        low = (uintptr_t)data < low ? (uintptr_t)data : low;
        high = (uintptr_t)data > high ? (uintptr_t)data : high;
        lv_store_release(store, ref);
    }
    assert_true(high - low < 140 * 1024);
    assert_int_equal(stats_of(store).page_count, 1);
}

static void a_reference_is_never_given_twice(void **state)
{
    struct lv_store *store = *state;
    uint64_t last = 0;

    for (int i = 0; i < 1000; i++) {
        struct lv_ref ref;
        void *data;
        assert_int_equal(lv_store_append(store, 60000, &ref, &data), 0);
        assert_true(ref.lsn > last);
        last = ref.lsn;
        lv_store_release(store, ref);
    }
}

static void a_drained_backlog_gives_its_memory_back(void **state)
{
    enum { COUNT = 64 * 1024 };
    static struct lv_ref refs[COUNT];
    struct lv_store *store = *state;

    for (uint32_t i = 0; i < COUNT; i++)
        refs[i] = add(store, i, 1000);
    assert_true(stats_of(store).page_count >= 64);
    for (uint32_t i = 0; i < COUNT; i++) {
        check(store, refs[i], i);
        lv_store_release(store, refs[i]);
    }
    assert_int_equal(stats_of(store).page_count, 1); /* the one being written */
    assert_true(stats_of(store).memory_size <= 10 * MIB);
    assert_int_equal(stats_of(store).live_size, 0);
}

static void messages_around_the_size_of_a_page_find_a_place(void **state)
{
    struct lv_store *store = *state;
    struct lv_ref refs[200];
    uint32_t count = 0;

    for (uint32_t size = MIB - 4600; size < MIB + 200; size += 32, count++)
        refs[count] = add(store, size, size + count % 3);
    for (uint32_t i = 0; i < count; i++)
        check(store, refs[i], MIB - 4600 + i * 32);
    for (uint32_t i = 0; i < count; i++)
        lv_store_release(store, refs[i]);
    assert_int_equal(stats_of(store).live_count, 0);
    assert_true(stats_of(store).memory_size <= 10 * MIB);
}

static void a_jumbo_message_may_be_shared_and_pinned(void **state)
{
    struct lv_store *store = *state;
    struct lv_ref ref = add(store, 9, 2 * MIB + 5);
    const void *before = lv_store_view(store, ref);
    struct lv_page *page = lv_store_pin(store, ref);

    lv_store_share(store, &ref, 1);
    lv_store_release(store, ref);
    check(store, ref, 9);
    lv_store_release(store, ref);
    assert_int_equal(stats_of(store).live_count, 0);
    assert_true(stats_of(store).memory_size > 2 * MIB);
    for (size_t i = 0; i < 2 * MIB + 5; i += 509 * 8)
        assert_int_equal(((const uint8_t *)before)[i], byte_of(9, i));
    lv_store_unpin(page);
    assert_true(stats_of(store).memory_size < MIB);
}

/* `kept` messages of 100 bytes stay, evenly spread over a stream of `count` others. */
static struct lv_ref *scatter(struct lv_store *store, uint32_t kept, uint32_t count)
{
    struct lv_ref *refs = lv_calloc(kept, sizeof *refs);

    assert_non_null(refs);
    for (uint32_t i = 0; i < kept; i++) {
        refs[i] = add(store, i, 100);
        pass_by(store, count / kept, 100);
    }
    return refs;
}

static void a_few_old_messages_do_not_pin_much_memory(void **state)
{
    enum { KEPT = 10000 };
    struct lv_store *store = *state;
    struct lv_ref *refs = scatter(store, KEPT, 2000000);

    assert_int_equal(stats_of(store).live_count, KEPT);
    assert_true(stats_of(store).memory_size < 40 * MIB);
    for (uint32_t i = 0; i < KEPT; i++)
        check(store, refs[i], i);
    for (uint32_t i = 0; i < KEPT; i++)
        lv_store_release(store, refs[i]);
    assert_int_equal(stats_of(store).live_count, 0);
    assert_true(stats_of(store).memory_size < 11 * MIB);
    lv_free(refs);
}

/* The stream is behind by a backlog, so pages become sparse after they were closed. */
static void old_messages_in_a_drained_backlog_do_not_pin_much_memory(void **state)
{
    enum { COUNT = 400000, EVERY = 200 };
    struct lv_ref *refs = lv_calloc(COUNT, sizeof *refs);
    struct lv_store *store = *state;

    assert_non_null(refs);
    for (uint32_t i = 0; i < COUNT; i++)
        refs[i] = add(store, i, 150);
    assert_true(stats_of(store).memory_size > 60 * MIB);
    for (uint32_t i = 0; i < COUNT; i++) {
        if (i % EVERY != 0)
            lv_store_release(store, refs[i]);
    }
    assert_true(stats_of(store).memory_size < KEPT_PAGES * MIB);
    for (uint32_t i = 0; i < COUNT; i += EVERY)
        check(store, refs[i], i);
    lv_free(refs);
}

static void a_squeezed_page_shrinks_on_as_it_dies(void **state)
{
    enum { KEPT = 20000 };
    struct lv_store *store = *state;
    struct lv_ref *refs = scatter(store, KEPT, 400000);
    uint64_t before = stats_of(store).memory_size;

    for (uint32_t i = 0; i < KEPT; i++) {
        if (i % 8 != 0)
            lv_store_release(store, refs[i]);
    }
    /* What was alive took 128 bytes each; now 112 and a table entry in what is left of them. */
    assert_true(before - stats_of(store).memory_size > KEPT * 60);
    for (uint32_t i = 0; i < KEPT; i += 8)
        check(store, refs[i], i);
    for (uint32_t i = 0; i < KEPT; i += 8)
        lv_store_release(store, refs[i]);
    assert_int_equal(stats_of(store).live_count, 0);
    assert_true(stats_of(store).page_count <= 1);
    lv_free(refs);
}

static void holders_are_counted_on_in_a_squeezed_page(void **state)
{
    struct lv_store *store = *state;
    struct lv_ref early = add(store, 77, 333);
    struct lv_ref late;
    struct lv_ref *refs;

    lv_store_share(store, &early, 1);
    late = add(store, 78, 444);
    refs = scatter(store, 400, 400000);
    assert_true(stats_of(store).memory_size < KEPT_PAGES * MIB);
    lv_store_share(store, &late, 1); /* in the squeezed page */
    lv_store_release(store, early);
    lv_store_release(store, late);
    check(store, early, 77);
    check(store, late, 78);
    lv_store_release(store, early);
    lv_store_release(store, late);
    assert_int_equal(stats_of(store).live_count, 400);
    lv_free(refs);
}

static void a_pinned_page_stays_where_it_is(void **state)
{
    struct lv_store *store = *state;
    struct lv_ref ref = add(store, 1, 5000);
    const uint8_t *bytes = lv_store_view(store, ref);
    struct lv_page *page = lv_store_pin(store, ref);
    struct lv_page *again = lv_store_pin(store, ref);
    struct lv_ref *refs = scatter(store, 400, 400000);

    assert_ptr_equal(lv_store_view(store, ref), bytes);
    lv_store_unpin(again);
    lv_store_release(store, ref);
    pass_by(store, 100000, 100);
    for (size_t i = 0; i < 5000; i++)
        assert_int_equal(bytes[i], byte_of(1, i));
    lv_store_unpin(page);
    for (uint32_t i = 0; i < 400; i++)
        check(store, refs[i], i);
    lv_free(refs);
}

static void a_page_that_was_pinned_is_squeezed_later(void **state)
{
    enum { PAGES = 100, EACH = 10 };
    struct lv_store *store = *state;
    struct lv_ref refs[PAGES];
    struct lv_page *pins[PAGES];

    for (uint32_t i = 0; i < PAGES; i++) {
        struct lv_ref others[EACH];
        refs[i] = add(store, i, 100);
        pins[i] = lv_store_pin(store, refs[i]);
        for (uint32_t k = 0; k < EACH; k++)
            others[k] = add(store, k, 99000);
        for (uint32_t k = 0; k < EACH; k++)
            lv_store_release(store, others[k]);
    }
    assert_true(stats_of(store).memory_size > 45 * MIB);
    for (uint32_t i = 0; i < PAGES; i++)
        lv_store_unpin(pins[i]);
    assert_true(stats_of(store).memory_size < KEPT_PAGES * MIB);
    for (uint32_t i = 0; i < PAGES; i++)
        check(store, refs[i], i);
}

static void a_page_that_died_while_pinned_goes_with_the_last_unpin(void **state)
{
    struct lv_store *store = *state;
    struct lv_ref ref = add(store, 1, 600000);
    struct lv_page *page = lv_store_pin(store, ref);
    struct lv_page *again = lv_store_pin(store, ref);
    struct lv_ref other;

    lv_store_release(store, ref);
    other = add(store, 2, 600000);
    assert_int_equal(stats_of(store).page_count, 2);
    lv_store_unpin(page);
    assert_int_equal(stats_of(store).page_count, 2);
    lv_store_unpin(again);
    assert_int_equal(stats_of(store).page_count, 1);
    check(store, other, 2);
}

static void the_open_page_does_not_start_over_under_a_pin(void **state)
{
    struct lv_store *store = *state;
    struct lv_ref ref = add(store, 1, 300000);
    const uint8_t *bytes = lv_store_view(store, ref);
    struct lv_page *page = lv_store_pin(store, ref);
    struct lv_ref next;

    lv_store_release(store, ref);
    next = add(store, 2, 300000);
    assert_true(lv_store_view(store, next) != bytes);
    assert_int_equal(bytes[0], byte_of(1, 0));
    lv_store_release(store, next);
    lv_store_unpin(page);
    next = add(store, 3, 300000);
    assert_ptr_equal(lv_store_view(store, next), bytes);
}

static void one_old_message_does_not_grow_the_table_of_pages(void **state)
{
    struct lv_store *store = *state;
    struct lv_ref old = add(store, 1, 100);
    uint64_t before;

    pass_by(store, 1000, 100000);
    before = stats_of(store).memory_size;
    pass_by(store, 300000, 100000); /* 30 GB have gone by */
    assert_int_equal(stats_of(store).memory_size, before);
    check(store, old, 1);
}

static void out_of_memory_changes_nothing(void **state)
{
    struct lv_store *store = *state;
    struct lv_ref kept = add(store, 1, 700000);
    struct lv_store_stats before = stats_of(store);
    struct lv_ref ref = {.lsn = 42};
    void *data = NULL;

    lv_alloc_fail_after(1, 1);
    assert_int_equal(lv_store_append(store, 700000, &ref, &data), -LV_E_NOMEM);
    assert_int_equal(lv_store_append(store, 2 * MIB, &ref, &data), -LV_E_NOMEM);
    assert_int_equal(ref.lsn, 42);
    assert_null(data);
    assert_int_equal(stats_of(store).live_count, before.live_count);
    assert_int_equal(stats_of(store).memory_size, before.memory_size);
    check(store, kept, 1);
    lv_store_release(store, add(store, 3, 1000)); /* still fits into the open page */
    lv_alloc_fail_after(0, 0);
    check(store, add(store, 2, 700000), 2);
}

static void a_store_that_cannot_be_made_is_null(void **state)
{
    (void)state;
    for (uint64_t after = 1; after <= 2; after++) {
        lv_alloc_fail_after(after, 0);
        assert_null(lv_store_new());
    }
    lv_alloc_fail_after(0, 0);
    lv_store_free(NULL);
}

/* Every allocation that an append makes, for a page or for the table of pages, fails once. */
static void append_works_again_after_each_failed_allocation(void **state)
{
    enum { COUNT = 100 };
    struct lv_store *store = *state;
    struct lv_ref refs[COUNT];
    int failed = 0;

    for (uint32_t i = 0; i < COUNT; i++) {
        void *data;
        int rc;
        uint64_t after = 0;
        do {
            lv_alloc_fail_after(++after, 0);
            rc = lv_store_append(store, 900000, &refs[i], &data);
            failed += rc < 0;
        } while (rc < 0);
        lv_alloc_fail_after(0, 0);
        fill(data, i, 900000);
    }
    assert_true(failed > COUNT);
    for (uint32_t i = 0; i < COUNT; i++)
        check(store, refs[i], i);
}

static void squeezing_without_memory_is_put_off(void **state)
{
    enum { KEPT = 400 };
    struct lv_store *store = *state;
    struct lv_ref refs[KEPT];
    struct lv_ref others[KEPT];

    for (uint32_t i = 0; i < KEPT; i++) {
        refs[i] = add(store, i, 100);
        others[i] = add(store, i, 100000);
    }
    lv_alloc_fail_after(1, 1);
    for (uint32_t i = 0; i < KEPT; i++)
        lv_store_release(store, others[i]);
    assert_true(stats_of(store).memory_size > 30 * MIB);
    lv_alloc_fail_after(0, 0);
    for (uint32_t i = 0; i < KEPT; i++)
        check(store, refs[i], i);
    for (uint32_t i = 0; i < KEPT; i += 2)
        lv_store_release(store, refs[i]);
    assert_true(stats_of(store).memory_size < KEPT_PAGES * MIB);
    for (uint32_t i = 1; i < KEPT; i += 2)
        check(store, refs[i], i);
}

/* ---- against a model that is too simple to be wrong ---- */

#define MODEL_COUNT 3000u

struct model_message {
    struct lv_ref ref;
    uint64_t id;
    uint32_t holders; /* 0: the place is free */
    struct lv_page *pin;
    const void *pinned_at;
};

struct model {
    struct lv_store *store;
    struct lv_random random;
    struct model_message messages[MODEL_COUNT];
    uint64_t next_id;
    uint64_t count;
    uint64_t size;
};

static uint32_t random_size(struct lv_random *random)
{
    switch (lv_random_below(random, 400)) {
    case 0:
        return (uint32_t)(MIB - 6000 + lv_random_below(random, 2 * MIB)); /* many a jumbo */
    case 1:
    case 2:
    case 3:
        return (uint32_t)lv_random_below(random, 300000);
    default:
        return (uint32_t)lv_random_below(random, 2000);
    }
}

static void model_append(struct model *m, struct model_message *message)
{
    message->id = m->next_id++;
    message->ref = add(m->store, message->id, random_size(&m->random));
    message->holders = 1;
    m->count++;
    m->size += message->ref.size;
}

static void model_unpin(struct model_message *message)
{
    lv_store_unpin(message->pin);
    message->pin = NULL;
}

static void model_release(struct model *m, struct model_message *message)
{
    check(m->store, message->ref, message->id);
    lv_store_release(m->store, message->ref);
    message->holders--;
    if (message->holders > 0)
        return;
    m->count--;
    m->size -= message->ref.size;
    if (message->pin != NULL) {
        /* Its bytes outlive it. */
        assert_int_equal(message->ref.size > 0 ? *(const uint8_t *)message->pinned_at : 0,
                         message->ref.size > 0 ? byte_of(message->id, 0) : 0);
        model_unpin(message);
    }
}

static void model_step(struct model *m, struct model_message *message)
{
    if (message->holders == 0) {
        model_append(m, message);
        return;
    }
    if (message->pin != NULL)
        assert_ptr_equal(lv_store_view(m->store, message->ref), message->pinned_at);
    switch (lv_random_below(&m->random, 12)) {
    case 0: {
        uint32_t extra = 1 + (uint32_t)lv_random_below(&m->random, 3);
        lv_store_share(m->store, &message->ref, extra);
        message->holders += extra;
        return;
    }
    case 1:
        if (message->pin != NULL) {
            model_unpin(message);
            return;
        }
        message->pinned_at = lv_store_view(m->store, message->ref);
        message->pin = lv_store_pin(m->store, message->ref);
        return;
    case 2:
        check(m->store, message->ref, message->id);
        return;
    default:
        model_release(m, message);
    }
}

static void model_check(const struct model *m)
{
    struct lv_store_stats stats = stats_of(m->store);

    assert_int_equal(stats.live_count, m->count);
    assert_int_equal(stats.live_size, m->size);
    for (uint32_t i = 0; i < MODEL_COUNT; i++) {
        if (m->messages[i].holders > 0)
            check(m->store, m->messages[i].ref, m->messages[i].id);
    }
}

static void model_drain(struct model *m)
{
    for (uint32_t i = 0; i < MODEL_COUNT; i++) {
        while (m->messages[i].holders > 0)
            model_release(m, &m->messages[i]);
    }
    model_check(m);
    assert_true(stats_of(m->store).page_count <= 1);
    assert_true(stats_of(m->store).memory_size <= 11 * MIB);
}

static void run_model(uint64_t seed, uint32_t places, uint64_t steps)
{
    struct model *m = lv_calloc(1, sizeof *m);

    assert_non_null(m);
    print_message("# seed %llu\n", (unsigned long long)seed);
    lv_random_seed(&m->random, seed);
    m->store = lv_store_new();
    assert_non_null(m->store);
    for (uint64_t step = 0; step < steps; step++) {
        /* Squared: most of what happens, happens to a few places; the others grow old. */
        uint64_t x = lv_random_below(&m->random, places);
        bool dry = lv_random_below(&m->random, 20) == 0;
        struct model_message *message = &m->messages[x * x / places];
        if (message->holders > 0 && dry)
            lv_alloc_fail_after(1, 1);
        model_step(m, message);
        lv_alloc_fail_after(0, 0);
        if (step % (steps / 10) == 0)
            model_check(m);
    }
    model_drain(m);
    lv_store_free(m->store);
    lv_free(m);
}

static void it_behaves_like_a_plain_model_at_random(void **state)
{
    (void)state;
    run_model(1, MODEL_COUNT, 60000);
    run_model(2, MODEL_COUNT / 10, 60000);
    run_model(3, 20, 30000);
}

int main(void)
{
#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_STORE(what_was_appended_can_be_viewed),
        WITH_STORE(an_empty_message_is_a_message_too),
        WITH_STORE(no_reference_is_zero),
        WITH_STORE(counts_follow_what_is_alive),
        WITH_STORE(a_shared_message_lives_until_its_last_holder_lets_go),
        WITH_STORE(a_holders_own_flags_do_not_matter_to_the_store),
        WITH_STORE(a_stream_that_is_consumed_at_once_stays_in_a_little_memory),
        WITH_STORE(a_reference_is_never_given_twice),
        WITH_STORE(a_drained_backlog_gives_its_memory_back),
        WITH_STORE(messages_around_the_size_of_a_page_find_a_place),
        WITH_STORE(a_jumbo_message_may_be_shared_and_pinned),
        WITH_STORE(a_few_old_messages_do_not_pin_much_memory),
        WITH_STORE(old_messages_in_a_drained_backlog_do_not_pin_much_memory),
        WITH_STORE(a_squeezed_page_shrinks_on_as_it_dies),
        WITH_STORE(holders_are_counted_on_in_a_squeezed_page),
        WITH_STORE(a_pinned_page_stays_where_it_is),
        WITH_STORE(a_page_that_was_pinned_is_squeezed_later),
        WITH_STORE(a_page_that_died_while_pinned_goes_with_the_last_unpin),
        WITH_STORE(the_open_page_does_not_start_over_under_a_pin),
        WITH_STORE(one_old_message_does_not_grow_the_table_of_pages),
        WITH_STORE(out_of_memory_changes_nothing),
        WITH_STORE(append_works_again_after_each_failed_allocation),
        WITH_STORE(squeezing_without_memory_is_put_off),
        cmocka_unit_test(a_store_that_cannot_be_made_is_null),
        cmocka_unit_test(it_behaves_like_a_plain_model_at_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
