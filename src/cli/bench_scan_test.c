#include "cli/bench_scan.h"

#include "codec/amqp091/content.h"
#include "codec/amqp091/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* What the scanner told, as text. */
struct told {
    char text[2048];
    size_t used;
};

/* Bytes that a broker sends. */
struct stream {
    uint8_t data[65536];
    size_t size;
};

static void note(void *ctx, const struct lv_scan *scan)
{
    struct told *told = ctx;
    int size =
        snprintf(told->text + told->used, sizeof told->text - told->used, "%d%s:%d/%llx/%llx ",
                 (int)scan->tag, scan->redelivered ? "r" : "", (int)scan->body_size,
                 (unsigned long long)scan->identity, (unsigned long long)scan->stamp);

    assert_true(size > 0 && told->used + (size_t)size < sizeof told->text);
    told->used += (size_t)size;
}

static void put_frame(struct stream *stream, uint8_t type, struct lv_bytes payload)
{
    uint8_t *p = stream->data + stream->size;

    assert_true(stream->size + payload.size + 8 <= sizeof stream->data);
    p = lv_amqp091_frame_head_encode(p, type, 1, payload.size);
    p = lv_put8(lv_put_bytes(p, payload), LV_AMQP091_FRAME_END);
    stream->size = (size_t)(p - stream->data);
}

static void put_method(struct stream *stream, const struct lv_amqp091_method *method)
{
    uint8_t *p = stream->data + stream->size;

    stream->size += (size_t)(lv_amqp091_frame_encode_method(method, 1, p) - p);
    assert_true(stream->size <= sizeof stream->data);
}

/* A delivery whose body comes in frames of at most `most` bytes. */
static void put_delivery(struct stream *stream, uint64_t tag, struct lv_bytes body, size_t most)
{
    const struct lv_amqp091_method deliver = {.id = LV_AMQP091_BASIC_DELIVER,
                                              .basic_deliver = {.consumer_tag = lv_text("some-tag"),
                                                                .delivery_tag = tag,
                                                                .redelivered = tag % 3 == 0,
                                                                .routing_key = lv_text("key")}};
    const struct lv_amqp091_content content = {body.size, lv_bytes("\x10\0\1", 3)};
    uint8_t header[64];

    put_method(stream, &deliver);
    put_frame(stream, LV_AMQP091_FRAME_HEADER,
              lv_bytes(header, (size_t)(lv_amqp091_content_encode(&content, header) - header)));
    for (size_t at = 0; at < body.size; at += most)
        put_frame(stream, LV_AMQP091_FRAME_BODY,
                  lv_bytes(body.data + at, body.size - at < most ? body.size - at : most));
}

/* Bodies that begin with a number and a stamp, of many sizes and in many frames. */
static void put_all(struct stream *stream)
{
    static const struct lv_amqp091_method consume_ok = {.id = LV_AMQP091_BASIC_CONSUME_OK};
    static uint8_t body[5000];
    const uint64_t head[2] = {0x1234, 0x777};

    memcpy(body, head, sizeof head);
    put_method(stream, &consume_ok);
    put_delivery(stream, 1, lv_bytes(body, 16), 4096);
    put_delivery(stream, 2, lv_bytes(body, 0), 4096);
    put_delivery(stream, 3, lv_bytes(body, 8), 4096);
    put_frame(stream, LV_AMQP091_FRAME_HEARTBEAT, lv_bytes(NULL, 0));
    put_delivery(stream, 4, lv_bytes(body, 5000), 1000);
    put_delivery(stream, 5, lv_bytes(body, 1000), 1000);
    put_delivery(stream, 6, lv_bytes(body, 3), 1000);
}

static const char all[] = "1:16/1234/777 2:0/ffffffffffffffff/0 3r:8/1234/0 4:5000/1234/777 "
                          "5:1000/1234/777 6r:3/ffffffffffffffff/0 ";

/* Feeds the stream in pieces, keeping what is left as a reader would. */
static int feed(struct lv_scan *scan, const struct stream *stream, size_t step,
                struct lv_diag *diag)
{
    size_t used = 0, come = 0;

    while (come < stream->size) {
        ssize_t rc;

        come = come + step < stream->size ? come + step : stream->size;
        rc = lv_scan_input(scan, lv_bytes(stream->data + used, come - used), diag);
        if (rc < 0)
            return (int)rc;
        used += (size_t)rc;
    }
    assert_int_equal(used, stream->size);
    return 0;
}

