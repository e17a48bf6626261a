#include "admin/definitions_plan.h"

#include "admin/definitions_read.h"
#include "base/testing.h"

static struct lv_definitions current, wanted;
static struct lv_plan plan;
static struct lv_diag diag;

static void read_into(struct lv_definitions *list, const char *text)
{
    lv_definitions_fini(list);
    assert_int_equal(lv_definitions_read(lv_text(text), list, &diag), 0);
}

static int make(const char *there, const char *file)
{
    lv_plan_fini(&plan);
    read_into(&current, there);
    read_into(&wanted, file);
    diag = (struct lv_diag){""};
    return lv_plan_make(&current, &wanted, &plan, &diag);
}

static int tear_down(void **state)
{
    (void)state;
    lv_alloc_fail_after(0, 0);
    lv_plan_fini(&plan);
    lv_definitions_fini(&current);
    lv_definitions_fini(&wanted);
    return 0;
}

/* "+queue 'q' in vhost '/'", … with spaces between. */
static const char *steps(void)
{
    static char all[4000];
    size_t size = 0;

    all[0] = '\0';
    for (size_t i = 0; i < plan.count; i++) {
        char text[LV_DEFINITION_TEXT_SIZE];
        const char *name = lv_definition_print(&plan.steps[i].wanted->change, text);

        assert_true(size + strlen(name) + 3 < sizeof all);
        if (i > 0)
            all[size++] = ' ';
        all[size++] = plan.steps[i].is_change ? '~' : '+';
        memcpy(all + size, name, strlen(name) + 1);
        size += strlen(name);
    }
    return all;
}

#define VHOST "\"vhosts\":[{\"name\":\"v\"}]"
#define QUEUE(arguments)                                                                           \
    "\"queues\":[{\"name\":\"q\",\"vhost\":\"v\",\"durable\":true,\"auto_delete\":false,"          \
    "\"arguments\":{" arguments "}}]"
#define EXCHANGE(type)                                                                             \
    "\"exchanges\":[{\"name\":\"e\",\"vhost\":\"v\",\"durable\":true,\"auto_delete\":false,"       \
    "\"type\":\"" type "\"}]"
#define BINDING                                                                                    \
    "\"bindings\":[{\"source\":\"e\",\"vhost\":\"v\",\"destination\":\"q\","                       \
    "\"destination_type\":\"queue\",\"routing_key\":\"k\"}]"
#define USER(tags) "\"users\":[{\"name\":\"u\",\"password_hash\":\"\",\"tags\":\"" tags "\"}]"
#define PERMISSION                                                                                 \
    "\"permissions\":[{\"user\":\"u\",\"vhost\":\"v\",\"configure\":\"\",\"write\":\"\","          \
    "\"read\":\"\"}]"

static void what_is_not_there_is_added_in_order(void **state)
{
    (void)state;
    assert_int_equal(make("{}", "{" BINDING "," QUEUE("") "," EXCHANGE("topic") "," VHOST "}"), 0);
    assert_string_equal(steps(),
                        "+vhost 'v' +exchange 'e' in vhost 'v' +queue 'q' in vhost 'v' +binding "
                        "from exchange 'e' to queue 'q' in vhost 'v' with key 'k'");
}

static void what_is_there_and_the_same_is_no_step(void **state)
{
    static const char all[] =
        "{" BINDING "," QUEUE("") "," EXCHANGE("topic") "," VHOST "," USER("a") "," PERMISSION "}";

    (void)state;
    assert_int_equal(make(all, all), 0);
    assert_int_equal(plan.count, 0);
}

static void users_and_vhosts_become_what_the_file_says(void **state)
{
    (void)state;
    assert_int_equal(make("{" USER("a") "," VHOST "}",
                          "{" USER("b") ",\"vhosts\":[{\"name\":\"v\",\"description\":\"d\","
                                        "\"limits\":{\"max-queues\":1}}]}"),
                     0);
    assert_string_equal(steps(), "~vhost 'v' ~user 'u' +limits of vhost 'v'");
}

#define LIMIT(value) "{\"vhosts\":[{\"name\":\"v\",\"limits\":{\"max-queues\":" value "}}]}"

