#include "server/probe.h"

#include "base/alloc.h"
#include "io/socket.h"
#include "server/connection.h"
#include "server/shard.h"

/* How long a peer may take to acknowledge: several retransmissions on any network that is used for
 * this, and a fraction of any heartbeat. */
#define ANSWER_NS (2 * LV_NS_PER_S)
#define TICK_NS   (10 * LV_NS_PER_MS)
/* A peer that has ended its side is read out first; whom we don't read has no more to say. */
#define READ_OUT_NS (50 * LV_NS_PER_MS)
/* The kernel's clock is coarser than ours. */
#define COARSE_MS 10u

/* Only while somebody asks; connections have none otherwise. */
struct lv_probe {
    struct lv_deadline deadline;
    struct lv_connection *connection; /* view */
    uint64_t began; /*       when it was asked, then when the heartbeat went out */
    bool is_same, has_prodded;
};

enum verdict { WAIT, ALIVE, DEAD };

/* The peer has said that nothing more will come. What is still to be read is read, if anything is
 * read at all. */
static enum verdict judge_end(const struct lv_probe *probe, uint64_t elapsed)
{
    bool is_read = !lv_session_is_paused(probe->connection->session);

    assert(probe->connection != NULL);
    return elapsed >= (is_read ? ANSWER_NS : READ_OUT_NS) ? DEAD : WAIT;
}

/* The kernel knows when the peer's machine last acknowledged something of ours. */
static enum verdict judge_echo(const struct lv_probe *probe, uint64_t elapsed)
{
    struct lv_socket_echo echo;

    assert(probe->has_prodded);
    if (lv_socket_echo(probe->connection->watch.fd, &echo) < 0 || echo.unanswered == 0 ||
        echo.silent_ms + COARSE_MS < elapsed / LV_NS_PER_MS)
        return ALIVE;
    return elapsed >= ANSWER_NS ? DEAD : WAIT;
}

/* First what costs nothing; a heartbeat is only sent when the socket alone cannot tell. */
static enum verdict judge(struct lv_probe *probe, uint64_t now)
{
    uint64_t elapsed = now - probe->began;

    assert(now >= probe->began);
    if (lv_socket_is_hung_up(probe->connection->watch.fd))
        return judge_end(probe, elapsed);
    if (!probe->is_same)
        return ALIVE;
    if (probe->has_prodded)
        return judge_echo(probe, elapsed);
    lv_session_prod(probe->connection->session);
    probe->has_prodded = true;
    probe->began = now;
    return WAIT;
}

/* Several looks at short intervals: an answer takes as long as the network does. */
static void tick(struct lv_deadline *deadline, uint64_t now)
{
    struct lv_probe *probe = lv_container(deadline, struct lv_probe, deadline);
    struct lv_connection *connection = probe->connection;
    char peer[LV_ADDRESS_TEXT_SIZE];
    enum verdict verdict;

    assert(connection->probe == probe);
    if (connection->is_lost || connection->is_finished) {
        lv_probe_end(connection); /* whoever asked hears of the client's end */
        return;
    }
    verdict = judge(probe, now);
    if (verdict == WAIT) {
        lv_deadline_set(&connection->shard->deadlines, deadline, now + TICK_NS);
        return;
    }
    lv_probe_end(connection);
    if (verdict == ALIVE) {
        lv_session_alive(connection->session);
        return;
    }
    lv_address_text(&connection->peer, peer);
    if (lv_chatter_may_say(&connection->shard->chatter, LV_INFO, "connection.dead", now))
        lv_event(LV_INFO, "connection.dead", LV_S("peer", peer),
                 LV_S("why", "its exclusive queue is wanted, and it answers no more"));
    lv_connection_drop(connection);
}

/* One at a time for a connection; whoever asks again waits for the same verdict. */
void lv_probe_begin(struct lv_connection *connection, bool is_same)
{
    struct lv_probe *probe = connection->probe;
    struct lv_shard *shard = connection->shard;

    assert(connection->session != NULL);
    if (probe != NULL) {
        probe->is_same |= is_same;
        return;
    }
    probe = lv_calloc(1, sizeof *probe);
    if (probe == NULL) {
        lv_session_alive(connection->session); /* who can't look sees no corpse */
        return;
    }
    probe->connection = connection;
    probe->began = shard->now;
    probe->is_same = is_same;
    connection->probe = probe;
    lv_deadline_init(&probe->deadline, tick);
    lv_deadline_set(&shard->deadlines, &probe->deadline, shard->now);
}

/* With or without a verdict. */
void lv_probe_end(struct lv_connection *connection)
{
    struct lv_probe *probe = connection->probe;

    if (probe == NULL)
        return;
    assert(probe->connection == connection);
    connection->probe = NULL;
    lv_deadline_cancel(&connection->shard->deadlines, &probe->deadline);
    lv_free(probe);
}
