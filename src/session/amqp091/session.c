/*
 * The life of a session: its states, its pauses, its time and its end.
 *
 * Calls from the host are steps. They may nest (the host answers `login` within the call), and the
 * core calls back within them; whatever has to wait until the stack is clear again (commands to the
 * core, `finished`) is done by the outermost one when it leaves.
 */
#include "session/amqp091/session.h"

#include "base/alloc.h"
#include "broker/inspect.h"
#include "codec/amqp091/method.h"
#include "session/amqp091/inspect.h"
#include "session/amqp091/machine.h"

#define BIT(state) (1u << LV_SESSION_##state)

/* Where each state may lead. */
static const uint16_t allowed[LV_SESSION_STATE_COUNT] = {
    [LV_SESSION_HEADER] = BIT(STARTING) | BIT(LINGERING) | BIT(FINISHED),
    [LV_SESSION_STARTING] = BIT(LOGIN) | BIT(LINGERING) | BIT(FINISHED),
    [LV_SESSION_LOGIN] = BIT(TUNING) | BIT(LINGERING) | BIT(FINISHED),
    [LV_SESSION_TUNING] = BIT(OPENING) | BIT(CLOSING) | BIT(LINGERING) | BIT(FINISHED),
    [LV_SESSION_OPENING] = BIT(RUNNING) | BIT(CLOSING) | BIT(LINGERING) | BIT(FINISHED),
    [LV_SESSION_RUNNING] = BIT(RELEASING),
    [LV_SESSION_RELEASING] = BIT(CLOSING) | BIT(LINGERING) | BIT(FINISHED),
    [LV_SESSION_CLOSING] = BIT(LINGERING) | BIT(FINISHED),
    [LV_SESSION_LINGERING] = BIT(FINISHED),
    [LV_SESSION_FINISHED] = 0,
};

/* For the log and for golden traces. */
static const char *const state_names[LV_SESSION_STATE_COUNT] = {
    [LV_SESSION_HEADER] = "header",       [LV_SESSION_STARTING] = "starting",
    [LV_SESSION_LOGIN] = "login",         [LV_SESSION_TUNING] = "tuning",
    [LV_SESSION_OPENING] = "opening",     [LV_SESSION_RUNNING] = "running",
    [LV_SESSION_RELEASING] = "releasing", [LV_SESSION_CLOSING] = "closing",
    [LV_SESSION_LINGERING] = "lingering", [LV_SESSION_FINISHED] = "finished",
};

/* The host knows who the peer is and what level is wanted. */
void lv_session_log(struct lv_session *session, enum lv_level level, const char *name,
                    const char *why)
{
    assert(name != NULL);
    assert(why != NULL);
    session->host->event(session->host_ctx, level, name, why);
}

/* Every change of state goes through here and into the trace that tests compare. */
void lv_session_move_to(struct lv_session *session, enum lv_session_state state)
{
    assert(allowed[session->state] & 1u << state);
    session->state = (uint8_t)state;
    lv_session_log(session, LV_DEBUG, "connection.state", state_names[state]);
}

/* Several reasons may hold the input at once; the last one that ends lets it go on. */
void lv_session_resume(struct lv_session *session, unsigned reasons)
{
    assert(reasons != 0);
    if ((session->pause & reasons) == 0)
        return;
    session->pause &= (uint8_t)~reasons;
    if (session->pause != 0)
        return;
    if (session->depth > 0)
        session->resumed = true; /* looked at by the loop over the input, or at the step's end */
    else
        session->host->resume(session->host_ctx);
}

/* For what must not happen within a step of the core: at the end of the session's own. */
void lv_session_defer(struct lv_session *session)
{
    assert(session->host != NULL);
    session->deferred = true;
    if (session->depth == 0)
        session->host->resume(session->host_ctx);
}

