#include "broker/permit.h"

#include "base/alloc.h"
#include "broker/core.h"
#include "broker/harness.h"

#include <stdio.h>

/* A user whose patterns are these; on channel 1. */
static void open_with(struct lv_sim_client *client, struct lv_sim *sim, uint32_t shard,
                      const char *configure, const char *write, const char *read)
{
    lv_sim_put_user(sim, "bob");
    assert_string_equal(
        lv_sim_permit(sim, "bob", "/", (const char *const[]){configure, write, read}), "ok");
    lv_sim_client_open_as(client, sim, shard,
                          &(struct lv_sim_identity){.user = "bob", .vhost = "/"});
}

/* ---- every command ---- */

static const char *publish(struct lv_sim_client *client, const char *exchange, const char *key)
{
    static char text[300];
    struct lv_diag diag = {""};
    int rc = lv_sim_try_publish(client, exchange, key, "m", false, &diag);

    if (rc == 0)
        return "ok";
    snprintf(text, sizeof text, "publish: %d %s", lv_error_code(rc), diag.text);
    return text;
}

static const char *declare_queue(struct lv_sim_client *client)
{
    lv_sim_declare(client, "q", "");
    return lv_sim_heard(client);
}

static const char *declare_new_queue(struct lv_sim_client *client)
{
    lv_sim_declare(client, "new", "");
    return lv_sim_heard(client);
}

static const char *declare_passively(struct lv_sim_client *client)
{
    lv_sim_declare(client, "q", "p");
    return lv_sim_heard(client);
}

static const char *declare_dead_lettering(struct lv_sim_client *client)
{
    struct lv_sim_table memory;

    lv_sim_declare_args(client, "dead", "",
                        lv_sim_table(&memory, "x-dead-letter-exchange", lv_sim_string("dlx")));
    return lv_sim_heard(client);
}

static const char *declare_exchange(struct lv_sim_client *client)
{
    lv_sim_exchange(client, "x", "direct", "");
    return lv_sim_heard(client);
}

static const char *declare_exchange_passively(struct lv_sim_client *client)
{
    lv_sim_exchange(client, "x", "direct", "p");
    return lv_sim_heard(client);
}

static const char *declare_alternate(struct lv_sim_client *client)
{
    struct lv_sim_table memory;

    lv_sim_exchange_args(client, "y", "direct", "",
                         lv_sim_table(&memory, "alternate-exchange", lv_sim_string("x")));
    return lv_sim_heard(client);
}

static const char *delete_exchange(struct lv_sim_client *client)
{
    lv_sim_exchange_delete(client, "none", "");
    return lv_sim_heard(client);
}

static const char *delete_queue(struct lv_sim_client *client)
{
    lv_sim_delete(client, "none", "");
    return lv_sim_heard(client);
}

static const char *purge(struct lv_sim_client *client)
{
    lv_sim_purge(client, "q");
    return lv_sim_heard(client);
}

static const char *bind(struct lv_sim_client *client)
{
    lv_sim_bind(client, "q", "x", "k");
    return lv_sim_heard(client);
}

static const char *unbind(struct lv_sim_client *client)
{
    lv_sim_unbind(client, "q", "x", "k");
    return lv_sim_heard(client);
}

static const char *join(struct lv_sim_client *client)
{
    lv_sim_link(client, "x", "amq.fanout", "k", NULL);
    return lv_sim_heard(client);
}

static const char *part(struct lv_sim_client *client)
{
    lv_sim_unlink(client, "x", "amq.fanout", "k", NULL);
    return lv_sim_heard(client);
}

static const char *publish_to_x(struct lv_sim_client *client)
{
    return publish(client, "x", "k");
}

static const char *publish_to_default(struct lv_sim_client *client)
{
    return publish(client, "", "none");
}

static const char *get(struct lv_sim_client *client)
{
    lv_sim_get(client, "q", "n");
    return lv_sim_heard(client);
}

static const char *consume(struct lv_sim_client *client)
{
    lv_sim_consume(client, "q", "c", "n");
    return lv_sim_heard(client);
}

