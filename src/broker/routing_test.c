/* What RabbitMQ's clients may expect of exchanges, bindings and keys, seen from a client. */
#include "broker/core.h"
#include "broker/harness.h"
#include "broker/words.h"

/* One table of arguments at a time. */
static const struct lv_table *table(const char *words)
{
    static struct lv_arena arena;
    static char text[256];

    lv_arena_fini(&arena);
    lv_arena_init(&arena, 1 << 16);
    (void)snprintf(text, sizeof text, "%s", words);
    return lv_words_table(&arena, lv_text(text));
}

/* Queues of these one-letter names, each with a consumer that is named as it and says what comes.
 */
static void begin(struct lv_sim_client *client, struct lv_sim *sim, const char *queues)
{
    lv_sim_client_open(client, sim, 0);
    for (; *queues != '\0'; queues++) {
        char name[2] = {*queues, '\0'};
        lv_sim_declare(client, name, "");
        lv_sim_consume(client, name, name, "n");
    }
    (void)lv_sim_heard(client);
}

/* Everything the client hears is this, whatever the order: from several shards it can't be told. */
static void hears_from(struct lv_sim_client *client, const char *exchange, const char *key,
                       const char *words, const char *queues)
{
    char heard[64] = "";
    size_t count = 0;
    const char *line;

    assert_int_equal(lv_sim_try_publish_words(client, exchange, key, words, "m", NULL), 0);
    for (line = lv_sim_heard(client); *line != '\0';) {
        const char *end = strchr(line, '\n');
        assert_true(count < sizeof heard - 1);
        if (strncmp(line, "returned", 8) == 0)
            heard[count++] = '-';
        else
            heard[count++] = line[0];
        line = end == NULL ? line + strlen(line) : end + 1;
    }
    for (size_t i = 1; i < count; i++) /* sorted */
        for (size_t at = i; at > 0 && heard[at] < heard[at - 1]; at--) {
            char swap = heard[at];
            heard[at] = heard[at - 1];
            heard[at - 1] = swap;
        }
    assert_string_equal(heard, queues);
}

/* Nothing but agreement. */
static void agreed(struct lv_sim_client *client)
{
    const char *heard = lv_sim_heard(client);

    if (strchr(heard, ':') != NULL)
        fail_msg("%s", heard);
}

SCENARIO(a_topic_exchange_matches_words)
{
    struct lv_sim_client a;

    begin(&a, sim, "abcd");
    lv_sim_bind(&a, "a", "amq.topic", "stock.*.nyse");
    lv_sim_bind(&a, "b", "amq.topic", "stock.#");
    lv_sim_bind(&a, "b", "amq.topic", "#");
    lv_sim_bind(&a, "c", "amq.topic", "");
    lv_sim_bind(&a, "d", "amq.topic", "stock.#");
    agreed(&a);
    hears_from(&a, "amq.topic", "stock.usd.nyse", "", "abd");
    hears_from(&a, "amq.topic", "stock", "", "bd");
    hears_from(&a, "amq.topic", "", "", "bc");
    lv_sim_unbind(&a, "b", "amq.topic", "#");
    agreed(&a);
    hears_from(&a, "amq.topic", "", "", "c");
    lv_sim_unbind(&a, "d", "amq.topic", "stock.#");
    agreed(&a);
    hears_from(&a, "amq.topic", "stock.usd.nyse", "", "ab");
    lv_sim_unbind(&a, "d", "amq.topic", "stock.#");
    lv_sim_delete(&a, "b", "");
    (void)lv_sim_heard(&a);
    hears_from(&a, "amq.topic", "stock.usd.nyse", "", "a");
    hears_from(&a, "amq.topic", "stock", "", "-");
    lv_sim_client_fini(&a);
}

SCENARIO(a_headers_exchange_matches_arguments)
{
    struct lv_sim_client a;

    begin(&a, sim, "abc");
    lv_sim_bind_args(&a, "a", "amq.headers", "", table("x-match=all type=report pages=7"));
    lv_sim_bind_args(&a, "b", "amq.headers", "", table("x-match=any type=report pages=7"));
    lv_sim_bind(&a, "c", "amq.headers", "the key means nothing");
    agreed(&a);
    hears_from(&a, "amq.headers", "", "type=report pages=7h", "abc");
    hears_from(&a, "amq.headers", "", "type=report pages=8", "bc");
    hears_from(&a, "amq.headers", "", "", "c");
    hears_from(&a, "amq.headers", "", "type=report pages=7", "abc"); /* nothing is remembered */
    lv_sim_unbind_args(&a, "a", "amq.headers", "", table("pages=7 type=report x-match=all"));
    lv_sim_unbind(&a, "b", "amq.headers", ""); /* not with these arguments */
    agreed(&a);
    hears_from(&a, "amq.headers", "", "type=report pages=7", "bc");
    lv_sim_bind_args(&a, "a", "amq.match", "", table("x-match=most"));
    assert_hears(&a, "bind: 406 Invalid x-match field value <<\"most\">>; expected all, any, "
                     "all-with-x, or any-with-x");
    lv_sim_bind_args(&a, "a", "amq.match", "", table("x-match=1h"));
    assert_hears(&a, "bind: 406 Invalid x-match field type short (value 1); expected longstr");
    lv_sim_bind_args(&a, "a", "amq.fanout", "", table("x-match=most"));
    assert_hears(&a, "bind-ok"); /* elsewhere it is an argument like any other */
    lv_sim_client_fini(&a);
}

