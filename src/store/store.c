#include "store/store.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/list.h"
#include "store/slots.h"

/*
 * The volatile log.
 *
 * An LSN is a page number and an offset in that page: number * LV_PAGE_SIZE + offset. A page is one
 * piece of memory: its head, a map of what is alive in it, then records, each a prefix and the
 * message's bytes, at multiples of a granule. Appending moves one offset. Releasing clears one bit
 * and takes from two counts, without touching the record, which nobody may have in the cache.
 *
 * Numbers are never used twice, so a stale reference meets an assert and not somebody else's
 * message. LSNs name messages and do not order them: a jumbo goes past the page being written.
 *
 * The life of a page:
 *
 *   open --full--> closed --dead--> free (a few), or back to the allocator
 *    |  ^            |
 *    +--+ dead: the  +--sparse for long--> squeezed --half of it dies--> squeezed again
 *    same memory under the next number
 */

#define GRANULE_SIZE   32u
#define ALIVE_COUNT    (LV_PAGE_SIZE / GRANULE_SIZE)
#define PAGE_ALIGNMENT 4096u
#define FREE_COUNT_MAX 8u
#define MOVED_IS_DEAD  UINT32_MAX

/* A full page of which less than this is alive, padding included, is sparse: worth squeezing. */
#define SPARSE_BELOW (LV_PAGE_SIZE / 8)
/* So many sparse pages wait before the first of them is squeezed. A page whose messages are taken
 * one after the other becomes sparse too, but will be dead before its turn comes. */
#define SPARSE_COUNT_MAX 8u
/* When the page being written is dead and this much of it is used, writing starts over at its
 * beginning: a stream that is consumed at once stays in the CPU's cache. */
#define REWIND_ABOVE (LV_PAGE_SIZE / 8)

/* In front of every message. */
struct prefix {
    uint32_t size;
    uint32_t holders;
};

enum page_kind {
    PAGE_OPEN,     /* the one being written */
    PAGE_CLOSED,   /* full */
    PAGE_JUMBO,    /* holds one record that is larger than a page */
    PAGE_SQUEEZED, /* holds copies of the few records that were left */
};

struct lv_page {
    struct lv_store *store; /* view */
    struct lv_link link;    /*       in the store's `sparse` or `free` */
    uint64_t number;
    size_t memory_size;   /*       of this very block */
    uint64_t live_size;   /*       of the records alive, with prefix and padding */
    uint64_t low_mark;    /*       with less alive than this there is something to do */
    uint32_t live_count;  /*       records alive */
    uint32_t pin_count;   /*       while there are any, nothing here moves or goes */
    uint32_t moved_count; /*       entries in a squeezed page's table */
    enum page_kind kind;
};

/* How the memory goes on behind the head. Open and closed pages: */
struct plain_page {
    struct lv_page head;
    uint64_t alive[ALIVE_COUNT / 64]; /* a bit for each granule: a living record starts there */
    _Alignas(GRANULE_SIZE) uint8_t records[];
};

struct jumbo_page {
    struct lv_page head;
    _Alignas(GRANULE_SIZE) struct prefix record;
};

struct moved {
    uint32_t granule;  /* where the record lay; the table is sorted by it */
    uint32_t position; /* where it lies now, from the page's beginning, or MOVED_IS_DEAD */
};

struct squeezed_page {
    struct lv_page head;
    struct moved moved[]; /* moved_count of them; then the records */
};

#define RECORDS_OFFSET  ((uint32_t)offsetof(struct plain_page, records))
#define RECORD_SIZE_MAX (LV_PAGE_SIZE - RECORDS_OFFSET)

struct lv_store {
    struct lv_page *open;  /* view  the page being written; NULL at first */
    uint32_t used;         /*       offset of the next record in it */
    uint32_t limit;        /*       where appending has to stop and think, >= used */
    uint64_t next_number;  /*       of the next new page */
    struct lv_slots slots; /*     by number; every page but the free ones */
    struct lv_list sparse; /*      closed pages with little left alive, longest sparse first */
    struct lv_list free;   /* own   a few dead pages, the warmest first; their `alive` is clear */
    uint32_t sparse_count;
    uint32_t free_count;
    uint64_t live_count;
    uint64_t live_size;
    uint64_t pages_size; /*       memory of all pages, free ones too */
};

/* ---- records ---- */

/* What a message takes in a page. */
static inline uint64_t record_size(uint32_t size)
{
    return ((uint64_t)size + sizeof(struct prefix) + GRANULE_SIZE - 1) &
           ~(uint64_t)(GRANULE_SIZE - 1);
}

