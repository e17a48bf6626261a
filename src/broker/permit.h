/*
 * broker/permit.h - may this client do that? What is asked on every command, and its answers.
 *
 * A client keeps what holds for one version of the access (broker/access.h): where to look, and the
 * last publishes that were allowed. So a publish costs a comparison of versions as long as its user
 * may write everywhere, and two names more when a pattern has to decide. Owning shard only.
 */
#pragma once

#include "broker/access.h"
#include "broker/message.h"

struct lv_client;

/* The last publish that patterns allowed. */
struct lv_permitted {
    bool any_key; /* else this key only */
    uint8_t exchange_size, key_size;
    uint8_t names[2 * UINT8_MAX]; /* the exchange's, then the key */
};

/* A client's. All zeros knows nothing yet, as versions begin with 1. */
struct lv_permits {
    uint64_t version;               /*       of the access, for which the rest holds */
    const struct lv_grant *grant;   /* view  NULL: nothing is allowed */
    struct lv_permitted *permitted; /* own   NULL: none */
    bool publishes_freely;          /*       to any exchange with any key */
};

void lv_permits_fini(struct lv_permits *permits);

/* May it use the resource so? 0 or -LV_E_ACCESS_REFUSED with RabbitMQ's sentence. The default
 * exchange, "", is "amq.default" to patterns and in sentences. */
int lv_permit(struct lv_client *client, enum lv_resource kind, struct lv_bytes name,
              enum lv_permission permission, struct lv_diag *diag) LV_MUST_CHECK;
/* For passive declares: any of the three will do. */
int lv_permit_any(struct lv_client *client, enum lv_resource kind, struct lv_bytes name,
                  struct lv_diag *diag) LV_MUST_CHECK;
/* May it write or read messages with this routing key? Only topic exchanges ask. */
int lv_permit_topic(struct lv_client *client, const struct lv_exchange *exchange,
                    struct lv_bytes key, enum lv_permission permission, struct lv_diag *diag)
    LV_MUST_CHECK;
/* What lv_permit_publish() asks when it has to. */
int lv_permit_publish_asking(struct lv_client *client, const struct lv_message *message,
                             struct lv_diag *diag) LV_MUST_CHECK;
