#include "server/writer.h"

#include "base/alloc.h"
#include "base/err.h"
#include "store/image_disk.h"
#include "store/logfile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A shard's log with its two threads, over a disk in memory. */
struct scene {
    struct lv_image_disk *image;
    struct lv_log *log;
    struct lv_helper helper;
    struct lv_writer writer;
    pthread_mutex_t mutex;
    pthread_cond_t cond; /* somebody was woken */
};

static void wake(void *ctx)
{
    struct scene *scene = ctx;

    pthread_mutex_lock(&scene->mutex);
    pthread_cond_signal(&scene->cond);
    pthread_mutex_unlock(&scene->mutex);
}

/* What is awaited is true before the wake that tells of it. */
#define AWAIT(scene, condition)                                                                    \
    do {                                                                                           \
        pthread_mutex_lock(&(scene)->mutex);                                                       \
        while (!(condition))                                                                       \
            pthread_cond_wait(&(scene)->cond, &(scene)->mutex);                                    \
        pthread_mutex_unlock(&(scene)->mutex);                                                     \
    } while (0)

/* The disk is as the test has made it. */
static void start(struct scene *scene, bool is_syncing)
{
    assert_int_equal(lv_helper_start(&scene->helper, "helper", wake, scene), 0);
    assert_int_equal(lv_writer_start(&scene->writer, 0, lv_image_disk_view(scene->image),
                                     &scene->helper, is_syncing),
                     0);
}

static void begin(struct scene *scene)
{
    *scene = (struct scene){.image = lv_image_disk_new(1), .log = lv_log_new(0, 1, 7)};
    pthread_mutex_init(&scene->mutex, NULL);
    pthread_cond_init(&scene->cond, NULL);
    assert_non_null(scene->log);
}

/* Its thread has ended. */
static void fini(struct scene *scene)
{
    lv_helper_stop(&scene->helper);
    lv_helper_take(&scene->helper);
    lv_writer_fini(&scene->writer);
    lv_log_free(scene->log);
    lv_image_disk_free(scene->image);
    pthread_cond_destroy(&scene->cond);
    pthread_mutex_destroy(&scene->mutex);
}

static void end(struct scene *scene)
{
    lv_writer_stop(&scene->writer);
    fini(scene);
}

/* A job behind those that the helper has. */
struct last_job {
    struct lv_job job;
    bool is_done;
};

static void do_nothing(struct lv_job *job)
{
    assert_non_null(job->run);
}

static void finish(struct lv_job *job)
{
    lv_container(job, struct last_job, job)->is_done = true;
}

/* The helper has made the next file ready: what the disk is asked from here on is the writer's. */
static void await_spare(struct scene *scene)
{
    struct last_job last = {.job = {.run = do_nothing, .done = finish}};

    lv_helper_run(&scene->helper, &last.job);
    AWAIT(scene, (lv_helper_take(&scene->helper), last.is_done));
}

/* A record of so many bytes is on its way; gives where the log ends behind it. */
static uint64_t add(struct scene *scene, uint64_t size)
{
    struct lv_log_write write;
    uint64_t lsn;
    void *payload;

    assert_int_equal(lv_log_append(scene->log, LV_RECORD_MESSAGE, 1, size, &lsn, &payload), 0);
    memset(payload, 'x', size);
    lv_log_seal(scene->log);
    while (lv_log_next_write(scene->log, &write))
        assert_int_equal(lv_writer_add(&scene->writer, &write, 1), 0);
    return lv_log_end(scene->log);
}

static void await_synced(struct scene *scene, uint64_t lsn)
{
    AWAIT(scene, lv_writer_synced(&scene->writer) >= lsn || atomic_load(&scene->writer.error) != 0);
    assert_int_equal(atomic_load(&scene->writer.error), 0);
    lv_log_synced(scene->log, lv_writer_synced(&scene->writer));
}

static int count_block(void *ctx, const struct lv_logfile *file, const struct lv_block_head *block,
                       const uint8_t *bytes)
{
    (void)file;
    (void)block;
    (void)bytes;
    ++*(unsigned *)ctx;
    return 0;
}

