#include "server/handshaker.h"

#include "base/alloc.h"
#include "io/clock.h"
#include "io/socket.h"
#include "server/shard.h"
#include "server/tls_settings.h"

#include <stdio.h>

#define THREADS_MAX 16u

/* One handshake. */
struct shake {
    struct lv_watch watch;
    struct lv_deadline deadline;
    struct lv_link all;               /*       in its handshaker's */
    struct lv_handshaker *handshaker; /* view */
    struct lv_arrival *arrival;       /* own   what the shard gets */
};

/* A thread with the handshakes that it serves. */
struct lv_handshaker {
    struct lv_handshakers *handshakers; /* view */
    struct lv_thread thread;
    struct lv_reactor *reactor; /* own */
    struct lv_deadlines deadlines;
    struct lv_chatter chatter;
    struct lv_list shakes;
    struct lv_mailbox arrivals; /* any */
    uint64_t now;
    uint32_t next_shard;
};

struct lv_handshakers {
    struct lv_shared *shared; /* view */
    pthread_mutex_t mutex;
    struct lv_tls_context *context; /* ref   mutex */
    struct lv_handshaker *threads;  /* own */
    unsigned thread_count, started;
    unsigned next_thread; /* shard 0's */
    atomic_uint count;    /* any   accepted, and neither given to a shard nor dropped */
    atomic_bool is_ending;
};

/* ---- one handshake ---- */

/* The peer's text is only made for lines that will be written. */
static void say(struct lv_handshaker *handshaker, enum lv_level level,
                const struct lv_address *address, const char *why)
{
    char peer[LV_ADDRESS_TEXT_SIZE];

    assert(why != NULL);
    if (!lv_event_is_heard(level) ||
        !lv_chatter_may_say(&handshaker->chatter, level, "tls.refused", handshaker->now))
        return;
    lv_address_text(address, peer);
    lv_event(level, "tls.refused", LV_S("peer", peer), LV_S("why", why));
}

/* Gives the arrival, which stays; the rest of the handshake goes. */
static struct lv_arrival *end(struct shake *shake)
{
    struct lv_handshaker *handshaker = shake->handshaker;
    struct lv_arrival *arrival = shake->arrival;

    assert(arrival != NULL);
    lv_reactor_remove(handshaker->reactor, &shake->watch);
    lv_deadline_cancel(&handshaker->deadlines, &shake->deadline);
    lv_link_remove(&shake->all);
    lv_free(shake);
    atomic_fetch_sub(&handshaker->handshakers->count, 1);
    return arrival;
}

/* Before the socket is closed the peer may read what TLS has said to it. */
static void fail(struct shake *shake, enum lv_level level, const char *why)
{
    struct lv_handshaker *handshaker = shake->handshaker;
    struct lv_arrival *arrival = end(shake);

    assert(why != NULL);
    say(handshaker, level, &arrival->peer, why);
    lv_arrival_free(arrival);
}

/* The next shard has it from now on. */
static void finish(struct shake *shake)
{
    struct lv_handshaker *handshaker = shake->handshaker;
    struct lv_shared *shared = handshaker->handshakers->shared;
    struct lv_arrival *arrival = end(shake);

    assert(handshaker->next_shard < shared->shard_count);
    lv_tls_settings_name_peer(shared->settings, arrival->tls);
    lv_shard_give(shared->shards[handshaker->next_shard], arrival);
    handshaker->next_shard = (handshaker->next_shard + 1) % shared->shard_count;
}

/* Peers that come and go without a word are those who ask whether the port is open. */
static void step(struct shake *shake)
{
    struct lv_diag diag = {""};
    int rc = lv_tls_handshake(shake->arrival->tls, &diag);

    assert(shake->watch.ready != NULL);
    if (rc == 0)
        lv_reactor_change(shake->handshaker->reactor, &shake->watch,
                          lv_tls_wants(shake->arrival->tls));
    else if (rc > 0)
        finish(shake);
    else
        fail(shake, rc == -LV_E_CLOSED ? LV_DEBUG : LV_WARN, diag.text);
}

static void on_ready(struct lv_watch *watch, unsigned ready)
{
    assert(watch->fd >= 0);
    (void)ready;
    step(lv_container(watch, struct shake, watch));
}

