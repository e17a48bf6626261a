#include "broker/headers.h"

#include "base/alloc.h"
#include "base/random.h"
#include "broker/naive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define BOUND_MAX 40u

static const struct lv_hash_key hash_key = {.k0 = 5, .k1 = 6};

/* ---- tables from words: "x-match=all a=1 b=one c" is a string, two values and a void ---- */

struct table {
    char text[256];
    uint32_t count; /* as struct lv_table, from here on */
    struct lv_field fields[12];
};

static const struct lv_table *as_table(const struct table *table)
{
    static_assert(offsetof(struct table, fields) - offsetof(struct table, count) ==
                      offsetof(struct lv_table, fields),
                  "a table without its flexible array");
    return (const struct lv_table *)(const void *)&table->count;
}

/* 7 is a number, 7h a short one, 7.5 a real, t true, @7 a time, ~ void, all else a string. */
static struct lv_value value_of(struct lv_bytes word)
{
    struct lv_value value = {.type = LV_TYPE_STRING, .bytes = word};
    char digits[32];

    snprintf(digits, sizeof digits, "%.*s", LV_FMT(word));
    if (word.size == 1 && digits[0] == '~') {
        value = (struct lv_value){.type = LV_TYPE_VOID};
    } else if (word.size == 1 && digits[0] == 't') {
        value = (struct lv_value){.type = LV_TYPE_BOOL, .boolean = true};
    } else if (digits[0] == '@') {
        value =
            (struct lv_value){.type = LV_TYPE_TIMESTAMP, .integer = strtol(digits + 1, NULL, 10)};
    } else if ((digits[0] >= '0' && digits[0] <= '9') || digits[0] == '-') {
        if (strchr(digits, '.') != NULL)
            value = (struct lv_value){.type = LV_TYPE_F64, .real = strtod(digits, NULL)};
        else
            value =
                (struct lv_value){.type = strchr(digits, 'h') != NULL ? LV_TYPE_I16 : LV_TYPE_I64,
                                  .integer = strtol(digits, NULL, 10)};
    }
    return value;
}

static const struct lv_table *make(struct table *table, const char *words)
{
    const uint8_t *p = (const uint8_t *)table->text;

    table->count = 0;
    snprintf(table->text, sizeof table->text, "%s", words);
    while (*p != '\0') {
        struct lv_field *field = &table->fields[table->count++];
        const uint8_t *equals = (const uint8_t *)strchr((const char *)p, '=');
        const uint8_t *end = (const uint8_t *)strchr((const char *)p, ' ');
        if (end == NULL)
            end = p + strlen((const char *)p);
        assert_true(table->count <= LV_COUNT(table->fields));
        assert_non_null(equals);
        field->name = lv_bytes(p, (size_t)(equals - p));
        field->value = value_of(lv_bytes(equals + 1, (size_t)(end - equals - 1)));
        p = *end == ' ' ? end + 1 : end;
    }
    return as_table(table);
}

/* ---- bindings ---- */

struct bound {
    struct lv_headers_binding *binding; /* NULL: not bound */
    struct table arguments;
    uint32_t visits;
};

struct scene {
    struct lv_headers headers;
    struct bound bound[BOUND_MAX];
    uint32_t count;
};

static void begin(struct scene *scene)
{
    memset(scene, 0, sizeof *scene);
    lv_headers_init(&scene->headers, &hash_key);
}

static struct bound *bind(struct scene *scene, const char *arguments)
{
    struct bound *bound = &scene->bound[scene->count++];
    const struct lv_table *table = make(&bound->arguments, arguments);

    assert_true(scene->count <= BOUND_MAX);
    assert_int_equal(lv_headers_check(table, NULL), 0);
    assert_int_equal(lv_headers_add(&scene->headers, table, bound, &bound->binding), 0);
    return bound;
}

static void unbind(struct scene *scene, struct bound *bound)
{
    lv_headers_remove(&scene->headers, bound->binding);
    bound->binding = NULL;
}

static void end(struct scene *scene)
{
    for (uint32_t i = 0; i < scene->count; i++)
        if (scene->bound[i].binding != NULL)
            unbind(scene, &scene->bound[i]);
    assert_int_equal(scene->headers.groups.count, 0);
    lv_headers_fini(&scene->headers);
}

