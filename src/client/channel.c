#include "client/channel.h"

#include "base/alloc.h"

/* A call's answer; a basic.get has two. */
struct answer {
    uint32_t call;
    uint32_t answer;
};

/* Which method answers which call; what is not here has no answer. */
static const struct answer answers[] = {
    {LV_AMQP091_CONNECTION_OPEN, LV_AMQP091_CONNECTION_OPEN_OK},
    {LV_AMQP091_CONNECTION_CLOSE, LV_AMQP091_CONNECTION_CLOSE_OK},
    {LV_AMQP091_CONNECTION_UPDATE_SECRET, LV_AMQP091_CONNECTION_UPDATE_SECRET_OK},
    {LV_AMQP091_CHANNEL_OPEN, LV_AMQP091_CHANNEL_OPEN_OK},
    {LV_AMQP091_CHANNEL_FLOW, LV_AMQP091_CHANNEL_FLOW_OK},
    {LV_AMQP091_CHANNEL_CLOSE, LV_AMQP091_CHANNEL_CLOSE_OK},
    {LV_AMQP091_EXCHANGE_DECLARE, LV_AMQP091_EXCHANGE_DECLARE_OK},
    {LV_AMQP091_EXCHANGE_DELETE, LV_AMQP091_EXCHANGE_DELETE_OK},
    {LV_AMQP091_EXCHANGE_BIND, LV_AMQP091_EXCHANGE_BIND_OK},
    {LV_AMQP091_EXCHANGE_UNBIND, LV_AMQP091_EXCHANGE_UNBIND_OK},
    {LV_AMQP091_QUEUE_DECLARE, LV_AMQP091_QUEUE_DECLARE_OK},
    {LV_AMQP091_QUEUE_BIND, LV_AMQP091_QUEUE_BIND_OK},
    {LV_AMQP091_QUEUE_PURGE, LV_AMQP091_QUEUE_PURGE_OK},
    {LV_AMQP091_QUEUE_DELETE, LV_AMQP091_QUEUE_DELETE_OK},
    {LV_AMQP091_QUEUE_UNBIND, LV_AMQP091_QUEUE_UNBIND_OK},
    {LV_AMQP091_BASIC_QOS, LV_AMQP091_BASIC_QOS_OK},
    {LV_AMQP091_BASIC_CONSUME, LV_AMQP091_BASIC_CONSUME_OK},
    {LV_AMQP091_BASIC_CANCEL, LV_AMQP091_BASIC_CANCEL_OK},
    {LV_AMQP091_BASIC_GET, LV_AMQP091_BASIC_GET_OK},
    {LV_AMQP091_BASIC_GET, LV_AMQP091_BASIC_GET_EMPTY},
    {LV_AMQP091_BASIC_RECOVER, LV_AMQP091_BASIC_RECOVER_OK},
    {LV_AMQP091_CONFIRM_SELECT, LV_AMQP091_CONFIRM_SELECT_OK},
    {LV_AMQP091_TX_SELECT, LV_AMQP091_TX_SELECT_OK},
    {LV_AMQP091_TX_COMMIT, LV_AMQP091_TX_COMMIT_OK},
    {LV_AMQP091_TX_ROLLBACK, LV_AMQP091_TX_ROLLBACK_OK},
};

/* Numbers are reused, so a channel's memory is made once and reset. */
struct lv_engine_channel *lv_engine_channel_new(void)
{
    struct lv_engine_channel *channel = lv_calloc(1, sizeof *channel);

    if (channel != NULL)
        lv_unconfirmed_init(&channel->confirms);
    return channel;
}

/* What was awaited or unconfirmed will never be answered. */
void lv_engine_channel_reset(struct lv_engine_channel *channel)
{
    assert(channel != NULL);
    lv_unconfirmed_fini(&channel->confirms);
    lv_assembly_fini(&channel->assembly);
    channel->open = false;
    channel->confirming = false;
    channel->awaited_count = 0;
}

/* Takes NULL, as most numbers never had a channel. */
void lv_engine_channel_free(struct lv_engine_channel *channel)
{
    if (channel == NULL)
        return;
    assert(channel->awaited_count <= LV_ENGINE_AWAITED_MAX);
    lv_engine_channel_reset(channel);
    lv_free(channel);
}

/* Some calls have a second answer, so the table is looked through to its end. */
static bool is_pair(uint32_t call, uint32_t answer)
{
    assert(call != 0);
    for (size_t i = 0; i < LV_COUNT(answers); i++)
        if (answers[i].call == call && answers[i].answer == answer)
            return true;
    return false;
}

/* Publishes and acknowledgements are not; waiting for them would never end. */
bool lv_engine_channel_is_answered(uint32_t id)
{
    assert(id != 0);
    for (size_t i = 0; i < LV_COUNT(answers); i++)
        if (answers[i].call == id)
            return true;
    return false;
}

/* Brokers answer in the order in which they were asked. */
int lv_engine_channel_await(struct lv_engine_channel *channel, uint32_t id)
{
    assert(lv_engine_channel_is_answered(id));
    if (channel->awaited_count == LV_ENGINE_AWAITED_MAX)
        return -LV_E_RESOURCE;
    channel->awaited[(channel->awaited_first + channel->awaited_count) % LV_ENGINE_AWAITED_MAX] =
        id;
    channel->awaited_count++;
    return 0;
}

/* False when the broker answers what was not asked, which ends the connection. */
bool lv_engine_channel_answer(struct lv_engine_channel *channel, uint32_t answer)
{
    assert(channel->awaited_count <= LV_ENGINE_AWAITED_MAX);
    if (channel->awaited_count == 0 || !is_pair(channel->awaited[channel->awaited_first], answer))
        return false;
    channel->awaited_first = (channel->awaited_first + 1) % LV_ENGINE_AWAITED_MAX;
    channel->awaited_count--;
    return true;
}
