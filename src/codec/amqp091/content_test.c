#include "codec/amqp091/content.h"

#include "codec/testing.h"

/* Each property alone: its flag and its value on the wire, in their order. */
static const struct {
    enum lv_amqp091_property property;
    const char *flags;
    const char *bytes; /* as they lie in the list */
    const char *value; /* of these, what is the value */
} singles[] = {
    {LV_AMQP091_PROPERTY_CONTENT_TYPE, "8000", "0a 'text/plain'", "'text/plain'"},
    {LV_AMQP091_PROPERTY_CONTENT_ENCODING, "4000", "04 'gzip'", "'gzip'"},
    {LV_AMQP091_PROPERTY_HEADERS, "2000", "00000004 01 'k' 't' 01", "01 'k' 't' 01"},
    {LV_AMQP091_PROPERTY_DELIVERY_MODE, "1000", "02", "02"},
    {LV_AMQP091_PROPERTY_PRIORITY, "0800", "09", "09"},
    {LV_AMQP091_PROPERTY_CORRELATION_ID, "0400", "02 '17'", "'17'"},
    {LV_AMQP091_PROPERTY_REPLY_TO, "0200", "07 'replies'", "'replies'"},
    {LV_AMQP091_PROPERTY_EXPIRATION, "0100", "05 '60000'", "'60000'"},
    {LV_AMQP091_PROPERTY_MESSAGE_ID, "0080", "03 'm-1'", "'m-1'"},
    {LV_AMQP091_PROPERTY_TIMESTAMP, "0040", "000000005f5e1000", "000000005f5e1000"},
    {LV_AMQP091_PROPERTY_TYPE, "0020", "05 'order'", "'order'"},
    {LV_AMQP091_PROPERTY_USER_ID, "0010", "05 'guest'", "'guest'"},
    {LV_AMQP091_PROPERTY_APP_ID, "0008", "04 'shop'", "'shop'"},
    {LV_AMQP091_PROPERTY_CLUSTER_ID, "0004", "00", ""},
};

static const char head[] = "003c 0000 0000000000000005 ";

/* A header's payload of what `text` says, decoded from a block of its own, which stays. */
static int decode(const char *text, struct lv_amqp091_content *ret_content, struct lv_diag *diag)
{
    static uint8_t *copy;
    struct lv_bytes bytes = golden(text);

    lv_free(copy);
    copy = exact_copy(bytes);
    return lv_amqp091_content_decode(lv_bytes(copy, bytes.size), ret_content, diag);
}

/* The properties with these flags in one raw list. */
static struct lv_bytes raw_of(unsigned flags)
{
    static uint8_t raw[256];
    uint8_t *p = lv_put16(raw, (uint16_t)flags);

    for (size_t i = 0; i < LV_COUNT(singles); i++) {
        if (flags & singles[i].property)
            p = lv_put_bytes(p, golden(singles[i].bytes));
    }
    return lv_bytes(raw, (size_t)(p - raw));
}

static struct lv_amqp091_properties all_properties(void)
{
    static const uint8_t headers[] = {1, 'k', 't', 1};

    return (struct lv_amqp091_properties){
        .flags = LV_AMQP091_PROPERTY_ALL,
        .content_type = lv_text("text/plain"),
        .content_encoding = lv_text("gzip"),
        .headers = lv_bytes(headers, sizeof headers),
        .delivery_mode = 2,
        .priority = 9,
        .correlation_id = lv_text("17"),
        .reply_to = lv_text("replies"),
        .expiration = lv_text("60000"),
        .message_id = lv_text("m-1"),
        .timestamp = 1600000000,
        .type = lv_text("order"),
        .user_id = lv_text("guest"),
        .app_id = lv_text("shop"),
        .cluster_id = lv_text(""),
    };
}

static void the_smallest_header_has_a_size_and_no_properties(void **state)
{
    (void)state;
    struct lv_amqp091_content content;
    uint8_t out[14];

    assert_int_equal(decode("003c 0000 0000000000000005 0000", &content, NULL), 0);
    assert_true(content.body_size == 5);
    assert_bytes_equal(content.properties, golden("0000"));
    assert_int_equal(lv_amqp091_content_size(&content), sizeof out);
    assert_true(lv_amqp091_content_encode(&content, out) == out + sizeof out);
    assert_bytes_equal(lv_bytes(out, sizeof out), golden("003c 0000 0000000000000005 0000"));
}

