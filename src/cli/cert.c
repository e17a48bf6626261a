/*
 * cli/cert.c - `leveret cert`: certificates for a first try with TLS.
 */
#include "base/alloc.h"
#include "cli/command.h"
#include "cli/options.h"
#include "io/file.h"
#include "io/identity.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PATH_SIZE (PATH_MAX + 64)
#define DAY_S     86400
/* A clock that is a little behind must not find a certificate from the future. */
#define SLACK_S 3600

/* The names are those of RabbitMQ's documentation. */
enum file { CA, CA_KEY, SERVER, SERVER_KEY, CLIENT, CLIENT_KEY, FILE_COUNT };
static const char *const file_names[FILE_COUNT] = {
    "ca_certificate.pem",     "ca_key.pem",     "server_certificate.pem", "server_key.pem",
    "client_certificate.pem", "client_key.pem",
};

/* What the command line asks for, and the files that come of it. */
struct order {
    const char *dir;
    const char *client; /* common name of the client's certificate */
    const char *hosts[LV_IDENTITY_HOSTS_MAX];
    unsigned host_count;
    uint64_t days;
    char machine[256]; /* this one's name */
    char absolute[PATH_MAX];
    char paths[FILE_COUNT][PATH_SIZE];
};

static int take_host(void *ctx, const char *value, struct lv_diag *diag)
{
    struct order *order = ctx;

    assert(value != NULL);
    if (order->host_count == LV_IDENTITY_HOSTS_MAX)
        return lv_fail(diag, -LV_E_USAGE, "at most %u hosts", LV_IDENTITY_HOSTS_MAX);
    order->hosts[order->host_count++] = value;
    return 0;
}

/* This machine, by the names that it is called on itself. */
static void default_hosts(struct order *order)
{
    static const char *const local[] = {"localhost", "127.0.0.1", "::1"};

    assert(order->host_count == 0);
    for (size_t i = 0; i < LV_COUNT(local); i++)
        order->hosts[order->host_count++] = local[i];
    if (gethostname(order->machine, sizeof order->machine - 1) == 0 && order->machine[0] != '\0' &&
        strcmp(order->machine, "localhost") != 0)
        order->hosts[order->host_count++] = order->machine;
}

/* Nothing is made if one of them is there already. */
static int prepare(struct order *order, struct lv_diag *diag)
{
    int rc = lv_directory_make(order->dir, diag);

    if (rc < 0)
        return rc;
    if (realpath(order->dir, order->absolute) == NULL)
        return lv_fail(diag, -LV_E_IO, "can't find %s", order->dir);
    for (int i = 0; i < FILE_COUNT; i++) {
        snprintf(order->paths[i], sizeof order->paths[i], "%s/%s", order->absolute, file_names[i]);
        if (access(order->paths[i], F_OK) == 0)
            return lv_fail(diag, -LV_E_LOCKED,
                           "%s is there already, and is not overwritten; --dir names another "
                           "directory",
                           order->paths[i]);
    }
    assert(order->absolute[0] == '/');
    return 0;
}

/* One certificate and its key in their files; gives the identity if it is asked for. */
static int make(const struct order *order, const struct lv_identity_spec *spec,
                const struct lv_identity *issuer, struct lv_identity **ret_identity,
                struct lv_diag *diag)
{
    struct lv_identity *identity = NULL;
    int file = spec->use == LV_IDENTITY_CA ? CA : spec->use == LV_IDENTITY_SERVER ? SERVER : CLIENT;
    int rc = lv_identity_new(spec, issuer, &identity, diag);

    if (rc == 0)
        rc = lv_identity_write(identity, order->paths[file], order->paths[file + 1], diag);
    if (rc < 0 || ret_identity == NULL)
        lv_identity_free(identity);
    else
        *ret_identity = identity;
    assert(file + 1 < FILE_COUNT);
    return rc;
}

