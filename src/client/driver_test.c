/*
 * The driver against a broker that follows a script: it says what the script says and when, so that
 * silence, blocking and sudden ends can be had at will.
 */
#include "client/driver.h"

#include "codec/amqp091/content.h"
#include "codec/amqp091/frame.h"
#include "io/clock.h"
#include "io/socket.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 10000
/* For tests about silence. The driver must not take a machine with too much to do for silence
 * either, so it is long, and tests that wait for no time-out are more patient still. */
#define TIMEOUT_MS 1000u

enum act { SAY, SAY_MESSAGE, HEAR, PAUSE, HANG_UP, END };

/* One step of the broker: says a method, waits until it hears one, lets the driver's timeout pass
 * twice, or hangs up. */
struct step {
    enum act act;
    struct lv_amqp091_method method;
};

struct broker {
    const struct step *steps; /* view */
    int listener, fd;
    uint16_t port;
    pthread_t thread;
    uint8_t input[1 << 20];
    size_t input_size;
    bool greeted;
    const char *failure; /* view  of the thread, until it has ended */
};

static void say(struct broker *broker, uint16_t channel, const struct lv_amqp091_method *method)
{
    uint8_t frame[1024];
    struct lv_bytes bytes =
        lv_bytes(frame, (size_t)(lv_amqp091_frame_encode_method(method, channel, frame) - frame));

    if (lv_socket_write(broker->fd, &bytes, 1) != (ssize_t)bytes.size)
        broker->failure = "a method could not be sent";
}

/* A message of five bytes behind its method. */
static void say_message(struct broker *broker, const struct lv_amqp091_method *method)
{
    const struct lv_amqp091_content content = {5, lv_bytes("\0\0", 2)};
    uint8_t frames[64], *p;
    struct lv_bytes bytes;

    say(broker, 1, method);
    p = lv_amqp091_frame_head_encode(frames, LV_AMQP091_FRAME_HEADER, 1, 14);
    p = lv_put8(lv_amqp091_content_encode(&content, p), LV_AMQP091_FRAME_END);
    p = lv_amqp091_frame_head_encode(p, LV_AMQP091_FRAME_BODY, 1, 5);
    p = lv_put8(lv_put_bytes(p, lv_text("hello")), LV_AMQP091_FRAME_END);
    bytes = lv_bytes(frames, (size_t)(p - frames));
    if (lv_socket_write(broker->fd, &bytes, 1) != (ssize_t)bytes.size)
        broker->failure = "a message could not be sent";
}

static void drop_input(struct broker *broker, size_t size)
{
    broker->input_size -= size;
    memmove(broker->input, broker->input + size, broker->input_size);
}

/* True when the frames that are here hold the method; all before it are dropped. */
static bool find(struct broker *broker, uint32_t id)
{
    struct lv_amqp091_frame frame;
    bool found = false;
    int size;

    if (!broker->greeted && broker->input_size >= LV_AMQP091_HEADER_SIZE) {
        drop_input(broker, LV_AMQP091_HEADER_SIZE);
        broker->greeted = true;
    }
    while (broker->greeted && !found &&
           (size = lv_amqp091_frame_decode(lv_bytes(broker->input, broker->input_size), 0, &frame,
                                           NULL)) > 0) {
        found = frame.type == LV_AMQP091_FRAME_METHOD && lv_get32(frame.payload.data) == id;
        drop_input(broker, (size_t)size);
    }
    return found;
}

static void hear(struct broker *broker, uint32_t id)
{
    while (broker->failure == NULL && !find(broker, id)) {
        ssize_t got;

        if (lv_socket_wait(broker->fd, false, PATIENCE_MS) < 0) {
            broker->failure = lv_amqp091_method_name(id);
            return;
        }
        got = lv_socket_read(broker->fd, broker->input + broker->input_size,
                             sizeof broker->input - broker->input_size);
        if (got < 0)
            broker->failure = lv_amqp091_method_name(id);
        else
            broker->input_size += (size_t)got;
    }
}

