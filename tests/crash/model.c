#include "model.h"

#include "base/defs.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t crash_seed;
const char *crash_moment = "";

void crash_fail(const char *file, int line, const char *fmt, ...)
{
    va_list args;

    fprintf(stderr, "%s:%d: ", file, line);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fprintf(stderr, "\n  after %s; again: make crash SEED=%llu\n", crash_moment,
            (unsigned long long)crash_seed);
    exit(1);
}

void crash_trace(const char *fmt, ...)
{
    static int is_on = -1;
    va_list args;

    if (is_on < 0)
        is_on = getenv("LEVERET_TRACE") != NULL;
    if (is_on == 0)
        return;
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
}

void crash_model_init(struct crash_model *model)
{
    static const struct crash_queue queues[CRASH_QUEUES] = {
        {.name = "long", .durable = true},
        {.name = "short", .durable = true},
        {.name = "first", .durable = true},
        {.name = "second", .durable = true},
        {.name = "fleeting"},
        {.name = "untouched", .durable = true},
    };

    assert(CRASH_IDS_MAX <= UINT16_MAX);
    memset(model, 0, sizeof *model);
    memcpy(model->queues, queues, sizeof queues);
    model->id_count = model->source_count = 1; /* 0 is nobody */
}

/* ---- messages ---- */

uint32_t crash_model_new_id(struct crash_model *model, uint16_t source, bool is_persistent)
{
    uint32_t id = model->id_count++;

    assert(id < CRASH_IDS_MAX);
    model->persistent[id] = is_persistent;
    model->source[id] = source;
    return id;
}

static uint8_t body_byte(uint32_t id, uint32_t at)
{
    return (uint8_t)((id * 2654435761u + at * 40503u) >> 11);
}

void crash_body_write(uint32_t id, uint8_t *body, uint32_t size)
{
    assert(size >= 8);
    memcpy(body, &id, 4);
    memcpy(body + 4, &size, 4);
    for (uint32_t at = 8; at < size; at++)
        body[at] = body_byte(id, at);
}

uint32_t crash_body_read(const struct crash_model *model, struct lv_bytes body)
{
    uint32_t id, size;

    CRASH_RULE(body.size >= 8, "a body of %zu bytes", body.size);
    memcpy(&id, body.data, 4);
    memcpy(&size, body.data + 4, 4);
    CRASH_RULE(id > 0 && id < model->id_count, "message %u was never published", id);
    CRASH_RULE(size == body.size, "message %u has %zu bytes, not %u", id, body.size, size);
    for (uint32_t at = 8; at < size; at++)
        CRASH_RULE(body.data[at] == body_byte(id, at), "message %u: wrong byte %u", id, at);
    return id;
}

void crash_model_sent(struct crash_model *model, uint32_t queue, uint32_t id, bool is_certain)
{
    struct crash_copy *copy = &model->copies[queue][id];

    assert(!copy->sent);
    crash_trace("sent %u to %s%s%s", id, model->queues[queue].name, is_certain ? "" : ", perhaps",
                model->persistent[id] ? "" : ", transient");
    *copy = (struct crash_copy){.sent = true, .certain = is_certain};
}

void crash_model_confirmed(struct crash_model *model, uint32_t id)
{
    assert(id < model->id_count);
    for (uint32_t queue = 0; queue < CRASH_QUEUES; queue++) {
        struct crash_copy *copy = &model->copies[queue][id];
        if (copy->sent && copy->certain && model->persistent[id] && model->queues[queue].durable)
            copy->must = true;
    }
    crash_trace("confirmed %u", id);
}

void crash_model_deleting(struct crash_model *model, uint32_t queue)
{
    model->queues[queue].known = model->queues[queue].bound = CRASH_PERHAPS;
    for (uint32_t id = 1; id < model->id_count; id++)
        model->copies[queue][id].certain = model->copies[queue][id].must = false;
}

void crash_model_deleted(struct crash_model *model, uint32_t queue)
{
    model->queues[queue].known = model->queues[queue].bound = CRASH_ABSENT;
    for (uint32_t id = 1; id < model->id_count; id++) {
        struct crash_copy *copy = &model->copies[queue][id];
        copy->sent = copy->certain = copy->must = false;
    }
}

void crash_model_calm(struct crash_model *model)
{
    assert(model->id_count > 0);
    for (uint32_t queue = 0; queue < CRASH_QUEUES; queue++)
        for (uint32_t id = 1; id < model->id_count; id++) {
            struct crash_copy *copy = &model->copies[queue][id];
            if (copy->sent && copy->settled && !copy->out)
                *copy = (struct crash_copy){.sent = false};
        }
}

/* ---- after a restart ---- */

static void check_known(enum crash_known known, bool is_there, const char *what)
{
    CRASH_RULE(known != CRASH_PRESENT || is_there, "%s is not there", what);
    CRASH_RULE(known != CRASH_ABSENT || !is_there, "%s is there", what);
}

