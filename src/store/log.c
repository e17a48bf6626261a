#include "store/log.h"

#include "base/alloc.h"
#include "base/err.h"
#include "store/logfile.h"
#include "store/store.h"

/*
 * The window is a row of regions in the order of their LSNs. A region is one piece of memory for
 * one page, or for as many pages as a large record needs. Its bytes lie in memory as they lie in
 * the file. Which region has an LSN is found by the number of the page, in a ring of pointers.
 */

#define ALIGNMENT  4096u
#define SPARE_MAX  16u /* free pages that are kept for the next ones: those of one file */
#define RING_MIN   64u /* pointers */
#define FILE_PAGES (LV_LOG_FILE_SIZE / LV_PAGE_SIZE)

struct lv_region {
    struct lv_region *next; /* own   newer */
    struct lv_log *log;     /* view  NULL: only pins keep it */
    uint8_t *data;          /* own */
    uint64_t lsn;           /*       a multiple of LV_PAGE_SIZE */
    uint64_t size;          /*       bytes, a multiple of LV_PAGE_SIZE */
    uint64_t first;         /*       offset of the first block */
    uint64_t used;          /*       offset behind the last record */
    uint64_t sealed;        /*       offset behind the last block */
    uint64_t handed;        /*       offset behind what the writer was given */
    uint64_t live;          /*       holders of messages in it */
    uint64_t file_size;     /*       of the file it is part of */
    uint64_t seed;          /*       of that file */
    uint32_t pin_count;
    bool is_closed; /* nothing is appended any more */
};

struct lv_log {
    struct lv_region *oldest;  /* own */
    struct lv_region *newest;  /* view  the one that is written; NULL before the first record */
    struct lv_region *writing; /* view  the first that may have bytes for the writer */
    struct lv_region **ring;   /* own   by page number; NULL: not in the window */
    uint64_t ring_size;        /*       a power of two */
    uint8_t *spare[SPARE_MAX]; /* own   memory of single pages */
    uint32_t spare_count;
    uint32_t shard;
    uint64_t block;        /* offset of the open block in `newest`, if it has records */
    uint64_t last_payload; /* LSN of the last record's payload; 0: none, or it is sealed */
    uint32_t block_count;  /* records in it; 0: none is open */
    uint64_t next_number;  /* of the next new file */
    uint64_t start;        /* LSN at which this run began */
    uint64_t synced;
    uint64_t sealed_end; /* LSN behind the last block */
    bool vouches;        /* blocks say what is synced */
    uint64_t memory_size;
    struct lv_random random; /* seeds of files */
};

static inline uint64_t page_of(uint64_t lsn)
{
    return lsn / LV_PAGE_SIZE;
}

static inline uint64_t file_of(uint64_t lsn)
{
    return lsn / LV_LOG_FILE_SIZE;
}

/* Where the ring has the page's region, or NULL. */
static struct lv_region **slot(const struct lv_log *log, uint64_t page)
{
    assert(log->ring_size > 0);
    return &log->ring[page & (log->ring_size - 1)];
}

/* NULL when the window does not have it. */
static inline struct lv_region *find(const struct lv_log *log, uint64_t lsn)
{
    struct lv_region *region = log->ring_size == 0 ? NULL : *slot(log, page_of(lsn));

    if (LV_UNLIKELY(region == NULL || lsn - region->lsn >= region->size))
        return NULL; /* unsigned: below its beginning as well */
    return region;
}

/* ---- regions ---- */

/* Pages of one size mostly, so the spare ones serve. */
static uint8_t *take_memory(struct lv_log *log, uint64_t size)
{
    uint8_t *data;

    assert(size % LV_PAGE_SIZE == 0);
    if (size == LV_PAGE_SIZE && log->spare_count > 0)
        return log->spare[--log->spare_count];
    data = lv_alloc_aligned(ALIGNMENT, size);
    if (data != NULL)
        log->memory_size += size;
    return data;
}

/* The window moves at the speed of the log: what leaves it is what comes next. */
static void give_memory(struct lv_log *log, uint8_t *data, uint64_t size)
{
    assert(log->memory_size >= size);
    if (size == LV_PAGE_SIZE && log->spare_count < SPARE_MAX) {
        log->spare[log->spare_count++] = data;
        return;
    }
    log->memory_size -= size;
    lv_free(data);
}

