#include "model.h"

#include "base/alloc.h"
#include "base/bytes.h"

#include <stdio.h>
#include <stdlib.h>

void sim_broken(const char *rule, const char *file, int line)
{
    fprintf(stderr, "broken rule: %s (%s:%d)\n", rule, file, line);
    abort();
}

void sim_model_init(struct sim_model *model, uint64_t seed)
{
    *model = (struct sim_model){.count = 0};
    lv_random_seed(&model->random, seed);
}

void sim_model_fini(struct sim_model *model)
{
    lv_free(model->messages);
}

/* Mostly small; some are sent from their page, and some need several frames. */
static uint32_t body_size(struct sim_model *model)
{
    switch (sim_below(model, 8)) {
    case 0:
        return SIM_BODY_MIN + sim_below(model, SIM_BODY_MAX - SIM_BODY_MIN);
    case 1:
        return 4090 + sim_below(model, 12);
    default:
        return SIM_BODY_MIN + sim_below(model, 100);
    }
}

uint32_t sim_message_new(struct sim_model *model, uint32_t publisher, uint8_t targets,
                         bool mandatory)
{
    if (model->count == model->capacity) {
        model->capacity = model->capacity == 0 ? 256 : 2 * model->capacity;
        model->messages = lv_realloc(model->messages, model->capacity * sizeof *model->messages);
        SIM_RULE(model->messages != NULL, "the simulation has memory");
    }
    model->messages[model->count] = (struct sim_message){
        .publisher = publisher,
        .targets = targets,
        .mandatory = mandatory,
        .size = body_size(model),
    };
    return model->count++;
}

void sim_message_body(const struct sim_model *model, uint32_t number, uint8_t *body)
{
    uint32_t size = model->messages[number].size;

    lv_put32(lv_put32(body, number), size);
    for (uint32_t i = SIM_BODY_MIN; i < size; i++)
        body[i] = (uint8_t)(number + i);
}

uint32_t sim_message_identify(const struct sim_model *model, const uint8_t *body, size_t size)
{
    uint8_t want[SIM_BODY_MAX];
    uint32_t number;

    SIM_RULE(size >= SIM_BODY_MIN, "a body arrives whole");
    number = lv_get32(body);
    SIM_RULE(number < model->count, "only published messages are delivered");
    SIM_RULE(size == model->messages[number].size, "a body keeps its size");
    sim_message_body(model, number, want);
    SIM_RULE(memcmp(body, want, size) == 0, "a body keeps its bytes");
    return number;
}

static struct sim_copy *copy_of(struct sim_model *model, uint32_t number, uint32_t queue)
{
    SIM_RULE(number < model->count && queue < SIM_QUEUES, "the simulation knows what it does");
    return &model->messages[number].copies[queue];
}

void sim_message_taken(struct sim_model *model, uint32_t number)
{
    struct sim_message *message = &model->messages[number];

    message->taken = true;
    for (uint32_t queue = 0; queue < SIM_QUEUES; queue++)
        if (message->targets & 1u << queue)
            message->copies[queue].state = SIM_QUEUED;
}

void sim_copy_delivered(struct sim_model *model, uint32_t number, uint32_t queue, bool redelivered)
{
    struct sim_copy *copy = copy_of(model, number, queue);

    SIM_RULE(copy->state != SIM_ABSENT, "a queue delivers what was routed to it");
    SIM_RULE(copy->state != SIM_SETTLED, "what was settled is never delivered again");
    SIM_RULE(copy->state != SIM_HELD, "a message has one holder");
    SIM_RULE(!copy->heard || redelivered, "what was delivered before is marked redelivered");
    copy->state = SIM_HELD;
    copy->heard = true;
    model->delivery_count++;
}

void sim_copy_returned(struct sim_model *model, uint32_t number, uint32_t queue)
{
    struct sim_copy *copy = copy_of(model, number, queue);

    SIM_RULE(copy->state == SIM_HELD, "the simulation returns what it holds");
    copy->state = SIM_QUEUED;
}

void sim_copy_settled(struct sim_model *model, uint32_t number, uint32_t queue)
{
    struct sim_copy *copy = copy_of(model, number, queue);

    SIM_RULE(copy->state == SIM_HELD, "the simulation settles what it holds");
    copy->state = SIM_SETTLED;
}
