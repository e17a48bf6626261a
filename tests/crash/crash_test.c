/*
 * A broker that loses its power at any moment: crash_test [SEED [COUNT]].
 *
 * Clients publish, consume, settle, declare and delete over shards whose files lie on a disk in
 * memory (world.h). At random moments the disk is drawn as a crash could leave it, a broker is
 * recovered from that, and what it has is held against what clients were told (model.h). One of the
 * states goes on as the next generation. Without arguments LEVERET_TEST_SIZE says how many seeds.
 */
#include "client.h"
#include "damage.h"

#include <stdio.h>
#include <stdlib.h>

enum { CLIENTS = 5, STEPS = 260, GENERATIONS = 4 };

/* What the disk does besides losing things. */
enum trouble { TROUBLE_NONE, TROUBLE_FULL, TROUBLE_IO, TROUBLE_COUNT };

struct run {
    struct lv_random random;
    struct crash_model model;
    struct crash_world world;
    struct crash_client clients[CLIENTS];
    uint32_t epochs[CRASH_QUEUES];
    struct crash_findings findings;
    uint32_t shard_count;
    enum trouble trouble;
};

static struct {
    unsigned long long states, messages, clean, full, io, refused, damaged;
} total;

static uint64_t below(struct run *run, uint64_t bound)
{
    return lv_random_below(&run->random, bound);
}

/* ---- looking at one state ---- */

/* Takes the image. Its queues, as they were found, are in run->findings. */
static void recover(struct run *run, struct lv_image_disk *image,
                    const struct crash_metadata *metadata, enum crash_end end)
{
    struct crash_world *world = calloc(1, sizeof *world);
    struct lv_diag diag = {.text = ""};
    int rc;

    if (world == NULL)
        abort();
    crash_trace("-- %s", crash_moment);
    rc = crash_world_open(world, run->shard_count, below(run, 1u << 30), image, metadata, &diag);
    CRASH_RULE(rc == 0, "nothing is recovered: %d %s", rc, diag.text);
    for (uint32_t i = 0; end == CRASH_END_CLEAN && i < run->shard_count; i++)
        CRASH_RULE(world->ends[i].is_clean, "shard %u was stopped in good order", i);
    crash_drain(world, &run->model, &run->random, &run->findings);
    CRASH_RULE(world->damaged_count == 0 && !world->is_cut, "damage: %s", world->damage.text);
    crash_model_check(&run->model, &run->findings, end, 0);
    for (uint32_t i = 0; i < CRASH_QUEUES; i++)
        total.messages += run->findings.queues[i].count;
    total.states++;
    crash_world_close(world);
    free(world);
    crash_trace("--");
}

static void look(struct run *run, const char *moment)
{
    struct lv_image_disk *image = below(run, 8) == 0
                                      ? lv_image_disk_copy(run->world.image)
                                      : lv_image_disk_crash(run->world.image, below(run, 1u << 30));

    crash_moment = moment;
    recover(run, image, &run->world.metadata, CRASH_END_CRASH);
}

static const char *const moments[LV_IMAGE_OP_COUNT] = {
    [LV_IMAGE_CREATE] = "a crash before a file is created",
    [LV_IMAGE_WRITE] = "a crash before a write",
    [LV_IMAGE_SYNC] = "a crash before a sync",
    [LV_IMAGE_RENAME] = "a crash before a file is renamed",
    [LV_IMAGE_REMOVE] = "a crash before a file is removed",
    [LV_IMAGE_SYNC_DIRECTORY] = "a crash before the directory is synced",
};

/* In the middle of a step. */
static void on_change(void *ctx, enum lv_image_op op)
{
    struct run *run = ctx;
    bool is_rare = op != LV_IMAGE_WRITE && op != LV_IMAGE_SYNC;

    if (below(run, is_rare ? 6 : 25) == 0)
        look(run, moments[op]);
}

/* ---- what goes on between crashes ---- */

static void begin(struct run *run, struct lv_image_disk *image,
                  const struct crash_metadata *metadata)
{
    struct lv_diag diag;
    int rc = crash_world_open(&run->world, run->shard_count, below(run, 1u << 30), image, metadata,
                              &diag);

    CRASH_RULE(rc == 0, "nothing is recovered a second time: %s", diag.text);
    for (uint32_t i = 0; i < CRASH_QUEUES; i++)
        run->epochs[i] = 0;
    for (uint32_t i = 0; i < CLIENTS; i++)
        run->clients[i] = (struct crash_client){.world = &run->world,
                                                .model = &run->model,
                                                .random = &run->random,
                                                .epochs = run->epochs};
    lv_image_disk_watch(run->world.image, on_change, run);
}

