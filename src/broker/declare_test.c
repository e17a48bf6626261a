#include "broker/harness.h"

#define LOCKED(queue)                                                                              \
    "405 cannot obtain exclusive access to locked queue '" queue                                   \
    "' in vhost '/'. It could be originally declared on another connection or the exclusive "      \
    "property value does not match that of the original declaration."

SCENARIO(a_declare_makes_a_queue_and_tells_its_counts)
{
    struct lv_sim_client a, b;

    lv_sim_client_open(&a, sim, 0);
    lv_sim_client_open(&b, sim, 1);
    lv_sim_declare(&a, "q", "");
    assert_hears(&a, "declare-ok q 0 0");
    lv_sim_publish(&b, "", "q", "one");
    lv_sim_publish(&b, "", "q", "two");
    lv_sim_settle(sim);
    lv_sim_declare(&b, "q", "");
    assert_hears(&b, "declare-ok q 2 0");
    lv_sim_consume(&a, "q", "t", "");
    assert_hears(&a, "consume-ok t\nt #1 one\nt #2 two");
    lv_sim_declare(&b, "q", "p"); /* unacknowledged messages are not ready */
    assert_hears(&b, "declare-ok q 0 1");
    lv_sim_client_fini(&a);
    lv_sim_client_fini(&b);
}

SCENARIO(a_passive_declare_makes_nothing)
{
    struct lv_sim_client a;

    lv_sim_client_open(&a, sim, 0);
    lv_sim_declare(&a, "q", "p");
    assert_hears(&a, "declare: 404 no queue 'q' in vhost '/'");
    lv_sim_declare(&a, "", "p");
    assert_hears(&a, "declare: 404 no queue '' in vhost '/'");
    lv_sim_exchange(&a, "x", "direct", "p");
    assert_hears(&a, "exchange-declare: 404 no exchange 'x' in vhost '/'");
    lv_sim_exchange(&a, "amq.topic", "", "p");
    assert_hears(&a, "exchange-declare-ok");
    assert_true(lv_sim_is_gone(sim, "q"));
    lv_sim_client_fini(&a);
}

SCENARIO(the_broker_names_a_queue_without_a_name)
{
    struct lv_sim_client a;
    const char *heard;

    lv_sim_client_open(&a, sim, 0);
    lv_sim_declare(&a, "", "x");
    heard = lv_sim_heard(&a);
    assert_memory_equal(heard, "declare-ok amq.gen-", 19);
    assert_int_equal(strlen(heard), 19 + 22 + 4);
    lv_sim_declare(&a, "", "x");
    assert_memory_equal(lv_sim_heard(&a), "declare-ok amq.gen-", 19);
    lv_sim_client_fini(&a);
}

SCENARIO(no_name_means_the_queue_last_declared_on_the_channel)
{
    struct lv_sim_client a;

    lv_sim_client_open(&a, sim, 0);
    lv_sim_purge(&a, "");
    assert_hears(&a, "purge: 404 no previously declared queue");
    lv_sim_delete(&a, "", "");
    assert_hears(&a, "delete: 404 no previously declared queue");
    lv_sim_bind(&a, "", "amq.direct", "");
    assert_hears(&a, "bind: 404 no previously declared queue");
    lv_sim_declare(&a, "p", "");
    lv_sim_declare(&a, "q", "");
    assert_hears(&a, "declare-ok p 0 0\ndeclare-ok q 0 0");
    lv_sim_bind(&a, "", "amq.direct", ""); /* with no key either, that is its name */
    assert_hears(&a, "bind-ok");
    lv_sim_publish(&a, "amq.direct", "q", "by name");
    lv_sim_get(&a, "", "n");
    assert_hears(&a, "get-ok #1 by name, 0 left");
    lv_sim_unbind(&a, "", "amq.direct", "");
    assert_hears(&a, "unbind-ok");
    lv_sim_publish(&a, "amq.direct", "q", "nowhere");
    lv_sim_publish(&a, "", "q", "here");
    lv_sim_purge(&a, "");
    assert_hears(&a, "purge-ok 1");
    lv_sim_consume(&a, "", "t", "");
    assert_hears(&a, "consume-ok t");
    lv_sim_delete(&a, "", "");
    assert_hears(&a, "delete-ok 0\ncancelled t");
    lv_sim_delete(&a, "", ""); /* the name is still remembered; deleting it again succeeds */
    assert_hears(&a, "delete-ok 0");
    assert_true(lv_sim_is_gone(sim, "q"));
    lv_sim_client_fini(&a);
}

