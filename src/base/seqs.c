#include "base/seqs.h"

#include "base/alloc.h"
#include "base/err.h"

#include <assert.h>
#include <string.h>

#define WORDS    (LV_SEQS_PIECE / 64)
#define RING_MIN 8u

/* All bits of a piece are set. */
static uint64_t full_mark;
#define FULL (&full_mark)

/* Where the piece of a number is, or would be. */
static uint64_t **slot(const struct lv_seqs *seqs, uint64_t seq)
{
    assert(seqs->capacity > 0);
    return &seqs->pieces[seq / LV_SEQS_PIECE & (seqs->capacity - 1)];
}

/* A set in which nothing is out of order has no memory of its own. */
void lv_seqs_init(struct lv_seqs *seqs, uint64_t low)
{
    assert(seqs != NULL);
    *seqs = (struct lv_seqs){.low = low, .top = low};
}

/* The mark of a full piece is everybody's. */
static void free_piece(struct lv_seqs *seqs, uint64_t **piece)
{
    if (*piece != NULL && *piece != FULL) {
        assert(seqs->memory_size >= LV_SEQS_PIECE / 8);
        seqs->memory_size -= LV_SEQS_PIECE / 8;
        lv_free(*piece);
    }
    *piece = NULL;
}

/* Pieces that low has passed are NULL already. */
void lv_seqs_fini(struct lv_seqs *seqs)
{
    assert(seqs->low <= seqs->top);
    for (uint32_t i = 0; i < seqs->capacity; i++)
        free_piece(seqs, &seqs->pieces[i]);
    lv_free(seqs->pieces);
    lv_seqs_init(seqs, seqs->low);
}

/* A ring that grew for one old number goes with it. */
static void drop_ring(struct lv_seqs *seqs)
{
    assert(seqs->low == seqs->top);
    if (seqs->capacity <= RING_MIN)
        return;
    seqs->memory_size -= seqs->capacity * sizeof *seqs->pieces;
    assert(seqs->memory_size == 0);
    lv_free(seqs->pieces);
    seqs->pieces = NULL;
    seqs->capacity = 0;
}

/* The ring reaches from low's piece to that of `seq`. */
static int grow(struct lv_seqs *seqs, uint64_t seq)
{
    uint64_t first = seqs->low / LV_SEQS_PIECE, last = seq / LV_SEQS_PIECE;
    uint64_t capacity = seqs->capacity == 0 ? RING_MIN : seqs->capacity;
    uint64_t **pieces;

    assert(last >= first);
    if (last - first > UINT32_MAX / 2)
        return -LV_E_NOMEM;
    while (last - first >= capacity)
        capacity *= 2;
    if (capacity == seqs->capacity)
        return 0;
    pieces = lv_calloc(capacity, sizeof *pieces);
    if (pieces == NULL)
        return -LV_E_NOMEM;
    for (uint64_t i = first; i < first + seqs->capacity; i++)
        pieces[i & (capacity - 1)] = seqs->pieces[i & (seqs->capacity - 1)];
    lv_free(seqs->pieces);
    seqs->memory_size += (capacity - seqs->capacity) * sizeof *pieces;
    seqs->pieces = pieces;
    seqs->capacity = (uint32_t)capacity;
    return 0;
}

/* Numbers above low by their bits in the word that `seq` lies in. A piece that becomes full gives
 * its bits back, which is what keeps a long set small. */