static void each_property_alone_is_accepted_and_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < LV_COUNT(singles); i++) {
        struct lv_amqp091_content content;
        struct lv_bytes value;
        char text[256];

        snprintf(text, sizeof text, "%s %s %s", head, singles[i].flags, singles[i].bytes);
        assert_int_equal(decode(text, &content, NULL), 0);
        for (size_t j = 0; j < LV_COUNT(singles); j++) {
            bool found = lv_amqp091_property_find(content.properties, singles[j].property, &value);
            assert_int_equal(found, i == j);
            if (found)
                assert_bytes_equal(value, golden(singles[i].value));
        }
    }
}

static void every_set_of_properties_keeps_its_values(void **state)
{
    (void)state;
    struct lv_random random;

    lv_random_seed(&random, 5);
    for (int i = 0; i < 2000; i++) {
        unsigned flags = (unsigned)lv_random_next(&random) & LV_AMQP091_PROPERTY_ALL;
        struct lv_bytes raw = raw_of(flags);
        struct lv_amqp091_properties properties;
        struct lv_bytes value;
        uint8_t out[256];

        assert_int_equal(lv_amqp091_properties_decode(raw, &properties, NULL), 0);
        assert_int_equal(properties.flags, flags);
        assert_int_equal(lv_amqp091_properties_size(&properties), raw.size);
        assert_true(lv_amqp091_properties_encode(&properties, out) == out + raw.size);
        assert_bytes_equal(lv_bytes(out, raw.size), raw);
        for (size_t j = 0; j < LV_COUNT(singles); j++) {
            bool found = lv_amqp091_property_find(raw, singles[j].property, &value);
            assert_int_equal(found, (flags & singles[j].property) != 0);
            if (found)
                assert_bytes_equal(value, golden(singles[j].value));
        }
    }
}

static void all_properties_have_their_members(void **state)
{
    (void)state;
    struct lv_amqp091_properties properties = all_properties();
    struct lv_bytes raw = raw_of(LV_AMQP091_PROPERTY_ALL);
    struct lv_amqp091_properties decoded;
    uint8_t out[256];

    assert_int_equal(lv_amqp091_properties_size(&properties), raw.size);
    assert_true(lv_amqp091_properties_encode(&properties, out) == out + raw.size);
    assert_bytes_equal(lv_bytes(out, raw.size), raw);
    assert_int_equal(lv_amqp091_properties_decode(raw, &decoded, NULL), 0);
    assert_text_equal(decoded.content_type, "text/plain");
    assert_text_equal(decoded.content_encoding, "gzip");
    assert_bytes_equal(decoded.headers, properties.headers);
    assert_int_equal(decoded.delivery_mode, 2);
    assert_int_equal(decoded.priority, 9);
    assert_text_equal(decoded.correlation_id, "17");
    assert_text_equal(decoded.reply_to, "replies");
    assert_text_equal(decoded.expiration, "60000");
    assert_text_equal(decoded.message_id, "m-1");
    assert_true(decoded.timestamp == 1600000000);
    assert_text_equal(decoded.type, "order");
    assert_text_equal(decoded.user_id, "guest");
    assert_text_equal(decoded.app_id, "shop");
    assert_text_equal(decoded.cluster_id, "");
}

static void members_without_their_flag_are_not_sent(void **state)
{
    (void)state;
    struct lv_amqp091_properties properties = all_properties();
    uint8_t out[8];

    properties.flags = LV_AMQP091_PROPERTY_PRIORITY;
    assert_int_equal(lv_amqp091_properties_size(&properties), 3);
    assert_true(lv_amqp091_properties_encode(&properties, out) == out + 3);
    assert_bytes_equal(lv_bytes(out, 3), golden("0800 09"));
}

static void truncated_anywhere_it_is_refused(void **state)
{
    (void)state;
    struct lv_bytes raw = raw_of(LV_AMQP091_PROPERTY_ALL);
    uint8_t whole[256];
    uint8_t *end = lv_put_bytes(lv_put_bytes(whole, golden(head)), raw);
    struct lv_amqp091_content content;

    for (size_t size = 0; size < (size_t)(end - whole); size++) {
        uint8_t *copy = exact_copy(lv_bytes(whole, size));
        assert_int_equal(lv_amqp091_content_decode(lv_bytes(copy, size), &content, NULL),
                         -LV_E_BAD_FRAME);
        lv_free(copy);
    }
    assert_int_equal(
        lv_amqp091_content_decode(lv_bytes(whole, (size_t)(end - whole)), &content, NULL), 0);
}

static void searching_truncated_properties_stays_inside(void **state)
{
    (void)state;
    struct lv_bytes raw = raw_of(LV_AMQP091_PROPERTY_ALL);

    for (size_t size = 0; size < raw.size; size++) {
        uint8_t *copy = exact_copy(lv_bytes(raw.data, size));
        struct lv_amqp091_properties properties;
        struct lv_bytes value;
        assert_false(
            lv_amqp091_property_find(lv_bytes(copy, size), LV_AMQP091_PROPERTY_CLUSTER_ID, &value));
        assert_int_equal(lv_amqp091_properties_decode(lv_bytes(copy, size), &properties, NULL),
                         -LV_E_BAD_FRAME);
        lv_free(copy);
    }
}