/* CLOSING and LINGERING may begin in calls that know no time. */
void lv_session_wait(struct lv_session *session, enum lv_session_state state, uint32_t ms)
{
    assert(ms > 0);
    lv_session_move_to(session, state);
    session->wait_ms = ms;
    session->is_timing = false;
    /* Due at once: what fires knows the time, from which the wait is counted. */
    lv_deadline_set(session->deadlines, &session->deadline, 0);
    lv_session_resume(session, LV_PAUSE_ANSWER | LV_PAUSE_FULL | LV_PAUSE_ALARM | LV_PAUSE_DRAIN);
}

/* May be called in the middle of a callback, so the end is left to the next step. */
void lv_session_doom(struct lv_session *session)
{
    assert(session->host != NULL);
    if (session->doomed)
        return;
    session->doomed = true;
    if (session->depth == 0)
        session->host->resume(session->host_ctx);
}

/* First the deliveries stop, and only far above that the input: a client that publishes and
 * consumes goes on publishing while it reads slowly. */
void lv_session_throttle(struct lv_session *session)
{
    assert(session->out.size > session->limits->out_high);
    if (session->is_writable && session->client != NULL) {
        session->is_writable = false;
        lv_client_set_writable(session->client, false);
    }
    if (session->out.size > session->limits->out_full && session->state == LV_SESSION_RUNNING)
        session->pause |= LV_PAUSE_FULL;
}

/* connection.close with what was kept for it. */
static void send_farewell(struct lv_session *session)
{
    const struct lv_session_farewell *farewell = session->farewell;
    struct lv_amqp091_method method = {.id = LV_AMQP091_CONNECTION_CLOSE};

    assert(farewell != NULL);
    method.connection_close.reply_code = farewell->code;
    method.connection_close.reply_text = lv_text(farewell->text);
    method.connection_close.class_id = (uint16_t)(farewell->method >> 16);
    method.connection_close.method_id = (uint16_t)farewell->method;
    lv_session_send(session, 0, &method);
    lv_free(session->farewell);
    session->farewell = NULL;
}

/* The core has forgotten the connection; what is left is what the peer is still owed. */
void lv_session_release(struct lv_session *session)
{
    assert(session->client == NULL);
    if (session->farewell != NULL && !session->doomed) {
        send_farewell(session);
        if (session->out_of_step)
            lv_session_wait(session, LV_SESSION_LINGERING, LV_BOUND_LINGER);
        else
            lv_session_wait(session, LV_SESSION_CLOSING, LV_BOUND_CLOSE_OK);
        return;
    }
    if (session->owes_close_ok && !session->doomed) {
        struct lv_amqp091_method method = {.id = LV_AMQP091_CONNECTION_CLOSE_OK};
        lv_session_send(session, 0, &method);
    }
    lv_session_move_to(session, LV_SESSION_FINISHED);
}

/* Deletes exclusive queues before the farewell is sent, so that whoever reconnects finds them gone.
 */
static void leave_core(struct lv_session *session)
{
    struct lv_session_pending pending = session->pending;

    assert(session->state == LV_SESSION_RUNNING);
    lv_session_move_to(session, LV_SESSION_RELEASING);
    session->pause |= LV_PAUSE_ANSWER;
    lv_deadline_cancel(session->deadlines, &session->deadline);
    session->pending = (struct lv_session_pending){.channel = NULL};
    lv_free(pending.consumer); /* its reply will not come */
    lv_client_close(session->client);
}

/* The end, from whatever state: the socket is gone or nothing can be said on it. */
static void drop(struct lv_session *session)
{
    assert(session->depth > 0);
    lv_free(session->farewell);
    session->farewell = NULL;
    session->owes_close_ok = false;
    if (session->state == LV_SESSION_RUNNING)
        leave_core(session);
    else if (session->state != LV_SESSION_RELEASING && session->state != LV_SESSION_FINISHED)
        lv_session_move_to(session, LV_SESSION_FINISHED);
}

/* What a callback or a frame has left to be done outside the core. */
static void run_deferred(struct lv_session *session)
{
    assert(session->depth > 0);
    session->deferred = false;
    if (session->state != LV_SESSION_RUNNING)
        return;
    if (session->farewell != NULL || session->owes_close_ok)
        leave_core(session);
    else
        lv_session_channels_close_failed(session);
}

