#include "admin/gather.h"

#include "base/alloc.h"
#include "broker/change.h"

/* Of all that a broker's bounds let it have. */
#define LIST_LIMIT ((size_t)4 << 30)

/* ---- on the shard ---- */

/* A change's size, then the change as the log writes it. */
static bool put_change(struct lv_slice *slice, const struct lv_change *change)
{
    uint32_t size = lv_change_size(change);
    size_t total = sizeof size + size;
    uint8_t *bytes = lv_alloc(total);

    assert(size > 0);
    if (bytes == NULL) {
        slice->rows.is_short = true;
        return false;
    }
    memcpy(bytes, &size, sizeof size);
    lv_change_encode(change, bytes + sizeof size);
    lv_rows_bytes(&slice->rows, lv_bytes(bytes, total));
    lv_free(bytes);
    return lv_slice_has_room(slice);
}

static bool show_change(void *ctx, const struct lv_change *change)
{
    assert(change != NULL);
    return put_change(ctx, change);
}

void lv_gather_fill(struct lv_slice *slice, const struct lv_broker *broker)
{
    const struct lv_client_view of = {.vhost = slice->vhost};

    assert(slice->is_gathered);
    slice->is_over =
        !lv_changes_walk(broker, slice->changes, &of, &slice->walk, show_change, slice);
}

/* ---- with the holder ---- */

static int keep_vhost(struct lv_gather *gather, struct lv_bytes name)
{
    assert(gather->vhost_count <= gather->vhost_capacity);
    if (gather->vhost_count == gather->vhost_capacity) {
        size_t capacity = gather->vhost_capacity < 8 ? 8 : 2 * gather->vhost_capacity;
        struct lv_bytes *vhosts = lv_realloc(gather->vhosts, capacity * sizeof *vhosts);

        if (vhosts == NULL)
            return -LV_E_NOMEM;
        gather->vhosts = vhosts;
        gather->vhost_capacity = capacity;
    }
    gather->vhosts[gather->vhost_count++] = name;
    return 0;
}

/* The bytes come from our own shard, so they decode unless memory is short. */
static int take_change(struct lv_gather *gather, struct lv_bytes bytes)
{
    struct lv_change change;
    struct lv_arena arena;
    int rc;

    lv_arena_init(&arena, 48 * bytes.size);
    rc = lv_change_decode(bytes, &arena, &change);
    assert(rc != -LV_E_CORRUPT);
    if (rc == 0)
        rc = lv_definitions_add(&gather->list, &change, 0);
    lv_arena_fini(&arena);
    if (rc == 0 && change.kind == LV_CHANGE_VHOST_PUT)
        rc = keep_vhost(gather, gather->list.items[gather->list.count - 1].change.vhost);
    return rc;
}

static int take_changes(struct lv_gather *gather, const struct lv_rows *rows)
{
    size_t at = 0;
    int rc = 0;

    while (rc == 0 && at < rows->size) {
        uint32_t size;

        memcpy(&size, rows->text + at, sizeof size);
        at += sizeof size;
        assert(size <= rows->size - at);
        rc = take_change(gather, lv_bytes(rows->text + at, size));
        at += size;
    }
    return rc;
}

/* What is of all vhosts, then a vhost's exchanges, queues and bindings, then the next vhost's.
 * False: that was the last one. */
static bool next_walk(struct lv_gather *gather, struct lv_slice *slice)
{
    slice->walk = (struct lv_walk){.position = 0};
    slice->is_over = false;
    slice->changes++;
    assert(slice->changes <= LV_CHANGES_COUNT);
    if (slice->changes == LV_CHANGES_COUNT) {
        slice->changes = LV_CHANGES_EXCHANGES;
        gather->at++;
    }
    if (slice->changes < LV_CHANGES_EXCHANGES)
        return true;
    if (gather->at == gather->vhost_count)
        return false;
    slice->vhost = gather->vhosts[gather->at];
    return true;
}

void lv_gather_begin(struct lv_gather *gather, struct lv_slice *slice)
{
    *gather = (struct lv_gather){.at = 0};
    lv_definitions_init(&gather->list, LIST_LIMIT);
    assert(slice->shard == 0);
    slice->is_gathered = true;
    slice->changes = LV_CHANGES_VHOSTS;
    slice->vhost = (struct lv_bytes){.size = 0};
}

int lv_gather_take(struct lv_gather *gather, struct lv_slice *slice)
{
    int rc = slice->rows.is_short ? -LV_E_NOMEM : take_changes(gather, &slice->rows);

    assert(slice->is_gathered);
    lv_rows_reset(&slice->rows);
    if (rc < 0)
        return rc;
    if (!slice->is_over || next_walk(gather, slice))
        return 1;
    lv_definitions_sort(&gather->list);
    return 0;
}

void lv_gather_fini(struct lv_gather *gather)
{
    assert(gather->vhost_count <= gather->vhost_capacity);
    lv_free(gather->vhosts);
    if (gather->list.arena.limit > 0)
        lv_definitions_fini(&gather->list);
    *gather = (struct lv_gather){.at = 0};
}
