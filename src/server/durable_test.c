#include "server/durable.h"

#include "base/alloc.h"
#include "broker/change.h"
#include "broker/core.h"
#include "io/clock.h"
#include "server/shard.h"
#include "store/image_disk.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_NS (20 * LV_NS_PER_S)

/* Shards with the threads of their disks, over one in memory, and the metadata in a directory. The
 * test is the shards' thread and the main one. */
struct world {
    struct lv_settings settings;
    struct lv_shared shared;
    struct lv_image_disk *image; /* own */
    char directory[100];
};

static void make_shared(struct world *world, uint32_t shard_count)
{
    struct lv_shared *shared = &world->shared;

    *shared = (struct lv_shared){.settings = &world->settings, .shard_count = shard_count};
    shared->disk = lv_image_disk_view(world->image);
    shared->limits.frame_max = 131072;
    lv_memory_init(&shared->memory, &shared->alarms, (uint64_t)1 << 40);
    lv_space_init(&shared->space, shared->disk, &shared->alarms, 1);
    shared->main = lv_reactor_new();
    shared->mesh = lv_mesh_new(shard_count);
    shared->shards = lv_calloc(shard_count, sizeof(struct lv_shard *));
}

/* What the disk has is read, and the threads begin. */
static int start(struct world *world, uint32_t shard_count, struct lv_diag *diag)
{
    struct lv_shared *shared = &world->shared;
    int rc;

    make_shared(world, shard_count);
    for (uint32_t i = 0; i < shard_count; i++) {
        shared->shards[i] = lv_shard_new(shared, i);
        assert_non_null(shared->shards[i]);
    }
    rc = lv_metadata_open(world->directory, &shared->metadata, diag);
    if (rc == 0)
        rc = lv_durable_restore(shared, diag);
    for (uint32_t i = 0; rc == 0 && i < shard_count; i++) {
        shared->shards[i]->now = lv_clock_now();
        rc = lv_durable_start(&shared->shards[i]->durable);
    }
    return rc;
}

/* As the server does at the end. */
static void stop(struct world *world)
{
    struct lv_shared *shared = &world->shared;

    for (uint32_t i = 0; i < shared->shard_count; i++)
        lv_durable_stop(&shared->shards[i]->durable);
    lv_durable_end_topology(shared);
    for (uint32_t i = 0; i < shared->shard_count; i++)
        lv_shard_free(shared->shards[i]);
    lv_mesh_free(shared->mesh);
    lv_free(shared->shards);
    lv_reactor_free(shared->main);
}

static void begin(struct world *world, uint32_t shard_count)
{
    struct lv_diag diag = {.text = ""};

    memset(world, 0, sizeof *world);
    assert_int_equal(lv_settings_init(&world->settings), 0);
    world->image = lv_image_disk_new(1);
    (void)snprintf(world->directory, sizeof world->directory, "%s/durable-test-XXXXXX",
                   getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(world->directory));
    if (start(world, shard_count, &diag) < 0)
        fail_msg("%s", diag.text);
}

static void remove_directory(const char *path)
{
    DIR *files = opendir(path);
    struct dirent *entry;
    char name[400];

    assert_non_null(files);
    while ((entry = readdir(files)) != NULL) {
        (void)snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.')
            (void)unlink(name);
    }
    (void)closedir(files);
    assert_int_equal(rmdir(path), 0);
}

/* After stop(). */
static void end(struct world *world)
{
    lv_image_disk_free(world->image);
    remove_directory(world->directory);
    lv_settings_fini(&world->settings);
}

/* A shard's turn, as far as the disk has to do with it. */
static void turn(struct lv_shard *shard)
{
    lv_deadlines_run(&shard->deadlines, shard->now);
    lv_durable_take(&shard->durable);
    (void)lv_broker_turn(shard->broker);
    lv_durable_turn(&shard->durable);
}

