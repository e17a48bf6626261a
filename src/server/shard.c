#include "server/shard.h"

#include "base/alloc.h"
#include "io/clock.h"
#include "io/machine.h"
#include "io/socket.h"
#include "io/tls.h"
#include "server/connection.h"
#include "server/listener.h"
#include "session/amqp091/properties.h"

#include <stdio.h>

#define SHUTDOWN_TEXT "broker forced connection closure with reason 'shutdown'"
#define DRAIN_TEXT    "broker forced connection closure with reason 'drain'"
/* A sender whose ring is full looks again so soon, should the receiver's wake have missed it. */
#define CONGESTED_NS LV_NS_PER_MS

/* Of a link in the list of all. */
static struct lv_connection *connection_at(struct lv_link *link)
{
    assert(link != NULL);
    return lv_container(link, struct lv_connection, all);
}

/* The broker's way to other shards. */
static void send_op(void *ctx, uint32_t to, struct lv_op *op)
{
    struct lv_shard *shard = ctx;

    assert(to != shard->number);
    lv_mesh_send(shard->shared->mesh, shard->number, to, op);
}

/* Any thread. */
static void wake(void *ctx)
{
    struct lv_shard *shard = ctx;

    assert(shard->shared != NULL);
    lv_mesh_wake(shard->shared->mesh, shard->number);
}

/* What is stored for a user, for the check of his password. */
static bool find_user(void *ctx, struct lv_bytes name, char hash[LV_PASSWORD_HASH_SIZE])
{
    const struct lv_shard *shard = ctx;
    struct lv_user_view user;

    assert(shard->broker != NULL);
    if (!lv_broker_user(shard->broker, name, &user))
        return false;
    snprintf(hash, LV_PASSWORD_HASH_SIZE, "%.*s", LV_FMT(user.hash));
    return true;
}

/* ---- the parts of a turn ---- */

/* Oldest first. When the broker stops they are only closed. */
static void arrive(struct lv_call *call, struct lv_shard *shard)
{
    struct lv_arrival *arrival = lv_container(call, struct lv_arrival, call);

    assert(arrival->fd >= 0);
    if (shard->phase != LV_PHASE_RUNNING) {
        lv_arrival_free(arrival);
        return;
    }
    lv_connection_open(shard, arrival->fd, &arrival->peer, arrival->tls);
    lv_free(arrival);
}

/* Running a call may free it. */
static void take_calls(struct lv_shard *shard)
{
    struct lv_letter *letter = lv_mailbox_take(&shard->calls);

    assert(shard->shared != NULL);
    while (letter != NULL) {
        struct lv_call *call = lv_container(letter, struct lv_call, letter);

        letter = letter->next;
        call->run(call, shard);
    }
}

/* Sessions that pause again put themselves back when they go on, so the list is taken whole. */
static void resume_all(struct lv_shard *shard)
{
    struct lv_list batch;
    struct lv_link *link;

    lv_list_init(&batch);
    lv_list_splice_back(&batch, &shard->again);
    while ((link = lv_list_pop_front(&batch)) != NULL)
        lv_connection_resume(lv_container(link, struct lv_connection, waits));
    assert(lv_list_is_empty(&batch));
}

/* What the session puts back into the list while it is flushed has its turn next time. */
static void flush_all(struct lv_shard *shard)
{
    struct lv_list batch;
    struct lv_link *link;

    lv_list_init(&batch);
    lv_list_splice_back(&batch, &shard->dirty);
    while ((link = lv_list_pop_front(&batch)) != NULL)
        lv_connection_flush(lv_container(link, struct lv_connection, dirty));
    assert(lv_list_is_empty(&batch));
}

/* Shows the others what they were sent. As long as it does not fit, nothing new is read. */
static void publish_ops(struct lv_shard *shard)
{
    bool was_congested = shard->is_congested;

    assert(shard->shared->mesh != NULL);
    shard->is_congested = lv_spiller_is_behind(&shard->durable.spiller);
    if (shard->shared->shard_count > 1 && lv_mesh_publish(shard->shared->mesh, shard->number))
        shard->is_congested = true;
    if (was_congested && !shard->is_congested)
        lv_list_splice_back(&shard->again, &shard->held);
}

/* Every session hears of it; only those that publish stop, which the session knows. */
static void turn_alarms(struct lv_shard *shard, unsigned alarms)
{
    assert(alarms != shard->alarms);
    shard->alarms = alarms;
    LV_LIST_EACH(&shard->connections, link)
    {
        struct lv_connection *connection = connection_at(link);

        if (!connection->is_finished && !connection->is_lost)
            lv_session_alarm(connection->session, lv_alarms_text(alarms));
    }
}