static void *serve(void *arg)
{
    struct broker *broker = arg;
    struct lv_address peer;

    if (lv_socket_wait(broker->listener, false, PATIENCE_MS) < 0 ||
        lv_socket_accept(broker->listener, &broker->fd, &peer) < 0) {
        broker->failure = "nobody came";
        return NULL;
    }
    for (const struct step *step = broker->steps; step->act != END && broker->failure == NULL;
         step++) {
        uint32_t class_id = step->method.id >> 16;

        if (step->act == HANG_UP)
            break;
        if (step->act == HEAR)
            hear(broker, step->method.id);
        else if (step->act == PAUSE)
            (void)poll(NULL, 0, 2 * TIMEOUT_MS);
        else if (step->act == SAY_MESSAGE)
            say_message(broker, &step->method);
        else
            say(broker, class_id == 10 ? 0 : 1, &step->method);
    }
    if (broker->failure == NULL)
        return NULL;
    lv_socket_close(broker->fd);
    broker->fd = -1;
    return NULL;
}

static void start(struct broker *broker, const struct step *steps)
{
    struct lv_address any;

    broker->steps = steps;
    broker->fd = -1;
    broker->input_size = 0;
    broker->greeted = false;
    broker->failure = NULL;
    assert_int_equal(lv_address_resolve("127.0.0.1", 0, &any, 1, NULL), 1);
    assert_int_equal(lv_socket_listen(&any, &broker->listener, NULL), 0);
    broker->port = lv_socket_local(broker->listener).port;
    assert_int_equal(pthread_create(&broker->thread, NULL, serve, broker), 0);
}

/* The script was followed to its end. */
static void stop(struct broker *broker)
{
    assert_int_equal(pthread_join(broker->thread, NULL), 0);
    if (broker->failure != NULL)
        fail_msg("the broker: %s", broker->failure);
    if (broker->fd >= 0)
        lv_socket_close(broker->fd);
    lv_socket_close(broker->listener);
}

static void hang_up(struct broker *broker)
{
    assert_int_equal(pthread_join(broker->thread, NULL), 0);
    lv_socket_close(broker->fd);
    broker->fd = -1;
    lv_socket_close(broker->listener);
    assert_null(broker->failure);
}

#define HELLO                                                                                      \
    {SAY,                                                                                          \
     {.id = LV_AMQP091_CONNECTION_START,                                                           \
      .connection_start = {.version_minor = 9, .mechanisms = {(const uint8_t *)"PLAIN", 5}}}},     \
        {HEAR, {.id = LV_AMQP091_CONNECTION_START_OK}},                                            \
        {SAY, {.id = LV_AMQP091_CONNECTION_TUNE, .connection_tune = {.frame_max = 4096}}},         \
        {HEAR, {.id = LV_AMQP091_CONNECTION_OPEN}}, {SAY, {.id = LV_AMQP091_CONNECTION_OPEN_OK}},  \
        {HEAR, {.id = LV_AMQP091_CHANNEL_OPEN}},                                                   \
    {                                                                                              \
        SAY,                                                                                       \
        {                                                                                          \
            .id = LV_AMQP091_CHANNEL_OPEN_OK                                                       \
        }                                                                                          \
    }
#define GOODBYE                                                                                    \
    {HEAR, {.id = LV_AMQP091_CONNECTION_CLOSE}}, {SAY, {.id = LV_AMQP091_CONNECTION_CLOSE_OK}},    \
    {                                                                                              \
        END,                                                                                       \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }

static struct broker broker;

/* Events that the driver passed on. */
static unsigned told[LV_ENGINE_CLOSED + 1];

static void on_event(void *ctx, const struct lv_engine_event *event)
{
    (void)ctx;
    told[event->kind]++;
}

/* How long the driver waits for an answer. */
static uint32_t timeout_ms;

static int be_patient(void **state)
{
    (void)state;
    timeout_ms = PATIENCE_MS;
    return 0;
}

static int be_impatient(void **state)
{
    (void)state;
    timeout_ms = TIMEOUT_MS;
    return 0;
}

static int try_open(struct lv_driver **ret_driver, int stop_fd, struct lv_diag *diag)
{
    char text[64];
    struct lv_url url;
    struct lv_driver_options options = {
        .url = &url, .timeout_ms = timeout_ms, .stop_fd = stop_fd, .event = on_event};

    memset(told, 0, sizeof told);
    snprintf(text, sizeof text, "amqp://127.0.0.1:%u?heartbeat=0", broker.port);
    assert_int_equal(lv_url_parse(text, NULL, &url), 0);
    return lv_driver_open(&options, ret_driver, diag);
}

/* Connected, with channel 1 open. */
static struct lv_driver *open_driver(int stop_fd)
{
    const struct lv_amqp091_method open = {.id = LV_AMQP091_CHANNEL_OPEN};
    struct lv_diag diag = {.text = ""};
    struct lv_driver *driver = NULL;