/* Turns whenever somebody wakes the shard; what is awaited is true before the wake. */
#define AWAIT(shard, condition)                                                                    \
    do {                                                                                           \
        uint64_t until = lv_clock_now() + PATIENCE_NS;                                             \
        turn(shard);                                                                               \
        while (!(condition)) {                                                                     \
            uint64_t next = lv_deadlines_next(&(shard)->deadlines);                                \
            assert_true((shard)->now < until);                                                     \
            lv_reactor_wait((shard)->reactor, &(shard)->now, next < until ? next : until);         \
            turn(shard);                                                                           \
        }                                                                                          \
    } while (0)

/* Something that nobody waits for. */
static uint64_t append(struct lv_shard *shard, uint64_t size)
{
    uint64_t lsn;
    void *payload;

    assert_int_equal(lv_log_append(shard->durable.log, LV_RECORD_MESSAGE, 0, size, &lsn, &payload),
                     0);
    memset(payload, 0, size);
    return lv_log_end(shard->durable.log);
}

static bool is_synced(const struct lv_shard *shard)
{
    return lv_log_synced_lsn(shard->durable.log) == lv_log_end(shard->durable.log);
}

static void what_nobody_waits_for_collects_for_a_while(void **state)
{
    struct world world;
    struct lv_shard *shard;

    (void)state;
    begin(&world, 1);
    shard = world.shared.shards[0];
    (void)append(shard, 100);
    turn(shard);
    assert_true(lv_log_open_size(shard->durable.log) > 0);
    assert_true(shard->durable.lazy.armed);
    (void)append(shard, 100); /* waits for the same moment */
    AWAIT(shard, is_synced(shard));
    assert_false(shard->durable.lazy.armed);
    stop(&world);
    end(&world);
}

static void much_of_it_goes_at_once(void **state)
{
    struct world world;
    struct lv_shard *shard;

    (void)state;
    begin(&world, 1);
    shard = world.shared.shards[0];
    (void)append(shard, 300000);
    turn(shard);
    assert_int_equal(lv_log_open_size(shard->durable.log), 0);
    assert_false(shard->durable.lazy.armed);
    AWAIT(shard, is_synced(shard));
    stop(&world);
    end(&world);
}

/* More pieces than are handed over in one go. */
static void all_that_is_sealed_is_handed_over(void **state)
{
    struct world world;
    struct lv_shard *shard;

    (void)state;
    begin(&world, 1);
    shard = world.shared.shards[0];
    for (unsigned i = 0; i < 40; i++) /* a page each */
        (void)append(shard, 900000);
    lv_log_seal(shard->durable.log);
    AWAIT(shard, is_synced(shard));
    stop(&world);
    end(&world);
}

static void a_full_disk_is_an_alarm_that_ends_by_itself(void **state)
{
    struct world world;
    struct lv_shared *shared = &world.shared;
    struct lv_shard *shard;
    uint64_t now = 0;

    (void)state;
    begin(&world, 1);
    shard = shared->shards[0];
    lv_image_disk_limit(world.image, 1000);
    for (unsigned i = 0; i < 40; i++)
        (void)append(shard, 900000);
    AWAIT(shard, shard->durable.is_full);
    lv_reactor_wait(shared->main, &now, lv_clock_now() + PATIENCE_NS); /* it was woken */
    assert_true(lv_space_check(&shared->space, now));
    assert_int_equal(lv_alarms_now(&shared->alarms), LV_ALARM_DISK);
    lv_image_disk_limit(world.image, (uint64_t)1 << 30);
    AWAIT(shard, !shard->durable.is_full);
    AWAIT(shard, is_synced(shard));
    now = lv_clock_now();
    (void)lv_space_check(&shared->space, now);
    assert_true(lv_space_check(&shared->space, now + 2 * LV_SPACE_CHECK_NS));
    assert_int_equal(lv_alarms_now(&shared->alarms), 0);
    assert_int_equal(atomic_load(&shared->disk_error), 0);
    stop(&world);
    end(&world);
}

