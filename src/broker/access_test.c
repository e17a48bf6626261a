#include "broker/access.h"

#include "base/alloc.h"
#include "broker/core.h"
#include "broker/harness.h"
#include "broker/inspect.h"

#include <stdio.h>

static const char *const all[] = {".*", ".*", ".*"};

static const char *change_user(struct lv_sim *sim, enum lv_change_kind kind, const char *user,
                               const char *other, const char *key)
{
    return lv_sim_change(
        sim, 1,
        &(struct lv_change){
            .kind = kind, .name = lv_text(user), .other = lv_text(other), .key = lv_text(key)});
}

static const char *change_vhost(struct lv_sim *sim, enum lv_change_kind kind, const char *vhost,
                                const char *user)
{
    return lv_sim_change(
        sim, 2, &(struct lv_change){.kind = kind, .vhost = lv_text(vhost), .name = lv_text(user)});
}

static const char *limit(struct lv_sim *sim, const char *vhost, const char *user, const char *what,
                         int64_t most)
{
    struct lv_sim_table memory;

    return lv_sim_change(
        sim, 0,
        &(struct lv_change){.kind = LV_CHANGE_LIMITS_PUT,
                            .vhost = lv_text(vhost),
                            .name = lv_text(user),
                            .arguments =
                                lv_sim_table(&memory, what, lv_sim_integer(LV_TYPE_I64, most))});
}

/* Why this shard lets the user not in; the test fails when it does. */
static const char *refusal(struct lv_sim *sim, uint32_t shard, const char *vhost, const char *user)
{
    static struct lv_diag diag;
    struct lv_client_config config = {.vhost = lv_text(vhost), .user = lv_text(user)};
    struct lv_client *client;

    lv_sim_settle(sim);
    assert_int_equal(
        lv_client_open(sim->shards[shard % sim->shard_count].broker, &config, &diag, &client),
        -LV_E_NOT_ALLOWED);
    return diag.text;
}

static void open_in(struct lv_sim_client *client, struct lv_sim *sim, uint32_t shard,
                    const char *vhost, const char *user)
{
    lv_sim_client_open_as(client, sim, shard,
                          &(struct lv_sim_identity){.user = user, .vhost = vhost});
}

/* ---- users ---- */

SCENARIO(a_user_is_made_changed_and_deleted_on_every_shard)
{
    struct lv_user_view view;

    assert_string_equal(lv_sim_put_user(sim, "bob"), "ok");
    assert_string_equal(change_user(sim, LV_CHANGE_USER_PASSWORD, "bob", "other", ""), "ok");
    assert_string_equal(change_user(sim, LV_CHANGE_USER_TAGS, "bob", "", "management,x"), "ok");
    for (uint32_t i = 0; i < sim->shard_count; i++) {
        assert_true(lv_broker_user(sim->shards[i].broker, lv_text("bob"), &view));
        assert_true(lv_bytes_equal(view.hash, lv_text("other")));
        assert_true(lv_bytes_equal(view.tags, lv_text("management,x")));
    }
    assert_string_equal(change_user(sim, LV_CHANGE_USER_DELETE, "bob", "", ""), "ok");
    for (uint32_t i = 0; i < sim->shard_count; i++)
        assert_false(lv_broker_user(sim->shards[i].broker, lv_text("bob"), &view));
}

SCENARIO(every_change_of_a_user_gives_another_version)
{
    struct lv_user_view view;
    uint64_t version;

    lv_sim_put_user(sim, "bob");
    assert_true(lv_broker_user(sim->shards[0].broker, lv_text("bob"), &view));
    version = view.version;
    lv_sim_put_user(sim, "alice");
    assert_true(lv_broker_user(sim->shards[0].broker, lv_text("bob"), &view));
    assert_int_equal(view.version, version);
    change_user(sim, LV_CHANGE_USER_PASSWORD, "bob", "x", "");
    assert_true(lv_broker_user(sim->shards[0].broker, lv_text("bob"), &view));
    assert_true(view.version > version);
    version = view.version;
    change_user(sim, LV_CHANGE_USER_DELETE, "bob", "", "");
    lv_sim_put_user(sim, "bob");
    assert_true(lv_broker_user(sim->shards[0].broker, lv_text("bob"), &view));
    assert_true(view.version > version);
}

