#include "server/server.h"

#include "auth/password.h"
#include "base/alloc.h"
#include "base/text.h"
#include "broker/restore.h"
#include "io/clock.h"
#include "io/machine.h"
#include "io/signals.h"
#include "lv_version.h"
#include "server/data_dir.h"
#include "server/desk.h"
#include "server/disk.h"
#include "server/eventlog.h"
#include "server/handshaker.h"
#include "server/listener.h"
#include "server/load.h"
#include "server/service.h"
#include "server/shard.h"
#include "session/amqp091/limits.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ADDRESSES_MAX 64u /* of all names that were given */
#define HOST_MAX      8u  /* of one name */
#define USUAL_PORT    5672
/* Descriptors that connections leave free: for each shard, and for all else. */
#define FILES_SHARD 104u
#define FILES_BASE  48u
/* How long clients have to answer connection.close, and then the shards to let go of them. */
#define GRACE_NS (3 * LV_NS_PER_S)
#define DROP_NS  (1 * LV_NS_PER_S)

/* The main thread's view: what is shared, and what only it needs. */
struct server {
    struct lv_shared shared;
    struct lv_data_dir dir;
    struct lv_desk desk;
    struct lv_service service;
    struct lv_file_disk disk;   /*       of the directory */
    struct lv_reactor *reactor; /* own   the main thread's */
    struct lv_watch signals;
    uint64_t now;
    uint64_t drain_end; /*       the drain is over then in any case; LV_NEVER: none */
    uint32_t started;   /*       shards whose threads run */
    bool is_asked_to_stop;
    bool has_made_user; /*  of the settings, in this start */
    bool has_user;      /*  of this name, whoever made him */
};

/* With two processors the clients on the same machine want one; with many the kernel's network work
 * and the helpers want two. */
static uint32_t choose_shards(const struct lv_settings *settings)
{
    unsigned cpus = lv_machine_cpus();

    assert(cpus >= 1);
    if (settings->shards > 0)
        return (uint32_t)settings->shards;
    if (cpus <= 2)
        return 1;
    if (cpus <= 8)
        return cpus / 2;
    return cpus - 2 < 64 ? cpus - 2 : 64;
}

/* What operators may set, and the bounds that follow from how the server works. */
static void fill_limits(const struct lv_settings *settings, struct lv_session_limits *limits)
{
    assert(settings->frame_max >= LV_BOUND_FRAME_MIN);
    *limits = (struct lv_session_limits){
        .frame_max = (uint32_t)settings->frame_max,
        .channel_max = (uint16_t)settings->channel_max,
        .heartbeat_s = (uint16_t)settings->heartbeat,
        .handshake_ms = (uint32_t)settings->handshake_timeout,
        .max_message_size = settings->max_message_size,
        .assembly_size = LV_BOUND_ASSEMBLY,
        .out_high = LV_BOUND_OUT_HIGH,
        .out_low = LV_BOUND_OUT_LOW,
        .out_full = LV_BOUND_OUT_FULL,
    };
}

/* ---- making ---- */

/* Whatever fails, unmake() takes care of what is there. */
static int make_shards(struct lv_shared *shared)
{
    shared->mesh = lv_mesh_new(shared->shard_count);
    shared->shards = lv_calloc(shared->shard_count, sizeof(struct lv_shard *));
    if (shared->mesh == NULL || shared->shards == NULL)
        return -LV_E_NOMEM;
    for (uint32_t i = 0; i < shared->shard_count; i++) {
        shared->shards[i] = lv_shard_new(shared, i);
        if (shared->shards[i] == NULL)
            return -LV_E_NOMEM;
    }
    assert(shared->shards[0] != NULL);
    return 0;
}

/* Every address of one name. A name like localhost may have addresses that this machine has not
 * (IPv6 is switched off): one that works is enough. */