SCENARIO(exchanges_are_bound_to_exchanges)
{
    struct lv_sim_client a;

    begin(&a, sim, "ab");
    lv_sim_exchange(&a, "in", "topic", "");
    lv_sim_exchange(&a, "out", "direct", "i"); /* internal: only other exchanges get there */
    lv_sim_link(&a, "in", "out", "x.#", NULL);
    lv_sim_link(&a, "in", "out", "x.#", NULL); /* once more changes nothing */
    lv_sim_bind(&a, "a", "out", "x.y");        /* the key stays what it was */
    lv_sim_bind(&a, "b", "in", "x.y");
    agreed(&a);
    hears_from(&a, "in", "x.y", "", "ab");
    hears_from(&a, "in", "x.z", "", "-");
    lv_sim_unlink(&a, "in", "out", "x.#", NULL);
    lv_sim_unlink(&a, "in", "out", "x.#", NULL);
    agreed(&a);
    hears_from(&a, "in", "x.y", "", "b");
    lv_sim_client_fini(&a);
}

SCENARIO(a_circle_of_exchanges_is_walked_once)
{
    struct lv_sim_client a;

    begin(&a, sim, "abc");
    lv_sim_exchange(&a, "x", "fanout", "");
    lv_sim_exchange(&a, "y", "fanout", "");
    lv_sim_exchange(&a, "z", "topic", "");
    lv_sim_link(&a, "x", "y", "", NULL);
    lv_sim_link(&a, "y", "z", "", NULL);
    lv_sim_link(&a, "z", "x", "#", NULL);
    lv_sim_link(&a, "x", "x", "", NULL);
    lv_sim_bind(&a, "a", "x", "");
    lv_sim_bind(&a, "a", "y", ""); /* on more than one way: still one copy */
    lv_sim_bind(&a, "b", "y", "");
    lv_sim_bind(&a, "c", "z", "k");
    agreed(&a);
    hears_from(&a, "x", "k", "", "abc");
    hears_from(&a, "z", "j", "", "ab");
    lv_sim_exchange_delete(&a, "y", "");
    agreed(&a);
    hears_from(&a, "x", "k", "", "a");
    hears_from(&a, "z", "k", "", "ac");
    lv_sim_client_fini(&a);
}

SCENARIO(both_ends_of_a_binding_must_be_exchanges_that_are_there)
{
    struct lv_sim_client a;

    begin(&a, sim, "q");
    lv_sim_link(&a, "nosuch", "neither", "", NULL);
    assert_hears(&a, "bind: 404 no exchange 'nosuch' in vhost '/'");
    lv_sim_link(&a, "amq.topic", "q", "", NULL);
    assert_hears(&a, "bind: 404 no exchange 'q' in vhost '/'");
    lv_sim_unlink(&a, "amq.topic", "nosuch", "", NULL);
    assert_hears(&a, "unbind-ok");
    lv_sim_link(&a, "", "amq.topic", "", NULL);
    assert_hears(&a, "bind: 403 operation not permitted on the default exchange");
    lv_sim_unlink(&a, "amq.topic", "", "", NULL);
    assert_hears(&a, "unbind: 403 operation not permitted on the default exchange");
    lv_sim_link(&a, "amq.headers", "amq.topic", "", table("x-match=no"));
    assert_hears(&a, "bind: 406 Invalid x-match field value <<\"no\">>; expected all, any, "
                     "all-with-x, or any-with-x");
    lv_sim_client_fini(&a);
}