SCENARIO(names_of_the_brokers_own_kind_are_refused)
{
    struct lv_sim_client a;

    lv_sim_client_open(&a, sim, 0);
    lv_sim_declare(&a, "amq.mine", "");
    assert_hears(&a, "declare: 403 queue name 'amq.mine' contains reserved prefix 'amq.*'");
    lv_sim_exchange(&a, "amq.mine", "direct", "");
    assert_hears(&a,
                 "exchange-declare: 403 exchange name 'amq.mine' contains reserved prefix 'amq.*'");
    lv_sim_exchange(&a, "amq.direct", "direct", "d"); /* the same as what is there */
    assert_hears(&a, "exchange-declare-ok");
    lv_sim_exchange(&a, "", "direct", "d");
    assert_hears(&a, "exchange-declare: 403 operation not permitted on the default exchange");
    lv_sim_client_fini(&a);
}

SCENARIO(a_queue_is_declared_again_only_as_it_is)
{
    struct lv_sim_client a, b;

    lv_sim_client_open(&a, sim, 0);
    lv_sim_client_open(&b, sim, 1);
    lv_sim_declare(&a, "q", "");
    lv_sim_declare(&a, "d", "da");
    assert_hears(&a, "declare-ok q 0 0\ndeclare-ok d 0 0");
    lv_sim_declare(&b, "q", "d");
    assert_hears(&b, "declare: 406 inequivalent arg 'durable' for queue 'q' in vhost '/': "
                     "received 'true' but current is 'false'");
    lv_sim_declare(&b, "q", "a");
    assert_hears(&b, "declare: 406 inequivalent arg 'auto_delete' for queue 'q' in vhost '/': "
                     "received 'true' but current is 'false'");
    lv_sim_declare(&b, "d", "a");
    assert_hears(&b, "declare: 406 inequivalent arg 'durable' for queue 'd' in vhost '/': "
                     "received 'false' but current is 'true'");
    lv_sim_declare(&b, "q", "x");
    assert_hears(&b, "declare: " LOCKED("q"));
    lv_sim_declare(&b, "q", "p"); /* a passive one compares nothing */
    assert_hears(&b, "declare-ok q 0 0");
    lv_sim_client_fini(&a);
    lv_sim_client_fini(&b);
}

SCENARIO(arguments_that_are_known_are_compared)
{
    struct lv_sim_client a;
    struct lv_sim_table table;

    lv_sim_client_open(&a, sim, 0);
    lv_sim_declare(&a, "q", "");
    assert_hears(&a, "declare-ok q 0 0");
    lv_sim_declare_args(&a, "q", "",
                        lv_sim_table(&table, "x-message-ttl", lv_sim_integer(LV_TYPE_I32, 5)));
    assert_hears(&a, "declare: 406 inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': "
                     "received the value '5' of type 'signedint' but current is none");
    lv_sim_declare_args(&a, "q", "", lv_sim_table(&table, "x-queue-type", lv_sim_string("quorum")));
    assert_hears(&a, "declare: 406 inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': "
                     "received 'quorum' but current is 'classic'");
    lv_sim_declare_args(&a, "q", "",
                        lv_sim_table(&table, "x-queue-type", lv_sim_string("classic")));
    assert_hears(&a, "declare-ok q 0 0");
    lv_sim_declare_args(&a, "q", "", lv_sim_table(&table, "x-color", lv_sim_string("red")));
    assert_hears(&a, "declare-ok q 0 0"); /* nobody knows it */
    lv_sim_client_fini(&a);
}