static int listen_on(struct lv_shared *shared, const char *text, bool is_tls, struct lv_diag *diag)
{
    struct lv_address addresses[HOST_MAX];
    struct lv_endpoint endpoint;
    unsigned before = shared->listener_count;
    int count, rc = lv_endpoint_parse(text, &endpoint, diag);

    assert(text != NULL);
    if (rc < 0)
        return rc;
    count = lv_address_resolve(endpoint.host, endpoint.port, addresses, HOST_MAX, diag);
    for (int i = 0; i < count; i++) {
        if (shared->listener_count == ADDRESSES_MAX)
            return lv_fail(diag, -LV_E_RESOURCE, "more than %u addresses to listen on",
                           ADDRESSES_MAX);
        rc = lv_listener_open(&shared->listeners[shared->listener_count], shared->shards[0],
                              &addresses[i], is_tls, diag);
        if (rc == 0)
            shared->listener_count++;
        else if (rc != -LV_E_NOT_FOUND)
            return rc;
    }
    if (count < 0)
        return count;
    return shared->listener_count > before ? 0 : rc;
}

/* On the first shard, before its thread runs. */
static int make_listeners(struct lv_shared *shared, struct lv_diag *diag)
{
    const struct lv_names *plain = &shared->settings->listeners;
    const struct lv_names *tls = &shared->settings->tls_listeners;
    int rc = 0;

    shared->listeners = lv_calloc(ADDRESSES_MAX, sizeof *shared->listeners);
    if (shared->listeners == NULL)
        return -LV_E_NOMEM;
    for (unsigned i = 0; rc == 0 && i < plain->count; i++)
        rc = listen_on(shared, plain->items[i], false, diag);
    for (unsigned i = 0; rc == 0 && i < tls->count; i++)
        rc = listen_on(shared, tls->items[i], true, diag);
    assert(shared->listener_count <= ADDRESSES_MAX);
    return rc;
}

/* Handshakes that have begun, and connections that are there, go on as they are. */
static void reload_tls(struct lv_shared *shared)
{
    struct lv_diag diag = {""};

    assert(shared->handshakers != NULL);
    if (lv_handshakers_reload(shared->handshakers, &diag) < 0)
        lv_event(LV_ERROR, "tls.not_reloaded", LV_S("why", diag.text),
                 LV_S("effect", "the certificate from before stays in use"));
    else
        lv_event(LV_INFO, "tls.reloaded");
}

/* What can be read anew without a restart. The manager hears when it begins and when it is done,
 * so that `systemctl reload` returns when what is new holds. */
static void reload(struct server *server)
{
    assert(server->reactor != NULL);
    lv_service_tell(&server->service, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
                    lv_clock_now() / 1000);
    lv_eventlog_reopen();
    if (server->shared.handshakers != NULL)
        reload_tls(&server->shared);
    lv_event(LV_INFO, "server.reloaded");
    lv_service_tell(&server->service, "READY=1");
}

/* On the main thread, through a descriptor: no handler runs in the middle of anything. */
static void on_signal(struct lv_watch *watch, unsigned ready)
{
    struct server *server = lv_container(watch, struct server, signals);
    int number;

    assert(watch->fd >= 0);
    (void)ready;
    number = lv_signals_take(watch->fd);
    if (number == 0)
        return;
    if (number == SIGHUP) {
        if (!server->is_asked_to_stop)
            reload(server);
        return;
    }
    if (server->is_asked_to_stop)
        _exit(1); /* whoever asks twice does not want to wait */
    server->is_asked_to_stop = true;
}

/* Before there are other threads: they inherit that the signals are blocked. */
static int make_reactor(struct server *server)
{
    int fd, rc;

    assert(server->reactor == NULL);
    server->reactor = lv_reactor_new();
    if (server->reactor == NULL)
        return -LV_E_RESOURCE;
    server->shared.main = server->reactor;
    rc = lv_signals_open(&fd);
    if (rc < 0)
        return rc;
    rc = lv_reactor_add(server->reactor, &server->signals, fd, LV_IO_READ, on_signal);
    if (rc < 0)
        lv_signals_close(fd);
    return rc;
}

