#include "server/mesh.h"

#include "base/alloc.h"
#include "base/ring.h"

/* From one shard to another. */
struct lane {
    struct lv_ring ring;
    struct lv_list overflow;                       /* own  operations in order; the sender's */
    uint64_t sent_size;                            /*      the sender's: bytes of all operations */
    _Alignas(64) atomic_uint_least64_t taken_size; /* any  of those that were taken */
};

/* What others have to know of a shard. */
struct seat {
    struct lv_reactor *reactor;            /* view */
    _Alignas(64) atomic_bool sleeps;       /* any */
    _Alignas(64) atomic_bool is_congested; /* any   its overflow waits for room */
};

/* Made once, with room for all ways between all shards. */
struct lv_mesh {
    uint32_t count;
    uint32_t lanes_ready; /* rings that were made */
    struct seat *seats;   /* own */
    struct lane *lanes;   /* own   [from * count + to] */
};

/* Each ordered pair of shards has its own, so every ring has one producer and one consumer. */
static struct lane *lane(const struct lv_mesh *mesh, uint32_t from, uint32_t to)
{
    assert(from < mesh->count);
    assert(to < mesh->count);
    return &mesh->lanes[from * mesh->count + to];
}

/* The ring has its full size from the start: it must not grow while two threads use it. */
static int init_lane(struct lane *way)
{
    assert(way != NULL);
    lv_list_init(&way->overflow);
    way->sent_size = 0;
    atomic_init(&way->taken_size, 0);
    return lv_ring_init(&way->ring, LV_MESH_RING_SIZE);
}

/* All rings at once: there are at most 64 × 64, and a ring costs 8 KiB. */
struct lv_mesh *lv_mesh_new(uint32_t shard_count)
{
    struct lv_mesh *mesh = lv_calloc(1, sizeof *mesh);
    uint32_t lane_count = shard_count * shard_count;

    assert(shard_count >= 1);
    assert(shard_count <= 64);
    if (mesh == NULL)
        return NULL;
    mesh->count = shard_count;
    mesh->seats = lv_alloc_aligned(64, shard_count * sizeof *mesh->seats);
    mesh->lanes = lv_alloc_aligned(64, lane_count * sizeof *mesh->lanes);
    if (mesh->seats == NULL || mesh->lanes == NULL)
        goto fail;
    for (uint32_t i = 0; i < shard_count; i++) {
        atomic_init(&mesh->seats[i].sleeps, false);
        atomic_init(&mesh->seats[i].is_congested, false);
    }
    for (; mesh->lanes_ready < lane_count; mesh->lanes_ready++) {
        if (init_lane(&mesh->lanes[mesh->lanes_ready]) < 0)
            goto fail;
    }
    return mesh;
fail:
    lv_mesh_free(mesh);
    return NULL;
}

/* Operations that nobody will take. */
static void free_list(struct lv_list *list)
{
    struct lv_link *link;

    while ((link = lv_list_pop_front(list)) != NULL)
        lv_op_free(lv_container(link, struct lv_op, link));
    assert(lv_list_is_empty(list));
}

/* Threads have ended, so both ends of every ring are ours. */
void lv_mesh_free(struct lv_mesh *mesh)
{
    if (mesh == NULL)
        return;
    assert(mesh->lanes_ready == 0 || mesh->lanes != NULL);
    for (uint32_t i = 0; i < mesh->lanes_ready; i++) {
        struct lv_op *op;

        lv_ring_publish(&mesh->lanes[i].ring);
        while ((op = lv_ring_take(&mesh->lanes[i].ring)) != NULL)
            lv_op_free(op);
        free_list(&mesh->lanes[i].overflow);
        lv_ring_fini(&mesh->lanes[i].ring);
    }
    lv_free(mesh->lanes);
    lv_free(mesh->seats);
    lv_free(mesh);
}

/* Before any thread starts. */
void lv_mesh_join(struct lv_mesh *mesh, uint32_t shard, struct lv_reactor *reactor)
{
    assert(shard < mesh->count);
    assert(reactor != NULL);
    mesh->seats[shard].reactor = reactor;
}

/* Behind what overflowed before, if there is any: operations keep their order. */
void lv_mesh_send(struct lv_mesh *mesh, uint32_t from, uint32_t to, struct lv_op *op)
{
    struct lane *way = lane(mesh, from, to);

    assert(from != to);
    way->sent_size += op->size;
    if (!lv_list_is_empty(&way->overflow) || !lv_ring_put(&way->ring, op))
        lv_list_push_back(&way->overflow, &op->link);
}