SCENARIO(what_cannot_be_is_refused_in_rabbitmqs_words)
{
    char long_name[300];
    struct lv_change change = {
        .kind = LV_CHANGE_USER_PUT, .name = lv_text("guest"), .is_new = true};

    assert_string_equal(lv_sim_change(sim, 0, &change), "406 User \"guest\" already exists");
    change = (struct lv_change){.kind = LV_CHANGE_VHOST_PUT, .vhost = lv_text("/"), .is_new = true};
    assert_string_equal(lv_sim_change(sim, 0, &change), "406 Virtual host '/' already exists");
    assert_string_equal(change_user(sim, LV_CHANGE_USER_DELETE, "no", "", ""),
                        "404 User \"no\" does not exist");
    assert_string_equal(change_user(sim, LV_CHANGE_USER_TAGS, "no", "", ""),
                        "404 User \"no\" does not exist");
    assert_string_equal(change_vhost(sim, LV_CHANGE_VHOST_DELETE, "no", ""),
                        "404 Virtual host 'no' does not exist");
    assert_string_equal(lv_sim_permit(sim, "no", "/", all), "404 User \"no\" does not exist");
    assert_string_equal(lv_sim_permit(sim, "guest", "no", all),
                        "404 Virtual host 'no' does not exist");
    assert_string_equal(change_vhost(sim, LV_CHANGE_PERMISSION_DELETE, "/", "no"),
                        "404 User \"no\" does not exist");
    assert_string_equal(change_vhost(sim, LV_CHANGE_TOPIC_PERMISSION_DELETE, "no", "guest"),
                        "404 Virtual host 'no' does not exist");
    assert_string_equal(limit(sim, "no", "", "max-queues", 1),
                        "404 Virtual host 'no' does not exist");
    assert_string_equal(limit(sim, "", "no", "max-channels", 1), "404 User \"no\" does not exist");
    assert_string_equal(lv_sim_put_user(sim, ""), "406 the name of a user may not be empty");
    assert_string_equal(lv_sim_put_vhost(sim, ""),
                        "406 the name of a virtual host may not be empty");
    memset(long_name, 'n', sizeof long_name);
    long_name[sizeof long_name - 1] = '\0';
    assert_memory_equal(lv_sim_put_user(sim, long_name), "406 'nnn", 8);
}

SCENARIO(a_pattern_that_does_not_compile_changes_nothing)
{
    static const char *const bad[] = {".*", "[", ".*"};

    assert_string_equal(lv_sim_permit(sim, "guest", "/", bad),
                        "406 invalid regular expression '[' at offset 1: missing terminating ] for "
                        "character class");
    assert_memory_equal(lv_sim_permit_topic(sim, "guest", "amq.topic", "a", "("), "406 inv", 7);
    /* Well as it was given, but not with a user's name in it. */
    lv_sim_put_user(sim, "a(b");
    assert_memory_equal(lv_sim_permit_topic(sim, "a(b", "amq.topic", "^{username}$", ""),
                        "406 invalid regular expression '^a(b$'", 38);
    for (uint32_t i = 0; i < sim->shard_count; i++) {
        const struct lv_access *access = &sim->shards[i].broker->access;
        assert_int_equal(access->permission_count, 1);
        assert_int_equal(lv_access_user(access, lv_text("a(b"))->grants.count, 0);
        assert_true(lv_user_grant(lv_access_user(access, lv_text("guest")), lv_text("/"))
                        ->patterns[LV_PERMISSION_WRITE]
                        .is_all);
    }
}

SCENARIO(only_who_has_a_permission_gets_into_a_vhost)
{
    struct lv_sim_client a;
    static const char *const none[] = {"", "", ""};

    lv_sim_put_vhost(sim, "v");
    assert_string_equal(refusal(sim, 1, "w", "guest"), "vhost w not found");
    assert_string_equal(refusal(sim, 1, "v", "guest"),
                        "access to vhost 'v' refused for user 'guest'");
    assert_string_equal(refusal(sim, 1, "v", "no"), "access to vhost 'v' refused for user 'no'");
    assert_string_equal(lv_sim_permit(sim, "guest", "v", none), "ok");
    open_in(&a, sim, 1, "v", "guest");
    lv_sim_client_fini(&a);
    assert_string_equal(change_vhost(sim, LV_CHANGE_PERMISSION_DELETE, "v", "guest"), "ok");
    assert_string_equal(change_vhost(sim, LV_CHANGE_PERMISSION_DELETE, "v", "guest"), "ok");
    assert_string_equal(refusal(sim, 1, "v", "guest"),
                        "access to vhost 'v' refused for user 'guest'");
}