/* Those that run are counted, since they have to be ended if one of them can't start. */
static int start_shards(struct server *server, struct lv_diag *diag)
{
    for (; server->started < server->shared.shard_count; server->started++) {
        int rc = lv_shard_start(server->shared.shards[server->started]);

        if (rc < 0)
            return lv_fail(diag, rc, "can't start a thread");
    }
    assert(server->started == server->shared.shard_count);
    if (server->shared.handshakers == NULL)
        return 0;
    return lv_handshakers_start(server->shared.handshakers) < 0
               ? lv_fail(diag, -LV_E_RESOURCE, "can't start a thread")
               : 0;
}

static void on_stop(void *ctx)
{
    struct server *server = ctx;

    assert(server->reactor != NULL);
    server->is_asked_to_stop = true;
}

/* Shards follow when they wake. */
static void enter(struct server *server, enum lv_phase phase)
{
    assert(phase > lv_shared_phase(&server->shared));
    atomic_store(&server->shared.phase, phase);
    lv_mesh_wake_all(server->shared.mesh);
}

/* Whoever asks again has the last word on how long it may take. */
static void on_drain(void *ctx, uint64_t seconds)
{
    struct server *server = ctx;

    assert(server->started == server->shared.shard_count);
    if (lv_shared_phase(&server->shared) > LV_PHASE_DRAINING)
        return; /* it ends already */
    server->drain_end = lv_clock_now() + seconds * LV_NS_PER_S;
    if (lv_shared_phase(&server->shared) == LV_PHASE_DRAINING)
        return;
    lv_event(LV_INFO, "server.draining",
             LV_U("connections", atomic_load(&server->shared.connections)));
    lv_service_tell(&server->service, "STATUS=waits for clients to finish what they have");
    enter(server, LV_PHASE_DRAINING);
}

/* Whoever asks before the shards run waits until they do. */
static int make_desk(struct server *server, struct lv_diag *diag)
{
    const struct lv_desk_config config = {
        .shared = &server->shared,
        .directory = server->dir.path,
        .now = &server->now,
        .stop = on_stop,
        .drain = on_drain,
        .ctx = server,
    };

    assert(server->started == 0);
    return lv_desk_open(&server->desk, &config, diag);
}

static int is_log(void *ctx, const char *name)
{
    uint64_t number;
    uint32_t shard;

    (void)ctx;
    return lv_logfile_parse_name(name, &shard, &number);
}

/* A file of the log that is in use? */
static bool has_log(struct server *server)
{
    return server->shared.disk->ops->list(server->shared.disk, is_log, NULL) > 0;
}

/* Where a queue lives depends on the number of shards, so a directory keeps the one that it was
 * made with. */
static int open_metadata(struct server *server, struct lv_diag *diag)
{
    struct lv_shared *shared = &server->shared;
    uint64_t count = 0;
    int rc = lv_metadata_open(server->dir.path, &shared->metadata, diag);

    if (rc == 0)
        rc = lv_metadata_get(shared->metadata, "shards", &count, diag);
    if (rc < 0)
        return rc;
    if (count == 0 && has_log(server))
        return lv_fail(diag, -LV_E_CORRUPT,
                       "%s has a log, but its metadata.sqlite is new: put the right one back",
                       server->dir.path);
    if (count == 0)
        return lv_metadata_set(shared->metadata, "shards", shared->shard_count, diag);
    if (shared->settings->shards > 0 && count != shared->shard_count)
        return lv_fail(diag, -LV_E_USAGE,
                       "%s was made with %llu shard%s: start with --shards %llu, or without",
                       server->dir.path, (unsigned long long)count, count == 1 ? "" : "s",
                       (unsigned long long)count);
    shared->shard_count = (uint32_t)count;
    return 0;
}

