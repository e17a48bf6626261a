#include "session/amqp091/scene.h"

#define START                                                                                      \
    "0 connection.start version_major=0 version_minor=9 server_properties=(366 bytes) "            \
    "mechanisms=\"AMQPLAIN PLAIN\" locales=\"en_US\"\n"
#define TUNE    "0 connection.tune channel_max=2047 frame_max=131072 heartbeat=60\n"
#define OPEN_OK "0 connection.open-ok\n"

static void say_header(struct lv_peer *peer)
{
    lv_peer_say(peer, lv_bytes(lv_amqp091_header_bytes, LV_AMQP091_HEADER_SIZE));
}

static void say_start_ok(struct lv_peer *peer, const char *properties, const char *mechanism,
                         const char *response)
{
    struct lv_bytes table = golden(properties);

    SAY(peer, 0, CONNECTION_START_OK, connection_start_ok, .client_properties = table,
        .mechanism = lv_text(mechanism), .response = golden(response), .locale = lv_text("en_US"));
}

/* Up to connection.tune. */
static void log_in(struct scene *scene)
{
    scene_begin_new(scene);
    say_header(&scene->peer);
    say_start_ok(&scene->peer, "", "PLAIN", "00 'guest' 00 'guest'");
    lv_world_settle(&scene->world);
    (void)lv_peer_trace(&scene->peer);
}

static void opens_a_connection_step_by_step(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin_new(&scene);
    assert_hears(peer, "");
    say_header(peer);
    assert_hears(peer, START);
    say_start_ok(peer, "", "PLAIN", "00 'guest' 00 'guest'");
    assert_hears(peer, TUNE);
    SAY(peer, 0, CONNECTION_TUNE_OK, connection_tune_ok, .channel_max = 10, .frame_max = 4096);
    assert_hears(peer, "");
    SAY(peer, 0, CONNECTION_OPEN, connection_open, .virtual_host = lv_text("/"));
    assert_hears(peer, OPEN_OK);
    SAY(peer, 0, CONNECTION_CLOSE, connection_close, .reply_code = 200);
    assert_hears(peer, "0 connection.close-ok\nclosed\n");
    scene_end(&scene);
}

static void passes_its_states_in_order(void **state)
{
    (void)state;
    struct scene scene;

    scene_begin_new(&scene);
    scene.peer.shows_events = true;
    lv_peer_say_hello(&scene.peer);
    SAY(&scene.peer, 0, CONNECTION_CLOSE, connection_close, .reply_code = 200);
    assert_hears(&scene.peer,
                 "* connection.state starting\n"
                 "* connection.state login\n"
                 "* connection.state tuning\n"
                 "* connection.state opening\n"
                 "* connection.state running\n"
                 "* connection.state releasing\n"
                 "* connection.state finished\n" START TUNE OPEN_OK "0 connection.close-ok\n"
                 "closed\n");
    scene_end(&scene);
}

static void takes_amqplain_too(void **state)
{
    (void)state;
    struct scene scene;

    scene_begin_new(&scene);
    say_header(&scene.peer);
    say_start_ok(&scene.peer, "", "AMQPLAIN",
                 "05 'LOGIN' 'S' 00000005 'guest' 08 'PASSWORD' 'S' 00000005 'guest'");
    assert_hears(&scene.peer, START TUNE);
    scene_end(&scene);
}

/* Whoever has a certificate needs no password, and may not say who else he is. */
static void takes_the_word_of_the_transport(void **state)
{
    (void)state;
    struct scene scene;
    const char *start = START;
    char offered[512];
    const char *list = strstr(start, "AMQPLAIN PLAIN");

    snprintf(offered, sizeof offered, "%.*sAMQPLAIN PLAIN EXTERNAL%s" TUNE, (int)(list - start),
             start, list + strlen("AMQPLAIN PLAIN"));
    lv_world_init(&scene.world, 1);
    scene.world.certified = "guest";
    lv_peer_init(&scene.peer, &scene.world, 0);
    say_header(&scene.peer);
    say_start_ok(&scene.peer, "", "EXTERNAL", "'somebody else'");
    assert_hears(&scene.peer, offered);
    scene_end(&scene);
}