SCENARIO(who_is_deleted_is_told_to_go)
{
    struct lv_sim_client a, b;
    static struct lv_sim_identity bob = {.user = "bob", .vhost = "/"};

    lv_sim_put_user(sim, "bob");
    lv_sim_permit(sim, "bob", "/", all);
    lv_sim_client_open_as(&a, sim, 0, &bob);
    lv_sim_client_open_as(&b, sim, 2, &bob);
    lv_sim_declare(&a, "q", "x");
    lv_sim_consume(&a, "q", "c", "");
    assert_hears(&a, "declare-ok q 0 0\nconsume-ok c");
    assert_string_equal(change_user(sim, LV_CHANGE_USER_DELETE, "bob", "", ""), "ok");
    assert_hears(&a, "forced user 'bob' is deleted");
    assert_hears(&b, "forced user 'bob' is deleted");
    /* What he asks before he goes is refused; a namesake has nothing to do with him. */
    lv_sim_put_user(sim, "bob");
    lv_sim_permit(sim, "bob", "/", all);
    lv_sim_get(&b, "q", "");
    assert_hears(&b, "get: 403 read access to queue 'q' in vhost '/' refused for user 'bob'");
    lv_sim_client_fini(&a);
    lv_sim_client_fini(&b);
    assert_true(lv_sim_is_gone(sim, "q"));
}

/* ---- vhosts ---- */

SCENARIO(a_vhost_is_a_world_of_its_own)
{
    struct lv_sim_client a, b;

    assert_string_equal(lv_sim_put_vhost(sim, "v"), "ok");
    lv_sim_permit(sim, "guest", "v", all);
    lv_sim_client_open(&a, sim, 0);
    open_in(&b, sim, 1, "v", "guest");
    lv_sim_declare(&a, "q", "");
    lv_sim_declare(&b, "q", "");
    lv_sim_settle(sim);
    lv_sim_publish(&a, "", "q", "one");
    lv_sim_publish(&b, "amq.direct", "q", "nowhere");
    lv_sim_settle(sim);
    lv_sim_heard(&a);
    lv_sim_heard(&b);
    lv_sim_declare(&a, "q", "p");
    lv_sim_declare(&b, "q", "p");
    assert_hears(&a, "declare-ok q 1 0");
    assert_hears(&b, "declare-ok q 0 0");
    lv_sim_client_fini(&a);
    lv_sim_client_fini(&b);
}

/* All that is counted, on each shard. */
static void count(const struct lv_sim *sim, uint64_t counts[LV_SIM_SHARDS_MAX][7])
{
    for (uint32_t i = 0; i < sim->shard_count; i++) {
        const struct lv_broker *broker = sim->shards[i].broker;
        const uint64_t now[] = {
            broker->topology.exchange_count,
            broker->topology.queue_count,
            broker->topology.binding_count,
            broker->topology.arguments_size,
            broker->homes.count,
            broker->access.permission_count,
            broker->topology.vhosts.count,
        };
        memcpy(counts[i], now, sizeof now);
    }
}

SCENARIO(a_deleted_vhost_takes_all_along)
{
    uint64_t before[LV_SIM_SHARDS_MAX][7], after[LV_SIM_SHARDS_MAX][7];
    struct lv_sim_client a, b, other;
    struct lv_sim_table memory;

    count(sim, before);
    lv_sim_put_vhost(sim, "v");
    lv_sim_permit(sim, "guest", "v", all);
    open_in(&a, sim, 0, "v", "guest");
    open_in(&b, sim, 1, "v", "guest");
    lv_sim_client_open(&other, sim, 1);
    lv_sim_exchange_args(&a, "x", "topic", "da",
                         lv_sim_table(&memory, "alternate-exchange", lv_sim_string("y")));
    lv_sim_exchange(&a, "y", "headers", "a");
    for (int i = 0; i < 5; i++) {
        char name[] = "q0";
        name[1] = (char)('0' + i);
        lv_sim_declare(&a, name, i == 0 ? "x" : "d");
        lv_sim_bind(&a, name, "x", "a.#");
        lv_sim_settle(sim);
        lv_sim_publish(&b, "x", "a.b", "m");
    }
    lv_sim_link(&a, "x", "y", "k", NULL);
    lv_sim_consume(&b, "q1", "c", "");
    lv_sim_settle(sim);
    lv_sim_heard(&a);
    lv_sim_heard(&b);
    assert_string_equal(change_vhost(sim, LV_CHANGE_VHOST_DELETE, "v", ""), "ok");
    assert_hears(&a, "forced vhost 'v' is deleted");
    assert_hears(&b, "forced vhost 'v' is deleted\ncancelled c");
    assert_hears(&other, "");
    lv_sim_client_fini(&a);
    lv_sim_client_fini(&b);
    lv_sim_client_fini(&other);
    count(sim, after);
    for (uint32_t i = 0; i < sim->shard_count; i++)
        assert_memory_equal(before[i], after[i], sizeof before[i]);
    assert_int_equal(lv_sim_live_count(sim), 0);
    assert_string_equal(refusal(sim, 0, "v", "guest"), "vhost v not found");
}