    if (try_open(&driver, stop_fd, &diag) < 0 || lv_driver_call(driver, 1, &open, NULL, &diag) < 0)
        fail_msg("%s", diag.text);
    return driver;
}

static int call(struct lv_driver *driver, uint32_t id, struct lv_diag *diag)
{
    const struct lv_amqp091_method method = {.id = id};

    return lv_driver_call(driver, 1, &method, NULL, diag);
}

static int publish(struct lv_driver *driver, size_t size, struct lv_diag *diag)
{
    static const uint8_t body[100000];
    const struct lv_amqp091_basic_publish to = {.routing_key = lv_text("q")};
    const struct lv_engine_content content = {lv_bytes("\0\0", 2), lv_bytes(body, size)};
    uint64_t tag;

    return lv_driver_publish(driver, 1, &to, &content, &tag, diag);
}

static void a_connection_is_opened_used_and_closed(void **state)
{
    static const struct step steps[] = {
        HELLO,
        {HEAR, {.id = LV_AMQP091_QUEUE_DECLARE}},
        {SAY,
         {.id = LV_AMQP091_QUEUE_DECLARE_OK,
          .queue_declare_ok = {.queue = {(const uint8_t *)"q", 1}, .message_count = 3}}},
        {HEAR, {.id = LV_AMQP091_BASIC_ACK}},
        GOODBYE,
    };
    const struct lv_amqp091_method declare = {.id = LV_AMQP091_QUEUE_DECLARE};
    const struct lv_amqp091_method ack = {.id = LV_AMQP091_BASIC_ACK};
    struct lv_amqp091_method reply;
    struct lv_driver *driver;

    (void)state;
    start(&broker, steps);
    driver = open_driver(-1);
    assert_int_equal(lv_driver_call(driver, 1, &declare, &reply, NULL), 0);
    assert_int_equal(reply.id, LV_AMQP091_QUEUE_DECLARE_OK);
    assert_int_equal(reply.queue_declare_ok.message_count, 3);
    assert_true(lv_bytes_equal(reply.queue_declare_ok.queue, lv_text("q")));
    assert_int_equal(lv_driver_send(driver, 1, &ack, NULL), 0);
    assert_int_equal(lv_driver_flush(driver, NULL), 0);
    assert_int_equal(lv_driver_close(driver, NULL), 0);
    assert_int_equal(lv_driver_close(driver, NULL), -LV_E_CLOSED);
    lv_driver_free(driver);
    lv_driver_free(NULL);
    stop(&broker);
}

static void a_broker_that_says_nothing_is_given_up(void **state)
{
    static const struct step silent[] = {{END, {0}}};
    static const struct step later[] = {HELLO, {END, {0}}};
    struct lv_driver *driver = NULL;
    struct lv_diag diag = {.text = ""};

    (void)state;
    start(&broker, silent);
    assert_int_equal(try_open(&driver, -1, &diag), -LV_E_TIMEOUT);
    assert_non_null(strstr(diag.text, "login"));
    assert_null(driver);
    stop(&broker);
    start(&broker, later);
    driver = open_driver(-1);
    assert_int_equal(call(driver, LV_AMQP091_BASIC_QOS, &diag), -LV_E_TIMEOUT);
    assert_non_null(strstr(diag.text, "basic.qos"));
    assert_int_equal(lv_driver_close(driver, &diag), -LV_E_TIMEOUT);
    lv_driver_free(driver);
    stop(&broker);
}

static void a_broker_that_hangs_up_is_named(void **state)
{
    static const struct step steps[] = {HELLO, {HANG_UP, {0}}};
    struct lv_driver *driver;
    struct lv_diag diag = {.text = ""};
    char address[32];

    (void)state;
    start(&broker, steps);
    driver = open_driver(-1);
    hang_up(&broker);
    assert_int_equal(call(driver, LV_AMQP091_BASIC_QOS, &diag), -LV_E_CLOSED);
    snprintf(address, sizeof address, "127.0.0.1:%u", broker.port);
    assert_non_null(strstr(diag.text, address));
    assert_int_equal(lv_driver_wait(driver, LV_NEVER, &diag), -LV_E_CLOSED);
    assert_int_equal(publish(driver, 1, &diag), -LV_E_CLOSED);
    assert_int_equal(told[LV_ENGINE_CLOSED], 1);
    lv_driver_free(driver);
}