/* Every call from the host is a step. What callbacks had to leave is done at its end, and the host
 * is told last that the session is finished, as it may free it then. */
static void enter(struct lv_session *session)
{
    assert(session->depth < UINT32_MAX);
    session->depth++;
}

/* Steps may nest, as the core calls back; only the outermost tidies up. */
static void leave(struct lv_session *session)
{
    assert(session->depth > 0);
    if (session->depth == 1) {
        if (session->deferred)
            run_deferred(session);
        if (session->doomed)
            drop(session);
    }
    session->depth--;
    if (session->depth > 0)
        return;
    if (session->resumed && session->state != LV_SESSION_FINISHED)
        session->host->resume(session->host_ctx);
    session->resumed = false;
    if (session->state == LV_SESSION_FINISHED && !session->is_told) {
        session->is_told = true;
        lv_deadline_cancel(session->deadlines, &session->deadline);
        session->host->finished(session->host_ctx);
    }
}

/* The core is done, after all commands under way have been answered. */
void lv_session_client_closed(void *client_ctx)
{
    struct lv_session *session = client_ctx;

    assert(session->state == LV_SESSION_RELEASING);
    session->client = NULL;
    session->deferred = false;
    lv_session_channels_fini(session);
    enter(session);
    lv_session_release(session);
    leave(session);
}

/* The core does not log. */
void lv_session_warned(void *client_ctx, const char *name, const char *why)
{
    struct lv_session *session = client_ctx;

    assert(session->client != NULL);
    lv_session_log(session, LV_WARN, name, why);
}

/* Within a step of the core, which the session leaves when that is over. */
void lv_session_forced(void *client_ctx, const char *why)
{
    struct lv_session *session = client_ctx;
    struct lv_fault fault = {.method = 0};

    assert(session->client != NULL);
    if (session->state == LV_SESSION_RUNNING && session->farewell == NULL)
        lv_session_fail(session, NULL, lv_fail(&fault.diag, -LV_E_CONNECTION_FORCED, "%s", why),
                        &fault);
}

/* The session cannot tell whether its peer lives; its host can look at the socket. */
void lv_session_probe(void *client_ctx, bool is_same)
{
    struct lv_session *session = client_ctx;

    assert(session->client != NULL);
    session->host->probe(session->host_ctx, is_same);
}

/* Bytes came, or the socket says that they arrived. */
void lv_session_alive(struct lv_session *session)
{
    assert(session->host != NULL);
    if (session->client != NULL)
        lv_client_alive(session->client);
}

/* 0-9-1 §4.2.7: on channel 0, with no payload. */
static void send_heartbeat(struct lv_session *session)
{
    static const uint8_t heartbeat[] = {LV_AMQP091_FRAME_HEARTBEAT, 0, 0, 0, 0, 0, 0,
                                        LV_AMQP091_FRAME_END};

    if (lv_out_copy(&session->out, lv_bytes(heartbeat, sizeof heartbeat)) < 0)
        lv_session_doom(session);
    else
        lv_session_wrote(session);
}

/* So that a peer that is gone cannot answer, and one that is there need not. */
void lv_session_prod(struct lv_session *session)
{
    assert(session->host != NULL);
    if (session->state == LV_SESSION_RUNNING && !session->doomed)
        send_heartbeat(session);
}

/* Twice per interval: something must go out. Once per interval: something must have come in, unless
 * it is our own choice not to read. True when the peer has been silent for too long. */
static bool heartbeat_tick(struct lv_session *session)
{
    assert(session->heartbeat_s > 0);
    if (!session->has_sent)
        send_heartbeat(session);
    session->has_sent = false;
    session->half_tick = !session->half_tick;
    if (session->half_tick)
        return false;
    if (session->has_received ||
        (session->pause & (LV_PAUSE_ANSWER | LV_PAUSE_ALARM | LV_PAUSE_DRAIN)))
        session->silent_checks = 0;
    else
        session->silent_checks++;
    session->has_received = false;
    return session->silent_checks >= 2;
}

