#include "broker/trie.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/random.h"
#include "broker/naive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define PATTERNS_MAX 400u

static const struct lv_hash_key hash_key = {.k0 = 3, .k1 = 4};

struct bound {
    char pattern[64];
    bool is_bound;
    uint32_t visits; /* in the last match */
};

struct scene {
    struct lv_trie trie;
    struct bound bound[PATTERNS_MAX];
    uint32_t count;
};

static void begin(struct scene *scene)
{
    memset(scene, 0, sizeof *scene);
    lv_trie_init(&scene->trie, &hash_key);
}

/* False when the pattern is there already. */
static bool bind(struct scene *scene, const char *pattern)
{
    struct bound *bound = &scene->bound[scene->count];

    assert_true(scene->count < PATTERNS_MAX);
    if (lv_trie_get(&scene->trie, lv_text(pattern)) != NULL)
        return false;
    scene->count++;
    snprintf(bound->pattern, sizeof bound->pattern, "%s", pattern);
    assert_int_equal(lv_trie_add(&scene->trie, lv_text(bound->pattern), bound), 0);
    assert_ptr_equal(lv_trie_get(&scene->trie, lv_text(pattern)), bound);
    bound->is_bound = true;
    return true;
}

static void unbind(struct scene *scene, uint32_t index)
{
    struct bound *bound = &scene->bound[index];

    lv_trie_remove(&scene->trie, lv_text(bound->pattern));
    assert_null(lv_trie_get(&scene->trie, lv_text(bound->pattern)));
    bound->is_bound = false;
}

/* Whatever is still bound goes. */
static void end(struct scene *scene)
{
    for (uint32_t i = 0; i < scene->count; i++)
        if (scene->bound[i].is_bound)
            unbind(scene, i);
    assert_null(scene->trie.root);
    assert_int_equal(scene->trie.count, 0);
    lv_trie_fini(&scene->trie);
}

static int visit(void *ctx, void *value)
{
    struct bound *bound = value;
    uint32_t *count = ctx;

    bound->visits++;
    ++*count;
    return 0;
}

/* How many bindings match. */
static uint32_t match(struct scene *scene, const char *key)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < scene->count; i++)
        scene->bound[i].visits = 0;
    assert_int_equal(lv_trie_match(&scene->trie, lv_text(key), visit, &count), 0);
    return count;
}

static void words_and_wildcards_match_as_rabbitmq_says(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *key;
        bool matches;
    } rows[] = {
        {"a.b.c", "a.b.c", true},
        {"a.b.c", "a.b", false},
        {"a.b", "a.b.c", false},
        {"*.b.*", "a.b.c", true},
        {"*", "a", true},
        {"*", "", false}, /* the empty key has no words */
        {"*", "a.b", false},
        {"#", "", true},
        {"#", "a", true},
        {"#", "a.b.c.d", true},
        {"", "", true},
        {"", "a", false},
        {"a.#", "a", true},
        {"a.#", "a.b.c", true},
        {"a.#", "ab", false},
        {"#.a", "a", true},
        {"#.a", "b.c.a", true},
        {"#.a", "a.b", false},
        {"a.#.b", "a.b", true},
        {"a.#.b", "a.x.y.b", true},
        {"a.#.b", "a.b.x", false},
        {"#.#", "", true},
        {"#.#", "a", true},
        {"#.*", "", false},
        {"#.*", "a", true},
        {"*.#", "a.b", true},
        {"a.*.b", "a..b", true}, /* an empty word is a word */
        {"a..b", "a..b", true},
        {"a.b", "a..b", false},
        {"a.", "a.", true},
        {"a.*", "a.", true},
        {"a", "a.", false},
        {".", ".", true},
        {"*.*", ".", true},
        {"a*", "ab", false}, /* a wildcard is a word by itself */
        {"a*", "a*", true},
        {"*", "*", true}, /* and in a key it is a word like any other */
        {"a", "*", false},
        {"#.b", "#.b", true},
        {"b", "#.b", false},
        {"lazy.#", "Lazy.x", false},
    };

    for (size_t i = 0; i < LV_COUNT(rows); i++) {
        struct scene scene;
        begin(&scene);
        bind(&scene, rows[i].pattern);
        if ((match(&scene, rows[i].key) == 1) != rows[i].matches ||
            lv_naive_topic_matches(rows[i].pattern, rows[i].key) != rows[i].matches)
            fail_msg("'%s' and '%s'", rows[i].pattern, rows[i].key);
        end(&scene);
    }
}

