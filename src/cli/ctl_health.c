/* Is the broker well? What rabbitmq-diagnostics asks, answered from the broker's status. */
#include "base/deadline.h"
#include "cli/ctl_session.h"
#include "io/clock.h"
#include "io/socket.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Between two tries of await_startup. */
#define RETRY_MS   100
#define NAMES_SIZE 1024

/* ---- what is said ---- */

static void say(const struct lv_ctl_session *session, const char *text)
{
    assert(text != NULL);
    if (lv_ctl_is_chatty(session))
        printf("%s\n", text);
    fflush(stdout);
}

static void print_banner(const struct lv_ctl_session *session)
{
    const struct lv_ctl_words *words = session->words;
    const char *first = words->argument_count > 0 ? words->arguments[0] : "";
    char text[600] = "";

    switch (words->verb) {
    case LV_CTL_PING:
        snprintf(text, sizeof text,
                 "Will ping %s. This only checks if the broker answers. Timeout: "
                 "%llu ms.",
                 session->node, (unsigned long long)session->timeout_s * 1000);
        break;
    case LV_CTL_CHECK_RUNNING:
        snprintf(text, sizeof text, "Checking if RabbitMQ is running on node %s ...",
                 session->node);
        break;
    case LV_CTL_IS_RUNNING:
        snprintf(text, sizeof text, "Asking node %s for its status ...", session->node);
        break;
    case LV_CTL_CHECK_LOCAL_ALARMS:
    case LV_CTL_CHECK_ALARMS:
        snprintf(text, sizeof text, "Asking node %s to report any local resource alarms ...",
                 session->node);
        break;
    case LV_CTL_ALARMS:
        snprintf(text, sizeof text, "Asking node %s to report any known resource alarms ...",
                 session->node);
        break;
    case LV_CTL_LISTENERS:
        snprintf(text, sizeof text, "Asking node %s to report its protocol listeners ...",
                 session->node);
        break;
    case LV_CTL_CHECK_PORT_CONNECTIVITY:
        snprintf(text, sizeof text,
                 "Testing TCP connections to all active listeners on node %s ...", session->node);
        break;
    case LV_CTL_CHECK_PORT_LISTENER:
        snprintf(text, sizeof text,
                 "Asking node %s if there's an active listener on port %.40s ...", session->node,
                 first);
        break;
    case LV_CTL_CHECK_PROTOCOL_LISTENER:
        snprintf(text, sizeof text,
                 "Asking node %s if there's an active listener for protocol %.40s ...",
                 session->node, first);
        break;
    case LV_CTL_CHECK_VIRTUAL_HOSTS:
        snprintf(text, sizeof text, "Checking if all vhosts are running on node %s ...",
                 session->node);
        break;
    case LV_CTL_SERVER_VERSION:
        snprintf(text, sizeof text, "Asking node %s for its RabbitMQ version...", session->node);
        break;
    case LV_CTL_ENVIRONMENT:
        snprintf(text, sizeof text, "Application environment of node %s ...", session->node);
        break;
    default:
        return;
    }
    say(session, text);
}

/* {"result": "ok"}, with what else there is; takes it. */
static void say_json(json_t *object)
{
    assert(json_is_object(object));
    json_dumpf(object, stdout, JSON_COMPACT);
    fputc('\n', stdout);
    json_decref(object);
}

/* ---- alarms ---- */

static int show_alarms(const struct lv_ctl_session *session, const json_t *status)
{
    json_t *alarms = json_object_get(status, "alarms");
    size_t count = json_array_size(alarms);
    bool is_check = session->words->verb != LV_CTL_ALARMS;
    bool is_local = session->words->verb == LV_CTL_CHECK_LOCAL_ALARMS;

    assert(json_is_object(status));
    if (session->words->form == LV_CTL_JSON && is_check && count == 0) {
        say_json(json_pack("{s:s}", "result", "ok"));
    } else if (session->words->form == LV_CTL_JSON) {
        say_json(json_pack("{s:O, s:s, s:s}", "alarms", alarms, "node", session->node, "result",
                           is_check ? "error" : "ok"));
    } else if (count == 0) {
        printf("Node %s reported no %s\n", session->node,
               is_local ? "local alarms" : "alarms, local or clusterwide");
    } else {
        printf("Node %s reported alarms:\n", session->node);
        for (size_t i = 0; i < count; i++)
            printf("%s\n", json_string_value(json_array_get(alarms, i)));
    }
    return is_check && count > 0 ? LV_CTL_UNAVAILABLE : LV_CTL_OK;
}

/* ---- listeners ---- */