/* What a command needs, in the order in which it is asked for. */
struct need {
    char permission; /* c, w, r; a: any; 0: no more */
    const char *resource;
};

static const struct row {
    const char *(*run)(struct lv_sim_client *client);
    const char *command; /* as the harness calls it */
    struct need needs[3];
} rows[] = {
    {declare_queue, "declare", {{'c', "queue 'q'"}}},
    {declare_new_queue, "declare", {{'c', "queue 'new'"}}},
    {declare_passively, "declare", {{'a', "queue 'q'"}}},
    {declare_dead_lettering,
     "declare",
     {{'c', "queue 'dead'"}, {'r', "queue 'dead'"}, {'w', "exchange 'dlx'"}}},
    {declare_exchange, "exchange-declare", {{'c', "exchange 'x'"}}},
    {declare_exchange_passively, "exchange-declare", {{'a', "exchange 'x'"}}},
    {declare_alternate,
     "exchange-declare",
     {{'c', "exchange 'y'"}, {'r', "exchange 'y'"}, {'w', "exchange 'x'"}}},
    {delete_exchange, "exchange-delete", {{'c', "exchange 'none'"}}},
    {delete_queue, "delete", {{'c', "queue 'none'"}}},
    {purge, "purge", {{'r', "queue 'q'"}}},
    {bind, "bind", {{'w', "queue 'q'"}, {'r', "exchange 'x'"}}},
    {unbind, "unbind", {{'w', "queue 'q'"}, {'r', "exchange 'x'"}}},
    {join, "bind", {{'w', "exchange 'amq.fanout'"}, {'r', "exchange 'x'"}}},
    {part, "unbind", {{'w', "exchange 'amq.fanout'"}, {'r', "exchange 'x'"}}},
    {publish_to_x, "publish", {{'w', "exchange 'x'"}}},
    {publish_to_default, "publish", {{'w', "exchange 'amq.default'"}}},
    {get, "get", {{'r', "queue 'q'"}}},
    {consume, "consume", {{'r', "queue 'q'"}}},
};

/* The refusal that is due, or "" when there is none. `has` is of bits: configure, write, read. */
static const char *expected(const struct row *row, unsigned has)
{
    static const char letters[] = "cwr";
    static const char *const words[] = {"configure", "write", "read"};
    static char text[300];

    for (unsigned i = 0; i < LV_COUNT(row->needs) && row->needs[i].permission != 0; i++) {
        char permission = row->needs[i].permission;
        unsigned place = permission == 'a' ? 0 : (unsigned)(strchr(letters, permission) - letters);
        if (permission == 'a' ? has != 0 : (has >> place & 1) != 0)
            continue;
        snprintf(text, sizeof text, "%s: 403 %s access to %s in vhost '/' refused for user 'bob'",
                 row->command, words[place], row->needs[i].resource);
        return text;
    }
    return "";
}

SCENARIO(every_command_asks_for_what_it_needs)
{
    struct lv_sim_client guest;

    lv_sim_client_open(&guest, sim, 0);
    lv_sim_declare(&guest, "q", "");
    lv_sim_exchange(&guest, "x", "direct", "");
    lv_sim_heard(&guest);
    for (unsigned has = 0; has < 8; has++) {
        struct lv_sim_client bob;
        open_with(&bob, sim, has, has & 1 ? ".*" : "", has & 2 ? ".*" : "", has & 4 ? ".*" : "");
        for (size_t i = 0; i < LV_COUNT(rows); i++) {
            const char *heard = rows[i].run(&bob);
            const char *due = expected(&rows[i], has);
            if (due[0] != '\0')
                assert_string_equal(heard, due);
            else
                assert_null(strstr(heard, "403"));
        }
        lv_sim_client_fini(&bob);
        lv_sim_delete(&guest, "new", "");
        lv_sim_exchange_delete(&guest, "y", "");
        lv_sim_heard(&guest);
    }
    lv_sim_client_fini(&guest);
}

