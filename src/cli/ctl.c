/*
 * cli/ctl.c - `leveret ctl`: asks the broker by its control socket, as rabbitmqctl would.
 */
#include "base/alloc.h"
#include "base/deadline.h"
#include "cli/command.h"
#include "cli/ctl_status.h"
#include "cli/ctl_wire.h"
#include "cli/ctl_words.h"
#include "io/clock.h"
#include "io/local.h"
#include "io/process.h"
#include "io/socket.h"
#include "lv_version.h"
#include "server/data_dir.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TIMEOUT_S     60u
#define STOP_S        15u /* a broker that has drained, or waited for that, ends within seconds */
#define TIMEOUT_S_MAX 1000000u /* longer than anybody waits, in milliseconds still an int */
/* Lists of so many rows come in order, longer ones as they come. */
#define SORTED_MAX 1000u

/* What a command works with. */
struct session {
    const struct lv_ctl_words *words; /* view */
    struct lv_ctl_wire wire;
    uint64_t timeout_s;
    char directory[LV_PATH_SIZE_MAX];
    char node[80];
};

static bool is_drain(const struct session *session)
{
    return session->words->verb == LV_CTL_DRAIN;
}

/* How long the command may take. A drain's time is what the broker gives to its clients, and both
 * have to end after that. */
static uint64_t patience_s(const struct session *session)
{
    assert(session->timeout_s <= TIMEOUT_S_MAX);
    return session->timeout_s + (is_drain(session) ? STOP_S : 0);
}