SCENARIO(what_is_not_there_yet_is_refused_and_not_ignored)
{
    struct lv_sim_client a;
    struct lv_sim_table table;

    lv_sim_client_open(&a, sim, 0);
    lv_sim_declare_args(&a, "q", "",
                        lv_sim_table(&table, "x-message-ttl", lv_sim_integer(LV_TYPE_I32, 5)));
    assert_hears(&a, "declare: 540 argument 'x-message-ttl'");
    lv_sim_declare_args(&a, "q", "", lv_sim_table(&table, "x-queue-type", lv_sim_string("stream")));
    assert_hears(&a, "declare: 540 queue type 'stream'");
    lv_sim_declare_args(&a, "q", "", lv_sim_table(&table, "x-queue-type", lv_sim_string("odd")));
    assert_hears(&a, "declare: 406 invalid arg 'x-queue-type' for queue 'q' in vhost '/': "
                     "\"unsupported queue type 'odd'\"");
    lv_sim_declare_args(&a, "q", "",
                        lv_sim_table(&table, "x-queue-type", lv_sim_integer(LV_TYPE_I64, 1)));
    assert_hears(&a, "declare: 406 invalid arg 'x-queue-type' for queue 'q' in vhost '/': "
                     "{unacceptable_type,long}");
    lv_sim_exchange(&a, "x", "odd", "");
    assert_hears(&a, "exchange-declare: 406 unknown exchange type 'odd'");
    lv_sim_exchange(&a, "x", "", "");
    assert_hears(&a, "exchange-declare: 406 invalid exchange type ''");
    assert_true(lv_sim_is_gone(sim, "q"));
    lv_sim_client_fini(&a);
}

SCENARIO(an_exclusive_queue_is_locked_for_others)
{
    struct lv_sim_client owner, other;

    lv_sim_client_open(&owner, sim, 0);
    lv_sim_client_open(&other, sim, 1);
    lv_sim_declare(&owner, "q", "dx");
    lv_sim_declare(&owner, "q", "dx"); /* durable means nothing for it */
    lv_sim_declare(&owner, "q", "x");
    assert_hears(&owner, "declare-ok q 0 0\ndeclare-ok q 0 0\ndeclare-ok q 0 0");
    lv_sim_declare(&owner, "q", "");
    assert_hears(&owner, "declare: " LOCKED("q"));
    assert_int_equal(lv_sim_home(sim, "q"), owner.shard); /* beside its owner */
    lv_sim_declare(&other, "q", "x");
    assert_hears(&other, "declare: " LOCKED("q"));
    lv_sim_declare(&other, "q", "p");
    assert_hears(&other, "declare: " LOCKED("q"));
    lv_sim_consume(&other, "q", "t", "");
    assert_hears(&other, "consume: " LOCKED("q"));
    lv_sim_get(&other, "q", "");
    assert_hears(&other, "get: " LOCKED("q"));
    lv_sim_purge(&other, "q");
    assert_hears(&other, "purge: " LOCKED("q"));
    lv_sim_bind(&other, "q", "amq.direct", "k");
    assert_hears(&other, "bind: " LOCKED("q"));
    lv_sim_delete(&other, "q", "");
    assert_hears(&other, "delete: " LOCKED("q"));
    lv_sim_publish(&other, "", "q", "anybody may publish");
    lv_sim_settle(sim);
    lv_sim_get(&owner, "q", "n");
    assert_hears(&owner, "get-ok #1 anybody may publish, 0 left");
    lv_sim_client_close(&owner);
    assert_hears(&owner, "channel-closed\nclient-closed");
    assert_true(lv_sim_is_gone(sim, "q"));
    lv_sim_declare(&other, "q", "x");
    assert_hears(&other, "declare-ok q 0 0");
    lv_sim_client_fini(&owner);
    lv_sim_client_fini(&other);
}

SCENARIO(a_delete_has_conditions)
{
    struct lv_sim_client a, b;

    lv_sim_client_open(&a, sim, 0);
    lv_sim_client_open(&b, sim, 2);
    lv_sim_declare(&a, "q", "");
    assert_hears(&a, "declare-ok q 0 0");
    lv_sim_consume(&b, "q", "t", "");
    assert_hears(&b, "consume-ok t");
    lv_sim_delete(&a, "q", "ue");
    assert_hears(&a, "delete: 406 queue 'q' in vhost '/' in use");
    lv_sim_cancel(&b, "t");
    assert_hears(&b, "cancel-ok t");
    lv_sim_publish(&a, "", "q", "one");
    lv_sim_publish(&a, "", "q", "two");
    lv_sim_settle(sim);
    lv_sim_delete(&a, "q", "ue");
    assert_hears(&a, "delete: 406 queue 'q' in vhost '/' not empty");
    lv_sim_delete(&a, "q", "u");
    assert_hears(&a, "delete-ok 2");
    assert_true(lv_sim_is_gone(sim, "q"));
    assert_int_equal(lv_sim_live_count(sim), 0);
    lv_sim_delete(&a, "q", "");
    assert_hears(&a, "delete-ok 0"); /* what isn't there is deleted already */
    lv_sim_client_fini(&a);
    lv_sim_client_fini(&b);
}

