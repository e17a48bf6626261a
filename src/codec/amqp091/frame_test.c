#include "codec/amqp091/frame.h"

#include "codec/testing.h"

/* Feeds every prefix of `bytes` in a block of its own and expects "more". */
static void expect_more_at_every_split(struct lv_bytes bytes)
{
    for (size_t size = 0; size < bytes.size; size++) {
        uint8_t *copy = exact_copy(lv_bytes(bytes.data, size));
        struct lv_amqp091_frame frame;
        assert_int_equal(lv_amqp091_frame_decode(lv_bytes(copy, size), 4096, &frame, NULL), 0);
        lv_free(copy);
    }
}

static void decodes_each_type_of_frame(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        uint8_t type;
        uint16_t channel;
        const char *payload;
    } cases[] = {
        {"01 0001 00000004 0014000a ce", LV_AMQP091_FRAME_METHOD, 1, "0014000a"},
        {"02 0102 00000002 003c ce", LV_AMQP091_FRAME_HEADER, 0x0102, "003c"},
        {"03 ffff 00000003 'abc' ce", LV_AMQP091_FRAME_BODY, 0xffff, "'abc'"},
        {"08 0000 00000000 ce", LV_AMQP091_FRAME_HEARTBEAT, 0, ""},
    };

    for (size_t i = 0; i < LV_COUNT(cases); i++) {
        struct lv_bytes bytes = golden(cases[i].bytes);
        struct lv_amqp091_frame frame;
        assert_int_equal(lv_amqp091_frame_decode(bytes, 4096, &frame, NULL), bytes.size);
        assert_int_equal(frame.type, cases[i].type);
        assert_int_equal(frame.channel, cases[i].channel);
        assert_true(frame.payload.data == bytes.data + LV_AMQP091_FRAME_HEAD_SIZE);
        expect_more_at_every_split(bytes);
        assert_bytes_equal(frame.payload, golden(cases[i].payload));
    }
}

static void uses_one_frame_of_many(void **state)
{
    (void)state;
    struct lv_bytes bytes = golden("03 0001 00000001 61 ce 08 0000 00000000 ce");
    struct lv_amqp091_frame frame;
    int used = lv_amqp091_frame_decode(bytes, 4096, &frame, NULL);

    assert_int_equal(used, 9);
    assert_int_equal(frame.type, LV_AMQP091_FRAME_BODY);
    bytes = lv_bytes(bytes.data + used, bytes.size - (size_t)used);
    assert_int_equal(lv_amqp091_frame_decode(bytes, 4096, &frame, NULL), 8);
    assert_int_equal(frame.type, LV_AMQP091_FRAME_HEARTBEAT);
}

static void payload_may_exceed_the_limit_by_the_tolerance_only(void **state)
{
    (void)state;
    struct lv_amqp091_frame_head head = {.type = LV_AMQP091_FRAME_BODY, .size = 4096};
    struct lv_diag diag;

    assert_int_equal(lv_amqp091_frame_head_check(&head, 4096, &diag), 0);
    head.size = 4097;
    assert_int_equal(lv_amqp091_frame_head_check(&head, 4096, &diag), -LV_E_BAD_FRAME);
    assert_string_equal(diag.text, "type 3, all octets = <<>>: {frame_too_large,4097,4088}");
}

static void without_a_limit_a_frame_still_has_to_fit_an_int(void **state)
{
    (void)state;
    struct lv_amqp091_frame_head head = {.type = LV_AMQP091_FRAME_BODY, .size = INT32_MAX - 8};

    assert_int_equal(lv_amqp091_frame_head_check(&head, 0, NULL), 0);
    assert_int_equal(lv_amqp091_frame_head_check(&head, UINT32_MAX, NULL), 0);
    head.size++;
    assert_int_equal(lv_amqp091_frame_head_check(&head, 0, NULL), -LV_E_BAD_FRAME);
    assert_int_equal(lv_amqp091_frame_head_check(&head, UINT32_MAX, NULL), -LV_E_BAD_FRAME);
    head.size = UINT32_MAX;
    assert_int_equal(lv_amqp091_frame_head_check(&head, 0, NULL), -LV_E_BAD_FRAME);
}

