#include "base/alloc.h"
#include "broker/core.h"
#include "broker/harness.h"
#include "broker/topology.h"

static struct lv_sim sim;
static struct lv_broker *broker;
static struct lv_diag diag;

static void begin(void)
{
    lv_sim_init(&sim, 1, 0);
    broker = sim.shards[0].broker;
}

static int apply(struct lv_change change)
{
    change.vhost = lv_text("/");
    return lv_topology_apply(broker, &change, &diag, NULL);
}

static int declare_queue(const char *name, uint64_t id, const struct lv_table *arguments)
{
    return apply((struct lv_change){.kind = LV_CHANGE_QUEUE_DECLARE,
                                    .name = lv_text(name),
                                    .queue_id = id,
                                    .arguments = arguments});
}

static int declare_exchange(const char *name, const struct lv_table *arguments)
{
    return apply((struct lv_change){.kind = LV_CHANGE_EXCHANGE_DECLARE,
                                    .name = lv_text(name),
                                    .other = lv_text("direct"),
                                    .auto_delete = true,
                                    .arguments = arguments});
}

static int bind(enum lv_change_kind kind, const char *queue, const char *exchange, const char *key,
                const struct lv_table *arguments)
{
    return apply((struct lv_change){.kind = kind,
                                    .name = lv_text(queue),
                                    .other = lv_text(exchange),
                                    .key = lv_text(key),
                                    .arguments = arguments});
}

static int delete (enum lv_change_kind kind, const char *name, uint64_t id)
{
    return apply((struct lv_change){.kind = kind, .name = lv_text(name), .queue_id = id});
}

static struct lv_queue_entry *queue(const char *name)
{
    return lv_vhost_queue(lv_topology_vhost(&broker->topology, lv_text("/")), lv_text(name));
}

static struct lv_exchange *exchange(const char *name)
{
    return lv_vhost_exchange(lv_topology_vhost(&broker->topology, lv_text("/")), lv_text(name));
}

static void a_vhost_is_born_with_its_exchanges(void **state)
{
    static const struct {
        const char *name, *type;
        bool internal;
    } born[] = {
        {"", "direct", false},
        {"amq.direct", "direct", false},
        {"amq.fanout", "fanout", false},
        {"amq.topic", "topic", false},
        {"amq.match", "headers", false},
        {"amq.headers", "headers", false},
        {"amq.rabbitmq.trace", "topic", true},
    };

    (void)state;
    begin();
    assert_int_equal(broker->topology.exchange_count, LV_COUNT(born));
    for (size_t i = 0; i < LV_COUNT(born); i++) {
        const struct lv_exchange *found = exchange(born[i].name);
        assert_non_null(found);
        assert_string_equal(lv_exchange_type_word(found->type), born[i].type);
        assert_true(found->durable);
        assert_int_equal(found->internal, born[i].internal);
        assert_int_equal(found->is_default, i == 0);
    }
    assert_null(lv_topology_vhost(&broker->topology, lv_text("other")));
    lv_sim_fini(&sim);
}

static void types_have_words(void **state)
{
    enum lv_exchange_type type;

    (void)state;
    assert_true(lv_exchange_type_parse(lv_text("headers"), &type));
    assert_int_equal(type, LV_EXCHANGE_HEADERS);
    assert_false(lv_exchange_type_parse(lv_text("Direct"), &type));
    assert_false(lv_exchange_type_parse(lv_text(""), &type));
}

/* Routes are kept by version, so whatever changes a route changes the version. */
static void every_change_has_a_version(void **state)
{
    uint64_t version;

    (void)state;
    begin();
#define CHANGES(what)                                                                              \
    version = broker->topology.version;                                                            \
    assert_int_equal(what, 0);                                                                     \
    assert_true(broker->topology.version > version)
#define CHANGES_NOTHING(what)                                                                      \
    version = broker->topology.version;                                                            \
    assert_int_equal(what, 0);                                                                     \
    assert_true(broker->topology.version == version)
    CHANGES(declare_queue("q", 64, NULL));
    CHANGES_NOTHING(declare_queue("q", 128, NULL));
    assert_int_equal(queue("q")->id, 64);
    CHANGES(declare_exchange("x", NULL));
    CHANGES_NOTHING(declare_exchange("x", NULL));
    CHANGES(bind(LV_CHANGE_BIND, "q", "x", "k", NULL));
    CHANGES_NOTHING(bind(LV_CHANGE_BIND, "q", "x", "k", NULL));
    CHANGES_NOTHING(bind(LV_CHANGE_UNBIND, "q", "x", "l", NULL));
    CHANGES(bind(LV_CHANGE_BIND, "q", "amq.fanout", "k", NULL));
    CHANGES(bind(LV_CHANGE_UNBIND, "q", "x", "k", NULL));
    assert_null(exchange("x")); /* it deletes itself */
    CHANGES(declare_exchange("x", NULL));
    CHANGES(delete (LV_CHANGE_EXCHANGE_DELETE, "x", 0));
    CHANGES_NOTHING(delete (LV_CHANGE_EXCHANGE_DELETE, "x", 0));
    CHANGES_NOTHING(delete (LV_CHANGE_QUEUE_DELETE, "q", 65)); /* another one of this name */
    CHANGES(delete (LV_CHANGE_QUEUE_DELETE, "q", 64));
    CHANGES_NOTHING(delete (LV_CHANGE_QUEUE_DELETE, "q", 0));
    assert_int_equal(broker->topology.binding_count, 0);
    lv_sim_fini(&sim);
}

