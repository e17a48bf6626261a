#include "cli/bench_plan.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/random.h"

#include <stdio.h>
#include <string.h>

#define NOT_REACHED UINT32_MAX
/* A round is large enough for long writes and small enough to stay in the cache. */
#define ROUND_SIZE        ((uint64_t)1 << 18)
#define ROUND_SIZE_KEYED  ((uint64_t)1 << 20) /* more different keys */
#define ROUND_COUNT       1024u
#define ROUND_COUNT_KEYED 4096u
#define MESSAGE_OVERHEAD  160u /* frames, names and properties around a body */
#define WORDS_PER_LEVEL   40u
#define SEED              20u

bool lv_bench_topic_matches(const char *pattern, const char *key)
{
    size_t size = strcspn(pattern, "."), key_size = strcspn(key, ".");
    const char *pattern_rest = pattern[size] == '.' ? pattern + size + 1 : NULL;
    const char *key_rest = key[key_size] == '.' ? key + key_size + 1 : NULL;

    if (size == 1 && pattern[0] == '#') {
        if (pattern_rest == NULL)
            return true;
        for (const char *at = key; at != NULL; at = strchr(at, '.') ? strchr(at, '.') + 1 : NULL)
            if (lv_bench_topic_matches(pattern_rest, at))
                return true;
        return false;
    }
    if (!(size == 1 && pattern[0] == '*') && (size != key_size || memcmp(pattern, key, size) != 0))
        return false;
    if (pattern_rest == NULL)
        return key_rest == NULL;
    if (key_rest == NULL)
        return strcmp(pattern_rest, "#") == 0;
    return lv_bench_topic_matches(pattern_rest, key_rest);
}

/* Routing keys differ, so slots reach different queues. */
static bool is_keyed(const struct lv_bench_plan *plan)
{
    return plan->shape.exchange == LV_BENCH_DIRECT || plan->shape.exchange == LV_BENCH_TOPIC;
}

/* Of two numbers. */
static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Binding keys of a topic exchange in a plausible mixture: mostly exact, some with `*` or `#`. */
static void make_pattern(struct lv_random *random, char pattern[LV_BENCH_KEY_SIZE])
{
    uint64_t kind = lv_random_below(random, 100), words[4];

    for (size_t i = 0; i < LV_COUNT(words); i++)
        words[i] = lv_random_below(random, WORDS_PER_LEVEL);
    if (kind < 60)
        snprintf(pattern, LV_BENCH_KEY_SIZE, "site%u.line%u.unit%u.part%u", (unsigned)words[0],
                 (unsigned)words[1], (unsigned)words[2], (unsigned)words[3]);
    else if (kind < 75)
        snprintf(pattern, LV_BENCH_KEY_SIZE, "site%u.*.unit%u.part%u", (unsigned)words[0],
                 (unsigned)words[2], (unsigned)words[3]);
    else if (kind < 85)
        snprintf(pattern, LV_BENCH_KEY_SIZE, "site%u.line%u.*.part%u", (unsigned)words[0],
                 (unsigned)words[1], (unsigned)words[3]);
    else
        snprintf(pattern, LV_BENCH_KEY_SIZE, "site%u.line%u.unit%u.#", (unsigned)words[0],
                 (unsigned)words[1], (unsigned)words[2]);
}

/* A key that the pattern matches. */
static void make_key(struct lv_random *random, const char *pattern, char key[LV_BENCH_KEY_SIZE])
{
    size_t size = 0;

    for (const char *p = pattern; *p != '\0'; p++) {
        if (*p == '*')
            size += (size_t)snprintf(key + size, LV_BENCH_KEY_SIZE - size, "any%u",
                                     (unsigned)lv_random_below(random, 100));
        else if (*p == '#')
            size += (size_t)snprintf(key + size, LV_BENCH_KEY_SIZE - size, "x%u.y%u",
                                     (unsigned)lv_random_below(random, 100),
                                     (unsigned)lv_random_below(random, 100));
        else
            key[size++] = *p;
        assert(size < LV_BENCH_KEY_SIZE);
    }
    key[size] = '\0';
}

/* The same seed for every run: plans of producers and consumers agree, and runs compare. */
static void make_keys(struct lv_bench_plan *plan)
{
    struct lv_random random;

    assert(is_keyed(plan));
    lv_random_seed(&random, SEED);
    for (uint64_t i = 0; i < plan->shape.bindings; i++) {
        if (plan->shape.exchange == LV_BENCH_TOPIC)
            make_pattern(&random, plan->patterns[i]);
        else
            snprintf(plan->patterns[i], LV_BENCH_KEY_SIZE, "key.%u", (unsigned)i);
    }
    for (uint32_t slot = 0; slot < plan->slot_count; slot++)
        make_key(&random, plan->patterns[lv_random_below(&random, plan->shape.bindings)],
                 plan->keys[slot]);
}