static void too_large_is_known_from_the_head_alone(void **state)
{
    (void)state;
    struct lv_bytes head = golden("03 0001 00001001");
    struct lv_amqp091_frame frame;

    assert_int_equal(lv_amqp091_frame_decode(head, 4096, &frame, NULL), -LV_E_BAD_FRAME);
    head.size--;
    assert_int_equal(lv_amqp091_frame_decode(head, 4096, &frame, NULL), 0);
}

static void every_unknown_type_is_refused(void **state)
{
    (void)state;
    unsigned known = 0;

    for (unsigned type = 0; type <= UINT8_MAX; type++) {
        struct lv_amqp091_frame_head head = {.type = (uint8_t)type};
        struct lv_diag diag;
        char text[64];
        int rc = lv_amqp091_frame_head_check(&head, 4096, &diag);
        if (rc == 0) {
            known++;
            continue;
        }
        assert_int_equal(rc, -LV_E_BAD_FRAME);
        snprintf(text, sizeof text, "type %u, all octets = <<>>: unknown_frame", type);
        assert_string_equal(diag.text, text);
    }
    assert_int_equal(known, 4);
}

static void a_wrong_end_byte_is_told_with_the_payload(void **state)
{
    (void)state;
    struct lv_amqp091_frame frame;
    struct lv_diag diag;

    assert_int_equal(
        lv_amqp091_frame_decode(golden("01 0001 00000003 010203 cd"), 4096, &frame, &diag),
        -LV_E_BAD_FRAME);
    assert_string_equal(diag.text,
                        "type 1, all octets = <<1,2,3>>: {invalid_frame_end_marker,205}");
    assert_int_equal(lv_amqp091_frame_decode(golden("03 0001 00000011 'aaaaaaaaaaaaaaaab' 00"),
                                             4096, &frame, &diag),
                     -LV_E_BAD_FRAME);
    assert_string_equal(diag.text,
                        "type 3, first 16 octets = <<97,97,97,97,97,97,97,97,97,97,97,97,"
                        "97,97,97,97>>: {invalid_frame_end_marker,0}");
}

static void encodes_a_method_into_its_frame(void **state)
{
    (void)state;
    struct lv_amqp091_method method = {
        .id = LV_AMQP091_QUEUE_DELETE_OK,
        .queue_delete_ok = {.message_count = 7},
    };
    size_t size = lv_amqp091_frame_method_size(&method);
    uint8_t *out = lv_alloc(size);

    assert_non_null(out);
    assert_true(lv_amqp091_frame_encode_method(&method, 0x0102, out) == out + size);
    assert_bytes_equal(lv_bytes(out, size), golden("01 0102 00000008 0032 0029 00000007 ce"));
    lv_free(out);
}

static void a_head_is_written_as_it_is_read(void **state)
{
    (void)state;
    uint8_t out[LV_AMQP091_FRAME_HEAD_SIZE];
    struct lv_amqp091_frame_head head;

    assert_true(lv_amqp091_frame_head_encode(out, LV_AMQP091_FRAME_BODY, 9, 70000) ==
                out + sizeof out);
    assert_int_equal(lv_amqp091_frame_head_decode(lv_bytes(out, sizeof out), &head), sizeof out);
    assert_int_equal(head.type, LV_AMQP091_FRAME_BODY);
    assert_int_equal(head.channel, 9);
    assert_int_equal(head.size, 70000);
}

