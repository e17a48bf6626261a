#include "broker/access.h"

#include "base/alloc.h"
#include "broker/core.h"

#include <stdio.h>

static const char *const words[LV_PERMISSIONS] = {"configure", "write", "read"};

/* ---- making and ending ---- */

static void patterns_fini(struct lv_pattern *patterns)
{
    assert(patterns != NULL);
    for (unsigned i = 0; i < LV_PERMISSIONS; i++)
        lv_pattern_fini(&patterns[i]);
}

static void topic_free(struct lv_topic_grant *topic)
{
    if (topic == NULL)
        return;
    patterns_fini(topic->patterns);
    patterns_fini(topic->expanded);
    lv_free(topic);
}

static void forget_topics(struct lv_access *access, struct lv_grant *grant)
{
    struct lv_topic_grant *topic;
    uint32_t cursor = 0;

    assert(access->permission_count >= grant->topics.count);
    access->permission_count -= grant->topics.count;
    while ((topic = lv_map_next(&grant->topics, &cursor)) != NULL)
        topic_free(topic);
    lv_map_fini(&grant->topics);
}

/* Out of its map already, or with it. */
static void grant_free(struct lv_access *access, struct lv_grant *grant)
{
    forget_topics(access, grant);
    access->permission_count -= grant->is_granted;
    patterns_fini(grant->patterns);
    lv_free(grant);
}

static void forget_grants(struct lv_access *access, struct lv_user *user)
{
    struct lv_grant *grant;
    uint32_t cursor = 0;

    assert(user->refs > 0);
    while ((grant = lv_map_next(&user->grants, &cursor)) != NULL)
        grant_free(access, grant);
    lv_map_fini(&user->grants);
    lv_map_init(&user->grants, access->users.key);
}

void lv_user_unref(struct lv_user *user)
{
    assert(user->refs > 0);
    if (--user->refs > 0)
        return;
    assert(user->grants.count == 0);
    lv_tally_fini(&user->tally);
    lv_map_fini(&user->grants);
    lv_free(user->hash);
    lv_free(user->tags);
    lv_free(user);
}

int lv_access_init(struct lv_access *access, const struct lv_hash_key *key)
{
    assert(key != NULL);
    *access = (struct lv_access){.version = 1};
    lv_map_init(&access->users, key);
    return lv_matcher_init(&access->matcher);
}

void lv_access_fini(struct lv_access *access)
{
    struct lv_user *user;
    uint32_t cursor = 0;

    while ((user = lv_map_next(&access->users, &cursor)) != NULL) {
        forget_grants(access, user);
        lv_user_unref(user);
    }
    assert(access->permission_count == 0);
    lv_map_fini(&access->users);
    lv_matcher_fini(&access->matcher);
}

/* ---- looking up ---- */

struct lv_user *lv_access_user(const struct lv_access *access, struct lv_bytes name)
{
    assert(access->version > 0);
    return lv_map_get(&access->users, name);
}

struct lv_grant *lv_user_grant(const struct lv_user *user, struct lv_bytes vhost)
{
    assert(user != NULL);
    return lv_map_get(&user->grants, vhost);
}

static struct lv_bytes grant_vhost(const struct lv_grant *grant)
{
    return lv_bytes(grant->name, grant->name_size);
}

static struct lv_bytes topic_exchange(const struct lv_topic_grant *topic)
{
    return lv_bytes(topic->name, topic->name_size);
}

int lv_access_check_name(const char *kind, struct lv_bytes name, struct lv_diag *diag)
{
    assert(name.size <= UINT8_MAX);
    if (name.size == 0)
        return lv_fail(diag, -LV_E_PRECONDITION, "the name of a %s may not be empty", kind);
    if (memchr(name.data, 0, name.size) != NULL)
        return lv_fail(diag, -LV_E_PRECONDITION, "the name of a %s may not have a zero byte", kind);
    return 0;
}

static int no_user(struct lv_diag *diag, struct lv_bytes name)
{
    return lv_fail(diag, -LV_E_NOT_FOUND, "User \"%.*s\" does not exist", LV_FMT(name));
}

/* ---- users ---- */

static struct lv_user *user_new(const struct lv_access *access, struct lv_bytes name)
{
    struct lv_user *user = lv_calloc(1, sizeof *user + name.size);