static void flag_bits_without_a_property_are_ignored(void **state)
{
    (void)state;
    struct lv_amqp091_properties properties;
    struct lv_amqp091_content content;

    assert_int_equal(decode("003c 0000 0000000000000005 1003 02", &content, NULL), 0);
    assert_int_equal(lv_amqp091_properties_decode(content.properties, &properties, NULL), 0);
    assert_int_equal(properties.flags, LV_AMQP091_PROPERTY_DELIVERY_MODE);
    assert_int_equal(properties.delivery_mode, 2);
}

static void refuses_another_class(void **state)
{
    (void)state;
    struct lv_amqp091_content content;
    struct lv_diag diag;

    assert_int_equal(decode("0032 0000 0000000000000000 0000", &content, &diag),
                     -LV_E_UNEXPECTED_FRAME);
    assert_string_equal(diag.text,
                        "expected content header for class 60, got one for class 50 instead");
}

static void refuses_a_weight(void **state)
{
    (void)state;
    struct lv_amqp091_content content;

    assert_int_equal(decode("003c 0001 0000000000000000 0000", &content, NULL), -LV_E_BAD_FRAME);
    assert_int_equal(decode("003c 0100 0000000000000000 0000", &content, NULL), -LV_E_BAD_FRAME);
}

static void refuses_a_body_above_what_rabbitmq_takes(void **state)
{
    (void)state;
    struct lv_amqp091_content content;
    struct lv_diag diag;

    assert_int_equal(decode("003c 0000 0000000020000000 0000", &content, NULL), 0);
    assert_true(content.body_size == LV_AMQP091_BODY_SIZE_MAX);
    assert_int_equal(decode("003c 0000 0000000020000001 0000", &content, &diag), -LV_E_BAD_FRAME);
    assert_string_equal(diag.text,
                        "content body size 536870913 exceeds maximum allowed size 536870912");
    assert_int_equal(decode("003c 0000 ffffffffffffffff 0000", &content, NULL), -LV_E_BAD_FRAME);
}

static void refuses_malformed_properties(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "003c 0000 0000000000000000 0000 00",                     /* left over */
        "003c 0000 0000000000000000 1000 02 02",                  /* left over */
        "003c 0000 0000000000000000 8000 03 'ab'",                /* string too short */
        "003c 0000 0000000000000000 2000 00000005 01 'k' 't' 01", /* table too short */
        "003c 0000 0000000000000000 2000 00000004 01 'k' '?' 01", /* unknown type */
        "003c 0000 0000000000000000 2000 00000003 01 'k' 't'",    /* value cut */
        "003c 0000 0000000000000000 2000 ffffffff 01 'k' 't' 01", /* length beyond all */
        "003c 0000 0000000000000000 3000 00000004 01 'k' 't' 01", /* mode missing */
        "003c 0000 0000000000000000 0040 00000000000000",         /* timestamp cut */
    };

    for (size_t i = 0; i < LV_COUNT(bad); i++) {
        struct lv_amqp091_content content;
        struct lv_diag diag;
        assert_int_equal(decode(bad[i], &content, &diag), -LV_E_BAD_FRAME);
        assert_starts_with(diag.text, "cannot decode <<");
    }
}

/* Properties of messages are anybody's bytes; only names in methods have to be UTF-8. */
static void properties_need_not_be_utf8(void **state)
{
    (void)state;
    struct lv_amqp091_content content;

    assert_int_equal(decode("003c 0000 0000000000000000 8000 02 c328", &content, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_smallest_header_has_a_size_and_no_properties),
        cmocka_unit_test(each_property_alone_is_accepted_and_found),
        cmocka_unit_test(every_set_of_properties_keeps_its_values),
        cmocka_unit_test(all_properties_have_their_members),
        cmocka_unit_test(members_without_their_flag_are_not_sent),
        cmocka_unit_test(truncated_anywhere_it_is_refused),
        cmocka_unit_test(searching_truncated_properties_stays_inside),
        cmocka_unit_test(flag_bits_without_a_property_are_ignored),
        cmocka_unit_test(refuses_another_class),
        cmocka_unit_test(refuses_a_weight),
        cmocka_unit_test(refuses_a_body_above_what_rabbitmq_takes),
        cmocka_unit_test(refuses_malformed_properties),
        cmocka_unit_test(properties_need_not_be_utf8),
    };
    return cmocka_run_group_tests_name("codec amqp091 content", tests, NULL, NULL);
}
