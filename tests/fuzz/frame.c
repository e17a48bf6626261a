/*
 * Frames of a stream, cut wherever they come: each prefix of a frame asks for more or fails as the
 * whole does, and what was read is written again byte for byte. The eight bytes before the first
 * frame are classified as well.
 */
#include "codec/amqp091/frame.h"

#include <stdlib.h>

#define FRAME_MAX 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* With fewer bytes the answer is "more", up to where an error becomes known, and then it stays. */
static void check_prefixes(struct lv_bytes input, int whole)
{
    size_t end = whole > 0 ? (size_t)whole : input.size;
    struct lv_amqp091_frame frame;
    bool failed = false;

    for (size_t size = 0; size < end; size++) {
        int rc = lv_amqp091_frame_decode(lv_bytes(input.data, size), FRAME_MAX, &frame, NULL);
        assert(rc == 0 || rc == whole);
        assert(rc < 0 || !failed);
        failed = rc < 0;
    }
}

static void check_rewritten(struct lv_bytes input, int used, const struct lv_amqp091_frame *frame)
{
    uint8_t *out = malloc((size_t)used);
    uint8_t *p;

    assert(out != NULL);
    p = lv_amqp091_frame_head_encode(out, frame->type, frame->channel, frame->payload.size);
    p = lv_put_bytes(p, frame->payload);
    p = lv_put8(p, LV_AMQP091_FRAME_END);
    assert(p == out + used);
    assert(memcmp(out, input.data, (size_t)used) == 0);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lv_bytes input = lv_bytes(data, size);
    enum lv_amqp091_header header;
    struct lv_amqp091_frame frame;
    struct lv_diag diag;
    int used;

    if (lv_amqp091_header_decode(input, &header) > 0)
        (void)lv_amqp091_header_reply(header);
    for (;;) {
        used = lv_amqp091_frame_decode(input, FRAME_MAX, &frame, &diag);
        check_prefixes(input, used);
        if (used <= 0)
            return 0;
        check_rewritten(input, used, &frame);
        input = lv_bytes(input.data + used, input.size - (size_t)used);
    }
}
