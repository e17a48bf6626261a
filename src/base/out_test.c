#include "base/out.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct lv_chunk_pool pool;
static struct lv_out out;
static unsigned released; /* views that their owner was told about */

static int set_up(void **state)
{
    (void)state;
    released = 0;
    lv_chunk_pool_init(&pool);
    lv_out_init(&out, &pool);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    lv_alloc_fail_after(0, 0);
    lv_out_fini(&out);
    lv_chunk_pool_fini(&pool); /* asserts that all chunks came back */
    return 0;
}

/* An owner of viewed bytes. */
static void count_release(void *owner)
{
    ++*(unsigned *)owner;
}

static void append(const void *data, size_t size)
{
    uint8_t *room = lv_out_reserve(&out, size);

    assert_non_null(room);
    memcpy(room, data, size);
    lv_out_commit(&out, size);
}

static void append_text(const char *text)
{
    append(text, strlen(text));
}

/* All that waits, in one piece. */
static size_t flatten(uint8_t *flat, size_t size)
{
    struct lv_bytes pieces[512];
    size_t count = lv_out_gather(&out, pieces, LV_COUNT(pieces));
    uint8_t *end = flat;

    for (size_t i = 0; i < count; i++) {
        assert_true(pieces[i].size > 0); /* writev has no use for nothing */
        assert_true(pieces[i].size <= size - (size_t)(end - flat));
        end = lv_put_bytes(end, pieces[i]);
    }
    return (size_t)(end - flat);
}

static void assert_waiting(const char *text)
{
    uint8_t flat[1000];

    assert_int_equal(flatten(flat, sizeof flat), strlen(text));
    assert_memory_equal(flat, text, strlen(text));
    assert_int_equal(out.size, strlen(text));
}

static void an_empty_chain_holds_no_chunk(void **state)
{
    struct lv_bytes piece;

    (void)state;
    assert_int_equal(pool.used_count, 0);
    assert_int_equal(lv_out_gather(&out, &piece, 1), 0);
    append_text("x");
    assert_int_equal(pool.used_count, 1);
    lv_out_consume(&out, 1);
    assert_int_equal(pool.used_count, 0);
    assert_int_equal(lv_out_gather(&out, &piece, 1), 0);
}

static void small_things_come_out_in_one_piece(void **state)
{
    struct lv_bytes pieces[4];

    (void)state;
    append_text("one ");
    append_text("two ");
    assert_int_equal(lv_out_copy(&out, lv_text("three")), 0);
    assert_waiting("one two three");
    assert_int_equal(lv_out_gather(&out, pieces, 4), 1);
}

static void only_what_was_committed_counts(void **state)
{
    uint8_t *room = lv_out_reserve(&out, 1000);

    (void)state;
    assert_non_null(room);
    memcpy(room, "abc", 3);
    lv_out_commit(&out, 3);
    assert_int_equal(out.size, 3);
    room = lv_out_reserve(&out, 10);
    assert_non_null(room);
    lv_out_commit(&out, 0);
    append_text("d");
    assert_waiting("abcd");
}

static void a_reservation_lies_in_one_chunk(void **state)
{
    (void)state;
    append("x", 1);
    memset(lv_out_reserve(&out, LV_OUT_CHUNK_SIZE), 'y', LV_OUT_CHUNK_SIZE);
    lv_out_commit(&out, LV_OUT_CHUNK_SIZE);
    assert_int_equal(pool.used_count, 2);
    append("z", 1);
    assert_int_equal(pool.used_count, 3);
    assert_int_equal(out.size, LV_OUT_CHUNK_SIZE + 2);
    lv_out_consume(&out, 2);
    assert_int_equal(pool.used_count, 2); /* a chunk goes as soon as nothing in it is needed */
}

static void a_copy_may_be_larger_than_chunks(void **state)
{
    enum { SIZE = 200000 };
    uint8_t *bytes = lv_alloc(SIZE);
    uint8_t *flat = lv_alloc(SIZE);

    (void)state;
    assert_non_null(bytes);
    assert_non_null(flat);
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    assert_int_equal(lv_out_copy(&out, lv_bytes(bytes, SIZE)), 0);
    assert_int_equal(flatten(flat, SIZE), SIZE);
    assert_memory_equal(flat, bytes, SIZE);
    lv_free(bytes);
    lv_free(flat);
}

