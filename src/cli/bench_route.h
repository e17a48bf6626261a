/*
 * cli/bench_route.h - which queues a message of the relay goes to, looked up once per key.
 *
 * The relay knows names of queues and exchanges and their bindings, nothing else. A route is what
 * an exchange and a routing key lead to, remembered together with the delivery frame for it, of
 * which only the delivery tag changes. Pure; one owner.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

#define LV_RELAY_QUEUES_MAX 4096u
/* Exchange and routing key as two short strings, as they follow each other in basic.publish. */
#define LV_RELAY_KEY_MAX 512u

struct lv_relay_queue {
    char name[256];
    void *consumer; /* view  who gets its messages, or NULL */
};

struct lv_relay_route {
    struct lv_relay_route *next; /* view  in its bucket */
    uint32_t hash;
    uint32_t target_count;
    struct lv_relay_queue **targets; /* own   each a view */
    size_t key_size;
    uint8_t key[LV_RELAY_KEY_MAX];
};

struct lv_relay_table;

/* NULL when out of memory. */
struct lv_relay_table *lv_relay_new(void) LV_MUST_CHECK;
/* Takes NULL. */
void lv_relay_free(struct lv_relay_table *routes);

/* The queue, which is there from now on. NULL when there are too many or memory is short. */
struct lv_relay_queue *lv_relay_queue(struct lv_relay_table *routes, struct lv_bytes name)
    LV_MUST_CHECK;
/* `type` is fanout, topic, or else direct. */
int lv_relay_exchange(struct lv_relay_table *routes, struct lv_bytes name, struct lv_bytes type)
    LV_MUST_CHECK;
/* Names that are not there yet may be bound. -LV_E_NOMEM. */
int lv_relay_bind(struct lv_relay_table *routes, struct lv_bytes queue, struct lv_bytes exchange,
                  struct lv_bytes key) LV_MUST_CHECK;
/* Its bindings go too. */
void lv_relay_delete_queue(struct lv_relay_table *routes, struct lv_bytes name);
/* Nobody consumes for `consumer` any more. */
void lv_relay_forget(struct lv_relay_table *routes, const void *consumer);

/* Valid until the next change. NULL: out of memory. */
const struct lv_relay_route *lv_relay_find(struct lv_relay_table *routes, struct lv_bytes key)
    LV_MUST_CHECK;
/* Changes whenever routes that were found before are not valid any more. */
uint64_t lv_relay_version(const struct lv_relay_table *routes);
