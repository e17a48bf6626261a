/*
 * broker/access.h - who may do what: users, their permissions and limits; each shard has all of it.
 *
 * Built from the same changes as the topology, in the same order, so that every shard decides
 * alike without asking anybody. Texts and rules are RabbitMQ's: three patterns for each user and
 * vhost (configure, write, read), searched in the name of the resource; patterns for routing keys
 * of topic exchanges; nothing without a permission in the vhost.
 *
 * A client keeps what it has found out for one version of all this; every change makes another.
 * Limits count what all shards have, as each has told the others last: two connections that open
 * on two shards within a turn may both be let in. Owning shard only.
 */
#pragma once

#include "base/map.h"
#include "broker/pattern.h"
#include "broker/topology.h"

/* What operators can make is bounded, too. */
#define LV_VHOSTS_MAX      10000u
#define LV_USERS_MAX       100000u
#define LV_PERMISSIONS_MAX 1000000u /* those for topics included */

enum lv_permission { LV_PERMISSION_CONFIGURE, LV_PERMISSION_WRITE, LV_PERMISSION_READ };
#define LV_PERMISSIONS 3u

enum lv_resource { LV_RESOURCE_QUEUE, LV_RESOURCE_EXCHANGE };

/* What a user may do with topics of one exchange. */
struct lv_topic_grant {
    struct lv_pattern patterns[LV_PERMISSIONS]; /* own   as given; configure stays empty */
    struct lv_pattern expanded[LV_PERMISSIONS]; /* own   with user and vhost in it */
    uint8_t name_size;
    char name[]; /* of the exchange */
};

/* What a user may do in one vhost. */
struct lv_grant {
    struct lv_pattern patterns[LV_PERMISSIONS]; /* own */
    struct lv_map topics;                       /* own   struct lv_topic_grant by exchange */
    bool is_granted; /*       else there are permissions for topics only */
    uint8_t name_size;
    char name[]; /* of the vhost */
};

struct lv_user {
    struct lv_map grants;  /* own   struct lv_grant by vhost */
    char *hash;            /* own   of the password, as text; "": none */
    char *tags;            /* own   with commas between */
    uint64_t version;      /*       of the access when he was changed last */
    struct lv_tally tally; /* own */
    uint32_t refs;         /*       clients here, and being in the table */
    uint8_t name_size;
    char name[];
};

/* A shard's copy. */
struct lv_access {
    struct lv_map users;       /* own   struct lv_user by name */
    struct lv_matcher matcher; /* own */
    uint64_t version;          /*       of all that decisions depend on; from 1 */
    uint32_t permission_count;
};

int lv_access_init(struct lv_access *access, const struct lv_hash_key *key) LV_MUST_CHECK;
/* No client is left. */
void lv_access_fini(struct lv_access *access);

/* Applies a change of a user, a permission or a limit; lv_topology_apply() calls it. Errors change
 * nothing. */
int lv_access_apply(struct lv_broker *broker, const struct lv_change *change, struct lv_diag *diag)
    LV_MUST_CHECK;
/* The vhost is gone: so is what anybody may do in it. */
void lv_access_forget_vhost(struct lv_access *access, struct lv_bytes vhost);

/* Of a user or a vhost: -LV_E_PRECONDITION when it is empty or has a zero byte. */
int lv_access_check_name(const char *kind, struct lv_bytes name, struct lv_diag *diag)
    LV_MUST_CHECK;
/* NULL when there is none. */
struct lv_user *lv_access_user(const struct lv_access *access, struct lv_bytes name);
/* NULL when he has no permission of any kind in the vhost. */
struct lv_grant *lv_user_grant(const struct lv_user *user, struct lv_bytes vhost);
/* A client lets go; a user who is deleted lives until the last one has. */
void lv_user_unref(struct lv_user *user);

/* Valid as long as the user is. */
static inline struct lv_bytes lv_user_name(const struct lv_user *user)
{
    return lv_bytes(user->name, user->name_size);
}