/* Something will go wrong, at any kind of change. */
static void make_trouble(struct run *run)
{
    static const enum lv_image_op ops[] = {LV_IMAGE_CREATE,        LV_IMAGE_WRITE,  LV_IMAGE_SYNC,
                                           LV_IMAGE_RENAME,        LV_IMAGE_CHANGE, LV_IMAGE_REMOVE,
                                           LV_IMAGE_SYNC_DIRECTORY};
    enum lv_image_op op = ops[below(run, sizeof ops / sizeof *ops)];
    uint64_t after = 1 + below(run, op == LV_IMAGE_CHANGE || op == LV_IMAGE_WRITE ? 60 : 6);

    if (run->trouble == TROUBLE_IO && below(run, STEPS / 2) == 0) {
        lv_image_disk_fail(run->world.image, op, after, -LV_E_IO, below(run, 2) == 0);
    } else if (run->trouble == TROUBLE_FULL && below(run, 10) == 0) {
        if (op == LV_IMAGE_CHANGE || op == LV_IMAGE_SYNC || op == LV_IMAGE_SYNC_DIRECTORY)
            op = LV_IMAGE_WRITE; /* a sync does not fail so */
        lv_image_disk_fail(run->world.image, op, after, -LV_E_FULL, below(run, 2) == 0);
        total.full++;
    }
}

static void end_trouble(struct run *run)
{
    for (int op = 0; run->trouble == TROUBLE_FULL && op < LV_IMAGE_OP_COUNT; op++)
        lv_image_disk_fail(run->world.image, (enum lv_image_op)op, 0, 0, false);
}

/* All that was asked for is done and on disk. False: the disk has broken. */
static bool calm(struct run *run)
{
    end_trouble(run);
    if (!crash_world_sync(&run->world)) {
        CRASH_RULE(run->world.error < 0, "there is room, and nothing moves");
        return false;
    }
    crash_model_calm(&run->model);
    return true;
}

static void step(struct run *run)
{
    struct crash_client *client = &run->clients[below(run, CLIENTS)];
    uint32_t what = (uint32_t)below(run, 150);

    make_trouble(run);
    if (what == 0) {
        (void)calm(run);
    } else if (what == 1) {
        if (calm(run))
            crash_client_purge(client, (uint32_t)below(run, CRASH_QUEUES));
        crash_world_settle(&run->world);
    } else if (what < 4) {
        crash_world_settle(&run->world);
        crash_client_measure(client, (uint32_t)below(run, CRASH_QUEUES));
        crash_world_settle(&run->world);
    } else {
        for (uint64_t acts = 1 + below(run, 4); acts > 0; acts--)
            crash_client_act(&run->clients[1 + below(run, CLIENTS - 1)], false);
        crash_client_act(&run->clients[0], true);
    }
    for (uint64_t steps = below(run, 12); steps > 0; steps--)
        (void)lv_sim_step(&run->world.sim);
    for (uint64_t steps = below(run, 24); steps > 0; steps--)
        crash_world_step(&run->world);
    if (below(run, 25) == 0)
        look(run, "a crash");
}

static void part(struct run *run)
{
    for (uint32_t i = 0; i < CLIENTS; i++)
        crash_client_lose(&run->clients[i]);
}

/* Something happens to one of the files of a broker that does not run: either the next one refuses
 * to start and says why, or it says what it can't read, or nothing is missing. */
static void damage(struct run *run)
{
    struct crash_damage what;
    struct lv_image_disk *image = lv_image_disk_copy(run->world.image);
    struct crash_world *world = calloc(1, sizeof *world);
    struct lv_diag diag = {.text = ""};
    int rc;

    if (world == NULL)
        abort();
    if (!crash_damage_draw(&what, image, &run->random)) {
        lv_image_disk_free(image);
        free(world);
        return;
    }
    crash_moment = what.text;
    crash_trace("-- %s", what.text);
    rc = crash_world_open(world, run->shard_count, below(run, 1u << 30), image,
                          &run->world.metadata, &diag);
    if (rc < 0) {
        /* Of a log it is the last good block that is named, which may be in the file before. */
        const char *name = strncmp(what.name, "log-", 4) == 0 ? "log-" : what.name;
        CRASH_RULE(strstr(diag.text, name) != NULL, "it is said: %s", diag.text);
        total.refused++;
    } else {
        crash_drain(world, &run->model, &run->random, &run->findings);
        CRASH_RULE(what.is_segment || (world->damaged_count == 0 && !world->is_cut),
                   "a segment is called damaged: %s", world->damage.text);
        CRASH_RULE((world->damaged_count == 0 && !world->is_cut) ||
                       strstr(world->damage.text, what.name) != NULL,
                   "it is said: %s", world->damage.text);
        crash_model_check(&run->model, &run->findings, CRASH_END_DAMAGED,
                          world->is_cut ? UINT64_MAX : world->damaged_count);
        total.damaged += world->damaged_count > 0;
        crash_world_close(world);
    }
    crash_trace("--");
    free(world);
}