static void every_pattern_is_visited_once(void **state)
{
    (void)state;
    struct scene scene;

    begin(&scene);
    assert_true(bind(&scene, "#.a.#")); /* reached in many ways by a.a.a */
    assert_false(bind(&scene, "#.a.#"));
    bind(&scene, "#.#.#");
    bind(&scene, "b");
    assert_int_equal(match(&scene, "a.a.a"), 2);
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(scene.bound[i].visits, 1);
    unbind(&scene, 0);
    assert_int_equal(match(&scene, "a.a.a"), 1);
    end(&scene);
}

static void nothing_bound_matches_nothing_and_owns_nothing(void **state)
{
    (void)state;
    struct scene scene;

    begin(&scene);
    assert_int_equal(match(&scene, "a.b"), 0);
    assert_null(scene.trie.slots);
    assert_null(scene.trie.front);
    bind(&scene, "a.b.c");
    unbind(&scene, 0);
    assert_null(scene.trie.root);
    assert_int_equal(match(&scene, "a.b.c"), 0);
    assert_null(lv_trie_get(&scene.trie, lv_text("")));
    bind(&scene, "");
    assert_null(lv_trie_get(&scene.trie, lv_text("a"))); /* only the root is there */
    end(&scene);
}

static void a_key_may_be_longer_than_any_pattern(void **state)
{
    (void)state;
    struct scene scene;
    char key[2000];

    begin(&scene);
    bind(&scene, "#");
    bind(&scene, "#.z");
    bind(&scene, "*");
    memset(key, 'x', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    assert_int_equal(match(&scene, key), 2); /* one long word */
    for (size_t i = 1; i < sizeof key - 1; i += 2)
        key[i] = '.';
    key[sizeof key - 3] = '.';
    key[sizeof key - 2] = 'z';
    assert_int_equal(match(&scene, key), 2);
    assert_int_equal(scene.bound[1].visits, 1);
    end(&scene);
}

/* With one path for each way to share out the words this would take longer than the sun has. */
static void many_wildcards_cost_no_more_than_nodes_times_words(void **state)
{
    (void)state;
    struct scene scene;
    char key[256];

    begin(&scene);
    for (uint32_t i = 0; i < 20; i++) {
        char pattern[64];
        size_t used = 0;
        for (uint32_t word = 0; word <= i; word++, used += 2)
            memcpy(pattern + used, word % 3 == 2 ? "*." : "#.", 2);
        memcpy(pattern + used, "no", 3);
        bind(&scene, pattern);
    }
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = i % 2 == 0 ? 'a' : '.';
    key[sizeof key - 1] = '\0';
    assert_int_equal(match(&scene, key), 0);
    assert_true(scene.trie.front_capacity <= 4 * scene.trie.count);
    memcpy(key + sizeof key - 4, ".no", 4);
    assert_int_equal(match(&scene, key), 20);
    end(&scene);
}

static void random_key(struct lv_random *random, char *key, size_t size, bool is_pattern)
{
    static const char *const words[] = {"a", "b", "c", "", "long-word", "*", "#", "*", "#"};
    uint32_t count = (uint32_t)lv_random_below(random, 6);
    size_t used = 0;

    key[0] = '\0';
    for (uint32_t i = 0; i < count; i++)
        used += (size_t)snprintf(key + used, size - used, "%s%s", i > 0 ? "." : "",
                                 words[lv_random_below(random, is_pattern ? 9 : 6)]);
    assert_true(used < size);
}

static void compare(struct scene *scene, const char *key, uint64_t seed)
{
    (void)match(scene, key);
    for (uint32_t i = 0; i < scene->count; i++) {
        const struct bound *bound = &scene->bound[i];
        bool expected = bound->is_bound && lv_naive_topic_matches(bound->pattern, key);
        if (bound->visits != (expected ? 1u : 0u))
            fail_msg("seed %llu: '%s' visits '%s' %u times", (unsigned long long)seed, key,
                     bound->pattern, bound->visits);
    }
}

static void random_patterns_match_as_one_by_one(void **state)
{
    (void)state;

    for (uint64_t seed = 1; seed <= 150; seed++) {
        struct scene scene;
        struct lv_random random;
        char text[64];

        begin(&scene);
        lv_random_seed(&random, seed);
        for (uint32_t round = 0; round < 60; round++) {
            if (lv_random_below(&random, 3) > 0) {
                random_key(&random, text, sizeof text, true);
                bind(&scene, text);
            } else if (scene.count > 0) {
                uint32_t index = (uint32_t)lv_random_below(&random, scene.count);
                if (scene.bound[index].is_bound)
                    unbind(&scene, index);
            }
            random_key(&random, text, sizeof text, false);
            compare(&scene, text, seed);
        }
        end(&scene);
    }
}

static void want_of_memory_leaves_everything_as_it_was(void **state)
{
    (void)state;
    struct scene scene;
    struct bound extra = {.pattern = "x.y.*.#.z"};
    uint32_t failures = 0;
    uint32_t count = 0;

    begin(&scene);
    for (uint32_t i = 0; i < 12; i++) { /* the table grows for what comes next */
        char pattern[16];
        snprintf(pattern, sizeof pattern, "w%u", i);
        bind(&scene, pattern);
    }
    for (uint64_t n = 1;; n++) {
        lv_alloc_fail_after(n, 1);
        int rc = lv_trie_add(&scene.trie, lv_text(extra.pattern), &extra);
        lv_alloc_fail_after(0, 0);
        if (rc == 0)
            break;
        failures++;
        assert_int_equal(rc, -LV_E_NOMEM);
        assert_null(lv_trie_get(&scene.trie, lv_text(extra.pattern)));
        assert_int_equal(scene.trie.count, 12);
    }
    assert_true(failures >= 5); /* five nodes at least */
    lv_alloc_fail_after(1, 1);
    assert_int_equal(lv_trie_match(&scene.trie, lv_text("w1"), visit, &count), -LV_E_NOMEM);
    lv_alloc_fail_after(0, 0);
    assert_int_equal(match(&scene, "x.y.1.2.3.z"), 1);
    lv_trie_remove(&scene.trie, lv_text(extra.pattern));
    end(&scene);
}

static int refuse(void *ctx, void *value)
{
    uint32_t *count = ctx;

    assert_non_null(value);
    ++*count;
    return -LV_E_RESOURCE;
}

static void the_visitors_error_ends_the_match(void **state)
{
    (void)state;
    struct scene scene;
    uint32_t count = 0;

    begin(&scene);
    bind(&scene, "#");
    bind(&scene, "a");
    assert_int_equal(lv_trie_match(&scene.trie, lv_text("a"), refuse, &count), -LV_E_RESOURCE);
    assert_int_equal(count, 1);
    end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_and_wildcards_match_as_rabbitmq_says),
        cmocka_unit_test(every_pattern_is_visited_once),
        cmocka_unit_test(nothing_bound_matches_nothing_and_owns_nothing),
        cmocka_unit_test(a_key_may_be_longer_than_any_pattern),
        cmocka_unit_test(many_wildcards_cost_no_more_than_nodes_times_words),
        cmocka_unit_test(random_patterns_match_as_one_by_one),
        cmocka_unit_test(want_of_memory_leaves_everything_as_it_was),
        cmocka_unit_test(the_visitors_error_ends_the_match),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