/* What a server that speaks both protocols answers; NULL: connection.start. */
static void protocol_headers_are_told_apart_and_answered(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        enum lv_amqp091_header header;
        const char *reply;
    } cases[] = {
        {"'AMQP' 00 00 09 01", LV_AMQP091_HEADER_0_9_1, NULL},
        {"'AMQP' 01 01 00 09", LV_AMQP091_HEADER_0_9_1, NULL},
        {"'AMQP' 03 01 00 00", LV_AMQP091_HEADER_1_0_SASL, "'AMQP' 03 01 00 00"},
        {"'AMQP' 00 01 00 00", LV_AMQP091_HEADER_1_0, "'AMQP' 03 01 00 00"},
        {"'AMQP' 02 01 00 00", LV_AMQP091_HEADER_1_0, "'AMQP' 03 01 00 00"},
        {"'AMQP' 00 00 09 00", LV_AMQP091_HEADER_NEWER, "'AMQP' 00 00 09 01"},
        {"'AMQP' 00 00 0a 00", LV_AMQP091_HEADER_NEWER, "'AMQP' 00 00 09 01"},
        {"'AMQP' 00 00 08 00", LV_AMQP091_HEADER_OTHER, "'AMQP' 03 01 00 00"},
        {"'AMQP' 01 01 08 00", LV_AMQP091_HEADER_OTHER, "'AMQP' 03 01 00 00"},
        {"'AMQP' 01 01 00 0a", LV_AMQP091_HEADER_OTHER, "'AMQP' 03 01 00 00"},
        {"'AMQP' 04 01 00 00", LV_AMQP091_HEADER_OTHER, "'AMQP' 03 01 00 00"},
        {"'GET / HT'", LV_AMQP091_HEADER_HTTP, "'AMQP' 03 01 00 00"},
        {"'POST /ap'", LV_AMQP091_HEADER_HTTP, "'AMQP' 03 01 00 00"},
        {"'PRI * HT'", LV_AMQP091_HEADER_HTTP, "'AMQP' 03 01 00 00"},
        {"16 03 01 02 00 01 00 01", LV_AMQP091_HEADER_TLS, "'AMQP' 03 01 00 00"},
        {"'GETTING '", LV_AMQP091_HEADER_GARBAGE, "'AMQP' 03 01 00 00"},
        {"'amqp' 00 00 09 01", LV_AMQP091_HEADER_GARBAGE, "'AMQP' 03 01 00 00"},
        {"00 00 00 00 00 00 00 00", LV_AMQP091_HEADER_GARBAGE, "'AMQP' 03 01 00 00"},
    };

    for (size_t i = 0; i < LV_COUNT(cases); i++) {
        enum lv_amqp091_header header;
        const uint8_t *reply;
        assert_int_equal(lv_amqp091_header_decode(golden(cases[i].bytes), &header), 8);
        assert_int_equal(header, cases[i].header);
        reply = lv_amqp091_header_reply(header);
        if (cases[i].reply == NULL)
            assert_null(reply);
        else
            assert_bytes_equal(lv_bytes(reply, 8), golden(cases[i].reply));
    }
}

static void a_protocol_header_takes_all_eight_bytes(void **state)
{
    (void)state;
    struct lv_bytes bytes = lv_bytes(lv_amqp091_header_bytes, LV_AMQP091_HEADER_SIZE);
    enum lv_amqp091_header header = LV_AMQP091_HEADER_COUNT;

    for (size_t size = 0; size < bytes.size; size++) {
        uint8_t *copy = exact_copy(lv_bytes(bytes.data, size));
        assert_int_equal(lv_amqp091_header_decode(lv_bytes(copy, size), &header), 0);
        assert_int_equal(header, LV_AMQP091_HEADER_COUNT); /* not written */
        lv_free(copy);
    }
    assert_int_equal(lv_amqp091_header_decode(bytes, &header), 8);
    assert_int_equal(header, LV_AMQP091_HEADER_0_9_1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_each_type_of_frame),
        cmocka_unit_test(uses_one_frame_of_many),
        cmocka_unit_test(payload_may_exceed_the_limit_by_the_tolerance_only),
        cmocka_unit_test(without_a_limit_a_frame_still_has_to_fit_an_int),
        cmocka_unit_test(too_large_is_known_from_the_head_alone),
        cmocka_unit_test(every_unknown_type_is_refused),
        cmocka_unit_test(a_wrong_end_byte_is_told_with_the_payload),
        cmocka_unit_test(encodes_a_method_into_its_frame),
        cmocka_unit_test(a_head_is_written_as_it_is_read),
        cmocka_unit_test(protocol_headers_are_told_apart_and_answered),
        cmocka_unit_test(a_protocol_header_takes_all_eight_bytes),
    };
    return cmocka_run_group_tests_name("codec amqp091 frame", tests, NULL, NULL);
}
