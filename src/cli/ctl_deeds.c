#include "cli/ctl_deeds.h"

#include "auth/password.h"
#include "cli/ctl_password.h"
#include "cli/ctl_session.h"

#include <stdio.h>
#include <string.h>

/* How it is told that there is no such user, or virtual host: each as rabbitmqctl does. */
enum style { STYLE_QUOTED, STYLE_PLAIN, STYLE_TERM };

/* What a command sends and says. In banners %1, %2 and %3 are the arguments, %v is the virtual
 * host, %n the node and %* what follows the first argument. */
static const struct deed {
    const char *members; /* what the arguments are called, with spaces between */
    const char *banner;
    enum style style;
    bool has_vhost;
    bool is_vhost_error; /* a missing virtual host is an error like others, and not 65 */
} deeds[LV_CTL_VERB_COUNT] = {
    [LV_CTL_ADD_USER] = {"user password", "Adding user \"%1\" ...", STYLE_QUOTED, false, false},
    [LV_CTL_DELETE_USER] = {"user", "Deleting user \"%1\" ...", STYLE_QUOTED, false, false},
    [LV_CTL_CHANGE_PASSWORD] = {"user password", "Changing password for user \"%1\" ...",
                                STYLE_QUOTED, false, false},
    [LV_CTL_CLEAR_PASSWORD] = {"user", "Clearing password for user \"%1\" ...", STYLE_TERM, false,
                               false},
    [LV_CTL_AUTHENTICATE_USER] = {"user password", "Authenticating user \"%1\" ...", STYLE_QUOTED,
                                  false, false},
    [LV_CTL_SET_USER_TAGS] = {"user", "Setting tags for user \"%1\" to [%*] ...", STYLE_QUOTED,
                              false, false},
    [LV_CTL_ADD_VHOST] = {"vhost", "Adding vhost \"%1\" ...", STYLE_PLAIN, false, false},
    [LV_CTL_DELETE_VHOST] = {"vhost", "Deleting vhost \"%1\" ...", STYLE_PLAIN, false, false},
    [LV_CTL_SET_PERMISSIONS] = {"user configure write read",
                                "Setting permissions for user \"%1\" in vhost \"%v\" ...",
                                STYLE_PLAIN, true, true},
    [LV_CTL_CLEAR_PERMISSIONS] = {"user",
                                  "Clearing permissions for user \"%1\" in vhost \"%v\" ...",
                                  STYLE_PLAIN, true, true},
    [LV_CTL_SET_TOPIC_PERMISSIONS] = {"user exchange write read",
                                      "Setting topic permissions on \"%2\" for user \"%1\" in "
                                      "vhost \"%v\" ...",
                                      STYLE_PLAIN, true, true},
    [LV_CTL_CLEAR_TOPIC_PERMISSIONS] = {"user exchange", NULL, STYLE_PLAIN, true, true},
    [LV_CTL_SET_VHOST_LIMITS] = {"limits", "Setting vhost limits to \"%1\" for vhost \"%v\" ...",
                                 STYLE_PLAIN, true, false},
    [LV_CTL_CLEAR_VHOST_LIMITS] = {"", "Clearing vhost \"%v\" limits ...", STYLE_PLAIN, true,
                                   false},
    [LV_CTL_SET_USER_LIMITS] = {"user limits", "Setting user limits to \"%2\" for user \"%1\" ...",
                                STYLE_TERM, false, false},
    [LV_CTL_CLEAR_USER_LIMITS] = {"user limit", NULL, STYLE_TERM, false, false},
    [LV_CTL_CLOSE_CONNECTION] = {"pid reason", "Closing connection %1, reason: %2...", STYLE_PLAIN,
                                 false, false},
    [LV_CTL_CLOSE_ALL_CONNECTIONS] = {"reason", NULL, STYLE_PLAIN, true, false},
    [LV_CTL_CLOSE_ALL_USER_CONNECTIONS] = {"user reason",
                                           "Closing connections of user %1, reason: %2...",
                                           STYLE_PLAIN, false, false},
    [LV_CTL_PURGE_QUEUE] = {"queue", "Purging queue '%1' in vhost '%v' ...", STYLE_PLAIN, true,
                            false},
    [LV_CTL_DELETE_QUEUE] = {"queue", NULL, STYLE_PLAIN, true, false},
};

