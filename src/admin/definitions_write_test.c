#include "admin/definitions_write.h"

#include "admin/definitions_read.h"
#include "base/testing.h"
#include "lv_version.h"

static struct lv_definitions list;
static struct {
    char text[8192];
    size_t size;
} sink;

static void put(void *ctx, struct lv_bytes bytes)
{
    (void)ctx;
    assert_true(sink.size + bytes.size < sizeof sink.text);
    lv_put_bytes((uint8_t *)sink.text + sink.size, bytes);
    sink.size += bytes.size;
}

static const char *write_list(void)
{
    const struct lv_json json = {.put = put};

    sink.size = 0;
    lv_definitions_write(&list, "4.1.0", &json);
    sink.text[sink.size] = '\0';
    return sink.text;
}

static int tear_down(void **state)
{
    (void)state;
    lv_definitions_fini(&list);
    return 0;
}

#define TAIL                                                                                       \
    ",\"product_name\":\"Leveret\",\"product_version\":\"" LV_VERSION                              \
    "\",\"rabbit_version\":\"4.1.0\",\"rabbitmq_version\":\"4.1.0\"}\n"

static void a_list_of_nothing_has_all_its_sections(void **state)
{
    (void)state;
    assert_string_equal(write_list(),
                        "{\"bindings\":[]\n,\"exchanges\":[]\n,\"global_parameters\":[]\n"
                        ",\"parameters\":[]\n,\"permissions\":[]\n,\"policies\":[]\n"
                        ",\"queues\":[]\n,\"topic_permissions\":[]\n,\"users\":[]\n"
                        ",\"vhosts\":[]\n" TAIL);
}

#define HASH "YHYAAGJQHLnNZnOjVqzGHjqLJlPFPSRuYsNiHLSRRXgkmrJy"

/* What is written, in another order. */
static const char file[] =
    "{\"vhosts\":[{\"name\":\"v\",\"metadata\":{\"tags\":[\"x\",\"y\"],\"description\":\"d\"}},"
    "{\"name\":\"/\",\"tags\":\"\"}],\"parameters\":[{\"component\":\"vhost-limits\","
    "\"name\":\"limits\",\"vhost\":\"v\",\"value\":{\"max-queues\":2,\"max-connections\":1}}],"
    "\"users\":[{\"name\":\"u\",\"password_hash\":\"" HASH "\",\"tags\":[\"a\"],"
    "\"limits\":{\"max-channels\":3}},{\"name\":\"n\",\"password_hash\":\"\",\"tags\":[]}],"
    "\"permissions\":[{\"user\":\"u\",\"vhost\":\"v\",\"read\":\"r\",\"configure\":\"c\","
    "\"write\":\"w\"}],\"topic_permissions\":[{\"user\":\"u\",\"vhost\":\"v\",\"read\":\"r\","
    "\"exchange\":\"amq.topic\",\"write\":\"w\"}],\"exchanges\":[{\"name\":\"amq.topic\","
    "\"vhost\":\"v\",\"type\":\"topic\",\"durable\":true,\"auto_delete\":false},"
    "{\"name\":\"e\",\"vhost\":\"v\",\"type\":\"topic\",\"durable\":true,\"auto_delete\":false}],"
    "\"queues\":[{\"name\":\"q\",\"vhost\":\"v\",\"durable\":false,\"auto_delete\":true,"
    "\"arguments\":{\"b\":[1,{\"d\":1.0,\"c\":\"\"}],\"a\":null}}],\"bindings\":["
    "{\"source\":\"e\",\"vhost\":\"v\",\"destination\":\"q\",\"destination_type\":\"queue\","
    "\"routing_key\":\"k\"},{\"source\":\"e\",\"vhost\":\"v\",\"destination\":\"q\","
    "\"destination_type\":\"queue\",\"routing_key\":\"\",\"arguments\":{\"x\":1}}]}";

static const char written[] =
    "{\"bindings\":[\n"
    "{\"arguments\":{\"x\":1},\"destination\":\"q\",\"destination_type\":\"queue\","
    "\"routing_key\":\"\",\"source\":\"e\",\"vhost\":\"v\"},\n"
    "{\"arguments\":{},\"destination\":\"q\",\"destination_type\":\"queue\","
    "\"routing_key\":\"k\",\"source\":\"e\",\"vhost\":\"v\"}\n]\n"
    ",\"exchanges\":[\n"
    "{\"arguments\":{},\"auto_delete\":false,\"durable\":true,\"internal\":false,\"name\":\"e\","
    "\"type\":\"topic\",\"vhost\":\"v\"}\n]\n"
    ",\"global_parameters\":[]\n"
    ",\"parameters\":[\n"
    "{\"component\":\"vhost-limits\",\"name\":\"limits\",\"value\":{\"max-connections\":1,"
    "\"max-queues\":2},\"vhost\":\"v\"}\n]\n"
    ",\"permissions\":[\n"
    "{\"configure\":\"c\",\"read\":\"r\",\"user\":\"u\",\"vhost\":\"v\",\"write\":\"w\"}\n]\n"
    ",\"policies\":[]\n"
    ",\"queues\":[\n"
    "{\"arguments\":{\"a\":null,\"b\":[1,{\"c\":\"\",\"d\":1.0}]},\"auto_delete\":true,"
    "\"durable\":false,\"name\":\"q\",\"type\":\"classic\",\"vhost\":\"v\"}\n]\n"
    ",\"topic_permissions\":[\n"
    "{\"exchange\":\"amq.topic\",\"read\":\"r\",\"user\":\"u\",\"vhost\":\"v\",\"write\":\"w\"}"
    "\n]\n"
    ",\"users\":[\n"
    "{\"hashing_algorithm\":\"rabbit_password_hashing_sha256\",\"limits\":{},\"name\":\"n\","
    "\"password_hash\":\"\",\"tags\":[]},\n"
    "{\"hashing_algorithm\":\"rabbit_password_hashing_sha256\",\"limits\":{\"max-channels\":3},"
    "\"name\":\"u\",\"password_hash\":\"" HASH "\",\"tags\":[\"a\"]}\n]\n"
    ",\"vhosts\":[\n"
    "{\"limits\":[],\"metadata\":{\"description\":\"\",\"tags\":[]},\"name\":\"/\"},\n"
    "{\"limits\":[[\"max-connections\",1],[\"max-queues\",2]],\"metadata\":{"
    "\"description\":\"d\",\"tags\":[\"x\",\"y\"]},\"name\":\"v\"}\n]\n" TAIL;

static void everything_is_in_order_whatever_the_order_it_came_in(void **state)
{
    struct lv_diag diag;

    (void)state;
    assert_int_equal(lv_definitions_read(lv_text(file), &list, &diag), 0);
    assert_string_equal(write_list(), written);
}

static void what_is_written_is_read_as_the_same(void **state)
{
    struct lv_diag diag;

    (void)state;
    assert_int_equal(lv_definitions_read(lv_text(written), &list, &diag), 0);
    assert_int_equal(list.note_count, 0);
    assert_string_equal(write_list(), written);
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_list_of_nothing_has_all_its_sections),
        TEST(everything_is_in_order_whatever_the_order_it_came_in),
        TEST(what_is_written_is_read_as_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