/* Do any of the queue's bindings match the slot's key? */
static bool reaches(const struct lv_bench_plan *plan, uint64_t queue, uint32_t slot)
{
    assert(queue < plan->shape.queues);
    for (uint64_t i = queue; i < plan->shape.bindings; i += plan->shape.queues) {
        const char *pattern = plan->patterns[i];

        if (plan->shape.exchange == LV_BENCH_TOPIC
                ? lv_bench_topic_matches(pattern, plan->keys[slot])
                : strcmp(pattern, plan->keys[slot]) == 0)
            return true;
    }
    return false;
}

/* Numbers the slots of each queue. */
static void rank_slots(struct lv_bench_plan *plan)
{
    assert(plan->ranks != NULL);
    for (uint64_t queue = 0; queue < plan->shape.queues; queue++) {
        uint32_t *ranks = plan->ranks + queue * plan->slot_count;

        for (uint32_t slot = 0; slot < plan->slot_count; slot++)
            ranks[slot] =
                reaches(plan, queue, slot) ? plan->reached[queue]++ : (uint32_t)NOT_REACHED;
    }
}

int lv_bench_plan_init(struct lv_bench_plan *plan, const struct lv_bench_shape *shape)
{
    bool keyed;
    uint64_t count;

    assert(shape->queues > 0);
    assert(shape->size > 0);
    *plan = (struct lv_bench_plan){.shape = *shape};
    keyed = is_keyed(plan);
    count = (keyed ? ROUND_SIZE_KEYED : ROUND_SIZE) / (shape->size + MESSAGE_OVERHEAD);
    count = smaller(count, keyed ? ROUND_COUNT_KEYED : ROUND_COUNT);
    plan->slot_count = count == 0 ? 1 : (uint32_t)count;
    if (plan->shape.bindings < shape->queues)
        plan->shape.bindings = shape->queues;
    if (!keyed)
        return 0;
    plan->keys = lv_calloc(plan->slot_count, sizeof *plan->keys);
    plan->patterns = lv_calloc(plan->shape.bindings, sizeof *plan->patterns);
    plan->ranks = lv_calloc(shape->queues * plan->slot_count, sizeof *plan->ranks);
    plan->reached = lv_calloc(shape->queues, sizeof *plan->reached);
    if (plan->keys == NULL || plan->patterns == NULL || plan->ranks == NULL ||
        plan->reached == NULL) {
        lv_bench_plan_fini(plan);
        return -LV_E_NOMEM;
    }
    make_keys(plan);
    rank_slots(plan);
    return 0;
}

void lv_bench_plan_fini(struct lv_bench_plan *plan)
{
    assert(plan != NULL);
    lv_free(plan->keys);
    lv_free(plan->patterns);
    lv_free(plan->ranks);
    lv_free(plan->reached);
    *plan = (struct lv_bench_plan){.slot_count = 0};
}

uint64_t lv_bench_plan_rank(const struct lv_bench_plan *plan, uint64_t producer, uint64_t queue,
                            uint64_t sequence)
{
    uint32_t rank;

    assert(queue < plan->shape.queues);
    if (plan->ranks == NULL)
        return plan->shape.exchange == LV_BENCH_FANOUT || producer % plan->shape.queues == queue
                   ? sequence
                   : LV_BENCH_NOT_ROUTED;
    rank = plan->ranks[queue * plan->slot_count + sequence % plan->slot_count];
    if (rank == NOT_REACHED)
        return LV_BENCH_NOT_ROUTED;
    return sequence / plan->slot_count * plan->reached[queue] + rank;
}

uint64_t lv_bench_plan_expected(const struct lv_bench_plan *plan, uint64_t producer, uint64_t queue,
                                uint64_t count)
{
    uint64_t expected;

    assert(queue < plan->shape.queues);
    if (plan->ranks == NULL)
        return lv_bench_plan_rank(plan, producer, queue, 0) == 0 ? count : 0;
    expected = count / plan->slot_count * plan->reached[queue];
    for (uint32_t slot = 0; slot < count % plan->slot_count; slot++)
        if (plan->ranks[queue * plan->slot_count + slot] != NOT_REACHED)
            expected++;
    return expected;
}

bool lv_bench_plan_is_consumed(const struct lv_bench_plan *plan, uint64_t queue)
{
    assert(queue < plan->shape.queues);
    return queue < plan->shape.consumers;
}
