/*
 * server/mesh.h - how operations get from shard to shard: a ring for every ordered pair.
 *
 * What a shard sends in a turn is shown to the receiver once, at the turn's end, and wakes it only
 * if it sleeps. What does not fit into a ring waits in a list of the sender, who should take in
 * nothing new as long as that is so, or as long as what is in the ring carries many bytes. A shard
 * number says whose thread may call; each call is for the thread of the shard that it names first.
 */
#pragma once

#include "broker/op.h"
#include "io/reactor.h"

struct lv_mesh;

/* Operations that a ring holds, and bytes that they may carry before the sender is congested. */
#define LV_MESH_RING_SIZE 1024u
#define LV_MESH_LANE_SIZE (4u << 20)

/* NULL: out of memory. */
struct lv_mesh *lv_mesh_new(uint32_t shard_count) LV_MUST_CHECK;
/* After all threads; frees the operations that are under way. Takes NULL. */
void lv_mesh_free(struct lv_mesh *mesh);
/* Before any thread starts. Keeps a view of the reactor, by which the shard is woken. */
void lv_mesh_join(struct lv_mesh *mesh, uint32_t shard, struct lv_reactor *reactor);

/* Takes the operation. */
void lv_mesh_send(struct lv_mesh *mesh, uint32_t from, uint32_t to, struct lv_op *op);
/* The end of `from`'s turn. True as long as more is under way to a shard than its ring holds. */
bool lv_mesh_publish(struct lv_mesh *mesh, uint32_t from);
/* Gives `broker` what was sent to its shard, at most a ring's worth from each. */
void lv_mesh_take(struct lv_mesh *mesh, uint32_t to, struct lv_broker *broker);

/* False: something has come, don't sleep. True: whoever sends from now on wakes the shard. */
bool lv_mesh_may_sleep(struct lv_mesh *mesh, uint32_t shard) LV_MUST_CHECK;
/* After the wait: nobody needs to wake the shard any more. */
void lv_mesh_awake(struct lv_mesh *mesh, uint32_t shard);
/* Any thread: the shard's wait ends, so that it looks at what is not in a ring. */
void lv_mesh_wake(struct lv_mesh *mesh, uint32_t shard);
/* Any thread: the same for every shard. */
void lv_mesh_wake_all(struct lv_mesh *mesh);
