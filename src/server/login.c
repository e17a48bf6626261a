#include "server/login.h"

#include "auth/password.h"
#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

/* What is checked in place of a hash that there is not. Nobody knows a password for it, and who
 * did would not come in by it. */
#define NOBODYS_HASH "$y$j9T$etbUbyBVAVqAqTPehJh7D/$4bnE/JuwhdPioloUY.P5hH9.EzsmyLoAnN8PfqHZAK6"

/* Why a wrong password is none, for the log. */
enum reason { PASSWORD_WRONG, USER_UNKNOWN, USER_WITHOUT_PASSWORD };

/* One password against one hash, for all who ask just this. */
struct check {
    struct lv_job job;
    struct lv_link link;      /*       in the checks */
    struct lv_logins *logins; /* view */
    struct lv_list attempts;
    struct lv_verified_digest digest;
    char hash[LV_PASSWORD_HASH_SIZE];
    int verdict; /* as of lv_password_verify() */
    size_t size;
    uint8_t password[];
};

/* One who asks. Waits for a check, and then perhaps for its answer to be given. */
struct lv_attempt {
    struct lv_link link;         /*       in the check's attempts or in those held */
    struct lv_logins *logins;    /* view */
    void *asker;                 /* view  NULL: gone; the answer is held all the same */
    struct lv_deadline deadline; /*       the end of being held */
    uint8_t ip[16];
    bool is_counted;    /* as held, by the throttle */
    enum reason reason; /* if the password is wrong */
    size_t name_size;
    char name[]; /* of the user */
};

/* ---- answers ---- */

static int fail_unknown(struct lv_diag *diag, struct lv_bytes name)
{
    return lv_fail(diag, -LV_E_ACCESS_REFUSED, "there is no user '%.*s'", LV_FMT(name));
}

/* As long as enough answers are held for an address nothing is worked out for it. */
static int check_throttle(struct lv_logins *logins, const uint8_t ip[16], struct lv_diag *diag)
{
    if (!lv_throttle_is_full(logins->throttle, ip))
        return 0;
    return lv_fail(diag, -LV_E_ACCESS_REFUSED,
                   "too many wrong passwords have come from this address");
}

static void tell(const struct lv_attempt *attempt, struct lv_diag *diag)
{
    struct lv_bytes name = lv_bytes(attempt->name, attempt->name_size);

    if (attempt->reason == USER_UNKNOWN)
        (void)fail_unknown(diag, name);
    else if (attempt->reason == USER_WITHOUT_PASSWORD)
        (void)lv_fail(diag, -LV_E_ACCESS_REFUSED, "user '%.*s' has no password to log in with",
                      LV_FMT(name));
    else
        (void)lv_fail(diag, -LV_E_ACCESS_REFUSED, "the password of user '%.*s' is wrong",
                      LV_FMT(name));
}

/* Takes the attempt. Its memory goes first, as the asker may drop what it still knows of it. */
static void answer(struct lv_attempt *attempt, const char *refusal)
{
    lv_login_answer_fn *fn = attempt->logins->config.answer;
    void *asker = attempt->asker;

    assert(!attempt->deadline.armed);
    lv_link_clear(&attempt->link);
    lv_free(attempt);
    if (asker != NULL)
        fn(asker, refusal);
}

static void on_held(struct lv_deadline *deadline, uint64_t now)
{
    struct lv_attempt *attempt = lv_container(deadline, struct lv_attempt, deadline);
    struct lv_diag diag;

    assert(lv_link_is_linked(&attempt->link));
    (void)now;
    if (attempt->is_counted)
        lv_throttle_let_go(attempt->logins->throttle, attempt->ip);
    tell(attempt, &diag);
    answer(attempt, diag.text);
}

/* What was last thought of an address, within a check. */
struct penalty {
    uint8_t ip[16];
    uint64_t wait;
};