/* ---- banners ---- */

static void print_rest(const struct lv_ctl_words *words)
{
    assert(words->argument_count > 0);
    for (unsigned i = 1; i < words->argument_count; i++)
        printf("%s%s", i > 1 ? ", " : "", words->arguments[i]);
}

static void print_banner(const struct lv_ctl_session *session, const char *banner)
{
    const struct lv_ctl_words *words = session->words;

    assert(banner != NULL);
    for (; *banner != '\0'; banner++) {
        if (*banner != '%') {
            putchar(*banner);
            continue;
        }
        banner++;
        if (*banner == 'v')
            printf("%s", words->vhost);
        else if (*banner == 'n')
            printf("%s", session->node);
        else if (*banner == '*')
            print_rest(words);
        else
            printf("%s", words->arguments[*banner - '1']);
    }
    putchar('\n');
    fflush(stdout); /* before what may be asked or refused */
}

/* Those that depend on options. */
static const char *choose_banner(const struct lv_ctl_words *words, char *text, size_t size)
{
    switch (words->verb) {
    case LV_CTL_CLEAR_TOPIC_PERMISSIONS:
        return words->argument_count > 1
                   ? "Clearing topic permissions on \"%2\" for user \"%1\" in "
                     "vhost \"%v\" ..."
                   : "Clearing topic permissions for user \"%1\" in vhost "
                     "\"%v\" ...";
    case LV_CTL_CLEAR_USER_LIMITS:
        return strcmp(words->arguments[1], "all") == 0
                   ? "Clearing all limits for user \"%1\" ..."
                   : "Clearing \"%2\" limit for user \"%1\" ...";
    case LV_CTL_CLOSE_ALL_CONNECTIONS:
        if (words->is_global)
            return "Closing all connections to node %n (across all vhosts), reason: %1...";
        if (words->limit == 0)
            return "Closing all connections in vhost %v, reason: %1...";
        snprintf(text, size, "Closing %llu connections in vhost %%v, reason: %%1...",
                 (unsigned long long)words->limit);
        return text;
    case LV_CTL_DELETE_QUEUE:
        snprintf(text, size, "Deleting queue '%%1' on vhost '%%v' %s%s%s...",
                 words->if_empty || words->if_unused ? "if queue is " : "",
                 words->if_empty ? (words->if_unused ? "empty and " : "empty ") : "",
                 words->if_unused ? "unused " : "");
        return text;
    default:
        assert(deeds[words->verb].banner != NULL);
        return deeds[words->verb].banner;
    }
}

/* ---- requests ---- */

/* False: the text is not UTF-8. */
static bool put_text(json_t *request, const char *member, const char *text)
{
    assert(member != NULL);
    return json_object_set_new(request, member, json_string(text)) == 0;
}

/* Words with commas between, or arguments, as a list. */
static json_t *split(const char *text)
{
    json_t *list = json_array();

    assert(text != NULL);
    while (*text != '\0') {
        size_t size = strcspn(text, ",");

        json_array_append_new(list, json_stringn(text, size));
        text += size + (text[size] == ',');
    }
    return list;
}

static bool put_arguments(json_t *request, const struct lv_ctl_words *words, const char *members)
{
    bool is_good = true;

    assert(members != NULL);
    for (unsigned i = 0; i < words->argument_count && *members != '\0'; i++) {
        char name[32];
        size_t size = strcspn(members, " ");

        snprintf(name, sizeof name, "%.*s", (int)size, members);
        is_good = put_text(request, name, words->arguments[i]) && is_good;
        members += size + (members[size] == ' ');
    }
    return is_good;
}

static bool put_options(json_t *request, const struct lv_ctl_words *words)
{
    bool is_good = true;
    json_t *tags;

    assert(words->verb < LV_CTL_VERB_COUNT);
    if (deeds[words->verb].has_vhost)
        is_good = put_text(request, "vhost", words->vhost);
    if (words->description != NULL)
        is_good = put_text(request, "description", words->description) && is_good;
    if (words->queue_type != NULL)
        is_good = put_text(request, "default_queue_type", words->queue_type) && is_good;
    if (words->tags != NULL)
        json_object_set_new(request, "vhost_tags", split(words->tags));
    if (words->limit > 0)
        json_object_set_new(request, "count", json_integer((json_int_t)words->limit));
    if (words->is_global)
        json_object_set_new(request, "all", json_true());
    if (words->if_empty)
        json_object_set_new(request, "if_empty", json_true());
    if (words->if_unused)
        json_object_set_new(request, "if_unused", json_true());
    if (words->verb != LV_CTL_SET_USER_TAGS)
        return is_good;
    tags = json_array();
    for (unsigned i = 1; i < words->argument_count; i++)
        is_good = json_array_append_new(tags, json_string(words->arguments[i])) == 0 && is_good;
    json_object_set_new(request, "tags", tags);
    return is_good;
}

