#include "session/amqp091/inspect.h"

#include "broker/inspect.h"
#include "session/amqp091/limits.h"
#include "session/amqp091/scene.h"

static struct lv_session_view look(const struct scene *scene)
{
    struct lv_session_view view;

    lv_session_inspect(scene->peer.session, &view);
    return view;
}

#define assert_bytes(bytes, text) assert_true(lv_bytes_equal(bytes, lv_text(text)))

static void a_connection_shows_how_far_it_is(void **state)
{
    struct scene scene;
    struct lv_session_view view;

    (void)state;
    scene_begin_new(&scene);
    view = look(&scene);
    assert_string_equal(view.state, "starting");
    assert_string_equal(view.mechanism, "");
    assert_int_equal(view.client, 0);
    assert_bytes(view.user, "");
    lv_peer_open(&scene.peer);
    view = look(&scene);
    assert_string_equal(view.state, "running");
    assert_string_equal(view.mechanism, "PLAIN");
    assert_bytes(view.user, "guest");
    assert_bytes(view.vhost, "/");
    assert_true(view.client != 0);
    assert_int_equal(view.channels, 1);
    assert_int_equal(view.channel_max, scene.world.limits.channel_max);
    assert_true(view.frame_max > 0);
    scene_end(&scene);
}

static void a_publisher_during_an_alarm_is_blocked(void **state)
{
    struct scene scene;

    (void)state;
    scene_begin(&scene);
    declare_queue(&scene.peer, "q");
    lv_session_alarm(scene.peer.session, "low on memory");
    assert_string_equal(look(&scene).state, "running");
    say_message(&scene.peer, "", "q", "m");
    say_message(&scene.peer, "", "q", "m");
    lv_world_settle(&scene.world);
    assert_string_equal(look(&scene).state, "blocked");
    lv_session_alarm(scene.peer.session, NULL);
    lv_world_settle(&scene.world);
    assert_string_equal(look(&scene).state, "running");
    scene_end(&scene);
}

static void channels_come_by_their_numbers(void **state)
{
    struct scene scene;
    uint32_t number = 0, heard[3];
    size_t count = 0;

    (void)state;
    scene_begin(&scene);
    SAY_PLAIN(&scene.peer, 7, CHANNEL_OPEN);
    SAY_PLAIN(&scene.peer, 3, CHANNEL_OPEN);
    lv_world_settle(&scene.world);
    while (lv_session_next_channel(scene.peer.session, &number) != NULL) {
        assert_true(count < 3);
        heard[count++] = number++;
    }
    assert_int_equal(count, 3);
    assert_int_equal(heard[0], 1);
    assert_int_equal(heard[1], 3);
    assert_int_equal(heard[2], 7);
    assert_int_equal(look(&scene).channels, 3);
    scene_end(&scene);
}

/* A table with one long string of this many bytes: 1 + 1 for its name, 5 for type and size. */
static void introduce(struct scene *scene, size_t size)
{
    static uint8_t entries[8192];

    assert_true(size + 7 <= sizeof entries);
    entries[0] = 1;
    entries[1] = 'x';
    entries[2] = 'S';
    entries[3] = entries[4] = 0;
    entries[5] = (uint8_t)(size >> 8);
    entries[6] = (uint8_t)size;
    memset(entries + 7, 'y', size);
    lv_peer_say(&scene->peer, lv_bytes("AMQP\0\0\x09\x01", 8));
    SAY(&scene->peer, 0, CONNECTION_START_OK, connection_start_ok,
        .client_properties = lv_bytes(entries, size + 7), .mechanism = lv_text("PLAIN"),
        .response = lv_bytes("\0guest\0guest", 12), .locale = lv_text("en_US"));
    lv_world_settle(&scene->world);
}

static void what_the_client_says_of_itself_is_kept_up_to_a_bound(void **state)
{
    struct scene scene;
    size_t most = LV_BOUND_SHOWN_PROPERTIES - 7;

    (void)state;
    scene_begin_new(&scene);
    introduce(&scene, most);
    assert_int_equal(look(&scene).properties.size, LV_BOUND_SHOWN_PROPERTIES);
    assert_int_equal(look(&scene).properties.data[LV_BOUND_SHOWN_PROPERTIES - 1], 'y');
    assert_string_equal(look(&scene).state, "tuning");
    scene_end(&scene);
    scene_begin_new(&scene);
    introduce(&scene, most + 1);
    assert_int_equal(look(&scene).properties.size, 0);
    assert_string_equal(look(&scene).state, "tuning");
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_shows_how_far_it_is),
        cmocka_unit_test(a_publisher_during_an_alarm_is_blocked),
        cmocka_unit_test(channels_come_by_their_numbers),
        cmocka_unit_test(what_the_client_says_of_itself_is_kept_up_to_a_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
