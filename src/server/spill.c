#include "server/spill.h"

#include "base/alloc.h"
#include "base/event.h"
#include "io/machine.h"
#include "server/durable.h"
#include "server/shard.h"

/* A full disk is asked again so often, and queues whether one of them is long. */
#define AGAIN_NS (200 * LV_NS_PER_MS)
/* So many files of earlier runs, with a few messages in them perhaps, a start may read. */
#define OLD_FILES_MAX UINT64_C(4)
/* What can't be read is asked for again so often. */
#define READ_AGAIN_NS (5 * LV_NS_PER_S)
/* Segments that the helper keeps open. */
#define OPEN_MAX 64u

struct lv_open_segment {
    struct lv_open_segment *next; /* own */
    uint64_t number;
    struct lv_segment *segment; /* own */
};

static struct lv_disk *disk_of(const struct lv_spiller *spiller)
{
    return spiller->durable->shard->shared->disk;
}

static uint32_t shard_of(const struct lv_spiller *spiller)
{
    return spiller->durable->shard->number;
}

/* ---- the helper's: segments that are open ---- */

static void close_after(struct lv_open_segment **where)
{
    while (*where != NULL) {
        struct lv_open_segment *open = *where;
        *where = open->next;
        lv_segment_close(open->segment);
        lv_free(open);
    }
}

/* The one used last is first; those used longest ago are closed. */
static int open_segment(struct lv_spiller *spiller, uint64_t number,
                        struct lv_segment **ret_segment, struct lv_diag *diag)
{
    struct lv_open_segment **where = &spiller->open, *open;
    uint32_t count = 0;
    int rc;

    assert(number > 0);
    while (*where != NULL && (*where)->number != number) {
        if (++count == OPEN_MAX)
            close_after(where); /* where the list ends now */
        else
            where = &(*where)->next;
    }
    open = *where;
    if (open == NULL) {
        open = lv_alloc(sizeof *open);
        if (open == NULL)
            return lv_fail(diag, -LV_E_NOMEM, "out of memory");
        open->number = number;
        rc = lv_segment_open(disk_of(spiller), shard_of(spiller), number, &open->segment, diag);
        if (rc < 0) {
            lv_free(open);
            return rc;
        }
    } else {
        *where = open->next;
    }
    open->next = spiller->open;
    spiller->open = open;
    *ret_segment = open->segment;
    return 0;
}

static const struct lv_segment_run *find_run(const struct lv_segment *segment, uint64_t queue_id)
{
    size_t count, low = 0;
    const struct lv_segment_run *runs = lv_segment_runs(segment, &count);

    while (low < count) {
        size_t middle = low + (count - low) / 2;
        if (runs[middle].queue_id == queue_id)
            return &runs[middle];
        if (runs[middle].queue_id < queue_id)
            low = middle + 1;
        else
            count = middle;
    }
    return NULL;
}

/* ---- loading ---- */

struct load {
    struct lv_job job;
    struct lv_spiller *spiller; /* view */
    struct load *waiting;       /* own   in lv_spiller.unread: the next one */
    uint64_t queue_id, segment, from_seq;
    bool one;
    int error;
    struct lv_diag diag;
    struct lv_segment_entry *entries; /* own   data are offsets until all is there */
    uint64_t count, capacity;
    uint8_t *bytes; /* own */
    size_t size, bytes_capacity;
    uint64_t next;
    uint32_t damaged_count;
};

static int reserve(struct load *load, size_t size)
{
    assert(load->count <= load->capacity);
    assert(load->size <= load->bytes_capacity);
    if (load->count == load->capacity) {
        uint64_t capacity = load->capacity == 0 ? 64 : 2 * load->capacity;
        struct lv_segment_entry *entries = lv_realloc(load->entries, capacity * sizeof *entries);
        if (entries == NULL)
            return -LV_E_NOMEM;
        load->entries = entries;
        load->capacity = capacity;
    }
    if (load->size + size > load->bytes_capacity) {
        size_t capacity = 2 * load->bytes_capacity + size;
        uint8_t *bytes = lv_realloc(load->bytes, capacity);
        if (bytes == NULL)
            return -LV_E_NOMEM;
        load->bytes = bytes;
        load->bytes_capacity = capacity;
    }
    return 0;
}

