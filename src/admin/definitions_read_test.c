#include "admin/definitions_read.h"

#include "auth/password.h"
#include "base/testing.h"

#include <stdio.h>

static struct lv_definitions list;
static struct lv_diag diag;

static int read_text(const char *text)
{
    lv_definitions_fini(&list);
    diag = (struct lv_diag){""};
    return lv_definitions_read(lv_text(text), &list, &diag);
}

static int tear_down(void **state)
{
    (void)state;
    lv_alloc_fail_after(0, 0);
    lv_definitions_fini(&list);
    return 0;
}

#define assert_text(bytes, expected)                                                               \
    do {                                                                                           \
        assert_int_equal((bytes).size, strlen(expected));                                          \
        assert_memory_equal((bytes).data, expected, strlen(expected));                             \
    } while (0)

#define assert_refused(input, sentence)                                                            \
    do {                                                                                           \
        assert_int_equal(read_text(input), -LV_E_SYNTAX);                                          \
        assert_string_equal(diag.text, sentence);                                                  \
        assert_null(list.items);                                                                   \
    } while (0)

#define SHA256 "YHYAAGJQHLnNZnOjVqzGHjqLJlPFPSRuYsNiHLSRRXgkmrJy"

static const struct lv_change *only(const char *text)
{
    assert_int_equal(read_text(text), 0);
    assert_int_equal(list.count, 1);
    return &list.items[0].change;
}

static const struct lv_value *argument(const struct lv_change *change, const char *name)
{
    const struct lv_value *value = lv_table_get(change->arguments, name);

    assert_non_null(value);
    return value;
}

static void nothing_is_nothing(void **state)
{
    (void)state;
    assert_int_equal(read_text("{}"), 0);
    assert_int_equal(list.count, 0);
    assert_int_equal(list.note_count, 0);
    assert_int_equal(read_text("{\"rabbit_version\":\"3.10.8\",\"queues\":[]}"), 0);
    assert_int_equal(list.note_count, 0);
}

static void queues_have_their_arguments(void **state)
{
    const struct lv_change *change =
        only("{\"queues\":[{\"name\":\"q\",\"vhost\":\"v\",\"durable\":true,\"auto_delete\":false,"
             "\"type\":\"classic\",\"arguments\":{\"x-l\":[1,\"a\",{\"b\":true}],\"x-f\":1.5,"
             "\"x-n\":null,\"x-big\":9007199254740993}}]}");

    (void)state;
    assert_int_equal(change->kind, LV_CHANGE_QUEUE_DECLARE);
    assert_text(change->name, "q");
    assert_text(change->vhost, "v");
    assert_true(change->durable);
    assert_false(change->auto_delete);
    assert_int_equal(argument(change, "x-big")->integer, 9007199254740993);
    assert_true(argument(change, "x-f")->real > 1.4);
    assert_int_equal(argument(change, "x-n")->type, LV_TYPE_VOID);
    assert_int_equal(argument(change, "x-l")->type, LV_TYPE_ARRAY);
    assert_int_equal(argument(change, "x-l")->table->count, 3);
    assert_int_equal(argument(change, "x-l")->table->fields[2].value.type, LV_TYPE_TABLE);
}

static void exchanges_and_bindings_are_read(void **state)
{
    const struct lv_change *change =
        only("{\"exchanges\":[{\"name\":\"e\",\"vhost\":\"v\",\"type\":\"topic\",\"durable\":false,"
             "\"auto_delete\":true,\"internal\":true,\"arguments\":{}}]}");

    (void)state;
    assert_text(change->other, "topic");
    assert_true(change->internal && change->auto_delete && !change->durable);
    assert_null(change->arguments);
    change = only("{\"bindings\":[{\"source\":\"e\",\"vhost\":\"v\",\"destination\":\"f\","
                  "\"destination_type\":\"exchange\",\"routing_key\":\"a.#\","
                  "\"arguments\":{\"x\":1},\"properties_key\":\"~\"}]}");
    assert_int_equal(change->kind, LV_CHANGE_BIND);
    assert_true(change->to_exchange);
    assert_text(change->other, "e");
    assert_text(change->name, "f");
    assert_text(change->key, "a.#");
    assert_int_equal(list.note_count, 0);
}