/* A program with the wrong password that opens fifty connections has made one guess, not fifty. */
static void count_failure(struct lv_attempt *attempt, struct penalty *penalty)
{
    struct lv_logins *logins = attempt->logins;

    assert(logins->now > 0);
    if (memcmp(penalty->ip, attempt->ip, sizeof penalty->ip) == 0)
        return;
    memcpy(penalty->ip, attempt->ip, sizeof penalty->ip);
    penalty->wait = lv_throttle_fail(logins->throttle, attempt->ip, logins->now);
    attempt->is_counted = penalty->wait > 0;
}

/* The password was wrong: now, or as late as the address deserves. */
static void refuse(struct lv_attempt *attempt, struct penalty *penalty)
{
    struct lv_logins *logins = attempt->logins;
    struct lv_diag diag;

    count_failure(attempt, penalty);
    if (penalty->wait > 0) {
        lv_link_clear(&attempt->link);
        lv_list_push_back(&logins->held, &attempt->link);
        lv_deadline_set(logins->config.deadlines, &attempt->deadline, logins->now + penalty->wait);
        return;
    }
    tell(attempt, &diag);
    answer(attempt, diag.text);
}

/* Whether it is still the user's hash that was checked. */
static bool is_current(const struct lv_attempt *attempt, const char *hash)
{
    const struct lv_logins_config *config = &attempt->logins->config;
    char stored[LV_PASSWORD_HASH_SIZE];

    assert(hash[0] != '\0');
    return config->user(config->ctx, lv_bytes(attempt->name, attempt->name_size), stored) &&
           strcmp(stored, hash) == 0;
}

static void conclude(struct lv_attempt *attempt, const struct check *check, struct penalty *penalty)
{
    if (check->verdict == 0 || (check->verdict > 0 && attempt->reason != PASSWORD_WRONG))
        refuse(attempt, penalty);
    else if (check->verdict < 0)
        answer(attempt, check->verdict == -LV_E_NOMEM
                            ? "out of memory for the check of a password"
                            : "the stored hash of the user's password is damaged");
    else if (!is_current(attempt, check->hash))
        answer(attempt, "the user was changed while the password was checked");
    else
        answer(attempt, NULL);
}

/* ---- checks ---- */

/* The hasher's thread. */
static void run_check(struct lv_job *job)
{
    struct check *check = lv_container(job, struct check, job);

    assert(check->verdict == 0);
    check->verdict = lv_password_verify(check->hash, lv_bytes(check->password, check->size));
}

/* Nobody waits for it any more. */
static void free_check(struct check *check)
{
    assert(lv_list_is_empty(&check->attempts));
    assert(check->logins->check_count > 0);
    check->logins->check_count--;
    lv_link_clear(&check->link);
    explicit_bzero(check->password, check->size);
    lv_free(check);
}

/* Who has guessed too much since he asked does not keep the thread from others. */
static void turn_away(struct check *check)
{
    struct lv_diag diag;

    LV_LIST_EACH(&check->attempts, link)
    {
        struct lv_attempt *attempt = lv_container(link, struct lv_attempt, link);

        if (check_throttle(check->logins, attempt->ip, &diag) < 0)
            answer(attempt, diag.text);
    }
}

/* Gives the thread the first that is still worth the work. */
static void run_next(struct lv_logins *logins)
{
    struct lv_link *link;

    while (!logins->is_busy && logins->is_started &&
           (link = lv_list_first(&logins->checks)) != NULL) {
        struct check *check = lv_container(link, struct check, link);

        assert(check->logins == logins);
        turn_away(check);
        if (lv_list_is_empty(&check->attempts)) {
            free_check(check);
        } else {
            logins->is_busy = true;
            lv_helper_run(&logins->hasher, &check->job);
        }
    }
}

static void on_checked(struct lv_job *job)
{
    struct check *check = lv_container(job, struct check, job);
    struct lv_logins *logins = check->logins;
    struct penalty penalty = {.wait = 0}; /* no peer has the address :: */

    assert(logins->is_busy);
    logins->is_busy = false;
    if (check->verdict > 0)
        lv_verified_put(logins->verified, &check->digest, logins->now);
    LV_LIST_EACH(&check->attempts, link)
    conclude(lv_container(link, struct lv_attempt, link), check, &penalty);
    free_check(check);
    run_next(logins);
}