static int collect(void *ctx, const struct lv_segment_entry *entry)
{
    struct load *load = ctx;
    size_t padded = (entry->size + 7u) & ~(size_t)7;

    assert(entry->queue_id == load->queue_id);
    assert(load->count == 0 || load->entries[load->count - 1].seq < entry->seq);
    if (reserve(load, padded) < 0) {
        load->next = entry->seq;
        return -LV_E_NOMEM;
    }
    memcpy(load->bytes + load->size, entry->data, entry->size);
    load->entries[load->count] = *entry;
    load->entries[load->count++].data = NULL; /* its bytes may move yet */
    load->size += padded;
    return 0;
}

/* Behind one another, in the order of the entries. */
static void point(struct load *load)
{
    size_t at = 0;

    for (uint64_t i = 0; i < load->count; i++) {
        load->entries[i].data = load->bytes + at;
        at += (load->entries[i].size + 7u) & ~(size_t)7;
    }
    assert(at == load->size);
}

static void run_load(struct lv_job *job)
{
    struct load *load = lv_container(job, struct load, job);
    struct lv_segment_reading reading = {
        .from_seq = load->from_seq,
        .max_size = load->one ? 1 : LV_LOAD_SIZE,
        .each = collect,
        .ctx = load,
        .next_seq = UINT64_MAX,
    };
    const struct lv_segment_run *run;
    struct lv_segment *segment = NULL;

    assert(load->count == 0); /* also when it waited and runs again */
    load->next = load->from_seq;
    load->error = open_segment(load->spiller, load->segment, &segment, &load->diag);
    run = load->error < 0 ? NULL : find_run(segment, load->queue_id);
    if (run != NULL)
        load->error = lv_segment_read(segment, run, &reading, &load->diag);
    if (load->error != -LV_E_NOMEM) /* else it is there, and asked for again */
        load->next = reading.next_seq;
    load->damaged_count = reading.damaged_count;
    point(load);
}

/* The segment has not been written yet, as the disk was full. */
static bool is_early(const struct load *load)
{
    const struct lv_spiller *spiller = load->spiller;

    return load->error == -LV_E_NOT_FOUND && load->segment == spiller->spill.number &&
           (spiller->state == LV_SPILL_SYNCING || spiller->state == LV_SPILL_WRITING ||
            spiller->state == LV_SPILL_FAILED);
}