/* Blocks that a reader finds after a loss of power. */
static unsigned count_lasting(struct scene *scene)
{
    struct lv_image_disk *crashed = lv_image_disk_crash(scene->image, 3);
    struct lv_disk *disk = lv_image_disk_view(crashed);
    unsigned blocks = 0;
    const struct lv_logfile_visitor visitor = {.block = count_block, .ctx = &blocks};
    struct lv_logfile_end ending;
    struct lv_logfile *files = NULL;
    struct lv_diag diag;
    size_t count = 0;

    if (lv_logfile_list(disk, 0, &files, &count, &diag) < 0 ||
        lv_logfile_scan(disk, files, count, &visitor, &ending, &diag) < 0)
        fail_msg("%s", diag.text);
    lv_free(files);
    lv_image_disk_free(crashed);
    return blocks;
}

static void what_is_said_to_be_synced_survives_a_loss_of_power(void **state)
{
    struct scene scene;

    (void)state;
    begin(&scene);
    start(&scene, true);
    for (unsigned i = 1; i <= 5; i++) {
        await_synced(&scene, add(&scene, 1000));
        assert_int_equal(count_lasting(&scene), i);
    }
    end(&scene);
}

static void a_log_goes_on_in_the_file_that_was_made_ready(void **state)
{
    struct scene scene;

    (void)state;
    begin(&scene);
    start(&scene, true);
    for (unsigned i = 0; i < 36; i++) /* one page each */
        await_synced(&scene, add(&scene, 900000));
    assert_int_equal(count_lasting(&scene), 36);
    end(&scene);
}

static void a_record_larger_than_a_file_has_one_of_its_own(void **state)
{
    struct scene scene;

    (void)state;
    begin(&scene);
    start(&scene, true);
    (void)add(&scene, 100);
    (void)add(&scene, LV_LOG_FILE_SIZE + 12345);
    await_synced(&scene, add(&scene, 100));
    assert_int_equal(count_lasting(&scene), 3);
    end(&scene);
}

static void without_syncing_only_a_new_file_is_synced(void **state)
{
    struct scene scene;
    uint64_t syncs;

    (void)state;
    begin(&scene);
    start(&scene, false);
    await_synced(&scene, add(&scene, 1000));
    await_spare(&scene);
    syncs = lv_image_disk_count(scene.image, LV_IMAGE_SYNC);
    for (unsigned i = 0; i < 10; i++)
        await_synced(&scene, add(&scene, 1000));
    assert_int_equal(lv_image_disk_count(scene.image, LV_IMAGE_SYNC), syncs);
    end(&scene);
}

/* Wherever in the log's life the disk fills up: it waits, says so, and goes on when there is room,
 * and nothing that it had promised was lost meanwhile. */
static void a_full_disk_is_waited_for_and_loses_nothing(void **state)
{
    static const uint64_t rooms[] = {0, 5000, 9u << 20, 20u << 20, 33u << 20};

    (void)state;
    for (size_t i = 0; i < LV_COUNT(rooms); i++) {
        struct scene scene;
        uint64_t lsn = 0;

        begin(&scene);
        lv_image_disk_limit(scene.image, rooms[i]);
        start(&scene, true);
        for (unsigned j = 0; j < 40; j++)
            lsn = add(&scene, 900000);
        AWAIT(&scene, atomic_load(&scene.writer.is_full));
        uint64_t synced = lv_writer_synced(&scene.writer);
        assert_true(synced < lsn);
        unsigned before = count_lasting(&scene);
        assert_true(synced == 0 || before > 0);
        lv_image_disk_limit(scene.image, 1u << 30);
        await_synced(&scene, lsn);
        assert_false(atomic_load(&scene.writer.is_full));
        assert_int_equal(count_lasting(&scene), 40);
        end(&scene);
    }
}

