/*
 * server/login.h - who may come in: a shard's users, their passwords, and the thread that checks
 * these.
 *
 * Checking a password takes tens of milliseconds, so it is done by a thread of its own, one after
 * the other; who asked waits, and nobody else. What was right a moment ago is right at once
 * (auth/verified.h); several who ask the same wait for one check; the answer to a wrong password is
 * held back where there were many before (auth/throttle.h). A user who does not exist takes as
 * long as one who does.
 *
 * The shard's thread, but for starting and stopping.
 */
#pragma once

#include "auth/password.h"
#include "auth/throttle.h"
#include "auth/verified.h"
#include "base/deadline.h"
#include "base/list.h"
#include "io/address.h"
#include "server/helper.h"
#include "server/settings.h"
#include "session/amqp091/session.h"

/* Checks that wait for the thread at a time: what it can do before the first client's patience is
 * over. */
#define LV_LOGIN_CHECKS_MAX 256u

struct lv_attempt;

/* What the broker knows of a user: whether there is one of this name, and then what is stored for
 * his password. */
typedef bool lv_login_user_fn(void *ctx, struct lv_bytes name, char hash[LV_PASSWORD_HASH_SIZE]);
/* The answer to one who had to wait: NULL: welcome; else why not, for the log. */
typedef void lv_login_answer_fn(void *asker, const char *refusal);

struct lv_logins_config {
    const struct lv_settings *settings; /* view  loopback_users */
    struct lv_deadlines *deadlines;     /* view */
    lv_login_user_fn *user;
    lv_login_answer_fn *answer;
    lv_helper_wake_fn *wake; /*       any thread's: lv_logins_take() is wanted */
    void *ctx;               /* view  of `user` and `wake` */
};

struct lv_logins {
    struct lv_logins_config config;
    struct lv_helper hasher;
    struct lv_verified *verified; /* own */
    struct lv_throttle *throttle; /* own */
    struct lv_list checks; /*       oldest first; with the hasher, when it is busy: the first */
    struct lv_list held;   /*       attempts whose answers are held back */
    uint64_t now;          /* of the call */
    uint32_t check_count;
    bool is_busy;
    bool is_started;
};

int lv_logins_init(struct lv_logins *logins, const struct lv_logins_config *config) LV_MUST_CHECK;
/* Nobody waits for an answer any more. Also of one that lv_logins_init() has failed on, or that is
 * all zeros. */
void lv_logins_fini(struct lv_logins *logins);
/* Its thread begins. */
int lv_logins_start(struct lv_logins *logins, uint32_t shard) LV_MUST_CHECK;
/* Its thread ends, and nothing is checked any more. Also of one that never started. */
void lv_logins_stop(struct lv_logins *logins);

/* Who asks, for whom, and from where. */
struct lv_login_question {
    const struct lv_login *login;  /* view */
    const struct lv_address *peer; /* view */
    void *asker;                   /* view  until it is answered or dropped */
};

/* 1: welcome. 0: the answer comes later, and `ret_attempt` is valid until then. -LV_E_…: no, and
 * `diag` says why, for the log. `now` in ns. */
int lv_logins_ask(struct lv_logins *logins, const struct lv_login_question *question, uint64_t now,
                  struct lv_diag *diag, struct lv_attempt **ret_attempt) LV_MUST_CHECK;
/* The asker is gone and wants no answer. */
void lv_logins_drop(struct lv_logins *logins, struct lv_attempt *attempt);
/* Once a turn, or when `wake` was called: answers what the thread has found out. `now` in ns. */
void lv_logins_take(struct lv_logins *logins, uint64_t now);
