#include "server/keeper.h"

#include "base/alloc.h"
#include "base/event.h"
#include "base/map.h"
#include "base/random.h"
#include "broker/broker.h"
#include "broker/change.h"
#include "broker/core.h"
#include "broker/guest.h"
#include "broker/inspect.h"
#include "store/logfile.h"
#include "store/store.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[100];
static struct lv_metadata *metadata;
static struct lv_keeper keeper;
static struct lv_diag diag;

/* Counts what the keeper's thread says. */
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    unsigned wakes;
} bell = {.mutex = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};

static void wake(void *ctx)
{
    (void)ctx;
    pthread_mutex_lock(&bell.mutex);
    bell.wakes++;
    pthread_cond_signal(&bell.cond);
    pthread_mutex_unlock(&bell.mutex);
}

/* Until the keeper has said so; what it waits for is true before it is told. */
#define AWAIT(condition)                                                                           \
    do {                                                                                           \
        pthread_mutex_lock(&bell.mutex);                                                           \
        while (!(condition))                                                                       \
            pthread_cond_wait(&bell.cond, &bell.mutex);                                            \
        pthread_mutex_unlock(&bell.mutex);                                                         \
    } while (0)

static void open_it(void)
{
    if (lv_metadata_open(directory, &metadata, &diag) < 0)
        fail_msg("%s", diag.text);
}

static void start(void)
{
    assert_int_equal(lv_keeper_start(&keeper, metadata, wake, NULL), 0);
}

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(directory, sizeof directory, "%s/keeper-test-XXXXXX",
                   getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(directory));
    bell.wakes = 0;
    open_it();
    return 0;
}

static int tear_down(void **state)
{
    DIR *files = opendir(directory);
    struct dirent *entry;
    char name[400];

    (void)state;
    lv_metadata_close(metadata);
    metadata = NULL;
    assert_non_null(files);
    while ((entry = readdir(files)) != NULL) {
        (void)snprintf(name, sizeof name, "%s/%s", directory, entry->d_name);
        if (entry->d_name[0] != '.')
            (void)unlink(name);
    }
    (void)closedir(files);
    return rmdir(directory);
}

/* ---- changes ---- */

static void add(uint64_t lsn_end, struct lv_change change)
{
    uint8_t bytes[1000];

    change.vhost = lv_text("/");
    change.durable = true;
    assert_true(lv_change_size(&change) <= sizeof bytes);
    lv_change_encode(&change, bytes);
    assert_int_equal(lv_keeper_add(&keeper, lsn_end, lv_bytes(bytes, lv_change_size(&change))), 0);
    memset(bytes, 0xee, sizeof bytes); /* it has a copy */
}

static struct lv_change queue(const char *name, uint64_t id)
{
    return (struct lv_change){
        .kind = LV_CHANGE_QUEUE_DECLARE, .name = lv_text(name), .queue_id = id};
}

static struct lv_change binding(enum lv_change_kind kind, const char *source, const char *target)
{
    return (struct lv_change){
        .kind = kind, .name = lv_text(target), .other = lv_text(source), .key = lv_text("k")};
}

/* ---- what is there, as sorted lines ---- */

#define LINES_MAX 4000

struct lines {
    char text[LINES_MAX][120];
    size_t count;
};

static struct lines rows, topology;

static void add_line(struct lines *lines, const struct lv_change *c)
{
    static const char *const kinds[] = {"exchange", "", "queue", "", "binding", ""};
    uint64_t arguments = c->arguments == NULL ? 0 : c->arguments->count;

    assert_true(lines->count < LINES_MAX);
    (void)snprintf(lines->text[lines->count++], sizeof lines->text[0],
                   "%s %.*s %.*s %.*s %llu@%u %d%d%d +%llu", kinds[c->kind], LV_FMT(c->other),
                   LV_FMT(c->name), LV_FMT(c->key), (unsigned long long)c->queue_id, c->home,
                   c->auto_delete, c->internal, c->to_exchange, (unsigned long long)arguments);
}

