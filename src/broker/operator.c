/* What operators want done: no client asks, and no session hears of it. */
#include "broker/change.h"
#include "broker/core.h"

static void refuse_memory(lv_change_done_fn *done, void *ctx)
{
    struct lv_diag diag;
    int rc = lv_fail(&diag, -LV_E_NOMEM, "out of memory");

    assert(done != NULL);
    done(ctx, rc, diag.text);
}

/* NULL: out of memory. */
static struct lv_pending *new_pending(enum lv_command command, lv_change_done_fn *done, void *ctx)
{
    struct lv_pending *pending = lv_pending_new(NULL, NULL, command);

    assert(done != NULL);
    if (pending == NULL)
        return NULL;
    pending->done = done;
    pending->done_ctx = ctx;
    return pending;
}

void lv_broker_change(struct lv_broker *broker, const struct lv_change *change,
                      lv_change_done_fn *done, void *ctx)
{
    struct lv_change placed = *change;
    struct lv_pending *pending;
    struct lv_diag diag;
    int rc = lv_change_check_sizes(change, &diag);

    assert(done != NULL);
    if (rc < 0) {
        done(ctx, rc, diag.text);
        return;
    }
    if (change->kind == LV_CHANGE_QUEUE_DECLARE && change->queue_id == 0)
        lv_queue_place(broker, &placed);
    pending = new_pending(LV_COMMAND_CHANGE, done, ctx);
    if (pending == NULL || lv_change_submit(broker, &placed, pending, broker->config.shard) < 0) {
        lv_pending_free(pending);
        refuse_memory(done, ctx);
        return;
    }
    lv_broker_settle_local(broker);
}

static int no_queue(const struct lv_queue_order *order, struct lv_diag *diag)
{
    assert(diag != NULL);
    return lv_fail(diag, -LV_E_NOT_FOUND, "no queue '%.*s' in vhost '%.*s'", LV_FMT(order->name),
                   LV_FMT(order->vhost));
}

/* The queue's home judges and does it, as for a channel. */
void lv_broker_order(struct lv_broker *broker, const struct lv_queue_order *order)
{
    enum lv_command command = order->is_purge ? LV_COMMAND_QUEUE_PURGE : LV_COMMAND_QUEUE_DELETE;
    const struct lv_vhost *vhost = lv_topology_vhost(&broker->topology, order->vhost);
    struct lv_queue_entry *entry = vhost == NULL ? NULL : lv_vhost_queue(vhost, order->name);
    struct lv_pending *pending;
    struct lv_op *op = NULL;
    struct lv_diag diag;

    assert(order->ret_message_count != NULL);
    *order->ret_message_count = 0;
    if (entry == NULL) {
        int rc = no_queue(order, &diag);

        order->done(order->ctx, rc, diag.text);
        return;
    }
    pending = new_pending(command, order->done, order->ctx);
    if (pending != NULL) {
        pending->ret_message_count = order->ret_message_count;
        pending->home = entry->home;
        pending->queue_id = entry->id;
        op = lv_command_op(broker, order->is_purge ? LV_OP_PURGE : LV_OP_DELETE, pending, entry);
    }
    if (op == NULL) {
        lv_pending_free(pending);
        refuse_memory(order->done, order->ctx);
        return;
    }
    op->command.if_unused = order->if_unused;
    op->command.if_empty = order->if_empty;
    lv_op_send(broker, entry->home, op);
    lv_broker_settle_local(broker);
}