/* Says why on standard error; returns the exit code. */
static int fail(const struct session *session, int rc, const struct lv_diag *diag)
{
    assert(rc < 0);
    switch (-rc) {
    case LV_E_TIMEOUT:
        fprintf(stderr, "Error: operation %s on node %s timed out. Timeout value used: %llu\n",
                lv_ctl_words_command(session->words), session->node,
                (unsigned long long)patience_s(session) * 1000);
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

/* True for the last line of an answer; then *ret_exit is the exit code, said and done. */
static bool is_last(const json_t *line, int *ret_exit)
{
    const json_t *ok = json_is_object(line) ? json_object_get(line, "ok") : NULL;
    const char *error = json_string_value(json_object_get(line, "error"));

    assert(ret_exit != NULL);
    if (ok == NULL)
        return false;
    *ret_exit = json_is_true(ok) ? LV_CTL_OK : LV_CTL_SOFTWARE;
    if (!json_is_true(ok))
        fprintf(stderr, "Error: %s\n", error == NULL ? "the broker refused" : error);
    return true;
}

/* ---- lists ---- */

/* What is said before the list, unless it is for a program. */
static void print_banner(const struct session *session)
{
    const struct lv_ctl_words *words = session->words;

    if (words->is_quiet || words->is_silent || words->form == LV_CTL_JSON ||
        words->form == LV_CTL_CSV)
        return;
    switch ((enum lv_list_kind)words->verb) {
    case LV_LIST_QUEUE:
        printf("Timeout: %llu.0 seconds ...\n", (unsigned long long)session->timeout_s);
        printf("Listing queues for vhost %s ...\n", words->vhost);
        break;
    case LV_LIST_EXCHANGE:
        printf("Listing exchanges for vhost %s ...\n", words->vhost);
        break;
    case LV_LIST_BINDING:
        printf("Listing bindings for vhost %s...\n", words->vhost);
        break;
    case LV_LIST_CONNECTION:
        printf("Listing connections ...\n");
        break;
    case LV_LIST_CHANNEL:
        printf("Listing channels ...\n");
        break;
    case LV_LIST_CONSUMER:
        printf("Listing consumers in vhost %s ...\n", words->vhost);
        break;
    default:
        LV_IMPOSSIBLE("these are all lists");
    }
}

/* Rows that wait for the others, to be put in order. */
struct order {
    struct lv_ctl_table *table; /* view */
    json_t *rows[SORTED_MAX];   /* own */
    unsigned count;
    bool is_over; /* too many, or they are in order already: they go through */
};

static int compare_cells(const json_t *a, const json_t *b)
{
    if (json_is_integer(a) && json_is_integer(b)) {
        json_int_t left = json_integer_value(a), right = json_integer_value(b);

        return (left > right) - (left < right);
    }
    if (!json_is_string(a) || !json_is_string(b))
        return (int)json_typeof(a) - (int)json_typeof(b);
    return strcmp(json_string_value(a), json_string_value(b));
}

static int compare_rows(const void *a, const void *b)
{
    const json_t *left = *(json_t *const *)a, *right = *(json_t *const *)b;
    int order = 0;

    assert(json_array_size(left) == json_array_size(right));
    for (size_t i = 0; order == 0 && i < json_array_size(left); i++)
        order = compare_cells(json_array_get(left, i), json_array_get(right, i));
    return order;
}

static void flush_rows(struct order *order)
{
    if (!order->is_over)
        qsort(order->rows, order->count, sizeof(json_t *), compare_rows);
    for (unsigned i = 0; i < order->count; i++) {
        lv_ctl_table_row(order->table, order->rows[i]);
        json_decref(order->rows[i]);
    }
    assert(order->count <= SORTED_MAX);
    order->count = 0;
}

/* Takes the row. */
static void take_row(struct order *order, json_t *row)
{
    if (!order->is_over && order->count == SORTED_MAX) {
        order->is_over = true;
        flush_rows(order);
    }
    if (order->is_over) {
        lv_ctl_table_row(order->table, row);
        json_decref(row);
        return;
    }
    assert(order->count < SORTED_MAX);
    order->rows[order->count++] = row;
}

static json_t *list_request(const struct lv_ctl_words *words)
{
    const struct lv_list_row *list = &lv_list_rows[words->verb];
    json_t *columns = json_array();

    assert(words->column_count > 0);
    for (unsigned i = 0; i < words->column_count; i++)
        json_array_append_new(columns, json_string(list->columns[words->columns[i]]));
    return json_pack("{s:s, s:s, s:o}", "command", list->command, "vhost", words->vhost, "columns",
                     columns);
}

/* Rows until the last line. What has come before a failure is shown. */
static int receive_rows(struct session *session, struct order *order)
{
    for (;;) {
        struct lv_diag diag = {""};
        json_t *line;
        int status, rc = lv_ctl_wire_next(&session->wire, &line, &diag);

        if (rc < 0)
            return fail(session, rc, &diag);
        if (is_last(line, &status)) {
            json_decref(line);
            return status;
        }
        if (!json_is_array(line) || json_array_size(line) != order->table->column_count) {
            json_decref(line);
            return fail(session, -LV_E_SYNTAX, &(struct lv_diag){"the broker's answer is no row"});
        }
        take_row(order, line);
    }
}

static int list(struct session *session)
{
    const struct lv_ctl_words *words = session->words;
    const char *columns[LV_COLUMNS_MAX];
    struct lv_ctl_table table = {
        .file = stdout,
        .columns = columns,
        .column_count = words->column_count,
        .form = words->form,
        .has_header = !words->has_no_headers && !(words->is_silent && words->form == LV_CTL_TABLE),
        .is_plain = !lv_ctl_is_bold(),
    };
    struct order *order = lv_calloc(1, sizeof *order);
    struct lv_diag diag = {"out of memory"};
    int status = LV_CTL_OK, rc;

    assert(words->verb <= LV_CTL_LIST_LAST);
    if (order == NULL)
        return fail(session, -LV_E_NOMEM, &diag);
    for (unsigned i = 0; i < words->column_count; i++)
        columns[i] = lv_list_rows[words->verb].columns[words->columns[i]];
    order->table = &table;
    order->is_over = words->verb > (enum lv_ctl_verb)LV_LIST_BINDING;
    rc = lv_ctl_wire_send(&session->wire, list_request(words), &diag);
    if (rc < 0) {
        lv_free(order);
        return fail(session, rc, &diag);
    }
    print_banner(session);
    lv_ctl_table_begin(&table);
    if (!words->is_offline)
        status = receive_rows(session, order);
    flush_rows(order);
    lv_ctl_table_end(&table);
    lv_free(order);
    return status;
}

/* ---- status and stop ---- */

static int show_status(struct session *session)
{
    const struct lv_ctl_words *words = session->words;
    struct lv_diag diag = {""};
    json_t *line = NULL;
    int status = LV_CTL_OK,
        rc = lv_ctl_wire_send(&session->wire, json_pack("{s:s}", "command", "status"), &diag);

    if (rc == 0)
        rc = lv_ctl_wire_next(&session->wire, &line, &diag);
    if (rc < 0)
        return fail(session, rc, &diag);
    if (is_last(line, &status)) {
        json_decref(line);
        return status;
    }
    assert(line != NULL);
    if (words->form == LV_CTL_JSON) {
        json_dumpf(line, stdout, JSON_COMPACT);
        fputc('\n', stdout);
    } else {
        if (!words->is_quiet && !words->is_silent)
            printf("Status of node %s ...\n", session->node);
        lv_ctl_status_print(stdout, line, words->unit);
    }
    json_decref(line);
    return LV_CTL_OK;
}

static json_t *end_request(const struct session *session)
{
    if (!is_drain(session))
        return json_pack("{s:s}", "command", "stop");
    assert(session->timeout_s <= TIMEOUT_S_MAX);
    return json_pack("{s:s, s:I}", "command", "drain", "timeout", (json_int_t)session->timeout_s);
}

/* The broker's word that it is going to end. */
static int ask_for_end(struct session *session, struct lv_diag *diag)
{
    json_t *line = NULL;
    int status = LV_CTL_OK, rc = lv_ctl_wire_send(&session->wire, end_request(session), diag);

    if (rc == 0)
        rc = lv_ctl_wire_next(&session->wire, &line, diag);
    if (rc < 0)
        return fail(session, rc, diag);
    if (!is_last(line, &status))
        status = LV_CTL_SOFTWARE;
    assert(line != NULL);
    json_decref(line);
    return status;
}

/* The process is watched from before it is asked, so that its end is not missed and nobody else's
 * taken for it. */
static int stop(struct session *session)
{
    struct lv_local_peer peer;
    struct lv_diag diag = {"can't see the broker's process"};
    int process = -1, status, rc = lv_local_peer(session->wire.fd, &peer);

    if (rc == 0)
        rc = lv_process_open(peer.pid, &process);
    if (rc < 0)
        return fail(session, -LV_E_IO, &diag);
    if (!session->words->is_quiet && !session->words->is_silent) {
        printf("%s node %s ...\n", is_drain(session) ? "Draining" : "Stopping and halting",
               session->node);
        fflush(stdout);
    }
    status = ask_for_end(session, &diag);
    if (status == LV_CTL_OK)
        rc = lv_socket_wait(process, false, (int)patience_s(session) * 1000);
    assert(process >= 0);
    close(process);
    return rc < 0 ? fail(session, rc, &diag) : status;
}

/* ---- the command ---- */

static int run(struct session *session)
{
    const struct lv_ctl_words *words = session->words;
    struct lv_diag diag = {""};
    uint64_t deadline = lv_clock_now() + patience_s(session) * LV_NS_PER_S;
    int status, rc;

    assert(words->verb < LV_CTL_VERB_COUNT);
    rc = lv_data_dir_choose(words->data_dir, session->directory, &diag);
    if (rc == 0)
        rc = lv_ctl_wire_open(&session->wire, session->directory, deadline, &diag);
    if (rc == -LV_E_NOT_FOUND && words->is_idempotent)
        return LV_CTL_OK;
    if (rc < 0)
        return fail(session, rc, &diag);
    if (words->verb == LV_CTL_STATUS)
        status = show_status(session);
    else if (words->verb == LV_CTL_STOP || words->verb == LV_CTL_SHUTDOWN || is_drain(session))
        status = stop(session);
    else
        status = list(session);
    lv_ctl_wire_close(&session->wire);
    return status;
}

int lv_run_ctl(int argc, char **argv)
{
    struct lv_ctl_words words;
    struct session session = {.words = &words};
    char host[64] = "localhost";
    int status;

    assert(argc >= 1);
    if (lv_ctl_words_parse(argc, argv, &words, &status)) {
        gethostname(host, sizeof host - 1);
        snprintf(session.node, sizeof session.node, "leveret@%s", host);
        session.timeout_s = words.has_timeout ? words.timeout_s : TIMEOUT_S;
        if (session.timeout_s > TIMEOUT_S_MAX)
            session.timeout_s = TIMEOUT_S_MAX;
        if (words.verb == LV_CTL_VERSION)
            printf("%s\n", LV_VERSION);
        else
            status = run(&session);
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "Error: standard output can't be written\n");
        return LV_CTL_OUTPUT;
    }
    return status;
}
