#include "client/channel.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void answers_come_in_the_order_of_calls(void **state)
{
    struct lv_engine_channel *channel = lv_engine_channel_new();

    (void)state;
    assert_non_null(channel);
    assert_int_equal(lv_engine_channel_await(channel, LV_AMQP091_QUEUE_DECLARE), 0);
    assert_int_equal(lv_engine_channel_await(channel, LV_AMQP091_BASIC_GET), 0);
    assert_false(lv_engine_channel_answer(channel, LV_AMQP091_BASIC_GET_EMPTY));
    assert_true(lv_engine_channel_answer(channel, LV_AMQP091_QUEUE_DECLARE_OK));
    assert_false(lv_engine_channel_answer(channel, LV_AMQP091_QUEUE_DECLARE_OK));
    assert_true(lv_engine_channel_answer(channel, LV_AMQP091_BASIC_GET_EMPTY));
    assert_false(lv_engine_channel_answer(channel, LV_AMQP091_BASIC_GET_EMPTY));
    lv_engine_channel_free(channel);
}

static void a_get_has_two_answers_and_exchange_unbind_a_strange_one(void **state)
{
    struct lv_engine_channel *channel = lv_engine_channel_new();

    (void)state;
    assert_non_null(channel);
    assert_int_equal(lv_engine_channel_await(channel, LV_AMQP091_BASIC_GET), 0);
    assert_true(lv_engine_channel_answer(channel, LV_AMQP091_BASIC_GET_OK));
    assert_int_equal(lv_engine_channel_await(channel, LV_AMQP091_EXCHANGE_UNBIND), 0);
    assert_true(lv_engine_channel_answer(channel, LV_AMQP091_EXCHANGE_UNBIND_OK));
    assert_int_equal(LV_AMQP091_EXCHANGE_UNBIND_OK & 0xffff, 51);
    lv_engine_channel_free(channel);
}

/* Every method of the client that the protocol calls synchronous has an answer. */
static void what_is_synchronous_is_answered(void **state)
{
    static const uint32_t silent[] = {LV_AMQP091_BASIC_PUBLISH, LV_AMQP091_BASIC_ACK,
                                      LV_AMQP091_BASIC_NACK, LV_AMQP091_BASIC_REJECT,
                                      LV_AMQP091_CHANNEL_CLOSE_OK};
    static const uint32_t answered[] = {
        LV_AMQP091_CHANNEL_OPEN,    LV_AMQP091_CHANNEL_CLOSE,    LV_AMQP091_EXCHANGE_DECLARE,
        LV_AMQP091_EXCHANGE_DELETE, LV_AMQP091_QUEUE_DECLARE,    LV_AMQP091_QUEUE_BIND,
        LV_AMQP091_QUEUE_UNBIND,    LV_AMQP091_QUEUE_PURGE,      LV_AMQP091_QUEUE_DELETE,
        LV_AMQP091_BASIC_QOS,       LV_AMQP091_BASIC_CONSUME,    LV_AMQP091_BASIC_CANCEL,
        LV_AMQP091_BASIC_GET,       LV_AMQP091_BASIC_RECOVER,    LV_AMQP091_CONFIRM_SELECT,
        LV_AMQP091_TX_SELECT,       LV_AMQP091_CONNECTION_CLOSE,
    };

    (void)state;
    for (size_t i = 0; i < LV_COUNT(silent); i++)
        assert_false(lv_engine_channel_is_answered(silent[i]));
    for (size_t i = 0; i < LV_COUNT(answered); i++)
        assert_true(lv_engine_channel_is_answered(answered[i]));
}

static void the_ring_of_calls_goes_round_and_has_an_end(void **state)
{
    struct lv_engine_channel *channel = lv_engine_channel_new();

    (void)state;
    assert_non_null(channel);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < LV_ENGINE_AWAITED_MAX; i++)
            assert_int_equal(lv_engine_channel_await(channel, LV_AMQP091_BASIC_QOS), 0);
        assert_int_equal(lv_engine_channel_await(channel, LV_AMQP091_BASIC_QOS), -LV_E_RESOURCE);
        for (unsigned i = 0; i < LV_ENGINE_AWAITED_MAX; i++)
            assert_true(lv_engine_channel_answer(channel, LV_AMQP091_BASIC_QOS_OK));
        /* so that the next round begins somewhere else in the ring */
        assert_int_equal(lv_engine_channel_await(channel, LV_AMQP091_BASIC_QOS), 0);
        assert_true(lv_engine_channel_answer(channel, LV_AMQP091_BASIC_QOS_OK));
    }
    lv_engine_channel_free(channel);
}

static void a_reset_channel_awaits_nothing(void **state)
{
    struct lv_engine_channel *channel = lv_engine_channel_new();
    uint64_t tag;

    (void)state;
    assert_non_null(channel);
    channel->open = channel->confirming = true;
    assert_int_equal(lv_engine_channel_await(channel, LV_AMQP091_BASIC_QOS), 0);
    assert_int_equal(lv_unconfirmed_open(&channel->confirms, &tag), 0);
    lv_engine_channel_reset(channel);
    assert_false(channel->open);
    assert_false(channel->confirming);
    assert_false(lv_engine_channel_answer(channel, LV_AMQP091_BASIC_QOS_OK));
    assert_int_equal(lv_unconfirmed_count(&channel->confirms), 0);
    lv_engine_channel_free(channel);
    lv_engine_channel_free(NULL);
}

static void lack_of_memory_makes_no_channel(void **state)
{
    (void)state;
    lv_alloc_fail_after(1, 0);
    assert_null(lv_engine_channel_new());
    lv_alloc_fail_after(0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_come_in_the_order_of_calls),
        cmocka_unit_test(a_get_has_two_answers_and_exchange_unbind_a_strange_one),
        cmocka_unit_test(what_is_synchronous_is_answered),
        cmocka_unit_test(the_ring_of_calls_goes_round_and_has_an_end),
        cmocka_unit_test(a_reset_channel_awaits_nothing),
        cmocka_unit_test(lack_of_memory_makes_no_channel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