static void answers_foreign_protocol_headers_and_closes(void **state)
{
    (void)state;
    static const struct {
        const char *said, *heard;
    } cases[] = {
        {"'AMQP' 00 00 0a 00", "AMQP 0 0 9 1\nclosed\n"}, /* 0-10 */
        {"'AMQP' 01 01 08 00", "AMQP 3 1 0 0\nclosed\n"}, /* 0-8 */
        {"'AMQP' 00 01 00 00", "AMQP 3 1 0 0\nclosed\n"}, /* 1.0 without SASL */
        {"'AMQP' 02 01 00 00", "AMQP 3 1 0 0\nclosed\n"}, /* 1.0, TLS inside */
        {"'AMQP' 03 01 00 00", "AMQP 3 1 0 0\nclosed\n"}, /* 1.0: not spoken yet */
        {"'GET / HTTP/1.1' 0d0a0d0a", "AMQP 3 1 0 0\nclosed\n"},
        {"16 03 01 02 00 01 00 01 fc 03", "AMQP 3 1 0 0\nclosed\n"},
        {"'AMQP' 01 01 00 09", START}, /* 0-9 */
    };

    for (size_t i = 0; i < LV_COUNT(cases); i++) {
        struct scene scene;
        scene_begin_new(&scene);
        say_golden(&scene.peer, cases[i].said);
        assert_hears(&scene.peer, cases[i].heard);
        scene_end(&scene);
    }
}

static void says_in_the_log_what_came_instead_of_amqp(void **state)
{
    (void)state;
    struct scene scene;

    scene_begin_new(&scene);
    scene.peer.shows_events = true;
    say_golden(&scene.peer, "'GET / HTTP/1.1'");
    assert_hears(&scene.peer, "* handshake.protocol this looks like HTTP\n"
                              "* connection.state finished\nAMQP 3 1 0 0\nclosed\n");
    scene_end(&scene);
}

static void a_refused_login_is_told_to_those_who_can_hear_it(void **state)
{
    (void)state;
    struct scene scene;

    scene_begin_new(&scene);
    say_header(&scene.peer);
    say_start_ok(&scene.peer,
                 "0c 'capabilities' 'F' 0000001f 1c 'authentication_failure_close' 't' 01", "PLAIN",
                 "00 'guest' 00 'wrong'");
    assert_hears(&scene.peer,
                 START "0 connection.close reply_code=403 reply_text=\"ACCESS_REFUSED - Login was "
                       "refused using authentication mechanism PLAIN. For details see the broker "
                       "logfile.\" class_id=0 method_id=0\n");
    lv_world_wait_ms(&scene.world, 2999);
    assert_hears(&scene.peer, "");
    lv_world_wait_ms(&scene.world, 1);
    assert_hears(&scene.peer, "closed\n");
    scene_end(&scene);
}

static void a_refused_login_is_met_with_silence_otherwise(void **state)
{
    (void)state;
    struct scene scene;

    scene_begin_new(&scene);
    say_header(&scene.peer);
    say_start_ok(&scene.peer, "", "PLAIN", "00 'guest' 00 'wrong'");
    assert_hears(&scene.peer, START);
    lv_world_wait_ms(&scene.world, 2999);
    assert_hears(&scene.peer, "");
    lv_world_wait_ms(&scene.world, 1);
    assert_hears(&scene.peer, "closed\n");
    scene_end(&scene);
}

