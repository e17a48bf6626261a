/* What the writer and the readers of the log compute alike. */
#include "base/hash.h"
#include "store/logfile.h"

#include <string.h>

uint64_t lv_block_hash(const uint8_t *bytes, uint32_t size, uint64_t seed)
{
    assert(size >= sizeof(struct lv_block_head));
    return lv_xxh3(bytes + sizeof(uint64_t), size - sizeof(uint64_t), seed);
}

void lv_log_head_seal(struct lv_log_head *head)
{
    assert(head->file_size % 4096 == 0);
    memcpy(head->magic, LV_LOG_MAGIC, sizeof head->magic);
    head->version = LV_FORMAT_VERSION;
    head->check = lv_xxh3(head, offsetof(struct lv_log_head, check), 0);
}
