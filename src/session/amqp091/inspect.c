#include "session/amqp091/inspect.h"

#include "broker/inspect.h"
#include "session/amqp091/machine.h"

/* rabbitmqctl's words; what has none is near its end. */
static const char *const words[LV_SESSION_STATE_COUNT] = {
    [LV_SESSION_HEADER] = "starting",   [LV_SESSION_STARTING] = "starting",
    [LV_SESSION_LOGIN] = "securing",    [LV_SESSION_TUNING] = "tuning",
    [LV_SESSION_OPENING] = "opening",   [LV_SESSION_RUNNING] = "running",
    [LV_SESSION_RELEASING] = "closing", [LV_SESSION_CLOSING] = "closing",
    [LV_SESSION_LINGERING] = "closing", [LV_SESSION_FINISHED] = "closed",
};

void lv_session_inspect(const struct lv_session *session, struct lv_session_view *ret_view)
{
    uint32_t number = 0, channels = 0;

    assert(session->state < LV_SESSION_STATE_COUNT);
    while (lv_session_next_channel(session, &number) != NULL) {
        channels++;
        number++;
    }
    *ret_view = (struct lv_session_view){
        .state = words[session->state],
        .mechanism = session->mechanism == NULL ? "" : session->mechanism,
        .user = session->user == NULL ? lv_text("") : lv_text(session->user),
        .vhost = lv_text(""),
        .properties = lv_bytes(session->properties, session->properties_size),
        .out_size = session->out.size,
        .channels = channels,
        .frame_max = session->frame_max,
        .channel_max = session->channel_max,
        .heartbeat_s = session->heartbeat_s,
    };
    if (session->state == LV_SESSION_RUNNING && (session->pause & LV_PAUSE_ALARM))
        ret_view->state = "blocked";
    if (session->client != NULL) {
        struct lv_client_view client = lv_inspect_client(session->client);

        ret_view->user = client.user;
        ret_view->vhost = client.vhost;
        ret_view->client = client.id;
    }
}

struct lv_channel *lv_session_next_channel(const struct lv_session *session, uint32_t *number)
{
    assert(number != NULL);
    for (; *number < session->channel_capacity; ++*number) {
        const struct lv_session_channel *channel = session->channels[*number];

        if (channel != NULL && channel->core != NULL)
            return channel->core;
    }
    return NULL;
}