SCENARIO(a_namesake_of_a_deleted_vhost_is_empty)
{
    struct lv_sim_client a, b;

    lv_sim_put_vhost(sim, "v");
    lv_sim_permit(sim, "guest", "v", all);
    open_in(&a, sim, 2, "v", "guest");
    lv_sim_declare(&a, "q", "");
    lv_sim_settle(sim);
    lv_sim_heard(&a);
    change_vhost(sim, LV_CHANGE_VHOST_DELETE, "v", "");
    lv_sim_put_vhost(sim, "v");
    lv_sim_permit(sim, "guest", "v", all);
    open_in(&b, sim, 2, "v", "guest");
    lv_sim_declare(&b, "q", "p");
    assert_hears(&b, "declare: 404 no queue 'q' in vhost 'v'");
    lv_sim_client_fini(&a);
    lv_sim_client_fini(&b);
}

/* What clients do while their vhost goes ends somehow, and once. */
SCENARIO(commands_that_meet_the_end_of_their_vhost_are_answered)
{
    struct lv_sim_client a;
    const struct lv_change change = {.kind = LV_CHANGE_VHOST_DELETE, .vhost = lv_text("v")};

    lv_sim_put_vhost(sim, "v");
    lv_sim_permit(sim, "guest", "v", all);
    open_in(&a, sim, 1, "v", "guest");
    lv_sim_declare(&a, "q", "");
    lv_sim_settle(sim);
    lv_sim_heard(&a);
    lv_sim_publish(&a, "", "q", "m");
    lv_sim_declare(&a, "r", "");
    lv_sim_change(sim, 0, &change);
    lv_sim_declare(&a, "s", "");
    lv_sim_exchange(&a, "x", "direct", "");
    lv_sim_settle(sim);
    lv_sim_heard(&a);
    assert_int_equal(a.awaited, 0);
    lv_sim_client_fini(&a);
    assert_int_equal(lv_sim_live_count(sim), 0);
}

/* ---- limits ---- */

SCENARIO(connections_are_limited_over_all_shards)
{
    struct lv_sim_client a, b, c;

    lv_sim_client_open(&a, sim, 0); /* before there is a limit */
    assert_string_equal(limit(sim, "", "guest", "max-connections", 2), "ok");
    lv_sim_client_open(&b, sim, 1);
    assert_string_equal(
        refusal(sim, 2, "/", "guest"),
        "connection refused for user 'guest': user connection limit (2) is reached");
    assert_string_equal(limit(sim, "/", "", "max-connections", 1), "ok");
    assert_string_equal(refusal(sim, 1, "/", "guest"),
                        "access to vhost '/' refused for user 'guest': connection limit (1) is "
                        "reached");
    assert_string_equal(limit(sim, "/", "", "max-connections", -1), "ok");
    lv_sim_client_fini(&b);
    lv_sim_client_open(&c, sim, 2);
    lv_sim_client_fini(&a);
    lv_sim_client_fini(&c);
    assert_string_equal(limit(sim, "", "guest", "max-connections", 0), "ok");
    assert_string_equal(
        refusal(sim, 0, "/", "guest"),
        "connection refused for user 'guest': user connection limit (0) is reached");
    assert_string_equal(change_vhost(sim, LV_CHANGE_LIMITS_DELETE, "", "guest"), "ok");
    lv_sim_client_open(&a, sim, 0);
    lv_sim_client_fini(&a);
}

