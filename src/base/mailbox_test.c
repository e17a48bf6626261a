#include "base/mailbox.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define THREAD_COUNT 3u
#define NOTE_COUNT   30000u

struct note {
    uint32_t poster;
    uint32_t number;
    struct lv_letter letter;
};

static void take_gives_letters_oldest_first(void **state)
{
    struct lv_mailbox box;
    struct note one = {.number = 1}, two = {.number = 2};
    struct lv_letter *first;

    (void)state;
    lv_mailbox_init(&box);
    assert_true(lv_mailbox_post(&box, &one.letter));  /* was empty: wake the owner */
    assert_false(lv_mailbox_post(&box, &two.letter)); /* already awake */
    first = lv_mailbox_take(&box);
    assert_ptr_equal(lv_container(first, struct note, letter), &one);
    assert_ptr_equal(lv_container(first->next, struct note, letter), &two);
    assert_null(first->next->next);
    assert_null(lv_mailbox_take(&box));
}

static void an_emptied_box_asks_for_a_wake_again(void **state)
{
    struct lv_mailbox box;
    struct note note = {.number = 1};

    (void)state;
    lv_mailbox_init(&box);
    assert_true(lv_mailbox_post(&box, &note.letter));
    assert_ptr_equal(lv_mailbox_take(&box), &note.letter);
    assert_true(lv_mailbox_post(&box, &note.letter));
    assert_ptr_equal(lv_mailbox_take(&box), &note.letter);
}

struct poster {
    struct lv_mailbox *box;
    uint32_t id;
    uint32_t wakes; /* how often it would have had to wake the owner */
    struct note notes[NOTE_COUNT];
};

static void *post_all(void *arg)
{
    struct poster *p = arg;

    for (uint32_t i = 0; i < NOTE_COUNT; i++) {
        p->notes[i] = (struct note){.poster = p->id, .number = i};
        p->wakes += lv_mailbox_post(p->box, &p->notes[i].letter);
    }
    return NULL;
}

static void letters_of_each_thread_arrive_once_and_in_order(void **state)
{
    static struct poster posters[THREAD_COUNT];
    struct lv_mailbox box;
    pthread_t threads[THREAD_COUNT];
    uint32_t next[THREAD_COUNT] = {0};
    uint32_t taken = 0, wrong = 0, full = 0, wakes = 0;

    (void)state;
    lv_mailbox_init(&box);
    for (uint32_t i = 0; i < THREAD_COUNT; i++) {
        posters[i].box = &box;
        posters[i].id = i;
        assert_int_equal(pthread_create(&threads[i], NULL, post_all, &posters[i]), 0);
    }
    while (taken < THREAD_COUNT * NOTE_COUNT) {
        struct lv_letter *letter = lv_mailbox_take(&box);
        full += letter != NULL;
        if (letter == NULL)
            sched_yield();
        for (; letter != NULL; letter = letter->next, taken++) {
            const struct note *note = lv_container(letter, struct note, letter);
            wrong += note->number != next[note->poster]++;
        }
    }
    for (uint32_t i = 0; i < THREAD_COUNT; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        wakes += posters[i].wakes;
    }
    assert_int_equal(wrong, 0);
    assert_int_equal(wakes, full); /* one wake for each time that there was something to take */
    assert_null(lv_mailbox_take(&box));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(take_gives_letters_oldest_first),
        cmocka_unit_test(an_emptied_box_asks_for_a_wake_again),
        cmocka_unit_test(letters_of_each_thread_arrive_once_and_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
