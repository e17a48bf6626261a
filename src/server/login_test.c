#include "server/login.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Of the password "guest", with little work. */
#define GUEST_HASH "$y$j75$k2XAnEHBqQ1Ct2aMXFKNa/$El8aNvAzfE0RVHbQIs6xyB1nvh4oLgxiwLM5Oq9lFd7"
/* Of the same. */
#define IMPORTED_HASH                                                                              \
    "rabbit_password_hashing_sha256:sC3G1EGqBOfACDqISjivE0wC+yM09uprbI9JzIp9ux1GlJZo"
#define NOW        (1000 * LV_THROTTLE_FORGET_NS)
#define MS         1000000ull

#define ASKERS_MAX (LV_LOGIN_CHECKS_MAX + 8)

/* Who asks, as a connection would. */
struct asker {
    struct lv_attempt *attempt; /* view */
    unsigned answers;           /*      that came later */
    bool is_welcome;
    char refusal[sizeof(struct lv_diag)];
};

static struct {
    struct lv_settings settings;
    struct lv_deadlines deadlines;
    struct lv_logins logins;
    const char *hash; /* of the user guest; NULL: he is gone */
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool has_mail; /* mutex */
    uint64_t now;
    struct asker askers[ASKERS_MAX];
} scene;

static bool find_user(void *ctx, struct lv_bytes name, char hash[LV_PASSWORD_HASH_SIZE])
{
    const char *stored = NULL;

    assert_ptr_equal(ctx, &scene);
    if (lv_bytes_equal(name, lv_text("guest")))
        stored = scene.hash;
    else if (lv_bytes_equal(name, lv_text("app")))
        stored = IMPORTED_HASH;
    else if (lv_bytes_equal(name, lv_text("certificate")))
        stored = "";
    else if (lv_bytes_equal(name, lv_text("damaged")))
        stored = "$y$j75$damaged";
    if (stored != NULL)
        snprintf(hash, LV_PASSWORD_HASH_SIZE, "%s", stored);
    return stored != NULL;
}

static void hear(void *ctx, const char *refusal)
{
    struct asker *asker = ctx;

    assert_non_null(asker->attempt);
    asker->attempt = NULL;
    asker->answers++;
    asker->is_welcome = refusal == NULL;
    snprintf(asker->refusal, sizeof asker->refusal, "%s", refusal == NULL ? "" : refusal);
}

/* The hasher's thread. */
static void wake(void *ctx)
{
    (void)ctx;
    pthread_mutex_lock(&scene.mutex);
    scene.has_mail = true;
    pthread_cond_signal(&scene.cond);
    pthread_mutex_unlock(&scene.mutex);
}

static const struct lv_logins_config config = {
    .settings = &scene.settings,
    .deadlines = &scene.deadlines,
    .user = find_user,
    .answer = hear,
    .wake = wake,
    .ctx = &scene,
};

static int begin(void **state)
{
    (void)state;
    memset(&scene, 0, sizeof scene);
    pthread_mutex_init(&scene.mutex, NULL);
    pthread_cond_init(&scene.cond, NULL);
    scene.hash = GUEST_HASH;
    scene.now = NOW;
    if (lv_settings_init(&scene.settings) < 0 || lv_logins_init(&scene.logins, &config) < 0)
        return -1;
    return lv_logins_start(&scene.logins, 0);
}

static int end(void **state)
{
    (void)state;
    lv_alloc_fail_after(0, 0);
    for (size_t i = 0; i < ASKERS_MAX; i++) {
        if (scene.askers[i].attempt != NULL)
            lv_logins_drop(&scene.logins, scene.askers[i].attempt);
    }
    lv_logins_stop(&scene.logins);
    lv_logins_fini(&scene.logins);
    assert_true(lv_deadlines_next(&scene.deadlines) == LV_NEVER);
    lv_settings_fini(&scene.settings);
    pthread_cond_destroy(&scene.cond);
    pthread_mutex_destroy(&scene.mutex);
    return 0;
}

