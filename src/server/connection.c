#include "server/connection.h"

#include "base/alloc.h"
#include "io/clock.h"
#include "io/socket.h"
#include "io/tls.h"
#include "lv_version.h"
#include "server/probe.h"
#include "server/shard.h"

/* How long a peer may take to read the last words. */
#define LAST_WORDS_NS (3 * LV_NS_PER_S)

/* Once per turn is enough, however often the session writes. */
static void mark_dirty(struct lv_connection *connection)
{
    assert(connection->watch.fd >= 0);
    if (!lv_link_is_linked(&connection->dirty))
        lv_list_push_back(&connection->shard->dirty, &connection->dirty);
}

/* The peer's text is only made for lines that will be written. */
static void say(const struct lv_connection *connection, enum lv_level level, const char *name,
                const char *why)
{
    struct lv_shard *shard = connection->shard;
    char peer[LV_ADDRESS_TEXT_SIZE];

    assert(why != NULL);
    if (!lv_event_is_heard(level) || !lv_chatter_may_say(&shard->chatter, level, name, shard->now))
        return;
    lv_address_text(&connection->peer, peer);
    lv_event(level, name, LV_S("peer", peer), LV_S("why", why));
}

/* ---- what the session asks of us ---- */

/* Once per turn a dirty connection is written, whatever the session wrote in between. */
static void on_flush(void *ctx)
{
    struct lv_connection *connection = ctx;

    assert(ctx != NULL);
    if (!connection->is_full) /* else epoll says when */
        mark_dirty(connection);
}

/* A password that was right lately is right at once; else the session hears later. */
static void on_login(void *ctx, const struct lv_login *login)
{
    struct lv_connection *connection = ctx;
    struct lv_shard *shard = connection->shard;
    const struct lv_login_question question = {login, &connection->peer, connection};
    struct lv_diag diag = {""};
    int rc;

    assert(connection->attempt == NULL);
    rc = lv_logins_ask(&shard->logins, &question, shard->now, &diag, &connection->attempt);
    if (rc != 0)
        lv_session_login(connection->session, rc < 0 ? diag.text : NULL);
}

/* Not now: it may come from within the session's own step. The turn takes it up. */
static void on_resume(void *ctx)
{
    struct lv_connection *connection = ctx;

    assert(connection->shard != NULL);
    if (!connection->is_finished && !lv_link_is_linked(&connection->waits))
        lv_list_push_back(&connection->shard->again, &connection->waits);
}

/* The session does not know sockets. */
static void on_probe(void *ctx, bool is_same)
{
    struct lv_connection *connection = ctx;

    assert(connection->session != NULL);
    lv_probe_begin(connection, is_same);
}

static void on_event(void *ctx, enum lv_level level, const char *name, const char *why)
{
    const struct lv_connection *connection = ctx;

    assert(connection->shard != NULL);
    /* When the server stops, one line has said so; a line for each client would hide it. */
    say(connection, connection->shard->phase == LV_PHASE_RUNNING ? level : LV_DEBUG, name, why);
}

/* Not freed here for the same reason; the flush of this turn does it. */
static void on_finished(void *ctx)
{
    struct lv_connection *connection = ctx;

    assert(!connection->is_finished);
    connection->is_finished = true;
    lv_link_clear(&connection->waits);
    mark_dirty(connection);
}

/* The same for every connection; the context tells them apart. */
static const struct lv_session_host host = {
    .flush = on_flush,
    .login = on_login,
    .resume = on_resume,
    .probe = on_probe,
    .event = on_event,
    .finished = on_finished,
};

/* ---- the peer's end ---- */

/* Only when something changes: each change is a system call. */
static void set_wanted(struct lv_connection *connection, unsigned on, unsigned off)
{
    assert((on & off) == 0);
    lv_reactor_change(connection->shard->reactor, &connection->watch,
                      (connection->watch.wanted | on) & ~off);
}

/* The socket is of no use any more. The session hears of it, lets go of what it has in the core,
 * which may take operations to other shards and back, and then says that it is finished. */
