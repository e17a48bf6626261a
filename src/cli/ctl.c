/*
 * cli/ctl.c - `leveret ctl`: asks the broker by its control socket, as rabbitmqctl would.
 */
#include "admin/json_memory.h"
#include "base/alloc.h"
#include "cli/command.h"
#include "cli/ctl_session.h"
#include "cli/ctl_status.h"
#include "io/local.h"
#include "io/process.h"
#include "io/socket.h"
#include "lv_version.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TIMEOUT_S     60u
#define STARTUP_S     300u /* of await_startup */
#define STOP_S        15u  /* a broker that has drained, or waited for that, ends within seconds */
#define TIMEOUT_S_MAX 1000000u /* longer than anybody waits, in milliseconds still an int */
/* Lists of so many rows come in order, longer ones as they come. */
#define SORTED_MAX 1000u

/* ---- lists ---- */

/* Whose list it is; the first user of RabbitMQ when none is named. */
static const char *user_of(const struct lv_ctl_words *words)
{
    assert(words->verb <= LV_CTL_LIST_LAST);
    if (words->argument_count > 0 && lv_list_rows[words->verb].has_user)
        return words->arguments[0];
    return words->user == NULL ? "guest" : words->user;
}

/* Of users, virtual hosts, permissions and limits. */
static void print_access_banner(const struct lv_ctl_words *words)
{
    switch ((enum lv_list_kind)words->verb) {
    case LV_LIST_USER:
        printf("Listing users ...\n");
        break;
    case LV_LIST_VHOST:
        printf("Listing vhosts ...\n");
        break;
    case LV_LIST_PERMISSION:
        printf("Listing permissions for vhost \"%s\" ...\n", words->vhost);
        break;
    case LV_LIST_TOPIC_PERMISSION:
        printf("Listing topic permissions for vhost \"%s\" ...\n", words->vhost);
        break;
    case LV_LIST_USER_PERMISSION:
        printf("Listing permissions for user \"%s\" ...\n", words->arguments[0]);
        break;
    case LV_LIST_USER_TOPIC_PERMISSION:
        printf("Listing topic permissions for user \"%s\" ...\n", words->arguments[0]);
        break;
    case LV_LIST_VHOST_LIMIT:
        if (words->is_global)
            printf("Listing limits for all vhosts ...\n");
        else
            printf("Listing limits for vhost \"%s\" ...\n", words->vhost);
        break;
    case LV_LIST_USER_LIMIT:
        if (words->is_global)
            printf("Listing limits for all users ...\n");
        else
            printf("Listing limits for user \"%s\" ...\n", user_of(words));
        break;
    default:
        LV_IMPOSSIBLE("these are all lists");
    }
    fflush(stdout);
}

/* What is said before the list, unless it is for a program. */
static void print_banner(const struct lv_ctl_session *session)
{
    const struct lv_ctl_words *words = session->words;

    if (!lv_ctl_is_chatty(session))
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
        print_access_banner(words);
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
    return json_pack("{s:s, s:s, s:s, s:b, s:o}", "command", list->command, "vhost", words->vhost,
                     "user", user_of(words), "all", (int)words->is_global, "columns", columns);
}

/* The list's end, or why there is none. */
static int end_list(const struct lv_ctl_session *session, const json_t *line)
{
    const char *error = lv_ctl_error(line);

    assert(lv_ctl_is_last(line));
    if (error == NULL)
        return LV_CTL_OK;
    if (strncmp(error, "User ", 5) == 0)
        return lv_ctl_no_user(session, user_of(session->words), 2);
    if (strncmp(error, "Virtual host ", 13) == 0) {
        fprintf(stderr, "%s\n", error);
        return LV_CTL_DATA;
    }
    fprintf(stderr, "Error: %s\n", error);
    return LV_CTL_SOFTWARE;
}

/* Rows until the last line. What has come before a failure is shown. */
static int receive_rows(struct lv_ctl_session *session, struct order *order)
{
    for (;;) {
        struct lv_diag diag = {""};
        json_t *line;
        int rc = lv_ctl_wire_next(&session->wire, &line, &diag);

        if (rc < 0)
            return lv_ctl_fail(session, rc, &diag);
        if (lv_ctl_is_last(line)) {
            int status = end_list(session, line);

            json_decref(line);
            return status;
        }
        if (!json_is_array(line) || json_array_size(line) != order->table->column_count) {
            json_decref(line);
            return lv_ctl_fail(session, -LV_E_SYNTAX,
                               &(struct lv_diag){"the broker's answer is no row"});
        }
        take_row(order, line);
    }
}

/* RabbitMQ's lists of who may do what are without a header in one case, and with an empty line when
 * they are empty. */
static bool has_header(const struct lv_ctl_words *words)
{
    assert(words->verb <= LV_CTL_LIST_LAST);
    return !words->has_no_headers && !(words->is_silent && words->form == LV_CTL_TABLE) &&
           words->verb != (enum lv_ctl_verb)LV_LIST_USER_TOPIC_PERMISSION;
}