static void strangers_errors_are_logged_and_met_with_silence(void **state)
{
    (void)state;
    static const struct {
        const char *mechanism, *response, *why;
    } cases[] = {
        {"EXTERNAL", "", "COMMAND_INVALID - unknown authentication mechanism 'EXTERNAL'"},
        {"PLAIN", "'guest'", "SYNTAX_ERROR - "},
        {"PLAIN", "'x' 00 'guest' 00 'guest'", "SYNTAX_ERROR - "},
        {"AMQPLAIN", "05 'LOGIN' 'S' 00000005 'guest'", "SYNTAX_ERROR - "},
    };

    for (size_t i = 0; i < LV_COUNT(cases); i++) {
        struct scene scene;
        const char *log;
        scene_begin_new(&scene);
        say_header(&scene.peer);
        assert_hears(&scene.peer, START);
        scene.peer.shows_events = true;
        say_start_ok(&scene.peer, "", cases[i].mechanism, cases[i].response);
        lv_world_settle(&scene.world);
        log = lv_peer_trace(&scene.peer);
        assert_starts_with(log, "* handshake.error ");
        assert_starts_with(log + strlen("* handshake.error "), cases[i].why);
        assert_non_null(strstr(log, "\n* connection.state lingering\n"));
        lv_world_wait_ms(&scene.world, 3000);
        assert_hears(&scene.peer, "* connection.state finished\nclosed\n");
        scene_end(&scene);
    }
}

static void a_user_has_a_short_name(void **state)
{
    (void)state;
    struct scene scene;
    uint8_t response[1 + 256 + 1] = {0};

    memset(response + 1, 'u', 256);
    scene_begin_new(&scene);
    say_header(&scene.peer);
    assert_hears(&scene.peer, START);
    scene.peer.shows_events = true;
    SAY(&scene.peer, 0, CONNECTION_START_OK, connection_start_ok, .mechanism = lv_text("PLAIN"),
        .response = lv_bytes(response, sizeof response));
    assert_hears(&scene.peer, "* handshake.error SYNTAX_ERROR - the user's name is too long\n"
                              "* connection.state lingering\n");
    scene_end(&scene);
}

static void a_login_may_be_answered_later(void **state)
{
    (void)state;
    struct scene scene;
    struct lv_peer *peer = &scene.peer;

    scene_begin_new(&scene);
    peer->logs_in_later = true;
    lv_peer_say_hello(peer);
    assert_hears(peer, START);
    assert_true(peer->is_asked);
    assert_true(lv_session_is_paused(peer->session));
    lv_session_login(peer->session, NULL);
    assert_int_equal(peer->resume_count, 1);
    assert_hears(peer, TUNE OPEN_OK);
    lv_session_login(peer->session, NULL); /* a second answer changes nothing */
    assert_hears(peer, "");
    scene_end(&scene);
}

static void a_login_that_is_answered_too_late_is_ignored(void **state)
{
    (void)state;
    struct scene scene;

    scene_begin_new(&scene);
    scene.peer.logs_in_later = true;
    lv_peer_say_hello(&scene.peer);
    assert_hears(&scene.peer, START);
    lv_world_wait_ms(&scene.world, 10000);
    assert_hears(&scene.peer, "closed\n");
    scene_end(&scene);
}

static void tune_ok_is_checked_against_the_offer(void **state)
{
    (void)state;
    static const struct {
        uint16_t channel_max;
        uint32_t frame_max;
        const char *text;
    } cases[] = {
        {2047, 131072, NULL},
        {1, 4096, NULL},
        {0, 131072, "channel_max = 0 (no limit) is higher than the maximum allowed value (2047)"},
        {2048, 131072, "channel_max = 2048 is higher than the maximum allowed value (2047)"},
        {10, 4095, "frame_max = 4095 is lower than the minimum allowed value (4096)"},
        {10, 131073, "frame_max = 131073 is higher than the maximum allowed value (131072)"},
        {10, 0, "frame_max = 0 (no limit) is higher than the maximum allowed value (131072)"},
    };

    for (size_t i = 0; i < LV_COUNT(cases); i++) {
        char want[256] = "";
        struct scene scene;
        log_in(&scene);
        SAY(&scene.peer, 0, CONNECTION_TUNE_OK, connection_tune_ok,
            .channel_max = cases[i].channel_max, .frame_max = cases[i].frame_max);
        if (cases[i].text != NULL)
            snprintf(want, sizeof want,
                     "0 connection.close reply_code=530 reply_text=\"NOT_ALLOWED - negotiated %s\" "
                     "class_id=10 method_id=30\n",
                     cases[i].text);
        assert_hears(&scene.peer, want);
        scene_end(&scene);
    }
}