/* Whether more is under way than a receiver should have to hold. */
static bool is_long(struct lane *way)
{
    assert(way != NULL);
    return way->sent_size - atomic_load_explicit(&way->taken_size, memory_order_relaxed) >
           LV_MESH_LANE_SIZE;
}

/* True when all of the overflow went into the ring. */
static bool drain_overflow(struct lane *way)
{
    struct lv_link *link;

    assert(way->ring.slots != NULL);
    while ((link = lv_list_first(&way->overflow)) != NULL) {
        struct lv_op *op = lv_container(link, struct lv_op, link);

        lv_link_remove(link);
        if (!lv_ring_put(&way->ring, op)) {
            lv_list_push_front(&way->overflow, link);
            return false;
        }
    }
    return true;
}

/* One store per ring makes all of the turn's operations visible. */
bool lv_mesh_publish(struct lv_mesh *mesh, uint32_t from)
{
    bool congested = false;

    assert(from < mesh->count);
    for (uint32_t to = 0; to < mesh->count; to++) {
        struct lane *way = lane(mesh, from, to);

        if (!drain_overflow(way) || is_long(way))
            congested = true;
        /* The exchange meets the one in lv_mesh_may_sleep(): whichever comes second sees what the
         * other did before, so a receiver is either woken or finds what was published. */
        if (lv_ring_publish(&way->ring) &&
            atomic_exchange_explicit(&mesh->seats[to].sleeps, false, memory_order_acq_rel))
            lv_mesh_wake(mesh, to);
    }
    atomic_store_explicit(&mesh->seats[from].is_congested, congested, memory_order_relaxed);
    return congested;
}

/* Returns how many. */
static uint32_t take_lane(struct lane *way, struct lv_broker *broker)
{
    uint64_t size = 0;
    uint32_t taken = 0;
    struct lv_op *op;

    assert(broker != NULL);
    while (taken < LV_MESH_RING_SIZE && (op = lv_ring_take(&way->ring)) != NULL) {
        size += op->size;
        lv_broker_take(broker, op);
        taken++;
    }
    if (size > 0)
        atomic_fetch_add_explicit(&way->taken_size, size, memory_order_relaxed);
    return taken;
}

/* All of what is published, in the order of each sender. */
void lv_mesh_take(struct lv_mesh *mesh, uint32_t to, struct lv_broker *broker)
{
    assert(to < mesh->count);
    for (uint32_t from = 0; from < mesh->count; from++) {
        uint32_t taken = take_lane(lane(mesh, from, to), broker);

        /* A sender that is just about to say so looks again by itself within a millisecond. */
        if (taken > 0 &&
            atomic_load_explicit(&mesh->seats[from].is_congested, memory_order_relaxed))
            lv_mesh_wake(mesh, from);
    }
}

/* From the receiver's side: what was published and not taken. */
static bool is_empty(struct lv_ring *ring)
{
    assert(ring->slots != NULL);
    return atomic_load_explicit(&ring->published, memory_order_acquire) ==
           atomic_load_explicit(&ring->taken, memory_order_relaxed);
}

/* Says so first and looks afterwards, see lv_mesh_publish(). */
bool lv_mesh_may_sleep(struct lv_mesh *mesh, uint32_t shard)
{
    assert(shard < mesh->count);
    if (mesh->count == 1)
        return true;
    atomic_exchange_explicit(&mesh->seats[shard].sleeps, true, memory_order_acq_rel);
    for (uint32_t from = 0; from < mesh->count; from++) {
        if (!is_empty(&lane(mesh, from, shard)->ring)) {
            lv_mesh_awake(mesh, shard);
            return false;
        }
    }
    return true;
}

/* Relaxed: a sender that still sees the flag wakes us once too often, which does no harm. */
void lv_mesh_awake(struct lv_mesh *mesh, uint32_t shard)
{
    assert(shard < mesh->count);
    atomic_store_explicit(&mesh->seats[shard].sleeps, false, memory_order_relaxed);
}

/* Any thread. Waking who is awake costs a system call and does no harm. */
void lv_mesh_wake(struct lv_mesh *mesh, uint32_t shard)
{
    assert(shard < mesh->count);
    assert(mesh->seats[shard].reactor != NULL);
    lv_reactor_wake(mesh->seats[shard].reactor);
}

/* For changes of phase, which nobody may sleep through. */
void lv_mesh_wake_all(struct lv_mesh *mesh)
{
    assert(mesh->count > 0);
    for (uint32_t shard = 0; shard < mesh->count; shard++)
        lv_mesh_wake(mesh, shard);
}
