/*
 * server/config.h - where settings come from: files, the environment, the command line.
 *
 * What is given is collected first and put in force by lv_config_apply(): the environment goes over
 * the files and the command line over both, whatever came first. Within one of the three the last
 * value of a name counts, and `listeners.tcp` as a whole goes over `listeners.tcp.NAME`. What is
 * wrong is a sentence each, all of them together, so that nobody has to find them one by one. Main
 * thread.
 */
#pragma once

#include "server/settings.h"

#define LV_CONFIG_FILE_SIZE_MAX (1u << 20)
#define LV_CONFIG_FILES_MAX     64u   /* that a directory or a pattern may have */
#define LV_CONFIG_VALUES_MAX    2000u /* of all files together */
#define LV_CONFIG_SENTENCES_MAX 100u
#define LV_CONFIG_DEFAULT_FILE  "/etc/leveret/leveret.conf"
#define LV_CONFIG_DEFAULT_FILES "/etc/leveret/conf.d/*.conf"

/* The later ones go over the earlier ones. */
enum lv_config_layer { LV_CONFIG_FILES, LV_CONFIG_ENVIRONMENT, LV_CONFIG_OPTIONS };

/* What there is to say, each with the place it is about. */
struct lv_sentences {
    char *items[LV_CONFIG_SENTENCES_MAX]; /* own */
    unsigned count;
    unsigned more; /* for which there was no room */
};

struct lv_config_value; /* a name and its value, with where it was read */

struct lv_config {
    struct lv_settings settings;
    struct lv_sentences errors;     /* the broker may not start */
    struct lv_sentences notes;      /* what is read and changes nothing */
    struct lv_sentences files;      /* those that were read, in order */
    struct lv_config_value *values; /* own */
    unsigned count, capacity;
    bool is_out_of_memory;
};

/* Settings at their defaults. */
int lv_config_init(struct lv_config *config) LV_MUST_CHECK;
/* Takes one that lv_config_init() has failed on, too. */
void lv_config_fini(struct lv_config *config);

/* One file in rabbitmq.conf's format. */
void lv_config_read_file(struct lv_config *config, const char *path);
/* The files that are read when nobody names one: $RABBITMQ_CONFIG_FILE, else
 * LV_CONFIG_DEFAULT_FILE if it is there; then those of $RABBITMQ_CONFIG_FILES, a directory or a
 * pattern, else LV_CONFIG_DEFAULT_FILES, in the order of their names. */
void lv_config_read_default_files(struct lv_config *config);
/* The variables of RabbitMQ and of its image that set something. */
void lv_config_read_environment(struct lv_config *config);
/* From the command line; `where` begins a sentence about it. */
void lv_config_set(struct lv_config *config, const char *name, const char *value,
                   const char *where);

/* Puts in force what was collected; once. -LV_E_USAGE: there are errors, and the settings are not
 * to be used. */
int lv_config_apply(struct lv_config *config) LV_MUST_CHECK;

/* X(variable, setting, why it is refused). An empty setting means that `why` refuses it. */
#define LV_CONFIG_VARIABLES(X)                                                                     \
    X("RABBITMQ_NODE_PORT", "listeners.tcp", "")                                                   \
    X("RABBITMQ_NODE_IP_ADDRESS", "listeners.tcp", "")                                             \
    X("RABBITMQ_DEFAULT_USER", "default_user", "")                                                 \
    X("RABBITMQ_DEFAULT_PASS", "default_pass", "")                                                 \
    X("RABBITMQ_DEFAULT_VHOST", "default_vhost", "")                                               \
    X("RABBITMQ_DEFAULT_USER_FILE", "", "set default_user in a configuration file")                \
    X("RABBITMQ_DEFAULT_PASS_FILE", "", "set default_pass in a configuration file")                \
    X("RABBITMQ_VM_MEMORY_HIGH_WATERMARK", "",                                                     \
      "set vm_memory_high_watermark.relative in a configuration file")                             \
    X("RABBITMQ_ADVANCED_CONFIG_FILE", "", "RabbitMQ's classic format is not read")                \
    X("RABBITMQ_SSL_CACERTFILE", "", "set ssl_options.cacertfile in a configuration file")         \
    X("RABBITMQ_SSL_CERTFILE", "", "set ssl_options.certfile in a configuration file")             \
    X("RABBITMQ_SSL_KEYFILE", "", "set ssl_options.keyfile in a configuration file")               \
    X("RABBITMQ_SSL_DEPTH", "", "set ssl_options.depth in a configuration file")                   \
    X("RABBITMQ_SSL_VERIFY", "", "set ssl_options.verify in a configuration file")                 \
    X("RABBITMQ_SSL_FAIL_IF_NO_PEER_CERT", "",                                                     \
      "set ssl_options.fail_if_no_peer_cert in a configuration file")

/* A row of the table. */
struct lv_config_variable {
    const char *name;
    const char *setting; /* "": none */
    const char *why;
};

/* In the table's order; ends with a row without a name. */
extern const struct lv_config_variable lv_config_variables[];