SCENARIO(consumers_of_a_deleted_queue_are_told)
{
    struct lv_sim_client a, b;

    lv_sim_client_open(&a, sim, 0);
    lv_sim_client_open(&b, sim, 1);
    lv_sim_declare(&a, "q", "");
    lv_sim_consume(&a, "q", "mine", "");
    assert_hears(&a, "declare-ok q 0 0\nconsume-ok mine");
    lv_sim_consume(&b, "q", "s", "");
    lv_sim_consume(&b, "q", "t", "");
    assert_hears(&b, "consume-ok s\nconsume-ok t");
    lv_sim_delete(&a, "q", "");
    assert_hears(&a, "delete-ok 0\ncancelled mine"); /* the answer comes first */
    assert_hears(&b, "cancelled s\ncancelled t");
    lv_sim_cancel(&b, "s"); /* known no more, which is no error */
    assert_hears(&b, "cancel-ok s");
    lv_sim_declare(&b, "q", "");
    lv_sim_consume(&b, "q", "s", "");
    assert_hears(&b, "declare-ok q 0 0\nconsume-ok s");
    lv_sim_client_fini(&a);
    lv_sim_client_fini(&b);
}

SCENARIO(what_was_delivered_from_a_deleted_queue_can_still_be_settled)
{
    struct lv_sim_client a, b;

    lv_sim_client_open(&a, sim, 0);
    lv_sim_client_open(&b, sim, 1);
    lv_sim_declare(&a, "q", "");
    assert_hears(&a, "declare-ok q 0 0");
    for (int i = 0; i < 4; i++)
        lv_sim_publish(&a, "", "q", "m");
    lv_sim_settle(sim);
    lv_sim_get(&b, "q", "");
    assert_hears(&b, "get-ok #1 m, 3 left");
    lv_sim_consume(&b, "q", "t", "");
    assert_hears(&b, "consume-ok t\nt #2 m\nt #3 m\nt #4 m");
    lv_sim_delete(&a, "q", "");
    assert_hears(&a, "delete-ok 0");
    assert_hears(&b, "cancelled t");
    lv_sim_settle_tag(&b, 1, "a");
    lv_sim_settle_tag(&b, 2, "q"); /* there is no place to go back to */
    lv_sim_settle_tag(&b, 3, "r");
    lv_sim_settle(sim);
    assert_int_equal(lv_sim_live_count(sim), 1);
    lv_sim_channel_close(&b, 1);
    assert_hears(&b, "channel-closed");
    assert_int_equal(lv_sim_live_count(sim), 0);
    lv_sim_client_fini(&a);
    lv_sim_client_fini(&b);
}

SCENARIO(an_auto_delete_queue_goes_with_its_last_consumer)
{
    struct lv_sim_client a, b;

    lv_sim_client_open(&a, sim, 0);
    lv_sim_client_open(&b, sim, 1);
    lv_sim_declare(&a, "q", "a");
    assert_hears(&a, "declare-ok q 0 0");
    lv_sim_publish(&a, "", "q", "m");
    lv_sim_settle(sim);
    lv_sim_get(&a, "q", "n"); /* no consumer */
    assert_hears(&a, "get-ok #1 m, 0 left");
    assert_false(lv_sim_is_gone(sim, "q"));
    lv_sim_consume(&a, "q", "s", "");
    assert_hears(&a, "consume-ok s");
    lv_sim_consume(&b, "q", "t", "");
    assert_hears(&b, "consume-ok t");
    lv_sim_cancel(&a, "s");
    assert_hears(&a, "cancel-ok s");
    assert_false(lv_sim_is_gone(sim, "q"));
    lv_sim_channel_close(&b, 1); /* a channel's end is its consumers' end */
    assert_hears(&b, "channel-closed");
    assert_true(lv_sim_is_gone(sim, "q"));
    lv_sim_client_fini(&a);
    lv_sim_client_fini(&b);
}