static void lose(struct lv_connection *connection)
{
    assert(!connection->is_lost);
    connection->is_lost = true;
    lv_reactor_remove(connection->shard->reactor, &connection->watch);
    if (!connection->is_finished)
        lv_session_lost(connection->session);
    mark_dirty(connection);
}

/* Outside a step of its session. */
void lv_connection_login(void *asker, const char *refusal)
{
    struct lv_connection *connection = asker;

    assert(connection->attempt != NULL);
    connection->attempt = NULL;
    if (!connection->is_lost && !connection->is_finished)
        lv_session_login(connection->session, refusal);
}

/* From outside a step of its session. */
void lv_connection_drop(struct lv_connection *connection)
{
    assert(connection->session != NULL);
    if (!connection->is_lost)
        lose(connection);
}

/* Takes the block. The sum over all connections is part of the memory that is accounted for. */
static void set_left(struct lv_connection *connection, uint8_t *left, size_t size)
{
    struct lv_shard *shard = connection->shard;

    assert((left == NULL) == (size == 0));
    assert(shard->left_size >= connection->left_size);
    shard->left_size = shard->left_size - connection->left_size + size;
    lv_free(connection->left);
    connection->left = left;
    connection->left_size = (uint32_t)size;
}

/* Gives the session its input and keeps what it does not use, in a block of just that size. */
static void present(struct lv_connection *connection, const uint8_t *data, size_t size)
{
    size_t used =
        lv_session_input(connection->session, lv_bytes(data, size), connection->shard->now);
    uint8_t *left = NULL;

    assert(used <= size);
    if (connection->is_finished)
        used = size;
    if (used < size) {
        if (used == 0 && data == connection->left)
            return;
        left = lv_alloc(size - used);
        if (left == NULL) {
            say(connection, LV_WARN, "connection.dropped", "out of memory");
            lose(connection);
            return;
        }
        memcpy(left, data + used, size - used);
    }
    if (left != NULL || connection->left != NULL)
        set_left(connection, left, size - used);
}

/* What it sends now would only make a queue longer. */
static void wait_for_consumers(struct lv_connection *connection)
{
    struct lv_shard *shard = connection->shard;

    assert(!connection->is_lost);
    connection->is_ahead = true;
    if (lv_link_is_linked(&connection->waits))
        return; /* the session has asked for a step, or waits for something itself */
    set_wanted(connection, 0, LV_IO_READ);
    lv_list_push_back(&shard->ahead, &connection->waits);
    if (!shard->ahead_deadline.armed)
        lv_deadline_set(&shard->deadlines, &shard->ahead_deadline, shard->now + LV_AHEAD_NS);
}

/* Nobody has taken anything: they are slow or stuck, and to wait for them would help nobody. */
void lv_connection_end_ahead(struct lv_deadline *deadline, uint64_t now)
{
    struct lv_shard *shard = lv_container(deadline, struct lv_shard, ahead_deadline);

    (void)now;
    LV_LIST_EACH(&shard->ahead, link)
    lv_container(link, struct lv_connection, waits)->is_ahead = false;
    lv_list_splice_back(&shard->again, &shard->ahead);
}

/* Bytes, 0 or an error, as lv_socket_read(). Reading may have made TLS answer, and what of that the
 * socket does not take has to be sent when it does. */
static ssize_t read_sealed(struct lv_connection *connection, void *buffer, size_t size)
{
    struct lv_shard *shard = connection->shard;
    size_t owed = lv_tls_owed(connection->tls);
    ssize_t count = lv_tls_read(connection->tls, shard->tls_room, buffer, size);

    assert(shard->owed_size >= owed);
    shard->owed_size += lv_tls_owed(connection->tls) - owed;
    if (lv_tls_owed(connection->tls) > 0 && !connection->is_full)
        mark_dirty(connection);
    return count;
}

/* The end of an encrypted stream may have come with its last bytes, and no event will say so. As
 * long as the session is paused these wait for it. */