/* As lv_logins_ask(); what is refused at once is heard, too. */
static int ask_as(struct asker *asker, const struct lv_login *login, const char *from)
{
    struct lv_address peer;
    const struct lv_login_question question = {login, &peer, asker};
    struct lv_diag diag = {""};
    int rc;

    assert_int_equal(lv_address_resolve(from, 1, &peer, 1, NULL), 1);
    rc = lv_logins_ask(&scene.logins, &question, scene.now, &diag, &asker->attempt);
    assert_true((rc == 0) == (asker->attempt != NULL));
    snprintf(asker->refusal, sizeof asker->refusal, "%s", diag.text);
    return rc;
}

static int ask_from(struct asker *asker, const char *from, const char *user, const char *password)
{
    const struct lv_login login = {
        .mechanism = "PLAIN", .user = lv_text(user), .password = lv_text(password)};

    return ask_as(asker, &login, from);
}

static int ask(struct asker *asker, const char *user, const char *password)
{
    return ask_from(asker, "127.0.0.1", user, password);
}

/* One check is done and its answers are given, or held. */
static void take(void)
{
    pthread_mutex_lock(&scene.mutex);
    while (!scene.has_mail)
        pthread_cond_wait(&scene.cond, &scene.mutex);
    scene.has_mail = false;
    pthread_mutex_unlock(&scene.mutex);
    lv_logins_take(&scene.logins, scene.now);
}

/* Why he may not come in; "": he may. */
static const char *verdict(const char *user, const char *password)
{
    struct asker *asker = &scene.askers[0];
    int rc = ask(asker, user, password);

    if (rc == 0) {
        take();
        while (asker->attempt != NULL) { /* held */
            scene.now = lv_deadlines_next(&scene.deadlines);
            lv_deadlines_run(&scene.deadlines, scene.now);
        }
    }
    return asker->refusal;
}

/* So many wrong passwords, each answered before the next. */
static void guess(unsigned count)
{
    char password[16];

    for (unsigned i = 0; i < count; i++) {
        snprintf(password, sizeof password, "p%u", i);
        assert_string_equal(verdict("app", password), "the password of user 'app' is wrong");
    }
}

static void a_right_password_waits_once_and_is_right_at_once_for_minutes(void **state)
{
    struct asker *asker = &scene.askers[0];

    (void)state;
    assert_int_equal(ask(asker, "guest", "guest"), 0);
    take();
    assert_int_equal(asker->answers, 1);
    assert_true(asker->is_welcome);
    assert_int_equal(ask(asker, "guest", "guest"), 1);
    assert_int_equal(ask_from(asker, "::1", "guest", "guest"), 1);
    scene.now += LV_VERIFIED_NS - 1;
    assert_int_equal(ask(asker, "guest", "guest"), 1);
    scene.now++;
    assert_int_equal(ask(asker, "guest", "guest"), 0);
}

static void hashes_of_every_kind_are_checked_by_the_thread(void **state)
{
    (void)state;
    assert_string_equal(verdict("app", "guest"), "");
    assert_int_equal(scene.askers[0].answers, 1);
    assert_string_equal(verdict("app", "Guest"), "the password of user 'app' is wrong");
    assert_int_equal(scene.askers[0].answers, 2);
}

static void the_reason_is_for_the_log_and_every_one_takes_a_check(void **state)
{
    static const struct {
        const char *user, *password, *refusal;
    } cases[] = {
        {"guest", "Guest", "the password of user 'guest' is wrong"},
        {"guest", "gues", "the password of user 'guest' is wrong"},
        {"guest", "guest ", "the password of user 'guest' is wrong"},
        {"mallory", "guest", "there is no user 'mallory'"},
        {"", "guest", "there is no user ''"},
        {"certificate", "guest", "user 'certificate' has no password to log in with"},
        {"damaged", "guest", "the stored hash of the user's password is damaged"},
    };

    (void)state;
    for (unsigned i = 0; i < LV_COUNT(cases); i++) {
        assert_string_equal(verdict(cases[i].user, cases[i].password), cases[i].refusal);
        assert_int_equal(scene.askers[0].answers, i + 1);
    }
}

static void an_empty_password_is_refused_at_once(void **state)
{
    (void)state;
    assert_string_equal(verdict("guest", ""), "user 'guest' gave an empty password");
    assert_string_equal(verdict("mallory", ""), "user 'mallory' gave an empty password");
    assert_int_equal(scene.askers[0].answers, 0);
}