static int add_bits(struct lv_seqs *seqs, uint64_t seq, uint64_t bits)
{
    uint64_t end = seq / 64 * 64 + 64 - (uint64_t)__builtin_clzll(bits);
    uint64_t **piece;

    assert(seq > seqs->low);
    assert(bits != 0);
    if (grow(seqs, seq) < 0)
        return -LV_E_NOMEM;
    piece = slot(seqs, seq);
    if (*piece == FULL)
        return 0;
    if (*piece == NULL) {
        *piece = lv_calloc(WORDS, sizeof(uint64_t));
        if (*piece == NULL)
            return -LV_E_NOMEM;
        seqs->memory_size += LV_SEQS_PIECE / 8;
    }
    (*piece)[seq % LV_SEQS_PIECE / 64] |= bits;
    if (end > seqs->top)
        seqs->top = end;
    if ((*piece)[seq % LV_SEQS_PIECE / 64] != UINT64_MAX)
        return 0;
    for (uint32_t i = 0; i < WORDS; i++)
        if ((*piece)[i] != UINT64_MAX)
            return 0;
    free_piece(seqs, piece);
    *piece = FULL;
    return 0;
}

int lv_seqs_add_above(struct lv_seqs *seqs, uint64_t seq)
{
    assert(seq > seqs->low);
    return add_bits(seqs, seq, UINT64_C(1) << seq % 64);
}

/* Only the word that low lies in may move it. */
int lv_seqs_add_word(struct lv_seqs *seqs, uint64_t seq, uint64_t bits)
{
    assert(seq % 64 == 0);
    if (bits == 0 || seq + 64 <= seqs->low)
        return 0;
    if (seq > seqs->low)
        return add_bits(seqs, seq, bits);
    for (uint64_t i = 0; i < 64; i++)
        if ((bits >> i & 1) != 0 && lv_seqs_add(seqs, seq + i) < 0)
            return -LV_E_NOMEM;
    return 0;
}

/* What low has passed may be in no piece any more. */
uint64_t lv_seqs_word(const struct lv_seqs *seqs, uint64_t seq)
{
    const uint64_t *piece = seqs->capacity == 0 || seq >= seqs->top ? NULL : *slot(seqs, seq);
    uint64_t bits = piece == NULL   ? 0
                    : piece == FULL ? UINT64_MAX
                                    : piece[seq % LV_SEQS_PIECE / 64];

    assert(seq % 64 == 0);
    if (seq + 64 <= seqs->low)
        return UINT64_MAX;
    return seq < seqs->low ? bits | ((UINT64_C(1) << (seqs->low - seq)) - 1) : bits;
}

/* What is not below low is looked up in its piece. */
bool lv_seqs_has_above(const struct lv_seqs *seqs, uint64_t seq)
{
    const uint64_t *piece;

    assert(seq >= seqs->low);
    assert(seq < seqs->top);
    if (seqs->capacity == 0)
        return false;
    piece = *slot(seqs, seq);
    if (piece == NULL || piece == FULL)
        return piece == FULL;
    return (piece[seq % LV_SEQS_PIECE / 64] >> (seq % 64) & 1) != 0;
}

/* The first number from `seq` on that is (not) in the set, or `top`. */
static uint64_t seek(const struct lv_seqs *seqs, uint64_t seq, bool in)
{
    assert(seq >= seqs->low);
    while (seq < seqs->top) {
        const uint64_t *piece = *slot(seqs, seq);
        uint64_t word;

        if (piece == NULL || piece == FULL) {
            if ((piece == FULL) == in)
                return seq;
            seq = (seq / LV_SEQS_PIECE + 1) * LV_SEQS_PIECE;
            continue;
        }
        word = piece[seq % LV_SEQS_PIECE / 64];
        word = (in ? word : ~word) >> (seq % 64);
        if (word != 0)
            return seq + (uint64_t)__builtin_ctzll(word);
        seq = (seq / 64 + 1) * 64;
    }
    return seqs->top;
}

/* Pieces behind low are given back as it passes them. */
void lv_seqs_advance(struct lv_seqs *seqs)
{
    uint64_t before = seqs->low;

    assert(before > 0);
    if (seqs->capacity == 0)
        return;
    seqs->low = seek(seqs, seqs->low, false);
    if (seqs->low > seqs->top)
        seqs->low = seqs->top;
    for (uint64_t seq = (before - 1) / LV_SEQS_PIECE * LV_SEQS_PIECE;
         seq + LV_SEQS_PIECE <= seqs->low; seq += LV_SEQS_PIECE)
        free_piece(seqs, slot(seqs, seq));
    if (seqs->low < seqs->top)
        return;
    if (seqs->low % LV_SEQS_PIECE != 0)
        free_piece(seqs, slot(seqs, seqs->low));
    drop_ring(seqs);
}

