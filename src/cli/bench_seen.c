#include "cli/bench_seen.h"

#include "base/alloc.h"

#define WINDOW_MIN 4096u

void lv_seen_fini(struct lv_seen *seen)
{
    assert(seen != NULL);
    lv_free(seen->words);
    *seen = (struct lv_seen){.base = 0};
}

/* Where the number's bit lies. */
static uint64_t *word(const struct lv_seen *seen, uint64_t number)
{
    assert(seen->window > 0);
    return &seen->words[(number & (seen->window - 1)) / 64];
}

/* Its place in the word. */
static uint64_t bit(uint64_t number)
{
    return (uint64_t)1 << (number & 63);
}

/* Makes the window reach up to `number`. */
static bool grow(struct lv_seen *seen, uint64_t number)
{
    struct lv_seen wider = *seen;

    assert(number >= seen->base);
    wider.window = wider.window == 0 ? WINDOW_MIN : wider.window;
    while (number - seen->base >= wider.window)
        wider.window *= 2;
    wider.words = lv_calloc(wider.window / 64, sizeof *wider.words);
    if (wider.words == NULL)
        return false;
    for (uint64_t n = seen->base; n < seen->base + seen->window; n++)
        if (*word(seen, n) & bit(n))
            *word(&wider, n) |= bit(n);
    lv_free(seen->words);
    *seen = wider;
    return true;
}

enum lv_seen_result lv_seen_add_unordered(struct lv_seen *seen, uint64_t number)
{
    if (number < seen->base)
        return LV_SEEN_AGAIN;
    if (number - seen->base >= LV_SEEN_WINDOW_MAX)
        return LV_SEEN_FOREIGN;
    if (number - seen->base >= seen->window && !grow(seen, number))
        return LV_SEEN_NOMEM;
    if (*word(seen, number) & bit(number))
        return LV_SEEN_AGAIN;
    *word(seen, number) |= bit(number);
    seen->count++;
    while (*word(seen, seen->base) & bit(seen->base)) {
        *word(seen, seen->base) &= ~bit(seen->base); /* stands for base + window from now on */
        seen->base++;
    }
    assert(seen->count >= seen->base);
    return LV_SEEN_NEW;
}