SCENARIO(channels_of_a_user_are_limited_over_all_shards)
{
    struct lv_sim_client a, b;
    struct lv_channel *channel;
    struct lv_diag diag;

    lv_sim_client_open(&a, sim, 0);
    lv_sim_client_open(&b, sim, 2);
    assert_string_equal(limit(sim, "", "guest", "max-channels", 3), "ok");
    lv_sim_channel_open(&a, 2);
    lv_sim_settle(sim);
    assert_int_equal(lv_channel_open(b.core, NULL, &diag, &channel), -LV_E_NOT_ALLOWED);
    assert_string_equal(diag.text, "number of channels opened for user 'guest' has reached the "
                                   "maximum allowed user limit of (3)");
    lv_sim_channel_close(&a, 2);
    lv_sim_settle(sim);
    lv_sim_channel_open(&b, 2);
    lv_sim_client_fini(&a);
    lv_sim_client_fini(&b);
}

SCENARIO(queues_of_a_vhost_are_limited)
{
    struct lv_sim_client a;

    lv_sim_client_open(&a, sim, 0);
    assert_string_equal(limit(sim, "/", "", "max-queues", 1), "ok");
    lv_sim_declare(&a, "q", "");
    lv_sim_declare(&a, "r", "");
    lv_sim_declare(&a, "q", "");
    assert_hears(&a, "declare-ok q 0 0\ndeclare: 406 cannot declare queue 'r': queue limit in "
                     "vhost '/' (1) is reached\ndeclare-ok q 0 0");
    assert_memory_equal(
        lv_sim_change(
            sim, 0,
            &(struct lv_change){.kind = LV_CHANGE_LIMITS_PUT,
                                .vhost = lv_text("/"),
                                .arguments = lv_sim_table(&(struct lv_sim_table){0}, "max-queues",
                                                          lv_sim_string("many"))}),
        "406 limit max-queues is a whole number", 38);
    lv_sim_client_fini(&a);
}

/* ---- listing ---- */

struct seen {
    char text[400];
    size_t size;
};

static void see(struct seen *seen, struct lv_bytes a, struct lv_bytes b, struct lv_bytes c)
{
    seen->size += (size_t)snprintf(seen->text + seen->size, sizeof seen->text - seen->size,
                                   "%.*s %.*s %.*s;", LV_FMT(a), LV_FMT(b), LV_FMT(c));
}

static bool see_vhost(void *ctx, const struct lv_vhost *vhost)
{
    see(ctx, lv_vhost_name(vhost), lv_text(""), lv_text(""));
    return false;
}

static bool see_user(void *ctx, const struct lv_user *user)
{
    see(ctx, lv_user_name(user), lv_text(user->tags), lv_text(""));
    return false;
}

static bool see_grant(void *ctx, const struct lv_user *user, const struct lv_grant *grant)
{
    see(ctx, lv_user_name(user), lv_bytes(grant->name, grant->name_size),
        lv_pattern_text(&grant->patterns[LV_PERMISSION_READ]));
    return false;
}

static bool see_topic(void *ctx, const struct lv_user *user, const struct lv_grant *grant,
                      const struct lv_topic_grant *topic)
{
    (void)grant;
    see(ctx, lv_user_name(user), lv_bytes(topic->name, topic->name_size),
        lv_pattern_text(&topic->patterns[LV_PERMISSION_WRITE]));
    return false;
}

/* One thing in each slice; the order of the table is nobody's business. */
#define ASSERT_SEES(call, ...)                                                                     \
    do {                                                                                           \
        static const char *const expected[] = {__VA_ARGS__};                                       \
        struct seen seen = {.size = 0};                                                            \
        struct lv_walk walk = {0};                                                                 \
        size_t size = 0;                                                                           \
        while (call)                                                                               \
            ;                                                                                      \
        for (size_t each = 0; each < LV_COUNT(expected); each++) {                                 \
            assert_non_null(strstr(seen.text, expected[each]));                                    \
            size += strlen(expected[each]);                                                        \
        }                                                                                          \
        assert_int_equal(seen.size, size);                                                         \
    } while (0)