    assert(name.size > 0);
    assert(name.size <= UINT8_MAX);
    if (user == NULL)
        return NULL;
    lv_map_init(&user->grants, access->users.key);
    lv_tally_init(&user->tally);
    user->refs = 1;
    user->name_size = (uint8_t)name.size;
    lv_put_bytes((uint8_t *)user->name, name);
    return user;
}

/* What is not to change comes with NULL for its bytes. */
static int set_user(struct lv_user *user, struct lv_bytes hash, struct lv_bytes tags)
{
    char *new_hash =
        hash.data == NULL ? user->hash : lv_strndup((const char *)hash.data, hash.size);
    char *new_tags =
        tags.data == NULL ? user->tags : lv_strndup((const char *)tags.data, tags.size);

    if (new_hash == NULL || new_tags == NULL) {
        if (new_hash != user->hash)
            lv_free(new_hash);
        if (new_tags != user->tags)
            lv_free(new_tags);
        return -LV_E_NOMEM;
    }
    if (new_hash != user->hash)
        lv_free(user->hash);
    if (new_tags != user->tags)
        lv_free(user->tags);
    user->hash = new_hash;
    user->tags = new_tags;
    return 0;
}

/* Bytes that are there, if only none: NULL means another thing. */
static struct lv_bytes given(struct lv_bytes bytes)
{
    return bytes.size > 0 ? bytes : lv_text("");
}

static int add_user(struct lv_access *access, const struct lv_change *change, struct lv_diag *diag,
                    struct lv_user **ret_user)
{
    struct lv_user *user;
    int rc;

    if (access->users.count >= LV_USERS_MAX)
        return lv_fail(diag, -LV_E_PRECONDITION,
                       "cannot add user '%.*s': user limit of %u is reached", LV_FMT(change->name),
                       LV_USERS_MAX);
    user = user_new(access, change->name);
    if (user == NULL)
        return -LV_E_NOMEM;
    rc = set_user(user, given(change->other), given(change->key));
    if (rc == 0)
        rc = lv_map_put(&access->users, lv_user_name(user), user);
    if (rc < 0) {
        lv_user_unref(user);
        return rc;
    }
    *ret_user = user;
    return 0;
}

static int put_user(struct lv_access *access, const struct lv_change *change, struct lv_diag *diag)
{
    struct lv_user *user = lv_access_user(access, change->name);
    int rc;

    rc = lv_access_check_name("user", change->name, diag);
    if (rc < 0)
        return rc;
    if (user != NULL && change->is_new)
        return lv_fail(diag, -LV_E_PRECONDITION, "User \"%.*s\" already exists",
                       LV_FMT(change->name));
    if (user == NULL)
        rc = add_user(access, change, diag, &user);
    else
        rc = set_user(user, given(change->other), given(change->key));
    if (rc < 0)
        return rc;
    assert(user != NULL);
    user->version = access->version + 1;
    return 0;
}

/* One of the two; the log has the whole user. */
static int edit_user(struct lv_broker *broker, const struct lv_change *change, struct lv_diag *diag)
{
    struct lv_access *access = &broker->access;
    struct lv_user *user = lv_access_user(access, change->name);
    bool is_password = change->kind == LV_CHANGE_USER_PASSWORD;
    struct lv_bytes unchanged = lv_bytes(NULL, 0);
    struct lv_change whole = {.kind = LV_CHANGE_USER_PUT, .name = change->name};
    int rc;

    assert(is_password || change->kind == LV_CHANGE_USER_TAGS);
    if (user == NULL)
        return no_user(diag, change->name);
    rc = set_user(user, is_password ? given(change->other) : unchanged,
                  is_password ? unchanged : given(change->key));
    if (rc < 0)
        return rc;
    user->version = access->version + 1;
    whole.other = lv_text(user->hash);
    whole.key = lv_text(user->tags);
    lv_topology_log(broker, &whole);
    return 0;
}

static int delete_user(struct lv_broker *broker, const struct lv_change *change,
                       struct lv_diag *diag)
{
    struct lv_access *access = &broker->access;
    struct lv_user *user = lv_access_user(access, change->name);
    char why[LV_WHY_SIZE];

    if (user == NULL)
        return no_user(diag, change->name);
    lv_map_remove(&access->users, lv_user_name(user));
    lv_tally_forget_limits(&user->tally); /* a namesake's are none of his */
    forget_grants(access, user);
    snprintf(why, sizeof why, "user '%.*s' is deleted", LV_FMT(lv_user_name(user)));
    lv_clients_force(broker, NULL, user, why);
    lv_user_unref(user);
    return 0;
}