/* A ring in which all pages from the oldest to `last` have a pointer of their own. */
static int grow_ring(struct lv_log *log, uint64_t last)
{
    uint64_t first = log->oldest == NULL ? last : page_of(log->oldest->lsn);
    uint64_t size = log->ring_size == 0 ? RING_MIN : log->ring_size;
    struct lv_region **ring;

    assert(last >= first);
    while (last - first >= size)
        size *= 2;
    if (size == log->ring_size)
        return 0;
    ring = lv_calloc(size, sizeof(struct lv_region *));
    if (ring == NULL)
        return -LV_E_NOMEM;
    for (struct lv_region *region = log->oldest; region != NULL; region = region->next)
        for (uint64_t lsn = region->lsn; lsn < region->lsn + region->size; lsn += LV_PAGE_SIZE)
            ring[page_of(lsn) & (size - 1)] = region;
    lv_free(log->ring);
    log->memory_size += (size - log->ring_size) * sizeof(struct lv_region *);
    log->ring = ring;
    log->ring_size = size;
    return 0;
}

/* Behind all others. The file's beginning is its head's, which the writer makes. */
static struct lv_region *add_region(struct lv_log *log, uint64_t lsn, uint64_t size)
{
    struct lv_region *region = NULL;
    uint8_t *data = NULL;

    assert(lsn % LV_PAGE_SIZE == 0);
    if (grow_ring(log, page_of(lsn + size - 1)) < 0)
        return NULL;
    region = lv_calloc(1, sizeof *region);
    if (region != NULL)
        data = take_memory(log, size);
    if (data == NULL) {
        lv_free(region);
        return NULL;
    }
    region->log = log;
    region->data = data;
    region->lsn = lsn;
    region->size = size;
    region->first = lsn % LV_LOG_FILE_SIZE == 0 ? LV_LOG_HEAD_SIZE : 0;
    region->used = region->sealed = region->handed = region->first;
    for (uint64_t at = lsn; at < lsn + size; at += LV_PAGE_SIZE)
        *slot(log, page_of(at)) = region;
    if (log->newest == NULL)
        log->oldest = region;
    else
        log->newest->next = region;
    log->newest = region;
    if (log->writing == NULL)
        log->writing = region;
    return region;
}

/* By the log, or by the last who had pinned it. */
static void free_region(struct lv_region *region)
{
    assert(region->pin_count == 0);
    if (region->log != NULL)
        give_memory(region->log, region->data, region->size);
    else
        lv_free(region->data);
    lv_free(region);
}

/* ---- appending ---- */

static uint64_t pages_for(uint64_t size)
{
    assert(size > 0);
    return (size + LV_PAGE_SIZE - 1) / LV_PAGE_SIZE;
}

/* Where the next region begins, how many pages it has and how long its file is. It has no more
 * pages than its first record needs: so no other block crosses from one page into the next, and
 * a region of many pages looks alike when it is read again. */
static uint64_t next_place(const struct lv_log *log, uint64_t need, uint64_t *ret_pages,
                           uint64_t *ret_file_size)
{
    const struct lv_region *last = log->newest;

    *ret_pages = pages_for(need);
    if (last != NULL && !last->is_closed && file_of(last->lsn) + 1 == log->next_number) {
        uint64_t lsn = last->lsn + last->size;
        if (lsn + *ret_pages * LV_PAGE_SIZE <= log->next_number * LV_LOG_FILE_SIZE) {
            *ret_file_size = last->file_size;
            return lsn;
        }
    }
    *ret_pages = pages_for(need + LV_LOG_HEAD_SIZE);
    *ret_file_size = *ret_pages > FILE_PAGES ? *ret_pages * LV_PAGE_SIZE : LV_LOG_FILE_SIZE;
    return log->next_number * LV_LOG_FILE_SIZE;
}