static void guest_may_not_come_from_elsewhere(void **state)
{
    static const char sentence[] = "user 'guest' can only connect via localhost (loopback_users)";
    struct asker *asker = &scene.askers[0];

    (void)state;
    assert_int_equal(ask_from(asker, "192.0.2.1", "guest", "guest"), -LV_E_ACCESS_REFUSED);
    assert_string_equal(asker->refusal, sentence);
    assert_int_equal(ask_from(asker, "2001:db8::1", "guest", "x"), -LV_E_ACCESS_REFUSED);
    assert_string_equal(asker->refusal, sentence);
    assert_int_equal(ask_from(asker, "192.0.2.1", "app", "guest"), 0);
    scene.hash = NULL; /* whether there is a guest at all cannot be told from afar */
    assert_int_equal(ask_from(&scene.askers[1], "192.0.2.1", "guest", "x"), -LV_E_ACCESS_REFUSED);
}

static void without_loopback_users_everybody_comes_from_everywhere(void **state)
{
    (void)state;
    assert_int_equal(lv_settings_set(&scene.settings, "loopback_users", "none", NULL), 0);
    assert_int_equal(ask_from(&scene.askers[0], "192.0.2.1", "guest", "guest"), 0);
    take();
    assert_true(scene.askers[0].is_welcome);
}

static void who_is_proved_needs_no_password_but_has_to_be_known(void **state)
{
    struct lv_login login = {
        .mechanism = "EXTERNAL", .user = lv_text("certificate"), .is_proved = true};
    struct asker *asker = &scene.askers[0];

    (void)state;
    assert_int_equal(ask_as(asker, &login, "192.0.2.1"), 1);
    login.user = lv_text("mallory");
    assert_int_equal(ask_as(asker, &login, "192.0.2.1"), -LV_E_ACCESS_REFUSED);
    assert_string_equal(asker->refusal, "there is no user 'mallory'");
    login.user = lv_text("guest");
    assert_int_equal(ask_as(asker, &login, "192.0.2.1"), -LV_E_ACCESS_REFUSED);
    assert_int_equal(ask_as(asker, &login, "127.0.0.1"), 1);
}

static void who_asks_the_same_waits_for_one_check(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(ask(&scene.askers[i], "guest", i % 2 ? "guest" : "Guest"), 0);
    assert_int_equal(scene.logins.check_count, 2);
    take();
    take();
    assert_int_equal(scene.logins.check_count, 0);
    for (unsigned i = 1; i < 100; i += 2)
        assert_true(scene.askers[i].answers == 1 && scene.askers[i].is_welcome);
    assert_string_equal(scene.askers[0].refusal, "the password of user 'guest' is wrong");
    guess(LV_THROTTLE_FREE - 1); /* it was one failure and no more */
    assert_true(scene.now == NOW);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(ask_from(&scene.askers[i], i < 50 ? "127.0.0.1" : "::1", "app", "x"), 0);
    take();
    for (unsigned i = 0; i < 100; i++)
        assert_true((scene.askers[i].attempt == NULL) == (i >= 50));
    lv_deadlines_run(&scene.deadlines, scene.now + LV_THROTTLE_MIN_NS);
    assert_null(scene.askers[0].attempt);
    assert_null(scene.askers[49].attempt);
}

/* So that it can't be told whether a user exists; each hears of his own all the same. */
static void users_that_are_unknown_share_a_check_and_not_a_reason(void **state)
{
    (void)state;
    assert_int_equal(ask(&scene.askers[0], "mallory", "x"), 0);
    assert_int_equal(ask(&scene.askers[1], "trudy", "x"), 0);
    assert_int_equal(ask(&scene.askers[2], "certificate", "x"), 0);
    assert_int_equal(scene.logins.check_count, 1);
    take();
    assert_string_equal(scene.askers[0].refusal, "there is no user 'mallory'");
    assert_string_equal(scene.askers[1].refusal, "there is no user 'trudy'");
    assert_non_null(strstr(scene.askers[2].refusal, "has no password"));
}