/* Half an interval ahead: that often something has to be sent. */
void lv_session_arm_heartbeat(struct lv_session *session, uint64_t now)
{
    assert(session->state == LV_SESSION_RUNNING);
    if (session->heartbeat_s == 0)
        lv_deadline_cancel(session->deadlines, &session->deadline);
    else
        lv_deadline_set(session->deadlines, &session->deadline,
                        now + session->heartbeat_s * (LV_NS_PER_S / 2));
}

/* The handshake took too long, or the last wait is over. */
static void time_is_up(struct lv_session *session)
{
    assert(session->depth > 0);
    if (session->state < LV_SESSION_RUNNING)
        lv_session_log(session, LV_WARN, "handshake.timeout", state_names[session->state]);
    drop(session);
}

/* One deadline serves all of a session's life; what it means depends on the state. */
static void on_deadline(struct lv_deadline *deadline, uint64_t now)
{
    struct lv_session *session = lv_container(deadline, struct lv_session, deadline);

    assert(session->deadlines != NULL);
    enter(session);
    if (session->state == LV_SESSION_RUNNING) {
        if (heartbeat_tick(session)) {
            lv_session_log(session, LV_WARN, "heartbeat.missed", "");
            drop(session);
        } else {
            lv_session_arm_heartbeat(session, now);
        }
    } else if (session->state > LV_SESSION_RUNNING && !session->is_timing) {
        session->is_timing = true;
        lv_deadline_set(session->deadlines, deadline, now + session->wait_ms * LV_NS_PER_MS);
    } else {
        time_is_up(session);
    }
    leave(session);
}

/* Everything a connection needs before it has said a word, and nothing that only a client needs. */
struct lv_session *lv_session_new(const struct lv_session_config *config, uint64_t now)
{
    struct lv_session *session = lv_calloc(1, sizeof *session);

    assert(config->limits->out_low <= config->limits->out_high);
    assert(config->limits->out_high <= config->limits->out_full);
    if (session == NULL)
        return NULL;
    lv_out_init(&session->out, config->pool);
    session->host = config->host;
    session->host_ctx = config->host_ctx;
    session->limits = config->limits;
    session->broker = config->broker;
    session->deadlines = config->deadlines;
    session->version = config->version;
    session->certified = config->certified;
    session->information = config->information;
    session->origin = config->origin;
    session->frame_max = LV_BOUND_HANDSHAKE_FRAME;
    session->is_writable = true;
    lv_deadline_init(&session->deadline, on_deadline);
    lv_deadline_set(session->deadlines, &session->deadline,
                    now + config->limits->handshake_ms * LV_NS_PER_MS);
    return session;
}

/* The core knows it no more, and no step is under way. */
void lv_session_free(struct lv_session *session)
{
    assert(session->client == NULL);
    assert(session->depth == 0);
    lv_deadline_cancel(session->deadlines, &session->deadline);
    lv_session_channels_fini(session);
    lv_free(session->farewell);
    lv_free(session->user);
    lv_free(session->properties);
    lv_out_fini(&session->out);
    lv_free(session);
}

/* As many steps as the bytes make, until something pauses the input; what is not used comes again.
 */
size_t lv_session_input(struct lv_session *session, struct lv_bytes input, uint64_t now)
{
    size_t used = 0;

    enter(session);
    if (input.size > 0)
        session->has_received = true;
    if (session->deferred)
        run_deferred(session);
    while (used < input.size && session->pause == 0 && !session->doomed) {
        size_t step = lv_session_take(session, lv_bytes(input.data + used, input.size - used), now);
        assert(step <= input.size - used);
        if (step == 0 && !session->is_retried)
            break;
        session->is_retried = false;
        used += step;
        if (LV_UNLIKELY(session->deferred))
            run_deferred(session);
    }
    session->resumed = false;
    leave(session);
    return used;
}