/* "a,b" */
static void join(const struct lv_names *names, char *text, size_t size)
{
    size_t at = 0;

    assert(size > 0);
    text[0] = '\0';
    for (unsigned i = 0; i < names->count && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%s", i > 0 ? "," : "", names->items[i]);
}

/* No password is stored as it is. Without one the user can't log in with a password. */
static int hash_default_pass(const struct lv_settings *settings, char hash[LV_PASSWORD_HASH_SIZE],
                             struct lv_diag *diag)
{
    struct lv_diag why = {""};
    int rc;

    assert(settings->default_pass != NULL);
    hash[0] = '\0';
    if (settings->default_pass[0] == '\0')
        return 0;
    rc = lv_password_hash(lv_text(settings->default_pass), hash, &why);
    return rc < 0 ? lv_fail(diag, rc, "default_pass: %s", why.text) : 0;
}

/* The vhost and the user of the settings. Before the shards' threads run, so the hash may take its
 * time. */
static int make_user(struct lv_shared *shared, struct lv_diag *diag)
{
    const struct lv_settings *settings = shared->settings;
    char tags[UINT8_MAX + 1], hash[LV_PASSWORD_HASH_SIZE];
    struct lv_first first = {
        .vhost = lv_text(settings->default_vhost),
        .user = lv_text(settings->default_user),
        .configure = lv_text(settings->default_configure),
        .write = lv_text(settings->default_write),
        .read = lv_text(settings->default_read),
    };
    int rc = hash_default_pass(settings, hash, diag);

    if (rc < 0)
        return rc;
    join(&settings->default_user_tags, tags, sizeof tags);
    first.tags = lv_text(tags);
    first.hash = lv_text(hash);
    for (uint32_t i = 0; rc == 0 && i < shared->shard_count; i++)
        rc = lv_broker_begin(shared->shards[i]->broker, &first, diag);
    return rc;
}

/* A user only when nobody has ever made any, and none when definitions say who there is. */
static int begin(struct server *server, struct lv_diag *diag)
{
    struct lv_shared *shared = &server->shared;
    const char *path = shared->settings->load_definitions;
    bool loads = path[0] != '\0' && strcmp(path, "none") != 0;
    struct lv_user_view user;
    int rc = 0;

    assert(server->started == 0);
    server->has_made_user = !loads && lv_broker_is_new(shared->shards[0]->broker);
    if (server->has_made_user)
        rc = make_user(shared, diag);
    if (loads)
        rc = lv_load_definitions(shared, path, diag);
    lv_log_seal(shared->shards[0]->durable.log); /* written as soon as there is a thread to */
    server->has_user =
        lv_broker_user(shared->shards[0]->broker, lv_text(shared->settings->default_user), &user);
    return rc;
}

/* In an order that lets a refusal cost little: the directory first, threads last. */
static int make(struct server *server, struct lv_diag *diag)
{
    const struct lv_settings *settings = server->shared.settings;
    int rc = lv_data_dir_open(&server->dir, settings->data_dir, diag);

    assert(server->started == 0);
    if (rc < 0)
        return rc;
    rc = lv_file_disk_open(&server->disk, server->dir.path, diag);
    if (rc < 0)
        return rc;
    server->shared.disk = &server->disk.disk;
    lv_space_init(&server->shared.space, server->shared.disk, &server->shared.alarms,
                  lv_memory_limit_size(&settings->disk_free_limit, lv_machine_memory()));
    rc = open_metadata(server, diag);
    if (rc < 0)
        return rc;
    rc = make_reactor(server);
    if (rc == 0)
        rc = make_shards(&server->shared);
    if (rc < 0)
        return lv_fail(diag, rc, "out of memory or file descriptors");
    if (settings->tls_listeners.count > 0)
        rc = lv_handshakers_open(&server->shared, &server->shared.handshakers, diag);
    if (rc == 0)
        rc = make_desk(server, diag);
    if (rc < 0)
        return rc;
    rc = lv_durable_restore(&server->shared, diag);
    if (rc == 0)
        rc = begin(server, diag);
    if (rc < 0)
        return rc;
    rc = make_listeners(&server->shared, diag);
    if (rc < 0)
        return rc;
    rc = lv_service_open(&server->service, &server->shared, server->now);
    if (rc < 0)
        return lv_fail(diag, rc, "out of memory");
    return start_shards(server, diag);
}

/* Whether somebody from elsewhere can reach it. */
static bool is_exposed(const struct lv_shared *shared)
{
    bool exposed = false;

    assert(shared->listener_count <= ADDRESSES_MAX);
    for (unsigned i = 0; i < shared->listener_count; i++)
        exposed = exposed || !lv_address_is_loopback(&shared->listeners[i].address);
    return exposed;
}

/* The password only if it is the one that everybody knows, and is known to be his. */
static void print_login(const struct server *server)
{
    const struct lv_shared *shared = &server->shared;
    const struct lv_settings *settings = shared->settings;
    const char *user = settings->default_user;
    bool local = lv_names_have(&settings->loopback_users, user, strlen(user));

    assert(user != NULL);
    if (!server->has_user)
        return;
    printf("user %s may log in%s%s\n", user,
           server->has_made_user && strcmp(settings->default_pass, "guest") == 0
               ? " with password guest"
               : "",
           local ? ", from this machine only (via localhost)" : "");
    if (local && is_exposed(shared))
        printf("for clients from elsewhere set default_user and default_pass, or loopback_users\n");
}

/* Commands to try next; on another port than the usual one they have to be told. */
static void print_next(const struct lv_address *address)
{
    char text[LV_ADDRESS_TEXT_SIZE], url[LV_ADDRESS_TEXT_SIZE + 16] = "";
    bool is_usual = lv_address_is_any(address) || lv_address_is_loopback(address);

    assert(address->port != 0);
    if (lv_address_is_any(address)) /* nobody can connect to that one */
        snprintf(text, sizeof text, "127.0.0.1:%u", address->port);
    else
        lv_address_text(address, text);
    if (!is_usual || address->port != USUAL_PORT)
        snprintf(url, sizeof url, " --url amqp://%s", text);
    printf("try in a second terminal: leveret publish%s --declare hello 'Hello, world'\n"
           "                          leveret get%s hello\n",
           url, url);
}

/* For people; programs wait for the line that begins with `ready`. */
static void print_start(const struct server *server)
{
    const struct lv_shared *shared = &server->shared;
    char memory[LV_SIZE_TEXT_SIZE], address[LV_ADDRESS_TEXT_SIZE];

    assert(shared->shard_count >= 1);
    printf("Leveret %s, an AMQP 0-9-1 broker: %u shard%s; above %s of messages publishers wait\n",
           LV_VERSION, shared->shard_count, shared->shard_count == 1 ? "" : "s",
           lv_size_text(shared->memory.high, memory));
    printf("data in %s: durable queues and their persistent messages outlive a restart\n",
           server->dir.path);
    if (shared->settings->durability == LV_DURABILITY_OS)
        printf("durability = os: if the machine fails, the last of what was confirmed is lost\n");
    print_login(server);
    if (shared->listener_count > 0 && !shared->listeners[0].is_tls)
        print_next(&shared->listeners[0].address);
    printf("ready");
    for (unsigned i = 0; i < shared->listener_count; i++)
        printf(" amqp%s://%s", shared->listeners[i].is_tls ? "s" : "",
               lv_address_text(&shared->listeners[i].address, address));
    printf("\n");
    fflush(stdout);
}

/* To the service manager, too, with what `systemctl status` shows. */
static void tell_ready(struct server *server)
{
    char addresses[LV_ADDRESS_TEXT_SIZE * 4] = "", address[LV_ADDRESS_TEXT_SIZE];
    size_t size = 0;

    print_start(server);
    for (unsigned i = 0; i < server->shared.listener_count && size < sizeof addresses; i++)
        size += (size_t)snprintf(addresses + size, sizeof addresses - size, " %s",
                                 lv_address_text(&server->shared.listeners[i].address, address));
    assert(server->started == server->shared.shard_count);
    lv_event(LV_INFO, "server.ready", LV_S("version", LV_VERSION), LV_U("pid", (uint64_t)getpid()),
             LV_U("shards", server->started), LV_S("data_dir", server->dir.path),
             LV_S("addresses", addresses + (size > 0)));
    lv_service_tell(&server->service, "READY=1\nMAINPID=%d\nSTATUS=accepts connections on%s",
                    getpid(), addresses);
}

/* ---- the end ---- */

/* The order matters: a shard that has not followed yet may still let somebody in. */
static bool all_gone(struct server *server)
{
    assert(server->shared.main == server->reactor);
    return atomic_load(&server->shared.stopping) == server->shared.shard_count &&
           atomic_load(&server->shared.connections) == 0;
}

/* Operators and the service manager are served meanwhile. */
static void await(struct server *server, uint64_t deadline)
{
    uint64_t next = lv_desk_next(&server->desk), ping = lv_service_next(&server->service);

    assert(server->reactor != NULL);
    if (ping < next)
        next = ping;
    lv_reactor_wait(server->reactor, &server->now, next < deadline ? next : deadline);
    lv_desk_turn(&server->desk);
    lv_service_turn(&server->service, server->now);
}

/* When to look again. */
static uint64_t watch_space(struct server *server)
{
    if (lv_space_check(&server->shared.space, server->now))
        lv_mesh_wake_all(server->shared.mesh);
    assert(server->now > 0);
    return server->now + LV_SPACE_CHECK_NS;
}

/* Until somebody asks for the end, the last client has drained, or the disk fails. */
static void serve(struct server *server)
{
    struct lv_shared *shared = &server->shared;

    assert(server->drain_end == LV_NEVER);
    while (!server->is_asked_to_stop && atomic_load(&shared->disk_error) == 0) {
        uint64_t next = watch_space(server);

        if (server->drain_end != LV_NEVER &&
            (all_gone(server) || server->now >= server->drain_end)) {
            lv_event(LV_INFO, "server.drained",
                     LV_U("connections", atomic_load(&shared->connections)));
            return;
        }
        await(server, server->drain_end < next ? server->drain_end : next);
    }
}

/* True when the last client left in time. */
static bool wait_gone(struct server *server, uint64_t patience)
{
    uint64_t deadline = lv_clock_now() + patience;

    assert(patience > 0);
    while (!all_gone(server)) {
        await(server, deadline);
        if (server->now >= deadline)
            return all_gone(server);
    }
    return true;
}

/* Asks, then cuts off. The shards serve each other to the end, since letting go of a connection
 * may need an answer from another shard. */
static void stop(struct server *server)
{
    assert(server->started == server->shared.shard_count);
    lv_event(LV_INFO, "server.stopping",
             LV_U("connections", atomic_load(&server->shared.connections)));
    lv_service_tell(&server->service, "STOPPING=1\nSTATUS=stops");
    enter(server, LV_PHASE_STOPPING);
    if (server->shared.handshakers != NULL)
        lv_handshakers_stop(server->shared.handshakers);
    if (!wait_gone(server, GRACE_NS)) {
        enter(server, LV_PHASE_DROPPING);
        if (!wait_gone(server, DROP_NS))
            lv_event(LV_ERROR, "server.stopped",
                     LV_U("connections", atomic_load(&server->shared.connections)));
    }
    while (!lv_desk_close(&server->desk))
        await(server, LV_NEVER); /* a shard answers within its turn */
    enter(server, LV_PHASE_ENDED);
}

/* Also what is half made. */
static void unmake(struct server *server)
{
    struct lv_shared *shared = &server->shared;

    bool is_closed = lv_desk_close(&server->desk);

    assert(server->dir.lock >= 0);
    assert(is_closed); /* nobody was asked anything if it is still open here */
    (void)is_closed;
    if (server->started > 0 && lv_shared_phase(shared) != LV_PHASE_ENDED)
        enter(server, LV_PHASE_ENDED);
    if (shared->handshakers != NULL)
        lv_handshakers_stop(shared->handshakers);
    for (uint32_t i = 0; i < server->started; i++)
        lv_shard_join(shared->shards[i]);
    lv_durable_end_topology(shared);
    for (unsigned i = 0; i < shared->listener_count; i++)
        lv_listener_close(&shared->listeners[i]);
    lv_data_dir_close(&server->dir);
    if (atomic_load(&shared->connections) > 0)
        return; /* the process ends anyway; who still holds whom is not worth untangling */
    lv_handshakers_free(shared->handshakers);
    for (uint32_t i = 0; shared->shards != NULL && i < shared->shard_count; i++)
        lv_shard_free(shared->shards[i]);
    lv_mesh_free(shared->mesh);
    lv_free(shared->shards);
    lv_free(shared->listeners);
    lv_service_close(&server->service);
    if (server->signals.ready != NULL) {
        int fd = server->signals.fd;
        lv_reactor_remove(server->reactor, &server->signals);
        lv_signals_close(fd);
    }
    lv_reactor_free(server->reactor);
}

/* Of so many descriptors each shard's log and segments want some, and so do the metadata, the
 * reactors and operators; but not more than half of the few that there may be. */
static unsigned bound_connections(uint32_t shard_count, uint64_t files)
{
    uint64_t wanted = FILES_BASE + (uint64_t)FILES_SHARD * shard_count;
    uint64_t left = wanted < files / 2 ? files - wanted : files - files / 2;

    assert(files > 0);
    return left < UINT32_MAX ? (unsigned)left : UINT32_MAX;
}

/* Everything that needs no undoing. */
static void init(struct server *server, const struct lv_settings *settings)
{
    struct lv_shared *shared = &server->shared;

    assert(shared->shards == NULL);
    shared->settings = settings;
    shared->shard_count = choose_shards(settings);
    shared->hash_key = (struct lv_hash_key){lv_machine_random(), lv_machine_random()};
    fill_limits(settings, &shared->limits);
    lv_memory_init(&shared->memory, &shared->alarms,
                   lv_memory_limit_size(&settings->memory_limit, lv_machine_memory()));
    snprintf(shared->information, sizeof shared->information, "Leveret %s, Apache License 2.0",
             LV_VERSION);
    server->now = lv_clock_now();
}

/* What it stopped for, when nobody had asked. */
static int disk_verdict(struct lv_shared *shared, struct lv_diag *diag)
{
    int error = atomic_load(&shared->disk_error);

    if (error == 0)
        return 0;
    return lv_fail(diag, error,
                   "the log can't be written any more; what was confirmed is on disk, "
                   "and the next start goes on from there");
}

/* From the first file to the last thread. */
static int run(struct server *server, struct lv_diag *diag)
{
    int rc = make(server, diag);

    assert(diag != NULL);
    if (rc == 0) {
        tell_ready(server);
        serve(server);
        stop(server);
        rc = disk_verdict(&server->shared, diag);
    }
    if (server->dir.lock >= 0)
        unmake(server);
    return rc;
}

/* The main thread waits for a signal, serves operators and watches the disk meanwhile. */
int lv_server_run(const struct lv_config *config, struct lv_diag *diag)
{
    struct server *server = lv_calloc(1, sizeof *server);
    int rc;

    assert(config->errors.count == 0);
    if (server == NULL)
        return lv_fail(diag, -LV_E_NOMEM, "out of memory");
    rc = lv_eventlog_open(&config->settings, diag);
    if (rc < 0) {
        lv_free(server);
        return rc;
    }
    for (unsigned i = 0; i < config->notes.count; i++)
        lv_event(LV_WARN, "config.note", LV_S("what", config->notes.items[i]));
    init(server, &config->settings);
    server->shared.connections_max =
        bound_connections(server->shared.shard_count, lv_machine_raise_files());
    server->dir.lock = -1;
    server->service.notify.fd = -1;
    server->drain_end = LV_NEVER;
    rc = run(server, diag);
    lv_eventlog_close(rc < 0 ? diag->text : NULL);
    lv_free(server);
    return rc;
}
