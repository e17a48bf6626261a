/*
 * admin/changes.h - what a broker has, as the changes that would make it; a slice at a time, as
 * broker/inspect.h walks. Owning shard only.
 */
#pragma once

#include "broker/inspect.h"

/* In the order in which changes can be made. Those from EXCHANGES on are of one vhost. */
enum lv_changes {
    LV_CHANGES_VHOSTS,
    LV_CHANGES_USERS,
    LV_CHANGES_PERMISSIONS,
    LV_CHANGES_TOPIC_PERMISSIONS,
    LV_CHANGES_VHOST_LIMITS,
    LV_CHANGES_USER_LIMITS,
    LV_CHANGES_EXCHANGES,
    LV_CHANGES_QUEUES,
    LV_CHANGES_BINDINGS,
    LV_CHANGES_COUNT
};

/* The views are valid for the call. False: what follows has to wait for the next slice. */
typedef bool lv_change_show_fn(void *ctx, const struct lv_change *change);

/* Of one vhost and of one user where these are not empty, else of all. Without the default exchange
 * and its bindings. False: the walk is over. */
bool lv_changes_walk(const struct lv_broker *broker, enum lv_changes changes,
                     const struct lv_client_view *of, struct lv_walk *walk, lv_change_show_fn *show,
                     void *ctx);