SCENARIO(names_are_what_patterns_are_about)
{
    struct lv_sim_client bob;

    open_with(&bob, sim, 1, "^(bob\\.|amq\\.gen-)", "^amq\\.default$", "^bob\\.");
    lv_sim_declare(&bob, "bob.q", "");
    assert_hears(&bob, "declare-ok bob.q 0 0");
    lv_sim_declare(&bob, "alice.q", "");
    assert_hears(&bob, "declare: 403 configure access to queue 'alice.q' in vhost '/' refused for "
                       "user 'bob'");
    lv_sim_declare(&bob, "", ""); /* is judged by the name that it gets */
    assert_memory_equal(lv_sim_heard(&bob), "declare-ok amq.gen-", 19);
    assert_string_equal(publish(&bob, "", "bob.q"), "ok");
    assert_memory_equal(publish(&bob, "amq.direct", "k"), "publish: 403 write access to exchange ",
                        38);
    lv_sim_client_fini(&bob);
}

SCENARIO(who_may_not_is_not_told_what_there_is)
{
    struct lv_sim_client bob;

    open_with(&bob, sim, 0, "", "", "");
    lv_sim_get(&bob, "none", "");
    assert_hears(&bob, "get: 403 read access to queue 'none' in vhost '/' refused for user 'bob'");
    assert_string_equal(publish(&bob, "none", ""), "publish: 403 write access to exchange 'none' "
                                                   "in vhost '/' refused for user 'bob'");
    lv_sim_declare(&bob, "none", "p");
    assert_memory_equal(lv_sim_heard(&bob), "declare: 403", 12);
    lv_sim_client_fini(&bob);
}

/* ---- topics ---- */

SCENARIO(topics_of_an_exchange_are_guarded_by_the_routing_key)
{
    struct lv_sim_client bob;

    open_with(&bob, sim, 1, ".*", ".*", ".*");
    assert_string_equal(lv_sim_permit_topic(sim, "bob", "amq.topic", "^w\\.{username}\\.", "^r"),
                        "ok");
    lv_sim_declare(&bob, "q", "");
    lv_sim_heard(&bob);
    assert_string_equal(publish(&bob, "amq.topic", "w.bob.1"), "ok");
    assert_string_equal(publish(&bob, "amq.topic", "w.bob.1"), "ok");
    assert_string_equal(publish(&bob, "amq.topic", "w.alice"),
                        "publish: 403 write access to topic 'w.alice' in exchange 'amq.topic' in "
                        "vhost '/' refused for user 'bob'");
    assert_string_equal(publish(&bob, "amq.direct", "w.alice"), "ok");
    lv_sim_bind(&bob, "q", "amq.topic", "r.#");
    assert_hears(&bob, "bind-ok");
    lv_sim_bind(&bob, "q", "amq.topic", "#");
    assert_hears(&bob, "bind: 403 read access to topic '#' in exchange 'amq.topic' in vhost '/' "
                       "refused for user 'bob'");
    lv_sim_unbind(&bob, "q", "amq.topic", "#");
    assert_memory_equal(lv_sim_heard(&bob), "unbind: 403", 11);
    lv_sim_link(&bob, "amq.topic", "amq.fanout", "x", NULL);
    assert_memory_equal(lv_sim_heard(&bob), "bind: 403 read access to topic 'x'", 34);
    lv_sim_client_fini(&bob);
}

SCENARIO(only_topic_exchanges_have_topics)
{
    struct lv_sim_client bob;

    open_with(&bob, sim, 2, ".*", ".*", ".*");
    lv_sim_permit_topic(sim, "bob", "x", "", "");
    lv_sim_exchange(&bob, "x", "direct", "");
    assert_hears(&bob, "exchange-declare-ok");
    assert_string_equal(publish(&bob, "x", "k"), "ok");
    lv_sim_exchange_delete(&bob, "x", "");
    lv_sim_exchange(&bob, "x", "topic", "");
    lv_sim_heard(&bob);
    assert_memory_equal(publish(&bob, "x", "k"), "publish: 403 write access to topic 'k'", 38);
    lv_sim_exchange_delete(&bob, "x", "");
    lv_sim_heard(&bob);
    assert_string_equal(publish(&bob, "x", "k"), "publish: 404 no exchange 'x' in vhost '/'");
    lv_sim_client_fini(&bob);
}

/* ---- what is remembered ---- */