/* Takes what is left of the world to the next one. */
static void turn(struct run *run, struct lv_image_disk *left, enum crash_end end)
{
    struct crash_metadata metadata;

    crash_metadata_copy(&metadata, &run->world.metadata);
    recover(run, lv_image_disk_copy(left), &metadata, end);
    crash_world_end(&run->world);
    part(run);
    crash_world_close(&run->world);
    for (uint32_t i = 0; i < CLIENTS; i++)
        crash_client_fini(&run->clients[i]);
    crash_model_restart(&run->model, &run->findings);
    run->model.is_exact = run->shard_count == 1; /* else deliveries may come back unseen */
    begin(run, left, &metadata);
    crash_metadata_fini(&metadata);
}

/* True: in good order. */
static bool stop(struct run *run)
{
    if (run->world.error < 0 || !calm(run))
        return false;
    part(run);
    crash_world_settle(&run->world);
    if (!crash_world_stop(&run->world))
        return false;
    total.clean++;
    return true;
}

static void generation(struct run *run)
{
    struct lv_image_disk *left;
    bool is_clean;

    for (uint32_t i = 0; i < STEPS && run->world.error == 0; i++)
        step(run);
    total.io += run->world.error < 0;
    is_clean = below(run, 3) == 0 && stop(run);
    for (uint32_t i = 0; is_clean && i < 12; i++)
        damage(run);
    crash_moment = is_clean ? "a stop in good order" : "a crash at the end";
    left = is_clean ? lv_image_disk_copy(run->world.image)
                    : lv_image_disk_crash(run->world.image, below(run, 1u << 30));
    turn(run, left, is_clean ? CRASH_END_CLEAN : CRASH_END_CRASH);
    for (uint32_t i = 0; i < 3; i++)
        look(run, "a crash right after a recovery");
}

static void simulate(uint64_t seed, uint32_t shard_count)
{
    struct run *run = calloc(1, sizeof *run);
    struct crash_metadata nothing = {.applied = 0};

    if (run == NULL)
        abort();
    crash_seed = seed;
    lv_random_seed(&run->random, 3 * seed + shard_count);
    run->shard_count = shard_count;
    run->trouble = (enum trouble)(seed % TROUBLE_COUNT);
    crash_model_init(&run->model);
    run->model.is_exact = shard_count == 1;
    begin(run, lv_image_disk_new(seed), &nothing);
    for (uint32_t i = 0; i < GENERATIONS; i++)
        generation(run);
    crash_world_end(&run->world);
    crash_world_close(&run->world);
    free(run);
}

/* Without arguments as many as the size of the test run allows. */
static uint64_t default_count(void)
{
    const char *size = getenv("LEVERET_TEST_SIZE");

    return size != NULL && strcmp(size, "long") == 0 ? 20000 : 60;
}

/* Seeds that failed once, beyond those that always run. */
static const uint64_t failed_once[] = {2371, 3193, 5004, 5134, 6081, 6172, 9073, 9161, 9367};

static void both(uint64_t seed)
{
    for (uint32_t shards = 1; shards <= 3; shards += 2) {
        /* on a line of its own: after an assert it is the last one but the reason */
        fprintf(stderr, "seed %llu, shards %u\n", (unsigned long long)seed, shards);
        simulate(seed, shards);
    }
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 0) : argc > 1 ? 1 : default_count();

    for (size_t i = 0; argc == 1 && i < sizeof failed_once / sizeof *failed_once; i++)
        both(failed_once[i]);
    for (uint64_t i = 0; i < count; i++)
        both(seed + i);
    printf(
        "%llu seeds, %llu states, %llu messages, %llu clean stops, %llu full disks, %llu broken; "
        "of damaged ones %llu were refused, %llu named\n",
        (unsigned long long)count, total.states, total.messages, total.clean, total.full, total.io,
        total.refused, total.damaged);
    return 0;
}