/* A region in which `need` bytes can be appended. */
static int turn_region(struct lv_log *log, uint64_t need)
{
    const struct lv_region *before = log->newest;
    uint64_t pages, file_size;
    uint64_t lsn = next_place(log, need, &pages, &file_size);
    bool new_file = lsn % LV_LOG_FILE_SIZE == 0;
    struct lv_region *region;

    assert(before == NULL || lsn >= before->lsn + before->size);
    assert(before != NULL || new_file);
    lv_log_seal(log);
    region = add_region(log, lsn, pages * LV_PAGE_SIZE);
    if (region == NULL)
        return -LV_E_NOMEM;
    region->file_size = file_size;
    region->seed = new_file ? lv_random_next(&log->random) : before->seed;
    if (new_file)
        log->next_number = file_of(lsn + file_size - 1) + 1;
    return 0;
}

/* One offset moves; once a page, a region is made. */
int lv_log_append(struct lv_log *log, enum lv_record_kind kind, uint16_t count,
                  uint64_t payload_size, uint64_t *ret_lsn, void **ret_payload)
{
    uint64_t need = lv_record_size(payload_size);
    struct lv_region *region = log->newest;
    struct lv_record_head head = {
        .size = (uint32_t)payload_size, .kind = (uint8_t)kind, .count = count};
    uint8_t *p;

    assert(payload_size <= UINT32_MAX - LV_PAGE_SIZE);
    if (LV_UNLIKELY(region == NULL || region->is_closed ||
                    need + sizeof(struct lv_block_head) > region->size - region->used)) {
        if (turn_region(log, need + sizeof(struct lv_block_head)) < 0)
            return -LV_E_NOMEM;
        region = log->newest;
    }
    if (log->block_count == 0) {
        log->block = region->used;
        region->used += sizeof(struct lv_block_head);
    }
    p = region->data + region->used;
    memcpy(p, &head, sizeof head);
    memset(p + need - 8, 0, need > sizeof head ? 8 : 0); /* the padding; the rest is the caller's */
    *ret_payload = p + sizeof head;
    *ret_lsn = log->last_payload = region->lsn + region->used + sizeof head;
    region->used += need;
    log->block_count++;
    if (kind == LV_RECORD_MESSAGE)
        region->live += count;
    return 0;
}

/* All that is behind the last block's end is in the one that is open. */
bool lv_log_is_open(const struct lv_log *log, uint64_t payload_lsn)
{
    return payload_lsn > log->sealed_end;
}

/* Behind the last record is room that nobody has yet. */
void *lv_log_extend(struct lv_log *log, uint64_t payload_lsn, uint32_t size)
{
    struct lv_region *region = log->newest;
    struct lv_record_head *head;
    uint8_t *p;

    assert(size % 8 == 0);
    assert(size > 0);
    if (payload_lsn != log->last_payload || region->size - region->used < size)
        return NULL;
    p = region->data + (payload_lsn - region->lsn) - sizeof *head;
    head = (struct lv_record_head *)(void *)p;
    if (head->count == UINT16_MAX)
        return NULL;
    assert(head->size % 8 == 0);
    p = region->data + region->used;
    head->size += size;
    head->count++;
    region->used += size;
    return p;
}

/* Before the first record there is no place yet. */
uint64_t lv_log_end(const struct lv_log *log)
{
    return log->newest == NULL ? 0 : log->newest->lsn + log->newest->used;
}

/* What a loss of the process would take, as the kernel has the rest. */
uint64_t lv_log_open_size(const struct lv_log *log)
{
    return log->block_count == 0 ? 0 : log->newest->used - log->block;
}

/* A block's bytes are fixed from here on. */
void lv_log_seal(struct lv_log *log)
{
    struct lv_region *region = log->newest;
    struct lv_block_head head;
    uint8_t *block;

    if (log->block_count == 0)
        return;
    assert(region->used > log->block + sizeof head);
    block = region->data + log->block;
    head = (struct lv_block_head){
        .lsn = region->lsn + log->block,
        .previous = log->sealed_end,
        .synced = log->vouches ? log->synced : 0,
        .size = (uint32_t)(region->used - log->block),
        .count = log->block_count,
    };
    memcpy(block, &head, sizeof head);
    head.hash = lv_block_hash(block, head.size, region->seed);
    memcpy(block, &head.hash, sizeof head.hash);
    region->sealed = region->used;
    log->sealed_end = region->lsn + region->sealed;
    log->block_count = 0;
    log->last_payload = 0;
}