static int visit(void *ctx, void *owner)
{
    struct bound *bound = owner;

    assert_null(ctx);
    bound->visits++;
    return 0;
}

static void match_table(struct scene *scene, const struct lv_table *message)
{
    for (uint32_t i = 0; i < scene->count; i++)
        scene->bound[i].visits = 0;
    assert_int_equal(lv_headers_match(&scene->headers, message, visit, NULL), 0);
}

static void match(struct scene *scene, const char *message)
{
    struct table table;

    match_table(scene, make(&table, message));
}

/* ---- facts ---- */

static void values_and_modes_match_as_rabbitmq_says(void **state)
{
    (void)state;
    static const struct {
        const char *arguments, *message;
        bool matches;
    } rows[] = {
        {"a=1 b=two", "a=1 b=two", true}, /* all is what is meant without a word */
        {"a=1 b=two", "b=two a=1 c=3", true},
        {"a=1 b=two", "a=1", false},
        {"x-match=all a=1 b=two", "a=1 b=three", false},
        {"x-match=any a=1 b=two", "a=1 b=three", true},
        {"x-match=any a=1 b=two", "b=two", true},
        {"x-match=any a=1 b=two", "a=2 b=three", false},
        {"x-match=all", "", true}, /* nothing asked for is always there */
        {"x-match=all", "a=1", true},
        {"", "", true},
        {"x-match=any", "a=1", false},
        {"x-match=any", "", false},
        {"a=~", "a=7", true}, /* void: present, whatever it is */
        {"a=~", "a=~", true},
        {"a=~", "b=7", false},
        {"a=~ b=1", "a=x b=1", true},
        {"a=~ b=1", "a=x b=2", false},
        {"x-match=any a=~ b=1", "b=1", true},
        {"x-match=any a=~ b=1", "a=9", true},
        {"a=7", "a=7h", true}, /* integers of all widths */
        {"a=7h", "a=7", true},
        {"a=-7h", "a=-7", true},
        {"a=1", "a=one", false},
        {"a=1", "a=1.0", false},
        {"a=1.5", "a=1.5", true},
        {"a=0.0", "a=-0.0", true},
        {"a=t", "a=t", true},
        {"a=t", "a=1", false},
        {"a=@7", "a=@7", true},
        {"a=@7", "a=7", false},
        {"a=", "a=", true},
        {"a=x", "A=x", false},
        {"a=1 a=2", "a=1", true}, /* of one name the first counts, here and in the message */
        {"a=1 a=2", "a=2", false},
        {"a=2", "a=1 a=2", false},
        {"x-a=1 b=2", "b=2", true}, /* x- is skipped */
        {"x-match=any x-a=1", "x-a=1", false},
        {"x-match=all-with-x x-a=1 b=2", "b=2", false},
        {"x-match=all-with-x x-a=1 b=2", "x-a=1 b=2", true},
        {"x-match=any-with-x x-a=1 b=2", "x-a=1", true},
        {"x-match=any-with-x", "x-match=any-with-x", false},
        {"x-match=all-with-x", "", true},
        {"x=1", "", false}, /* only x- is skipped */
    };

    for (size_t i = 0; i < LV_COUNT(rows); i++) {
        struct scene scene;
        begin(&scene);
        struct bound *bound = bind(&scene, rows[i].arguments);
        match(&scene, rows[i].message);
        if ((bound->visits > 0) != rows[i].matches)
            fail_msg("'%s' and '%s'", rows[i].arguments, rows[i].message);
        end(&scene);
    }
}

static void no_table_is_an_empty_one(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_headers_binding *binding;

    begin(&scene);
    assert_int_equal(lv_headers_check(NULL, NULL), 0);
    assert_int_equal(lv_headers_add(&scene.headers, NULL, &scene.bound[0], &binding), 0);
    bind(&scene, "a=1");
    bind(&scene, "a=2");
    match_table(&scene, NULL);
    assert_int_equal(scene.bound[0].visits, 1); /* the one without arguments */
    assert_int_equal(scene.bound[1].visits, 0);
    lv_headers_remove(&scene.headers, binding);
    end(&scene);
}