static void users_come_with_their_hash_tags_and_limits(void **state)
{
    (void)state;
    assert_int_equal(read_text("{\"users\":[{\"name\":\"u\",\"password_hash\":\"" SHA256 "\","
                               "\"hashing_algorithm\":\"rabbit_password_hashing_sha256\","
                               "\"tags\":[\"administrator\",\"b\"],"
                               "\"limits\":{\"max-channels\":7}}]}"),
                     0);
    assert_int_equal(list.count, 2);
    assert_text(list.items[0].change.other, "rabbit_password_hashing_sha256:" SHA256);
    assert_text(list.items[0].change.key, "administrator,b");
    assert_int_equal(list.items[1].change.kind, LV_CHANGE_LIMITS_PUT);
    assert_text(list.items[1].change.name, "u");
    assert_int_equal(argument(&list.items[1].change, "max-channels")->integer, 7);
}

static void older_files_have_tags_with_commas_and_no_algorithm(void **state)
{
    (void)state;
    assert_text(only("{\"users\":[{\"name\":\"u\",\"password_hash\":\"" SHA256 "\","
                     "\"tags\":\"a,b\"}]}")
                    ->other,
                "rabbit_password_hashing_sha256:" SHA256);
    assert_text(list.items[0].change.key, "a,b");
    assert_text(only("{\"rabbit_version\":\"3.5.7\",\"users\":[{\"name\":\"u\","
                     "\"password_hash\":\"AAAAAJ5M0cmVeETnRVhzC6MqPlg=\",\"tags\":\"\"}]}")
                    ->other,
                "rabbit_password_hashing_md5:AAAAAJ5M0cmVeETnRVhzC6MqPlg=");
}

static void clear_passwords_are_hashed(void **state)
{
    const struct lv_change *change =
        only("{\"users\":[{\"name\":\"u\",\"password\":\"secret\",\"tags\":[]}]}");
    char hash[LV_PASSWORD_HASH_SIZE] = "";

    (void)state;
    lv_put_bytes((uint8_t *)hash, change->other);
    assert_memory_equal(hash, "$y$", 3);
    assert_int_equal(lv_password_verify(hash, lv_text("secret")), 1);
}

static void no_password_is_an_empty_hash(void **state)
{
    (void)state;
    assert_int_equal(
        only("{\"users\":[{\"name\":\"u\",\"password_hash\":\"\",\"tags\":[]}]}")->other.size, 0);
}

static void vhosts_have_limits_in_two_places_and_both_ways(void **state)
{
    (void)state;
    assert_int_equal(
        read_text("{\"vhosts\":[{\"name\":\"v\",\"limits\":[[\"max-queues\",5],"
                  "[\"max-connections\",-1]],\"metadata\":{\"description\":\"d\","
                  "\"tags\":[\"x\",\"y\"],\"default_queue_type\":\"undefined\"}}],"
                  "\"parameters\":[{\"component\":\"vhost-limits\",\"name\":\"limits\","
                  "\"vhost\":\"v\",\"value\":{\"max-connections\":-1,\"max-queues\":5}}]}"),
        0);
    assert_int_equal(list.count, 2);
    assert_text(argument(&list.items[0].change, "description")->bytes, "d");
    assert_text(argument(&list.items[0].change, "tags")->bytes, "x,y");
    assert_null(lv_table_get(list.items[0].change.arguments, "default_queue_type"));
    assert_int_equal(argument(&list.items[1].change, "max-queues")->integer, 5);
    assert_null(lv_table_get(list.items[1].change.arguments, "max-connections"));
    assert_int_equal(read_text("{\"vhosts\":[{\"name\":\"v\",\"description\":\"d\",\"tags\":\"x\","
                               "\"default_queue_type\":\"classic\",\"limits\":{}}]}"),
                     0);
    assert_text(argument(&list.items[0].change, "default_queue_type")->bytes, "classic");
}