static int show_listeners(const struct lv_ctl_session *session, const json_t *status)
{
    json_t *listeners = json_object_get(status, "listeners");

    assert(json_is_object(status));
    if (session->words->form == LV_CTL_JSON) {
        say_json(json_pack("{s:O, s:s, s:s}", "listeners", listeners, "node", session->node,
                           "result", "ok"));
        return LV_CTL_OK;
    }
    for (size_t i = 0; i < json_array_size(listeners); i++) {
        const json_t *one = json_array_get(listeners, i);

        printf("Interface: %s, port: %lld, protocol: %s, purpose: %s\n",
               json_string_value(json_object_get(one, "interface")),
               (long long)json_integer_value(json_object_get(one, "port")),
               json_string_value(json_object_get(one, "protocol")),
               json_string_value(json_object_get(one, "purpose")));
    }
    return LV_CTL_OK;
}

/* "5671, 5672", or the protocols, each once. */
static void list_names(const json_t *listeners, bool wants_ports, char names[NAMES_SIZE])
{
    size_t at = 0;

    names[0] = '\0';
    assert(json_is_array(listeners));
    for (size_t i = 0; i < json_array_size(listeners); i++) {
        const json_t *one = json_array_get(listeners, i);
        const char *protocol = json_string_value(json_object_get(one, "protocol"));
        char name[40];

        if (wants_ports)
            snprintf(name, sizeof name, "%lld",
                     (long long)json_integer_value(json_object_get(one, "port")));
        else
            snprintf(name, sizeof name, "%s", protocol == NULL ? "" : protocol);
        if (at < NAMES_SIZE && strstr(names, name) == NULL)
            at += (size_t)snprintf(names + at, NAMES_SIZE - at, "%s%s", at > 0 ? ", " : "", name);
    }
}

static int check_listener(const struct lv_ctl_session *session, const json_t *status)
{
    const json_t *listeners = json_object_get(status, "listeners");
    bool is_port = session->words->verb == LV_CTL_CHECK_PORT_LISTENER;
    const char *wanted = session->words->arguments[0];
    const char *word = is_port ? "port" : "protocol";
    char names[NAMES_SIZE], name[64], list[NAMES_SIZE + 4], entry[80];

    list_names(listeners, is_port, names);
    snprintf(list, sizeof list, ", %s,", names);
    snprintf(name, sizeof name, "%s", wanted);
    snprintf(entry, sizeof entry, " %s,", name);
    assert(session->words->argument_count == 1);
    if (strstr(list, entry) != NULL) {
        if (session->words->form == LV_CTL_JSON)
            say_json(
                json_pack("{s:s, s:s, s:s}", word, name, "node", session->node, "result", "ok"));
        else
            printf("A listener for %s %s is running on node %s.\n", word, name, session->node);
        return LV_CTL_OK;
    }
    if (is_port) {
        fprintf(stderr,
                "No listener for port %s is active on node %s. Found listeners that use the "
                "following ports: %s\n",
                name, session->node, names);
        return LV_CTL_UNAVAILABLE;
    }
    return lv_ctl_refuse(session, LV_CTL_UNAVAILABLE,
                         "No listener for protocol %s is active on node %s. Found listeners for "
                         "the following protocols: %s",
                         name, session->node, names);
}

/* An address that means all is asked on this machine. False: nobody answers there. */
static bool can_connect(const struct lv_ctl_session *session, const json_t *listener)
{
    const char *interface = json_string_value(json_object_get(listener, "interface"));
    const char *host = session->words->address;
    int fd;

    if (host == NULL)
        host = interface == NULL || strcmp(interface, "0.0.0.0") == 0 ? "127.0.0.1"
               : strcmp(interface, "[::]") == 0                       ? "::1"
                                                                      : interface;
    assert(session->timeout_s > 0);
    if (lv_socket_connect(host, (uint16_t)json_integer_value(json_object_get(listener, "port")),
                          (uint32_t)session->timeout_s * 1000, &fd, NULL) < 0)
        return false;
    lv_socket_close(fd);
    return true;
}

static int check_ports(const struct lv_ctl_session *session, const json_t *status)
{
    const json_t *listeners = json_object_get(status, "listeners");
    char names[NAMES_SIZE];

    assert(json_is_object(status));
    for (size_t i = 0; i < json_array_size(listeners); i++) {
        const json_t *one = json_array_get(listeners, i);

        if (!can_connect(session, one))
            return lv_ctl_refuse(
                session, LV_CTL_UNAVAILABLE, "Connection to port %lld on node %s failed",
                (long long)json_integer_value(json_object_get(one, "port")), session->node);
    }
    list_names(listeners, true, names);
    if (session->words->form == LV_CTL_JSON)
        return show_listeners(session, status);
    printf("Successfully connected to ports %s on node %s.\n", names, session->node);
    return LV_CTL_OK;
}