/* There is nobody to say goodbye to; the core takes back what was out. */
void lv_session_lost(struct lv_session *session)
{
    assert(session->state != LV_SESSION_FINISHED);
    enter(session);
    session->doomed = true;
    leave(session);
}

/* From whoever checks passwords, in time or not. */
void lv_session_login(struct lv_session *session, const char *refusal)
{
    assert(session->host != NULL);
    if (session->state != LV_SESSION_LOGIN)
        return; /* the time was up before the answer came */
    enter(session);
    lv_session_logged_in(session, refusal);
    leave(session);
}

/* RabbitMQ's 320; who has not logged in yet is only cut off. */
void lv_session_stop(struct lv_session *session, const char *text)
{
    struct lv_fault fault = {.method = 0};

    assert(text != NULL);
    enter(session);
    if (session->state < LV_SESSION_TUNING) {
        drop(session);
    } else if (session->state <= LV_SESSION_RUNNING) {
        lv_session_fail(session, NULL, lv_fail(&fault.diag, -LV_E_CONNECTION_FORCED, "%s", text),
                        &fault);
    }
    leave(session);
}

typedef bool channel_fn(const struct lv_channel *channel);

static bool any_channel(const struct lv_session *session, channel_fn *test)
{
    const struct lv_channel *channel;

    assert(test != NULL);
    for (uint32_t number = 0; (channel = lv_session_next_channel(session, &number)) != NULL;
         number++) {
        if (test(channel))
            return true;
    }
    return false;
}

/* A worker publishes what came of a delivery before it acknowledges that, so as long as it holds
 * one it may do all that it always may. What is not read then can't open another promise, so the
 * confirms come to an end. */
bool lv_session_drain(struct lv_session *session, const char *text)
{
    assert(text != NULL);
    if (session->state > LV_SESSION_RUNNING || session->farewell != NULL ||
        session->owes_close_ok || session->doomed)
        return false; /* on its way out */
    if (session->state == LV_SESSION_RUNNING) {
        if (!any_channel(session, lv_inspect_has_unacked))
            session->pause |= LV_PAUSE_DRAIN;
        if (!(session->pause & LV_PAUSE_DRAIN) || any_channel(session, lv_inspect_has_unconfirmed))
            return false;
    }
    lv_session_stop(session, text);
    return true;
}

/* Only publishers are held, and told once (RabbitMQ's connection.blocked). */
void lv_session_alarm(struct lv_session *session, const char *reason)
{
    struct lv_amqp091_method method = {.id = LV_AMQP091_CONNECTION_UNBLOCKED};

    assert(session->depth == 0);
    enter(session);
    session->alarm = reason;
    if (reason == NULL && session->told_blocked && session->state == LV_SESSION_RUNNING)
        lv_session_send(session, 0, &method);
    if (reason == NULL) {
        session->told_blocked = false;
        lv_session_resume(session, LV_PAUSE_ALARM);
    }
    leave(session);
}

/* The host writes from it what the socket takes. */
struct lv_out *lv_session_out(struct lv_session *session)
{
    assert(session->limits != NULL);
    return &session->out;
}

/* Between the low and the high mark nothing changes, or a slow reader would make it flap. */
void lv_session_flushed(struct lv_session *session)
{
    assert(session->limits != NULL);
    session->flush_asked = false;
    /* The peer reads, even though we don't: that is a sign of life. */
    if (session->pause & LV_PAUSE_FULL)
        session->has_received = true;
    if (session->out.size >= session->limits->out_low)
        return;
    if (!session->is_writable) {
        session->is_writable = true;
        if (session->client != NULL)
            lv_client_set_writable(session->client, true);
    }
    lv_session_resume(session, LV_PAUSE_FULL);
}

bool lv_session_took_lead(struct lv_session *session)
{
    return session->state == LV_SESSION_RUNNING && lv_client_took_lead(session->client);
}

/* Then the host keeps what has come and stops reading when that is too much. */
bool lv_session_is_paused(const struct lv_session *session)
{
    assert(session->host != NULL);
    return session->pause != 0;
}
