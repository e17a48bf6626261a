#include "server/listener.h"

#include "base/event.h"
#include "io/socket.h"
#include "server/connection.h"
#include "server/handshaker.h"
#include "server/shard.h"

#include <unistd.h>

/* Connections taken in one turn at most: those that are there already have to be served too. */
#define ACCEPT_MAX 64u
#define RETRY_NS   (250 * LV_NS_PER_MS)

/* Handshakes that are not done count as well: each has a descriptor, too. */
static unsigned count_open(const struct lv_listener *listener)
{
    const struct lv_shared *shared = listener->shared;

    assert(shared != NULL);
    return atomic_load_explicit(&shared->connections, memory_order_relaxed) +
           lv_handshakers_count(shared->handshakers);
}

/* More handshakes at a time would only make each of them slower. */
static bool is_busy(const struct lv_listener *listener)
{
    assert(listener->shared != NULL);
    return listener->is_tls &&
           lv_handshakers_count(listener->shared->handshakers) >= LV_HANDSHAKES_MAX;
}

/* The listening socket stays readable, so it must not be watched meanwhile. Descriptors become free
 * when anybody anywhere closes one, which no event tells: looking again is all there is. */
static void pause_accepting(struct lv_listener *listener)
{
    struct lv_shard *shard = listener->shard;

    assert(!listener->retry.armed);
    lv_reactor_change(shard->reactor, &listener->watch, 0);
    lv_deadline_set(&shard->deadlines, &listener->retry, shard->now + RETRY_NS);
    if (listener->is_paused)
        return;
    listener->is_paused = true;
    if (lv_chatter_may_say(&shard->chatter, LV_WARN, "listener.paused", shard->now))
        lv_event(LV_WARN, "listener.paused",
                 LV_S("why", is_busy(listener)
                                 ? "too many TLS handshakes are under way; connections wait"
                                 : "out of file descriptors or memory (see ulimit -n); "
                                   "connections wait"),
                 LV_U("connections", count_open(listener)));
}

/* The first connection after a pause shows that there is room again. */
static void resumed(struct lv_listener *listener)
{
    struct lv_shard *shard = listener->shard;

    assert(listener->is_paused);
    listener->is_paused = false;
    if (lv_chatter_may_say(&shard->chatter, LV_INFO, "listener.resumed", shard->now))
        lv_event(LV_INFO, "listener.resumed", LV_U("connections", count_open(listener)));
}

/* A store without descriptors could neither write nor read. */
static bool is_crowded(const struct lv_listener *listener)
{
    assert(listener->shared->connections_max > 0);
    return count_open(listener) >= listener->shared->connections_max;
}

/* To whoever goes on with it on another thread. */
static void pass_on(struct lv_listener *listener, struct lv_shard *shard, int fd,
                    const struct lv_address *peer)
{
    struct lv_shard *own = listener->shard;
    struct lv_arrival *arrival = lv_arrival_new(fd, peer);

    assert(shard == NULL || shard != own);
    if (arrival == NULL) {
        if (lv_chatter_may_say(&own->chatter, LV_WARN, "connection.dropped", own->now))
            lv_event(LV_WARN, "connection.dropped", LV_S("why", "out of memory"));
    } else if (shard == NULL) {
        lv_handshakers_take(listener->shared->handshakers, arrival);
    } else {
        lv_shard_give(shard, arrival);
    }
}

/* In turn, whatever each has to do already: connections live long and their load is not known at
 * the start. */
static void give(struct lv_listener *listener, int fd, const struct lv_address *peer)
{
    struct lv_shared *shared = listener->shared;
    struct lv_shard *shard = shared->shards[shared->next_shard];

    assert(fd >= 0);
    if (listener->is_tls) {
        pass_on(listener, NULL, fd, peer);
        return;
    }
    shared->next_shard = (shared->next_shard + 1) % shared->shard_count;
    if (shard == listener->shard)
        lv_connection_open(shard, fd, peer, NULL);
    else
        pass_on(listener, shard, fd, peer);
}

/* Connections wait. One that is gone again before it was taken is no reason to stop. */
static void on_ready(struct lv_watch *watch, unsigned ready)
{
    struct lv_listener *listener = lv_container(watch, struct lv_listener, watch);

    assert(watch->fd >= 0);
    (void)ready;
    for (unsigned i = 0; i < ACCEPT_MAX; i++) {
        struct lv_address peer;
        int fd, rc = -LV_E_RESOURCE;

        if (!is_crowded(listener) && !is_busy(listener))
            rc = lv_socket_accept(watch->fd, &fd, &peer);
        if (rc == -LV_E_RESOURCE) {
            pause_accepting(listener);
            return;
        }
        if (rc == -LV_E_TIMEOUT)
            return;
        if (rc < 0)
            continue; /* that one went away while it waited */
        if (listener->is_paused)
            resumed(listener);
        give(listener, fd, &peer);
    }
}

/* If it fails again the pause goes on, without another line in the log. */
static void on_retry(struct lv_deadline *deadline, uint64_t now)
{
    struct lv_listener *listener = lv_container(deadline, struct lv_listener, retry);

    assert(listener->is_paused);
    (void)now;
    lv_reactor_change(listener->shard->reactor, &listener->watch, LV_IO_READ);
}

/* The socket is asked for its address, since port 0 means that the kernel chose. */
int lv_listener_open(struct lv_listener *listener, struct lv_shard *shard,
                     const struct lv_address *address, bool is_tls, struct lv_diag *diag)
{
    int fd, rc = lv_socket_listen(address, &fd, diag);

    if (rc < 0)
        return rc;
    *listener = (struct lv_listener){.shared = shard->shared, .shard = shard, .is_tls = is_tls};
    listener->address = lv_socket_local(fd);
    lv_deadline_init(&listener->retry, on_retry);
    rc = lv_reactor_add(shard->reactor, &listener->watch, fd, LV_IO_READ, on_ready);
    if (rc < 0) {
        close(fd);
        return lv_fail(diag, rc, "can't wait for connections");
    }
    assert(listener->address.port != 0);
    return 0;
}

/* Also one that was never opened. Who is in the kernel's queue is refused by it. */
void lv_listener_close(struct lv_listener *listener)
{
    assert(listener->shard == NULL || listener->shared != NULL);
    if (listener->watch.ready == NULL)
        return;
    lv_deadline_cancel(&listener->shard->deadlines, &listener->retry);
    lv_reactor_remove(listener->shard->reactor, &listener->watch);
    close(listener->watch.fd);
}
