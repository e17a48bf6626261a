#include "server/helper.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define JOBS_MAX 200u

/* What the helper does is written down; the test looks at it when it knows that it is done. */
struct scene {
    struct lv_helper helper;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool is_open;    /* mutex: the gate at which a job may wait */
    bool is_at_gate; /* mutex */
    unsigned wakes;  /* mutex */
    unsigned ran;    /* mutex: jobs that have run */
    unsigned order[JOBS_MAX];
    unsigned done, done_order[JOBS_MAX]; /* the test's thread */
};

struct task {
    struct lv_job job;
    struct scene *scene; /* view */
    unsigned number;
};

static void wake(void *ctx)
{
    struct scene *scene = ctx;

    pthread_mutex_lock(&scene->mutex);
    scene->wakes++;
    pthread_cond_broadcast(&scene->cond);
    pthread_mutex_unlock(&scene->mutex);
}

static void run_task(struct lv_job *job)
{
    const struct task *task = lv_container(job, struct task, job);
    struct scene *scene = task->scene;

    pthread_mutex_lock(&scene->mutex);
    scene->order[scene->ran++] = task->number;
    pthread_cond_broadcast(&scene->cond);
    pthread_mutex_unlock(&scene->mutex);
}

static void run_gate(struct lv_job *job)
{
    struct scene *scene = lv_container(job, struct task, job)->scene;

    pthread_mutex_lock(&scene->mutex);
    scene->is_at_gate = true;
    pthread_cond_broadcast(&scene->cond);
    while (!scene->is_open)
        pthread_cond_wait(&scene->cond, &scene->mutex);
    pthread_mutex_unlock(&scene->mutex);
}

/* Nobody asks about it: it belongs to itself. */
static void run_free(struct lv_job *job)
{
    run_task(job);
    free(lv_container(job, struct task, job));
}

static void on_done(struct lv_job *job)
{
    const struct task *task = lv_container(job, struct task, job);

    task->scene->done_order[task->scene->done++] = task->number;
}

static void begin(struct scene *scene)
{
    *scene = (struct scene){.is_open = false};
    pthread_mutex_init(&scene->mutex, NULL);
    pthread_cond_init(&scene->cond, NULL);
    assert_int_equal(lv_helper_start(&scene->helper, "helper", wake, scene), 0);
}

static void end(struct scene *scene)
{
    pthread_cond_destroy(&scene->cond);
    pthread_mutex_destroy(&scene->mutex);
}

static void open_gate(struct scene *scene)
{
    pthread_mutex_lock(&scene->mutex);
    scene->is_open = true;
    pthread_cond_broadcast(&scene->cond);
    pthread_mutex_unlock(&scene->mutex);
}

static void give(struct scene *scene, struct task *task, unsigned number)
{
    *task =
        (struct task){.job = {.run = run_task, .done = on_done}, .scene = scene, .number = number};
    lv_helper_run(&scene->helper, &task->job);
}

static void give_gate(struct scene *scene, struct task *gate)
{
    *gate = (struct task){.job = {.run = run_gate}, .scene = scene};
    lv_helper_run(&scene->helper, &gate->job);
    pthread_mutex_lock(&scene->mutex);
    while (!scene->is_at_gate)
        pthread_cond_wait(&scene->cond, &scene->mutex);
    pthread_mutex_unlock(&scene->mutex);
}

static void jobs_are_done_in_the_order_given(void **state)
{
    struct scene scene;
    struct task tasks[JOBS_MAX];

    (void)state;
    begin(&scene);
    for (unsigned i = 0; i < JOBS_MAX; i++)
        give(&scene, &tasks[i], i);
    while (scene.done < JOBS_MAX) { /* each wake says that there is something to take */
        pthread_mutex_lock(&scene.mutex);
        while (scene.wakes == 0)
            pthread_cond_wait(&scene.cond, &scene.mutex);
        scene.wakes = 0;
        pthread_mutex_unlock(&scene.mutex);
        lv_helper_take(&scene.helper);
    }
    lv_helper_stop(&scene.helper);
    for (unsigned i = 0; i < JOBS_MAX; i++) {
        assert_int_equal(scene.order[i], i);
        assert_int_equal(scene.done_order[i], i);
    }
    end(&scene);
}

/* The giver does not wait for the job before. */
static void a_job_that_takes_long_holds_up_the_next_but_not_the_giver(void **state)
{
    struct scene scene;
    struct task gate, task;

    (void)state;
    begin(&scene);
    give_gate(&scene, &gate);
    give(&scene, &task, 7);
    lv_helper_take(&scene.helper);
    assert_int_equal(scene.done, 0);
    open_gate(&scene);
    lv_helper_stop(&scene.helper);
    lv_helper_take(&scene.helper);
    assert_int_equal(scene.done, 1);
    assert_int_equal(scene.done_order[0], 7);
    end(&scene);
}

static void stopping_does_what_is_left_and_the_shard_may_still_take_it(void **state)
{
    struct scene scene;
    struct task gate, tasks[50];

    (void)state;
    begin(&scene);
    give_gate(&scene, &gate);
    for (unsigned i = 0; i < LV_COUNT(tasks); i++)
        give(&scene, &tasks[i], i);
    open_gate(&scene);
    lv_helper_stop(&scene.helper);
    assert_int_equal(scene.ran, LV_COUNT(tasks));
    assert_int_equal(scene.done, 0);
    lv_helper_take(&scene.helper);
    assert_int_equal(scene.done, LV_COUNT(tasks));
    lv_helper_take(&scene.helper); /* nothing twice */
    assert_int_equal(scene.done, LV_COUNT(tasks));
    end(&scene);
}

static void a_job_that_nobody_asks_about_wakes_nobody_and_may_free_itself(void **state)
{
    struct scene scene;

    (void)state;
    begin(&scene);
    for (unsigned i = 0; i < 20; i++) {
        struct task *task = malloc(sizeof *task);
        assert_non_null(task);
        *task = (struct task){.job = {.run = run_free}, .scene = &scene, .number = i};
        lv_helper_run(&scene.helper, &task->job);
    }
    lv_helper_stop(&scene.helper);
    lv_helper_take(&scene.helper);
    assert_int_equal(scene.ran, 20);
    assert_int_equal(scene.wakes, 0);
    assert_int_equal(scene.done, 0);
    end(&scene);
}

/* The row is empty in between, which is where its ends could be lost. */
static void a_job_may_be_given_again_and_again(void **state)
{
    struct scene scene;
    struct task task;

    (void)state;
    begin(&scene);
    for (unsigned i = 0; i < 100; i++) {
        give(&scene, &task, i);
        pthread_mutex_lock(&scene.mutex);
        while (scene.wakes <= i)
            pthread_cond_wait(&scene.cond, &scene.mutex);
        pthread_mutex_unlock(&scene.mutex);
        lv_helper_take(&scene.helper);
        assert_int_equal(scene.done, i + 1);
        assert_int_equal(scene.done_order[i], i);
    }
    lv_helper_stop(&scene.helper);
    end(&scene);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_are_done_in_the_order_given),
        cmocka_unit_test(a_job_that_takes_long_holds_up_the_next_but_not_the_giver),
        cmocka_unit_test(stopping_does_what_is_left_and_the_shard_may_still_take_it),
        cmocka_unit_test(a_job_that_nobody_asks_about_wakes_nobody_and_may_free_itself),
        cmocka_unit_test(a_job_may_be_given_again_and_again),
    };

    return cmocka_run_group_tests_name("helper", tests, NULL, NULL);
}