SCENARIO(a_queue_declared_while_its_namesake_goes_is_a_new_one)
{
    struct lv_sim_client a;

    lv_sim_client_open(&a, sim, 0);
    lv_sim_declare(&a, "q", "a");
    lv_sim_consume(&a, "q", "t", "");
    assert_hears(&a, "declare-ok q 0 0\nconsume-ok t");
    lv_sim_cancel(&a, "t"); /* the queue goes with it; not every shard has heard of that yet */
    lv_sim_declare(&a, "q", "a");
    lv_sim_consume(&a, "q", "t", "");
    assert_hears(&a, "cancel-ok t\ndeclare-ok q 0 0\nconsume-ok t");
    lv_sim_publish(&a, "", "q", "m");
    assert_hears(&a, "t #1 m");
    lv_sim_client_fini(&a);
}

SCENARIO(exchanges_are_declared_again_only_as_they_are)
{
    struct lv_sim_client a, b;

    lv_sim_client_open(&a, sim, 0);
    lv_sim_client_open(&b, sim, 1);
    lv_sim_exchange(&a, "x", "direct", "");
    lv_sim_exchange(&a, "x", "direct", "");
    assert_hears(&a, "exchange-declare-ok\nexchange-declare-ok");
    lv_sim_exchange(&b, "x", "fanout", "d");
    assert_hears(&b, "exchange-declare: 406 inequivalent arg 'type' for exchange 'x' in vhost '/': "
                     "received 'fanout' but current is 'direct'");
    lv_sim_exchange(&b, "x", "direct", "dai");
    assert_hears(&b, "exchange-declare: 406 inequivalent arg 'durable' for exchange 'x' in vhost "
                     "'/': received 'true' but current is 'false'");
    lv_sim_exchange(&b, "x", "direct", "ai");
    assert_hears(&b, "exchange-declare: 406 inequivalent arg 'auto_delete' for exchange 'x' in "
                     "vhost '/': received 'true' but current is 'false'");
    lv_sim_exchange(&b, "x", "direct", "i");
    assert_hears(&b, "exchange-declare: 406 inequivalent arg 'internal' for exchange 'x' in vhost "
                     "'/': received 'true' but current is 'false'");
    lv_sim_exchange(&b, "x", "odd", "");
    assert_hears(&b, "exchange-declare: 406 unknown exchange type 'odd'");
    lv_sim_client_fini(&a);
    lv_sim_client_fini(&b);
}

SCENARIO(exchanges_are_deleted)
{
    struct lv_sim_client a, b;
    struct lv_diag diag;

    lv_sim_client_open(&a, sim, 0);
    lv_sim_client_open(&b, sim, 1);
    lv_sim_exchange(&a, "x", "direct", "");
    lv_sim_declare(&a, "q", "");
    lv_sim_bind(&a, "q", "x", "k");
    assert_hears(&a, "exchange-declare-ok\ndeclare-ok q 0 0\nbind-ok");
    lv_sim_exchange_delete(&b, "x", "u");
    assert_hears(&b, "exchange-delete: 406 exchange 'x' in vhost '/' in use");
    lv_sim_exchange_delete(&b, "x", "");
    lv_sim_exchange_delete(&b, "x", ""); /* what isn't there is deleted already */
    assert_hears(&b, "exchange-delete-ok\nexchange-delete-ok");
    assert_int_equal(lv_sim_try_publish(&a, "x", "k", "m", false, &diag), -LV_E_NOT_FOUND);
    assert_string_equal(diag.text, "no exchange 'x' in vhost '/'");
    lv_sim_exchange_delete(&b, "amq.direct", "");
    assert_hears(
        &b,
        "exchange-delete: 403 deletion of system exchange 'amq.direct' in vhost '/' not allowed");
    lv_sim_exchange_delete(&b, "amq.nosuch", "u");
    assert_hears(
        &b,
        "exchange-delete: 403 deletion of system exchange 'amq.nosuch' in vhost '/' not allowed");
    lv_sim_exchange_delete(&b, "", "");
    assert_hears(&b, "exchange-delete: 403 operation not permitted on the default exchange");
    lv_sim_client_fini(&a);
    lv_sim_client_fini(&b);
}