static int make_all(const struct order *order, struct lv_diag *diag)
{
    int64_t until_s = (int64_t)order->days * DAY_S;
    const struct lv_identity_spec ca = {
        .use = LV_IDENTITY_CA, .name = "Leveret CA", .from_s = -SLACK_S, .until_s = until_s};
    const struct lv_identity_spec server = {.use = LV_IDENTITY_SERVER,
                                            .name = "Leveret server",
                                            .hosts = order->hosts,
                                            .host_count = order->host_count,
                                            .from_s = -SLACK_S,
                                            .until_s = until_s};
    const struct lv_identity_spec client = {
        .use = LV_IDENTITY_CLIENT, .name = order->client, .from_s = -SLACK_S, .until_s = until_s};
    struct lv_identity *authority = NULL;
    int rc = make(order, &ca, NULL, &authority, diag);

    assert(order->host_count > 0);
    if (rc == 0)
        rc = make(order, &server, authority, NULL, diag);
    if (rc == 0)
        rc = make(order, &client, authority, NULL, diag);
    lv_identity_free(authority);
    return rc;
}

/* All of it can stand in a configuration file as it is. */
static void print_next(const struct order *order)
{
    const char *host = strchr(order->hosts[0], ':') == NULL ? order->hosts[0] : "localhost";

    assert(order->paths[CA][0] == '/');
    printf("# Made in %s, valid for %llu days. The keys are for their owner only;\n"
           "# %s signs further certificates and is needed for nothing else.\n"
           "#\n"
           "# For the broker's configuration (leveret serve --config FILE):\n"
           "listeners.ssl.default = 127.0.0.1:5671\n"
           "ssl_options.cacertfile = %s\n"
           "ssl_options.certfile = %s\n"
           "ssl_options.keyfile = %s\n"
           "ssl_options.verify = verify_peer\n"
           "ssl_options.fail_if_no_peer_cert = false\n"
           "ssl_cert_login_from = common_name\n"
           "#\n",
           order->absolute, (unsigned long long)order->days, file_names[CA_KEY], order->paths[CA],
           order->paths[SERVER], order->paths[SERVER_KEY]);
    printf("# A client with a password:\n"
           "#   leveret publish --declare hello 'Hello, world' --url "
           "'amqps://guest:guest@%s:5671?cacertfile=%s'\n",
           host, order->paths[CA]);
    printf("# and one that is user %s by its certificate:\n"
           "#   leveret get hello --url 'amqps://%s:5671?cacertfile=%s&certfile=%s&keyfile=%s"
           "&auth_mechanism=external'\n",
           order->client, host, order->paths[CA], order->paths[CLIENT], order->paths[CLIENT_KEY]);
}

int lv_run_cert(int argc, char **argv)
{
    struct order order = {.dir = "certs", .client = "guest", .days = 730};
    const struct lv_option options[] = {
        LV_TEXT_OPTION("dir", 'd', "DIR", &order.dir, "where the files go (default certs)"),
        LV_CALL_OPTION("host", 0, "NAME", take_host, &order,
                       "a name or address of the server; may be given again (default: this "
                       "machine's)"),
        LV_TEXT_OPTION("client", 0, "NAME", &order.client,
                       "the user whom the client's certificate stands for (default guest)"),
        LV_NUMBER_OPTION("days", 0, "N", &order.days, 1, 36500, "how long they are valid (730)"),
        LV_OPTION_END,
    };
    const struct lv_usage usage = {
        .command = "leveret cert",
        .arguments = "",
        .summary = "Makes an authority of your own, a certificate for a server and one for a "
                   "client, and prints what to put into the configuration. Overwrites nothing.",
        .options = options,
    };
    struct lv_diag diag = {"out of memory"};
    int status, rc;

    if (!lv_options_parse(&usage, &argc, argv, &status))
        return status;
    assert(argc >= 1);
    if (order.host_count == 0)
        default_hosts(&order);
    rc = prepare(&order, &diag);
    if (rc == 0)
        rc = make_all(&order, &diag);
    if (rc == -LV_E_USAGE)
        return lv_options_refuse(&usage, "%s", diag.text);
    if (rc < 0) {
        fprintf(stderr, "%s: %s\n", usage.command, diag.text);
        return LV_EXIT_FAILED;
    }
    print_next(&order);
    return fflush(stdout) == 0 ? LV_EXIT_OK : LV_EXIT_FAILED;
}