/* Auto-delete exchanges each of which lives by a binding to the next one. */
SCENARIO(auto_delete_exchanges_go_one_after_the_other)
{
    struct lv_sim_client a;
    char name[16], next[16];

    begin(&a, sim, "");
    lv_sim_exchange(&a, "0", "fanout", "");
    lv_sim_exchange(&a, "kept", "fanout", "");
    lv_sim_link(&a, "kept", "0", "", NULL);
    for (unsigned i = 1; i <= 100; i++) {
        (void)snprintf(name, sizeof name, "%u", i);
        (void)snprintf(next, sizeof next, "%u", i - 1);
        lv_sim_exchange(&a, name, "fanout", "a");
        lv_sim_link(&a, name, next, "", NULL);
    }
    lv_sim_link(&a, "50", "kept", "", NULL); /* has another binding: the row ends here */
    lv_sim_exchange_delete(&a, "50", "u");
    lv_sim_settle(sim);
    assert_non_null(strstr(lv_sim_heard(&a), "406 exchange '50' in vhost '/' in use"));
    lv_sim_exchange_delete(&a, "0", "");
    agreed(&a);
    lv_sim_exchange(&a, "49", "", "p");
    assert_hears(&a, "exchange-declare: 404 no exchange '49' in vhost '/'");
    lv_sim_exchange(&a, "1", "", "p");
    assert_hears(&a, "exchange-declare: 404 no exchange '1' in vhost '/'");
    lv_sim_exchange(&a, "50", "", "p");
    lv_sim_exchange(&a, "100", "", "p");
    lv_sim_exchange(&a, "kept", "", "p");
    agreed(&a);
    lv_sim_exchange_delete(&a, "kept", "u"); /* its only binding went with its target */
    agreed(&a);
    lv_sim_exchange(&a, "100", "", "p");
    assert_hears(&a, "exchange-declare: 404 no exchange '100' in vhost '/'");
    for (uint32_t i = 0; i < sim->shard_count; i++)
        assert_int_equal(sim->shards[i].broker->topology.binding_count, 0);
    lv_sim_client_fini(&a);
}

SCENARIO(an_alternate_takes_what_leads_nowhere)
{
    struct lv_sim_client a;

    begin(&a, sim, "abc");
    lv_sim_exchange_args(&a, "x", "direct", "", table("alternate-exchange=y"));
    lv_sim_bind(&a, "a", "x", "k");
    agreed(&a);
    hears_from(&a, "x", "k", "", "a");
    hears_from(&a, "x", "other", "", "-"); /* there is no y yet */
    lv_sim_exchange_args(&a, "y", "topic", "i", table("alternate-exchange=z"));
    lv_sim_exchange_args(&a, "z", "fanout", "", table("alternate-exchange=x")); /* round */
    lv_sim_bind(&a, "b", "y", "o#"); /* no wildcard: part of a word */
    agreed(&a);
    hears_from(&a, "x", "other", "", "-");
    lv_sim_bind(&a, "b", "y", "#.other");
    agreed(&a);
    hears_from(&a, "x", "other", "", "b"); /* and is not returned */
    hears_from(&a, "x", "third", "", "-");
    lv_sim_bind(&a, "c", "z", "");
    agreed(&a);
    hears_from(&a, "x", "third", "", "c");
    hears_from(&a, "x", "k", "", "a");
    /* A binding to an exchange is a way on, even if that one knows none. */
    lv_sim_exchange(&a, "end", "fanout", "");
    lv_sim_link(&a, "x", "end", "third", NULL);
    agreed(&a);
    hears_from(&a, "x", "third", "", "-");
    lv_sim_exchange_args(&a, "by-name", "fanout", "", table("alternate-exchange="));
    agreed(&a);
    hears_from(&a, "by-name", "b", "", "-"); /* the default exchange, which is bound to nothing */
    lv_sim_client_fini(&a);
}

SCENARIO(an_alternate_is_part_of_what_an_exchange_is)
{
    struct lv_sim_client a;

    begin(&a, sim, "");
    lv_sim_exchange_args(&a, "x", "direct", "", table("alternate-exchange=5"));
    assert_hears(&a, "exchange-declare: 406 invalid type 'long' for arg 'alternate-exchange' in "
                     "exchange 'x' in vhost '/'");
    lv_sim_exchange_args(&a, "x", "direct", "", table("alternate-exchange=y"));
    lv_sim_exchange_args(&a, "x", "direct", "", table("alternate-exchange=y other=1"));
    agreed(&a);
    lv_sim_exchange_args(&a, "x", "direct", "", table("alternate-exchange=z"));
    assert_hears(&a, "exchange-declare: 406 inequivalent arg 'alternate-exchange' for exchange 'x' "
                     "in vhost '/': received 'z' but current is 'y'");
    lv_sim_exchange(&a, "x", "direct", "");
    assert_hears(&a, "exchange-declare: 406 inequivalent arg 'alternate-exchange' for exchange 'x' "
                     "in vhost '/': received none but current is the value 'y' of type 'longstr'");
    lv_sim_client_fini(&a);
}

