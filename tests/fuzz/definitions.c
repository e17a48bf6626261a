/*
 * Definitions as somebody may have edited them: what is read is written, read again and written
 * again as the very same bytes, and a plan to bring a broker there that is there has no steps.
 */
#include "admin/definitions_plan.h"
#include "admin/definitions_read.h"
#include "admin/definitions_write.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct text {
    uint8_t *data; /* own */
    size_t size, capacity;
};

static void put(void *ctx, struct lv_bytes bytes)
{
    struct text *text = ctx;

    if (text->capacity - text->size < bytes.size) {
        text->capacity = 2 * text->capacity + bytes.size;
        text->data = realloc(text->data, text->capacity);
        assert(text->data != NULL);
    }
    lv_put_bytes(text->data + text->size, bytes);
    text->size += bytes.size;
}

static struct text write_list(const struct lv_definitions *list)
{
    struct text text = {.data = NULL};
    const struct lv_json json = {.put = put, .ctx = &text};

    lv_definitions_write(list, "4.1.0", &json);
    return text;
}

static void check_again(const struct lv_definitions *list)
{
    struct text text = write_list(list), second;
    struct lv_definitions again = {.items = NULL};
    struct lv_diag diag;
    int rc = lv_definitions_read(lv_bytes(text.data, text.size), &again, &diag);

    assert(rc == 0);
    assert(again.note_count == 0);
    second = write_list(&again);
    assert(second.size == text.size);
    assert(memcmp(second.data, text.data, text.size) == 0);
    lv_definitions_fini(&again);
    free(second.data);
    free(text.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lv_definitions list = {.items = NULL};
    struct lv_plan plan = {.steps = NULL};
    struct lv_diag diag = {""};
    int rc = lv_definitions_read(lv_bytes(data, size), &list, &diag);

    if (rc < 0) {
        assert(rc == -LV_E_SYNTAX || rc == -LV_E_NOMEM);
        assert(diag.text[0] != '\0');
        return 0;
    }
    lv_definitions_prune(&list);
    rc = lv_plan_make(&list, &list, &plan, &diag);
    assert(rc == 0);
    assert(plan.count == 0);
    check_again(&list);
    lv_plan_fini(&plan);
    lv_definitions_fini(&list);
    return 0;
}