static void an_unknown_vhost_is_refused(void **state)
{
    (void)state;
    struct scene scene;

    log_in(&scene);
    SAY(&scene.peer, 0, CONNECTION_TUNE_OK, connection_tune_ok, .channel_max = 10,
        .frame_max = 4096);
    SAY(&scene.peer, 0, CONNECTION_OPEN, connection_open, .virtual_host = lv_text("nowhere"));
    assert_hears(&scene.peer, "0 connection.close reply_code=530 reply_text=\"NOT_ALLOWED - vhost "
                              "nowhere not found\" class_id=10 method_id=40\n");
    SAY_PLAIN(&scene.peer, 0, CONNECTION_CLOSE_OK);
    assert_hears(&scene.peer, "closed\n");
    scene_end(&scene);
}

static void a_slow_handshake_is_cut_off_in_every_state(void **state)
{
    (void)state;
    static const size_t said_frames[] = {0, 1, 2, 3}; /* header, start-ok, tune-ok */

    for (size_t i = 0; i < LV_COUNT(said_frames); i++) {
        struct scene scene;
        scene_begin_new(&scene);
        if (said_frames[i] > 0)
            say_header(&scene.peer);
        if (said_frames[i] > 1)
            say_start_ok(&scene.peer, "", "PLAIN", "00 'guest' 00 'guest'");
        if (said_frames[i] > 2)
            SAY(&scene.peer, 0, CONNECTION_TUNE_OK, connection_tune_ok, .channel_max = 10,
                .frame_max = 4096);
        lv_world_wait_ms(&scene.world, 9999);
        assert_non_null(scene.peer.session);
        (void)lv_peer_trace(&scene.peer);
        lv_world_wait_ms(&scene.world, 1);
        assert_hears(&scene.peer, "closed\n");
        scene_end(&scene);
    }
}

static void the_name_a_client_gives_itself_is_logged(void **state)
{
    (void)state;
    struct scene scene;

    scene_begin_new(&scene);
    say_header(&scene.peer);
    assert_hears(&scene.peer, START);
    scene.peer.shows_events = true;
    say_start_ok(&scene.peer, "0f 'connection_name' 'S' 00000003 'app'", "PLAIN",
                 "00 'guest' 00 'guest'");
    lv_world_settle(&scene.world);
    assert_starts_with(lv_peer_trace(&scene.peer), "* connection.name app\n");
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_a_connection_step_by_step),
        cmocka_unit_test(passes_its_states_in_order),
        cmocka_unit_test(takes_amqplain_too),
        cmocka_unit_test(takes_the_word_of_the_transport),
        cmocka_unit_test(answers_foreign_protocol_headers_and_closes),
        cmocka_unit_test(says_in_the_log_what_came_instead_of_amqp),
        cmocka_unit_test(a_refused_login_is_told_to_those_who_can_hear_it),
        cmocka_unit_test(a_refused_login_is_met_with_silence_otherwise),
        cmocka_unit_test(strangers_errors_are_logged_and_met_with_silence),
        cmocka_unit_test(a_user_has_a_short_name),
        cmocka_unit_test(a_login_may_be_answered_later),
        cmocka_unit_test(a_login_that_is_answered_too_late_is_ignored),
        cmocka_unit_test(tune_ok_is_checked_against_the_offer),
        cmocka_unit_test(an_unknown_vhost_is_refused),
        cmocka_unit_test(a_slow_handshake_is_cut_off_in_every_state),
        cmocka_unit_test(the_name_a_client_gives_itself_is_logged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