SCENARIO(a_remembered_decision_does_not_outlive_a_change)
{
    struct lv_sim_client bob;
    static const char *const few[] = {".*", "^amq\\.f", ".*"};
    static const char *const none[] = {"", "", ""};

    open_with(&bob, sim, 1, ".*", ".*", ".*");
    assert_string_equal(publish(&bob, "amq.fanout", ""), "ok");
    assert_string_equal(publish(&bob, "amq.topic", ""), "ok");
    lv_sim_permit(sim, "bob", "/", few);
    for (int i = 0; i < 2; i++) { /* asked, then remembered */
        assert_string_equal(publish(&bob, "amq.fanout", "a"), "ok");
        assert_memory_equal(publish(&bob, "amq.topic", ""), "publish: 403", 12);
    }
    lv_sim_permit_topic(sim, "bob", "amq.topic", "^b", "");
    lv_sim_permit(sim, "bob", "/", (const char *const[]){".*", ".*", ".*"});
    for (int i = 0; i < 2; i++) {
        assert_string_equal(publish(&bob, "amq.topic", "b"), "ok");
        assert_memory_equal(publish(&bob, "amq.topic", "a"), "publish: 403", 12);
        assert_string_equal(publish(&bob, "amq.fanout", "a"), "ok");
    }
    lv_sim_permit(sim, "bob", "/", none);
    assert_memory_equal(publish(&bob, "amq.fanout", "a"), "publish: 403", 12);
    lv_sim_change(sim, 0,
                  &(struct lv_change){.kind = LV_CHANGE_PERMISSION_DELETE,
                                      .vhost = lv_text("/"),
                                      .name = lv_text("bob")});
    assert_memory_equal(publish(&bob, "amq.topic", "b"), "publish: 403", 12);
    lv_sim_client_fini(&bob);
}

/* Without memory it is asked every time, with the same answer. */
static void a_decision_that_cannot_be_kept_is_made_again(void **state)
{
    struct lv_sim sim;
    struct lv_sim_client bob;

    (void)state;
    lv_sim_init(&sim, 1, 0);
    open_with(&bob, &sim, 0, "", "^amq\\.", "");
    assert_memory_equal(publish(&bob, "no", ""), "publish: 403", 12); /* PCRE2 has its memory */
    lv_alloc_fail_after(1, 1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(lv_channel_check_publish(bob.channels[0].core,
                                                  &(struct lv_message){.exchange = lv_text("no")},
                                                  &(struct lv_diag){""}),
                         -LV_E_ACCESS_REFUSED);
    assert_int_equal(
        lv_permit(bob.core, LV_RESOURCE_EXCHANGE, lv_text("amq.direct"), LV_PERMISSION_WRITE, NULL),
        0);
    lv_alloc_fail_after(0, 0);
    assert_string_equal(publish(&bob, "amq.fanout", ""), "ok");
    lv_sim_client_fini(&bob);
    lv_sim_fini(&sim);
}

SCENARIO(a_pattern_that_takes_too_long_refuses_and_says_so)
{
    struct lv_sim_client bob;
    const char *heard;

    open_with(&bob, sim, 0, "^(a+)+$", "", "");
    lv_sim_declare(&bob, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", "");
    heard = lv_sim_heard(&bob);
    assert_memory_equal(heard, "warned access.gave_up pattern '^(a+)+$' of user 'bob' gives up on",
                        65);
    assert_non_null(strstr(heard, "declare: 403 configure access"));
    lv_sim_client_fini(&bob);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENARIO_TEST(every_command_asks_for_what_it_needs),
        SCENARIO_TEST(names_are_what_patterns_are_about),
        SCENARIO_TEST(who_may_not_is_not_told_what_there_is),
        SCENARIO_TEST(topics_of_an_exchange_are_guarded_by_the_routing_key),
        SCENARIO_TEST(only_topic_exchanges_have_topics),
        SCENARIO_TEST(a_remembered_decision_does_not_outlive_a_change),
        cmocka_unit_test(a_decision_that_cannot_be_kept_is_made_again),
        SCENARIO_TEST(a_pattern_that_takes_too_long_refuses_and_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