static void a_negative_limit_ends_one_that_is_there(void **state)
{
    (void)state;
    assert_int_equal(make(LIMIT("5"), LIMIT("-1")), 0);
    assert_string_equal(steps(), "~limits of vhost 'v'");
    assert_null(plan.steps[0].wanted->change.arguments);
    assert_int_equal(make("{" VHOST "}", LIMIT("-1")), 0);
    assert_int_equal(plan.count, 0);
}

static void nothing_is_deleted(void **state)
{
    (void)state;
    assert_int_equal(make("{" QUEUE("") "," VHOST "," USER("") "}", "{}"), 0);
    assert_int_equal(plan.count, 0);
}

#define assert_refused(there, file, sentence)                                                      \
    do {                                                                                           \
        assert_int_equal(make(there, file), -LV_E_PRECONDITION);                                   \
        assert_string_equal(diag.text, sentence);                                                  \
        assert_null(plan.steps);                                                                   \
    } while (0)

static void a_queue_or_exchange_that_differs_is_refused(void **state)
{
    (void)state;
    assert_refused("{" EXCHANGE("topic") "," VHOST "}", "{" EXCHANGE("direct") "}",
                   "exchanges[0]: inequivalent arg 'type' for exchange 'e' in vhost 'v': received "
                   "'direct' but current is 'topic'");
    assert_refused("{\"queues\":[{\"name\":\"q\",\"vhost\":\"v\",\"durable\":false,"
                   "\"auto_delete\":false}]," VHOST "}",
                   "{" QUEUE("") "}",
                   "queues[0]: inequivalent arg 'durable' for queue 'q' in vhost 'v': received "
                   "'true' but current is 'false'");
}

static void arguments_without_a_meaning_may_differ(void **state)
{
    (void)state;
    assert_int_equal(make("{" QUEUE("\"x-color\":1") "," VHOST "}", "{" QUEUE("") "}"), 0);
    assert_int_equal(plan.count, 0);
}

static void exclusive_queues_are_in_the_way(void **state)
{
    (void)state;
    assert_int_equal(make("{" QUEUE("") "," VHOST "}", "{" QUEUE("") "}"), 0);
    current.items[1].change.exclusive = true;
    lv_plan_fini(&plan);
    assert_int_equal(lv_plan_make(&current, &wanted, &plan, &diag), -LV_E_PRECONDITION);
    assert_string_equal(diag.text,
                        "queues[0]: queue 'q' in vhost 'v' is there and exclusive to a connection");
}

static void what_something_needs_may_be_in_the_file_or_in_the_broker(void **state)
{
    (void)state;
    assert_refused("{}", "{" QUEUE("") "}",
                   "queues[0]: queue 'q' in vhost 'v': there is no vhost 'v', neither in the "
                   "broker nor in the file");
    assert_refused("{" VHOST "," QUEUE("") "}", "{" BINDING "}",
                   "bindings[0]: binding from exchange 'e' to queue 'q' in vhost 'v' with key 'k': "
                   "there is no exchange 'e', neither in the broker nor in the file");
    assert_refused("{" VHOST "}", "{" PERMISSION "}",
                   "permissions[0]: permissions of user 'u' in vhost 'v': there is no user 'u', "
                   "neither in the broker nor in the file");
    assert_int_equal(make("{" VHOST "," EXCHANGE("fanout") "}", "{" BINDING "," QUEUE("") "}"), 0);
    assert_int_equal(plan.count, 2);
}

static void without_memory_there_is_no_plan(void **state)
{
    (void)state;
    read_into(&current, "{}");
    read_into(&wanted, "{" VHOST "}");
    lv_alloc_fail_after(1, 1);
    assert_int_equal(lv_plan_make(&current, &wanted, &plan, &diag), -LV_E_NOMEM);
    assert_null(plan.steps);
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_not_there_is_added_in_order),
        TEST(what_is_there_and_the_same_is_no_step),
        TEST(users_and_vhosts_become_what_the_file_says),
        TEST(a_negative_limit_ends_one_that_is_there),
        TEST(nothing_is_deleted),
        TEST(a_queue_or_exchange_that_differs_is_refused),
        TEST(arguments_without_a_meaning_may_differ),
        TEST(exclusive_queues_are_in_the_way),
        TEST(what_something_needs_may_be_in_the_file_or_in_the_broker),
        TEST(without_memory_there_is_no_plan),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