static void a_split_at_any_byte_changes_nothing(void **state)
{
    static struct stream stream;

    (void)state;
    stream.size = 0;
    put_all(&stream);
    for (size_t step = 1; step <= stream.size; step += step < 100 ? 1 : 97) {
        struct told told = {.used = 0};
        struct lv_scan scan = {.message = note, .ctx = &told};

        assert_int_equal(feed(&scan, &stream, step, NULL), 0);
        assert_string_equal(told.text, all);
    }
}

static void unwanted_bytes_may_be_dropped_unread(void **state)
{
    static struct stream stream;
    struct told told = {.used = 0};
    struct lv_scan scan = {.message = note, .ctx = &told};
    size_t at = 0, dropped = 0;

    (void)state;
    stream.size = 0;
    put_all(&stream);
    while (at < stream.size) {
        size_t unwanted = lv_scan_unwanted(&scan);
        size_t size = stream.size - at < 40 ? stream.size - at : 40;

        if (unwanted > 0) {
            lv_scan_dropped(&scan, unwanted);
            dropped += unwanted;
            at += unwanted;
            continue;
        }
        for (;; size++) { /* more and more, until a frame is there */
            ssize_t used = lv_scan_input(&scan, lv_bytes(stream.data + at, size), NULL);

            assert_true(used >= 0);
            at += (size_t)used;
            if (used > 0)
                break;
        }
    }
    assert_true(dropped > 4000);
    assert_string_equal(told.text, all);
}

static void what_ends_consuming_is_named(void **state)
{
    static const struct {
        struct lv_amqp091_method method;
        const char *word;
    } ends[] = {
        {{.id = LV_AMQP091_BASIC_CANCEL}, "cancelled"},
        {{.id = LV_AMQP091_CHANNEL_CLOSE,
          .channel_close = {.reply_code = 404, .reply_text = {(const uint8_t *)"gone", 4}}},
         "gone"},
        {{.id = LV_AMQP091_CONNECTION_CLOSE,
          .connection_close = {.reply_code = 320, .reply_text = {(const uint8_t *)"stop", 4}}},
         "stop"},
    };

    (void)state;
    for (size_t i = 0; i < LV_COUNT(ends); i++) {
        static struct stream stream;
        struct told told = {.used = 0};
        struct lv_scan scan = {.message = note, .ctx = &told};
        struct lv_diag diag = {.text = ""};

        stream.size = 0;
        put_method(&stream, &ends[i].method);
        assert_int_equal(feed(&scan, &stream, sizeof stream.data, &diag), -LV_E_CLOSED);
        assert_non_null(strstr(diag.text, ends[i].word));
    }
}

static void broken_frames_are_errors(void **state)
{
    static struct stream stream;

    (void)state;
    for (size_t i = 0; i < 2; i++) { /* a method's end, and its size */
        struct told told = {.used = 0};
        struct lv_scan scan = {.message = note, .ctx = &told};

        stream.size = 0;
        put_delivery(&stream, 1, lv_text("0123456789abcdef"), 100);
        stream.data[i == 0 ? lv_get32(stream.data + 3) + 7 : 3] = 0x7f;
        assert_true(feed(&scan, &stream, sizeof stream.data, NULL) < 0);
        assert_int_equal(told.used, 0);
    }
    for (size_t i = 0; i < 2; i++) { /* a body's end, and a body that is too long */
        struct told told = {.used = 0};
        struct lv_scan scan = {.message = note, .ctx = &told};

        stream.size = 0;
        put_delivery(&stream, 1, lv_text("0123456789abcdef"), 100);
        if (i == 0) {
            stream.data[stream.size - 1] = 0;
        } else {
            stream.size -= 24;
            put_frame(&stream, LV_AMQP091_FRAME_BODY, lv_text("0123456789abcdefg"));
        }
        assert_int_equal(feed(&scan, &stream, sizeof stream.data, NULL), -LV_E_BAD_FRAME);
        assert_int_equal(told.used, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_split_at_any_byte_changes_nothing),
        cmocka_unit_test(unwanted_bytes_may_be_dropped_unread),
        cmocka_unit_test(what_ends_consuming_is_named),
        cmocka_unit_test(broken_frames_are_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
