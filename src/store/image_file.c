#include "store/image_file.h"

#include "base/defs.h"

#define PAGE_SIZE 4096u

struct lv_image_page {
    atomic_uint refs;
    uint8_t data[PAGE_SIZE];
};

/* A test that has no memory left has nothing to say. */
static void *must(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

static void unref(struct lv_image_page *page)
{
    if (page == NULL)
        return;
    assert(atomic_load(&page->refs) > 0);
    if (atomic_fetch_sub(&page->refs, 1) == 1)
        free(page);
}

static bool is_zero(const uint8_t *data, size_t size)
{
    assert(size > 0);
    return data[0] == 0 && memcmp(data, data + 1, size - 1) == 0;
}

/* The page as one that nobody else has. */
static struct lv_image_page *own_page(struct lv_image_bytes *bytes, size_t index)
{
    struct lv_image_page *page = bytes->pages[index];

    assert(index < bytes->page_count);
    if (page != NULL && atomic_load(&page->refs) == 1)
        return page;
    page = must(calloc(1, sizeof *page));
    atomic_init(&page->refs, 1);
    if (bytes->pages[index] != NULL)
        memcpy(page->data, bytes->pages[index]->data, PAGE_SIZE);
    unref(bytes->pages[index]);
    bytes->pages[index] = page;
    return page;
}

static void put_in_page(struct lv_image_bytes *bytes, size_t index, size_t at, const uint8_t *data,
                        size_t size)
{
    assert(at + size <= PAGE_SIZE);
    if (!is_zero(data, size)) {
        memcpy(own_page(bytes, index)->data + at, data, size);
    } else if (size == PAGE_SIZE) {
        unref(bytes->pages[index]);
        bytes->pages[index] = NULL;
    } else if (bytes->pages[index] != NULL) {
        memset(own_page(bytes, index)->data + at, 0, size);
    }
}

void lv_image_bytes_put(struct lv_image_bytes *bytes, uint64_t offset, struct lv_bytes data)
{
    size_t done = 0;

    if (offset + data.size > bytes->size)
        lv_image_bytes_resize(bytes, offset + data.size);
    while (done < data.size) {
        size_t at = (size_t)((offset + done) % PAGE_SIZE), size = PAGE_SIZE - at;

        if (size > data.size - done)
            size = data.size - done;
        put_in_page(bytes, (size_t)((offset + done) / PAGE_SIZE), at, data.data + done, size);
        done += size;
    }
    assert(done == data.size);
}

size_t lv_image_bytes_get(const struct lv_image_bytes *bytes, uint64_t offset, void *buffer,
                          size_t size)
{
    size_t done = 0;

    if (offset >= bytes->size)
        return 0;
    if (size > bytes->size - offset)
        size = (size_t)(bytes->size - offset);
    while (done < size) {
        size_t at = (size_t)((offset + done) % PAGE_SIZE), part = PAGE_SIZE - at;
        const struct lv_image_page *page = bytes->pages[(offset + done) / PAGE_SIZE];

        if (part > size - done)
            part = size - done;
        if (page != NULL)
            memcpy((uint8_t *)buffer + done, page->data + at, part);
        else
            memset((uint8_t *)buffer + done, 0, part);
        done += part;
    }
    assert(done == size);
    return size;
}

void lv_image_bytes_resize(struct lv_image_bytes *bytes, uint64_t size)
{
    static const uint8_t zeros[PAGE_SIZE];
    size_t count = (size_t)((size + PAGE_SIZE - 1) / PAGE_SIZE);

    for (size_t i = count; i < bytes->page_count; i++)
        unref(bytes->pages[i]);
    if (count == 0) {
        free(bytes->pages);
        bytes->pages = NULL;
    } else {
        bytes->pages = must(realloc(bytes->pages, count * sizeof *bytes->pages));
    }
    for (size_t i = bytes->page_count; i < count; i++)
        bytes->pages[i] = NULL;
    bytes->page_count = count;
    /* What was cut must not come back when the file grows again. */
    if (size < bytes->size && size % PAGE_SIZE != 0)
        put_in_page(bytes, count - 1, (size_t)(size % PAGE_SIZE), zeros,
                    PAGE_SIZE - (size_t)(size % PAGE_SIZE));
    bytes->size = size;
    assert(bytes->page_count * (uint64_t)PAGE_SIZE >= size);
}

void lv_image_bytes_share(struct lv_image_bytes *to, const struct lv_image_bytes *from)
{
    assert(to->page_count == 0);
    lv_image_bytes_resize(to, from->size);
    for (size_t i = 0; i < from->page_count; i++) {
        to->pages[i] = from->pages[i];
        if (to->pages[i] != NULL)
            atomic_fetch_add(&to->pages[i]->refs, 1);
    }
}

void lv_image_bytes_fini(struct lv_image_bytes *bytes)
{
    lv_image_bytes_resize(bytes, 0);
    assert(bytes->pages == NULL);
}

static void forget_changes(struct lv_image_file *file)
{
    for (size_t i = 0; i < file->change_count; i++)
        free(file->changes[i].data);
    file->change_count = 0;
}

static struct lv_image_change *add_change(struct lv_image_file *file)
{
    if (file->change_count == file->change_capacity) {
        file->change_capacity = file->change_capacity * 2 + 8;
        file->changes = must(realloc(file->changes, file->change_capacity * sizeof *file->changes));
    }
    assert(file->change_count < file->change_capacity);
    return &file->changes[file->change_count++];
}

void lv_image_file_fini(struct lv_image_file *file)
{
    forget_changes(file);
    free(file->changes);
    lv_image_bytes_fini(&file->now);
    lv_image_bytes_fini(&file->durable);
    assert(file->now.page_count == 0);
}

void lv_image_file_write(struct lv_image_file *file, uint64_t offset, struct lv_bytes data)
{
    struct lv_image_change *change;

    if (data.size == 0)
        return;
    change = add_change(file);
    *change = (struct lv_image_change){must(malloc(data.size)), offset, data.size};
    memcpy(change->data, data.data, data.size);
    lv_image_bytes_put(&file->now, offset, data);
    assert(file->now.size >= offset + data.size);
}

void lv_image_file_empty(struct lv_image_file *file)
{
    *add_change(file) = (struct lv_image_change){NULL, 0, 0};
    lv_image_bytes_resize(&file->now, 0);
    assert(file->change_count > 0);
}

void lv_image_file_sync(struct lv_image_file *file)
{
    for (size_t i = 0; i < file->change_count; i++) {
        const struct lv_image_change *change = &file->changes[i];

        if (change->data == NULL)
            lv_image_bytes_resize(&file->durable, 0);
        else
            lv_image_bytes_put(&file->durable, change->offset,
                               lv_bytes(change->data, change->size));
    }
    forget_changes(file);
    assert(file->change_count == 0);
}

/* What becomes of the writes [0, count) that nothing was sure of. */
enum manner {
    ALL_LOST,
    ALL_WHOLE,
    CUT_SHORT, /* whole up to one that is torn, the others lost: as power fails within a write */
    MIXED,     /* each by itself */
    MANNER_COUNT
};

enum fate { LOST, WHOLE, TORN };

static enum fate draw_fate(enum manner manner, size_t index, size_t cut, struct lv_random *random)
{
    switch (manner) {
    case ALL_LOST:
        return LOST;
    case ALL_WHOLE:
        return WHOLE;
    case CUT_SHORT:
        return index < cut ? WHOLE : index == cut ? TORN : LOST;
    case MIXED:
        return (enum fate)lv_random_below(random, 3);
    case MANNER_COUNT:
        break;
    }
    LV_IMPOSSIBLE("every manner has its answer");
}

static size_t sector_count(const struct lv_image_change *changes, size_t count)
{
    uint64_t end = 0;

    for (size_t i = 0; i < count; i++) {
        if (changes[i].offset + changes[i].size > end)
            end = changes[i].offset + changes[i].size;
    }
    assert(end > 0);
    return (size_t)((end + LV_IMAGE_SECTOR_SIZE - 1) / LV_IMAGE_SECTOR_SIZE);
}

/* A sector goes from memory to the disk as it is there, so when a write's part of it survives, what
 * earlier ones had put into the sector does too: versions[sector] = 1 + the last that survives. */
static void draw_versions(const struct lv_image_change *changes, size_t count, uint32_t *versions,
                          struct lv_random *random)
{
    enum manner manner = (enum manner)lv_random_below(random, MANNER_COUNT);
    size_t cut = (size_t)lv_random_below(random, count + 1);

    assert(count < UINT32_MAX);
    for (size_t i = 0; i < count; i++) {
        enum fate fate = draw_fate(manner, i, cut, random);
        size_t first = (size_t)(changes[i].offset / LV_IMAGE_SECTOR_SIZE);
        size_t last = (size_t)((changes[i].offset + changes[i].size - 1) / LV_IMAGE_SECTOR_SIZE);

        for (size_t sector = first; fate != LOST && sector <= last; sector++) {
            if (fate == WHOLE || lv_random_below(random, 2) == 0)
                versions[sector] = (uint32_t)i + 1;
        }
    }
}

/* The parts of one write that survive; sectors beside each other are put together. */
static void put_survivors(struct lv_image_bytes *bytes, const struct lv_image_change *change,
                          uint32_t index, const uint32_t *versions)
{
    uint64_t end = change->offset + change->size, from = change->offset;

    while (from < end) {
        uint64_t sector = from / LV_IMAGE_SECTOR_SIZE, to = from;
        bool survives = versions[sector] > index;

        while (to < end && (versions[to / LV_IMAGE_SECTOR_SIZE] > index) == survives)
            to = (to / LV_IMAGE_SECTOR_SIZE + 1) * LV_IMAGE_SECTOR_SIZE;
        if (to > end)
            to = end;
        if (survives)
            lv_image_bytes_put(
                bytes, from, lv_bytes(change->data + (from - change->offset), (size_t)(to - from)));
        assert(to > from);
        from = to;
    }
}

/* Emptying a file takes effect in order: before it, everything of the file's earlier life may be
 * there; after it nothing is. Draws which life it is: [*ret_begin, return value). */
static size_t draw_life(const struct lv_image_file *file, struct lv_random *random,
                        size_t *ret_begin)
{
    size_t begin = 0;

    for (size_t i = 0; i < file->change_count; i++) {
        if (file->changes[i].data != NULL)
            continue;
        if (lv_random_below(random, 4) == 0) {
            *ret_begin = begin;
            return i;
        }
        begin = i + 1;
    }
    assert(begin <= file->change_count);
    *ret_begin = begin;
    return file->change_count;
}

void lv_image_file_draw(const struct lv_image_file *file, struct lv_random *random,
                        struct lv_image_bytes *ret_bytes)
{
    size_t begin, end = draw_life(file, random, &begin);
    uint32_t *versions;

    assert(ret_bytes->page_count == 0);
    if (begin == 0)
        lv_image_bytes_share(ret_bytes, &file->durable);
    if (begin == end)
        return;
    versions = must(calloc(sector_count(file->changes + begin, end - begin), sizeof *versions));
    draw_versions(file->changes + begin, end - begin, versions, random);
    for (size_t i = begin; i < end; i++)
        put_survivors(ret_bytes, &file->changes[i], (uint32_t)(i - begin), versions);
    free(versions);
}

void lv_image_file_fail_sync(struct lv_image_file *file, struct lv_random *random)
{
    struct lv_image_bytes drawn = {0};

    lv_image_file_draw(file, random, &drawn);
    lv_image_bytes_fini(&file->durable);
    file->durable = drawn;
    forget_changes(file);
    assert(file->change_count == 0);
}