static void x_match_is_one_of_four_words(void **state)
{
    (void)state;
    static const struct {
        const char *arguments, *text;
    } rows[] = {
        {"x-match=foo", "Invalid x-match field value <<\"foo\">>; expected all, any, all-with-x, "
                        "or any-with-x"},
        {"x-match=ALL", "Invalid x-match field value <<\"ALL\">>; expected all, any, all-with-x, "
                        "or any-with-x"},
        {"a=1 x-match=7", "Invalid x-match field type long (value 7); expected longstr"},
        {"x-match=t", "Invalid x-match field type bool (value true); expected longstr"},
    };

    for (size_t i = 0; i < LV_COUNT(rows); i++) {
        struct table table;
        struct lv_diag diag;
        assert_int_equal(lv_headers_check(make(&table, rows[i].arguments), &diag),
                         -LV_E_PRECONDITION);
        assert_string_equal(diag.text, rows[i].text);
    }
}

static void bindings_about_the_same_names_share_a_group(void **state)
{
    (void)state;
    struct scene scene;
    char text[32];

    begin(&scene);
    for (uint32_t i = 0; i < 20; i++) {
        snprintf(text, sizeof text, i % 2 == 0 ? "a=%u b=x" : "b=x a=%u", i);
        bind(&scene, text);
    }
    assert_int_equal(scene.headers.groups.count, 1);
    bind(&scene, "a=5 b=x");
    bind(&scene, "a=~ b=x");             /* asks in another way */
    bind(&scene, "x-match=any a=5 b=y"); /* two groups of one name */
    assert_int_equal(scene.headers.groups.count, 4);
    match(&scene, "a=5 b=x");
    for (uint32_t i = 0; i < scene.count; i++)
        assert_int_equal(scene.bound[i].visits, i == 5 || i >= 20 ? 1 : 0);
    unbind(&scene, &scene.bound[20]);
    unbind(&scene, &scene.bound[22]);
    assert_int_equal(scene.headers.groups.count, 2);
    match(&scene, "a=5 b=x");
    assert_int_equal(scene.bound[5].visits, 1);
    assert_int_equal(scene.bound[20].visits, 0);
    end(&scene);
}

static void nested_values_match_as_a_whole(void **state)
{
    (void)state;
    struct scene scene;
    struct table inside, other, arguments, message;
    struct lv_headers_binding *binding;

    begin(&scene);
    make(&inside, "k=1 l=2");
    make(&other, "l=2 k=1h"); /* the same by name */
    make(&arguments, "n=~");
    make(&message, "n=~");
    arguments.fields[0].value =
        (struct lv_value){.type = LV_TYPE_TABLE, .table = as_table(&inside)};
    message.fields[0].value = (struct lv_value){.type = LV_TYPE_TABLE, .table = as_table(&other)};
    assert_int_equal(
        lv_headers_add(&scene.headers, as_table(&arguments), &scene.bound[0], &binding), 0);
    scene.count = 1;
    match_table(&scene, as_table(&message));
    assert_int_equal(scene.bound[0].visits, 1);
    make(&other, "l=2 k=2");
    match_table(&scene, as_table(&message));
    assert_int_equal(scene.bound[0].visits, 0);
    message.fields[0].value.type = LV_TYPE_ARRAY;
    match_table(&scene, as_table(&message));
    assert_int_equal(scene.bound[0].visits, 0);
    lv_headers_remove(&scene.headers, binding);
    end(&scene);
}

static void a_message_with_very_many_headers_leaves_no_memory_behind(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    struct scene scene;
    struct lv_table *message = lv_calloc(1, sizeof *message + COUNT * sizeof(struct lv_field));
    char(*names)[8] = lv_calloc(COUNT, sizeof *names);

    begin(&scene);
    bind(&scene, "n4999=1");
    bind(&scene, "n5000=1");
    message->count = COUNT;
    for (uint32_t i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof names[i], "n%u", i);
        message->fields[i].name = lv_text(names[i]);
        message->fields[i].value = (struct lv_value){.type = LV_TYPE_I32, .integer = 1};
    }
    match_table(&scene, message);
    assert_int_equal(scene.bound[0].visits, 1);
    assert_int_equal(scene.bound[1].visits, 0);
    assert_null(scene.headers.seen);
    match(&scene, "n4999=1");
    assert_int_equal(scene.bound[0].visits, 1);
    lv_free(names);
    lv_free(message);
    end(&scene);
}