static void permissions_are_patterns(void **state)
{
    const struct lv_change *change =
        only("{\"permissions\":[{\"user\":\"u\",\"vhost\":\"v\",\"configure\":\"^a\","
             "\"write\":\"\",\"read\":\".*\"}]}");

    (void)state;
    assert_text(argument(change, "configure")->bytes, "^a");
    assert_text(argument(change, "write")->bytes, "");
    change = only("{\"topic_permissions\":[{\"user\":\"u\",\"vhost\":\"v\",\"exchange\":\"t\","
                  "\"write\":\"{username}\",\"read\":\".*\"}]}");
    assert_text(change->other, "t");
    assert_int_equal(change->arguments->count, 2);
}

static void what_is_not_known_is_noted(void **state)
{
    (void)state;
    assert_int_equal(
        read_text("{\"zzz\":1,\"policies\":[{\"name\":\"p\",\"vhost\":\"/\"}],"
                  "\"global_parameters\":[{\"name\":\"cluster_name\",\"value\":\"c\"}],"
                  "\"parameters\":[{\"component\":\"shovel\",\"name\":\"s\",\"value\":{}}],"
                  "\"vhosts\":[{\"name\":\"v\",\"color\":\"red\"}],"
                  "\"exchanges\":[{\"name\":\"\",\"vhost\":\"v\",\"type\":\"direct\"}],"
                  "\"bindings\":[{\"source\":\"\",\"vhost\":\"v\"}]}"),
        0);
    assert_int_equal(list.count, 1);
    assert_int_equal(list.note_count, 7);
    assert_text(list.notes[0], "zzz is left out: it isn't known");
    assert_text(list.notes[1], "vhosts[0].color is left out: it isn't known");
    assert_text(list.notes[2],
                "parameters[0] is left out: this broker has nothing like shovel 's'");
    assert_text(list.notes[3],
                "global_parameters[0] is left out: this broker has nothing like 'cluster_name'");
    assert_text(list.notes[4], "policies[0] is left out: this broker has nothing like 'p'");
}

static void a_section_that_is_nearly_right_is_refused(void **state)
{
    (void)state;
    assert_refused("{\"queue\":[]}", "\"queue\" isn't known; did you mean \"queues\"?");
}

static void what_is_no_json_is_refused_with_its_place(void **state)
{
    (void)state;
    assert_int_equal(read_text("{\n \"queues\": [}"), -LV_E_SYNTAX);
    assert_memory_equal(diag.text, "line 2, column ", 15);
    assert_int_equal(read_text("{\"queues\":[],\"queues\":[]}"), -LV_E_SYNTAX);
    assert_int_equal(read_text(""), -LV_E_SYNTAX);
    assert_refused("[]", "definitions are an object, and this is a list");
    assert_refused("null", "definitions are an object, and this is null");
}

