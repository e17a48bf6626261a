/*
 * broker/guest.h - the vhost "/" and users who may do everything in it, for tests of all rooms.
 *
 * As if they had been on disk: nothing of it is logged. Tests only.
 */
#pragma once

#include "broker/core.h"
#include "broker/restore.h"

/* A user without a password, on this shard. */
static inline int lv_guest_add(struct lv_broker *broker, const char *user)
{
    union {
        struct lv_table table;
        uint8_t room[sizeof(struct lv_table) + LV_PERMISSIONS * sizeof(struct lv_field)];
    } all = {.table = {.count = LV_PERMISSIONS}};
    static const char *const words[] = {"configure", "write", "read"};
    struct lv_change change = {.kind = LV_CHANGE_USER_PUT, .name = lv_text(user)};
    int rc = lv_broker_restore_change(broker, &change, NULL);

    for (unsigned i = 0; i < LV_PERMISSIONS; i++) {
        struct lv_field *field = &all.table.fields[i];
        field->name = lv_text(words[i]);
        field->value = (struct lv_value){.type = LV_TYPE_STRING, .bytes = lv_text(".*")};
    }
    change.kind = LV_CHANGE_PERMISSION_PUT;
    change.vhost = lv_text("/");
    change.arguments = &all.table;
    return rc < 0 ? rc : lv_broker_restore_change(broker, &change, NULL);
}

/* The vhost "/" and the user "guest". */
static inline int lv_guest_begin(struct lv_broker *broker)
{
    struct lv_change change = {.kind = LV_CHANGE_VHOST_PUT, .vhost = lv_text("/")};
    int rc = lv_broker_restore_change(broker, &change, NULL);

    return rc < 0 ? rc : lv_guest_add(broker, "guest");
}