/* What it takes in a squeezed page, where granules have no meaning any more. */
static inline uint32_t packed_size(uint32_t size)
{
    return (size + (uint32_t)sizeof(struct prefix) + 7u) & ~7u;
}

static inline struct prefix *prefix_at(struct lv_page *page, size_t offset)
{
    return (struct prefix *)(void *)((uint8_t *)page + offset);
}

/* The reference points behind the prefix. */
static inline uint32_t offset_of(uint64_t lsn)
{
    return (uint32_t)(lsn & (LV_PAGE_SIZE - 1)) - (uint32_t)sizeof(struct prefix);
}

/* The map of an open or closed page. */
static inline struct plain_page *plain(struct lv_page *page)
{
    assert(page->kind <= PAGE_CLOSED);
    return lv_container(page, struct plain_page, head);
}

/* The table of a squeezed page. */
static inline struct squeezed_page *squeezed(struct lv_page *page)
{
    assert(page->kind == PAGE_SQUEEZED);
    return lv_container(page, struct squeezed_page, head);
}

/* A binary search: pages are squeezed because they are hardly looked at. */
static struct moved *find_moved(struct lv_page *page, uint32_t granule)
{
    struct moved *table = squeezed(page)->moved;
    uint32_t low = 0;
    uint32_t high = page->moved_count;

    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (table[middle].granule <= granule)
            low = middle;
        else
            high = middle;
    }
    assert(table[low].granule == granule);
    assert(table[low].position != MOVED_IS_DEAD);
    return &table[low];
}

/* Where the record lies now. Only squeezing moves one. */
static inline struct prefix *find_record(struct lv_page *page, uint64_t lsn)
{
    uint32_t offset = offset_of(lsn);

    if (LV_LIKELY(page->kind != PAGE_SQUEEZED))
        return prefix_at(page, offset);
    return prefix_at(page, find_moved(page, offset / GRANULE_SIZE)->position);
}

/* Sets the record's bit in the map. */
static inline void mark_alive(struct lv_page *page, uint32_t offset)
{
    uint32_t granule = offset / GRANULE_SIZE;
    uint64_t *word = &plain(page)->alive[granule / 64];

    *word |= (uint64_t)1 << (granule % 64);
}

/* Without a look at the record. A jumbo page has no map: its one record dies with it. */
static inline void mark_dead(struct lv_page *page, uint32_t offset)
{
    uint32_t granule = offset / GRANULE_SIZE;

    if (LV_LIKELY(page->kind <= PAGE_CLOSED)) {
        uint64_t *word = &plain(page)->alive[granule / 64];
        uint64_t bit = (uint64_t)1 << (granule % 64);
        assert((*word & bit) != 0); /* released once too often? */
        *word &= ~bit;
    } else if (page->kind == PAGE_SQUEEZED) {
        find_moved(page, granule)->position = MOVED_IS_DEAD;
    }
}

/* Walks the living records of a closed or squeezed page; start with *cursor = 0. */
static struct prefix *next_alive(struct lv_page *page, uint32_t *cursor, uint32_t *ret_granule)
{
    while (page->kind == PAGE_CLOSED && *cursor < ALIVE_COUNT) {
        uint64_t word = plain(page)->alive[*cursor / 64] >> (*cursor % 64);
        if (word != 0) {
            *ret_granule = *cursor + (uint32_t)__builtin_ctzll(word);
            *cursor = *ret_granule + 1;
            return prefix_at(page, (size_t)*ret_granule * GRANULE_SIZE);
        }
        *cursor = (*cursor / 64 + 1) * 64;
    }
    while (page->kind == PAGE_SQUEEZED && *cursor < page->moved_count) {
        const struct moved *moved = &squeezed(page)->moved[(*cursor)++];
        if (moved->position != MOVED_IS_DEAD) {
            *ret_granule = moved->granule;
            return prefix_at(page, moved->position);
        }
    }
    return NULL;
}

/* The page that a living reference points into. */
static inline struct lv_page *find_page(const struct lv_store *store, uint64_t lsn)
{
    struct lv_page *page = lv_slots_get(&store->slots, lsn / LV_PAGE_SIZE);

    assert(page != NULL); /* a reference to something long dead? */
    return page;
}

/* ---- the life of a page ---- */

static void page_init(struct lv_store *store, struct lv_page *page, enum page_kind kind,
                      size_t memory_size)
{
    *page =
        (struct lv_page){.store = store, .memory_size = memory_size, .low_mark = 1, .kind = kind};
}

