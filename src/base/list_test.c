#include "base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct item {
    int number;
    struct lv_link link;
};

static int number_of(struct lv_link *link)
{
    return lv_container(link, struct item, link)->number;
}

/* The numbers as decimal digits in the list's order, to compare at one glance. */
static int digits(const struct lv_list *list)
{
    int all = 0;

    LV_LIST_EACH(list, link)
    all = all * 10 + number_of(link);
    return all;
}

static void links_keep_the_order_they_were_put_in(void **state)
{
    struct item a = {.number = 1}, b = {.number = 2}, c = {.number = 3}, d = {.number = 4};
    struct lv_list list;

    (void)state;
    lv_list_init(&list);
    assert_true(lv_list_is_empty(&list));
    assert_null(lv_list_first(&list));
    lv_list_push_back(&list, &b.link);
    lv_list_push_back(&list, &d.link);
    lv_list_push_front(&list, &a.link);
    lv_link_insert_before(&d.link, &c.link);
    assert_int_equal(digits(&list), 1234);
    assert_ptr_equal(lv_list_first(&list), &a.link);
}

static void a_removed_link_is_clear_and_may_come_back(void **state)
{
    struct item a = {.number = 1}, b = {.number = 2};
    struct lv_list list;

    (void)state;
    lv_list_init(&list);
    lv_list_push_back(&list, &a.link);
    lv_list_push_back(&list, &b.link);
    assert_true(lv_link_is_linked(&a.link));
    lv_link_remove(&a.link);
    assert_false(lv_link_is_linked(&a.link));
    lv_link_clear(&a.link); /* is in no list: nothing happens */
    lv_list_push_back(&list, &a.link);
    assert_int_equal(digits(&list), 21);
    lv_link_clear(&b.link);
    assert_int_equal(digits(&list), 1);
}

static void pop_front_gives_the_oldest_until_none_is_left(void **state)
{
    struct item a = {.number = 1}, b = {.number = 2};
    struct lv_list list;

    (void)state;
    lv_list_init(&list);
    lv_list_push_back(&list, &a.link);
    lv_list_push_back(&list, &b.link);
    assert_ptr_equal(lv_list_pop_front(&list), &a.link);
    assert_ptr_equal(lv_list_pop_front(&list), &b.link);
    assert_null(lv_list_pop_front(&list));
    assert_false(lv_link_is_linked(&b.link));
}

static void splicing_moves_all_behind_what_is_there(void **state)
{
    struct item a = {.number = 1}, b = {.number = 2}, c = {.number = 3};
    struct lv_list to, from;

    (void)state;
    lv_list_init(&to);
    lv_list_init(&from);
    lv_list_splice_back(&to, &from); /* nothing to nothing */
    assert_true(lv_list_is_empty(&to));
    lv_list_push_back(&to, &a.link);
    lv_list_push_back(&from, &b.link);
    lv_list_push_back(&from, &c.link);
    lv_list_splice_back(&to, &from);
    assert_int_equal(digits(&to), 123);
    assert_true(lv_list_is_empty(&from));
    lv_link_remove(&c.link);
    assert_int_equal(digits(&to), 12);
}

static void the_current_link_may_go_during_a_walk(void **state)
{
    struct item items[4] = {{.number = 1}, {.number = 2}, {.number = 3}, {.number = 4}};
    struct lv_list list;

    (void)state;
    lv_list_init(&list);
    for (size_t i = 0; i < LV_COUNT(items); i++)
        lv_list_push_back(&list, &items[i].link);
    LV_LIST_EACH(&list, link)
    {
        if (number_of(link) % 2 == 0)
            lv_link_remove(link);
    }
    assert_int_equal(digits(&list), 13);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(links_keep_the_order_they_were_put_in),
        cmocka_unit_test(a_removed_link_is_clear_and_may_come_back),
        cmocka_unit_test(pop_front_gives_the_oldest_until_none_is_left),
        cmocka_unit_test(splicing_moves_all_behind_what_is_there),
        cmocka_unit_test(the_current_link_may_go_during_a_walk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