static void on_late(struct lv_deadline *deadline, uint64_t now)
{
    struct shake *shake = lv_container(deadline, struct shake, deadline);

    assert(!deadline->armed);
    (void)now;
    fail(shake, LV_INFO, "the handshake took longer than handshake_timeout");
}

/* The certificate of this moment, for all of this connection. */
static struct lv_tls *new_tls(struct lv_handshakers *handshakers, int fd)
{
    struct lv_tls_context *context;
    struct lv_tls *tls;

    assert(fd >= 0);
    pthread_mutex_lock(&handshakers->mutex);
    context = lv_tls_context_ref(handshakers->context);
    pthread_mutex_unlock(&handshakers->mutex);
    tls = lv_tls_new(context, fd, NULL);
    lv_tls_context_unref(context);
    return tls;
}

/* Takes the arrival. */
static void begin(struct lv_handshaker *handshaker, struct lv_arrival *arrival)
{
    struct lv_handshakers *handshakers = handshaker->handshakers;
    uint64_t patience = handshakers->shared->settings->handshake_timeout * LV_NS_PER_MS;
    struct shake *shake = lv_calloc(1, sizeof *shake);

    assert(arrival->tls == NULL);
    arrival->tls = new_tls(handshakers, arrival->fd);
    if (shake == NULL || arrival->tls == NULL ||
        lv_reactor_add(handshaker->reactor, &shake->watch, arrival->fd, LV_IO_READ, on_ready) < 0) {
        say(handshaker, LV_WARN, &arrival->peer, "out of memory");
        lv_free(shake);
        lv_arrival_free(arrival);
        atomic_fetch_sub(&handshakers->count, 1);
        return;
    }
    shake->handshaker = handshaker;
    shake->arrival = arrival;
    lv_list_push_back(&handshaker->shakes, &shake->all);
    lv_deadline_init(&shake->deadline, on_late);
    lv_deadline_set(&handshaker->deadlines, &shake->deadline, handshaker->now + patience);
}

/* ---- a thread ---- */

/* When the broker stops they are only closed. */
static void take_arrivals(struct lv_handshaker *handshaker, bool is_ending)
{
    struct lv_letter *letter = lv_mailbox_take(&handshaker->arrivals);

    while (letter != NULL) {
        struct lv_arrival *arrival = lv_container(letter, struct lv_arrival, call.letter);

        letter = letter->next;
        if (!is_ending) {
            begin(handshaker, arrival);
            continue;
        }
        lv_arrival_free(arrival);
        atomic_fetch_sub(&handshaker->handshakers->count, 1);
    }
}

static void run(void *ctx)
{
    struct lv_handshaker *handshaker = ctx;
    struct lv_link *link;

    assert(handshaker->reactor != NULL);
    handshaker->now = lv_clock_now();
    while (!atomic_load(&handshaker->handshakers->is_ending)) {
        lv_reactor_wait(handshaker->reactor, &handshaker->now,
                        lv_deadlines_next(&handshaker->deadlines));
        if (lv_deadlines_next(&handshaker->deadlines) <= handshaker->now)
            lv_deadlines_run(&handshaker->deadlines, handshaker->now);
        take_arrivals(handshaker, false);
    }
    while ((link = lv_list_first(&handshaker->shakes)) != NULL)
        lv_arrival_free(end(lv_container(link, struct shake, all)));
}

/* ---- all of them ---- */

static int init_thread(struct lv_handshakers *handshakers, unsigned number)
{
    struct lv_handshaker *handshaker = &handshakers->threads[number];

    assert(handshakers->threads != NULL);
    assert(number < handshakers->thread_count);
    handshaker->handshakers = handshakers;
    handshaker->next_shard = number % handshakers->shared->shard_count;
    lv_chatter_init(&handshaker->chatter, &handshaker->deadlines);
    lv_list_init(&handshaker->shakes);
    lv_mailbox_init(&handshaker->arrivals);
    handshaker->reactor = lv_reactor_new();
    return handshaker->reactor == NULL ? -LV_E_RESOURCE : 0;
}

/* A thread for two shards: a busy broker's connections live long. */
int lv_handshakers_open(struct lv_shared *shared, struct lv_handshakers **ret_handshakers,
                        struct lv_diag *diag)
{
    struct lv_handshakers *handshakers = lv_calloc(1, sizeof *handshakers);
    unsigned wanted = (shared->shard_count + 1) / 2;
    int rc;