SCENARIO(cc_and_bcc_are_further_keys)
{
    struct lv_sim_client a;

    begin(&a, sim, "abcd");
    hears_from(&a, "", "a", "CC=[b;c] BCC=[d;a]", "abcd");
    hears_from(&a, "", "nobody", "BCC=[b]", "b");
    hears_from(&a, "", "nobody", "CC=[]", "-");
    hears_from(&a, "", "nobody", "cc=[b]", "-"); /* another header */
    lv_sim_bind(&a, "a", "amq.topic", "x.*");
    lv_sim_bind(&a, "b", "amq.topic", "*.y");
    lv_sim_bind(&a, "c", "amq.direct", "k");
    lv_sim_link(&a, "amq.topic", "amq.direct", "x.z", NULL);
    agreed(&a);
    hears_from(&a, "amq.topic", "x.z", "CC=[x.y;k]", "abc"); /* the keys go along */
    hears_from(&a, "amq.topic", "x.z", "", "a");             /* but nothing of it is kept */
    hears_from(&a, "amq.topic", "", "CC=[k]", "-");
    lv_sim_client_fini(&a);
}

SCENARIO(bcc_is_seen_by_nobody)
{
    struct lv_sim_client a;

    begin(&a, sim, "a");
    assert_int_equal(lv_sim_try_publish_words(&a, "", "x", "n=1 BCC=[a] CC=[b]", "secret", NULL),
                     0);
    assert_hears(&a, "a #1 secret {n=1 CC=[b]}");
    assert_int_equal(lv_sim_try_publish_words(&a, "", "x", "CC=[y] BCC=[z]", "lost", NULL), 0);
    assert_hears(&a, "returned lost {CC=[y]}");
    lv_sim_client_fini(&a);
}

SCENARIO(cc_that_is_no_array_is_refused)
{
    struct lv_sim_client a;
    struct lv_diag diag;

    begin(&a, sim, "a");
    assert_int_equal(lv_sim_try_publish_words(&a, "", "a", "CC=b", "m", &diag), -LV_E_PRECONDITION);
    assert_string_equal(diag.text, "invalid message: {unacceptable_type_in_header,\"CC\",longstr}");
    assert_int_equal(lv_sim_try_publish_words(&a, "", "a", "CC=[b] BCC=t", "m", &diag),
                     -LV_E_PRECONDITION);
    assert_string_equal(diag.text, "invalid message: {unacceptable_type_in_header,\"BCC\",bool}");
    assert_int_equal(lv_sim_try_publish_words(&a, "nosuch", "a", "CC=b", "m", &diag),
                     -LV_E_NOT_FOUND); /* the exchange is looked at first */
    assert_hears(&a, "");
    lv_sim_client_fini(&a);
}

SCENARIO(a_transaction_takes_the_same_ways)
{
    struct lv_sim_client a;
    struct lv_diag diag;

    begin(&a, sim, "ab");
    assert_int_equal(lv_channel_tx_select(a.channels[0].core, &diag), 0);
    assert_int_equal(lv_sim_try_publish_words(&a, "", "a", "BCC=[b]", "m", NULL), 0);
    assert_hears(&a, "");
    a.awaited = 1;
    lv_channel_tx_commit(a.channels[0].core);
    lv_sim_settle(sim);
    assert_non_null(strstr(lv_sim_heard_now(&a), "b #"));
    lv_sim_client_fini(&a);
}

SCENARIO(every_type_is_declared_and_told_apart)
{
    struct lv_sim_client a;

    begin(&a, sim, "");
    lv_sim_exchange(&a, "x", "topic", "d");
    lv_sim_exchange(&a, "y", "headers", "");
    lv_sim_exchange(&a, "amq.topic", "topic", "d");
    lv_sim_exchange(&a, "amq.match", "headers", "d");
    agreed(&a);
    lv_sim_exchange(&a, "x", "headers", "d");
    assert_hears(&a, "exchange-declare: 406 inequivalent arg 'type' for exchange 'x' in vhost '/': "
                     "received 'headers' but current is 'topic'");
    lv_sim_client_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENARIO_TEST(a_topic_exchange_matches_words),
        SCENARIO_TEST(a_headers_exchange_matches_arguments),
        SCENARIO_TEST(exchanges_are_bound_to_exchanges),
        SCENARIO_TEST(a_circle_of_exchanges_is_walked_once),
        SCENARIO_TEST(both_ends_of_a_binding_must_be_exchanges_that_are_there),
        SCENARIO_TEST(auto_delete_exchanges_go_one_after_the_other),
        SCENARIO_TEST(an_alternate_takes_what_leads_nowhere),
        SCENARIO_TEST(an_alternate_is_part_of_what_an_exchange_is),
        SCENARIO_TEST(cc_and_bcc_are_further_keys),
        SCENARIO_TEST(bcc_is_seen_by_nobody),
        SCENARIO_TEST(cc_that_is_no_array_is_refused),
        SCENARIO_TEST(a_transaction_takes_the_same_ways),
        SCENARIO_TEST(every_type_is_declared_and_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
