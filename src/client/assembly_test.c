#include "client/assembly.h"

#include "base/alloc.h"
#include "codec/amqp091/content.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define BODY_MAX 10000u

static const uint8_t no_properties[] = {0, 0};

/* Payload of a basic.deliver with the tag. */
static struct lv_bytes deliver(uint64_t tag, uint8_t *memory)
{
    const struct lv_amqp091_method method = {
        .id = LV_AMQP091_BASIC_DELIVER,
        .basic_deliver = {.consumer_tag = lv_text("c"), .delivery_tag = tag}};
    uint8_t *end = lv_amqp091_method_encode(&method, memory);

    return lv_bytes(memory, (size_t)(end - memory));
}

static struct lv_bytes header(uint64_t body_size, uint8_t *memory)
{
    const struct lv_amqp091_content content = {body_size,
                                               lv_bytes(no_properties, sizeof no_properties)};
    uint8_t *end = lv_amqp091_content_encode(&content, memory);

    return lv_bytes(memory, (size_t)(end - memory));
}

static void begin(struct lv_assembly *assembly, uint64_t body_size, int expected)
{
    uint8_t memory[128];
    struct lv_engine_message message;

    assert_int_equal(lv_assembly_method(assembly, deliver(7, memory), NULL), 0);
    assert_int_equal(
        lv_assembly_header(assembly, header(body_size, memory), BODY_MAX, &message, NULL),
        expected);
}

static void an_empty_body_needs_no_frame(void **state)
{
    struct lv_assembly assembly = {.state = LV_ASSEMBLY_IDLE};
    struct lv_engine_message message = {.body = lv_text("?")};
    uint8_t memory[128];

    (void)state;
    assert_int_equal(lv_assembly_method(&assembly, deliver(7, memory), NULL), 0);
    assert_int_equal(lv_assembly_header(&assembly, header(0, memory), BODY_MAX, &message, NULL), 1);
    assert_int_equal(message.method.id, LV_AMQP091_BASIC_DELIVER);
    assert_int_equal(message.method.basic_deliver.delivery_tag, 7);
    assert_int_equal(message.properties.size, 2);
    assert_int_equal(message.body.size, 0);
    lv_assembly_fini(&assembly);
}

static void a_body_in_one_frame_is_not_copied(void **state)
{
    struct lv_assembly assembly = {.state = LV_ASSEMBLY_IDLE};
    struct lv_engine_message message;
    struct lv_bytes body = lv_text("whole");

    (void)state;
    begin(&assembly, 5, 0);
    assert_int_equal(lv_assembly_body(&assembly, body, &message, NULL), 1);
    assert_ptr_equal(message.body.data, body.data);
    assert_null(assembly.body.data);
    lv_assembly_fini(&assembly);
}

static void a_body_in_parts_is_put_together_again_and_again(void **state)
{
    struct lv_assembly assembly = {.state = LV_ASSEMBLY_IDLE};
    struct lv_engine_message message;

    (void)state;
    for (int i = 0; i < 3; i++) {
        begin(&assembly, 6, 0);
        assert_int_equal(lv_assembly_body(&assembly, lv_text("ab"), &message, NULL), 0);
        assert_int_equal(lv_assembly_body(&assembly, lv_text(""), &message, NULL), 0);
        assert_int_equal(lv_assembly_body(&assembly, lv_text("cdef"), &message, NULL), 1);
        assert_true(lv_bytes_equal(message.body, lv_text("abcdef")));
    }
    lv_assembly_fini(&assembly);
}

static void frames_out_of_turn_are_refused(void **state)
{
    struct lv_assembly assembly = {.state = LV_ASSEMBLY_IDLE};
    struct lv_engine_message message;
    uint8_t memory[128];

    (void)state;
    assert_int_equal(lv_assembly_body(&assembly, lv_text("x"), &message, NULL),
                     -LV_E_UNEXPECTED_FRAME);
    assert_int_equal(lv_assembly_header(&assembly, header(1, memory), BODY_MAX, &message, NULL),
                     -LV_E_UNEXPECTED_FRAME);
    assert_int_equal(lv_assembly_method(&assembly, deliver(1, memory), NULL), 0);
    assert_int_equal(lv_assembly_method(&assembly, deliver(1, memory), NULL),
                     -LV_E_UNEXPECTED_FRAME);
    assert_int_equal(lv_assembly_body(&assembly, lv_text("x"), &message, NULL),
                     -LV_E_UNEXPECTED_FRAME);
    lv_assembly_fini(&assembly);
}

static void sizes_are_bounded_and_kept_to(void **state)
{
    struct lv_assembly assembly = {.state = LV_ASSEMBLY_IDLE};
    struct lv_engine_message message;

    (void)state;
    begin(&assembly, BODY_MAX + 1, -LV_E_CONTENT_TOO_LARGE);
    lv_assembly_fini(&assembly);
    begin(&assembly, 3, 0);
    assert_int_equal(lv_assembly_body(&assembly, lv_text("ab"), &message, NULL), 0);
    assert_int_equal(lv_assembly_body(&assembly, lv_text("cd"), &message, NULL), -LV_E_BAD_FRAME);
    lv_assembly_fini(&assembly);
}

static void an_announced_size_takes_no_memory(void **state)
{
    struct lv_assembly assembly = {.state = LV_ASSEMBLY_IDLE};
    struct lv_engine_message message;

    (void)state;
    begin(&assembly, BODY_MAX, 0);
    assert_int_equal(assembly.body.capacity, 0);
    assert_int_equal(lv_assembly_body(&assembly, lv_text("a"), &message, NULL), 0);
    assert_true(assembly.body.capacity < BODY_MAX);
    lv_assembly_fini(&assembly);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_body_needs_no_frame),
        cmocka_unit_test(a_body_in_one_frame_is_not_copied),
        cmocka_unit_test(a_body_in_parts_is_put_together_again_and_again),
        cmocka_unit_test(frames_out_of_turn_are_refused),
        cmocka_unit_test(sizes_are_bounded_and_kept_to),
        cmocka_unit_test(an_announced_size_takes_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