/* ---- permissions ---- */

/* A pattern that is not given is empty. */
static int compile(const struct lv_table *arguments, struct lv_pattern *patterns,
                   struct lv_diag *diag)
{
    int rc = 0;

    memset(patterns, 0, LV_PERMISSIONS * sizeof *patterns);
    for (unsigned i = 0; rc == 0 && i < LV_PERMISSIONS; i++) {
        const struct lv_value *value = lv_table_get(arguments, words[i]);
        if (value != NULL && value->type != LV_TYPE_STRING)
            rc = lv_fail(diag, -LV_E_PRECONDITION, "the %s permission is a string, not of type %s",
                         words[i], lv_type_name(value->type));
        else
            rc = lv_pattern_init(&patterns[i], value == NULL ? lv_text("") : value->bytes, diag);
    }
    if (rc < 0)
        patterns_fini(patterns);
    return rc;
}

/* The grant of this user and vhost, made if need be. */
static int make_grant(const struct lv_broker *broker, const struct lv_change *change,
                      struct lv_diag *diag, struct lv_user **ret_user, struct lv_grant **ret_grant)
{
    struct lv_user *user = lv_access_user(&broker->access, change->name);
    struct lv_grant *grant;

    if (user == NULL)
        return no_user(diag, change->name);
    if (lv_topology_vhost(&broker->topology, change->vhost) == NULL)
        return lv_vhost_missing(change->vhost, diag);
    *ret_user = user;
    *ret_grant = lv_user_grant(user, change->vhost);
    if (*ret_grant != NULL)
        return 0;
    if (broker->access.permission_count >= LV_PERMISSIONS_MAX)
        return lv_fail(diag, -LV_E_PRECONDITION, "permission limit of %u is reached",
                       LV_PERMISSIONS_MAX);
    grant = lv_calloc(1, sizeof *grant + change->vhost.size);
    if (grant == NULL)
        return -LV_E_NOMEM;
    lv_map_init(&grant->topics, broker->access.users.key);
    grant->name_size = (uint8_t)change->vhost.size;
    lv_put_bytes((uint8_t *)grant->name, change->vhost);
    if (lv_map_put(&user->grants, grant_vhost(grant), grant) < 0) {
        lv_free(grant);
        return -LV_E_NOMEM;
    }
    *ret_grant = grant;
    return 0;
}

/* One that allows nothing any more. */
static void drop_if_empty(struct lv_access *access, struct lv_user *user, struct lv_grant *grant)
{
    if (grant->is_granted || grant->topics.count > 0)
        return;
    lv_map_remove(&user->grants, grant_vhost(grant));
    grant_free(access, grant);
}

static int put_permission(struct lv_broker *broker, const struct lv_change *change,
                          struct lv_diag *diag)
{
    struct lv_pattern patterns[LV_PERMISSIONS];
    struct lv_grant *grant = NULL;
    struct lv_user *user = NULL;
    int rc = compile(change->arguments, patterns, diag);

    if (rc < 0)
        return rc;
    rc = make_grant(broker, change, diag, &user, &grant);
    if (rc < 0) {
        patterns_fini(patterns);
        return rc;
    }
    assert(grant != NULL);
    patterns_fini(grant->patterns);
    memcpy(grant->patterns, patterns, sizeof patterns);
    broker->access.permission_count += !grant->is_granted;
    grant->is_granted = true;
    return 0;
}

static int delete_permission(struct lv_broker *broker, const struct lv_change *change,
                             struct lv_diag *diag)
{
    struct lv_access *access = &broker->access;
    struct lv_user *user = lv_access_user(access, change->name);
    struct lv_grant *grant = user == NULL ? NULL : lv_user_grant(user, change->vhost);

    if (user == NULL)
        return no_user(diag, change->name);
    if (lv_topology_vhost(&broker->topology, change->vhost) == NULL)
        return lv_vhost_missing(change->vhost, diag);
    if (grant == NULL || !grant->is_granted)
        return 0;
    access->permission_count--;
    grant->is_granted = false;
    patterns_fini(grant->patterns);
    drop_if_empty(access, user, grant);
    return 0;
}