/* NULL: nobody has asked the same. */
static struct check *find_check(const struct lv_logins *logins,
                                const struct lv_verified_digest *digest)
{
    LV_LIST_EACH(&logins->checks, link)
    {
        struct check *check = lv_container(link, struct check, link);

        if (memcmp(&check->digest, digest, sizeof *digest) == 0)
            return check;
    }
    return NULL;
}

/* At the end of the row. */
static struct check *new_check(struct lv_logins *logins, const char *hash, struct lv_bytes password,
                               const struct lv_verified_digest *digest)
{
    struct check *check = lv_calloc(1, sizeof *check + password.size);

    assert(strlen(hash) < sizeof check->hash);
    if (check == NULL)
        return NULL;
    check->job.run = run_check;
    check->job.done = on_checked;
    check->logins = logins;
    lv_list_init(&check->attempts);
    check->digest = *digest;
    snprintf(check->hash, sizeof check->hash, "%s", hash);
    check->size = password.size;
    lv_put_bytes(check->password, password);
    lv_list_push_back(&logins->checks, &check->link);
    logins->check_count++;
    return check;
}

/* ---- asking ---- */

static struct lv_attempt *new_attempt(struct lv_logins *logins,
                                      const struct lv_login_question *question, enum reason reason)
{
    struct lv_bytes name = question->login->user;
    struct lv_attempt *attempt = lv_calloc(1, sizeof *attempt + name.size);

    assert(question->asker != NULL);
    if (attempt == NULL)
        return NULL;
    attempt->logins = logins;
    attempt->asker = question->asker;
    attempt->reason = reason;
    lv_deadline_init(&attempt->deadline, on_held);
    memcpy(attempt->ip, question->peer->ip, sizeof attempt->ip);
    attempt->name_size = name.size;
    lv_put_bytes((uint8_t *)attempt->name, name);
    return attempt;
}

/* One more who waits for this check, which is made if nobody waits for it yet. */
static int wait_for(struct lv_attempt *attempt, const char *hash, struct lv_bytes password,
                    const struct lv_verified_digest *digest, struct lv_diag *diag)
{
    struct lv_logins *logins = attempt->logins;
    struct check *check = find_check(logins, digest);

    assert(!lv_link_is_linked(&attempt->link));
    if (check == NULL && logins->check_count == LV_LOGIN_CHECKS_MAX)
        return lv_fail(diag, -LV_E_RESOURCE, "%u other passwords wait to be checked",
                       LV_LOGIN_CHECKS_MAX);
    if (check == NULL)
        check = new_check(logins, hash, password, digest);
    if (check == NULL)
        return lv_fail(diag, -LV_E_NOMEM, "out of memory for the check of a password");
    lv_list_push_back(&check->attempts, &attempt->link);
    return 0;
}

/* What needs no password to be refused. The answer says nothing of whether there is such a user. */
static int refuse_early(const struct lv_logins *logins, const struct lv_login_question *question,
                        struct lv_diag *diag)
{
    const struct lv_login *login = question->login;

    if (lv_names_have(&logins->config.settings->loopback_users, login->user.data,
                      login->user.size) &&
        !lv_address_is_loopback(question->peer))
        return lv_fail(diag, -LV_E_ACCESS_REFUSED,
                       "user '%.*s' can only connect via localhost (loopback_users)",
                       LV_FMT(login->user));
    if (!login->is_proved && login->password.size == 0)
        return lv_fail(diag, -LV_E_ACCESS_REFUSED, "user '%.*s' gave an empty password",
                       LV_FMT(login->user));
    return 0;
}

/* Against `hash`, or, when there is a reason why the password can't be right, for the time that it
 * takes. */
static int check_password(struct lv_logins *logins, const struct lv_login_question *question,
                          const char *hash, enum reason reason, struct lv_diag *diag,
                          struct lv_attempt **ret_attempt)
{
    struct lv_bytes password = question->login->password;
    const struct lv_verified_digest digest = lv_verified_digest(logins->verified, hash, password);
    struct lv_attempt *attempt;
    int rc = check_throttle(logins, question->peer->ip, diag);