static void a_new_password_ends_what_was_remembered(void **state)
{
    (void)state;
    assert_string_equal(verdict("guest", "guest"), "");
    assert_int_equal(ask(&scene.askers[0], "guest", "guest"), 1);
    scene.hash = "$y$j75$k2XAnEHBqQ1Ct2aMXFKNa/$El8aNvAzfE0RVHbQIs6xyB1nvh4oLgxiwLM5Oq9lFd5";
    assert_string_equal(verdict("guest", "guest"), "the password of user 'guest' is wrong");
    scene.hash = NULL;
    assert_string_equal(verdict("guest", "guest"), "there is no user 'guest'");
    scene.hash = "";
    assert_non_null(strstr(verdict("guest", "guest"), "has no password"));
}

static void a_user_who_changes_during_the_check_has_to_come_again(void **state)
{
    static const char *const changed[] = {NULL, "", IMPORTED_HASH};

    (void)state;
    for (unsigned i = 0; i < LV_COUNT(changed); i++) {
        struct asker *asker = &scene.askers[i];

        scene.hash = GUEST_HASH;
        scene.now += LV_VERIFIED_NS;
        assert_int_equal(ask(asker, "guest", "guest"), 0);
        scene.hash = changed[i];
        take();
        assert_string_equal(asker->refusal, "the user was changed while the password was checked");
    }
}

static void the_answer_to_one_who_guesses_is_held(void **state)
{
    struct asker *asker = &scene.askers[0];

    (void)state;
    guess(LV_THROTTLE_FREE);
    assert_true(scene.now == NOW);
    assert_int_equal(ask(asker, "app", "wrong"), 0);
    take();
    assert_non_null(asker->attempt);
    assert_true(lv_deadlines_next(&scene.deadlines) == NOW + LV_THROTTLE_MIN_NS);
    lv_deadlines_run(&scene.deadlines, NOW + LV_THROTTLE_MIN_NS);
    assert_string_equal(asker->refusal, "the password of user 'app' is wrong");
    /* A right one is not, nor is anybody elsewhere. */
    assert_string_equal(verdict("app", "guest"), "");
    assert_int_equal(ask_from(asker, "192.0.2.1", "app", "wrong"), 0);
    take();
    assert_null(asker->attempt);
}

static void who_leaves_before_the_answer_guesses_no_faster(void **state)
{
    struct asker *asker = &scene.askers[0];
    char password[16];

    (void)state;
    assert_string_equal(verdict("guest", "guest"), "");
    guess(LV_THROTTLE_FREE);
    for (unsigned i = 0; i < LV_THROTTLE_HELD; i++) {
        snprintf(password, sizeof password, "q%u", i);
        assert_int_equal(ask(asker, "app", password), 0);
        take();
        lv_logins_drop(&scene.logins, asker->attempt);
        asker->attempt = NULL;
    }
    assert_int_equal(ask(asker, "app", "guest"), -LV_E_ACCESS_REFUSED);
    assert_string_equal(asker->refusal, "too many wrong passwords have come from this address");
    /* Those who were right lately don't mind. */
    assert_int_equal(ask(asker, "guest", "guest"), 1);
    assert_int_equal(ask_from(asker, "192.0.2.1", "app", "guest"), 0);
    take();
    assert_true(asker->is_welcome);
    scene.now = lv_deadlines_next(&scene.deadlines);
    lv_deadlines_run(&scene.deadlines, scene.now);
    assert_string_equal(verdict("app", "guest"), "");
}

static void a_row_of_guesses_is_thrown_away_when_enough_are_held(void **state)
{
    unsigned refused = 0;
    char password[16];

    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        snprintf(password, sizeof password, "p%u", i);
        assert_int_equal(ask(&scene.askers[i], "app", password), 0);
    }
    assert_int_equal(ask_from(&scene.askers[200], "192.0.2.1", "app", "guest"), 0);
    for (unsigned i = 0; i < LV_THROTTLE_FREE + LV_THROTTLE_HELD; i++)
        take();
    for (unsigned i = 0; i < 200; i++)
        refused += strstr(scene.askers[i].refusal, "too many wrong passwords") != NULL;
    assert_int_equal(refused, 200 - LV_THROTTLE_FREE - LV_THROTTLE_HELD);
    take(); /* whoever waited behind them comes in */
    assert_true(scene.askers[200].is_welcome);
}