static int see_row(void *ctx, const struct lv_change *change)
{
    assert_true(change->durable || change->kind == LV_CHANGE_BIND);
    add_line(ctx, change);
    return 0;
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void sort_lines(struct lines *lines)
{
    qsort(lines->text, lines->count, sizeof lines->text[0], compare_lines);
}

/* From a handle of its own, since the keeper may be at work. */
static uint64_t load_rows(void)
{
    struct lv_metadata *reader = NULL;
    uint64_t last_queue_id = 0;

    rows.count = 0;
    assert_int_equal(lv_metadata_open_read_only(directory, &reader, &diag), 0);
    if (lv_keeper_load(reader, see_row, &rows, &last_queue_id, &diag) < 0)
        fail_msg("%s", diag.text);
    lv_metadata_close(reader);
    sort_lines(&rows);
    return last_queue_id;
}

/* ---- tests ---- */

static void changes_become_rows_and_the_lsn_is_told(void **state)
{
    struct lv_change exchange = {.kind = LV_CHANGE_EXCHANGE_DECLARE,
                                 .name = lv_text("x"),
                                 .other = lv_text("fanout"),
                                 .auto_delete = true};

    (void)state;
    start();
    add(100, exchange);
    add(200, queue("q", 65));
    add(300, queue("gone", 129));
    add(400, binding(LV_CHANGE_BIND, "x", "q"));
    add(500, binding(LV_CHANGE_BIND, "x", "gone"));
    add(600, (struct lv_change){
                 .kind = LV_CHANGE_QUEUE_DELETE, .name = lv_text("gone"), .queue_id = 129});
    lv_keeper_synced(&keeper, 700);
    AWAIT(lv_keeper_applied(&keeper) == 600);
    assert_int_equal(load_rows(), 129);
    assert_int_equal(rows.count, 3);
    assert_string_equal(rows.text[0], "binding x q k 0@0 000 +0");
    assert_string_equal(rows.text[1], "exchange fanout x  0@0 100 +0");
    assert_string_equal(rows.text[2], "queue  q  65@0 000 +0");
    assert_int_equal(bell.wakes, 1); /* one transaction */
    lv_keeper_stop(&keeper);
}

/* Else a crash would leave a file that knows more than the log. */
static void nothing_is_applied_before_the_log_is_on_disk(void **state)
{
    (void)state;
    start();
    add(100, queue("first", 65));
    add(200, queue("second", 129));
    lv_keeper_synced(&keeper, 199);
    AWAIT(lv_keeper_applied(&keeper) == 100);
    (void)load_rows();
    assert_int_equal(rows.count, 1);
    lv_keeper_stop(&keeper);
    (void)load_rows();
    assert_int_equal(rows.count, 1);
    assert_int_equal(lv_keeper_applied(&keeper), 100);
}

static void stopping_applies_what_is_on_disk_in_the_log(void **state)
{
    enum { COUNT = 2500 };
    char name[20];

    (void)state;
    start();
    for (uint64_t i = 1; i <= COUNT; i++) {
        (void)snprintf(name, sizeof name, "q%llu", (unsigned long long)i);
        add(i * 8, queue(name, i));
    }
    lv_keeper_synced(&keeper, COUNT * 8);
    lv_keeper_stop(&keeper);
    assert_int_equal(lv_keeper_applied(&keeper), COUNT * 8);
    assert_int_equal(load_rows(), COUNT);
    assert_int_equal(rows.count, COUNT);
}

static void a_new_keeper_goes_on_where_the_last_one_was(void **state)
{
    (void)state;
    start();
    add(100, queue("q", 640));
    lv_keeper_synced(&keeper, 100);
    lv_keeper_stop(&keeper);
    lv_metadata_close(metadata);
    open_it();
    start();
    assert_int_equal(lv_keeper_applied(&keeper), 100);
    add(200, (struct lv_change){.kind = LV_CHANGE_QUEUE_DELETE, .name = lv_text("q")});
    lv_keeper_synced(&keeper, 200);
    lv_keeper_stop(&keeper);
    assert_int_equal(load_rows(), 640); /* its id is not used again */
    assert_int_equal(rows.count, 0);
}

static void it_has_all_of_the_log_but_where_a_change_waits(void **state)
{
    (void)state;
    start();
    lv_keeper_synced(&keeper, 1500);
    assert_true(lv_keeper_has(&keeper, 1500)); /* nothing was changed */
    add(2000, queue("q", 65));
    assert_true(lv_keeper_has(&keeper, 1999));
    assert_false(lv_keeper_has(&keeper, 2000));
    lv_keeper_synced(&keeper, 2100);
    AWAIT(lv_keeper_has(&keeper, 2000));
    assert_int_equal(lv_keeper_applied(&keeper), 2000);
    assert_true(lv_keeper_has(&keeper, UINT64_MAX - 1));
    assert_int_equal(bell.wakes, 1); /* and the file was written once */
    lv_keeper_stop(&keeper);
}

static void a_full_disk_is_waited_for(void **state)
{
    struct rlimit limit, old;
    char name[40];

    (void)state;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    limit = (struct rlimit){.rlim_cur = 100000, .rlim_max = old.rlim_max};
    start();
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    for (uint64_t i = 1; i <= 2000; i++) {
        (void)snprintf(name, sizeof name, "queue with a long name %llu", (unsigned long long)i);
        add(i * 8, queue(name, i));
    }
    lv_keeper_synced(&keeper, 16000);
    AWAIT(lv_keeper_is_full(&keeper));
    assert_int_equal(lv_keeper_error(&keeper), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    AWAIT(lv_keeper_applied(&keeper) == 16000);
    assert_false(lv_keeper_is_full(&keeper));
    lv_keeper_stop(&keeper);
    (void)load_rows();
    assert_int_equal(rows.count, 2000);
}

static void stopping_does_not_wait_for_a_file_that_is_locked(void **state)
{
    char path[150];
    sqlite3 *db = NULL;

    (void)state;
    (void)snprintf(path, sizeof path, "%s/metadata.sqlite", directory);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    start();
    add(100, queue("q", 65));
    lv_keeper_synced(&keeper, 100);
    AWAIT(lv_keeper_is_full(&keeper));
    lv_keeper_stop(&keeper);
    assert_int_equal(lv_keeper_applied(&keeper), 0);
    assert_int_equal(lv_keeper_error(&keeper), 0);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void what_cannot_be_applied_is_told_once_and_ends_it(void **state)
{
    (void)state;
    start();
    add(100, queue("q", 65));
    assert_int_equal(lv_keeper_add(&keeper, 200, lv_text("\1nonsense")), 0);
    lv_keeper_synced(&keeper, 300);
    AWAIT(lv_keeper_error(&keeper) != 0);
    assert_int_equal(lv_keeper_error(&keeper), -LV_E_CORRUPT);
    assert_non_null(strstr(keeper.diag.text, "ends at 200"));
    add(400, queue("r", 129)); /* is not kept for nobody */
    assert_null(keeper.first);
    lv_keeper_stop(&keeper);
    assert_int_equal(bell.wakes, 1);
    assert_int_equal(lv_keeper_applied(&keeper), 0);
    (void)load_rows();
    assert_int_equal(rows.count, 0); /* the transaction is undone as a whole */
}

/* ---- against the broker ---- */

static struct lv_broker *broker;
static struct lv_store *store;
static struct lv_log *log_of_shard_0;

static int give_to_keeper(void *ctx, uint64_t lsn, const struct lv_record_head *head,
                          const uint8_t *payload)
{
    (void)ctx;
    assert_int_equal(head->kind, LV_RECORD_CHANGE);
    assert_int_equal(lv_keeper_add(&keeper, lsn + head->size, lv_bytes(payload, head->size)), 0);
    return 0;
}

/* What the broker has logged since the last call goes the way it does in a shard. */
static void hand_over(void)
{
    struct lv_log_write write;

    lv_log_seal(log_of_shard_0);
    while (lv_log_next_write(log_of_shard_0, &write)) {
        for (uint64_t at = 0; at < write.size;) {
            struct lv_block_head block;

            memcpy(&block, write.data + at, sizeof block);
            assert_int_equal(block.lsn, write.lsn + at);
            assert_int_equal(lv_block_each(&block, write.data + at, give_to_keeper, NULL), 0);
            at += block.size;
        }
        lv_log_synced(log_of_shard_0, write.lsn + write.size);
        lv_keeper_synced(&keeper, write.lsn + write.size);
    }
}

static void apply(struct lv_change change)
{
    change.vhost = lv_text("/");
    (void)!lv_topology_apply(broker, &change, NULL, NULL); /* many can't be, as is meant */
}

/* A target by its address. */
static struct lv_change end_of(const struct lv_binding *binding)
{
    struct lv_target *target = binding->identity.target;
    const struct lv_exchange *exchange = lv_container(target, struct lv_exchange, target);
    const struct lv_queue_entry *entry = lv_container(target, struct lv_queue_entry, target);

    return (struct lv_change){
        .kind = LV_CHANGE_BIND,
        .name = target->is_exchange ? lv_exchange_name(exchange) : lv_entry_name(entry),
        .durable = target->is_exchange ? exchange->durable : entry->durable,
        .to_exchange = target->is_exchange,
    };
}

static void see_bindings(const struct lv_exchange *exchange)
{
    for (struct lv_link *link = exchange->bindings.head.next; link != &exchange->bindings.head;
         link = link->next) {
        const struct lv_binding *binding = lv_container(link, struct lv_binding, source_link);
        struct lv_change change = end_of(binding);

        change.other = lv_exchange_name(exchange);
        change.key = lv_bytes(binding->key->bytes, binding->key->size);
        change.arguments = binding->arguments;
        if (change.durable && exchange->durable)
            add_line(&topology, &change);
    }
}

/* All that is durable and not there from birth. */
static void see_topology(void)
{
    const struct lv_vhost *vhost = lv_topology_vhost(&broker->topology, lv_text("/"));
    const struct lv_exchange *exchange;
    const struct lv_queue_entry *entry;
    uint32_t cursor = 0;

    topology.count = 0;
    while ((exchange = lv_map_next(&vhost->exchanges, &cursor)) != NULL) {
        see_bindings(exchange);
        if (exchange->durable && exchange->name[0] == 'x')
            add_line(&topology,
                     &(struct lv_change){.kind = LV_CHANGE_EXCHANGE_DECLARE,
                                         .name = lv_exchange_name(exchange),
                                         .other = lv_text(lv_exchange_type_word(exchange->type)),
                                         .auto_delete = exchange->auto_delete,
                                         .internal = exchange->internal,
                                         .arguments = exchange->arguments});
    }
    cursor = 0;
    while ((entry = lv_map_next(&vhost->queues, &cursor)) != NULL)
        if (entry->durable)
            add_line(&topology, &(struct lv_change){.kind = LV_CHANGE_QUEUE_DECLARE,
                                                    .name = lv_entry_name(entry),
                                                    .queue_id = entry->id,
                                                    .home = entry->home,
                                                    .auto_delete = entry->auto_delete,
                                                    .arguments = entry->arguments});
    sort_lines(&topology);
}

static void assert_rows_are_the_topology(void)
{
    see_topology();
    (void)load_rows();
    for (size_t i = 0; i < topology.count && i < rows.count; i++)
        assert_string_equal(rows.text[i], topology.text[i]);
    assert_int_equal(rows.count, topology.count);
}

/* Few names, so that most changes meet something; durable and transient, auto-delete and not. */
static struct lv_change random_change(struct lv_random *random, uint64_t id)
{
    static const char *const exchanges[] = {"x0", "x1",         "x2",        "x3",         "x4",
                                            "x5", "amq.direct", "amq.topic", "amq.headers"};
    static const char *const queues[] = {"q0", "q1", "q2", "q3", "q4", "q5", "q6"};
    static const char *const types[] = {"direct", "fanout", "topic", "headers"};
    static const char *const keys[] = {"a", "a.b", "#"};
    static struct {
        uint32_t count;
        struct lv_field field;
    } arguments;
    uint64_t what = lv_random_below(random, 20);
    bool is_exchange = lv_random_below(random, 3) == 0;
    struct lv_change change = {
        .name = lv_text(is_exchange ? exchanges[lv_random_below(random, 6)]
                                    : queues[lv_random_below(random, LV_COUNT(queues))]),
        .durable = lv_random_below(random, 3) != 0,
        .auto_delete = lv_random_below(random, 2) == 0,
        .if_unused = lv_random_below(random, 4) == 0,
    };

    arguments.count = 1;
    arguments.field =
        (struct lv_field){lv_text("n"),
                          {.type = lv_random_below(random, 2) == 0 ? LV_TYPE_I16 : LV_TYPE_I64,
                           .integer = (int64_t)lv_random_below(random, 2)}};
    if (what < 6) {
        change.kind = is_exchange ? LV_CHANGE_EXCHANGE_DECLARE : LV_CHANGE_QUEUE_DECLARE;
        change.other = lv_text(types[lv_random_below(random, LV_COUNT(types))]);
        change.queue_id = id;
        change.exclusive = !is_exchange && lv_random_below(random, 8) == 0;
    } else if (what < 8) {
        change.kind = is_exchange ? LV_CHANGE_EXCHANGE_DELETE : LV_CHANGE_QUEUE_DELETE;
    } else {
        change.kind = what < 16 ? LV_CHANGE_BIND : LV_CHANGE_UNBIND;
        change.other = lv_text(exchanges[lv_random_below(random, LV_COUNT(exchanges))]);
        change.key = lv_text(keys[lv_random_below(random, LV_COUNT(keys))]);
        change.to_exchange = is_exchange;
        if (lv_random_below(random, 2) == 0)
            change.arguments = (const struct lv_table *)(const void *)&arguments;
    }
    return change;
}

static void broker_make(void)
{
    struct lv_broker_config config = {.shard_count = 1};

    store = lv_store_new();
    log_of_shard_0 = lv_log_new(0, 1, 4711);
    assert_true(store != NULL && log_of_shard_0 != NULL);
    config.store = store;
    config.log = log_of_shard_0;
    broker = lv_broker_new(&config);
    assert_non_null(broker);
}

static void broker_new(void)
{
    broker_make();
    assert_int_equal(lv_guest_begin(broker), 0);
}

static void broker_free(void)
{
    lv_broker_free(broker);
    lv_log_free(log_of_shard_0);
    lv_store_free(store);
}

/* Auto-delete exchanges come and go by bindings that are durable and by others. */
static void the_rows_are_the_durable_part_of_the_topology(void **state)
{
    struct lv_random random;
    uint64_t most = 0;

    (void)state;
    lv_random_seed(&random, 20240607);
    broker_new();
    start();
    for (uint64_t round = 0; round < 30; round++) {
        for (uint64_t i = 0; i < 100; i++)
            apply(random_change(&random, 1 + round * 100 + i));
        hand_over();
        AWAIT(lv_keeper_has(&keeper, lv_log_synced_lsn(log_of_shard_0)));
        assert_rows_are_the_topology();
        most = rows.count > most ? rows.count : most;
    }
    assert_in_range(most, 20, LINES_MAX);
    lv_keeper_stop(&keeper);
    broker_free();
}

static int restore(void *ctx, const struct lv_change *change)
{
    (void)ctx;
    return lv_topology_apply(broker, change, &diag, NULL);
}

static void what_is_loaded_can_be_applied_as_it_comes(void **state)
{
    struct lv_random random;
    uint64_t last_queue_id;

    (void)state;
    lv_random_seed(&random, 12);
    broker_new();
    start();
    for (uint64_t i = 0; i < 2000; i++)
        apply(random_change(&random, 1 + i));
    hand_over();
    lv_keeper_stop(&keeper);
    broker_free();
    broker_new();
    assert_int_equal(lv_keeper_load(metadata, restore, NULL, &last_queue_id, &diag), 0);
    assert_rows_are_the_topology();
    assert_in_range(topology.count, 10, LINES_MAX);
    broker_free();
}

/* ---- users, vhosts and permissions ---- */

static struct lines access_before, access_after;

static void line(struct lines *lines, const char *kind, struct lv_bytes a, struct lv_bytes b,
                 struct lv_bytes c)
{
    assert_true(lines->count < LINES_MAX);
    (void)snprintf(lines->text[lines->count++], sizeof lines->text[0], "%s %.*s %.*s %.*s", kind,
                   LV_FMT(a), LV_FMT(b), LV_FMT(c));
}

static bool see_vhost(void *ctx, const struct lv_vhost *vhost)
{
    char text[100];

    (void)snprintf(text, sizeof text, "%u arguments, %lld, %lld, %u exchanges, %u queues",
                   vhost->arguments == NULL ? 0 : vhost->arguments->count,
                   (long long)vhost->tally.max_connections, (long long)vhost->max_queues,
                   vhost->exchanges.count, vhost->queues.count);
    line(ctx, "vhost", lv_vhost_name(vhost), lv_text(text), lv_text(""));
    return true;
}

static bool see_user(void *ctx, const struct lv_user *user)
{
    char text[200];

    (void)snprintf(text, sizeof text, "%s %lld %lld", user->tags,
                   (long long)user->tally.max_connections, (long long)user->tally.max_channels);
    line(ctx, "user", lv_user_name(user), lv_text(user->hash), lv_text(text));
    return true;
}

static bool see_grant(void *ctx, const struct lv_user *user, const struct lv_grant *grant)
{
    for (unsigned i = 0; i < LV_PERMISSIONS; i++)
        line(ctx, "grant", lv_user_name(user), lv_bytes(grant->name, grant->name_size),
             lv_pattern_text(&grant->patterns[i]));
    return true;
}

static bool see_topic(void *ctx, const struct lv_user *user, const struct lv_grant *grant,
                      const struct lv_topic_grant *topic)
{
    assert_int_not_equal(grant->topics.count, 0);
    line(ctx, "topic", lv_user_name(user), lv_bytes(topic->name, topic->name_size),
         lv_pattern_text(&topic->patterns[LV_PERMISSION_WRITE]));
    return true;
}

static void see_access(struct lines *lines)
{
    struct lv_walk walks[4] = {{0}};
    struct lv_bytes all = lv_text("");

    lines->count = 0;
    while (lv_inspect_vhosts(broker, &walks[0], see_vhost, lines))
        ;
    while (lv_inspect_users(broker, &walks[1], see_user, lines))
        ;
    while (lv_inspect_permissions(broker, all, all, &walks[2], see_grant, lines))
        ;
    while (lv_inspect_topic_permissions(broker, all, all, &walks[3], see_topic, lines))
        ;
    sort_lines(lines);
}

/* Few names again, so that users and vhosts come, go and come back. */
static struct lv_change random_access(struct lv_random *random)
{
    static const char *const users[] = {"alice", "bob", "carol"};
    static const char *const vhosts[] = {"/", "v", "w"};
    static const char *const patterns[] = {"", ".*", "^a", "{username}"};
    static const char *const fields[] = {"configure",       "write",      "read",
                                         "max-connections", "max-queues", "description"};
    static struct {
        uint32_t count;
        struct lv_field field;
    } arguments;
    unsigned first = LV_CHANGE_VHOST_PUT, count = LV_CHANGE_COUNT - LV_CHANGE_VHOST_PUT;
    struct lv_change change = {
        .kind = (enum lv_change_kind)(first + lv_random_below(random, count)),
        .vhost = lv_text(vhosts[lv_random_below(random, LV_COUNT(vhosts))]),
        .name = lv_text(users[lv_random_below(random, LV_COUNT(users))]),
        .other = lv_text(patterns[lv_random_below(random, LV_COUNT(patterns))]),
        .key = lv_text(patterns[lv_random_below(random, LV_COUNT(patterns))]),
    };
    uint64_t field = lv_random_below(random, LV_COUNT(fields));
    bool is_limits = change.kind == LV_CHANGE_LIMITS_PUT || change.kind == LV_CHANGE_LIMITS_DELETE;

    /* Puts twice as often as deletes, or there would be little to see. */
    if (change.kind <= LV_CHANGE_LIMITS_DELETE && lv_random_below(random, 2) == 0)
        change.kind &= ~1u;
    arguments.count = 1;
    arguments.field.name = lv_text(fields[field]);
    arguments.field.value =
        is_limits ? (struct lv_value){.type = LV_TYPE_I32, .integer = (int64_t)field}
                  : (struct lv_value){
                        .type = LV_TYPE_STRING,
                        .bytes = lv_text(patterns[lv_random_below(random, LV_COUNT(patterns))])};
    change.arguments = (const struct lv_table *)(const void *)&arguments;
    if (is_limits && lv_random_below(random, 2) == 0)
        change.name = lv_text("");
    else if (is_limits)
        change.vhost = lv_text("");
    return change;
}

static void who_may_do_what_comes_back_as_it_was(void **state)
{
    struct lv_random random;
    uint64_t last_queue_id;
    size_t most = 0;

    (void)state;
    lv_random_seed(&random, 31);
    broker_make();
    start();
    for (uint64_t round = 0; round < 20; round++) {
        for (uint64_t i = 0; i < 50; i++) {
            struct lv_change change = random_access(&random);
            (void)!lv_topology_apply(broker, &change, NULL, NULL);
            apply(random_change(&random, 1 + round * 50 + i));
        }
        hand_over();
        AWAIT(lv_keeper_has(&keeper, lv_log_synced_lsn(log_of_shard_0)));
        see_access(&access_before);
        most = access_before.count > most ? access_before.count : most;
    }
    lv_keeper_stop(&keeper);
    broker_free();
    broker_make(); /* without anything */
    assert_int_equal(lv_keeper_load(metadata, restore, NULL, &last_queue_id, &diag), 0);
    see_access(&access_after);
    for (size_t i = 0; i < access_before.count && i < access_after.count; i++)
        assert_string_equal(access_before.text[i], access_after.text[i]);
    assert_int_equal(access_before.count, access_after.count);
    assert_in_range(most, 10, LINES_MAX);
    broker_free();
}

int main(void)
{
#define ON_DISK(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ON_DISK(changes_become_rows_and_the_lsn_is_told),
        ON_DISK(nothing_is_applied_before_the_log_is_on_disk),
        ON_DISK(stopping_applies_what_is_on_disk_in_the_log),
        ON_DISK(a_new_keeper_goes_on_where_the_last_one_was),
        ON_DISK(it_has_all_of_the_log_but_where_a_change_waits),
        ON_DISK(a_full_disk_is_waited_for),
        ON_DISK(stopping_does_not_wait_for_a_file_that_is_locked),
        ON_DISK(what_cannot_be_applied_is_told_once_and_ends_it),
        ON_DISK(the_rows_are_the_durable_part_of_the_topology),
        ON_DISK(what_is_loaded_can_be_applied_as_it_comes),
        ON_DISK(who_may_do_what_comes_back_as_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