/* Its memory is not zeroed behind the head. NULL: out of memory. */
static struct lv_page *page_new(struct lv_store *store, enum page_kind kind, size_t memory_size)
{
    struct lv_page *page = kind == PAGE_SQUEEZED ? lv_alloc(memory_size)
                                                 : lv_alloc_aligned(PAGE_ALIGNMENT, memory_size);
    if (page == NULL)
        return NULL;
    page_init(store, page, kind, memory_size);
    store->pages_size += memory_size;
    return page;
}

/* Takes a page that is in no slot any more. */
static void page_free(struct lv_store *store, struct lv_page *page)
{
    assert(page->pin_count == 0);
    assert(store->pages_size >= page->memory_size);
    store->pages_size -= page->memory_size;
    lv_free(page);
}

/* An empty open page, in no slot yet. */
static struct lv_page *take_plain(struct lv_store *store)
{
    struct lv_link *link = lv_list_pop_front(&store->free);
    struct lv_page *page;

    if (link != NULL) {
        assert(store->free_count > 0);
        store->free_count--;
        page = lv_container(link, struct lv_page, link);
        page_init(store, page, PAGE_OPEN, LV_PAGE_SIZE);
        return page;
    }
    page = page_new(store, PAGE_OPEN, LV_PAGE_SIZE);
    if (page != NULL)
        memset(plain(page)->alive, 0, sizeof plain(page)->alive);
    return page;
}

/* Takes the memory of a closed page, with `alive` all clear, that is in no slot any more. */
static void give_plain(struct lv_store *store, struct lv_page *page)
{
    assert(page->kind == PAGE_CLOSED);
    assert(page->pin_count == 0);
    if (store->free_count >= FREE_COUNT_MAX) {
        page_free(store, page);
        return;
    }
    lv_list_push_front(&store->free, &page->link);
    store->free_count++;
}

/* The page waits for being squeezed, last in the row. */
static void sparse_add(struct lv_store *store, struct lv_page *page)
{
    assert(page->kind == PAGE_CLOSED);
    lv_list_push_back(&store->sparse, &page->link);
    store->sparse_count++;
    page->low_mark = 1; /* while it waits only its death matters */
}

/* Nothing happens to a page that isn't waiting. */
static void sparse_remove(struct lv_store *store, struct lv_page *page)
{
    assert(page->kind == PAGE_CLOSED);
    if (!lv_link_is_linked(&page->link))
        return;
    lv_link_remove(&page->link);
    store->sparse_count--;
    page->low_mark = SPARSE_BELOW;
}

/* Bytes of a squeezed page for what is alive in `page`. */
static size_t squeezed_size(struct lv_page *page)
{
    size_t size = sizeof(struct squeezed_page) + page->live_count * sizeof(struct moved);
    const struct prefix *record;
    uint32_t cursor = 0;
    uint32_t granule;

    while ((record = next_alive(page, &cursor, &granule)) != NULL)
        size += packed_size(record->size);
    return size;
}

/* Copies what is alive in `from`. */
static void squeeze_into(struct lv_page *to, struct lv_page *from)
{
    uint32_t position = (uint32_t)(sizeof *to + from->live_count * sizeof(struct moved));
    struct moved *moved = squeezed(to)->moved;
    const struct prefix *record;
    uint32_t cursor = 0;
    uint32_t granule;

    while ((record = next_alive(from, &cursor, &granule)) != NULL) {
        *moved++ = (struct moved){.granule = granule, .position = position};
        memcpy(prefix_at(to, position), record, sizeof *record + record->size);
        position += packed_size(record->size);
    }
    assert(moved == squeezed(to)->moved + from->live_count);
    assert(position == to->memory_size);
    to->number = from->number;
    to->moved_count = to->live_count = from->live_count;
    to->live_size = from->live_size;
    /* Half of it has to die before it is copied again, so all copies together are no larger than
     * twice the first. */
    to->low_mark = from->live_size / 2;
}

/* Replaces a page by copies of what is alive in it. Out of memory is no harm, it just stays. */
static void squeeze(struct lv_store *store, struct lv_page *page)
{
    struct lv_page *to;

    assert(page->pin_count == 0);
    assert(page->live_count > 0);
    to = page_new(store, PAGE_SQUEEZED, squeezed_size(page));
    if (to == NULL)
        return;
    squeeze_into(to, page);
    lv_slots_find(&store->slots, page->number)->page = to;
    if (page->kind == PAGE_CLOSED) {
        memset(plain(page)->alive, 0, sizeof plain(page)->alive);
        give_plain(store, page);
    } else {
        page_free(store, page);
    }
}