static void want_of_memory_leaves_everything_as_it_was(void **state)
{
    (void)state;
    struct scene scene;
    struct table table;
    const struct lv_table *arguments = make(&table, "x-match=any a=1 b=2 c=3");
    struct lv_headers_binding *binding = NULL;
    uint32_t failures = 0;

    begin(&scene);
    bind(&scene, "a=1");
    for (uint64_t n = 1;; n++) {
        lv_alloc_fail_after(n, 1);
        int rc = lv_headers_add(&scene.headers, arguments, &scene.bound[1], &binding);
        lv_alloc_fail_after(0, 0);
        if (rc == 0)
            break;
        failures++;
        assert_int_equal(rc, -LV_E_NOMEM);
        assert_int_equal(scene.headers.groups.count, 1);
    }
    assert_true(failures > 10);
    lv_alloc_fail_after(1, 1);
    assert_int_equal(lv_headers_match(&scene.headers, arguments, visit, NULL), -LV_E_NOMEM);
    lv_alloc_fail_after(0, 0);
    lv_headers_remove(&scene.headers, binding);
    end(&scene);
}

static int refuse(void *ctx, void *owner)
{
    uint32_t *count = ctx;

    assert_non_null(owner);
    ++*count;
    return -LV_E_RESOURCE;
}

static void the_visitors_error_ends_the_match(void **state)
{
    (void)state;
    struct scene scene;
    struct table message;
    uint32_t count = 0;

    begin(&scene);
    bind(&scene, "a=1");
    bind(&scene, "a=1");
    bind(&scene, "");
    assert_int_equal(lv_headers_match(&scene.headers, make(&message, "a=1"), refuse, &count),
                     -LV_E_RESOURCE);
    assert_int_equal(count, 1);
    end(&scene);
}

/* ---- at random, against a matcher that is too simple to be wrong ---- */

static void random_words(struct lv_random *random, char *text, size_t size, bool is_binding)
{
    static const char *const starts[] = {"", "x-match=all ", "x-match=any ", "x-match=all-with-x ",
                                         "x-match=any-with-x "};
    static const char *const names[] = {"a", "b", "c", "x-d"};
    static const char *const values[] = {"1", "1h", "1.0", "2", "one", "t", "@1", "~"};
    size_t used =
        (size_t)snprintf(text, size, "%s", is_binding ? starts[lv_random_below(random, 5)] : "");
    uint64_t count = lv_random_below(random, 4);

    for (uint64_t i = 0; i < count; i++)
        used +=
            (size_t)snprintf(text + used, size - used, "%s=%s ", names[lv_random_below(random, 4)],
                             values[lv_random_below(random, 8)]);
    if (used > 0)
        text[used - 1] = '\0';
}

static void random_bindings_match_as_one_by_one(void **state)
{
    (void)state;

    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct scene scene;
        struct lv_random random;
        struct table message;
        char text[256];

        begin(&scene);
        lv_random_seed(&random, seed);
        for (uint32_t round = 0; round < BOUND_MAX; round++) {
            random_words(&random, text, sizeof text, true);
            bind(&scene, text);
            struct bound *victim = &scene.bound[lv_random_below(&random, scene.count)];
            if (victim->binding != NULL && lv_random_below(&random, 3) == 0)
                unbind(&scene, victim);
            random_words(&random, text, sizeof text, false);
            match(&scene, text);
            make(&message, text);
            for (uint32_t i = 0; i < scene.count; i++) {
                const struct bound *bound = &scene.bound[i];
                bool expected =
                    bound->binding != NULL &&
                    lv_naive_headers_match(as_table(&bound->arguments), as_table(&message));
                if ((bound->visits > 0) != expected)
                    fail_msg("seed %llu: '%s' and '%s'", (unsigned long long)seed,
                             bound->arguments.text, text);
            }
        }
        end(&scene);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_and_modes_match_as_rabbitmq_says),
        cmocka_unit_test(no_table_is_an_empty_one),
        cmocka_unit_test(x_match_is_one_of_four_words),
        cmocka_unit_test(bindings_about_the_same_names_share_a_group),
        cmocka_unit_test(nested_values_match_as_a_whole),
        cmocka_unit_test(a_message_with_very_many_headers_leaves_no_memory_behind),
        cmocka_unit_test(want_of_memory_leaves_everything_as_it_was),
        cmocka_unit_test(the_visitors_error_ends_the_match),
        cmocka_unit_test(random_bindings_match_as_one_by_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
