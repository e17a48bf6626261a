/*
 * server/settings.h - everything that can be set, in one table.
 *
 * The struct, the parser, --help, the manual page and docs/settings.md are expansions of it. Names
 * and meanings are rabbitmq.conf's wherever the thing is the same. Filled by the main thread before
 * the shards start; read by all afterwards.
 */
#pragma once

#include "base/defs.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * X(field, name, kind, default, lowest, highest, unit, text)
 *
 * Kinds: NUMBER, SIZE (bytes, with units), TEXT, VERSION, CHOICE (one of the words in `unit`),
 * MEMORY (a share of the machine's memory, at most `highest` times it, or a size), LISTENERS
 * (addresses), USERS (names) and LIST (whatever NAME.N = value adds); the last three are lists.
 */
#define LV_SETTINGS(X)                                                                             \
    X(listeners, "listeners.tcp", LISTENERS, "127.0.0.1:5672", 0, 0, "HOST:PORT",                  \
      "where AMQP clients connect; listeners.tcp.NAME adds one more, a port alone means all "      \
      "addresses of this machine; none: no plain connections")                                     \
    X(tls_listeners, "listeners.ssl", LISTENERS, "none", 0, 0, "HOST:PORT",                        \
      "where AMQP clients connect with TLS (amqps://), usually on port 5671; "                     \
      "listeners.ssl.NAME adds one more")                                                          \
    X(tls_certfile, "ssl_options.certfile", TEXT, "", 0, 0, "file",                                \
      "the server's certificate in PEM format, and behind it those between it and its authority")  \
    X(tls_keyfile, "ssl_options.keyfile", TEXT, "", 0, 0, "file",                                  \
      "its key; empty: in the same file")                                                          \
    X(tls_password, "ssl_options.password", TEXT, "", 0, 0, "password",                            \
      "of keys that are encrypted")                                                                \
    X(tls_cacertfile, "ssl_options.cacertfile", TEXT, "", 0, 0, "file",                            \
      "certificates of the authorities that may sign clients' certificates")                       \
    X(tls_sni, "ssl_options.sni", LIST, "", 0, 0, "CERTFILE[,KEYFILE]",                            \
      "ssl_options.sni.NAME adds a certificate for clients that ask for a host which it names "    \
      "(SNI); others get that of ssl_options.certfile")                                            \
    X(tls_verify, "ssl_options.verify", CHOICE, "verify_none", 0, 0, "verify_none or verify_peer", \
      "whether clients are asked for a certificate; one that cacertfile does not vouch for is "    \
      "refused")                                                                                   \
    X(tls_fail_if_no_peer_cert, "ssl_options.fail_if_no_peer_cert", CHOICE, "false", 0, 0,         \
      "false or true", "with verify_peer: whether clients without a certificate are refused")      \
    X(tls_depth, "ssl_options.depth", NUMBER, "10", 0, 100, "certificates",                        \
      "certificates that may stand between a client's and its authority's")                        \
    X(tls_versions, "ssl_options.versions", LIST, "", 0, 0, "tlsv1.3 or tlsv1.2",                  \
      "ssl_options.versions.N adds a version; none: both")                                         \
    X(tls_ciphers, "ssl_options.ciphers", LIST, "", 0, 0, "name",                                  \
      "ssl_options.ciphers.N adds a cipher by OpenSSL's name, the preferred one first; none: "     \
      "OpenSSL's own choice")                                                                      \
    X(tls_honor_cipher_order, "ssl_options.honor_cipher_order", CHOICE, "false", 0, 0,             \
      "false or true", "whether our order of ciphers counts and not the client's")                 \
    X(tls_login_from, "ssl_cert_login_from", CHOICE, "distinguished_name", 0, 0,                   \
      "distinguished_name, common_name or subject_alternative_name",                               \
      "where a client's certificate has the user's name, for SASL EXTERNAL")                       \
    X(tls_san_type, "ssl_cert_login_san_type", CHOICE, "dns", 0, 0, "dns, email, uri or ip",       \
      "which kind of alternative name that is")                                                    \
    X(tls_san_index, "ssl_cert_login_san_index", NUMBER, "0", 0, 1000, "names",                    \
      "and how many of that kind stand before it")                                                 \
    X(data_dir, "data_dir", TEXT, "", 0, 0, "directory",                                           \
      "where the broker's files are; empty: $STATE_DIRECTORY, else /var/lib/leveret for root, "    \
      "else $XDG_STATE_HOME/leveret")                                                              \
    X(shards, "shards", NUMBER, "0", 0, 64, "threads",                                             \
      "threads that share connections and queues; 0: one on up to two processors, half of them "   \
      "up to eight, all but two above")                                                            \
    X(default_vhost, "default_vhost", TEXT, "/", 0, 0, "name",                                     \
      "the virtual host that the first start makes; this and the next six mean nothing to a data " \
      "directory that has a virtual host or a user")                                               \
    X(default_user, "default_user", TEXT, "guest", 0, 0, "name",                                   \
      "the user that the first start makes")                                                       \
    X(default_pass, "default_pass", TEXT, "guest", 0, 0, "password", "that user's password")       \
    X(default_user_tags, "default_user_tags", USERS, "administrator", 0, 0, "tags",                \
      "that user's tags; default_user_tags.TAG = true or false adds or removes one")               \
    X(default_configure, "default_permissions.configure", TEXT, ".*", 0, 0, "pattern",             \
      "what that user may declare and delete in default_vhost")                                    \
    X(default_write, "default_permissions.write", TEXT, ".*", 0, 0, "pattern",                     \
      "where that user may publish and bind to")                                                   \
    X(default_read, "default_permissions.read", TEXT, ".*", 0, 0, "pattern",                       \
      "what that user may consume and bind from")                                                  \
    X(load_definitions, "load_definitions", TEXT, "none", 0, 0, "file",                            \
      "definitions that every start imports before clients come in, all of them or none; then "    \
      "the first start makes no virtual host and no user of its own; none: there are no such")     \
    X(loopback_users, "loopback_users", USERS, "guest", 0, 0, "names",                             \
      "users who may log in only from this machine itself; none: everybody from everywhere; "      \
      "loopback_users.NAME = true or false adds or removes one")                                   \
    X(heartbeat, "heartbeat", NUMBER, "60", 0, 65535, "s",                                         \
      "heartbeat offered to clients, whose answer counts; 0: none")                                \
    X(frame_max, "frame_max", SIZE, "131072", 8192, 16777216, "bytes",                             \
      "largest frame offered to clients")                                                          \
    X(channel_max, "channel_max", NUMBER, "2047", 1, 65535, "channels",                            \
      "channels that one connection may open")                                                     \
    X(handshake_timeout, "handshake_timeout", NUMBER, "10000", 100, 600000, "ms",                  \
      "a connection that is not open so long after it came is closed")                             \
    X(max_message_size, "max_message_size", SIZE, "16777216", 1, 536870912, "bytes",               \
      "largest body of a message")                                                                 \
    X(durability, "durability", CHOICE, "disk", 0, 0, "disk or os",                                \
      "what a confirm means for a persistent message and for a durable declare; disk: it is on "   \
      "the disk (fdatasync) and survives a power failure; os: the operating system has it, so "    \
      "it survives the end of the broker, however sudden, but not that of the machine")            \
    X(disk_free_limit, "disk_free_limit", MEMORY, "50MB", 0, 1000, "share or bytes",               \
      "free space in the file system of data_dir below which publishers are blocked: a size like " \
      "1GB (disk_free_limit.absolute) or a multiple of the machine's memory "                      \
      "(disk_free_limit.relative)")                                                                \
    X(memory_limit, "vm_memory_high_watermark", MEMORY, "0.6", 0, 1, "share or bytes",             \
      "memory held for messages and connections above which publishers are blocked: a share of "   \
      "the machine's memory (vm_memory_high_watermark.relative) or a size like 512MB "             \
      "(vm_memory_high_watermark.absolute)")                                                       \
    X(product_version, "product_version", VERSION, "4.1.0", 0, 0, "X.Y.Z",                         \
      "version of RabbitMQ that clients are told, since libraries choose features by it")          \
    X(log_level, "log.level", CHOICE, "info", 0, 0, LV_LOG_LEVEL_WORDS,                            \
      "least level that is logged; notice counts as warning, what is worse than error as error")   \
    X(log_console, "log.console", CHOICE, "true", 0, 0, "true or false",                           \
      "whether events are logged to the console")                                                  \
    X(log_console_stdio, "log.console.stdio", CHOICE, "stderr", 0, 0, "stderr or stdout",          \
      "what of the console")                                                                       \
    X(log_console_level, "log.console.level", CHOICE, "default", 0, 0,                             \
      "default, " LV_LOG_LEVEL_WORDS, "least level for the console; default: that of log.level")   \
    X(log_console_formatter, "log.console.formatter", CHOICE, "plaintext", 0, 0,                   \
      "plaintext or json", "lines for people, or an object of JSON in each")                       \
    X(log_dir, "log.dir", TEXT, "", 0, 0, "directory",                                             \
      "where the log's file is, made if it is missing")                                            \
    X(log_file, "log.file", TEXT, "", 0, 0, "file or false",                                       \
      "the file that events are logged to, in log.dir unless it begins with /; empty: "            \
      "leveret.log if log.dir is set, else none")                                                  \
    X(log_file_level, "log.file.level", CHOICE, "default", 0, 0, "default, " LV_LOG_LEVEL_WORDS,   \
      "least level for the file; default: that of log.level")                                      \
    X(log_file_formatter, "log.file.formatter", CHOICE, "plaintext", 0, 0, "plaintext or json",    \
      "as log.console.formatter, for the file")

/* RabbitMQ's; `none` is LV_LOG_LEVEL_NONE. */
#define LV_LOG_LEVEL_WORDS "debug, info, notice, warning, error, critical, alert, emergency or none"
#define LV_LOG_LEVEL_NONE  8u

#define LV_NAMES_MAX       32u

/* A list from settings. */
struct lv_names {
    char *items[LV_NAMES_MAX]; /* own */
    unsigned count;
    bool is_default; /* the first name that is added replaces the default's */
};

/* `durability`, in the order of its words. */
enum lv_durability { LV_DURABILITY_DISK, LV_DURABILITY_OS };

/* One of the two is 0. */
struct lv_memory_limit {
    double relative;
    uint64_t absolute; /* bytes */
};

/* The C type of each kind's value. */
#define LV_SETTING_TYPE_NUMBER    uint64_t
#define LV_SETTING_TYPE_SIZE      uint64_t
#define LV_SETTING_TYPE_TEXT      char *
#define LV_SETTING_TYPE_VERSION   char *
#define LV_SETTING_TYPE_CHOICE    uint64_t /* the word's place in the list */
#define LV_SETTING_TYPE_MEMORY    struct lv_memory_limit
#define LV_SETTING_TYPE_LISTENERS struct lv_names
#define LV_SETTING_TYPE_USERS     struct lv_names
#define LV_SETTING_TYPE_LIST      struct lv_names

/* One field for each row; strings and lists are its own. */
struct lv_settings {
#define LV_SETTING_FIELD(field, name, kind, ...) LV_SETTING_TYPE_##kind field;
    LV_SETTINGS(LV_SETTING_FIELD)
#undef LV_SETTING_FIELD
};

/* How a value is read and shown. */
enum lv_setting_kind {
    LV_SETTING_NUMBER,
    LV_SETTING_SIZE,
    LV_SETTING_TEXT,
    LV_SETTING_VERSION,
    LV_SETTING_CHOICE,
    LV_SETTING_MEMORY,
    LV_SETTING_LISTENERS,
    LV_SETTING_USERS,
    LV_SETTING_LIST
};

/* A row of the table, for those who print it. */
struct lv_setting {
    const char *name;
    enum lv_setting_kind kind;
    const char *standard; /* the default, as it would be written */
    uint64_t min, max;    /* NUMBER and SIZE; MEMORY's largest share */
    const char *unit;
    const char *text;
    size_t offset; /* in struct lv_settings */
};

/* In the table's order; ends with a row without a name. */
extern const struct lv_setting lv_setting_rows[];

/* Everything at its default. */
int lv_settings_init(struct lv_settings *settings) LV_MUST_CHECK;
/* Takes one that lv_settings_init() has failed on, too. */
void lv_settings_fini(struct lv_settings *settings);

/* Sets one by its name. -LV_E_NOT_FOUND: no such setting, `diag` has the nearest name;
 * -LV_E_USAGE: `diag` says what would be right. */
int lv_settings_set(struct lv_settings *settings, const char *name, const char *value,
                    struct lv_diag *diag) LV_MUST_CHECK;

/* Whether the list holds just this name. */
bool lv_names_have(const struct lv_names *names, const void *name, size_t size);
/* In bytes, on a machine with so much memory. */
uint64_t lv_memory_limit_size(const struct lv_memory_limit *limit, uint64_t machine_memory);