/* ---- the others ---- */

static int show_environment(const struct lv_ctl_session *session, json_t *settings)
{
    assert(json_is_object(settings));
    if (session->words->form == LV_CTL_JSON) {
        json_dumpf(settings, stdout, JSON_COMPACT);
        fputc('\n', stdout);
        return LV_CTL_OK;
    }
    for (void *next = json_object_iter(settings); next != NULL;
         next = json_object_iter_next(settings, next))
        printf("%s = %s\n", json_object_iter_key(next),
               json_string_value(json_object_iter_value(next)));
    return LV_CTL_OK;
}

static int show_running(const struct lv_ctl_session *session)
{
    char text[200];

    snprintf(text, sizeof text, "RabbitMQ on node %s is fully booted and running", session->node);
    assert(session->node[0] != '\0');
    if (session->words->form == LV_CTL_JSON && session->words->verb == LV_CTL_IS_RUNNING)
        say_json(json_pack("{s:s, s:b}", "message", text, "result", 1));
    else
        lv_ctl_say(session, "%s", text);
    return LV_CTL_OK;
}

static int show_vhosts(const struct lv_ctl_session *session)
{
    assert(session->words->verb == LV_CTL_CHECK_VIRTUAL_HOSTS);
    if (session->words->form == LV_CTL_JSON)
        say_json(json_pack("{s:s}", "result", "ok"));
    else
        printf("Node %s reported all vhosts as running\n", session->node);
    return LV_CTL_OK;
}

static int show(const struct lv_ctl_session *session, json_t *answer)
{
    switch (session->words->verb) {
    case LV_CTL_PING:
        lv_ctl_say(session, "Ping succeeded");
        return LV_CTL_OK;
    case LV_CTL_CHECK_LOCAL_ALARMS:
    case LV_CTL_CHECK_ALARMS:
    case LV_CTL_ALARMS:
        return show_alarms(session, answer);
    case LV_CTL_LISTENERS:
        return show_listeners(session, answer);
    case LV_CTL_CHECK_PORT_CONNECTIVITY:
        return check_ports(session, answer);
    case LV_CTL_CHECK_PORT_LISTENER:
    case LV_CTL_CHECK_PROTOCOL_LISTENER:
        return check_listener(session, answer);
    case LV_CTL_CHECK_VIRTUAL_HOSTS:
        return show_vhosts(session);
    case LV_CTL_SERVER_VERSION:
        lv_ctl_say(session, "%s", json_string_value(json_object_get(answer, "rabbitmq_version")));
        return LV_CTL_OK;
    case LV_CTL_ENVIRONMENT:
        return show_environment(session, answer);
    default:
        assert(session->words->verb == LV_CTL_CHECK_RUNNING ||
               session->words->verb == LV_CTL_IS_RUNNING);
        return show_running(session);
    }
}

int lv_ctl_health(struct lv_ctl_session *session)
{
    bool is_environment = session->words->verb == LV_CTL_ENVIRONMENT;
    struct lv_diag diag = {""};
    json_t *answer;
    int status, rc;

    print_banner(session);
    rc = lv_ctl_ask(session,
                    json_pack("{s:s}", "command", is_environment ? "environment" : "status"),
                    &answer, &diag);
    if (rc < 0)
        return lv_ctl_fail(session, rc, &diag);
    assert(answer != NULL);
    status = lv_ctl_is_last(answer)
                 ? lv_ctl_refuse(session, LV_CTL_SOFTWARE, "%s", lv_ctl_error(answer))
                 : show(session, answer);
    json_decref(answer);
    return status;
}

/* The socket is there before the broker serves; it answers when that is so. */
int lv_ctl_await_startup(struct lv_ctl_session *session)
{
    uint64_t deadline = lv_clock_now() + session->timeout_s * LV_NS_PER_S;
    struct lv_diag diag = {""};
    json_t *answer = NULL;
    int rc;

    do {
        rc = lv_ctl_session_open(session, &diag);
        if (rc == 0)
            rc = lv_ctl_ask(session, json_pack("{s:s}", "command", "status"), &answer, &diag);
        lv_ctl_wire_close(&session->wire);
        if (rc == 0)
            break;
        usleep(RETRY_MS * 1000);
    } while (rc != -LV_E_ACCESS_REFUSED && lv_clock_now() < deadline);
    if (rc < 0)
        return lv_ctl_fail(session, rc, &diag);
    json_decref(answer);
    assert(session->wire.fd < 0);
    lv_ctl_say_ok(session);
    return LV_CTL_OK;
}
