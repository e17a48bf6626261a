/*
 * cli/ctl_deeds.h - the commands that list nothing, in one table: rabbitmqctl's words for them.
 *
 * Main thread.
 */
#pragma once

/* X(constant, name, arguments in the usage line, fewest and most arguments, what it does) */
#define LV_CTL_DEEDS(X)                                                                            \
    X(ADD_USER, add_user, "<username> [<password>]", 1, 2,                                         \
      "Adds a user. Who is not given a password in the command line is asked for one.")            \
    X(DELETE_USER, delete_user, "<username>", 1, 1,                                                \
      "Deletes a user with all permissions and limits; connections of that user are closed.")      \
    X(CHANGE_PASSWORD, change_password, "<username> [<password>]", 1, 2,                           \
      "Gives a user another password; it is asked for when it is not in the command line.")        \
    X(CLEAR_PASSWORD, clear_password, "<username>", 1, 1,                                          \
      "Takes a user's password away: nobody logs in with one.")                                    \
    X(AUTHENTICATE_USER, authenticate_user, "<username> [<password>]", 1, 2,                       \
      "Says whether the password is right.")                                                       \
    X(SET_USER_TAGS, set_user_tags, "<username> [<tag> ...]", 1, 64,                               \
      "Gives a user these tags in place of those that were there.")                                \
    X(HASH_PASSWORD, hash_password, "[<password>]", 0, 1,                                          \
      "Prints a hash of the password for definitions; needs no broker.")                           \
    X(ADD_VHOST, add_vhost,                                                                        \
      "<vhost> [--description <description>] [--tags \"<tag1>,<tag2>,<...>\"] "                    \
      "[--default-queue-type <classic>]",                                                          \
      1, 1, "Adds a virtual host; one that is there stays as it is.")                              \
    X(DELETE_VHOST, delete_vhost, "<vhost>", 1, 1,                                                 \
      "Deletes a virtual host with all that is in it.")                                            \
    X(SET_PERMISSIONS, set_permissions, "[--vhost <vhost>] <username> <conf> <write> <read>", 4,   \
      4, "Sets what a user may do in a virtual host: patterns for names of queues and exchanges.") \
    X(CLEAR_PERMISSIONS, clear_permissions, "[--vhost <vhost>] <username>", 1, 1,                  \
      "Takes a user's permissions in a virtual host away.")                                        \
    X(SET_TOPIC_PERMISSIONS, set_topic_permissions,                                                \
      "[--vhost <vhost>] <username> <exchange> <write> <read>", 4, 4,                              \
      "Sets with which routing keys a user may publish to a topic exchange and bind to it.")       \
    X(CLEAR_TOPIC_PERMISSIONS, clear_topic_permissions,                                            \
      "[--vhost <vhost>] <username> [<exchange>]", 1, 2,                                           \
      "Takes a user's topic permissions away, of one exchange or of all.")                         \
    X(SET_VHOST_LIMITS, set_vhost_limits, "[--vhost <vhost>] <definition>", 1, 1,                  \
      "Sets a virtual host's limits: {\"max-connections\": N, \"max-queues\": N}.")                \
    X(CLEAR_VHOST_LIMITS, clear_vhost_limits, "[--vhost <vhost>]", 0, 0,                           \
      "Ends a virtual host's limits.")                                                             \
    X(SET_USER_LIMITS, set_user_limits, "<username> <definition>", 2, 2,                           \
      "Sets a user's limits: {\"max-connections\": N, \"max-channels\": N}.")                      \
    X(CLEAR_USER_LIMITS, clear_user_limits, "<username> <limit_type> | all", 2, 2,                 \
      "Ends one of a user's limits, or all.")                                                      \
    X(CLOSE_CONNECTION, close_connection, "<connection pid> <explanation>", 2, 2,                  \
      "Closes the connection with this pid, see list_connections.")                                \
    X(CLOSE_ALL_CONNECTIONS, close_all_connections,                                                \
      "[--vhost <vhost> --limit <limit>] [--global] <explanation>", 1, 1,                          \
      "Closes the connections of a virtual host, or all.")                                         \
    X(CLOSE_ALL_USER_CONNECTIONS, close_all_user_connections, "<username> <explanation>", 2, 2,    \
      "Closes the connections of a user.")                                                         \
    X(PURGE_QUEUE, purge_queue, "<queue> [--vhost <vhost>] [--timeout <timeout>]", 1, 1,           \
      "Drops all messages that wait in a queue.")                                                  \
    X(DELETE_QUEUE, delete_queue,                                                                  \
      "<queue_name> [--vhost <vhost>] [--if-empty|-e] [--if-unused|-u] [--timeout <timeout>]", 1,  \
      1, "Deletes a queue.")                                                                       \
    X(EXPORT_DEFINITIONS, export_definitions, "<file_path | \"-\"> [--timeout <timeout>]", 1, 1,   \
      "Writes users, virtual hosts, permissions, limits, exchanges, queues and bindings into a "   \
      "file of JSON.")                                                                             \
    X(IMPORT_DEFINITIONS, import_definitions,                                                      \
      "[<file_path | \"-\">] [--plan] [--timeout <timeout>]", 0, 1,                                \
      "Makes what such a file says, all of it or nothing; --plan only says what it would "         \
      "change.")                                                                                   \
    X(PING, ping, "[--timeout <timeout>]", 0, 0, "Does the broker answer?")                        \
    X(CHECK_RUNNING, check_running, "", 0, 0, "Is the broker up and serving?")                     \
    X(IS_RUNNING, is_running, "", 0, 0, "The same as check_running.")                              \
    X(CHECK_LOCAL_ALARMS, check_local_alarms, "", 0, 0, "Fails while an alarm blocks publishers.") \
    X(CHECK_ALARMS, check_alarms, "", 0, 0, "The same as check_local_alarms.")                     \
    X(ALARMS, alarms, "", 0, 0, "Says which alarms block publishers.")                             \
    X(LISTENERS, listeners, "", 0, 0, "Says where clients connect.")                               \
    X(CHECK_PORT_CONNECTIVITY, check_port_connectivity, "[--address <address>]", 0, 0,             \
      "Connects to every listener's port.")                                                        \
    X(CHECK_PORT_LISTENER, check_port_listener, "<port>", 1, 1,                                    \
      "Fails when nobody listens on the port.")                                                    \
    X(CHECK_PROTOCOL_LISTENER, check_protocol_listener, "<protocol>", 1, 1,                        \
      "Fails when nobody listens for the protocol.")                                               \
    X(CHECK_VIRTUAL_HOSTS, check_virtual_hosts, "", 0, 0,                                          \
      "Are all virtual hosts up? They are when the broker is.")                                    \
    X(AWAIT_STARTUP, await_startup, "[--timeout <timeout>]", 0, 0,                                 \
      "Waits until the broker serves.")                                                            \
    X(SERVER_VERSION, server_version, "", 0, 0, "The version of RabbitMQ that clients are told.")  \
    X(ENVIRONMENT, environment, "", 0, 0, "Shows every setting and its value.")

/* What rabbitmq-plugins knows. X as above. */
#define LV_CTL_PLUGIN_DEEDS(X)                                                                     \
    X(PLUGINS_LIST, list, "[pattern] [--verbose] [--minimal] [--enabled] [--implicitly-enabled]",  \
      0, 1, "Lists what is built in under the names of RabbitMQ's plugins.")                       \
    X(PLUGINS_ENABLE, enable, "<plugin1> [ <plugin2>] | --all [--offline] [--online]", 0, 64,      \
      "Succeeds for what is built in.")                                                            \
    X(PLUGINS_IS_ENABLED, is_enabled, "<plugin1> [ <plugin2>] [--offline] [--online]", 1, 64,      \
      "Fails for what is not built in.")

struct lv_ctl_session;

/* Runs the command of the session's words; returns the exit code. */
int lv_ctl_deed(struct lv_ctl_session *session);
int lv_ctl_health(struct lv_ctl_session *session);
int lv_ctl_await_startup(struct lv_ctl_session *session);
int lv_ctl_definitions(struct lv_ctl_session *session);
/* No broker is asked. */
int lv_ctl_hash_password(struct lv_ctl_session *session);
int lv_ctl_plugins(struct lv_ctl_session *session);