static void wrong_types_are_refused_with_their_path(void **state)
{
    (void)state;
    assert_refused("{\"users\":5}", "users is a number: it has to be a list");
    assert_refused("{\"users\":[5]}", "users[0] is a number: it has to be an object");
    assert_refused("{\"vhosts\":[{\"name\":\"v\"},{}]}",
                   "vhosts[1].name is missing: it has to be a string");
    assert_refused("{\"vhosts\":[{\"name\":\"\"}]}",
                   "vhosts[0].name is empty: it has to have 1 to 255 bytes");
    assert_refused("{\"vhosts\":[{\"name\":\"v\",\"limits\":{\"max-queues\":\"x\"}}]}",
                   "vhosts[0].limits.max-queues is a string: it has to be a whole number");
    assert_refused("{\"vhosts\":[{\"name\":\"v\",\"limits\":[[\"max-queues\"]]}]}",
                   "vhosts[0].limits[0] is no pair of a limit's name and its value");
    assert_refused("{\"vhosts\":[{\"name\":\"v\",\"metadata\":{\"tags\":[1]}}]}",
                   "vhosts[0].metadata.tags[0] is a number: it has to be a string");
    assert_refused("{\"users\":[{\"name\":\"u\",\"limits\":{\"max-queues\":1},"
                   "\"password_hash\":\"\"}]}",
                   "users[0].limits.max-queues: there is no such limit; there are max-connections "
                   "and max-channels");
    assert_refused("{\"queues\":[{\"name\":\"q\",\"vhost\":\"v\",\"durable\":\"x\"}]}",
                   "queues[0].durable is a string: it has to be true or false");
    assert_refused("{\"queues\":[{\"name\":\"q\",\"vhost\":\"v\",\"durable\":true,"
                   "\"auto_delete\":false,\"arguments\":[]}]}",
                   "queues[0].arguments is a list: it has to be an object");
    assert_refused("{\"bindings\":[{\"source\":\"e\",\"vhost\":\"v\",\"destination\":\"q\","
                   "\"destination_type\":\"thing\",\"routing_key\":\"\"}]}",
                   "bindings[0].destination_type is 'thing': it has to be queue or exchange");
}

static void what_this_broker_does_not_have_is_refused(void **state)
{
    (void)state;
    assert_refused("{\"queues\":[{\"name\":\"q\",\"vhost\":\"v\",\"durable\":true,"
                   "\"auto_delete\":false,\"arguments\":{\"x-queue-type\":\"quorum\"}}]}",
                   "queues[0]: queue type 'quorum', which this broker doesn't have");
    assert_refused("{\"queues\":[{\"name\":\"q\",\"vhost\":\"v\",\"durable\":true,"
                   "\"auto_delete\":false,\"type\":\"stream\"}]}",
                   "queues[0].type is 'stream': this broker has classic queues");
    assert_refused("{\"exchanges\":[{\"name\":\"e\",\"vhost\":\"v\",\"type\":\"x-random\"}]}",
                   "exchanges[0].type is 'x-random': there are direct, fanout, topic and headers");
    assert_refused("{\"vhosts\":[{\"name\":\"v\",\"default_queue_type\":\"quorum\"}]}",
                   "vhosts[0].default_queue_type is 'quorum': this broker has classic queues");
}

static void patterns_that_do_not_compile_are_refused(void **state)
{
    (void)state;
    assert_int_equal(read_text("{\"permissions\":[{\"user\":\"u\",\"vhost\":\"v\","
                               "\"configure\":\"(\",\"write\":\"\",\"read\":\"\"}]}"),
                     -LV_E_SYNTAX);
    assert_memory_equal(diag.text, "permissions[0].configure: ", 26);
}

static void hashes_of_unknown_algorithms_are_refused(void **state)
{
    (void)state;
    assert_int_equal(read_text("{\"users\":[{\"name\":\"u\",\"password_hash\":\"" SHA256 "\","
                               "\"hashing_algorithm\":\"rot13\"}]}"),
                     -LV_E_SYNTAX);
    assert_non_null(strstr(diag.text, "users[0].password_hash: "));
    assert_non_null(strstr(diag.text, "rot13"));
    assert_int_equal(read_text("{\"users\":[{\"name\":\"u\",\"password_hash\":\"!\"}]}"),
                     -LV_E_SYNTAX);
    assert_refused("{\"users\":[{\"name\":\"u\"}]}",
                   "users[0] has neither a password_hash nor a password");
}

static void the_same_thing_twice_is_once_unless_it_differs(void **state)
{
#define QUEUE(durable)                                                                             \
    "{\"name\":\"q\",\"vhost\":\"v\",\"durable\":" durable ",\"auto_delete\":false}"
    (void)state;
    only("{\"queues\":[" QUEUE("true") "," QUEUE("true") "]}");
    assert_refused("{\"queues\":[" QUEUE("true") "," QUEUE("false") "]}",
                   "queues[1]: queue 'q' in vhost 'v' is there twice, and they differ");
#undef QUEUE
}

