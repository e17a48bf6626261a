/* rabbitmq-plugins: what RabbitMQ has as plugins is built in here, or it isn't there. */
#include "cli/ctl_session.h"
#include "lv_version.h"

#include <regex.h>
#include <stdio.h>
#include <string.h>

/* Those of RabbitMQ's plugins whose work this program does. */
static const char *const built_in[] = {"rabbitmq_auth_mechanism_ssl"};

static const char *description(const char *name)
{
    assert(name != NULL);
    return strcmp(name, "rabbitmq_auth_mechanism_ssl") == 0
               ? "TLS client certificates as logins (SASL EXTERNAL)"
               : "";
}

static bool is_built_in(const char *name)
{
    assert(name != NULL);
    for (size_t i = 0; i < LV_COUNT(built_in); i++)
        if (strcmp(built_in[i], name) == 0)
            return true;
    return false;
}

static void print_plugin(const struct lv_ctl_words *words, const char *name, bool is_first)
{
    assert(name != NULL);
    if (words->form == LV_CTL_JSON)
        printf("%s{\"enabled\":\"enabled\",\"name\":\"%s\",\"running\":true,\"version\":\"%s\"}",
               is_first ? "" : ",", name, LV_VERSION);
    else if (words->is_minimal)
        printf("%s\n", name);
    else if (words->is_verbose)
        printf("[E*] %s\n     Version:     \t%s\n     Dependencies:\t[]\n     Description: \t%s\n",
               name, LV_VERSION, description(name));
    else
        printf("[E*] %s %s\n", name, LV_VERSION);
}

static int list(const struct lv_ctl_session *session)
{
    const struct lv_ctl_words *words = session->words;
    const char *pattern = words->argument_count > 0 ? words->arguments[0] : ".*";
    bool is_first = true;
    regex_t regex;

    if (regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        return lv_ctl_refuse(session, LV_CTL_DATA, "the pattern doesn't compile: %s", pattern);
    if (lv_ctl_is_chatty(session)) {
        printf("Listing plugins with pattern \"%s\" ...\n", pattern);
        if (!words->is_minimal)
            printf(" Configured: E = explicitly enabled; e = implicitly enabled\n"
                   " | Status: * = running on %s\n |/\n",
                   session->node);
    }
    if (words->form == LV_CTL_JSON)
        printf("{\"format\":\"normal\",\"plugins\":[");
    for (size_t i = 0; i < LV_COUNT(built_in); i++) {
        if (regexec(&regex, built_in[i], 0, NULL, 0) != 0)
            continue;
        print_plugin(words, built_in[i], is_first);
        is_first = false;
    }
    if (words->form == LV_CTL_JSON)
        printf("],\"status\":\"running\"}\n");
    regfree(&regex);
    assert(words->verb == LV_CTL_PLUGINS_LIST);
    return LV_CTL_OK;
}

static int enable(const struct lv_ctl_session *session)
{
    const struct lv_ctl_words *words = session->words;

    if (words->argument_count == 0 && !words->is_global)
        return lv_ctl_words_refuse(words, "not enough arguments.");
    if (words->is_global) {
        if (lv_ctl_is_chatty(session))
            printf("Enabling ALL plugins on node %s\n", session->node);
        return LV_CTL_OK;
    }
    if (lv_ctl_is_chatty(session)) {
        printf("Enabling plugins on node %s:\n", session->node);
        for (unsigned i = 0; i < words->argument_count; i++)
            printf("%s\n", words->arguments[i]);
        fflush(stdout);
    }
    for (unsigned i = 0; i < words->argument_count; i++)
        if (!is_built_in(words->arguments[i]))
            return lv_ctl_refuse(session, LV_CTL_SOFTWARE, "{:plugins_not_found, [:%s]}",
                                 words->arguments[i]);
    assert(words->argument_count > 0);
    if (lv_ctl_is_chatty(session))
        printf("Plugin configuration unchanged.\n");
    lv_ctl_say_ok(session);
    return LV_CTL_OK;
}

static void print_names(const struct lv_ctl_words *words)
{
    assert(words->argument_count > 0);
    for (unsigned i = 0; i < words->argument_count; i++)
        printf("%s%s", i > 0 ? ", " : "", words->arguments[i]);
}

static int is_enabled(const struct lv_ctl_session *session)
{
    const struct lv_ctl_words *words = session->words;
    bool is_one = words->argument_count == 1;

    if (lv_ctl_is_chatty(session)) {
        printf("Asking node %s if plugin%s ", session->node, is_one ? "" : "s");
        print_names(words);
        printf(" %s enabled...\n", is_one ? "is" : "are");
        fflush(stdout);
    }
    for (unsigned i = 0; i < words->argument_count; i++)
        if (!is_built_in(words->arguments[i]))
            return lv_ctl_refuse(session, LV_CTL_UNAVAILABLE,
                                 "Plugin %s is not enabled on node %s. Enabled plugins and "
                                 "dependencies: %s",
                                 words->arguments[i], session->node, built_in[0]);
    assert(words->argument_count > 0);
    if (is_one) {
        lv_ctl_say(session, "Plugin %s is enabled on node %s", words->arguments[0], session->node);
        return LV_CTL_OK;
    }
    printf("Plugins ");
    print_names(words);
    printf(" are enabled on node %s\n", session->node);
    return LV_CTL_OK;
}

int lv_ctl_plugins(struct lv_ctl_session *session)
{
    switch (session->words->verb) {
    case LV_CTL_PLUGINS_LIST:
        return list(session);
    case LV_CTL_PLUGINS_ENABLE:
        return enable(session);
    default:
        assert(session->words->verb == LV_CTL_PLUGINS_IS_ENABLED);
        return is_enabled(session);
    }
}
