#include "base/alloc.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static int let_all_succeed(void **state)
{
    (void)state;
    lv_alloc_fail_after(0, 0);
    return 0;
}

static void nothing_at_all_is_memory_too(void **state)
{
    void *a = lv_alloc(0);
    void *b = lv_calloc(0, 8);
    void *c = lv_realloc(NULL, 0);

    (void)state;
    assert_non_null(a);
    assert_non_null(b);
    assert_non_null(c);
    a = lv_realloc(a, 0);
    assert_non_null(a);
    lv_free(a);
    lv_free(b);
    lv_free(c);
    lv_free(NULL);
}

static void calloc_gives_zeros_and_sees_overflow(void **state)
{
    static const uint8_t zeros[300];
    void *memory = lv_calloc(100, 3);
    size_t many = SIZE_MAX / 2;

    (void)state;
    assert_non_null(memory);
    assert_memory_equal(memory, zeros, 300);
    assert_null(lv_calloc(many, 4));
    lv_free(memory);
}

static void aligned_memory_is_aligned(void **state)
{
    void *memory = lv_alloc_aligned(4096, 8192);

    (void)state;
    assert_non_null(memory);
    assert_int_equal((uintptr_t)memory % 4096, 0);
    memset(memory, 1, 8192);
    lv_free(memory);
}

static void strndup_copies_and_terminates(void **state)
{
    char *copy = lv_strndup("queue.overflow", 5);
    char *empty = lv_strndup(NULL, 0);

    (void)state;
    assert_string_equal(copy, "queue");
    assert_string_equal(empty, "");
    lv_free(copy);
    lv_free(empty);
}

static void the_nth_allocation_fails_once(void **state)
{
    void *memory[3];

    (void)state;
    lv_alloc_fail_after(3, 0);
    memory[0] = lv_alloc(1);
    memory[1] = lv_calloc(1, 1);
    assert_non_null(memory[0]);
    assert_non_null(memory[1]);
    assert_null(lv_alloc(1));
    memory[2] = lv_alloc(1);
    assert_non_null(memory[2]);
    for (size_t i = 0; i < LV_COUNT(memory); i++)
        lv_free(memory[i]);
}

static void every_way_to_allocate_can_fail_forever(void **state)
{
    char *kept = lv_strndup("kept", 4);

    (void)state;
    lv_alloc_fail_after(1, 1);
    assert_null(lv_alloc(1));
    assert_null(lv_calloc(1, 1));
    assert_null(lv_alloc_aligned(64, 64));
    assert_null(lv_strndup("x", 1));
    assert_null(lv_realloc(kept, 1000));
    assert_string_equal(kept, "kept"); /* untouched and still ours */
    lv_free(kept);
}

static void *allocate_elsewhere(void *ret)
{
    *(void **)ret = lv_alloc(1);
    return NULL;
}

static void another_thread_does_not_notice(void **state)
{
    pthread_t thread;
    void *memory = NULL;

    (void)state;
    lv_alloc_fail_after(1, 1);
    assert_int_equal(pthread_create(&thread, NULL, allocate_elsewhere, &memory), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_non_null(memory);
    lv_free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_at_all_is_memory_too),
        cmocka_unit_test(calloc_gives_zeros_and_sees_overflow),
        cmocka_unit_test(aligned_memory_is_aligned),
        cmocka_unit_test(strndup_copies_and_terminates),
        cmocka_unit_test_teardown(the_nth_allocation_fails_once, let_all_succeed),
        cmocka_unit_test_teardown(every_way_to_allocate_can_fail_forever, let_all_succeed),
        cmocka_unit_test_teardown(another_thread_does_not_notice, let_all_succeed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