/* One source's messages follow each other; what an earlier restart had found is before all. */
static void check_order(const struct crash_model *model, uint32_t queue,
                        const struct crash_found *found)
{
    uint32_t last_rank = 0, last_ids[CRASH_SOURCES_MAX] = {0};
    bool any_new = false;

    for (uint32_t i = 0; i < found->count; i++) {
        uint32_t id = found->ids[i], rank = model->copies[queue][id].rank;
        uint32_t *last_id = &last_ids[model->source[id]];

        if (rank == 0) {
            CRASH_RULE(id > *last_id, "queue %s: %u comes behind %u", model->queues[queue].name, id,
                       *last_id);
            *last_id = id;
            any_new = true;
            continue;
        }
        CRASH_RULE(rank > last_rank && !any_new, "queue %s: %u has lost its place",
                   model->queues[queue].name, id);
        last_rank = rank;
    }
}

static void check_found(const struct crash_model *model, uint32_t queue, uint32_t id,
                        bool is_redelivered, enum crash_end end)
{
    const struct crash_copy *copy = &model->copies[queue][id];
    const char *name = model->queues[queue].name;

    CRASH_RULE(copy->sent, "queue %s: %u is there again, or was never sent there", name, id);
    CRASH_RULE(model->persistent[id], "queue %s: %u is transient", name, id);
    CRASH_RULE(is_redelivered || !(copy->delivered || copy->redelivered),
               "queue %s: %u was delivered and is not marked so", name, id);
    CRASH_RULE(end == CRASH_END_CRASH || !copy->settled, "queue %s: settled %u is there", name, id);
    CRASH_RULE(end != CRASH_END_CLEAN || !model->is_exact || !is_redelivered || copy->delivered ||
                   copy->redelivered,
               "queue %s: %u is marked and was never delivered", name, id);
}

static uint64_t check_queue(const struct crash_model *model, uint32_t queue,
                            const struct crash_found *found, enum crash_end end)
{
    const struct crash_queue *known = &model->queues[queue];
    bool *has = calloc(CRASH_IDS_MAX, sizeof *has);
    uint64_t lost = 0;

    if (has == NULL)
        abort();
    check_known(known->durable ? known->known : CRASH_ABSENT, found->is_there, known->name);
    if (known->known != CRASH_PERHAPS && found->is_there)
        check_known(known->bound, found->is_bound, "a binding");
    for (uint32_t i = 0; i < found->count; i++) {
        CRASH_RULE(!has[found->ids[i]], "queue %s: %u is there twice", known->name, found->ids[i]);
        has[found->ids[i]] = true;
        check_found(model, queue, found->ids[i], found->redelivered[i], end);
    }
    for (uint32_t id = 1; id < model->id_count; id++) {
        const struct crash_copy *copy = &model->copies[queue][id];
        bool is_lost = copy->must && !copy->settled && !has[id] && !known->leaks;
        CRASH_RULE(!is_lost || end == CRASH_END_DAMAGED, "queue %s: %u is lost", known->name, id);
        lost += is_lost;
    }
    check_order(model, queue, found);
    free(has);
    return lost;
}

void crash_model_check(const struct crash_model *model, const struct crash_findings *findings,
                       enum crash_end end, uint64_t lost_max)
{
    uint64_t lost = 0;

    check_known(model->exchange, findings->has_exchange, "the exchange");
    for (uint32_t queue = 0; queue < CRASH_QUEUES; queue++)
        lost += check_queue(model, queue, &findings->queues[queue], end);
    CRASH_RULE(lost <= lost_max, "%llu messages are lost, but it was said of %llu",
               (unsigned long long)lost, (unsigned long long)lost_max);
}

void crash_model_restart(struct crash_model *model, const struct crash_findings *findings)
{
    model->exchange = findings->has_exchange ? CRASH_PRESENT : CRASH_ABSENT;
    for (uint32_t queue = 0; queue < CRASH_QUEUES; queue++) {
        const struct crash_found *found = &findings->queues[queue];
        struct crash_queue *known = &model->queues[queue];

        known->known = found->is_there ? CRASH_PRESENT : CRASH_ABSENT;
        known->bound = found->is_bound ? CRASH_PRESENT : CRASH_ABSENT;
        known->leaks = false;
        for (uint32_t id = 1; id < model->id_count; id++)
            model->copies[queue][id].rank = 0;
        for (uint32_t i = 0; i < found->count; i++)
            model->copies[queue][found->ids[i]].rank = (uint16_t)(i + 1);
        for (uint32_t id = 1; id < model->id_count; id++) {
            struct crash_copy *copy = &model->copies[queue][id];
            if (copy->rank == 0)
                *copy = (struct crash_copy){.sent = false};
            else
                *copy = (struct crash_copy){.sent = true,
                                            .certain = true,
                                            .must = true,
                                            .delivered = copy->delivered,
                                            .rank = copy->rank};
        }
        for (uint32_t i = 0; i < found->count; i++)
            model->copies[queue][found->ids[i]].redelivered = found->redelivered[i];
    }
}
