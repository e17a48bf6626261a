/*
 * tests/sim/model.h - what must be true of every message, whatever happens to those who carry it.
 *
 * The model knows which messages the broker has taken, what copy of each lies in which queue, who
 * holds it and who is done with it. A rule that is broken ends the program with its name; the seed
 * that is printed before each run repeats it.
 */
#pragma once

#include "base/random.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_QUEUES     4u /* "q0" … "q3" */
#define SIM_FANOUT     2u /* the first so many of them are bound to the exchange "f" */
#define SIM_PUBLISHERS 256u
#define SIM_BODY_MIN   8u
#define SIM_BODY_MAX   12000u

enum sim_copy_state {
    SIM_ABSENT, /* not routed there, or not published yet */
    SIM_QUEUED, /* in the queue, or on its way to or from it */
    SIM_HELD,   /* delivered and not yet answered */
    SIM_SETTLED /* acknowledged or dropped: must never be seen again */
};

struct sim_copy {
    uint8_t state; /* enum sim_copy_state */
    bool heard;    /* somebody has received it: from now on it is redelivered */
};

struct sim_message {
    struct sim_copy copies[SIM_QUEUES];
    uint64_t carried_mark[SIM_QUEUES]; /* operations that must have arrived before its confirm */
    uint32_t publisher;
    uint32_t size;   /* of the body */
    uint8_t targets; /* bits of queues */
    bool mandatory, taken, confirmed, returned;
};

struct sim_model {
    struct lv_random random;
    struct sim_message *messages; /* own */
    uint32_t count, capacity;
    uint32_t publisher_count;
    uint64_t delivery_count, loss_count; /* so much has happened */
};

/* One condition that may never be false; `rule` names it. */
#define SIM_RULE(condition, rule)                                                                  \
    do {                                                                                           \
        if (!(condition))                                                                          \
            sim_broken(rule, __FILE__, __LINE__);                                                  \
    } while (0)
_Noreturn void sim_broken(const char *rule, const char *file, int line);

void sim_model_init(struct sim_model *model, uint64_t seed);
void sim_model_fini(struct sim_model *model);

static inline uint32_t sim_below(struct sim_model *model, uint32_t bound)
{
    return (uint32_t)lv_random_below(&model->random, bound);
}
/* True once in `n` times. */
static inline bool sim_once_in(struct sim_model *model, uint32_t n)
{
    return sim_below(model, n) == 0;
}

/* A new message, not yet taken by the broker: its number. */
uint32_t sim_message_new(struct sim_model *model, uint32_t publisher, uint8_t targets,
                         bool mandatory);
/* Its body: the number, then bytes that follow from it. */
void sim_message_body(const struct sim_model *model, uint32_t number, uint8_t *body);
/* The session has taken its last byte. */
void sim_message_taken(struct sim_model *model, uint32_t number);
/* A body that somebody received: its number. */
uint32_t sim_message_identify(const struct sim_model *model, const uint8_t *body, size_t size);

/* The broker delivers queue's copy; it is held from now on. */
void sim_copy_delivered(struct sim_model *model, uint32_t number, uint32_t queue, bool redelivered);
/* Its holder wants it no more, or had it only in a buffer. */
void sim_copy_returned(struct sim_model *model, uint32_t number, uint32_t queue);
void sim_copy_settled(struct sim_model *model, uint32_t number, uint32_t queue);
