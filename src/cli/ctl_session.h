/*
 * cli/ctl_session.h - what every command of `leveret ctl` works with: its words, the broker it
 * asks, and how failures are told. Main thread.
 */
#pragma once

#include "cli/ctl_wire.h"
#include "cli/ctl_words.h"
#include "server/data_dir.h"

struct lv_ctl_session {
    const struct lv_ctl_words *words; /* view */
    struct lv_ctl_wire wire;
    uint64_t timeout_s;
    char directory[LV_PATH_SIZE_MAX];
    char node[80];
};

/* To the words' data directory. -LV_E_…: not said yet. */
int lv_ctl_session_open(struct lv_ctl_session *session, struct lv_diag *diag) LV_MUST_CHECK;
/* Says why on standard error; returns the exit code. */
int lv_ctl_fail(const struct lv_ctl_session *session, int error, const struct lv_diag *diag);
/* "Error:" and the sentence on a line of its own; as an object when JSON is wanted. Returns
 * `status`. */
int lv_ctl_refuse(const struct lv_ctl_session *session, int status, const char *fmt, ...)
    LV_PRINTF(3, 4);
/* Is this the last line of an answer? */
bool lv_ctl_is_last(const json_t *line);
/* Of a last line: NULL, or what went wrong, a view of it. */
const char *lv_ctl_error(const json_t *line);
/* Lines that only people want. */
bool lv_ctl_is_chatty(const struct lv_ctl_session *session);
/* Sends the request, which it takes, and gives the first line of the answer. */
int lv_ctl_ask(struct lv_ctl_session *session, json_t *request, json_t **ret_line,
               struct lv_diag *diag) LV_MUST_CHECK;
/* An answer that is one sentence: {"message": …} when JSON is wanted. */
void lv_ctl_say(const struct lv_ctl_session *session, const char *fmt, ...) LV_PRINTF(2, 3);
/* {"node": …, "result": "ok"} when JSON is wanted, else nothing. */
void lv_ctl_say_ok(const struct lv_ctl_session *session);
/* There is no such user; `style` 2: as an Erlang term, as some commands say it. */
int lv_ctl_no_user(const struct lv_ctl_session *session, const char *user, int style);