static void a_view_is_not_copied_and_keeps_its_place(void **state)
{
    static const char body[] = "body";
    struct lv_bytes pieces[4];

    (void)state;
    append_text("head ");
    assert_int_equal(lv_out_view(&out, lv_text(body), count_release, &released), 0);
    append_text(" tail");
    assert_waiting("head body tail");
    assert_int_equal(lv_out_gather(&out, pieces, 4), 3);
    assert_ptr_equal(pieces[1].data, body);
    assert_int_equal(pool.used_count, 1); /* what follows goes on in the same chunk */
    assert_int_equal(released, 0);
}

static void an_owner_is_told_once_its_last_byte_has_gone(void **state)
{
    (void)state;
    append_text("ab");
    assert_int_equal(lv_out_view(&out, lv_text("cdef"), count_release, &released), 0);
    append_text("gh");
    lv_out_consume(&out, 5);
    assert_int_equal(released, 0);
    assert_waiting("fgh");
    lv_out_consume(&out, 1);
    assert_int_equal(released, 1);
    assert_waiting("gh");
    lv_out_consume(&out, 2);
    assert_int_equal(released, 1);
}

static void a_view_may_be_all_there_is(void **state)
{
    (void)state;
    assert_int_equal(lv_out_view(&out, lv_text("abc"), count_release, &released), 0);
    assert_waiting("abc");
    lv_out_consume(&out, 0);
    assert_int_equal(released, 0);
    lv_out_consume(&out, 3);
    assert_int_equal(released, 1);
    assert_int_equal(pool.used_count, 0);
}

static void fini_tells_all_owners_and_gives_back_all_chunks(void **state)
{
    (void)state;
    for (int i = 0; i < 3000; i++) {
        append_text("some text");
        assert_int_equal(lv_out_view(&out, lv_text("v"), count_release, &released), 0);
    }
    assert_true(pool.used_count > 3);
    lv_out_fini(&out);
    assert_int_equal(released, 3000);
    assert_int_equal(pool.used_count, 0);
    append_text("again"); /* it may be used on */
    assert_waiting("again");
}

static void gather_gives_the_oldest_pieces_first(void **state)
{
    struct lv_bytes pieces[2];

    (void)state;
    append_text("a");
    assert_int_equal(lv_out_view(&out, lv_text("b"), count_release, &released), 0);
    assert_int_equal(lv_out_view(&out, lv_text("c"), count_release, &released), 0);
    assert_int_equal(lv_out_gather(&out, pieces, 2), 2);
    assert_int_equal(pieces[0].data[0], 'a');
    assert_int_equal(pieces[1].data[0], 'b');
    lv_out_consume(&out, 2);
    assert_int_equal(lv_out_gather(&out, pieces, 2), 1);
    assert_int_equal(pieces[0].data[0], 'c');
}

static void the_chunk_used_last_is_used_first(void **state)
{
    const uint8_t *first;

    (void)state;
    append_text("x");
    first = out.tail - 1;
    lv_out_consume(&out, 1);
    append_text("y");
    assert_ptr_equal(out.tail - 1, first);
}

static void a_pool_keeps_no_more_than_its_share(void **state)
{
    enum { SIZE = (int)(2 * LV_OUT_POOL_MAX * LV_OUT_CHUNK_SIZE) };
    uint8_t *bytes = lv_calloc(SIZE, 1);

    (void)state;
    assert_non_null(bytes);
    assert_int_equal(lv_out_copy(&out, lv_bytes(bytes, SIZE)), 0);
    assert_true(pool.used_count >= 2 * LV_OUT_POOL_MAX);
    lv_out_consume(&out, SIZE);
    assert_int_equal(pool.free_count, LV_OUT_POOL_MAX);
    lv_free(bytes);
}