/* By the shard that turned it, so the log has it once. */
static void tell_alarm(struct lv_memory *memory)
{
    uint64_t used = lv_memory_used(memory);

    assert(memory->high > 0);
    if (lv_memory_is_alarm(memory))
        lv_event(LV_WARN, "memory.alarm", LV_U("used", used), LV_U("limit", memory->high),
                 LV_S("effect", "publishers are blocked; consumers go on"));
    else
        lv_event(LV_WARN, "memory.alarm_ended", LV_U("used", used), LV_U("limit", memory->high));
}

/* Recycled pages don't count: the next messages need no more memory because of them, and counted
 * they would keep an alarm with a low limit on for ever. */
static uint64_t accounted_size(const struct lv_shard *shard)
{
    struct lv_broker_stats broker;
    struct lv_store_stats store;

    lv_broker_stats(shard->broker, &broker);
    lv_store_stats(shard->store, &store);
    assert(broker.memory_size >= store.spare_size);
    return broker.memory_size - store.spare_size + shard->pool.used_count * LV_OUT_CHUNK_SIZE +
           shard->left_size + shard->owed_size;
}

/* Consumers have taken something: who publishes to them is read again. */
static void follow_consumers(struct lv_shard *shard)
{
    uint64_t delivered = lv_broker_delivered(shard->broker);

    if (LV_UNLIKELY(!lv_list_is_empty(&shard->ahead)) && delivered != shard->delivered) {
        lv_list_splice_back(&shard->again, &shard->ahead);
        lv_deadline_cancel(&shard->deadlines, &shard->ahead_deadline);
    }
    shard->delivered = delivered;
}

/* What other shards have to hear is woken for: an idle one would sleep through the alarm. */
static void report_memory(struct lv_shard *shard)
{
    struct lv_memory *memory = &shard->shared->memory;
    uint64_t size = accounted_size(shard);

    if (size != shard->reported_size) {
        int64_t change = (int64_t)(size - shard->reported_size);

        shard->reported_size = size;
        if (lv_memory_report(memory, change)) {
            tell_alarm(memory);
            lv_mesh_wake_all(shard->shared->mesh);
        }
    }
    assert(shard->reported_size == size);
}

static void follow_alarms(struct lv_shard *shard)
{
    unsigned alarms = lv_alarms_now(&shard->shared->alarms);

    if (LV_UNLIKELY(alarms != shard->alarms))
        turn_alarms(shard, alarms);
    assert(shard->alarms == alarms);
}

/* Sessions in the handshake end at once, the others when their clients have answered. */
static void stop_all(struct lv_shard *shard)
{
    assert(shard->phase == LV_PHASE_STOPPING);
    LV_LIST_EACH(&shard->connections, link)
    {
        struct lv_connection *connection = connection_at(link);

        if (!connection->is_finished && !connection->is_lost)
            lv_session_stop(connection->session, SHUTDOWN_TEXT);
    }
}

/* Acks and confirms that came in this turn may have been the last ones. */
static void drain_all(struct lv_shard *shard)
{
    assert(shard->phase == LV_PHASE_DRAINING);
    LV_LIST_EACH(&shard->connections, link)
    {
        struct lv_connection *connection = connection_at(link);

        if (connection->is_finished || connection->is_lost)
            continue;
        if (lv_session_drain(connection->session, DRAIN_TEXT))
            shard->has_more =
                true; /* other shards are to hear of it, and this turn's word is out */
    }
}

/* Their sessions let go of what they have in the core, which may take more turns. */
static void drop_all(struct lv_shard *shard)
{
    assert(shard->phase == LV_PHASE_DROPPING);
    LV_LIST_EACH(&shard->connections, link)
    lv_connection_drop(connection_at(link));
}

/* The first shard's, as listeners live on its reactor. */
static void stop_listening(struct lv_shared *shared)
{
    for (unsigned i = 0; i < shared->listener_count; i++)
        lv_listener_close(&shared->listeners[i]);
    assert(shared->listener_count == 0 || shared->listeners != NULL);
}

