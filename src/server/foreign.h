/*
 * server/foreign.h - the keys of rabbitmq.conf that are no settings here, in one table.
 *
 * A file that was written for RabbitMQ says what its author relies on. Where something is missing
 * here that a file asks for, the key is refused: a broker that starts without it would be another
 * one than was asked for. Where the key is about RabbitMQ's own machinery, it is ignored and said
 * so. docs/settings.md prints the table. Pure; any thread.
 */
#pragma once

#include "base/defs.h"

#include <stdbool.h>

/*
 * X(pattern, verdict, same, why)
 *
 * A * in the pattern stands for anything; the first row that matches counts, and settings of our
 * own count before all of them. `same` are values that mean what is so here anyway, with commas
 * between: they are neither refused nor worth a word.
 */
#define LV_FOREIGN_KEYS(X)                                                                         \
    /* Who may come in. */                                                                         \
    X("auth_backends.*", REFUSED, "internal, rabbit_auth_backend_internal",                        \
      "users and permissions are the broker's own: LDAP, HTTP, OAuth 2 and caches are not there")  \
    X("auth_mechanisms.*", REFUSED, "PLAIN, AMQPLAIN", "PLAIN and AMQPLAIN are always offered")    \
    X("auth_cache.*", REFUSED, "", "users and permissions are the broker's own")                   \
    X("auth_http.*", REFUSED, "", "users and permissions are the broker's own")                    \
    X("auth_ldap.*", REFUSED, "", "users and permissions are the broker's own")                    \
    X("auth_oauth2.*", REFUSED, "", "users and permissions are the broker's own")                  \
    X("anonymous_login_*", REFUSED, "none", "nobody comes in without a user and a password")       \
    X("credential_validator.*", REFUSED, "", "new passwords are not examined")                     \
    X("password_hashing_module", IGNORED, "",                                                      \
      "hashes of RabbitMQ's kinds are read; new ones are always of the safest kind")               \
    X("default_users.*", REFUSED, "", "one user is made at the first start: default_user")         \
    X("trust_store.*", REFUSED, "", "certificates are looked for in files only")                   \
    X("ssl_options", REFUSED, "none", "TLS is set up by ssl_options.certfile and its kin")         \
    X("ssl_options.client_renegotiation", REFUSED, "false", "no connection is renegotiated")       \
    X("ssl_options.secure_renegotiate", IGNORED, "true", "no connection is renegotiated")          \
    X("ssl_options.reuse_sessions", IGNORED, "",                                                   \
      "sessions are resumed by tickets, which keep nothing here")                                  \
    X("ssl_options.honor_ecc_order", IGNORED, "", "curves are chosen in OpenSSL's order")          \
    X("ssl_options.dh*", IGNORED, "", "keys are agreed on over elliptic curves")                   \
    X("ssl_options.log_*", IGNORED, "", "a handshake that fails is a line in the log")             \
    X("ssl_options.hibernate_after", IGNORED, "", "a connection that waits keeps no buffers")      \
    X("ssl_options.bypass_pem_cache", IGNORED, "", "files are read at the start and on SIGHUP")    \
    X("ssl_options.crl_check", REFUSED, "false", "no lists of revoked certificates are read")      \
    X("ssl_options.*", REFUSED, "", "TLS has no such option here")                                 \
    X("ssl_handshake_timeout", IGNORED, "", "handshake_timeout is for TLS as well")                \
    X("ssl_allow_poodle_attack", REFUSED, "false", "TLS 1.2 and 1.3 are what there is")            \
    X("num_acceptors.*", IGNORED, "", "new connections are accepted by one shard for all")         \
    X("proxy_protocol", REFUSED, "false", "the PROXY protocol is not understood")                  \
    X("reverse_dns_lookups", REFUSED, "false", "peers are listed by address")                      \
    X("ranch_connection_max", REFUSED, "infinity",                                                 \
      "how many connections there may be follows from the limit of open files")                    \
    X("connection_max", REFUSED, "infinity",                                                       \
      "how many connections there may be follows from the limit of open files")                    \
    X("channel_max_per_node", REFUSED, "infinity", "channel_max bounds them for each connection")  \
    X("initial_frame_max", IGNORED, "", "a frame before the login has at most 8192 bytes")         \
    X("tcp_listen_options*", IGNORED, "",                                                          \
      "sockets have TCP_NODELAY and as long a queue as the kernel allows")                         \
    X("socket_writer.*", IGNORED, "", "nothing is collected as garbage")                           \
    X("session_max_per_connection", IGNORED, "", "there is no AMQP 1.0 yet")                       \
    X("link_max_per_session", IGNORED, "", "there is no AMQP 1.0 yet")                             \
    X("vhost_max", REFUSED, "infinity", "there is no limit of that kind")                          \
    X("cluster_queue_limit", REFUSED, "infinity", "there is no limit of that kind")                \
    X("cluster_exchange_limit", REFUSED, "infinity", "there is no limit of that kind")             \
    X("consumer_max_per_channel", REFUSED, "infinity", "a channel has at most 10000 consumers")    \
    X("max_*_per_connection", REFUSED, "", "there is no limit of that kind")                       \
    X("max_connections", REFUSED, "infinity", "there is no limit of that kind")                    \
    X("default_limits.*", REFUSED, "", "there are no limits of virtual hosts")                     \
    X("runtime_parameters.*", REFUSED, "", "there are no runtime parameters")                      \
    /* What queues do. */                                                                          \
    X("consumer_timeout", IGNORED, "",                                                             \
      "a consumer may take as long as it wants to acknowledge, while its connection lives")        \
    X("consumer_disconnected_timeout", IGNORED, "", "a consumer whose connection ended is gone")   \
    X("default_queue_type", REFUSED, "classic", "queues are of one type")                          \
    X("default_policies.*", REFUSED, "", "there are no policies")                                  \
    X("message_interceptors.*", REFUSED, "", "messages are passed on as they came")                \
    X("channel_interceptor.*", REFUSED, "", "messages are passed on as they came")                 \
    X("queue_types.*", IGNORED, "", "queues are of one type")                                      \
    X("exchange_types.*", REFUSED, "false", "direct, fanout, topic and headers are what there is") \
    X("deprecated_features.*", IGNORED, "", "this is about RabbitMQ's own versions")               \
    X("queue_master_locator", IGNORED, "", "queues are spread over the shards")                    \
    X("queue_leader_locator", IGNORED, "", "queues are spread over the shards")                    \
    X("classic_queue.*", IGNORED, "", "this is about how RabbitMQ stores messages")                \
    X("quorum_queue.*", IGNORED, "", "this is about how RabbitMQ stores messages")                 \
    X("queue_index_embed_msgs_below", IGNORED, "", "this is about how RabbitMQ stores messages")   \
    X("message_store_shutdown_timeout", IGNORED, "", "this is about how RabbitMQ stores messages") \
    X("vm_memory_high_watermark_paging_ratio", IGNORED, "",                                        \
      "messages go to the disk before the memory is short")                                        \
    X("vm_memory_calculation_strategy", IGNORED, "",                                               \
      "memory is counted where it is used, and not asked of the system")                           \
    X("memory_monitor_interval", IGNORED, "", "memory is looked at all the time")                  \
    X("total_memory_available_override_value", REFUSED, "",                                        \
      "set vm_memory_high_watermark.absolute, which needs no total")                               \
    X("definitions.*", REFUSED, "", "load_definitions names the file")                             \
    X("vhost_restart_strategy", IGNORED, "", "virtual hosts do not fail one by one")               \
    /* Several brokers. */                                                                         \
    X("cluster_formation.*", REFUSED, "", "each broker is by itself: there are no clusters")       \
    X("cluster_partition_handling*", IGNORED, "", "a broker by itself has no partitions")          \
    X("cluster_keepalive_interval", IGNORED, "", "each broker is by itself")                       \
    X("cluster_name", IGNORED, "", "each broker is by itself")                                     \
    X("cluster_tags.*", IGNORED, "", "each broker is by itself")                                   \
    X("node_tags.*", IGNORED, "", "each broker is by itself")                                      \
    X("nodename", IGNORED, "", "the data directory says which broker is meant")                    \
    X("net_ticktime", IGNORED, "", "each broker is by itself")                                     \
    X("distribution.*", IGNORED, "", "each broker is by itself")                                   \
    X("delegate_count", IGNORED, "", "each broker is by itself")                                   \
    X("mirroring_*", IGNORED, "", "each broker is by itself")                                      \
    X("federation.*", REFUSED, "", "there is no federation")                                       \
    X("shovel.*", REFUSED, "", "there are no shovels")                                             \
    X("metadata_store.*", IGNORED, "", "this is about how RabbitMQ stores its metadata")           \
    X("mnesia_*", IGNORED, "", "this is about how RabbitMQ stores its metadata")                   \
    X("raft.*", IGNORED, "", "this is about how RabbitMQ stores its metadata")                     \
    X("prevent_startup_if_node_was_reset", IGNORED, "", "each broker is by itself")                \
    /* Other protocols. */                                                                         \
    X("management.load_definitions", REFUSED, "", "load_definitions names the file")               \
    X("management.*", REFUSED, "", "there is no HTTP API yet")                                     \
    X("management_agent.*", IGNORED, "", "there is no HTTP API yet")                               \
    X("http_dispatch.*", REFUSED, "", "there is no HTTP API yet")                                  \
    X("prometheus.*", REFUSED, "", "there is no HTTP API yet")                                     \
    X("amqp1_0.*", REFUSED, "", "there is no AMQP 1.0 yet")                                        \
    X("mqtt.*", REFUSED, "", "there is no MQTT")                                                   \
    X("web_mqtt.*", REFUSED, "", "there is no MQTT")                                               \
    X("stomp.*", REFUSED, "", "there is no STOMP")                                                 \
    X("web_stomp.*", REFUSED, "", "there is no STOMP")                                             \
    X("stream.*", REFUSED, "", "there are no streams")                                             \
    X("event_exchange.*", REFUSED, "", "there is no exchange of events")                           \
    X("tracing.*", REFUSED, "", "there is no tracing")                                             \
    /* What is written down. */                                                                    \
    X("log.*.rotation.date", REFUSED, "", "rename the file and send SIGHUP, as logrotate does")    \
    X("log.*.rotation.size", REFUSED, "", "rename the file and send SIGHUP, as logrotate does")    \
    X("log.*.rotation.*", IGNORED, "", "rename the file and send SIGHUP, as logrotate does")       \
    X("log.exchange", REFUSED, "false", "the log goes to the console and to a file")               \
    X("log.exchange.*", IGNORED, "", "the log goes to the console and to a file")                  \
    X("log.syslog", REFUSED, "false", "the log goes to the console and to a file")                 \
    X("log.syslog.*", IGNORED, "", "the log goes to the console and to a file")                    \
    X("log.journald", REFUSED, "false",                                                            \
      "as a service of systemd the console's log goes to the journal")                             \
    X("log.journald.*", IGNORED, "",                                                               \
      "as a service of systemd the console's log goes to the journal")                             \
    X("log.console.*", IGNORED, "", "a line has one form for people and one in JSON")              \
    X("log.file.*", IGNORED, "", "a line has one form for people and one in JSON")                 \
    X("log.*.file", REFUSED, "", "all events go to one file: log.file")                            \
    X("log.*", IGNORED, "", "levels are by target: log.console.level, log.file.level")             \
    X("collect_statistics*", IGNORED, "", "counting costs nothing and is always on")               \
    X("product.*", REFUSED, "", "what clients are told is set by product_version")                 \
    X("motd_file", IGNORED, "", "there is no message of the day")                                  \
    /* Erlang. */                                                                                  \
    X("erlang.*", IGNORED, "", "there is no Erlang in this")                                       \
    X("hipe_compile", IGNORED, "", "there is no Erlang in this")                                   \
    X("distributed_cookie", IGNORED, "", "there is no Erlang in this")                             \
    X("sysmon_handler.*", IGNORED, "", "there is no Erlang in this")                               \
    X("background_gc_*", IGNORED, "", "nothing is collected as garbage")                           \
    X("default_worker_pool_size", IGNORED, "", "threads are set by shards")                        \
    X("amqp_client.*", IGNORED, "", "this is about RabbitMQ's own clients")                        \
    X("amqp10_client.*", IGNORED, "", "this is about RabbitMQ's own clients")                      \
    X("aws.*", IGNORED, "", "nobody asks Amazon for anything")

enum lv_foreign_verdict { LV_FOREIGN_REFUSED, LV_FOREIGN_IGNORED };

/* A row of the table. */
struct lv_foreign {
    const char *pattern;
    enum lv_foreign_verdict verdict;
    const char *same;
    const char *why;
};

/* In the table's order; ends with a row without a pattern. */
extern const struct lv_foreign lv_foreign_rows[];

/* The row for a key of rabbitmq.conf, NULL: RabbitMQ has no such key, either. */
const struct lv_foreign *lv_foreign_find(const char *name);
/* Whether the value asks for nothing but what is so here. */
bool lv_foreign_is_same(const struct lv_foreign *row, const char *value);