static void out_of_memory_keeps_what_was_there(void **state)
{
    static const uint8_t bytes[LV_OUT_CHUNK_SIZE];

    (void)state;
    lv_alloc_fail_after(1, 1);
    assert_null(lv_out_reserve(&out, 1));
    assert_int_equal(lv_out_copy(&out, lv_text("x")), -LV_E_NOMEM);
    assert_int_equal(lv_out_view(&out, lv_text("x"), count_release, &released), -LV_E_NOMEM);
    lv_alloc_fail_after(0, 0);
    append_text("ab");
    lv_alloc_fail_after(1, 1);
    assert_null(lv_out_reserve(&out, LV_OUT_CHUNK_SIZE));
    append_text("cd"); /* there is room for this */
    assert_waiting("abcd");
    assert_int_equal(lv_out_copy(&out, lv_bytes(bytes, sizeof bytes)), -LV_E_NOMEM);
    assert_int_equal(lv_out_view(&out, lv_text("x"), count_release, &released), -LV_E_NOMEM);
    assert_int_equal(released, 0); /* nothing of it is kept, so its owner isn't told */
}

/* ---- against a flat row of bytes ---- */

#define FLAT_SIZE (1u << 20)

struct model {
    uint8_t bytes[FLAT_SIZE]; /* all that ever went in; sent ones too */
    size_t in;
    size_t sent;
    size_t view_ends[FLAT_SIZE / 16]; /* where each view ends, in order */
    unsigned views;
    unsigned released;
};

static struct model model;

static void model_add(struct lv_random *random, size_t size)
{
    uint8_t *at = model.bytes + model.in;

    for (size_t i = 0; i < size; i++)
        at[i] = (uint8_t)lv_random_next(random);
    model.in += size;
    switch (lv_random_below(random, 3)) {
    case 0:
        if (size <= LV_OUT_CHUNK_SIZE) {
            append(at, size);
            return;
        }
        /* fall through */
    case 1:
        assert_int_equal(lv_out_copy(&out, lv_bytes(at, size)), 0);
        return;
    default:
        assert_int_equal(lv_out_view(&out, lv_bytes(at, size), count_release, &model.released), 0);
        model.view_ends[model.views++] = model.in;
    }
}

static void model_consume(struct lv_random *random)
{
    size_t size = lv_random_below(random, out.size + 1);
    unsigned gone = 0;

    lv_out_consume(&out, size);
    model.sent += size;
    while (gone < model.views && model.view_ends[gone] <= model.sent)
        gone++;
    assert_int_equal(model.released, gone);
}

static void it_sends_what_was_added_at_random(void **state)
{
    struct lv_random random;

    (void)state;
    lv_random_seed(&random, 5);
    while (model.in < FLAT_SIZE - 100000) {
        struct lv_bytes piece[1];
        size_t large = lv_random_below(&random, 20) == 0 ? 100000 : 300;
        model_add(&random, 1 + lv_random_below(&random, large));
        assert_int_equal(out.size, model.in - model.sent);
        if (lv_random_below(&random, 3) == 0)
            model_consume(&random);
        if (lv_out_gather(&out, piece, 1) > 0)
            assert_memory_equal(piece[0].data, model.bytes + model.sent, piece[0].size);
        assert_true((out.size == 0) == (pool.used_count == 0));
    }
    while (out.size > 0) { /* as the writer does: some pieces, then a part of them */
        static uint8_t flat[FLAT_SIZE];
        size_t size = flatten(flat, sizeof flat);
        assert_memory_equal(flat, model.bytes + model.sent, size);
        model_consume(&random);
    }
    assert_int_equal(model.released, model.views);
}

int main(void)
{
#define WITH_OUT(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_OUT(an_empty_chain_holds_no_chunk),
        WITH_OUT(small_things_come_out_in_one_piece),
        WITH_OUT(only_what_was_committed_counts),
        WITH_OUT(a_reservation_lies_in_one_chunk),
        WITH_OUT(a_copy_may_be_larger_than_chunks),
        WITH_OUT(a_view_is_not_copied_and_keeps_its_place),
        WITH_OUT(an_owner_is_told_once_its_last_byte_has_gone),
        WITH_OUT(a_view_may_be_all_there_is),
        WITH_OUT(fini_tells_all_owners_and_gives_back_all_chunks),
        WITH_OUT(gather_gives_the_oldest_pieces_first),
        WITH_OUT(the_chunk_used_last_is_used_first),
        WITH_OUT(a_pool_keeps_no_more_than_its_share),
        WITH_OUT(out_of_memory_keeps_what_was_there),
        WITH_OUT(it_sends_what_was_added_at_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