/* One step; phases are never left out. */
static void enter_phase(struct lv_shard *shard, enum lv_phase phase)
{
    struct lv_shared *shared = shard->shared;

    assert(phase == shard->phase + 1);
    shard->phase = phase;
    shard->has_more = true; /* what is begun here goes to other shards with the next turn */
    if (phase == LV_PHASE_DRAINING) {
        lv_broker_rest(shard->broker);
        if (shard->number == 0)
            stop_listening(shared);
        atomic_fetch_add(&shared->stopping, 1);
        lv_reactor_wake(shared->main);
    } else if (phase == LV_PHASE_STOPPING) {
        /* It may be the reason, and what it means is to be said before the last words. */
        lv_durable_follow_error(&shard->durable);
        stop_all(shard);
    } else if (phase == LV_PHASE_DROPPING) {
        drop_all(shard);
    }
}

/* Does once what each new phase asks for; a slow shard may have missed the start of one. */
static void follow_phase(struct lv_shard *shard)
{
    enum lv_phase phase = lv_shared_phase(shard->shared);

    assert(phase >= shard->phase);
    while (LV_UNLIKELY(shard->phase < phase))
        enter_phase(shard, (enum lv_phase)(shard->phase + 1));
}

/* When the next turn has to come: at once if work is left. */
static uint64_t next_wait(struct lv_shard *shard)
{
    uint64_t deadline = lv_deadlines_next(&shard->deadlines);

    assert(shard->now > 0);
    if (shard->has_more || !lv_list_is_empty(&shard->dirty))
        return 0;
    if (shard->is_congested)
        return deadline < shard->now + CONGESTED_NS ? deadline : shard->now + CONGESTED_NS;
    return lv_list_is_empty(&shard->again) ? deadline : 0;
}

/* Without work left, says that it sleeps and looks once more before it does. */
static void wait(struct lv_shard *shard)
{
    struct lv_mesh *mesh = shard->shared->mesh;
    uint64_t deadline = next_wait(shard);

    assert(shard->reactor != NULL);
    shard->has_more = false;
    if (deadline > shard->now && !lv_mesh_may_sleep(mesh, shard->number))
        deadline = 0;
    lv_reactor_wait(shard->reactor, &shard->now, deadline);
    lv_mesh_awake(mesh, shard->number);
}

/* The turn. Operations are published before output is written, so that other shards work on them
 * while this one is in the kernel. */
static void run(void *ctx)
{
    struct lv_shard *shard = ctx;

    assert(shard->shared != NULL);
    shard->now = lv_clock_now();
    shard->has_more = true; /* what recovery has left to be done */
    while (shard->phase != LV_PHASE_ENDED) {
        wait(shard); /* and step what is ready */
        if (lv_deadlines_next(&shard->deadlines) <= shard->now)
            lv_deadlines_run(&shard->deadlines, shard->now);
        take_calls(shard);
        lv_mesh_take(shard->shared->mesh, shard->number, shard->broker);
        if (!shard->is_congested)
            resume_all(shard);
        lv_durable_take(&shard->durable);
        lv_logins_take(&shard->logins, shard->now);
        if (lv_broker_turn(shard->broker))
            shard->has_more = true;
        follow_consumers(shard);
        lv_durable_turn(&shard->durable);
        publish_ops(shard);
        flush_all(shard);
        report_memory(shard);
        follow_alarms(shard);
        follow_phase(shard);
        if (LV_UNLIKELY(shard->phase == LV_PHASE_DRAINING))
            drain_all(shard);
    }
}

/* ---- making and ending ---- */

/* The same hash key everywhere, as shards agree on where a name lives; seeds of their own, as
 * generated names must differ. */
static struct lv_broker *new_broker(struct lv_shard *shard)
{
    const struct lv_broker_config config = {
        .shard = shard->number,
        .shard_count = shard->shared->shard_count,
        .store = shard->store,
        .log = shard->durable.log,
        .cold = &lv_spiller_ops,
        .changed = lv_durable_changed,
        .log_ctx = &shard->durable,
        .first_segment = shard->durable.spiller.next_number,
        .first_serial = lv_clock_wall_us(),
        .properties = &lv_session_properties,
        .hash_key = shard->shared->hash_key,
        .seed = lv_machine_random(),
        .send = send_op,
        .send_ctx = shard,
    };

    assert(shard->store != NULL);
    return lv_broker_new(&config);
}

static int init_logins(struct lv_shard *shard)
{
    const struct lv_logins_config config = {
        .settings = shard->shared->settings,
        .deadlines = &shard->deadlines,
        .user = find_user,
        .answer = lv_connection_login,
        .wake = wake,
        .ctx = shard,
    };

    return lv_logins_init(&shard->logins, &config);
}

/* Everything that its thread will need, so that starting it can fail for one reason only. */
struct lv_shard *lv_shard_new(struct lv_shared *shared, uint32_t number)
{
    struct lv_shard *shard = lv_calloc(1, sizeof *shard);