/* ---- topic permissions ---- */

/* Every `variable` in the pattern's text becomes the value, as it is: RabbitMQ does not quote what
 * means something in patterns either. */
static int replace(char **text, const char *variable, struct lv_bytes value)
{
    size_t size = strlen(variable), total = strlen(*text) + 1;
    const char *from = *text, *at;
    char *filled;
    uint8_t *to;

    assert(size > 0);
    for (at = from; (at = strstr(at, variable)) != NULL; at += size)
        total += value.size;
    filled = lv_alloc(total);
    if (filled == NULL)
        return -LV_E_NOMEM;
    to = (uint8_t *)filled;
    for (; (at = strstr(from, variable)) != NULL; from = at + size) {
        to = lv_put_bytes(to, lv_bytes(from, (size_t)(at - from)));
        to = lv_put_bytes(to, value);
    }
    lv_put_bytes(to, lv_bytes(from, strlen(from) + 1));
    lv_free(*text);
    *text = filled;
    return 0;
}

static int expand(const struct lv_pattern *pattern, const struct lv_change *change,
                  struct lv_diag *diag, struct lv_pattern *ret_expanded)
{
    char *text = lv_strndup(pattern->text, pattern->size);
    int rc = text == NULL ? -LV_E_NOMEM : 0;

    if (rc == 0)
        rc = replace(&text, "{username}", change->name);
    if (rc == 0)
        rc = replace(&text, "{vhost}", change->vhost);
    if (rc == 0)
        rc = lv_pattern_init(ret_expanded, lv_text(text), diag);
    lv_free(text);
    return rc;
}

static struct lv_topic_grant *topic_new(struct lv_bytes exchange)
{
    struct lv_topic_grant *topic = lv_calloc(1, sizeof *topic + exchange.size);

    assert(exchange.size <= UINT8_MAX);
    if (topic == NULL)
        return NULL;
    topic->name_size = (uint8_t)exchange.size;
    lv_put_bytes((uint8_t *)topic->name, exchange);
    return topic;
}

/* With everything that can fail. */
static int make_topic(const struct lv_change *change, struct lv_diag *diag,
                      struct lv_topic_grant **ret_topic)
{
    struct lv_topic_grant *topic = topic_new(change->other);
    int rc = topic == NULL ? -LV_E_NOMEM : compile(change->arguments, topic->patterns, diag);

    for (unsigned i = 0; rc == 0 && i < LV_PERMISSIONS; i++)
        rc = expand(&topic->patterns[i], change, diag, &topic->expanded[i]);
    if (rc < 0) {
        topic_free(topic);
        return rc;
    }
    *ret_topic = topic;
    return 0;
}

static void swap_patterns(struct lv_topic_grant *a, struct lv_topic_grant *b)
{
    for (unsigned i = 0; i < LV_PERMISSIONS; i++) {
        struct lv_pattern pattern = a->patterns[i], expanded = a->expanded[i];
        a->patterns[i] = b->patterns[i];
        a->expanded[i] = b->expanded[i];
        b->patterns[i] = pattern;
        b->expanded[i] = expanded;
    }
}

static int put_topic(struct lv_broker *broker, const struct lv_change *change, struct lv_diag *diag)
{
    struct lv_access *access = &broker->access;
    struct lv_topic_grant *topic = NULL, *old;
    struct lv_grant *grant = NULL;
    struct lv_user *user = NULL;
    int rc = make_topic(change, diag, &topic);

    if (rc < 0)
        return rc;
    rc = make_grant(broker, change, diag, &user, &grant);
    if (rc < 0) {
        topic_free(topic);
        return rc;
    }
    assert(grant != NULL);
    old = lv_map_get(&grant->topics, change->other);
    if (old != NULL) {
        swap_patterns(old, topic);
        topic_free(topic);
        return 0;
    }
    rc = lv_map_put(&grant->topics, topic_exchange(topic), topic);
    if (rc < 0) {
        topic_free(topic);
        drop_if_empty(access, user, grant);
        return rc;
    }
    access->permission_count++;
    return 0;
}

static int delete_topics(struct lv_broker *broker, const struct lv_change *change,
                         struct lv_diag *diag)
{
    struct lv_access *access = &broker->access;
    struct lv_user *user = lv_access_user(access, change->name);
    struct lv_grant *grant = user == NULL ? NULL : lv_user_grant(user, change->vhost);
    struct lv_topic_grant *topic;

