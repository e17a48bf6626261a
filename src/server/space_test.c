#include "server/space.h"

#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A disk of which only one thing can be asked. */
struct fake_disk {
    struct lv_disk disk;
    uint64_t room;
    int rc;
};

static int free_space(struct lv_disk *disk, uint64_t *ret_size)
{
    const struct fake_disk *fake = lv_container(disk, struct fake_disk, disk);

    *ret_size = fake->room;
    return fake->rc;
}

static const struct lv_disk_ops fake_ops = {.free_space = free_space};

struct scene {
    struct fake_disk fake;
    struct lv_alarms alarms;
    struct lv_space space;
    uint64_t now;
};

static void begin(struct scene *scene, uint64_t room)
{
    *scene = (struct scene){.fake = {.disk.ops = &fake_ops, .room = room}};
    lv_space_init(&scene->space, &scene->fake.disk, &scene->alarms, 1000);
}

/* Each look a second after the last. */
static bool check(struct scene *scene)
{
    scene->now += LV_SPACE_CHECK_NS;
    return lv_space_check(&scene->space, scene->now);
}

static void the_alarm_begins_below_the_limit_and_ends_above(void **state)
{
    struct scene scene;

    (void)state;
    begin(&scene, 1000);
    assert_false(check(&scene));
    assert_int_equal(lv_alarms_now(&scene.alarms), 0);
    scene.fake.room = 999;
    assert_true(check(&scene));
    assert_int_equal(lv_alarms_now(&scene.alarms), LV_ALARM_DISK);
    scene.fake.room = 1049; /* not yet far enough above */
    assert_false(check(&scene));
    assert_int_equal(lv_alarms_now(&scene.alarms), LV_ALARM_DISK);
    scene.fake.room = 1050;
    assert_true(check(&scene));
    assert_int_equal(lv_alarms_now(&scene.alarms), 0);
}

/* Such as at a limit on the size of files, of which the file system knows nothing. */
static void a_log_that_finds_no_room_is_reason_enough(void **state)
{
    struct scene scene;

    (void)state;
    begin(&scene, 1u << 30);
    lv_space_full(&scene.space, true);
    lv_space_full(&scene.space, true);
    assert_true(check(&scene));
    assert_int_equal(lv_alarms_now(&scene.alarms), LV_ALARM_DISK);
    lv_space_full(&scene.space, false);
    assert_false(check(&scene)); /* the other one still waits */
    lv_space_full(&scene.space, false);
    assert_true(check(&scene));
    assert_int_equal(lv_alarms_now(&scene.alarms), 0);
}

static void a_file_system_that_cannot_be_asked_changes_nothing(void **state)
{
    struct scene scene;

    (void)state;
    begin(&scene, 10);
    scene.fake.rc = -LV_E_IO;
    assert_false(check(&scene));
    scene.fake.rc = 0;
    assert_true(check(&scene));
    scene.fake.rc = -LV_E_IO;
    scene.fake.room = 1u << 30;
    assert_false(check(&scene));
    assert_int_equal(lv_alarms_now(&scene.alarms), LV_ALARM_DISK);
}

static void a_log_that_goes_on_and_stops_again_is_one_alarm(void **state)
{
    struct scene scene;

    (void)state;
    begin(&scene, 1u << 30);
    for (int i = 0; i < 5; i++) {
        lv_space_full(&scene.space, true);
        assert_int_equal(lv_space_check(&scene.space, scene.now += 1000), i == 0);
        lv_space_full(&scene.space, false);
        assert_false(lv_space_check(&scene.space, scene.now += 1000));
    }
    assert_int_equal(lv_alarms_now(&scene.alarms), LV_ALARM_DISK);
    assert_true(check(&scene));
    assert_int_equal(lv_alarms_now(&scene.alarms), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_alarm_begins_below_the_limit_and_ends_above),
        cmocka_unit_test(a_log_that_finds_no_room_is_reason_enough),
        cmocka_unit_test(a_log_that_goes_on_and_stops_again_is_one_alarm),
        cmocka_unit_test(a_file_system_that_cannot_be_asked_changes_nothing),
    };
    return cmocka_run_group_tests_name("server space", tests, NULL, NULL);
}