/* A closed page has become sparse: it waits, and the one that waits longest may have to go. */
static void queue_sparse(struct lv_store *store, struct lv_page *page)
{
    struct lv_page *oldest;

    sparse_add(store, page);
    if (store->sparse_count <= SPARSE_COUNT_MAX)
        return;
    oldest = lv_container(lv_list_first(&store->sparse), struct lv_page, link);
    sparse_remove(store, oldest);
    if (oldest->pin_count == 0) /* else it comes back with the last unpin */
        squeeze(store, oldest);
}

/* Nothing is alive in the page any more. */
static void bury(struct lv_store *store, struct lv_page *page)
{
    assert(page->live_size == 0);
    switch (page->kind) {
    case PAGE_OPEN:
        if (store->used > RECORDS_OFFSET + REWIND_ABOVE)
            store->limit = store->used; /* the next append starts it over */
        return;
    case PAGE_CLOSED:
        sparse_remove(store, page);
        lv_slots_remove(&store->slots, page->number);
        give_plain(store, page);
        return;
    case PAGE_JUMBO:
    case PAGE_SQUEEZED:
        lv_slots_remove(&store->slots, page->number);
        page_free(store, page);
        return;
    }
    LV_IMPOSSIBLE("a page of no kind");
}

/* Less is alive in the page than its low mark. */
static void settle(struct lv_store *store, struct lv_page *page)
{
    assert(page->live_size < page->low_mark);
    if (page->pin_count > 0)
        return; /* the last unpin asks again */
    if (page->live_count == 0)
        bury(store, page);
    else if (page->kind == PAGE_CLOSED)
        queue_sparse(store, page);
    else
        squeeze(store, page);
}

/* ---- appending ---- */

/* Appending goes on at the beginning of this page, under a number that was never used. */
static void start_page(struct lv_store *store, struct lv_page *page)
{
    assert(page->kind == PAGE_OPEN);
    assert(page->live_count == 0);
    page->number = store->next_number++;
    lv_slots_put(&store->slots, page->number, page);
    store->open = page;
    store->used = RECORDS_OFFSET;
    store->limit = LV_PAGE_SIZE;
}

/* Nothing is appended to it any more; it may have died, or nearly, while it was open. */
static void close_page(struct lv_store *store, struct lv_page *page)
{
    assert(page->kind == PAGE_OPEN);
    page->kind = PAGE_CLOSED;
    page->low_mark = SPARSE_BELOW;
    if (page->live_size < page->low_mark)
        settle(store, page);
}

/* Gives an open page with all of its room. */
static int turn_page(struct lv_store *store)
{
    struct lv_page *old = store->open;
    struct lv_page *page;
    int rc;

    if (old != NULL && old->live_count == 0 && old->pin_count == 0) {
        lv_slots_remove(&store->slots, old->number);
        start_page(store, old); /* the same memory under the next number */
        return 0;
    }
    rc = lv_slots_reserve(&store->slots);
    if (rc < 0)
        return rc;
    page = take_plain(store);
    if (page == NULL)
        return -LV_E_NOMEM;
    start_page(store, page);
    if (old != NULL)
        close_page(store, old);
    return 0;
}

/* A page for one record that is too large for any other; it takes the numbers of all it covers. */
static struct lv_page *jumbo_new(struct lv_store *store, uint32_t size)
{
    size_t need = sizeof(struct jumbo_page) + size;
    struct lv_page *page;

    if (lv_slots_reserve(&store->slots) < 0)
        return NULL;
    need = (need + PAGE_ALIGNMENT - 1) & ~(size_t)(PAGE_ALIGNMENT - 1);
    page = page_new(store, PAGE_JUMBO, need);
    if (page == NULL)
        return NULL;
    page->number = store->next_number;
    store->next_number += (need + LV_PAGE_SIZE - 1) / LV_PAGE_SIZE;
    lv_slots_put(&store->slots, page->number, page);
    return page;
}

/* Counts a new record and fills in what the caller of append gets. */
static inline void add_record(struct lv_page *page, uint32_t offset, uint32_t size,
                              struct lv_ref *ret_ref, void **ret_data)
{
    struct lv_store *store = page->store;
    struct prefix *record = prefix_at(page, offset);

    *record = (struct prefix){.size = size, .holders = 1};
    page->live_count++;
    page->live_size += record_size(size);
    store->live_count++;
    store->live_size += size;
    *ret_data = record + 1;
    *ret_ref =
        (struct lv_ref){.lsn = page->number * LV_PAGE_SIZE + offset + sizeof *record, .size = size};
}