/* One shard's log fails: the main thread and the other shard hear of it, and the process will not
 * say that it has ended in good order. */
static void any_other_error_is_told_to_all(void **state)
{
    struct world world;
    struct lv_shared *shared = &world.shared;
    struct lv_shard *shard, *other;
    struct lv_diag diag = {.text = ""};
    uint64_t now = 0;

    (void)state;
    begin(&world, 2);
    shard = shared->shards[1];
    other = shared->shards[0];
    lv_image_disk_fail(world.image, LV_IMAGE_SYNC, 1, -LV_E_IO, true);
    (void)append(shard, 100);
    AWAIT(shard, atomic_load(&shared->disk_error) != 0);
    assert_int_equal(atomic_load(&shared->disk_error), -LV_E_IO);
    lv_durable_fail(&other->durable, -LV_E_NOMEM, "another one"); /* the first is what counts */
    assert_int_equal(atomic_load(&shared->disk_error), -LV_E_IO);
    lv_reactor_wait(shared->main, &now, lv_clock_now() + PATIENCE_NS);
    assert_true(now > 0);
    now = 0;
    lv_reactor_wait(other->reactor, &now, lv_clock_now() + PATIENCE_NS);
    assert_true(now > 0);
    stop(&world);
    lv_image_disk_fail(world.image, LV_IMAGE_SYNC, 0, 0, false);
    if (start(&world, 2, &diag) < 0)
        fail_msg("%s", diag.text);
    stop(&world);
    end(&world);
}

/* As shard 0 logs it when a client has asked for it. */
static uint64_t log_change(struct lv_shard *shard, const struct lv_change *change)
{
    size_t size = lv_change_size(change);
    uint64_t lsn;
    void *payload;

    assert_int_equal(lv_log_append(shard->durable.log, LV_RECORD_CHANGE, 0, size, &lsn, &payload),
                     0);
    lv_change_encode(change, payload);
    lv_durable_changed(&shard->durable, lv_log_end(shard->durable.log), lv_bytes(payload, size));
    return lv_log_end(shard->durable.log);
}

/* A vhost with a durable exchange. */
static uint64_t declare(struct lv_shard *shard, const char *name)
{
    const struct lv_change vhost = {.kind = LV_CHANGE_VHOST_PUT, .vhost = lv_text("/")};
    const struct lv_change exchange = {.kind = LV_CHANGE_EXCHANGE_DECLARE,
                                       .vhost = lv_text("/"),
                                       .name = lv_text(name),
                                       .other = lv_text("fanout"),
                                       .durable = true};

    (void)log_change(shard, &vhost);
    return log_change(shard, &exchange);
}

static bool has_exchange(const struct world *world, uint32_t shard, const char *name)
{
    const struct lv_broker *broker = world->shared.shards[shard]->broker;
    const struct lv_vhost *vhost = lv_topology_vhost(&broker->topology, lv_text("/"));

    return vhost != NULL && lv_vhost_exchange(vhost, lv_text(name)) != NULL;
}

/* It gets there from the log, and from there to every shard of the next broker. */
static void changes_of_the_topology_get_into_the_metadata(void **state)
{
    struct world world;
    struct lv_shard *shard;
    struct lv_diag diag = {.text = ""};
    uint64_t lsn;

    (void)state;
    begin(&world, 2);
    shard = world.shared.shards[0];
    lsn = declare(shard, "news");
    assert_false(lv_durable_may_forget(&shard->durable, lsn));
    assert_true(lv_durable_may_forget(&shard->durable, 0));
    assert_true(lv_durable_may_forget(&world.shared.shards[1]->durable, lsn)); /* has none */
    AWAIT(shard, lv_durable_may_forget(&shard->durable, lsn));
    assert_true(lv_keeper_applied(&world.shared.keeper) >= lsn);
    stop(&world);
    if (start(&world, 2, &diag) < 0)
        fail_msg("%s", diag.text);
    assert_true(has_exchange(&world, 0, "news") && has_exchange(&world, 1, "news"));
    stop(&world);
    end(&world);
}