static void passwords_that_wait_are_bounded(void **state)
{
    char password[16];

    (void)state;
    for (unsigned i = 0; i < LV_LOGIN_CHECKS_MAX; i++) {
        snprintf(password, sizeof password, "p%u", i);
        assert_int_equal(ask(&scene.askers[i], "app", password), 0);
    }
    assert_int_equal(ask(&scene.askers[LV_LOGIN_CHECKS_MAX], "guest", "guest"), -LV_E_RESOURCE);
    assert_string_equal(scene.askers[LV_LOGIN_CHECKS_MAX].refusal,
                        "256 other passwords wait to be checked");
    /* One more for the same check is no further one. */
    assert_int_equal(ask(&scene.askers[LV_LOGIN_CHECKS_MAX], "app", "p77"), 0);
}

static void what_nobody_waits_for_any_more_is_not_checked(void **state)
{
    struct asker *asker = scene.askers;

    (void)state;
    assert_int_equal(ask(&asker[0], "app", "x"), 0);
    assert_int_equal(ask(&asker[1], "app", "y"), 0);
    assert_int_equal(ask(&asker[2], "app", "guest"), 0);
    for (unsigned i = 0; i < 2; i++) {
        lv_logins_drop(&scene.logins, asker[i].attempt);
        asker[i].attempt = NULL;
    }
    take(); /* of the first, which was under way */
    take();
    assert_true(asker[2].is_welcome);
    assert_int_equal(scene.logins.check_count, 0);
    assert_int_equal(asker[0].answers + asker[1].answers, 0);
}

static void without_memory_only_the_one_who_asks_is_refused(void **state)
{
    struct asker *asker = scene.askers;

    (void)state;
    assert_int_equal(ask(&asker[0], "app", "guest"), 0);
    for (unsigned nth = 1; nth <= 2; nth++) {
        lv_alloc_fail_after(nth, 0);
        assert_int_equal(ask(&asker[nth], "guest", "guest"), -LV_E_NOMEM);
        assert_non_null(strstr(asker[nth].refusal, "out of memory"));
    }
    lv_alloc_fail_after(0, 0);
    take();
    assert_true(asker[0].is_welcome);
}

static void without_memory_there_are_no_logins(void **state)
{
    struct lv_logins logins = {.is_busy = false};

    (void)state;
    lv_logins_fini(&logins); /* what was never made */
    for (unsigned nth = 1; nth <= 2; nth++) {
        lv_alloc_fail_after(nth, 0);
        assert_int_equal(lv_logins_init(&logins, &config), -LV_E_NOMEM);
        lv_alloc_fail_after(0, 0);
        lv_logins_stop(&logins); /* what was never started */
        lv_logins_fini(&logins);
    }
}

#define LOGIN_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOGIN_TEST(a_right_password_waits_once_and_is_right_at_once_for_minutes),
        LOGIN_TEST(hashes_of_every_kind_are_checked_by_the_thread),
        LOGIN_TEST(the_reason_is_for_the_log_and_every_one_takes_a_check),
        LOGIN_TEST(an_empty_password_is_refused_at_once),
        LOGIN_TEST(guest_may_not_come_from_elsewhere),
        LOGIN_TEST(without_loopback_users_everybody_comes_from_everywhere),
        LOGIN_TEST(who_is_proved_needs_no_password_but_has_to_be_known),
        LOGIN_TEST(who_asks_the_same_waits_for_one_check),
        LOGIN_TEST(users_that_are_unknown_share_a_check_and_not_a_reason),
        LOGIN_TEST(a_new_password_ends_what_was_remembered),
        LOGIN_TEST(a_user_who_changes_during_the_check_has_to_come_again),
        LOGIN_TEST(the_answer_to_one_who_guesses_is_held),
        LOGIN_TEST(who_leaves_before_the_answer_guesses_no_faster),
        LOGIN_TEST(a_row_of_guesses_is_thrown_away_when_enough_are_held),
        LOGIN_TEST(passwords_that_wait_are_bounded),
        LOGIN_TEST(what_nobody_waits_for_any_more_is_not_checked),
        LOGIN_TEST(without_memory_only_the_one_who_asks_is_refused),
        cmocka_unit_test(without_memory_there_are_no_logins),
    };

    return cmocka_run_group_tests_name("login", tests, NULL, NULL);
}