static void follow_end(struct lv_connection *connection)
{
    assert(connection->tls != NULL);
    if (lv_tls_end(connection->tls) < 0 && !connection->is_lost && !connection->is_finished &&
        !lv_session_is_paused(connection->session))
        lose(connection);
}

/* Behind what is left from before, so that the session sees both in one piece. One read only: if
 * there is more, epoll says so again after the others have had their turn. */
static void read_once(struct lv_connection *connection)
{
    struct lv_shard *shard = connection->shard;
    size_t left = connection->left_size;
    size_t size = connection->is_ahead ? LV_READ_SIZE_AHEAD : LV_READ_SIZE;
    ssize_t count;

    assert(left + LV_READ_SIZE <= shard->buffer_size);
    if (left > 0)
        memcpy(shard->buffer, connection->left, left);
    if (LV_LIKELY(connection->tls == NULL))
        count = lv_socket_read(connection->watch.fd, shard->buffer + left, size);
    else
        count = read_sealed(connection, shard->buffer + left, size);
    if (count < 0)
        lose(connection);
    else if (count > 0)
        present(connection, shard->buffer, left + (size_t)count);
    if (connection->tls != NULL)
        follow_end(connection);
    connection->is_ahead = false;
    if (!connection->is_lost && !connection->is_finished &&
        lv_session_took_lead(connection->session))
        wait_for_consumers(connection);
}

/* The session takes nothing now, or this shard should take in nothing: leave it in the kernel. */
static void hold(struct lv_connection *connection, unsigned ready)
{
    struct lv_shard *shard = connection->shard;

    assert(!connection->is_lost);
    if (ready & LV_IO_HANGUP) { /* comes again and again, and nothing else will */
        lose(connection);
        return;
    }
    set_wanted(connection, 0, LV_IO_READ);
    if (shard->is_congested && !lv_link_is_linked(&connection->waits))
        lv_list_push_back(&shard->held, &connection->waits);
}

/* Output that could not be sent may go on, input may be there, or both ends are dead. */
static void on_ready(struct lv_watch *watch, unsigned ready)
{
    struct lv_connection *connection = lv_container(watch, struct lv_connection, watch);

    assert(!connection->is_lost);
    if (ready & (LV_IO_WRITE | LV_IO_HANGUP)) {
        connection->is_full = false;
        mark_dirty(connection);
    }
    if (!(ready & (LV_IO_READ | LV_IO_HANGUP)))
        return;
    if (connection->is_finished) {
        if (ready & LV_IO_HANGUP)
            lose(connection);
        else
            set_wanted(connection, 0, LV_IO_READ);
        return;
    }
    if (connection->shard->is_congested || lv_session_is_paused(connection->session))
        hold(connection, ready);
    else if (!lv_link_is_linked(&connection->waits)) /* else what it had left comes first */
        read_once(connection);
}

/* Reading goes on only if the session is willing by then. */
void lv_connection_resume(struct lv_connection *connection)
{
    assert(!lv_link_is_linked(&connection->waits));
    if (connection->is_lost || connection->is_finished)
        return;
    /* Also without bytes, and also while paused: the session may have asked for a step. */
    present(connection, connection->left, connection->left_size);
    if (connection->tls != NULL)
        follow_end(connection);
    if (!connection->is_lost && !connection->is_finished &&
        !lv_session_is_paused(connection->session))
        set_wanted(connection, LV_IO_READ, 0);
}

/* Bytes that the socket has still to take. */
static size_t unsent(const struct lv_connection *connection)
{
    size_t size = lv_session_out(connection->session)->size;

    assert(connection->session != NULL);
    return connection->tls == NULL ? size : size + lv_tls_owed(connection->tls);
}

/* A peer that waits for it may go on. */
static void end_tls(struct lv_connection *connection)
{
    assert(connection->shard->owed_size >= lv_tls_owed(connection->tls));
    connection->shard->owed_size -= lv_tls_owed(connection->tls);
    if (!connection->is_lost)
        lv_tls_say_end(connection->tls);
    lv_tls_free(connection->tls);
    connection->tls = NULL;
}

