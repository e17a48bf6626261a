#include "cli/ctl_session.h"

#include "base/deadline.h"
#include "io/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int lv_ctl_session_open(struct lv_ctl_session *session, struct lv_diag *diag)
{
    uint64_t deadline = lv_clock_now() + session->timeout_s * LV_NS_PER_S;
    int rc = lv_data_dir_choose(session->words->data_dir, session->directory, diag);

    assert(session->words->verb < LV_CTL_VERB_COUNT);
    return rc < 0 ? rc : lv_ctl_wire_open(&session->wire, session->directory, deadline, diag);
}

int lv_ctl_fail(const struct lv_ctl_session *session, int error, const struct lv_diag *diag)
{
    assert(error < 0);
    switch (-error) {
    case LV_E_TIMEOUT:
        fprintf(stderr, "Error: operation %s on node %s timed out. Timeout value used: %llu\n",
                lv_ctl_words_command(session->words), session->node,
                (unsigned long long)session->timeout_s * 1000);
        return LV_CTL_TIMEOUT;
    case LV_E_NOT_FOUND:
        fprintf(stderr,
                "Error: unable to perform an operation on node '%s': %s.\n"
                "Start the broker, or say with --data-dir where its data directory is.\n",
                session->node, diag->text);
        return LV_CTL_UNAVAILABLE;
    case LV_E_ACCESS_REFUSED:
    case LV_E_CLOSED:
    case LV_E_IO:
        fprintf(stderr, "Error: unable to perform an operation on node '%s': %s\n", session->node,
                diag->text);
        return LV_CTL_UNAVAILABLE;
    default:
        fprintf(stderr, "Error: %s\n", diag->text);
        return LV_CTL_SOFTWARE;
    }
}

int lv_ctl_refuse(const struct lv_ctl_session *session, int status, const char *fmt, ...)
{
    char text[1024];
    va_list args;
    json_t *object;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    assert(status != LV_CTL_OK);
    if (session->words->form != LV_CTL_JSON) {
        fprintf(stderr, "Error:\n%s\n", text);
        return status;
    }
    object =
        json_pack("{s:s, s:s, s:s}", "message", text, "node", session->node, "result", "error");
    json_dumpf(object, stderr, JSON_COMPACT);
    fputc('\n', stderr);
    json_decref(object);
    return status;
}

bool lv_ctl_is_last(const json_t *line)
{
    return json_is_object(line) && json_object_get(line, "ok") != NULL;
}

const char *lv_ctl_error(const json_t *line)
{
    const char *error = json_string_value(json_object_get(line, "error"));

    assert(lv_ctl_is_last(line));
    if (json_is_true(json_object_get(line, "ok")))
        return NULL;
    return error == NULL ? "the broker refused" : error;
}

bool lv_ctl_is_chatty(const struct lv_ctl_session *session)
{
    const struct lv_ctl_words *words = session->words;

    assert(words->form < LV_CTL_FORM_COUNT);
    return !words->is_quiet && !words->is_silent && words->form != LV_CTL_JSON &&
           words->form != LV_CTL_CSV;
}

int lv_ctl_ask(struct lv_ctl_session *session, json_t *request, json_t **ret_line,
               struct lv_diag *diag)
{
    int rc = lv_ctl_wire_send(&session->wire, request, diag);

    assert(ret_line != NULL);
    return rc < 0 ? rc : lv_ctl_wire_next(&session->wire, ret_line, diag);
}

void lv_ctl_say(const struct lv_ctl_session *session, const char *fmt, ...)
{
    char text[1024];
    va_list args;
    json_t *object;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    assert(text[0] != '\0');
    if (session->words->form != LV_CTL_JSON) {
        printf("%s\n", text);
        return;
    }
    object = json_pack("{s:s}", "message", text);
    json_dumpf(object, stdout, JSON_COMPACT);
    fputc('\n', stdout);
    json_decref(object);
}

void lv_ctl_say_ok(const struct lv_ctl_session *session)
{
    json_t *object;

    assert(session->node[0] != '\0');
    if (session->words->form != LV_CTL_JSON)
        return;
    object = json_pack("{s:s, s:s}", "node", session->node, "result", "ok");
    json_dumpf(object, stdout, JSON_COMPACT);
    fputc('\n', stdout);
    json_decref(object);
}