/* Regions in their order, each from where it was left. */
bool lv_log_next_write(struct lv_log *log, struct lv_log_write *ret_write)
{
    struct lv_region *region = log->writing;

    while (region != NULL && region->handed == region->sealed && region->next != NULL)
        region = region->next;
    log->writing = region;
    if (region == NULL || region->handed == region->sealed)
        return false;
    assert(region->handed < region->sealed);
    *ret_write = (struct lv_log_write){
        .lsn = region->lsn + region->handed,
        .data = region->data + region->handed,
        .size = region->sealed - region->handed,
        .number = file_of(region->lsn),
        .file_size = region->file_size,
        .seed = region->seed,
    };
    region->handed = region->sealed;
    return true;
}

/* Said by the writer, for what was handed over. */
void lv_log_synced(struct lv_log *log, uint64_t lsn)
{
    assert(lsn >= log->synced);
    assert(lsn <= log->sealed_end);
    log->synced = lsn;
}

uint64_t lv_log_synced_lsn(const struct lv_log *log)
{
    return log->synced;
}

/* ---- the window ---- */

/* A look at the ring and two comparisons, for every delivery. */
const void *lv_log_view(const struct lv_log *log, uint64_t lsn)
{
    const struct lv_region *region = find(log, lsn);

    return LV_UNLIKELY(region == NULL) ? NULL : region->data + (lsn - region->lsn);
}

/* Holders are counted by region: a region without any has nothing to be spilled. */
void lv_log_hold(struct lv_log *log, uint64_t lsn, uint32_t count)
{
    struct lv_region *region = find(log, lsn);

    if (region != NULL)
        region->live += count;
}

void lv_log_release(struct lv_log *log, uint64_t lsn)
{
    struct lv_region *region = find(log, lsn);

    if (LV_UNLIKELY(region == NULL))
        return;
    assert(region->live > 0);
    region->live--;
}

/* A walk over the window's regions, which are few. */
uint64_t lv_log_held(const struct lv_log *log, uint64_t end)
{
    uint64_t held = 0;

    for (const struct lv_region *region = log->oldest; region != NULL && region->lsn < end;
         region = region->next)
        held += region->live;
    return held;
}

/* For an output that is sent from the page itself. */
void *lv_log_pin(struct lv_log *log, uint64_t lsn)
{
    struct lv_region *region = find(log, lsn);

    assert(region != NULL);
    region->pin_count++;
    return region;
}

/* The window may have left the region meanwhile, and the log may be gone. */
void lv_log_unpin(void *pin)
{
    struct lv_region *region = pin;

    assert(region->pin_count > 0);
    if (--region->pin_count == 0 && region->log == NULL)
        free_region(region);
}

uint64_t lv_log_begin(const struct lv_log *log)
{
    return log->oldest == NULL ? log->next_number * LV_LOG_FILE_SIZE : log->oldest->lsn;
}

uint64_t lv_log_window_size(const struct lv_log *log)
{
    assert(log->memory_size >= (uint64_t)log->spare_count * LV_PAGE_SIZE);
    return log->memory_size - (uint64_t)log->spare_count * LV_PAGE_SIZE;
}

uint64_t lv_log_memory_size(const struct lv_log *log)
{
    return log->memory_size;
}

/* A large record's file has several numbers. */
uint64_t lv_log_next_file(const struct lv_log *log, uint64_t lsn)
{
    const struct lv_region *region = find(log, lsn);

    assert(region != NULL);
    return (file_of(lsn / LV_LOG_FILE_SIZE * LV_LOG_FILE_SIZE + region->file_size - 1) + 1) *
           LV_LOG_FILE_SIZE;
}

/* The memory goes, or is left to those who have pinned it. */
static void drop_oldest(struct lv_log *log)
{
    struct lv_region *region = log->oldest;

    assert(region != log->newest);
    for (uint64_t lsn = region->lsn; lsn < region->lsn + region->size; lsn += LV_PAGE_SIZE)
        *slot(log, page_of(lsn)) = NULL;
    log->oldest = region->next;
    if (log->writing == region)
        log->writing = region->next;
    if (region->pin_count == 0) {
        free_region(region);
        return;
    }
    log->memory_size -= region->size;
    region->log = NULL;
}