/* Only of one virtual host or user: as JSON in a line of its own. */
static bool is_bare(const struct lv_ctl_words *words)
{
    bool is_limits = words->verb == (enum lv_ctl_verb)LV_LIST_VHOST_LIMIT ||
                     words->verb == (enum lv_ctl_verb)LV_LIST_USER_LIMIT;

    assert(words->form < LV_CTL_FORM_COUNT);
    return is_limits && !words->is_global;
}

static void print_bare(const struct lv_ctl_session *session, const char *limits)
{
    bool is_of_user = session->words->verb == (enum lv_ctl_verb)LV_LIST_USER_LIMIT;
    json_t *object;

    assert(is_bare(session->words));
    if (session->words->form != LV_CTL_JSON) {
        printf("%s\n", limits != NULL ? limits : is_of_user ? "{}" : "");
        return;
    }
    if (is_of_user)
        object = json_pack("{s:s}", "message", limits == NULL ? "{}" : limits);
    else if (limits == NULL)
        object = json_array();
    else
        object =
            json_pack("{s:s, s:s, s:s}", "node", session->node, "result", "ok", "value", limits);
    json_dumpf(object, stdout, JSON_COMPACT);
    fputc('\n', stdout);
    json_decref(object);
}

/* One row at most, and then the end. */
static int list_bare(struct lv_ctl_session *session)
{
    struct lv_diag diag = {""};
    json_t *line, *end;
    int status, rc = lv_ctl_ask(session, list_request(session->words), &line, &diag);

    print_banner(session);
    if (rc < 0)
        return lv_ctl_fail(session, rc, &diag);
    if (lv_ctl_is_last(line)) {
        status = end_list(session, line);
        if (status == LV_CTL_OK)
            print_bare(session, NULL);
        json_decref(line);
        return status;
    }
    assert(json_is_array(line));
    print_bare(session, json_string_value(json_array_get(line, 1)));
    json_decref(line);
    rc = lv_ctl_wire_next(&session->wire, &end, &diag);
    if (rc < 0)
        return lv_ctl_fail(session, rc, &diag);
    status = end_list(session, end);
    json_decref(end);
    return status;
}

static int list(struct lv_ctl_session *session)
{
    const struct lv_ctl_words *words = session->words;
    const char *columns[LV_COLUMNS_MAX];
    struct lv_ctl_table table = {
        .file = stdout,
        .columns = columns,
        .column_count = words->column_count,
        .form = words->form,
        .has_header = has_header(words),
        .is_blank_when_empty = words->verb >= (enum lv_ctl_verb)LV_LIST_ACCESS_FIRST,
        .is_plain = !lv_ctl_is_bold(),
    };
    struct order *order = lv_calloc(1, sizeof *order);
    struct lv_diag diag = {"out of memory"};
    int status = LV_CTL_OK, rc;

    assert(words->verb <= LV_CTL_LIST_LAST);
    if (order == NULL)
        return lv_ctl_fail(session, -LV_E_NOMEM, &diag);
    for (unsigned i = 0; i < words->column_count; i++)
        columns[i] = lv_list_rows[words->verb].columns[words->columns[i]];
    order->table = &table;
    order->is_over = words->verb > (enum lv_ctl_verb)LV_LIST_BINDING &&
                     words->verb < (enum lv_ctl_verb)LV_LIST_ACCESS_FIRST;
    rc = lv_ctl_wire_send(&session->wire, list_request(words), &diag);
    if (rc < 0) {
        lv_free(order);
        return lv_ctl_fail(session, rc, &diag);
    }
    print_banner(session);
    lv_ctl_table_begin(&table);
    if (!words->is_offline)
        status = receive_rows(session, order);
    flush_rows(order);
    if (status == LV_CTL_OK || table.row_count > 0)
        lv_ctl_table_end(&table);
    lv_free(order);
    return status;
}

/* ---- status and stop ---- */