/* A queue with arguments from the printf-like text. */
static char *with_arguments(const char *arguments)
{
    size_t size = strlen(arguments) + 200;
    char *text = malloc(size);

    assert_non_null(text);
    snprintf(text, size,
             "{\"queues\":[{\"name\":\"q\",\"vhost\":\"v\",\"durable\":true,\"auto_delete\":false,"
             "\"arguments\":{\"x\":%s}}]}",
             arguments);
    return text;
}

static void depth_names_and_sizes_are_bounded(void **state)
{
    char *inner = calloc(1, 400000), *text;

    (void)state;
    memset(inner, '[', 63);
    memset(inner + 63, ']', 63);
    text = with_arguments(inner);
    assert_int_equal(read_text(text), 0);
    free(text);
    memset(inner, '[', 64);
    memset(inner + 64, ']', 64);
    text = with_arguments(inner);
    assert_int_equal(read_text(text), -LV_E_SYNTAX);
    assert_non_null(strstr(diag.text, "nests deeper than 64 levels"));
    free(text);
    memset(inner, 'a', 300000);
    inner[0] = inner[299999] = '"';
    text = with_arguments(inner);
    assert_int_equal(read_text(text), -LV_E_SYNTAX);
    assert_non_null(strstr(diag.text, "at most 262144 are allowed"));
    free(text);
    memcpy(inner, "{\"", 2);
    memset(inner + 2, 'a', 256);
    memcpy(inner + 258, "\":1}", 5);
    text = with_arguments(inner);
    assert_int_equal(read_text(text), -LV_E_SYNTAX);
    assert_non_null(strstr(diag.text, "has a name of 256 bytes: at most 255 are allowed"));
    free(text);
    free(inner);
    diag = (struct lv_diag){""};
    assert_int_equal(lv_definitions_read(lv_bytes("{}", LV_DEFINITIONS_SIZE_MAX + 1), &list, &diag),
                     -LV_E_SYNTAX);
}

static void without_memory_there_is_no_list(void **state)
{
    (void)state;
    for (uint64_t after = 1;; after++) {
        int rc;

        lv_alloc_fail_after(after, 1);
        rc = read_text("{\"policies\":[{}],\"vhosts\":[{\"name\":\"v\",\"limits\":{"
                       "\"max-queues\":1}}],\"permissions\":[{\"user\":\"u\",\"vhost\":\"v\","
                       "\"configure\":\"a\",\"write\":\"b\",\"read\":\"c\"}]}");
        lv_alloc_fail_after(0, 0);
        if (rc == 0 && list.notes[0].size > 0)
            break;
        /* jansson can't tell every lack of memory from a wrong token */
        assert_true(rc == 0 || rc == -LV_E_NOMEM || rc == -LV_E_SYNTAX);
        assert_true(after < 200);
    }
    assert_int_equal(list.count, 3);
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_nothing),
        TEST(queues_have_their_arguments),
        TEST(exchanges_and_bindings_are_read),
        TEST(users_come_with_their_hash_tags_and_limits),
        TEST(older_files_have_tags_with_commas_and_no_algorithm),
        TEST(clear_passwords_are_hashed),
        TEST(no_password_is_an_empty_hash),
        TEST(vhosts_have_limits_in_two_places_and_both_ways),
        TEST(permissions_are_patterns),
        TEST(what_is_not_known_is_noted),
        TEST(a_section_that_is_nearly_right_is_refused),
        TEST(what_is_no_json_is_refused_with_its_place),
        TEST(wrong_types_are_refused_with_their_path),
        TEST(what_this_broker_does_not_have_is_refused),
        TEST(patterns_that_do_not_compile_are_refused),
        TEST(hashes_of_unknown_algorithms_are_refused),
        TEST(the_same_thing_twice_is_once_unless_it_differs),
        TEST(depth_names_and_sizes_are_bounded),
        TEST(without_memory_there_is_no_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
