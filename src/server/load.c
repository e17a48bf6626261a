#include "server/load.h"

#include "admin/definitions_plan.h"
#include "admin/definitions_read.h"
#include "admin/gather.h"
#include "base/alloc.h"
#include "base/event.h"
#include "broker/core.h"
#include "broker/restore.h"
#include "server/shard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int cant_read(const char *path, struct lv_diag *diag, const char *why)
{
    assert(why != NULL);
    return lv_fail(diag, -LV_E_IO, "load_definitions: %s can't be read: %s", path, why);
}

/* Into `text`, which has room for `size`. */
static int read_all(int fd, uint8_t *text, size_t size)
{
    assert(fd >= 0);
    while (size > 0) {
        ssize_t count = read(fd, text, size);

        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return -LV_E_IO;
        text += count;
        size -= (size_t)count;
    }
    return 0;
}

/* Gives (lv_free) what is in the file. */
static int read_file(const char *path, uint8_t **ret_text, size_t *ret_size, struct lv_diag *diag)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat stat = {.st_size = 0};
    uint8_t *text = NULL;
    size_t size;
    int rc;

    if (fd < 0)
        return cant_read(path, diag, strerror(errno));
    rc = fstat(fd, &stat);
    size = (size_t)stat.st_size;
    if (rc < 0 || !S_ISREG(stat.st_mode))
        rc = cant_read(path, diag, "it is no file");
    else if (size > LV_DEFINITIONS_SIZE_MAX)
        rc = cant_read(path, diag, "it is larger than 20 MiB");
    else if ((text = lv_alloc(size)) == NULL)
        rc = cant_read(path, diag, "out of memory");
    else if (read_all(fd, text, size) < 0)
        rc = cant_read(path, diag, "it ends early");
    close(fd);
    assert(rc <= 0);
    if (rc < 0) {
        lv_free(text);
        return rc;
    }
    *ret_text = text;
    *ret_size = size;
    return 0;
}

/* All that the first shard knows, which is what all know. */
static int gather(const struct lv_shared *shared, struct lv_gather *gather)
{
    struct lv_slice slice = {.shard = 0};
    int rc = 1;

    lv_gather_begin(gather, &slice);
    while (rc > 0) {
        lv_gather_fill(&slice, shared->shards[0]->broker);
        rc = lv_gather_take(gather, &slice);
    }
    assert(rc <= 0);
    lv_rows_fini(&slice.rows);
    return rc;
}

/* Every shard applies it, as if it had come by itself. */
static int make(struct lv_shared *shared, const struct lv_plan_step *step, struct lv_diag *diag)
{
    struct lv_change change = step->wanted->change;
    int rc = 0;

    assert(change.client == 0);
    if (change.kind == LV_CHANGE_QUEUE_DECLARE)
        lv_queue_place(shared->shards[0]->broker, &change);
    for (uint32_t i = 0; rc == 0 && i < shared->shard_count; i++)
        rc = lv_broker_begin_change(shared->shards[i]->broker, &change, diag);
    return rc;
}

static void log_notes(const struct lv_definitions *wanted)
{
    char text[sizeof(struct lv_diag)];

    assert(wanted->is_sorted);
    for (size_t i = 0; i < wanted->note_count && i < LV_DEFINITIONS_NOTES_MAX; i++) {
        snprintf(text, sizeof text, "%.*s", LV_FMT(wanted->notes[i]));
        lv_event(LV_WARN, "definitions.left_out", LV_S("what", text));
    }
    if (wanted->note_count > LV_DEFINITIONS_NOTES_MAX)
        lv_event(LV_WARN, "definitions.left_out",
                 LV_U("more", wanted->note_count - LV_DEFINITIONS_NOTES_MAX));
}

static int import(struct lv_shared *shared, struct lv_bytes text, struct lv_gather *current,
                  struct lv_diag *diag)
{
    struct lv_definitions wanted = {.items = NULL};
    struct lv_plan plan = {.steps = NULL};
    int rc = lv_definitions_read(text, &wanted, diag);

    if (rc < 0)
        return rc;
    rc = lv_plan_make(&current->list, &wanted, &plan, diag);
    for (size_t i = 0; rc == 0 && i < plan.count; i++)
        rc = make(shared, &plan.steps[i], diag);
    if (rc == 0) {
        log_notes(&wanted);
        lv_event(LV_INFO, "definitions.loaded", LV_U("changes", plan.count));
    }
    assert(rc <= 0);
    lv_plan_fini(&plan);
    lv_definitions_fini(&wanted);
    return rc;
}

int lv_load_definitions(struct lv_shared *shared, const char *path, struct lv_diag *diag)
{
    struct lv_gather current = {.at = 0};
    struct lv_diag why = {"out of memory"};
    uint8_t *text = NULL;
    size_t size = 0;
    int rc = read_file(path, &text, &size, diag);

    if (rc < 0)
        return rc;
    assert(text != NULL);
    rc = gather(shared, &current);
    if (rc == 0)
        rc = import(shared, lv_bytes(text, size), &current, &why);
    assert(rc <= 0);
    lv_gather_fini(&current);
    explicit_bzero(text, size);
    lv_free(text);
    return rc < 0 ? lv_fail(diag, rc, "load_definitions: %.100s: %.380s", path, why.text) : 0;
}