static bool asks_password(const struct lv_ctl_words *words)
{
    return (words->verb == LV_CTL_ADD_USER || words->verb == LV_CTL_CHANGE_PASSWORD ||
            words->verb == LV_CTL_AUTHENTICATE_USER) &&
           words->argument_count == 1;
}

static int no_password(const struct lv_ctl_session *session, int error)
{
    assert(error < 0);
    return lv_ctl_refuse(session, LV_CTL_DATA,
                         error == -LV_E_NOT_FOUND ? "Password is not provided via argument or stdin"
                                                  : "the password is too long");
}

/* NULL: *ret_exit is the exit code, and the reason has been said. */
static json_t *make_request(const struct lv_ctl_session *session, int *ret_exit)
{
    const struct lv_ctl_words *words = session->words;
    json_t *request = json_object();
    bool is_good = put_text(request, "command", lv_ctl_words_command(words));
    char password[LV_CTL_PASSWORD_SIZE];
    int rc;

    assert(ret_exit != NULL);
    is_good = put_arguments(request, words, deeds[words->verb].members) && is_good;
    is_good = put_options(request, words) && is_good;
    if (asks_password(words)) {
        rc = lv_ctl_password_read(password);
        if (rc < 0) {
            json_decref(request);
            *ret_exit = no_password(session, rc);
            return NULL;
        }
        is_good = put_text(request, "password", password) && is_good;
        explicit_bzero(password, sizeof password);
    }
    if (is_good)
        return request;
    json_decref(request);
    *ret_exit = lv_ctl_refuse(session, LV_CTL_DATA, "an argument is not UTF-8");
    return NULL;
}

/* ---- answers ---- */

static bool begins_with(const char *text, const char *beginning)
{
    assert(beginning != NULL);
    return strncmp(text, beginning, strlen(beginning)) == 0;
}

int lv_ctl_no_user(const struct lv_ctl_session *session, const char *user, int style)
{
    assert(user != NULL);
    if (style == STYLE_TERM)
        return lv_ctl_refuse(session, LV_CTL_UNAVAILABLE, "{:no_such_user, \"%s\"}", user);
    return lv_ctl_refuse(
        session, LV_CTL_NO_USER,
        style == STYLE_QUOTED ? "User \"%s\" does not exist" : "User %s does not exist", user);
}

static int no_vhost(const struct lv_ctl_session *session, const char *vhost)
{
    assert(vhost != NULL);
    if (deeds[session->words->verb].is_vhost_error)
        return lv_ctl_refuse(session, LV_CTL_UNAVAILABLE, "Virtual host %s does not exist", vhost);
    fprintf(stderr, "Virtual host '%s' does not exist\n", vhost);
    return LV_CTL_DATA;
}

static int queue_refused(const struct lv_ctl_session *session, const char *error)
{
    assert(error != NULL);
    if (session->words->verb == LV_CTL_PURGE_QUEUE)
        return lv_ctl_refuse(session, LV_CTL_UNAVAILABLE, "not_found");
    if (strstr(error, "not empty") != NULL)
        return lv_ctl_refuse(session, LV_CTL_USAGE, "Queue is not empty");
    if (strstr(error, "in use") != NULL)
        return lv_ctl_refuse(session, LV_CTL_USAGE, "Queue is in use");
    return lv_ctl_refuse(session, LV_CTL_USAGE, "Queue not found");
}