/* The end of the connection and its memory. Only from the flush and the shard's deadline, where
 * nobody still holds it. */
static void close_now(struct lv_connection *connection)
{
    struct lv_shard *shard = connection->shard;
    int fd = connection->watch.fd;

    assert(connection->is_finished);
    lv_link_clear(&connection->dirty);
    lv_link_clear(&connection->waits);
    lv_link_remove(&connection->all);
    lv_reactor_remove(shard->reactor, &connection->watch);
    lv_probe_end(connection);
    if (connection->attempt != NULL)
        lv_logins_drop(&shard->logins, connection->attempt);
    lv_session_free(connection->session);
    set_left(connection, NULL, 0);
    if (connection->tls != NULL)
        end_tls(connection);
    lv_socket_close(fd);
    lv_free(connection);
    /* In this order, and the other way round where the server stops: one of the two sees it. */
    if (atomic_fetch_sub(&shard->shared->connections, 1) == 1 &&
        atomic_load(&shard->shared->phase) != LV_PHASE_RUNNING)
        lv_reactor_wake(shard->shared->main);
}

/* Sends until the chain is empty or the socket is full. -LV_E_IO: the peer is gone. */
static int send_output(struct lv_connection *connection, struct lv_out *out)
{
    assert(!connection->is_full);
    while (out->size > 0) {
        struct lv_bytes pieces[LV_SOCKET_PIECES];
        size_t count = lv_out_gather(out, pieces, LV_SOCKET_PIECES), size = 0;
        ssize_t sent = lv_socket_write(connection->watch.fd, pieces, count);

        if (sent < 0)
            return (int)sent;
        for (size_t i = 0; i < count; i++)
            size += pieces[i].size;
        lv_out_consume(out, (size_t)sent);
        if ((size_t)sent < size) {
            connection->is_full = true;
            break;
        }
    }
    return 0;
}

/* The same, in records. What was encrypted is no longer in the chain, so the socket is full as long
 * as something is owed. */
static int send_sealed(struct lv_connection *connection, struct lv_out *out)
{
    struct lv_tls *tls = connection->tls;
    struct lv_shard *shard = connection->shard;

    assert(!connection->is_full);
    while (out->size > 0 || lv_tls_owed(tls) > 0) {
        struct lv_bytes pieces[LV_SOCKET_PIECES];
        size_t count = lv_out_gather(out, pieces, LV_SOCKET_PIECES), owed = lv_tls_owed(tls);
        ssize_t sent = lv_tls_write(tls, shard->tls_room, pieces, count);

        shard->owed_size += lv_tls_owed(tls) - owed;
        if (sent < 0)
            return (int)sent;
        lv_out_consume(out, (size_t)sent);
        if (lv_tls_owed(tls) > 0) {
            connection->is_full = true;
            break;
        }
    }
    return 0;
}

/* Finished, with output that the peer does not take. */
static void close_later(struct lv_connection *connection)
{
    struct lv_shard *shard = connection->shard;

    assert(connection->is_finished);
    if (lv_link_is_linked(&connection->waits))
        return;
    connection->closes_at = shard->now + LAST_WORDS_NS;
    lv_list_push_back(&shard->closing, &connection->waits);
    if (!shard->closing_deadline.armed)
        lv_deadline_set(&shard->deadlines, &shard->closing_deadline, connection->closes_at);
}

/* The session hears that its output has shrunk even if some is left, since it stops and resumes
 * deliveries by how much there is. */
