#include "client/unconfirmed.h"

#include "base/alloc.h"

#define BITS_MIN 1024u

/* Tags begin at 1 with confirm.select. */
void lv_unconfirmed_init(struct lv_unconfirmed *confirms)
{
    assert(confirms != NULL);
    *confirms = (struct lv_unconfirmed){.lowest = 1, .next = 1};
}

/* May be used again, from tag 1. */
void lv_unconfirmed_fini(struct lv_unconfirmed *confirms)
{
    assert(confirms != NULL);
    lv_free(confirms->words);
    lv_unconfirmed_init(confirms);
}

/* Where the tag's bit lies; tags further apart than the window share one, so they never meet. */
static uint64_t *word(const struct lv_unconfirmed *confirms, uint64_t tag)
{
    assert(confirms->bit_count > 0);
    return &confirms->words[(tag & (confirms->bit_count - 1)) / 64];
}

/* Its place in the word. */
static uint64_t bit(uint64_t tag)
{
    assert(tag > 0);
    return (uint64_t)1 << (tag & 63);
}

/* Settled while a lower tag is still open. */
static bool is_early(const struct lv_unconfirmed *confirms, uint64_t tag)
{
    assert(tag >= confirms->lowest);
    assert(tag < confirms->next);
    return confirms->early > 0 && (*word(confirms, tag) & bit(tag)) != 0;
}

/* A tag that is settled out of order. */
static void mark(struct lv_unconfirmed *confirms, uint64_t tag)
{
    assert(!is_early(confirms, tag));
    *word(confirms, tag) |= bit(tag);
    confirms->early++;
}

/* Its bit will stand for another tag. */
static void unmark(struct lv_unconfirmed *confirms, uint64_t tag)
{
    assert(is_early(confirms, tag));
    *word(confirms, tag) &= ~bit(tag);
    confirms->early--;
}

/* Twice the window; only what is open has to be carried over. */
static int grow(struct lv_unconfirmed *confirms)
{
    struct lv_unconfirmed wider = *confirms;

    assert(confirms->next - confirms->lowest == confirms->bit_count);
    if (confirms->bit_count >= LV_UNCONFIRMED_OPEN_MAX)
        return -LV_E_RESOURCE;
    wider.bit_count = confirms->bit_count == 0 ? BITS_MIN : confirms->bit_count * 2;
    wider.words = lv_calloc(wider.bit_count / 64, sizeof *wider.words);
    if (wider.words == NULL)
        return -LV_E_NOMEM;
    for (uint64_t tag = confirms->lowest; tag < confirms->next; tag++)
        if (is_early(confirms, tag))
            *word(&wider, tag) |= bit(tag);
    lv_free(confirms->words);
    *confirms = wider;
    return 0;
}

/* Memory grows with how far confirms are apart, not with how many there are. */
int lv_unconfirmed_open(struct lv_unconfirmed *confirms, uint64_t *ret_tag)
{
    assert(confirms->next >= confirms->lowest);
    assert(confirms->lowest >= 1);
    if (confirms->next - confirms->lowest == confirms->bit_count) {
        int rc = grow(confirms);
        if (rc < 0)
            return rc;
    }
    *ret_tag = confirms->next++;
    return 0;
}

/* Those between the lowest open one and the next, without what was confirmed early. */
uint64_t lv_unconfirmed_count(const struct lv_unconfirmed *confirms)
{
    assert(confirms->next - confirms->lowest >= confirms->early);
    return confirms->next - confirms->lowest - confirms->early;
}

/* Passes over tags that were settled early, now that those before them are settled too. */
static void advance(struct lv_unconfirmed *confirms)
{
    assert(confirms->lowest <= confirms->next);
    while (confirms->lowest < confirms->next && is_early(confirms, confirms->lowest)) {
        unmark(confirms, confirms->lowest);
        confirms->lowest++;
    }
}

/* Runs between tags that were settled early already. */
static void settle_up_to(struct lv_unconfirmed *confirms, uint64_t tag, lv_unconfirmed_fn *settled,
                         void *ctx)
{
    assert(tag < confirms->next);
    while (confirms->lowest <= tag) {
        uint64_t first = confirms->lowest, last = tag;

        if (confirms->early > 0)
            for (last = first; last < tag && !is_early(confirms, last + 1);)
                last++;
        confirms->lowest = last + 1;
        settled(ctx, first, last);
        advance(confirms);
    }
}

/* A confirm for what is not open is the broker's error, and is reported as such. */
int lv_unconfirmed_settle(struct lv_unconfirmed *confirms, uint64_t tag, bool multiple,
                          lv_unconfirmed_fn *settled, void *ctx)
{
    assert(settled != NULL);
    if (multiple && tag == 0)
        tag = confirms->next - 1;
    if (tag >= confirms->next || (tag < confirms->lowest && !multiple))
        return -LV_E_SYNTAX;
    if (multiple) {
        settle_up_to(confirms, tag, settled, ctx);
        return 0;
    }
    if (is_early(confirms, tag))
        return -LV_E_SYNTAX;
    if (tag == confirms->lowest) {
        confirms->lowest++;
        advance(confirms);
    } else {
        mark(confirms, tag);
    }
    settled(ctx, tag, tag);
    return 0;
}
