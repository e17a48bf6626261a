#include "server/foreign.h"

#include "server/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* One key of each family that RabbitMQ 3.10 to 4.x has and we don't all have. */
static const char *const keys[] = {
    "amqp10_client.ssl_options.depth",
    "amqp1_0.default_user",
    "amqp_client.ssl_options.verify",
    "anonymous_login_user",
    "auth_backends.1",
    "auth_backends.1.authn",
    "auth_cache.cache_ttl",
    "auth_http.http_method",
    "auth_ldap.servers.1",
    "auth_mechanisms.1",
    "auth_oauth2.resource_server_id",
    "aws.prefer_imdsv2",
    "background_gc_enabled",
    "channel_interceptor.priorities.x",
    "channel_max_per_node",
    "classic_queue.default_version",
    "cluster_formation.k8s.host",
    "cluster_keepalive_interval",
    "cluster_name",
    "cluster_partition_handling",
    "cluster_partition_handling.pause_if_all_down.recover",
    "cluster_queue_limit",
    "cluster_tags.az",
    "collect_statistics",
    "collect_statistics_interval",
    "connection_max",
    "consumer_disconnected_timeout",
    "consumer_max_per_channel",
    "consumer_timeout",
    "credential_validator.regexp",
    "default_limits.vhosts.1.max_queues",
    "default_policies.operator.x.expires",
    "default_queue_type",
    "default_users.a.password",
    "default_worker_pool_size",
    "definitions.tls.verify",
    "delegate_count",
    "deprecated_features.permit.x",
    "distributed_cookie",
    "distribution.listener.interface",
    "erlang.K",
    "event_exchange.vhost",
    "exchange_types.local_random.enabled",
    "federation.queues.connection_close_timeout",
    "hipe_compile",
    "http_dispatch.access_log_dir",
    "initial_frame_max",
    "link_max_per_session",
    "log.channel.level",
    "log.connection.file",
    "log.console.use_colors",
    "log.exchange",
    "log.exchange.formatter",
    "log.file.rotation.date",
    "log.file.rotation.count",
    "log.journald",
    "log.syslog",
    "log.syslog.ssl_options.depth",
    "management.tcp.port",
    "management_agent.disable_metrics_collector",
    "max_channels_per_connection",
    "max_connections",
    "memory_monitor_interval",
    "message_interceptors.incoming.x.y",
    "message_store_shutdown_timeout",
    "metadata_store.khepri.default_timeout",
    "mirroring_sync_batch_size",
    "mnesia_table_loading_retry_limit",
    "motd_file",
    "mqtt.listeners.tcp.1",
    "net_ticktime",
    "node_tags.x",
    "nodename",
    "num_acceptors.tcp",
    "password_hashing_module",
    "prevent_startup_if_node_was_reset",
    "product.name",
    "prometheus.tcp.port",
    "proxy_protocol",
    "queue_index_embed_msgs_below",
    "queue_leader_locator",
    "queue_master_locator",
    "queue_types.quorum.enabled",
    "quorum_queue.wal_max_entries",
    "raft.data_dir",
    "ranch_connection_max",
    "reverse_dns_lookups",
    "runtime_parameters.limits.x",
    "session_max_per_connection",
    "shovel.operating_mode",
    "socket_writer.gc_threshold",
    "ssl_allow_poodle_attack",
    "stomp.default_user",
    "stream.listeners.tcp.1",
    "sysmon_handler.triggers.port",
    "tcp_listen_options.backlog",
    "tcp_listen_options",
    "total_memory_available_override_value",
    "tracing.dir",
    "trust_store.directory",
    "vhost_max",
    "vhost_restart_strategy",
    "vm_memory_calculation_strategy",
    "vm_memory_high_watermark_paging_ratio",
    "web_mqtt.tcp.port",
    "web_stomp.tcp.port",
};

static void every_family_of_rabbitmqs_keys_is_judged(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (lv_foreign_find(keys[i]) == NULL)
            fail_msg("there is no row for %s", keys[i]);
    }
}

static void what_nobody_knows_has_no_row(void **state)
{
    (void)state;
    assert_null(lv_foreign_find("hartbeat"));
    assert_null(lv_foreign_find(""));
    assert_null(lv_foreign_find("mqtt"));
    assert_null(lv_foreign_find("xmqtt.listeners"));
    assert_null(lv_foreign_find("*"));
}

static void the_first_row_counts(void **state)
{
    (void)state;
    assert_int_equal(lv_foreign_find("log.file.rotation.size")->verdict, LV_FOREIGN_REFUSED);
    assert_int_equal(lv_foreign_find("log.file.rotation.compress")->verdict, LV_FOREIGN_IGNORED);
    assert_int_equal(lv_foreign_find("log.connection.level")->verdict, LV_FOREIGN_IGNORED);
    assert_int_equal(lv_foreign_find("log.connection.file")->verdict, LV_FOREIGN_REFUSED);
}

static void values_that_ask_for_nothing_are_the_same(void **state)
{
    const struct lv_foreign *row = lv_foreign_find("auth_backends.1");

    (void)state;
    assert_true(lv_foreign_is_same(row, "internal"));
    assert_true(lv_foreign_is_same(row, "rabbit_auth_backend_internal"));
    assert_false(lv_foreign_is_same(row, "ldap"));
    assert_false(lv_foreign_is_same(row, "intern"));
    assert_false(lv_foreign_is_same(row, ""));
    assert_false(lv_foreign_is_same(lv_foreign_find("nodename"), ""));
    assert_true(lv_foreign_is_same(lv_foreign_find("proxy_protocol"), "false"));
}

/* A setting of our own hides its row here, which then says what is no longer so. */
static void no_row_stands_for_a_setting_that_is_there(void **state)
{
    (void)state;
    for (const struct lv_setting *row = lv_setting_rows; row->name != NULL; row++) {
        for (const struct lv_foreign *key = lv_foreign_rows; key->pattern != NULL; key++) {
            if (strcmp(key->pattern, row->name) == 0)
                fail_msg("%s is a setting now: take its row out of server/foreign.h", row->name);
        }
    }
}

static void every_row_says_why(void **state)
{
    (void)state;
    for (const struct lv_foreign *row = lv_foreign_rows; row->pattern != NULL; row++) {
        assert_true(strlen(row->why) > 10);
        assert_null(strchr(row->why, '|')); /* it goes into a table */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_family_of_rabbitmqs_keys_is_judged),
        cmocka_unit_test(what_nobody_knows_has_no_row),
        cmocka_unit_test(the_first_row_counts),
        cmocka_unit_test(values_that_ask_for_nothing_are_the_same),
        cmocka_unit_test(no_row_stands_for_a_setting_that_is_there),
        cmocka_unit_test(every_row_says_why),
    };

    return cmocka_run_group_tests_name("foreign", tests, NULL, NULL);
}