static void what_is_bound_must_be_there(void **state)
{
    (void)state;
    begin();
    assert_int_equal(bind(LV_CHANGE_BIND, "q", "amq.direct", "k", NULL), -LV_E_NOT_FOUND);
    assert_string_equal(diag.text, "no queue 'q' in vhost '/'");
    assert_int_equal(bind(LV_CHANGE_BIND, "q", "x", "k", NULL), -LV_E_NOT_FOUND);
    assert_string_equal(diag.text, "no exchange 'x' in vhost '/'");
    assert_int_equal(declare_queue("q", 64, NULL), 0);
    assert_int_equal(bind(LV_CHANGE_BIND, "q", "x", "k", NULL), -LV_E_NOT_FOUND);
    assert_string_equal(diag.text, "no exchange 'x' in vhost '/'");
    lv_sim_fini(&sim);
}

static void what_is_unbound_need_not_be_there(void **state)
{
    (void)state;
    uint64_t version;

    begin();
    CHANGES_NOTHING(bind(LV_CHANGE_UNBIND, "q", "x", "k", NULL));
    CHANGES_NOTHING(bind(LV_CHANGE_UNBIND, "q", "amq.direct", "k", NULL));
    assert_int_equal(declare_queue("q", 64, NULL), 0);
    CHANGES_NOTHING(bind(LV_CHANGE_UNBIND, "q", "x", "k", NULL));
    lv_sim_fini(&sim);
}

static void peers_can_make_so_much_and_no_more(void **state)
{
    struct lv_topology_limits *limits;
    struct lv_sim_table memory;
    const struct lv_table *arguments;
    static char text[1000];

    (void)state;
    begin();
    limits = &broker->topology.limits;
    limits->queues = 2;
    limits->bindings = 1;
    limits->exchanges = broker->topology.exchange_count + 1;
    assert_int_equal(declare_queue("p", 64, NULL), 0);
    assert_int_equal(declare_queue("q", 128, NULL), 0);
    assert_int_equal(declare_queue("q", 128, NULL), 0);
    assert_int_equal(declare_queue("r", 192, NULL), -LV_E_PRECONDITION);
    assert_string_equal(diag.text,
                        "cannot declare queue 'r': queue limit in vhost '/' (2) is reached");
    assert_int_equal(declare_exchange("x", NULL), 0);
    assert_int_equal(declare_exchange("y", NULL), -LV_E_PRECONDITION);
    assert_string_equal(diag.text,
                        "cannot declare exchange 'y' in vhost '/': exchange limit of 8 is reached");
    assert_int_equal(bind(LV_CHANGE_BIND, "p", "x", "k", NULL), 0);
    assert_int_equal(bind(LV_CHANGE_BIND, "p", "x", "l", NULL), -LV_E_PRECONDITION);
    assert_string_equal(diag.text,
                        "cannot bind queue 'p' in vhost '/': binding limit of 1 is reached");
    assert_int_equal(delete (LV_CHANGE_QUEUE_DELETE, "p", 0), 0);
    assert_int_equal(bind(LV_CHANGE_BIND, "q", "amq.direct", "k", NULL), 0);
    assert_int_equal(declare_queue("r", 192, NULL), 0);

    limits->queues = limits->bindings = limits->exchanges = 100;
    limits->arguments_size = 2500;
    memset(text, 'x', sizeof text - 1);
    arguments = lv_sim_table(&memory, "a", lv_sim_string(text));
    assert_int_equal(declare_queue("s", 256, arguments), 0);
    assert_int_equal(declare_exchange("z", arguments), 0);
    assert_int_equal(declare_exchange("zz", arguments), -LV_E_RESOURCE);
    assert_string_equal(diag.text, "arguments of all kinds exceed 2500 bytes");
    assert_int_equal(declare_queue("ss", 320, arguments), -LV_E_RESOURCE);
    assert_int_equal(bind(LV_CHANGE_BIND, "s", "z", "k", arguments), -LV_E_RESOURCE);
    assert_int_equal(delete (LV_CHANGE_EXCHANGE_DELETE, "z", 0), 0);
    assert_int_equal(bind(LV_CHANGE_BIND, "s", "amq.direct", "k", arguments), 0);
    assert_int_equal(delete (LV_CHANGE_QUEUE_DELETE, "s", 0), 0);
    assert_int_equal(broker->topology.arguments_size, 0);
    lv_sim_fini(&sim);
}

static void a_change_without_memory_changes_nothing(void **state)
{
    struct lv_sim_table memory;
    const struct lv_table *arguments =
        lv_sim_table(&memory, "name", lv_sim_string("a value of some length"));

    (void)state;
    begin();
    for (int step = 0; step < 30; step++) {
        char name[16];
        (void)snprintf(name, sizeof name, "%d", step);
        for (int kind = 0; kind < 3; kind++)
            for (uint64_t after = 1;; after++) {
                uint64_t version = broker->topology.version;
                lv_alloc_fail_after(after, 1);
                int rc = kind == 0   ? declare_queue(name, 64u * (uint64_t)(step + 1), arguments)
                         : kind == 1 ? declare_exchange(name, arguments)
                                     : bind(LV_CHANGE_BIND, name, name, "k", arguments);
                lv_alloc_fail_after(0, 0);
                if (rc == 0)
                    break;
                assert_int_equal(rc, -LV_E_NOMEM);
                assert_true(version == broker->topology.version);
                assert_true(after < 20);
            }
    }
    assert_int_equal(broker->topology.queue_count, 30);
    assert_int_equal(broker->topology.binding_count, 30);
    lv_sim_fini(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_vhost_is_born_with_its_exchanges),
        cmocka_unit_test(types_have_words),
        cmocka_unit_test(every_change_has_a_version),
        cmocka_unit_test(what_is_bound_must_be_there),
        cmocka_unit_test(what_is_unbound_need_not_be_there),
        cmocka_unit_test(peers_can_make_so_much_and_no_more),
        cmocka_unit_test(a_change_without_memory_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
