#include "store/image_disk.h"

#include "store/image_file.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#define OPEN_MAX    256u
#define DEFAULT_MAX (UINT64_C(1) << 40) /* bytes */

/* A file is known by where it is among all files, so that directories may be copied. */
struct entry {
    char name[LV_DISK_NAME_SIZE];
    size_t file;
};

struct directory {
    struct entry *entries; /* own */
    size_t count, capacity;
};

/* A change of the directory since its last sync. */
struct move {
    enum lv_image_op op;
    struct entry entry;         /* the name before, and the file */
    char to[LV_DISK_NAME_SIZE]; /* RENAME */
};

struct fault {
    uint64_t at; /* which of its kind; 0: none */
    int error;
    bool forever;
};

struct lv_image_disk {
    struct lv_disk disk;
    atomic_flag lock;
    struct lv_image_file **files; /* own  NULL: gone */
    size_t file_count;
    struct directory now, durable;
    struct move *moves; /* own  oldest first */
    size_t move_count, move_capacity;
    size_t open[OPEN_MAX]; /*      1 + file; 0: free */
    uint64_t counts[LV_IMAGE_OP_COUNT];
    struct fault faults[LV_IMAGE_OP_COUNT];
    uint64_t limit;
    struct lv_random random;
    lv_image_watch_fn *watch;
    void *watch_ctx; /* view */
};