static void a_closed_channel_is_remembered_until_it_is_opened_again(void **state)
{
    static const struct step steps[] = {
        HELLO,
        {HEAR, {.id = LV_AMQP091_QUEUE_PURGE}},
        {SAY,
         {.id = LV_AMQP091_CHANNEL_CLOSE,
          .channel_close = {.reply_code = 404, .reply_text = {(const uint8_t *)"no queue", 8}}}},
        {HEAR, {.id = LV_AMQP091_CHANNEL_CLOSE_OK}},
        {HEAR, {.id = LV_AMQP091_CHANNEL_OPEN}},
        {SAY, {.id = LV_AMQP091_CHANNEL_OPEN_OK}},
        {HEAR, {.id = LV_AMQP091_BASIC_QOS}},
        {SAY, {.id = LV_AMQP091_BASIC_QOS_OK}},
        GOODBYE,
    };
    struct lv_driver *driver;
    struct lv_diag diag = {.text = ""};

    (void)state;
    start(&broker, steps);
    driver = open_driver(-1);
    assert_int_equal(call(driver, LV_AMQP091_QUEUE_PURGE, &diag), -LV_E_NOT_FOUND);
    assert_non_null(strstr(diag.text, "no queue"));
    assert_int_equal(call(driver, LV_AMQP091_BASIC_QOS, NULL), -LV_E_NOT_FOUND);
    assert_int_equal(publish(driver, 1, NULL), -LV_E_NOT_FOUND);
    assert_int_equal(call(driver, LV_AMQP091_CHANNEL_OPEN, NULL), 0);
    assert_int_equal(call(driver, LV_AMQP091_BASIC_QOS, NULL), 0);
    assert_int_equal(lv_driver_close(driver, NULL), 0);
    lv_driver_free(driver);
    stop(&broker);
}

static void messages_are_passed_on_while_waiting(void **state)
{
    static const struct step steps[] = {
        HELLO,
        {HEAR, {.id = LV_AMQP091_BASIC_CONSUME}},
        {SAY, {.id = LV_AMQP091_BASIC_CONSUME_OK}},
        {SAY_MESSAGE, {.id = LV_AMQP091_BASIC_DELIVER}},
        {HEAR, {.id = LV_AMQP091_BASIC_GET}},
        {SAY_MESSAGE, {.id = LV_AMQP091_BASIC_GET_OK}},
        GOODBYE,
    };
    struct lv_driver *driver;

    (void)state;
    start(&broker, steps);
    driver = open_driver(-1);
    assert_int_equal(call(driver, LV_AMQP091_BASIC_CONSUME, NULL), 0);
    while (told[LV_ENGINE_DELIVERED] == 0)
        assert_int_equal(lv_driver_wait(driver, lv_clock_now() + PATIENCE_MS * LV_NS_PER_MS, NULL),
                         1);
    assert_int_equal(call(driver, LV_AMQP091_BASIC_GET, NULL), 0);
    assert_int_equal(told[LV_ENGINE_GOT], 1);
    assert_int_equal(lv_driver_wait(driver, lv_clock_now(), NULL), 0);
    assert_int_equal(lv_driver_close(driver, NULL), 0);
    lv_driver_free(driver);
    stop(&broker);
}

static void confirms_are_waited_for_but_not_for_ever(void **state)
{
    static const struct step steps[] = {
        HELLO,
        {HEAR, {.id = LV_AMQP091_CONFIRM_SELECT}},
        {SAY, {.id = LV_AMQP091_CONFIRM_SELECT_OK}},
        {HEAR, {.id = LV_AMQP091_BASIC_PUBLISH}},
        {HEAR, {.id = LV_AMQP091_BASIC_PUBLISH}},
        {HEAR, {.id = LV_AMQP091_BASIC_PUBLISH}},
        {SAY, {.id = LV_AMQP091_BASIC_ACK, .basic_ack = {.delivery_tag = 2, .multiple = true}}},
        GOODBYE,
    };
    struct lv_driver *driver;
    struct lv_diag diag = {.text = ""};

    (void)state;
    start(&broker, steps);
    driver = open_driver(-1);
    assert_int_equal(call(driver, LV_AMQP091_CONFIRM_SELECT, NULL), 0);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(publish(driver, 100000, NULL), 0);
    assert_int_equal(lv_driver_await_confirms(driver, 1, 1, NULL), 0);
    assert_int_equal(told[LV_ENGINE_CONFIRMED], 1);
    assert_int_equal(lv_driver_await_confirms(driver, 1, 0, &diag), -LV_E_TIMEOUT);
    assert_non_null(strstr(diag.text, "confirms"));
    assert_int_equal(lv_driver_close(driver, NULL), 0);
    lv_driver_free(driver);
    stop(&broker);
}