static int refused(const struct lv_ctl_session *session, const json_t *line, const char *error)
{
    const struct lv_ctl_words *words = session->words;
    const char *code = json_string_value(json_object_get(line, "code"));
    const char *first = words->argument_count > 0 ? words->arguments[0] : "";
    bool is_missing = code != NULL && strcmp(code, lv_error_name(-LV_E_NOT_FOUND)) == 0;

    assert(error != NULL);
    if (words->verb == LV_CTL_PURGE_QUEUE || words->verb == LV_CTL_DELETE_QUEUE)
        return queue_refused(session, error);
    if (is_missing && begins_with(error, "User "))
        return lv_ctl_no_user(session, first, (int)deeds[words->verb].style);
    if (is_missing && begins_with(error, "Virtual host "))
        return no_vhost(session, deeds[words->verb].has_vhost ? words->vhost : first);
    if (words->verb == LV_CTL_AUTHENTICATE_USER)
        return lv_ctl_refuse(session, LV_CTL_DATA, "Error: failed to authenticate user \"%s\"\n%s",
                             first, error);
    if (words->verb == LV_CTL_CLOSE_CONNECTION)
        return lv_ctl_refuse(session, LV_CTL_UNAVAILABLE, "Error:\n%s", error);
    return lv_ctl_refuse(session,
                         words->verb == LV_CTL_ADD_USER ? LV_CTL_SOFTWARE : LV_CTL_UNAVAILABLE,
                         "%s", error);
}

static int well_done(const struct lv_ctl_session *session, const json_t *line)
{
    long long count = json_integer_value(json_object_get(line, "count"));

    assert(lv_ctl_is_last(line));
    switch (session->words->verb) {
    case LV_CTL_ADD_USER:
        if (lv_ctl_is_chatty(session) || session->words->form == LV_CTL_JSON)
            lv_ctl_say(session, "Done. Don't forget to grant the user permissions to some virtual "
                                "hosts! See 'rabbitmqctl help set_permissions' to learn more.");
        break;
    case LV_CTL_AUTHENTICATE_USER:
        lv_ctl_say(session, "Success");
        break;
    case LV_CTL_CLOSE_ALL_CONNECTIONS:
        lv_ctl_say(session, "Closed %lld connections", count);
        break;
    case LV_CTL_DELETE_QUEUE:
        lv_ctl_say(session, "Queue was successfully deleted with %lld ready messages", count);
        break;
    default:
        lv_ctl_say_ok(session);
    }
    return LV_CTL_OK;
}

int lv_ctl_deed(struct lv_ctl_session *session)
{
    const struct lv_ctl_words *words = session->words;
    struct lv_diag diag = {""};
    char banner[128];
    json_t *request, *line;
    const char *error;
    int status = LV_CTL_OK, rc;

    assert(deeds[words->verb].members != NULL);
    if (lv_ctl_is_chatty(session))
        print_banner(session, choose_banner(words, banner, sizeof banner));
    request = make_request(session, &status);
    if (request == NULL)
        return status;
    rc = lv_ctl_ask(session, request, &line, &diag);
    if (rc < 0)
        return lv_ctl_fail(session, rc, &diag);
    if (!lv_ctl_is_last(line)) {
        json_decref(line);
        return lv_ctl_fail(session, -LV_E_SYNTAX,
                           &(struct lv_diag){"the broker's answer is no end"});
    }
    error = lv_ctl_error(line);
    status = error == NULL ? well_done(session, line) : refused(session, line, error);
    json_decref(line);
    return status;
}

/* RabbitMQ's own form, which both brokers read. */
int lv_ctl_hash_password(struct lv_ctl_session *session)
{
    const struct lv_ctl_words *words = session->words;
    char password[LV_CTL_PASSWORD_SIZE] = "", hash[LV_PASSWORD_HASH_SIZE];
    struct lv_password_export said;
    struct lv_diag diag;
    int rc = 0;

    assert(words->verb == LV_CTL_HASH_PASSWORD);
    if (words->argument_count == 0)
        rc = lv_ctl_password_read(password);
    else
        snprintf(password, sizeof password, "%s", words->arguments[0]);
    if (rc < 0)
        return no_password(session, rc);
    rc = lv_password_hash_portable(lv_text(password), hash, &diag);
    explicit_bzero(password, sizeof password);
    if (rc < 0)
        return lv_ctl_refuse(session, LV_CTL_DATA, "%s", diag.text);
    lv_password_export(hash, &said);
    if (lv_ctl_is_chatty(session))
        printf("Hashed with %s:\n", said.algorithm);
    lv_ctl_say(session, "%s", said.text);
    return LV_CTL_OK;
}