/* The first entry of the queue with a number that is not below this. */
static uint64_t find_entry(const struct lv_spill *spill, uint64_t queue_id, uint64_t seq)
{
    uint64_t low = 0, high = spill->count;

    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        const struct lv_segment_entry *entry = &spill->entries[middle];
        if (entry->queue_id < queue_id || (entry->queue_id == queue_id && entry->seq < seq))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Consumers go on while the disk is full: what could not be written is in memory still. */
static void load_from_memory(struct load *load)
{
    struct lv_spiller *spiller = load->spiller;
    const struct lv_spill *spill = &spiller->spill;
    size_t max_size = load->one ? 1 : LV_LOAD_SIZE;
    uint64_t at;

    assert(load->count == 0);
    assert(spiller->state == LV_SPILL_SYNCING || spiller->state == LV_SPILL_FAILED);
    if (!spiller->is_sorted)
        lv_segment_sort(spill->entries, spill->count);
    spiller->is_sorted = true;
    at = find_entry(spill, load->queue_id, load->from_seq);
    load->error = 0;
    load->next = UINT64_MAX;
    for (; at < spill->count && spill->entries[at].queue_id == load->queue_id; at++)
        if (load->size >= max_size || collect(load, &spill->entries[at]) < 0) {
            load->next = spill->entries[at].seq;
            break;
        }
    point(load);
}

static void free_load(struct load *load)
{
    lv_free(load->entries);
    lv_free(load->bytes);
    lv_free(load);
}

/* The disk gives an error where a message is: it may be over, and nothing shows that the message is
 * lost. Its queue waits, as what is behind it must not come first. */
static void try_again(struct load *load)
{
    struct lv_spiller *spiller = load->spiller;
    struct lv_shard *shard = spiller->durable->shard;

    assert(load->count == 0);
    if (spiller->unread == NULL)
        lv_event(LV_ERROR, "store.unreadable", LV_U("queue_id", load->queue_id),
                 LV_S("why", load->diag.text),
                 LV_S("effect", "its queue waits; it is tried again every 5 seconds"));
    load->waiting = spiller->unread;
    spiller->unread = load;
    if (!spiller->reread.armed)
        lv_deadline_set(&shard->deadlines, &spiller->reread, shard->now + READ_AGAIN_NS);
}

static void on_reread(struct lv_deadline *deadline, uint64_t now)
{
    struct lv_spiller *spiller = lv_container(deadline, struct lv_spiller, reread);

    (void)now;
    while (spiller->unread != NULL) {
        struct load *load = spiller->unread;

        spiller->unread = load->waiting;
        load->diag.text[0] = '\0';
        lv_helper_run(&spiller->durable->helper, &load->job);
    }
}

/* What is damaged is said and left out: the rest goes on. */
static void load_done(struct lv_job *job)
{
    struct load *load = lv_container(job, struct load, job);
    struct lv_spiller *spiller = load->spiller;

    if (LV_UNLIKELY(is_early(load))) {
        if (spiller->state == LV_SPILL_WRITING) { /* the helper has the entries */
            load->job.letter.next = spiller->waiting;
            spiller->waiting = &load->job.letter;
            return;
        }
        load_from_memory(load);
    }
    if (LV_UNLIKELY(load->error == -LV_E_IO && load->count == 0)) {
        try_again(load);
        return;
    }
    if (load->error == -LV_E_IO)
        load->error = 0; /* what was read before it is there; the rest is asked for next */
    /* For what memory was missing, is asked again. */
    if ((load->error < 0 && load->error != -LV_E_NOMEM) || load->damaged_count > 0)
        lv_event(LV_ERROR, "store.damaged", LV_U("messages", load->damaged_count),
                 LV_S("why", load->diag.text));
    lv_broker_loaded(load->spiller->durable->shard->broker, load->queue_id, load->segment,
                     load->entries, load->count, load->next);
    free_load(load);
}

static int on_load(void *ctx, uint64_t queue_id, uint64_t segment, uint64_t from_seq, bool one)
{
    struct lv_durable *durable = ctx;
    struct load *load = lv_calloc(1, sizeof *load);

    assert(segment > 0);
    if (load == NULL)
        return -LV_E_NOMEM;
    load->spiller = &durable->spiller;
    load->queue_id = queue_id;
    load->segment = segment;
    load->from_seq = from_seq;
    load->one = one;
    load->job.run = run_load;
    load->job.done = load_done;
    lv_helper_run(&durable->helper, &load->job);
    return 0;
}

/* ---- removing ---- */

struct removal {
    struct lv_job job;
    struct lv_spiller *spiller; /* view */
    uint64_t segment;
    int error;
};

static int remove_segment(struct lv_spiller *spiller, uint64_t number)
{
    char name[LV_DISK_NAME_SIZE];

    lv_segment_name(shard_of(spiller), number, name);
    return disk_of(spiller)->ops->remove(disk_of(spiller), name);
}

void lv_spiller_close_segment(struct lv_spiller *spiller, uint64_t number)
{
    struct lv_open_segment **where = &spiller->open;

    while (*where != NULL && (*where)->number != number)
        where = &(*where)->next;
    if (*where != NULL) {
        struct lv_open_segment *open = *where;
        *where = open->next;
        lv_segment_close(open->segment);
        lv_free(open);
    }
}

static void run_removal(struct lv_job *job)
{
    struct removal *removal = lv_container(job, struct removal, job);
    struct lv_spiller *spiller = removal->spiller;

    lv_spiller_close_segment(spiller, removal->segment);
    removal->error = remove_segment(spiller, removal->segment);
    if (removal->error == -LV_E_NOT_FOUND)
        removal->error = 0; /* never written, as the disk was full */
}

/* Some file systems want room to remove a file. */
static void removal_done(struct lv_job *job)
{
    struct removal *removal = lv_container(job, struct removal, job);
    struct lv_durable *durable = removal->spiller->durable;
    bool is_gone = removal->error == 0;

    if (!is_gone)
        removal->spiller->no_drop_before = durable->shard->now + AGAIN_NS;
    if (!is_gone && removal->error != -LV_E_FULL)
        lv_durable_fail(durable, removal->error, "a segment can't be removed");
    lv_broker_dropped(durable->shard->broker, removal->segment, is_gone);
    lv_free(removal);
}

static int on_drop(void *ctx, uint64_t segment)
{
    struct lv_durable *durable = ctx;
    struct removal *removal;

    assert(segment > 0);
    if (durable->shard->now < durable->spiller.no_drop_before)
        return -LV_E_FULL;
    removal = lv_calloc(1, sizeof *removal);
    if (removal == NULL)
        return -LV_E_NOMEM;
    removal->spiller = &durable->spiller;
    removal->segment = segment;
    removal->job.run = run_removal;
    removal->job.done = removal_done;
    lv_helper_run(&durable->helper, &removal->job);
    return 0;
}

const struct lv_cold_ops lv_spiller_ops = {.load = on_load, .drop = on_drop};

/* ---- spilling ---- */

static void run_spill(struct lv_job *job)
{
    struct lv_spiller *spiller = lv_container(job, struct lv_spiller, job);
    const struct lv_segment_info info = {
        .shard = shard_of(spiller),
        .number = spiller->spill.number,
        .covers = spiller->spill.end,
        .seed = lv_machine_random(),
    };

    spiller->error = lv_segment_write(disk_of(spiller), &info, spiller->spill.entries,
                                      spiller->spill.count, &spiller->diag);
}

static void write_spill(struct lv_spiller *spiller)
{
    assert(spiller->state == LV_SPILL_SYNCING || spiller->state == LV_SPILL_FAILED);
    assert(spiller->spill.count > 0);
    spiller->state = LV_SPILL_WRITING;
    lv_helper_run(&spiller->durable->helper, &spiller->job);
}

static void on_again(struct lv_deadline *deadline, uint64_t now)
{
    struct lv_spiller *spiller = lv_container(deadline, struct lv_spiller, again);

    (void)now;
    if (spiller->state == LV_SPILL_FAILED)
        write_spill(spiller);
}

/* What was wanted of the segment before it could be written. At the end of the process the helper
 * has ended, and nobody waits any more. */
static void load_waiting(struct lv_spiller *spiller)
{
    while (spiller->waiting != NULL && spiller->durable->is_started) {
        struct lv_job *job = lv_container(spiller->waiting, struct lv_job, letter);

        spiller->waiting = spiller->waiting->next;
        lv_helper_run(&spiller->durable->helper, job);
    }
}

static void spill_done(struct lv_job *job)
{
    struct lv_spiller *spiller = lv_container(job, struct lv_spiller, job);
    struct lv_shard *shard = spiller->durable->shard;

    assert(spiller->state == LV_SPILL_WRITING);
    if (spiller->error == 0) {
        spiller->state = LV_SPILL_WRITTEN;
        load_waiting(spiller);
        return;
    }
    /* The messages are in the log still. Who waits for some of them gets them from there, also when
     * this is the end: a channel with a get that is never answered could not close. */
    spiller->state = LV_SPILL_FAILED;
    load_waiting(spiller);
    if (spiller->error == -LV_E_FULL || spiller->error == -LV_E_NOMEM)
        lv_deadline_set(&shard->deadlines, &spiller->again, shard->now + AGAIN_NS);
    else
        lv_durable_fail(spiller->durable, spiller->error, spiller->diag.text);
}

static void begin(struct lv_spiller *spiller, uint64_t end)
{
    const struct lv_durable *durable = spiller->durable;
    struct lv_broker *broker = durable->shard->broker;
    int rc = end == 0 ? lv_broker_spill_longest(broker, spiller->next_number, LV_TRANSIENT_SIZE,
                                                &spiller->spill)
                      : lv_broker_spill(broker, end, spiller->next_number, &spiller->spill);

    assert(spiller->state == LV_SPILL_IDLE);
    if (rc < 0)
        return; /* out of memory: next turn */
    if (spiller->spill.count == 0) {
        spiller->state = end == 0 ? LV_SPILL_IDLE : LV_SPILL_WRITTEN;
        if (end > 0)
            durable->shard->has_more = true; /* no job's end will wake us */
        else /* every queue was looked at for it, which is too much for every turn */
            spiller->next_look = durable->shard->now + AGAIN_NS;
        return;
    }
    spiller->next_number++;
    spiller->is_sorted = false;
    spiller->state = LV_SPILL_SYNCING;
    lv_log_seal(durable->log);
}

/* Every run begins a file, so a broker that is often restarted would have many with little in them,
 * and each start would read them all. One of an earlier run goes as soon as nothing in it is
 * wanted, and the oldest when there are more than a few. */
static bool is_left_over(const struct lv_log *log)
{
    uint64_t begin = lv_log_begin(log), start = lv_log_start_lsn(log);

    if (LV_LIKELY(begin >= start))
        return false;
    return start - begin > OLD_FILES_MAX * LV_LOG_FILE_SIZE ||
           lv_log_held(log, lv_log_next_file(log, begin)) == 0;
}

/* The window's oldest file has been written whole, and another one after it. */
static bool is_due(const struct lv_log *log, uint64_t *ret_end)
{
    if (lv_log_window_size(log) <= LV_WINDOW_SIZE && !is_left_over(log))
        return false;
    *ret_end = lv_log_next_file(log, lv_log_begin(log));
    return *ret_end < lv_log_synced_lsn(log);
}

/* Transient messages have filled so much of the memory that some should go to the disk. */
static bool is_short(const struct lv_shard *shard)
{
    struct lv_memory *memory = &shard->shared->memory;
    struct lv_store_stats stats;

    if (LV_LIKELY(lv_memory_used(memory) < memory->high / 2))
        return false;
    lv_store_stats(shard->store, &stats);
    return stats.live_size > LV_TRANSIENT_SIZE;
}

void lv_spiller_turn(struct lv_spiller *spiller)
{
    struct lv_durable *durable = spiller->durable;
    uint64_t end;

    lv_cold_drop_dead(durable->shard->broker);
    /* Numbers between those of a run are messages for a restart unless the log says otherwise. */
    if (LV_UNLIKELY(spiller->state == LV_SPILL_SYNCING) &&
        lv_broker_spill_is_due(durable->shard->broker, &spiller->spill))
        write_spill(spiller);
    if (LV_UNLIKELY(spiller->state == LV_SPILL_WRITTEN) &&
        lv_broker_spill_is_due(durable->shard->broker, &spiller->spill) &&
        lv_durable_may_forget(durable, spiller->spill.end)) {
        end = spiller->spill.end;
        lv_broker_spilled(durable->shard->broker, &spiller->spill);
        if (end > 0)
            lv_writer_recycle(&durable->writer, end / LV_LOG_FILE_SIZE,
                              lv_durable_applied(durable));
        spiller->state = LV_SPILL_IDLE;
    }
    if (spiller->state != LV_SPILL_IDLE)
        return;
    if (LV_UNLIKELY(is_due(durable->log, &end)))
        begin(spiller, end);
    else if (LV_UNLIKELY(is_short(durable->shard)) && durable->shard->now >= spiller->next_look)
        begin(spiller, 0);
}

/* While a spill is under way that will make room, waiting for it is better than an alarm. */
bool lv_spiller_is_behind(const struct lv_spiller *spiller)
{
    struct lv_memory *memory = &spiller->durable->shard->shared->memory;

    if (spiller->durable->shard->alarms != 0)
        return false; /* publishers wait already, and all others have to go on */
    return lv_log_window_size(spiller->durable->log) > LV_WINDOW_MAX ||
           ((spiller->state == LV_SPILL_SYNCING || spiller->state == LV_SPILL_WRITING) &&
            lv_memory_used(memory) > memory->high / 8 * 7);
}

/* ---- making and ending ---- */

void lv_spiller_init(struct lv_spiller *spiller, struct lv_durable *durable)
{
    *spiller = (struct lv_spiller){.durable = durable, .next_number = 1};
    spiller->job.run = run_spill;
    spiller->job.done = spill_done;
    lv_deadline_init(&spiller->again, on_again);
    lv_deadline_init(&spiller->reread, on_reread);
}

void lv_spiller_fini(struct lv_spiller *spiller)
{
    close_after(&spiller->open);
    assert(spiller->open == NULL);
    while (spiller->waiting != NULL) {
        struct lv_job *job = lv_container(spiller->waiting, struct lv_job, letter);
        spiller->waiting = spiller->waiting->next;
        free_load(lv_container(job, struct load, job));
    }
    while (spiller->unread != NULL) {
        struct load *load = spiller->unread;
        spiller->unread = load->waiting;
        free_load(load);
    }
    if (spiller->state != LV_SPILL_IDLE) {
        lv_free(spiller->spill.refs); /* the store they point into is gone with the shard */
        lv_free(spiller->spill.entries);
    }
}
