/*
 * What a failure becomes: channel.close, connection.close, or silence.
 *
 * 0-9-1 §1.2 tells soft errors, which end a channel, from hard ones, which end the connection. In
 * what state the connection is decides what may still be said about it.
 */
#include "base/alloc.h"
#include "session/amqp091/machine.h"

#include <stdio.h>

/* As RabbitMQ puts it together: "NOT_FOUND - no queue …". reply-text is a short string. */
const char *lv_session_error_text(int error, const char *explanation, char text[256])
{
    int size = snprintf(text, 256, "%s - %s", lv_error_name(error), explanation);
    size_t end = 255;

    assert(size > 0);
    if (size < 256)
        return text;
    /* Cut before a character, not within one: clients decode the text as UTF-8. The byte that was
     * cut off is in `explanation`. */
    uint8_t cut = (uint8_t)explanation[end - strlen(lv_error_name(error)) - strlen(" - ")];
    if ((cut & 0xc0) == 0x80) {
        while (end > 0 && ((uint8_t)text[end - 1] & 0xc0) == 0x80)
            end--;
        if (end > 0)
            end--;
    }
    text[end] = '\0';
    return text;
}

/* The sentence is written down now: what it speaks of may be gone when it can be sent. */
static int keep_farewell(struct lv_session *session, int error, const struct lv_fault *fault)
{
    struct lv_session_farewell *farewell;

    assert(lv_error_code(error) > 0);
    if (session->farewell != NULL)
        return 0; /* the first reason is the one to tell */
    farewell = lv_alloc(sizeof *farewell);
    if (farewell == NULL)
        return -LV_E_NOMEM;
    farewell->code = (uint16_t)lv_error_code(error);
    farewell->method = fault->method;
    lv_session_error_text(error, fault->diag.text, farewell->text);
    session->farewell = farewell;
    lv_session_log(session, LV_WARN, "connection.error", farewell->text);
    return 0;
}

/* With a client in the core that has to be released first, the rest happens in the next step. */
static void fail_connection(struct lv_session *session, int error, const struct lv_fault *fault)
{
    assert(session->client != NULL || session->state != LV_SESSION_RUNNING);
    if (keep_farewell(session, error, fault) < 0) {
        lv_session_doom(session);
    } else if (session->state == LV_SESSION_RUNNING) {
        /* Perhaps we are within a callback of the core. */
        session->pause |= LV_PAUSE_ANSWER;
        lv_session_defer(session);
    } else {
        lv_session_release(session);
    }
}

/* A soft error costs the channel, a hard one the connection (0-9-1 §1.2). */
void lv_session_fail(struct lv_session *session, struct lv_session_channel *channel, int error,
                     const struct lv_fault *fault)
{
    char text[256];

    assert(error < 0);
    if (channel != NULL && !lv_error_is_hard(error)) {
        lv_session_channel_fail(channel, error, fault);
        return;
    }
    switch ((enum lv_session_state)session->state) {
    case LV_SESSION_HEADER:
    case LV_SESSION_STARTING:
    case LV_SESSION_LOGIN:
        /* RabbitMQ tells strangers nothing and makes them wait for it. */
        lv_session_log(session, LV_WARN, "handshake.error",
                       lv_session_error_text(error, fault->diag.text, text));
        lv_session_wait(session, LV_SESSION_LINGERING, LV_BOUND_LINGER);
        break;
    case LV_SESSION_TUNING:
    case LV_SESSION_OPENING:
    case LV_SESSION_RUNNING:
        fail_connection(session, error, fault);
        break;
    case LV_SESSION_CLOSING: /* only framing fails there: no close-ok can follow */
        lv_session_wait(session, LV_SESSION_LINGERING, LV_BOUND_LINGER);
        break;
    case LV_SESSION_RELEASING:
    case LV_SESSION_LINGERING:
    case LV_SESSION_FINISHED:
    case LV_SESSION_STATE_COUNT:
        LV_IMPOSSIBLE("no input is judged in this state");
    }
}