static void *must(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

/* Short and rarely wanted by two at once. A mutex would make this room know of threads. */
static void lock(struct lv_image_disk *image)
{
    while (atomic_flag_test_and_set_explicit(&image->lock, memory_order_acquire))
        sched_yield();
}

static void unlock(struct lv_image_disk *image)
{
    atomic_flag_clear_explicit(&image->lock, memory_order_release);
}

static struct lv_image_disk *image_of(struct lv_disk *disk)
{
    return lv_container(disk, struct lv_image_disk, disk);
}

static struct entry *find(const struct directory *directory, const char *name)
{
    for (size_t i = 0; i < directory->count; i++) {
        if (strcmp(directory->entries[i].name, name) == 0)
            return &directory->entries[i];
    }
    return NULL;
}

static void set_name(char to[LV_DISK_NAME_SIZE], const char *name)
{
    int size = snprintf(to, LV_DISK_NAME_SIZE, "%s", name);

    assert(size > 0);
    assert((size_t)size < LV_DISK_NAME_SIZE);
    assert(strchr(name, '/') == NULL);
    (void)size;
}

static void add_entry(struct directory *directory, const char *name, size_t file)
{
    assert(find(directory, name) == NULL);
    if (directory->count == directory->capacity) {
        directory->capacity = directory->capacity * 2 + 8;
        directory->entries =
            must(realloc(directory->entries, directory->capacity * sizeof *directory->entries));
    }
    set_name(directory->entries[directory->count].name, name);
    directory->entries[directory->count++].file = file;
}

static void remove_entry(struct directory *directory, const char *name)
{
    struct entry *entry = find(directory, name);

    if (entry == NULL)
        return;
    assert(directory->count > 0);
    *entry = directory->entries[--directory->count];
}

static void apply_move(struct directory *directory, const struct move *move)
{
    remove_entry(directory, move->entry.name);
    if (move->op == LV_IMAGE_CREATE)
        add_entry(directory, move->entry.name, move->entry.file);
    if (move->op != LV_IMAGE_RENAME)
        return;
    assert(move->to[0] != '\0');
    remove_entry(directory, move->to);
    add_entry(directory, move->to, move->entry.file);
}

static void do_move(struct lv_image_disk *image, enum lv_image_op op, const struct entry *entry,
                    const char *to)
{
    struct move move = {.op = op, .entry = *entry};

    if (to != NULL)
        set_name(move.to, to);
    if (image->move_count == image->move_capacity) {
        image->move_capacity = image->move_capacity * 2 + 8;
        image->moves = must(realloc(image->moves, image->move_capacity * sizeof *image->moves));
    }
    image->moves[image->move_count++] = move;
    assert(image->move_count <= image->move_capacity);
    apply_move(&image->now, &move);
}

/* Frees files that can't be reached any more. */
static void sweep(struct lv_image_disk *image)
{
    bool *used = must(calloc(image->file_count + 1, sizeof *used));

    for (size_t i = 0; i < image->now.count; i++)
        used[image->now.entries[i].file] = true;
    for (size_t i = 0; i < image->durable.count; i++)
        used[image->durable.entries[i].file] = true;
    for (size_t i = 0; i < image->move_count; i++)
        used[image->moves[i].entry.file] = true;
    for (size_t i = 0; i < OPEN_MAX; i++) {
        if (image->open[i] != 0)
            used[image->open[i] - 1] = true;
    }
    for (size_t i = 0; i < image->file_count; i++) {
        if (used[i] || image->files[i] == NULL)
            continue;
        lv_image_file_fini(image->files[i]);
        free(image->files[i]);
        image->files[i] = NULL;
    }
    free(used);
    assert(image->move_count <= image->move_capacity);
}

static size_t add_file(struct lv_image_disk *image)
{
    size_t index = 0;

    while (index < image->file_count && image->files[index] != NULL)
        index++;
    if (index == image->file_count) {
        image->file_count++;
        image->files = must(realloc(image->files, image->file_count * sizeof(*image->files)));
    }
    image->files[index] = must(calloc(1, sizeof **image->files));
    assert(index < image->file_count);
    return index;
}

static struct lv_image_file *open_file(struct lv_image_disk *image, int handle)
{
    assert(handle >= 0);
    assert((size_t)handle < OPEN_MAX);
    assert(image->open[handle] != 0);
    return image->files[image->open[handle] - 1];
}

static uint64_t used_size(const struct lv_image_disk *image)
{
    uint64_t size = 0;

    for (size_t i = 0; i < image->file_count; i++)
        size += image->files[i] == NULL ? 0 : image->files[i]->now.size;
    assert(image->file_count > 0 || size == 0);
    return size;
}

static int count_one(struct lv_image_disk *image, enum lv_image_op op)
{
    struct fault *fault = &image->faults[op];
    uint64_t count = ++image->counts[op];

    if (fault->at == 0 || count < fault->at || (count > fault->at && !fault->forever))
        return 0;
    assert(fault->error < 0);
    return fault->error;
}

static bool is_change(enum lv_image_op op)
{
    return op != LV_IMAGE_OPEN && op != LV_IMAGE_READ;
}

/* Tells who watches, then holds the lock. Not 0: this one fails. */
static int begin(struct lv_image_disk *image, enum lv_image_op op)
{
    int rc, any = 0;

    assert(op < LV_IMAGE_CHANGE);
    if (image->watch != NULL && is_change(op))
        image->watch(image->watch_ctx, op);
    lock(image);
    rc = count_one(image, op);
    if (is_change(op))
        any = count_one(image, LV_IMAGE_CHANGE);
    return rc != 0 ? rc : any;
}

static size_t free_handle(const struct lv_image_disk *image)
{
    size_t handle = 0;

    while (handle < OPEN_MAX && image->open[handle] != 0)
        handle++;
    assert(handle < OPEN_MAX); /* a test that opens so many forgets to close */
    return handle;
}

static int disk_open(struct lv_disk *disk, const char *name, bool create, int *ret_file)
{
    struct lv_image_disk *image = image_of(disk);
    int rc = begin(image, create ? LV_IMAGE_CREATE : LV_IMAGE_OPEN);
    struct entry *found = find(&image->now, name), added = {.file = 0};
    size_t handle;

    if (rc == 0 && found == NULL && !create)
        rc = -LV_E_NOT_FOUND;
    if (rc < 0)
        goto done;
    handle = free_handle(image);
    if (found == NULL) {
        set_name(added.name, name);
        added.file = add_file(image);
        do_move(image, LV_IMAGE_CREATE, &added, NULL);
    } else if (create) {
        lv_image_file_empty(image->files[found->file]);
    }
    image->open[handle] = 1 + (found == NULL ? added.file : found->file);
    *ret_file = (int)handle;
done:
    unlock(image);
    return rc;
}

static void disk_close(struct lv_disk *disk, int file)
{
    struct lv_image_disk *image = image_of(disk);

    lock(image);
    assert(open_file(image, file) != NULL);
    image->open[file] = 0;
    sweep(image);
    unlock(image);
}

static int disk_read(struct lv_disk *disk, int file, uint64_t offset, void *buffer, size_t size,
                     size_t *ret_size)
{
    struct lv_image_disk *image = image_of(disk);
    int rc = begin(image, LV_IMAGE_READ);

    assert(buffer != NULL || size == 0);
    if (rc == 0)
        *ret_size = lv_image_bytes_get(&open_file(image, file)->now, offset, buffer, size);
    unlock(image);
    return rc;
}

/* As much of it as the disk has room for. */
static size_t fitting(const struct lv_image_disk *image, const struct lv_image_file *file,
                      uint64_t offset, size_t size)
{
    uint64_t used = used_size(image);
    uint64_t end = file->now.size + (used < image->limit ? image->limit - used : 0);

    if (offset + size <= end)
        return size;
    assert(end >= file->now.size);
    return offset < end ? (size_t)(end - offset) : 0;
}

/* What a write that fails has done: some of its sectors. */
static size_t part_of(struct lv_image_disk *image, uint64_t offset, size_t size)
{
    uint64_t end = offset + lv_random_below(&image->random, size + LV_IMAGE_SECTOR_SIZE);

    end = end / LV_IMAGE_SECTOR_SIZE * LV_IMAGE_SECTOR_SIZE;
    if (end < offset)
        return 0;
    assert(size > 0 || end == offset);
    return end - offset < size ? (size_t)(end - offset) : size;
}

static int disk_write(struct lv_disk *disk, int handle, uint64_t offset, struct lv_bytes bytes)
{
    struct lv_image_disk *image = image_of(disk);
    int rc = begin(image, LV_IMAGE_WRITE);
    struct lv_image_file *file = open_file(image, handle);
    size_t size = fitting(image, file, offset, bytes.size);

    assert(size <= bytes.size);
    if (rc < 0)
        size = part_of(image, offset, size);
    else if (size < bytes.size)
        rc = -LV_E_FULL;
    lv_image_file_write(file, offset, lv_bytes(bytes.data, size));
    unlock(image);
    return rc;
}

/* An image is what a crash may leave of it, which is the same with and without. */
static void disk_write_back(struct lv_disk *base, int file, uint64_t offset, uint64_t size)
{
    (void)base;
    (void)file;
    (void)offset;
    (void)size;
}

static int disk_sync(struct lv_disk *disk, int handle)
{
    struct lv_image_disk *image = image_of(disk);
    int rc = begin(image, LV_IMAGE_SYNC);
    struct lv_image_file *file = open_file(image, handle);

    assert(file != NULL);
    if (rc < 0)
        lv_image_file_fail_sync(file, &image->random);
    else
        lv_image_file_sync(file);
    unlock(image);
    return rc;
}

static int disk_size(struct lv_disk *disk, int file, uint64_t *ret_size)
{
    struct lv_image_disk *image = image_of(disk);

    lock(image);
    assert(ret_size != NULL);
    *ret_size = open_file(image, file)->now.size;
    unlock(image);
    return 0;
}

static int move_file(struct lv_disk *disk, enum lv_image_op op, const char *name, const char *to)
{
    struct lv_image_disk *image = image_of(disk);
    int rc = begin(image, op);
    struct entry *found = find(&image->now, name), entry;

    assert(to == NULL || op == LV_IMAGE_RENAME);
    if (rc == 0 && found == NULL)
        rc = -LV_E_NOT_FOUND;
    if (rc == 0 && (to == NULL || strcmp(name, to) != 0)) {
        entry = *found;
        do_move(image, op, &entry, to);
    }
    unlock(image);
    return rc;
}

static int disk_rename(struct lv_disk *disk, const char *from, const char *to)
{
    return move_file(disk, LV_IMAGE_RENAME, from, to);
}

static int disk_remove(struct lv_disk *disk, const char *name)
{
    return move_file(disk, LV_IMAGE_REMOVE, name, NULL);
}

static int disk_sync_directory(struct lv_disk *disk)
{
    struct lv_image_disk *image = image_of(disk);
    int rc = begin(image, LV_IMAGE_SYNC_DIRECTORY);

    if (rc == 0) {
        for (size_t i = 0; i < image->move_count; i++)
            apply_move(&image->durable, &image->moves[i]);
        image->move_count = 0;
        assert(image->durable.count == image->now.count);
        sweep(image);
    }
    unlock(image);
    return rc;
}

static struct directory copy_directory(const struct directory *from)
{
    struct directory to = {.entries = NULL};

    for (size_t i = 0; i < from->count; i++)
        add_entry(&to, from->entries[i].name, from->entries[i].file);
    assert(to.count == from->count);
    return to;
}

/* Over a copy, since `each` may create and remove files. */
static int disk_list(struct lv_disk *disk, lv_disk_each_fn *each, void *ctx)
{
    struct lv_image_disk *image = image_of(disk);
    struct directory copy;
    int rc = 0;

    lock(image);
    copy = copy_directory(&image->now);
    unlock(image);
    assert(each != NULL);
    for (size_t i = 0; rc == 0 && i < copy.count; i++)
        rc = each(ctx, copy.entries[i].name);
    free(copy.entries);
    return rc;
}

static int disk_free_space(struct lv_disk *disk, uint64_t *ret_size)
{
    struct lv_image_disk *image = image_of(disk);
    uint64_t used;

    lock(image);
    assert(ret_size != NULL);
    used = used_size(image);
    *ret_size = used < image->limit ? image->limit - used : 0;
    unlock(image);
    return 0;
}

static const struct lv_disk_ops image_ops = {
    .open = disk_open,
    .close = disk_close,
    .read = disk_read,
    .write = disk_write,
    .sync = disk_sync,
    .write_back = disk_write_back,
    .size = disk_size,
    .rename = disk_rename,
    .remove = disk_remove,
    .sync_directory = disk_sync_directory,
    .list = disk_list,
    .free_space = disk_free_space,
};

struct lv_image_disk *lv_image_disk_new(uint64_t seed)
{
    struct lv_image_disk *image = must(calloc(1, sizeof *image));

    image->disk.ops = &image_ops;
    image->limit = DEFAULT_MAX;
    atomic_flag_clear(&image->lock);
    lv_random_seed(&image->random, seed);
    assert(image->watch == NULL);
    return image;
}

void lv_image_disk_free(struct lv_image_disk *image)
{
    if (image == NULL)
        return;
    for (size_t i = 0; i < image->file_count; i++) {
        if (image->files[i] != NULL)
            lv_image_file_fini(image->files[i]);
        free(image->files[i]);
    }
    assert(image->now.count <= image->now.capacity);
    free(image->files);
    free(image->now.entries);
    free(image->durable.entries);
    free(image->moves);
    free(image);
}

struct lv_disk *lv_image_disk_view(struct lv_image_disk *image)
{
    assert(image->disk.ops == &image_ops);
    return &image->disk;
}

/* A file that is durable as it is. */
static void adopt(struct lv_image_disk *copy, const char *name, struct lv_image_bytes *bytes)
{
    size_t index = add_file(copy);

    copy->files[index]->durable = *bytes;
    lv_image_bytes_share(&copy->files[index]->now, bytes);
    add_entry(&copy->now, name, index);
    add_entry(&copy->durable, name, index);
    assert(copy->now.count == copy->durable.count);
}

struct lv_image_disk *lv_image_disk_crash(struct lv_image_disk *image, uint64_t seed)
{
    struct lv_image_disk *left = lv_image_disk_new(seed);
    struct directory directory;
    size_t done;

    lock(image);
    directory = copy_directory(&image->durable);
    done = (size_t)lv_random_below(&left->random, image->move_count + 1);
    if (lv_random_below(&left->random, 2) == 0)
        done = image->move_count; /* as a file system does that is in no hurry to lose them */
    for (size_t i = 0; i < done; i++)
        apply_move(&directory, &image->moves[i]);
    for (size_t i = 0; i < directory.count; i++) {
        struct lv_image_bytes bytes = {0};

        lv_image_file_draw(image->files[directory.entries[i].file], &left->random, &bytes);
        adopt(left, directory.entries[i].name, &bytes);
    }
    left->limit = image->limit;
    unlock(image);
    free(directory.entries);
    assert(left->move_count == 0);
    return left;
}

struct lv_image_disk *lv_image_disk_copy(struct lv_image_disk *image)
{
    struct lv_image_disk *copy = lv_image_disk_new(0);

    lock(image);
    for (size_t i = 0; i < image->now.count; i++) {
        struct lv_image_bytes bytes = {0};

        lv_image_bytes_share(&bytes, &image->files[image->now.entries[i].file]->now);
        adopt(copy, image->now.entries[i].name, &bytes);
    }
    copy->limit = image->limit;
    unlock(image);
    assert(copy->move_count == 0);
    return copy;
}

void lv_image_disk_watch(struct lv_image_disk *image, lv_image_watch_fn *watch, void *ctx)
{
    lock(image);
    image->watch = watch;
    image->watch_ctx = ctx;
    assert(watch != NULL || ctx == NULL);
    unlock(image);
}

uint64_t lv_image_disk_count(struct lv_image_disk *image, enum lv_image_op op)
{
    uint64_t count;

    assert(op < LV_IMAGE_OP_COUNT);
    lock(image);
    count = image->counts[op];
    unlock(image);
    return count;
}

void lv_image_disk_fail(struct lv_image_disk *image, enum lv_image_op op, uint64_t after, int error,
                        bool forever)
{
    assert(op < LV_IMAGE_OP_COUNT);
    assert(error < 0 || after == 0);
    lock(image);
    image->faults[op] = (struct fault){
        .at = after == 0 ? 0 : image->counts[op] + after, .error = error, .forever = forever};
    unlock(image);
}

void lv_image_disk_limit(struct lv_image_disk *image, uint64_t size)
{
    lock(image);
    assert(size <= DEFAULT_MAX);
    image->limit = size;
    unlock(image);
}

/* The file, with nothing that waits for a sync. NULL: there is none. */
static struct lv_image_file *settled(struct lv_image_disk *image, const char *name)
{
    const struct entry *entry = find(&image->now, name);
    struct lv_image_file *file = entry == NULL ? NULL : image->files[entry->file];

    assert(name[0] != '\0');
    if (file != NULL)
        lv_image_file_sync(file);
    return file;
}

int lv_image_disk_flip(struct lv_image_disk *image, const char *name, uint64_t offset, uint8_t bits)
{
    struct lv_image_file *file;
    uint8_t byte;

    lock(image);
    file = settled(image, name);
    if (file != NULL) {
        size_t size = lv_image_bytes_get(&file->now, offset, &byte, 1);

        assert(size == 1);
        byte = (uint8_t)(byte ^ bits);
        lv_image_file_write(file, offset, lv_bytes(&byte, size));
        lv_image_file_sync(file);
    }
    unlock(image);
    return file == NULL ? -LV_E_NOT_FOUND : 0;
}

int lv_image_disk_zero(struct lv_image_disk *image, const char *name, uint64_t offset,
                       uint64_t size)
{
    static const uint8_t zeros[4096];
    struct lv_image_file *file;

    lock(image);
    file = settled(image, name);
    while (file != NULL && size > 0) {
        size_t part = size < sizeof zeros ? (size_t)size : sizeof zeros;

        lv_image_file_write(file, offset, lv_bytes(zeros, part));
        offset += part;
        size -= part;
    }
    if (file != NULL)
        lv_image_file_sync(file);
    unlock(image);
    assert(size == 0 || file == NULL);
    return file == NULL ? -LV_E_NOT_FOUND : 0;
}

int lv_image_disk_resize(struct lv_image_disk *image, const char *name, uint64_t size)
{
    struct lv_image_file *file;

    assert(size <= DEFAULT_MAX);
    lock(image);
    file = settled(image, name);
    if (file != NULL) {
        lv_image_bytes_resize(&file->now, size);
        lv_image_bytes_resize(&file->durable, size);
    }
    unlock(image);
    return file == NULL ? -LV_E_NOT_FOUND : 0;
}

void lv_image_disk_put(struct lv_image_disk *image, const char *name, struct lv_bytes data)
{
    struct lv_image_file *file;

    assert(data.data != NULL || data.size == 0);
    lock(image);
    file = settled(image, name);
    if (file == NULL) {
        struct lv_image_bytes empty = {0};

        adopt(image, name, &empty);
        file = settled(image, name);
    }
    lv_image_file_empty(file);
    lv_image_file_write(file, 0, data);
    lv_image_file_sync(file);
    unlock(image);
}