    assert(hash[0] != '\0');
    if (reason == PASSWORD_WRONG && lv_verified_has(logins->verified, &digest, logins->now))
        return 1;
    if (rc < 0)
        return rc;
    attempt = new_attempt(logins, question, reason);
    if (attempt == NULL)
        return lv_fail(diag, -LV_E_NOMEM, "out of memory for a login");
    rc = wait_for(attempt, hash, password, &digest, diag);
    if (rc < 0)
        lv_free(attempt);
    else
        *ret_attempt = attempt;
    return rc;
}

/* If the thread has nothing to do, no other waits, so nobody but this one is answered by that. */
int lv_logins_ask(struct lv_logins *logins, const struct lv_login_question *question, uint64_t now,
                  struct lv_diag *diag, struct lv_attempt **ret_attempt)
{
    const struct lv_login *login = question->login;
    char hash[LV_PASSWORD_HASH_SIZE] = NOBODYS_HASH;
    enum reason reason = PASSWORD_WRONG;
    int rc = refuse_early(logins, question, diag);

    assert(now > 0);
    logins->now = now;
    if (rc < 0)
        return rc;
    if (!logins->config.user(logins->config.ctx, login->user, hash))
        reason = USER_UNKNOWN;
    if (login->is_proved)
        return reason == USER_UNKNOWN ? fail_unknown(diag, login->user) : 1;
    if (hash[0] == '\0') {
        reason = USER_WITHOUT_PASSWORD;
        snprintf(hash, sizeof hash, "%s", NOBODYS_HASH);
    }
    rc = check_password(logins, question, hash, reason, diag, ret_attempt);
    if (rc == 0)
        run_next(logins);
    return rc;
}

/* What is held stays held: who leaves before the answer guesses no faster. */
void lv_logins_drop(struct lv_logins *logins, struct lv_attempt *attempt)
{
    assert(attempt->logins == logins);
    if (attempt->deadline.armed) {
        attempt->asker = NULL;
        return;
    }
    lv_link_remove(&attempt->link);
    lv_free(attempt);
}

void lv_logins_take(struct lv_logins *logins, uint64_t now)
{
    assert(now > 0);
    logins->now = now;
    lv_helper_take(&logins->hasher);
}

/* ---- life ---- */

int lv_logins_init(struct lv_logins *logins, const struct lv_logins_config *config)
{
    assert(config->user != NULL);
    assert(config->answer != NULL);
    logins->config = *config;
    lv_list_init(&logins->checks);
    lv_list_init(&logins->held);
    logins->verified = lv_verified_new();
    logins->throttle = lv_throttle_new();
    return logins->verified == NULL || logins->throttle == NULL ? -LV_E_NOMEM : 0;
}

void lv_logins_fini(struct lv_logins *logins)
{
    struct lv_link *link;

    assert(!logins->is_started);
    if (logins->config.user == NULL)
        return;
    while ((link = lv_list_pop_front(&logins->held)) != NULL) {
        struct lv_attempt *attempt = lv_container(link, struct lv_attempt, link);

        assert(attempt->asker == NULL);
        lv_deadline_cancel(logins->config.deadlines, &attempt->deadline);
        lv_free(attempt);
    }
    while ((link = lv_list_first(&logins->checks)) != NULL)
        free_check(lv_container(link, struct check, link));
    lv_throttle_free(logins->throttle);
    lv_verified_free(logins->verified);
}

int lv_logins_start(struct lv_logins *logins, uint32_t shard)
{
    char name[16];
    int rc;

    assert(!logins->is_started);
    snprintf(name, sizeof name, "login %u", shard);
    rc = lv_helper_start(&logins->hasher, name, logins->config.wake, logins->config.ctx);
    logins->is_started = rc == 0;
    return rc;
}

/* The one that the thread was at is done; what waits behind it stays. */
void lv_logins_stop(struct lv_logins *logins)
{
    if (!logins->is_started)
        return;
    logins->is_started = false;
    lv_helper_stop(&logins->hasher);
    lv_helper_take(&logins->hasher);
}