SCENARIO(an_auto_delete_exchange_goes_with_its_last_binding)
{
    struct lv_sim_client a;

    lv_sim_client_open(&a, sim, 0);
    lv_sim_exchange(&a, "x", "fanout", "a");
    lv_sim_declare(&a, "p", "");
    lv_sim_declare(&a, "q", "");
    lv_sim_unbind(&a, "q", "x", "k"); /* there never was a binding */
    lv_sim_bind(&a, "p", "x", "k");
    lv_sim_bind(&a, "q", "x", "k");
    lv_sim_unbind(&a, "p", "x", "k");
    lv_sim_exchange(&a, "x", "", "p");
    assert_hears(&a, "exchange-declare-ok\ndeclare-ok p 0 0\ndeclare-ok q 0 0\nunbind-ok\nbind-ok\n"
                     "bind-ok\nunbind-ok\nexchange-declare-ok");
    lv_sim_delete(&a, "q", ""); /* takes its bindings along */
    lv_sim_exchange(&a, "x", "", "p");
    assert_hears(&a, "delete-ok 0\nexchange-declare: 404 no exchange 'x' in vhost '/'");
    lv_sim_client_fini(&a);
}

SCENARIO(bindings_need_both_ends)
{
    struct lv_sim_client a;

    lv_sim_client_open(&a, sim, 0);
    lv_sim_bind(&a, "q", "amq.direct", "k");
    assert_hears(&a, "bind: 404 no queue 'q' in vhost '/'");
    lv_sim_bind(&a, "q", "x", "k");
    assert_hears(&a, "bind: 404 no exchange 'x' in vhost '/'");
    lv_sim_bind(&a, "q", "", "k");
    assert_hears(&a, "bind: 403 operation not permitted on the default exchange");
    lv_sim_declare(&a, "q", "");
    assert_hears(&a, "declare-ok q 0 0");
    lv_sim_bind(&a, "q", "x", "k");
    assert_hears(&a, "bind: 404 no exchange 'x' in vhost '/'");
    lv_sim_bind(&a, "q", "", "k");
    assert_hears(&a, "bind: 403 operation not permitted on the default exchange");
    lv_sim_client_fini(&a);
}

SCENARIO(what_is_not_bound_can_be_unbound)
{
    struct lv_sim_client a;

    lv_sim_client_open(&a, sim, 0);
    lv_sim_unbind(&a, "", "amq.direct", "k");
    assert_hears(&a, "unbind: 404 no previously declared queue");
    lv_sim_unbind(&a, "q", "", "q");
    assert_hears(&a, "unbind: 403 operation not permitted on the default exchange");
    lv_sim_unbind(&a, "q", "x", "k");
    assert_hears(&a, "unbind-ok");
    lv_sim_unbind(&a, "q", "amq.direct", "k");
    assert_hears(&a, "unbind-ok");
    lv_sim_declare(&a, "q", "");
    assert_hears(&a, "declare-ok q 0 0");
    lv_sim_unbind(&a, "q", "x", "k");
    assert_hears(&a, "unbind-ok");
    lv_sim_unbind(&a, "q", "amq.direct", "never bound");
    assert_hears(&a, "unbind-ok");
    lv_sim_client_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENARIO_TEST(a_declare_makes_a_queue_and_tells_its_counts),
        SCENARIO_TEST(a_passive_declare_makes_nothing),
        SCENARIO_TEST(the_broker_names_a_queue_without_a_name),
        SCENARIO_TEST(no_name_means_the_queue_last_declared_on_the_channel),
        SCENARIO_TEST(names_of_the_brokers_own_kind_are_refused),
        SCENARIO_TEST(a_queue_is_declared_again_only_as_it_is),
        SCENARIO_TEST(arguments_that_are_known_are_compared),
        SCENARIO_TEST(what_is_not_there_yet_is_refused_and_not_ignored),
        SCENARIO_TEST(an_exclusive_queue_is_locked_for_others),
        SCENARIO_TEST(a_delete_has_conditions),
        SCENARIO_TEST(consumers_of_a_deleted_queue_are_told),
        SCENARIO_TEST(what_was_delivered_from_a_deleted_queue_can_still_be_settled),
        SCENARIO_TEST(an_auto_delete_queue_goes_with_its_last_consumer),
        SCENARIO_TEST(a_queue_declared_while_its_namesake_goes_is_a_new_one),
        SCENARIO_TEST(exchanges_are_declared_again_only_as_they_are),
        SCENARIO_TEST(exchanges_are_deleted),
        SCENARIO_TEST(an_auto_delete_exchange_goes_with_its_last_binding),
        SCENARIO_TEST(bindings_need_both_ends),
        SCENARIO_TEST(what_is_not_bound_can_be_unbound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