/* The open page stays as it is: the next small message goes on in it. */
static int append_jumbo(struct lv_store *store, uint32_t size, struct lv_ref *ret_ref,
                        void **ret_data)
{
    struct lv_page *page = jumbo_new(store, size);

    if (page == NULL)
        return -LV_E_NOMEM;
    assert(page->live_count == 0);
    add_record(page, offsetof(struct jumbo_page, record), size, ret_ref, ret_data);
    return 0;
}

int lv_store_append(struct lv_store *store, uint32_t size, struct lv_ref *ret_ref, void **ret_data)
{
    uint64_t need = record_size(size);

    assert(store->used <= store->limit);
    /* One test for all that is rare: first page, full page, dead page, jumbo. */
    if (LV_UNLIKELY(need > store->limit - store->used)) {
        int rc;
        if (need > RECORD_SIZE_MAX)
            return append_jumbo(store, size, ret_ref, ret_data);
        rc = turn_page(store);
        if (rc < 0)
            return rc;
    }
    mark_alive(store->open, store->used);
    add_record(store->open, store->used, size, ret_ref, ret_data);
    store->used += (uint32_t)need;
    return 0;
}

/* ---- holding and letting go ---- */

const void *lv_store_view(struct lv_store *store, struct lv_ref ref)
{
    const struct prefix *record = find_record(find_page(store, ref.lsn), ref.lsn);

    assert(record->size == ref.size);
    return record + 1;
}

void lv_store_share(struct lv_store *store, struct lv_ref *ref, uint32_t extra)
{
    struct prefix *record = find_record(find_page(store, ref->lsn), ref->lsn);

    assert(record->size == ref->size);
    assert((ref->flags & LV_REF_SHARED) != 0 || record->holders == 1);
    assert(extra <= UINT32_MAX - record->holders);
    record->holders += extra;
    ref->flags |= LV_REF_SHARED;
}

void lv_store_release(struct lv_store *store, struct lv_ref ref)
{
    struct lv_page *page = find_page(store, ref.lsn);

    if ((ref.flags & LV_REF_SHARED) != 0) { /* only then is the record itself needed */
        struct prefix *record = find_record(page, ref.lsn);
        assert(record->holders > 0);
        if (--record->holders > 0)
            return;
    }
    mark_dead(page, offset_of(ref.lsn));
    assert(page->live_count > 0);
    assert(page->live_size >= record_size(ref.size));
    page->live_count--;
    page->live_size -= record_size(ref.size);
    store->live_count--;
    store->live_size -= ref.size;
    /* One test for all that may follow: the page is dead, sparse, or can be squeezed again. */
    if (LV_UNLIKELY(page->live_size < page->low_mark))
        settle(store, page);
}

struct lv_page *lv_store_pin(struct lv_store *store, struct lv_ref ref)
{
    struct lv_page *page = find_page(store, ref.lsn);

    assert(page->live_count > 0);
    page->pin_count++;
    return page;
}

void lv_store_unpin(void *pinned)
{
    struct lv_page *page = pinned;

    assert(page->pin_count > 0);
    page->pin_count--;
    if (page->pin_count == 0 && page->live_size < page->low_mark)
        settle(page->store, page);
}

/* ---- the store ---- */

struct lv_store *lv_store_new(void)
{
    struct lv_store *store = lv_calloc(1, sizeof *store);

    static_assert(sizeof(struct lv_ref) == 16, "a queued message is 16 bytes");
    if (store == NULL)
        return NULL;
    if (lv_slots_init(&store->slots) < 0) {
        lv_free(store);
        return NULL;
    }
    lv_list_init(&store->sparse);
    lv_list_init(&store->free);
    return store;
}

void lv_store_free(struct lv_store *store)
{
    if (store == NULL)
        return;
    for (uint32_t i = 0; i < lv_slots_capacity(&store->slots); i++) {
        if (store->slots.slots[i].page != NULL)
            page_free(store, store->slots.slots[i].page);
    }
    LV_LIST_EACH(&store->free, link)
    page_free(store, lv_container(link, struct lv_page, link));
    assert(store->pages_size == 0);
    lv_slots_fini(&store->slots);
    lv_free(store);
}

void lv_store_stats(const struct lv_store *store, struct lv_store_stats *ret_stats)
{
    assert(ret_stats != NULL);
    *ret_stats = (struct lv_store_stats){
        .live_count = store->live_count,
        .live_size = store->live_size,
        .memory_size = store->pages_size + sizeof *store +
                       lv_slots_capacity(&store->slots) * sizeof(struct lv_slot),
        .spare_size = (uint64_t)store->free_count * LV_PAGE_SIZE,
        .page_count = store->slots.count,
    };
}