    if (user == NULL)
        return no_user(diag, change->name);
    if (lv_topology_vhost(&broker->topology, change->vhost) == NULL)
        return lv_vhost_missing(change->vhost, diag);
    if (grant == NULL)
        return 0;
    if (change->other.size == 0) {
        forget_topics(access, grant);
        lv_map_init(&grant->topics, access->users.key);
    } else {
        topic = lv_map_remove(&grant->topics, change->other);
        access->permission_count -= topic != NULL;
        topic_free(topic);
    }
    drop_if_empty(access, user, grant);
    return 0;
}

void lv_access_forget_vhost(struct lv_access *access, struct lv_bytes vhost)
{
    struct lv_user *user;
    uint32_t cursor = 0;

    assert(vhost.size > 0);
    while ((user = lv_map_next(&access->users, &cursor)) != NULL) {
        struct lv_grant *grant = lv_map_remove(&user->grants, vhost);
        if (grant != NULL)
            grant_free(access, grant);
    }
}

/* ---- limits ---- */

/* Absent or negative: none. */
static int limit(const struct lv_table *arguments, const char *name, struct lv_diag *diag,
                 int64_t *ret_limit)
{
    const struct lv_value *value = lv_table_get(arguments, name);

    if (value != NULL && !lv_value_is_integer(value))
        return lv_fail(diag, -LV_E_PRECONDITION, "limit %s is a whole number, not of type %s", name,
                       lv_type_name(value->type));
    *ret_limit = value == NULL || value->integer < 0 ? -1 : value->integer;
    return 0;
}

/* Deleting is putting none. Of a user when there is a name, else of a vhost. */
static int put_limits(struct lv_broker *broker, const struct lv_change *change,
                      struct lv_diag *diag)
{
    bool is_user = change->name.size > 0;
    struct lv_user *user = lv_access_user(&broker->access, change->name);
    struct lv_vhost *vhost = lv_topology_vhost(&broker->topology, change->vhost);
    int64_t connections = -1, others = -1;
    int rc = limit(change->arguments, "max-connections", diag, &connections);

    if (rc == 0)
        rc = limit(change->arguments, is_user ? "max-channels" : "max-queues", diag, &others);
    if (rc < 0)
        return rc;
    if (is_user && user == NULL)
        return no_user(diag, change->name);
    if (!is_user && vhost == NULL)
        return lv_vhost_missing(change->vhost, diag);
    struct lv_tally *tally = is_user ? &user->tally : &vhost->tally;
    tally->max_connections = connections;
    if (is_user)
        tally->max_channels = others;
    else
        vhost->max_queues = others;
    if (!broker->restoring)
        lv_tally_tell(broker, tally, !is_user, is_user ? change->name : change->vhost);
    return 0;
}

/* ---- all of them ---- */

static int apply(struct lv_broker *broker, const struct lv_change *change, struct lv_diag *diag)
{
    switch (change->kind) {
    case LV_CHANGE_USER_PUT:
        return put_user(&broker->access, change, diag);
    case LV_CHANGE_USER_DELETE:
        return delete_user(broker, change, diag);
    case LV_CHANGE_USER_PASSWORD:
    case LV_CHANGE_USER_TAGS:
        return edit_user(broker, change, diag);
    case LV_CHANGE_PERMISSION_PUT:
        return put_permission(broker, change, diag);
    case LV_CHANGE_PERMISSION_DELETE:
        return delete_permission(broker, change, diag);
    case LV_CHANGE_TOPIC_PERMISSION_PUT:
        return put_topic(broker, change, diag);
    case LV_CHANGE_TOPIC_PERMISSION_DELETE:
        return delete_topics(broker, change, diag);
    case LV_CHANGE_LIMITS_PUT:
    case LV_CHANGE_LIMITS_DELETE:
        return put_limits(broker, change, diag);
    default:
        LV_IMPOSSIBLE("the topology applies the others");
    }
}

int lv_access_apply(struct lv_broker *broker, const struct lv_change *change, struct lv_diag *diag)
{
    int rc = apply(broker, change, diag);

    if (rc < 0)
        return rc;
    broker->access.version++;
    if (change->kind <= LV_CHANGE_LIMITS_DELETE)
        lv_topology_log(broker, change);
    return 0;
}