/* Nothing is written there any more: what is below has been synced. */
void lv_log_forget(struct lv_log *log, uint64_t lsn)
{
    assert(lsn <= log->synced);
    while (log->oldest != NULL && log->oldest->lsn < lsn)
        drop_oldest(log);
}

/* Records lie one behind the other up to the block's end. */
static void each_in_block(const struct lv_region *region, uint64_t at, lv_log_each_fn *each,
                          void *ctx)
{
    const struct lv_block_head *block =
        (const struct lv_block_head *)(const void *)(region->data + at);
    uint64_t end = at + block->size;

    assert(end <= region->sealed);
    at += sizeof *block;
    while (at < end) {
        struct lv_record_head head;
        memcpy(&head, region->data + at, sizeof head);
        each(ctx, region->lsn + at + sizeof head, &head, region->data + at + sizeof head);
        at += lv_record_size(head.size);
    }
}

/* Sealed blocks only: what is open may still change. */
void lv_log_each(const struct lv_log *log, uint64_t end, bool held, lv_log_each_fn *each, void *ctx)
{
    for (const struct lv_region *region = log->oldest; region != NULL && region->lsn < end;
         region = region->next) {
        if (held && region->live == 0)
            continue;
        for (uint64_t at = region->first; at < region->sealed;) {
            const struct lv_block_head *block =
                (const struct lv_block_head *)(const void *)(region->data + at);
            each_in_block(region, at, each, ctx);
            at += block->size;
        }
    }
}

/* ---- start-up ---- */

/* As it lay in the file, so the region begins where that of the earlier life did. */
int lv_log_restore(struct lv_log *log, const struct lv_log_head *file, uint64_t lsn,
                   struct lv_bytes block)
{
    struct lv_region *region = find(log, lsn);

    assert(block.size >= sizeof(struct lv_block_head));
    if (region == NULL) {
        uint64_t page = lsn / LV_PAGE_SIZE * LV_PAGE_SIZE;
        uint64_t end = (lsn + block.size + LV_PAGE_SIZE - 1) / LV_PAGE_SIZE * LV_PAGE_SIZE;
        region = add_region(log, page, end - page);
        if (region == NULL)
            return -LV_E_NOMEM;
        region->file_size = file->file_size;
        region->seed = file->seed;
    }
    assert(lsn + block.size <= region->lsn + region->size);
    memcpy(region->data + (lsn - region->lsn), block.data, block.size);
    region->used = region->sealed = region->handed = lsn - region->lsn + block.size;
    log->sealed_end = log->synced = lsn + block.size;
    log->next_number =
        file_of(region->lsn / LV_LOG_FILE_SIZE * LV_LOG_FILE_SIZE + region->file_size - 1) + 1;
    return 0;
}

/* A file that was written before is never written again, whatever room is left in it. */
void lv_log_start(struct lv_log *log, uint64_t number)
{
    assert(number >= log->next_number);
    log->next_number = number;
    log->start = number * LV_LOG_FILE_SIZE;
    if (log->newest != NULL) /* what is left of it stays unused */
        log->newest->is_closed = true;
}

uint64_t lv_log_start_lsn(const struct lv_log *log)
{
    assert(log->start % LV_LOG_FILE_SIZE == 0);
    return log->start;
}

/* No page is taken before the first record. */
struct lv_log *lv_log_new(uint32_t shard, uint64_t first_number, uint64_t seed)
{
    struct lv_log *log = lv_calloc(1, sizeof *log);

    assert(first_number > 0); /* so that no record has LSN 0 */
    if (log == NULL)
        return NULL;
    log->shard = shard;
    log->next_number = first_number;
    log->vouches = true;
    lv_random_seed(&log->random, seed);
    return log;
}

void lv_log_set_vouching(struct lv_log *log, bool vouches)
{
    assert(log->block_count == 0);
    log->vouches = vouches;
}

void lv_log_free(struct lv_log *log)
{
    if (log == NULL)
        return;
    while (log->oldest != NULL) {
        struct lv_region *region = log->oldest;
        log->oldest = region->next;
        free_region(region);
    }
    for (uint32_t i = 0; i < log->spare_count; i++)
        lv_free(log->spare[i]);
    lv_free(log->ring);
    lv_free(log);
}
