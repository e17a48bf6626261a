/*
 * tests/crash/model.h - what has to be there after a crash, what may be, and what must not.
 *
 * A copy of a message is known by its queue's name and the message's number. The model is told what
 * clients asked for and were told, and holds what a recovered broker gives against that.
 */
#pragma once

#include "base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

enum { CRASH_QUEUES = 6, CRASH_IDS_MAX = 6000, CRASH_SOURCES_MAX = 2000 };

/* What is known of something that is declared, bound or deleted. */
enum crash_known { CRASH_ABSENT, CRASH_PRESENT, CRASH_PERHAPS /* the answer is on its way */ };

struct crash_queue {
    const char *name;
    bool durable;
    bool leaks; /* somebody takes without acknowledging: what is on its way to him is gone */
    enum crash_known known, bound; /* to the fanout exchange */
};

/* A message in a queue. */
struct crash_copy {
    bool sent;        /* may be there */
    bool certain;     /* its way to the queue was clear: it is, once it is confirmed */
    bool must;        /* has to be there, unless it was settled */
    bool settled;     /* somebody asked for its end */
    bool out;         /* a client has it */
    bool delivered;   /* somebody has had it */
    bool redelivered; /* it was marked so after a restart */
    uint16_t rank;    /* its place in what a restart has found, from 1; 0: it is newer */
};

struct crash_model {
    struct crash_queue queues[CRASH_QUEUES];
    enum crash_known exchange;
    struct crash_copy copies[CRASH_QUEUES][CRASH_IDS_MAX];
    bool persistent[CRASH_IDS_MAX];
    uint16_t source[CRASH_IDS_MAX]; /* who sent it: of one source the order holds */
    uint32_t id_count, source_count;
    bool is_exact; /* what was handed out has been seen by its client */
};

/* What a queue had after a restart. */
struct crash_found {
    bool is_there, is_bound;
    uint32_t count;
    uint32_t ids[CRASH_IDS_MAX];
    bool redelivered[CRASH_IDS_MAX];
};

struct crash_findings {
    struct crash_found queues[CRASH_QUEUES];
    bool has_exchange;
};

/* How the broker had ended. */
enum crash_end {
    CRASH_END_CRASH,
    CRASH_END_CLEAN,  /* in good order */
    CRASH_END_DAMAGED /* and then something was done to its files */
};

/* Says which seed it was, how to repeat it and what rule was broken; ends the program. */
_Noreturn void crash_fail(const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
#define CRASH_RULE(condition, ...)                                                                 \
    do {                                                                                           \
        if (!(condition))                                                                          \
            crash_fail(__FILE__, __LINE__, __VA_ARGS__);                                           \
    } while (0)
/* What happens, a line each, when LEVERET_TRACE is set: for who looks into a failed seed. */
void crash_trace(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
extern uint64_t crash_seed;      /* that is running */
extern const char *crash_moment; /* what the last crash interrupted */

void crash_model_init(struct crash_model *model);
/* A message, with a body of at least 8 bytes. */
uint32_t crash_model_new_id(struct crash_model *model, uint16_t source, bool is_persistent);
/* Writes a body that tells the message's number, and nothing else looks like it. */
void crash_body_write(uint32_t id, uint8_t *body, uint32_t size);
/* The number; it ends the program when the body is not what was written. */
uint32_t crash_body_read(const struct crash_model *model, struct lv_bytes body);

/* It is on its way to the queue. */
void crash_model_sent(struct crash_model *model, uint32_t queue, uint32_t id, bool is_certain);
/* The broker has confirmed it. */
void crash_model_confirmed(struct crash_model *model, uint32_t id);
/* Somebody wants the queue to go: what is in it is certain no more. */
void crash_model_deleting(struct crash_model *model, uint32_t queue);
void crash_model_deleted(struct crash_model *model, uint32_t queue);
/* All that was asked for has been done and is on disk: what was settled never comes back. */
void crash_model_calm(struct crash_model *model);

/* Does this agree with what may be there? `lost_max`: so many messages could not be read. */
void crash_model_check(const struct crash_model *model, const struct crash_findings *findings,
                       enum crash_end end, uint64_t lost_max);
/* From now on this is what is there. */
void crash_model_restart(struct crash_model *model, const struct crash_findings *findings);
