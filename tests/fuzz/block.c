/*
 * A block's records and the head of a log file, from any bytes: sizes and counts are believed only
 * as far as the bytes go, and what is shown lies in them. The first byte says which of the two it
 * is, and whether the checks are made to fit.
 */
#include "base/bytes.h"
#include "base/hash.h"
#include "store/image_disk.h"
#include "store/logfile.h"
#include "store/logfile_block.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct walk {
    const uint8_t *end; /* view */
    uint32_t count;
};

static int see_record(void *ctx, uint64_t lsn, const struct lv_record_head *head,
                      const uint8_t *payload)
{
    struct walk *walk = ctx;
    uint32_t sum = 0;

    assert(lsn % 8 == 0);
    assert((size_t)(walk->end - payload) >= head->size);
    for (uint32_t i = 0; i < head->size; i++)
        sum += payload[i];
    walk->count += 1 + (sum & 0); /* all of it was read */
    return 0;
}

static void check_block(struct lv_bytes input, bool fits)
{
    struct lv_logfile_view view = {.data = input.data, .size = input.size, .lsn = 1u << 20};
    uint8_t *bytes = malloc(input.size);
    struct lv_block_head head;
    struct walk walk = {.end = bytes + input.size};
    uint64_t at;
    int rc;

    assert(bytes != NULL || input.size == 0);
    if (input.size >= sizeof head) {
        memcpy(bytes, input.data, input.size);
        memcpy(&head, bytes, sizeof head);
        if (fits) {
            head.lsn = view.lsn;
            head.previous %= view.lsn;
            head.synced %= view.lsn;
            head.size = (uint32_t)input.size & ~7u;
            memcpy(bytes, &head, sizeof head);
            head.hash = lv_block_hash(bytes, head.size, 1);
            memcpy(bytes, &head, sizeof head);
        }
        view.data = bytes;
        if (lv_block_is_valid(&view, 0, 1, &head)) {
            walk.end = bytes + head.size;
            rc = lv_block_each(&head, bytes, see_record, &walk);
            assert(rc == 0 || rc == -LV_E_CORRUPT);
            assert(rc < 0 || walk.count == head.count);
            assert(lv_block_each(&head, bytes, NULL, NULL) == rc);
        }
        at = lv_block_search(&view, 0, &head);
        assert(at == UINT64_MAX || at + sizeof head <= input.size);
    }
    free(bytes);
}

static void check_head(struct lv_bytes input, bool fits)
{
    struct lv_image_disk *image = lv_image_disk_new(1);
    struct lv_log_head head = {.version = 0};
    struct lv_logfile file;
    struct lv_diag diag = {""};
    int rc;

    memcpy(&head, input.data, input.size < sizeof head ? input.size : sizeof head);
    if (fits) {
        memcpy(head.magic, LV_LOG_MAGIC, sizeof head.magic);
        head.check = lv_xxh3(&head, offsetof(struct lv_log_head, check), 0);
    }
    lv_image_disk_put(image, "log-00-00000005", lv_bytes(&head, sizeof head));
    rc = lv_logfile_read_head(lv_image_disk_view(image), "log-00-00000005", &file, &diag);
    assert(rc == 0 || rc == -LV_E_NOT_FOUND || rc == -LV_E_CORRUPT || rc == -LV_E_VERSION);
    assert(rc == 0 || diag.text[0] != '\0');
    assert(rc < 0 || (file.head.number == 5 && file.head.file_size >= LV_LOG_FILE_SIZE));
    lv_image_disk_free(image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] & 1)
        check_head(lv_bytes(data + 1, size - 1), (data[0] & 2) != 0);
    else
        check_block(lv_bytes(data + 1, size - 1), (data[0] & 2) != 0);
    return 0;
}