/* What the keeper had not got to is in the log. */
static void changes_that_the_metadata_has_not_got_are_read_from_the_log(void **state)
{
    struct world world;
    struct lv_shard *shard;
    struct lv_diag diag = {.text = ""};

    (void)state;
    begin(&world, 1);
    shard = world.shared.shards[0];
    (void)declare(shard, "news");
    lv_log_seal(shard->durable.log);
    AWAIT(shard, is_synced(shard));
    stop(&world);
    remove_directory(world.directory);
    assert_int_equal(mkdir(world.directory, 0700), 0);
    if (start(&world, 1, &diag) < 0)
        fail_msg("%s", diag.text);
    assert_true(has_exchange(&world, 0, "news"));
    shard = world.shared.shards[0];
    AWAIT(shard, lv_durable_may_forget(&shard->durable, lv_log_end(shard->durable.log)));
    stop(&world);
    end(&world);
}

static int count_name(void *ctx, const char *name)
{
    *(unsigned *)ctx += strcmp(name, "running") == 0;
    return 0;
}

static unsigned count_running(const struct world *world)
{
    struct lv_disk *disk = lv_image_disk_view(world->image);
    unsigned count = 0;

    assert_int_equal(disk->ops->list(disk, count_name, &count), 0);
    return count;
}

/* Only when all that a restart needs is on disk. */
static void a_stop_is_in_good_order_when_every_log_is_closed(void **state)
{
    struct world world;
    struct lv_diag diag = {.text = ""};

    (void)state;
    begin(&world, 2);
    assert_int_equal(count_running(&world), 1);
    stop(&world);
    assert_int_equal(count_running(&world), 0);
    if (start(&world, 2, &diag) < 0)
        fail_msg("%s", diag.text);
    lv_image_disk_fail(world.image, LV_IMAGE_SYNC, 1, -LV_E_IO, true);
    stop(&world);
    lv_image_disk_fail(world.image, LV_IMAGE_SYNC, 0, 0, false);
    assert_int_equal(count_running(&world), 1);
    end(&world);
}

/* Whatever there is no memory for while a shard is made: none, and nothing is left of it. */
static void without_memory_there_is_no_shard(void **state)
{
    struct world world = {.directory = ""};
    struct lv_shared *shared = &world.shared;
    struct lv_shard *shard = NULL;
    unsigned failures = 0;

    (void)state;
    assert_int_equal(lv_settings_init(&world.settings), 0);
    world.image = lv_image_disk_new(1);
    make_shared(&world, 1);
    for (uint64_t after = 1; shard == NULL; after++) {
        lv_alloc_fail_after(after, false);
        shard = lv_shard_new(shared, 0);
        lv_alloc_fail_after(0, false);
        failures += shard == NULL;
    }
    assert_true(failures > 10);
    lv_shard_free(shard);
    lv_mesh_free(shared->mesh);
    lv_free(shared->shards);
    lv_reactor_free(shared->main);
    lv_image_disk_free(world.image);
    lv_settings_fini(&world.settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_nobody_waits_for_collects_for_a_while),
        cmocka_unit_test(much_of_it_goes_at_once),
        cmocka_unit_test(all_that_is_sealed_is_handed_over),
        cmocka_unit_test(a_full_disk_is_an_alarm_that_ends_by_itself),
        cmocka_unit_test(any_other_error_is_told_to_all),
        cmocka_unit_test(changes_of_the_topology_get_into_the_metadata),
        cmocka_unit_test(changes_that_the_metadata_has_not_got_are_read_from_the_log),
        cmocka_unit_test(a_stop_is_in_good_order_when_every_log_is_closed),
        cmocka_unit_test(without_memory_there_is_no_shard),
    };
    return cmocka_run_group_tests_name("server durable", tests, NULL, NULL);
}