void lv_connection_flush(struct lv_connection *connection)
{
    struct lv_shard *shard = connection->shard;
    struct lv_out *out = lv_session_out(connection->session);
    size_t before = out->size;

    assert(connection->session != NULL);
    if (!connection->is_lost && !connection->is_full &&
        (LV_LIKELY(connection->tls == NULL) ? send_output(connection, out)
                                            : send_sealed(connection, out)) < 0)
        lose(connection);
    if (!connection->is_lost)
        set_wanted(connection, connection->is_full ? (unsigned)LV_IO_WRITE : 0,
                   connection->is_full ? 0 : (unsigned)LV_IO_WRITE);
    if (connection->is_finished) {
        if (connection->is_lost || unsent(connection) == 0)
            close_now(connection);
        else
            close_later(connection);
        return;
    }
    if (connection->is_lost)
        return; /* it waits for the core to let go */
    lv_session_flushed(connection->session);
    /* Deliveries may go on, and the core's turn is already over. */
    if (before > shard->shared->limits.out_low && out->size <= shard->shared->limits.out_low)
        shard->has_more = true;
}

/* In the order in which they finished, so the first that is not due ends the search. */
void lv_connection_close_late(struct lv_deadline *deadline, uint64_t now)
{
    struct lv_shard *shard = lv_container(deadline, struct lv_shard, closing_deadline);
    struct lv_link *link;

    while ((link = lv_list_first(&shard->closing)) != NULL) {
        struct lv_connection *connection = lv_container(link, struct lv_connection, waits);

        assert(connection->is_finished);
        if (connection->closes_at > now) {
            lv_deadline_set(&shard->deadlines, deadline, connection->closes_at);
            return;
        }
        close_now(connection);
    }
}

/* What the session sees of this room: functions, limits and the deadlines of its shard. */
static struct lv_session *new_session(struct lv_shard *shard, struct lv_connection *connection)
{
    const struct lv_session_config config = {
        .host = &host,
        .host_ctx = connection,
        .broker = shard->broker,
        .deadlines = &shard->deadlines,
        .pool = &shard->pool,
        .limits = &shard->shared->limits,
        .version = shard->shared->settings->product_version,
        .information = shard->shared->information,
        /* Never 0, which would mean that it is not known. */
        .certified = connection->tls == NULL ? NULL : lv_tls_peer_name(connection->tls),
        .origin = 1 | lv_siphash(&shard->shared->hash_key,
                                 lv_bytes(connection->peer.ip, sizeof connection->peer.ip)),
    };

    assert(shard->broker != NULL);
    return lv_session_new(&config, shard->now);
}

/* The handshake's last words may still be on their way. */
static void take_tls(struct lv_connection *connection)
{
    assert(connection->shard->tls_room != NULL);
    connection->shard->owed_size += lv_tls_owed(connection->tls);
    if (lv_tls_owed(connection->tls) > 0)
        mark_dirty(connection);
}

/* A connection that comes during the alarm is told at once, like those that were there. */
void lv_connection_open(struct lv_shard *shard, int fd, const struct lv_address *peer,
                        struct lv_tls *tls)
{
    struct lv_connection *connection = lv_calloc(1, sizeof *connection);

    assert(fd >= 0);
    if (connection == NULL)
        goto fail;
    connection->shard = shard;
    connection->number = ++shard->last_number;
    connection->connected_ms = lv_clock_wall_us() / 1000;
    connection->peer = *peer;
    connection->tls = tls;
    connection->session = new_session(shard, connection);
    if (connection->session == NULL)
        goto fail;
    if (lv_reactor_add(shard->reactor, &connection->watch, fd, LV_IO_READ, on_ready) < 0) {
        lv_session_free(connection->session);
        goto fail;
    }
    lv_list_push_back(&shard->connections, &connection->all);
    if (tls != NULL)
        take_tls(connection);
    atomic_fetch_add_explicit(&shard->shared->connections, 1, memory_order_relaxed);
    say(connection, LV_DEBUG, "connection.accepted", "");
    if (shard->alarms != 0)
        lv_session_alarm(connection->session, lv_alarms_text(shard->alarms));
    return;
fail:
    if (lv_chatter_may_say(&shard->chatter, LV_WARN, "connection.dropped", shard->now))
        lv_event(LV_WARN, "connection.dropped", LV_S("why", "out of memory"));
    lv_free(connection);
    lv_tls_free(tls);
    lv_socket_close(fd);
}
