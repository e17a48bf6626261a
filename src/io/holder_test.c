#include "io/holder.h"

#include "io/socket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void the_holder_of_a_port_is_found(void **state)
{
    const struct lv_address loopback = {.ip = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}};
    char text[LV_HOLDER_TEXT_SIZE], wanted[LV_HOLDER_TEXT_SIZE];
    int fd;

    (void)state;
    assert_int_equal(lv_socket_listen(&loopback, &fd, NULL), 0);
    snprintf(wanted, sizeof wanted, "io_holder_test (process %ld)", (long)getpid());
    assert_string_equal(lv_port_holder(lv_socket_local(fd).port, text), wanted);
    close(fd);
}

static void one_that_listens_by_ipv6_is_found_too(void **state)
{
    const struct lv_address any = {.port = 0};
    char text[LV_HOLDER_TEXT_SIZE];
    int fd;

    (void)state;
    assert_int_equal(lv_socket_listen(&any, &fd, NULL), 0);
    assert_non_null(strstr(lv_port_holder(lv_socket_local(fd).port, text), "io_holder_test"));
    close(fd);
}

static void a_port_that_nobody_holds_is_somebody_elses(void **state)
{
    char text[LV_HOLDER_TEXT_SIZE];

    (void)state;
    assert_string_equal(lv_port_holder(0, text), "a program of another user or container");
}

static void a_process_without_a_name_has_its_number(void **state)
{
    char text[LV_HOLDER_TEXT_SIZE];

    (void)state;
    assert_string_equal(lv_process_text(999999999, text), "process 999999999");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_holder_of_a_port_is_found),
        cmocka_unit_test(one_that_listens_by_ipv6_is_found_too),
        cmocka_unit_test(a_port_that_nobody_holds_is_somebody_elses),
        cmocka_unit_test(a_process_without_a_name_has_its_number),
    };

    return cmocka_run_group_tests_name("holder", tests, NULL, NULL);
}