static void a_blocked_publisher_waits_longer_than_the_timeout(void **state)
{
    static const struct step steps[] = {
        HELLO,
        {HEAR, {.id = LV_AMQP091_CONFIRM_SELECT}},
        {SAY, {.id = LV_AMQP091_CONFIRM_SELECT_OK}},
        {SAY, {.id = LV_AMQP091_CONNECTION_BLOCKED}},
        {HEAR, {.id = LV_AMQP091_BASIC_PUBLISH}},
        {PAUSE, {0}},
        {SAY, {.id = LV_AMQP091_BASIC_ACK, .basic_ack = {.delivery_tag = 1}}},
        GOODBYE,
    };
    struct lv_driver *driver;
    uint64_t began;

    (void)state;
    start(&broker, steps);
    driver = open_driver(-1);
    assert_int_equal(call(driver, LV_AMQP091_CONFIRM_SELECT, NULL), 0);
    while (told[LV_ENGINE_BLOCKED] == 0)
        assert_true(lv_driver_wait(driver, lv_clock_now() + PATIENCE_MS * LV_NS_PER_MS, NULL) >= 0);
    began = lv_clock_now();
    assert_int_equal(publish(driver, 1, NULL), 0);
    assert_int_equal(lv_driver_await_confirms(driver, 1, 0, NULL), 0);
    assert_true(lv_clock_now() - began > TIMEOUT_MS * LV_NS_PER_MS);
    assert_int_equal(lv_driver_close(driver, NULL), 0);
    lv_driver_free(driver);
    stop(&broker);
}

static void the_stop_descriptor_ends_every_wait(void **state)
{
    static const struct step steps[] = {HELLO, {END, {0}}};
    struct lv_driver *driver;
    struct lv_diag diag = {.text = ""};
    int stops[2], other[2];

    (void)state;
    assert_int_equal(pipe(stops), 0);
    assert_int_equal(pipe(other), 0);
    start(&broker, steps);
    driver = open_driver(stops[0]);
    assert_int_equal(write(other[1], "x", 1), 1);
    assert_int_equal(lv_driver_wait_fd(driver, other[0], NULL), 1);
    lv_driver_keep_alive(driver);
    assert_int_equal(write(stops[1], "x", 1), 1);
    assert_int_equal(lv_driver_wait(driver, LV_NEVER, &diag), -LV_E_STOPPED);
    assert_int_equal(call(driver, LV_AMQP091_BASIC_QOS, &diag), -LV_E_STOPPED);
    assert_int_equal(lv_driver_wait_fd(driver, other[0], &diag), -LV_E_STOPPED);
    lv_driver_free(driver);
    stop(&broker);
    for (int i = 0; i < 2; i++) {
        (void)close(stops[i]);
        (void)close(other[i]);
    }
}

static void a_port_without_a_broker_is_an_error_of_io(void **state)
{
    struct lv_driver *driver = NULL;
    struct lv_diag diag = {.text = ""};
    struct lv_address any;
    int fd;

    (void)state;
    assert_int_equal(lv_address_resolve("127.0.0.1", 0, &any, 1, NULL), 1);
    assert_int_equal(lv_socket_listen(&any, &fd, NULL), 0);
    broker.port = lv_socket_local(fd).port;
    lv_socket_close(fd); /* free a moment ago, so most likely still nobody's */
    assert_int_equal(try_open(&driver, -1, &diag), -LV_E_IO);
    assert_non_null(strstr(diag.text, "127.0.0.1"));
    assert_null(driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_connection_is_opened_used_and_closed, be_patient),
        cmocka_unit_test_setup(a_broker_that_says_nothing_is_given_up, be_impatient),
        cmocka_unit_test_setup(a_broker_that_hangs_up_is_named, be_patient),
        cmocka_unit_test_setup(a_closed_channel_is_remembered_until_it_is_opened_again, be_patient),
        cmocka_unit_test_setup(messages_are_passed_on_while_waiting, be_patient),
        cmocka_unit_test_setup(confirms_are_waited_for_but_not_for_ever, be_impatient),
        cmocka_unit_test_setup(a_blocked_publisher_waits_longer_than_the_timeout, be_impatient),
        cmocka_unit_test_setup(the_stop_descriptor_ends_every_wait, be_patient),
        cmocka_unit_test_setup(a_port_without_a_broker_is_an_error_of_io, be_patient),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