/* Whatever was known of the numbers below is all the same now. */
void lv_seqs_raise(struct lv_seqs *seqs, uint64_t low)
{
    uint64_t end = low < seqs->top ? low : seqs->top;

    assert(seqs->low <= seqs->top);
    if (low <= seqs->low)
        return;
    for (uint64_t seq = seqs->low / LV_SEQS_PIECE * LV_SEQS_PIECE; seqs->capacity > 0 && seq < end;
         seq += LV_SEQS_PIECE)
        if (seq + LV_SEQS_PIECE <= low || low >= seqs->top)
            free_piece(seqs, slot(seqs, seq));
    seqs->low = low;
    if (low >= seqs->top) {
        seqs->top = low;
        drop_ring(seqs);
    } else if (lv_seqs_has_above(seqs, low)) {
        lv_seqs_advance(seqs);
    }
}

/* Ranges are maximal: where one ends a number is missing. */
bool lv_seqs_next(const struct lv_seqs *seqs, uint64_t from, uint64_t *ret_from, uint64_t *ret_to)
{
    uint64_t first;

    assert(ret_from != NULL);
    assert(ret_to != NULL);
    if (from < seqs->low)
        from = seqs->low;
    if (seqs->capacity == 0 || from >= seqs->top)
        return false;
    first = seek(seqs, from, true);
    if (first >= seqs->top)
        return false;
    *ret_from = first;
    *ret_to = seek(seqs, first, false) - 1;
    if (*ret_to >= seqs->top)
        *ret_to = seqs->top - 1;
    return true;
}

/* By ranges, so a long set costs what its gaps do. */
uint64_t lv_seqs_count(const struct lv_seqs *seqs, uint64_t from, uint64_t to)
{
    uint64_t count = 0, first, last;

    assert(from <= to);
    if (from < seqs->low) {
        count = (to < seqs->low ? to + 1 : seqs->low) - from;
        from = seqs->low;
    }
    for (; from <= to && lv_seqs_next(seqs, from, &first, &last) && first <= to; from = last + 1)
        count += (last > to ? to : last) - first + 1;
    return count;
}

/* All numbers of one piece, without memory for their bits. */
static int fill_piece(struct lv_seqs *seqs, uint64_t first)
{
    uint64_t **piece;

    assert(first % LV_SEQS_PIECE == 0);
    assert(first > seqs->low);
    if (grow(seqs, first) < 0)
        return -LV_E_NOMEM;
    piece = slot(seqs, first);
    free_piece(seqs, piece);
    *piece = FULL;
    if (first + LV_SEQS_PIECE > seqs->top)
        seqs->top = first + LV_SEQS_PIECE;
    return 0;
}

/* What begins at low moves it; the rest goes piece by piece, and number by number at its ends. */
int lv_seqs_add_range(struct lv_seqs *seqs, uint64_t from, uint64_t to, uint64_t *ret_added)
{
    assert(from <= to);
    assert(to < UINT64_MAX);
    *ret_added = to - from + 1 - lv_seqs_count(seqs, from, to);
    if (to < seqs->low)
        return 0;
    if (from <= seqs->low) {
        lv_seqs_raise(seqs, to + 1);
        return 0;
    }
    while (from <= to) {
        bool is_whole = from % LV_SEQS_PIECE == 0 && to - from >= LV_SEQS_PIECE - 1;

        if ((is_whole ? fill_piece(seqs, from) : lv_seqs_add_above(seqs, from)) < 0)
            return -LV_E_NOMEM;
        from += is_whole ? LV_SEQS_PIECE : 1;
    }
    return 0;
}