/* As often as both may want to make the next file ready at once. */
static void an_old_file_is_room_enough(void **state)
{
    const struct lv_checkpoint first = {.begin = 1, .is_syncing = true}; /* as a start makes it */
    struct scene scene;

    (void)state;
    begin(&scene);
    assert_int_equal(lv_checkpoint_advance(lv_image_disk_view(scene.image), 0, &first), 0);
    lv_image_disk_limit(scene.image, 40u << 20); /* two files, and half a one */
    start(&scene, true);
    for (uint64_t number = 2; number < 20; number++) {
        while (lv_log_end(scene.log) <= number * LV_LOG_FILE_SIZE + LV_LOG_HEAD_SIZE)
            (void)add(&scene, 900000);
        await_synced(&scene, number * LV_LOG_FILE_SIZE + LV_LOG_HEAD_SIZE);
        lv_writer_recycle(&scene.writer, number, 0); /* the file before is no longer needed */
    }
    lv_image_disk_limit(scene.image, 1u << 30);
    await_synced(&scene, lv_log_end(scene.log));
    end(&scene);
}

static void a_writer_that_waits_for_room_can_be_stopped(void **state)
{
    struct scene scene;

    (void)state;
    begin(&scene);
    lv_image_disk_limit(scene.image, 0);
    start(&scene, true);
    (void)add(&scene, 1000);
    AWAIT(&scene, atomic_load(&scene.writer.is_full));
    end(&scene);
}

/* Each thing that the writer asks of the disk fails once. */
static void any_other_error_is_the_end(void **state)
{
    static const enum lv_image_op ops[] = {LV_IMAGE_WRITE, LV_IMAGE_SYNC, LV_IMAGE_SYNC_DIRECTORY,
                                           LV_IMAGE_RENAME};

    (void)state;
    for (size_t i = 0; i < LV_COUNT(ops); i++) {
        struct scene scene;
        uint64_t synced, lsn;

        begin(&scene);
        start(&scene, true);
        await_synced(&scene, add(&scene, 1000));
        synced = lv_writer_synced(&scene.writer);
        lv_image_disk_fail(scene.image, ops[i], 1, -LV_E_IO, true);
        for (unsigned j = 0; j < 40; j++)
            lsn = add(&scene, 900000);
        AWAIT(&scene, atomic_load(&scene.writer.error) != 0);
        assert_int_equal(atomic_load(&scene.writer.error), -LV_E_IO);
        assert_true(lv_writer_synced(&scene.writer) < lsn);
        assert_true(lv_writer_synced(&scene.writer) >= synced);
        end(&scene);
    }
}

/* The kernel may have dropped what it could not write, and a second sync would say that all is
 * well. */
static void a_failed_sync_is_never_tried_again(void **state)
{
    struct scene scene;
    uint64_t synced, syncs, writes;

    (void)state;
    begin(&scene);
    start(&scene, true);
    await_synced(&scene, add(&scene, 1000));
    await_spare(&scene); /* which is synced, too */
    synced = lv_writer_synced(&scene.writer);
    syncs = lv_image_disk_count(scene.image, LV_IMAGE_SYNC);
    lv_image_disk_fail(scene.image, LV_IMAGE_SYNC, 1, -LV_E_IO, false);
    (void)add(&scene, 1000);
    AWAIT(&scene, atomic_load(&scene.writer.error) != 0);
    writes = lv_image_disk_count(scene.image, LV_IMAGE_WRITE);
    (void)add(&scene, 1000);
    lv_writer_stop(&scene.writer);
    assert_true(lv_writer_synced(&scene.writer) == synced);
    assert_int_equal(lv_image_disk_count(scene.image, LV_IMAGE_SYNC), syncs + 1);
    assert_int_equal(lv_image_disk_count(scene.image, LV_IMAGE_WRITE), writes);
    fini(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_said_to_be_synced_survives_a_loss_of_power),
        cmocka_unit_test(a_log_goes_on_in_the_file_that_was_made_ready),
        cmocka_unit_test(a_record_larger_than_a_file_has_one_of_its_own),
        cmocka_unit_test(without_syncing_only_a_new_file_is_synced),
        cmocka_unit_test(a_full_disk_is_waited_for_and_loses_nothing),
        cmocka_unit_test(an_old_file_is_room_enough),
        cmocka_unit_test(a_writer_that_waits_for_room_can_be_stopped),
        cmocka_unit_test(any_other_error_is_the_end),
        cmocka_unit_test(a_failed_sync_is_never_tried_again),
    };
    return cmocka_run_group_tests_name("server writer", tests, NULL, NULL);
}