    assert(shared->shard_count > 0);
    if (handshakers == NULL)
        return lv_fail(diag, -LV_E_NOMEM, "out of memory");
    handshakers->shared = shared;
    pthread_mutex_init(&handshakers->mutex, NULL);
    handshakers->threads =
        lv_calloc(wanted < THREADS_MAX ? wanted : THREADS_MAX, sizeof *handshakers->threads);
    rc = handshakers->threads == NULL ? lv_fail(diag, -LV_E_NOMEM, "out of memory") : 0;
    if (handshakers->threads != NULL)
        handshakers->thread_count = wanted < THREADS_MAX ? wanted : THREADS_MAX;
    for (unsigned i = 0; rc == 0 && i < handshakers->thread_count; i++) {
        if (init_thread(handshakers, i) < 0)
            rc = lv_fail(diag, -LV_E_RESOURCE, "out of memory or file descriptors");
    }
    if (rc == 0)
        rc = lv_tls_settings_context(shared->settings, &handshakers->context, diag);
    if (rc < 0) {
        lv_handshakers_free(handshakers);
        return rc;
    }
    *ret_handshakers = handshakers;
    return 0;
}

int lv_handshakers_start(struct lv_handshakers *handshakers)
{
    for (; handshakers->started < handshakers->thread_count; handshakers->started++) {
        struct lv_handshaker *handshaker = &handshakers->threads[handshakers->started];
        char name[16];
        int rc;

        snprintf(name, sizeof name, "tls %u", handshakers->started);
        rc = lv_thread_start(&handshaker->thread, name, run, handshaker);
        if (rc < 0)
            return rc;
    }
    assert(handshakers->started > 0);
    return 0;
}

/* Connections that the old context began keep it. */
int lv_handshakers_reload(struct lv_handshakers *handshakers, struct lv_diag *diag)
{
    struct lv_tls_context *context, *before;
    int rc = lv_tls_settings_context(handshakers->shared->settings, &context, diag);

    if (rc < 0)
        return rc;
    pthread_mutex_lock(&handshakers->mutex);
    before = handshakers->context;
    handshakers->context = context;
    pthread_mutex_unlock(&handshakers->mutex);
    assert(before != NULL);
    lv_tls_context_unref(before);
    return 0;
}

void lv_handshakers_stop(struct lv_handshakers *handshakers)
{
    assert(handshakers->started <= handshakers->thread_count);
    atomic_store(&handshakers->is_ending, true);
    while (handshakers->started > 0) {
        struct lv_handshaker *handshaker = &handshakers->threads[--handshakers->started];

        lv_reactor_wake(handshaker->reactor);
        lv_thread_join(&handshaker->thread);
    }
}

/* A listener may have given something after the threads had ended. */
void lv_handshakers_free(struct lv_handshakers *handshakers)
{
    if (handshakers == NULL)
        return;
    assert(handshakers->started == 0);
    assert(handshakers->threads != NULL || handshakers->thread_count == 0);
    for (unsigned i = 0; i < handshakers->thread_count; i++) {
        struct lv_handshaker *handshaker = &handshakers->threads[i];

        if (handshaker->reactor == NULL)
            break; /* it was not made, nor those behind it */
        take_arrivals(handshaker, true);
        lv_chatter_fini(&handshaker->chatter);
        lv_reactor_free(handshaker->reactor);
    }
    lv_tls_context_unref(handshakers->context);
    pthread_mutex_destroy(&handshakers->mutex);
    lv_free(handshakers->threads);
    lv_free(handshakers);
}

unsigned lv_handshakers_count(const struct lv_handshakers *handshakers)
{
    return handshakers == NULL ? 0 : atomic_load(&handshakers->count);
}

void lv_handshakers_take(struct lv_handshakers *handshakers, struct lv_arrival *arrival)
{
    struct lv_handshaker *handshaker = &handshakers->threads[handshakers->next_thread];

    assert(arrival->tls == NULL);
    handshakers->next_thread = (handshakers->next_thread + 1) % handshakers->thread_count;
    atomic_fetch_add(&handshakers->count, 1);
    if (lv_mailbox_post(&handshaker->arrivals, &arrival->call.letter))
        lv_reactor_wake(handshaker->reactor);
}