SCENARIO(all_of_it_can_be_listed_a_slice_at_a_time)
{
    const struct lv_broker *broker = sim->shards[sim->shard_count - 1].broker;
    struct lv_bytes none = lv_text("");

    lv_sim_put_vhost(sim, "v");
    lv_sim_put_user(sim, "bob");
    lv_sim_permit(sim, "bob", "v", (const char *const[]){"c", "w", "r"});
    lv_sim_permit(sim, "bob", "/", all);
    lv_sim_permit_topic(sim, "bob", "x", "{username}", "");
    lv_sim_permit_topic(sim, "guest", "y", "w", "r");
    ASSERT_SEES(lv_inspect_vhosts(broker, &walk, see_vhost, &seen), "/  ;", "v  ;");
    ASSERT_SEES(lv_inspect_users(broker, &walk, see_user, &seen), "guest  ;",
                "bob administrator ;");
    ASSERT_SEES(lv_inspect_permissions(broker, none, none, &walk, see_grant, &seen), "guest / .*;",
                "bob / .*;", "bob v r;");
    ASSERT_SEES(lv_inspect_permissions(broker, lv_text("v"), none, &walk, see_grant, &seen),
                "bob v r;");
    ASSERT_SEES(lv_inspect_permissions(broker, none, lv_text("guest"), &walk, see_grant, &seen),
                "guest / .*;");
    ASSERT_SEES(lv_inspect_topic_permissions(broker, none, none, &walk, see_topic, &seen),
                "bob x {username};", "guest y w;");
    change_vhost(sim, LV_CHANGE_TOPIC_PERMISSION_DELETE, "/", "bob");
    ASSERT_SEES(lv_inspect_topic_permissions(broker, none, none, &walk, see_topic, &seen),
                "guest y w;");
}

/* ---- memory ---- */

/* On one shard a change that finds no memory is refused, and what was there stays. */
static void changes_without_memory_change_nothing(void **state)
{
    struct lv_sim_table memory;
    struct lv_change changes[] = {
        {.kind = LV_CHANGE_VHOST_PUT,
         .vhost = lv_text("v"),
         .arguments = lv_sim_table(&memory, "description", lv_sim_string("a vhost"))},
        {.kind = LV_CHANGE_USER_PUT, .name = lv_text("bob"), .other = lv_text("h")},
        {.kind = LV_CHANGE_USER_PASSWORD, .name = lv_text("guest"), .other = lv_text("h")},
        {.kind = LV_CHANGE_PERMISSION_PUT,
         .vhost = lv_text("/"),
         .name = lv_text("alice"),
         .arguments = lv_sim_table(&(struct lv_sim_table){0}, "read", lv_sim_string("^a"))},
        {.kind = LV_CHANGE_TOPIC_PERMISSION_PUT,
         .vhost = lv_text("/"),
         .name = lv_text("alice"),
         .other = lv_text("x"),
         .arguments =
             lv_sim_table(&(struct lv_sim_table){0}, "write", lv_sim_string("{username}."))},
    };

    (void)state;
    for (size_t i = 0; i < LV_COUNT(changes); i++) {
        const char *verdict = "";
        for (uint64_t after = 1; strcmp(verdict, "ok") != 0; after++) {
            uint64_t before[LV_SIM_SHARDS_MAX][7], now[LV_SIM_SHARDS_MAX][7];
            struct lv_sim sim;
            lv_sim_init(&sim, 1, 0);
            lv_sim_put_user(&sim, "alice");
            count(&sim, before);
            lv_alloc_fail_after(after, 1);
            verdict = lv_sim_change(&sim, 0, &changes[i]);
            lv_alloc_fail_after(0, 0);
            count(&sim, now);
            if (strcmp(verdict, "ok") != 0) {
                assert_string_equal(verdict, "506 out of memory");
                assert_memory_equal(before[0], now[0], sizeof before[0]);
            }
            lv_sim_fini(&sim);
            assert_true(after < 100);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENARIO_TEST(a_user_is_made_changed_and_deleted_on_every_shard),
        SCENARIO_TEST(every_change_of_a_user_gives_another_version),
        SCENARIO_TEST(what_cannot_be_is_refused_in_rabbitmqs_words),
        SCENARIO_TEST(a_pattern_that_does_not_compile_changes_nothing),
        SCENARIO_TEST(only_who_has_a_permission_gets_into_a_vhost),
        SCENARIO_TEST(who_is_deleted_is_told_to_go),
        SCENARIO_TEST(a_vhost_is_a_world_of_its_own),
        SCENARIO_TEST(a_deleted_vhost_takes_all_along),
        SCENARIO_TEST(a_namesake_of_a_deleted_vhost_is_empty),
        SCENARIO_TEST(commands_that_meet_the_end_of_their_vhost_are_answered),
        SCENARIO_TEST(connections_are_limited_over_all_shards),
        SCENARIO_TEST(channels_of_a_user_are_limited_over_all_shards),
        SCENARIO_TEST(queues_of_a_vhost_are_limited),
        SCENARIO_TEST(all_of_it_can_be_listed_a_slice_at_a_time),
        cmocka_unit_test(changes_without_memory_change_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