    assert(number < shared->shard_count);
    if (shard == NULL)
        return NULL;
    shard->shared = shared;
    shard->number = number;
    lv_chatter_init(&shard->chatter, &shard->deadlines);
    lv_chunk_pool_init(&shard->pool);
    lv_mailbox_init(&shard->calls);
    lv_list_init(&shard->connections);
    lv_list_init(&shard->dirty);
    lv_list_init(&shard->again);
    lv_list_init(&shard->held);
    lv_list_init(&shard->ahead);
    lv_deadline_init(&shard->ahead_deadline, lv_connection_end_ahead);
    lv_list_init(&shard->closing);
    lv_deadline_init(&shard->closing_deadline, lv_connection_close_late);
    /* A session leaves less than a frame as long as it is not paused. */
    shard->buffer_size = LV_READ_SIZE + shared->limits.frame_max + 8;
    shard->buffer = lv_alloc(shard->buffer_size);
    shard->reactor = lv_reactor_new();
    shard->store = lv_store_new();
    if (shared->settings->tls_listeners.count > 0) {
        shard->tls_room = lv_tls_room_new();
        if (shard->tls_room == NULL)
            goto fail;
    }
    if (shard->buffer == NULL || shard->reactor == NULL || shard->store == NULL ||
        init_logins(shard) < 0 || lv_durable_init(&shard->durable, shard) < 0)
        goto fail;
    shard->broker = new_broker(shard);
    if (shard->broker == NULL)
        goto fail;
    lv_mesh_join(shared->mesh, number, shard->reactor);
    return shard;
fail:
    lv_shard_free(shard);
    return NULL;
}

/* The number is in the name, so that `top -H` shows which shard is busy. */
int lv_shard_start(struct lv_shard *shard)
{
    char name[16];
    int rc;

    assert(shard->broker != NULL);
    snprintf(name, sizeof name, "shard %u", shard->number);
    rc = lv_durable_start(&shard->durable);
    if (rc == 0)
        rc = lv_logins_start(&shard->logins, shard->number);
    if (rc == 0)
        rc = lv_thread_start(&shard->thread, name, run, shard);
    if (rc < 0) {
        lv_logins_stop(&shard->logins);
        lv_durable_stop(&shard->durable);
    }
    return rc;
}

/* The main thread's; it has the shard for itself again. */
void lv_shard_join(struct lv_shard *shard)
{
    assert(lv_shared_phase(shard->shared) == LV_PHASE_ENDED);
    lv_thread_join(&shard->thread);
    lv_logins_stop(&shard->logins);
    lv_durable_stop(&shard->durable);
}

/* Its connections are gone; what other shards sent to it is the mesh's to free. */
void lv_shard_free(struct lv_shard *shard)
{
    if (shard == NULL)
        return;
    assert(lv_list_is_empty(&shard->connections));
    take_calls(shard);
    lv_logins_fini(&shard->logins);
    lv_chatter_fini(&shard->chatter);
    lv_broker_free(shard->broker);
    lv_durable_fini(&shard->durable);
    lv_store_free(shard->store);
    lv_chunk_pool_fini(&shard->pool);
    lv_reactor_free(shard->reactor);
    lv_tls_room_free(shard->tls_room);
    lv_free(shard->buffer);
    lv_free(shard);
}

void lv_shard_call(struct lv_shard *shard, struct lv_call *call)
{
    assert(call->run != NULL);
    if (lv_mailbox_post(&shard->calls, &call->letter))
        lv_mesh_wake(shard->shared->mesh, shard->number);
}

struct lv_arrival *lv_arrival_new(int fd, const struct lv_address *peer)
{
    struct lv_arrival *arrival = lv_calloc(1, sizeof *arrival);

    assert(fd >= 0);
    if (arrival == NULL) {
        lv_socket_close(fd);
        return NULL;
    }
    arrival->fd = fd;
    arrival->peer = *peer;
    return arrival;
}

void lv_arrival_free(struct lv_arrival *arrival)
{
    assert(arrival->fd >= 0);
    lv_tls_free(arrival->tls);
    lv_socket_close(arrival->fd);
    lv_free(arrival);
}

/* Through the mailbox, since only its own thread may touch the shard. */
void lv_shard_give(struct lv_shard *shard, struct lv_arrival *arrival)
{
    assert(shard->shared != NULL);
    arrival->call.run = arrive;
    lv_shard_call(shard, &arrival->call);
}