static int show_status(struct lv_ctl_session *session)
{
    const struct lv_ctl_words *words = session->words;
    struct lv_diag diag = {""};
    json_t *line = NULL;
    int status = LV_CTL_OK,
        rc = lv_ctl_wire_send(&session->wire, json_pack("{s:s}", "command", "status"), &diag);

    if (rc == 0)
        rc = lv_ctl_wire_next(&session->wire, &line, &diag);
    if (rc < 0)
        return lv_ctl_fail(session, rc, &diag);
    if (lv_ctl_is_last(line)) {
        status = lv_ctl_refuse(session, LV_CTL_SOFTWARE, "%s", lv_ctl_error(line));
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

static bool is_drain(const struct lv_ctl_session *session)
{
    return session->words->verb == LV_CTL_DRAIN;
}

/* A drain's time is what the broker gives to its clients; it has to end after that. */
static uint64_t drain_s(const struct lv_ctl_session *session)
{
    assert(session->timeout_s >= STOP_S);
    return session->timeout_s - STOP_S;
}

static json_t *end_request(const struct lv_ctl_session *session)
{
    if (!is_drain(session))
        return json_pack("{s:s}", "command", "stop");
    assert(session->timeout_s <= TIMEOUT_S_MAX + STOP_S);
    return json_pack("{s:s, s:I}", "command", "drain", "timeout", (json_int_t)drain_s(session));
}

/* The broker's word that it is going to end. */
static int ask_for_end(struct lv_ctl_session *session, struct lv_diag *diag)
{
    json_t *line;
    int status, rc = lv_ctl_ask(session, end_request(session), &line, diag);

    if (rc < 0)
        return lv_ctl_fail(session, rc, diag);
    assert(line != NULL);
    status = lv_ctl_is_last(line) && lv_ctl_error(line) == NULL ? LV_CTL_OK : LV_CTL_SOFTWARE;
    json_decref(line);
    return status;
}

/* The process is watched from before it is asked, so that its end is not missed and nobody else's
 * taken for it. */
static int stop(struct lv_ctl_session *session)
{
    struct lv_local_peer peer;
    struct lv_diag diag = {"can't see the broker's process"};
    int process = -1, status, rc = lv_local_peer(session->wire.fd, &peer);

    if (rc == 0)
        rc = lv_process_open(peer.pid, &process);
    if (rc < 0)
        return lv_ctl_fail(session, -LV_E_IO, &diag);
    if (!session->words->is_quiet && !session->words->is_silent) {
        printf("%s node %s ...\n", is_drain(session) ? "Draining" : "Stopping and halting",
               session->node);
        fflush(stdout);
    }
    status = ask_for_end(session, &diag);
    if (status == LV_CTL_OK)
        rc = lv_socket_wait(process, false, (int)session->timeout_s * 1000);
    assert(process >= 0);
    close(process);
    return rc < 0 ? lv_ctl_fail(session, rc, &diag) : status;
}

/* ---- the command ---- */

static int dispatch(struct lv_ctl_session *session)
{
    enum lv_ctl_verb verb = session->words->verb;

    assert(verb < LV_CTL_VERB_COUNT);
    if (verb <= LV_CTL_LIST_LAST)
        return is_bare(session->words) ? list_bare(session) : list(session);
    switch (verb) {
    case LV_CTL_STATUS:
        return show_status(session);
    case LV_CTL_STOP:
    case LV_CTL_SHUTDOWN:
    case LV_CTL_DRAIN:
        return stop(session);
    case LV_CTL_EXPORT_DEFINITIONS:
    case LV_CTL_IMPORT_DEFINITIONS:
        return lv_ctl_definitions(session);
    default:
        return verb >= LV_CTL_PING ? lv_ctl_health(session) : lv_ctl_deed(session);
    }
}

static int run(struct lv_ctl_session *session)
{
    struct lv_diag diag = {""};
    int status, rc = lv_ctl_session_open(session, &diag);

    assert(session->words->verb < LV_CTL_VERB_COUNT);
    if (rc == -LV_E_NOT_FOUND && session->words->is_idempotent)
        return LV_CTL_OK;
    if (rc < 0)
        return lv_ctl_fail(session, rc, &diag);
    status = dispatch(session);
    lv_ctl_wire_close(&session->wire);
    return status;
}

/* Those that need no broker, or not yet, come first. */
static int run_words(struct lv_ctl_session *session)
{
    enum lv_ctl_verb verb = session->words->verb;

    assert(session->timeout_s <= TIMEOUT_S_MAX);
    if (verb == LV_CTL_VERSION) {
        printf("%s\n", LV_VERSION);
        return LV_CTL_OK;
    }
    if (verb == LV_CTL_HASH_PASSWORD)
        return lv_ctl_hash_password(session);
    if (verb >= LV_CTL_PLUGINS_LIST)
        return lv_ctl_plugins(session);
    if (verb == LV_CTL_AWAIT_STARTUP)
        return lv_ctl_await_startup(session);
    return run(session);
}

int lv_run_ctl(int argc, char **argv)
{
    struct lv_ctl_words words;
    struct lv_ctl_session session = {.words = &words, .wire = {.fd = -1}};
    char host[64] = "localhost";
    int status;

    assert(argc >= 1);
    lv_json_memory();
    if (lv_ctl_words_parse(argc, argv, &words, &status)) {
        gethostname(host, sizeof host - 1);
        snprintf(session.node, sizeof session.node, "leveret@%s", host);
        session.timeout_s = words.has_timeout                    ? words.timeout_s
                            : words.verb == LV_CTL_AWAIT_STARTUP ? STARTUP_S
                                                                 : TIMEOUT_S;
        if (session.timeout_s > TIMEOUT_S_MAX)
            session.timeout_s = TIMEOUT_S_MAX;
        if (words.verb == LV_CTL_DRAIN)
            session.timeout_s += STOP_S;
        status = run_words(&session);
    } else if (status == LV_CTL_USAGE && words.tool == LV_CTL_TOOL_LEVERET) {
        status = LV_EXIT_USAGE;
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "Error: standard output can't be written\n");
        return LV_CTL_OUTPUT;
    }
    return status;
}
