#include "admin/slice.h"

#include "broker/harness.h"

#include <string.h>

static struct lv_slice slice;

/* All columns that the list has. */
static void begin(enum lv_list_kind kind)
{
    lv_rows_fini(&slice.rows);
    slice = (struct lv_slice){.kind = kind, .vhost = lv_text("/")};
    while (lv_list_rows[kind].columns[slice.column_count] != NULL) {
        slice.columns[slice.column_count] = (uint8_t)slice.column_count;
        slice.column_count++;
    }
}

static bool has(const char *row)
{
    assert_true(slice.rows.size > 0);
    return memmem(slice.rows.text, slice.rows.size, row, strlen(row)) != NULL;
}

static int forget(void **state)
{
    (void)state;
    lv_rows_fini(&slice.rows);
    return 0;
}

static void every_column_of_a_queue_has_its_value(void **state)
{
    struct lv_sim sim;
    struct lv_sim_client a;
    struct lv_sim_table table;

    (void)state;
    lv_sim_init(&sim, 1, 0);
    lv_sim_client_open(&a, &sim, 0);
    lv_sim_declare_args(&a, "q", "xa", lv_sim_table(&table, "x", lv_sim_integer(LV_TYPE_I32, 7)));
    lv_sim_publish(&a, "", "q", "m");
    lv_sim_publish(&a, "", "q", "m");
    lv_sim_get(&a, "q", "");
    lv_sim_settle(&sim);
    begin(LV_LIST_QUEUE);
    while (!slice.is_over)
        lv_slice_fill(&slice, sim.shards[0].broker);
    assert_int_equal(slice.rows.count, 1);
    assert_true(has("[\"q\",false,true,[[\"x\",\"signedint\",7]],\"\",\"<leveret.1."));
    assert_true(has(",\"<leveret.0."));
    assert_true(has(",true,1,1,2,0,"));
    assert_true(has(",\"running\",\"classic\"]\n"));
    lv_sim_client_fini(&a);
    lv_sim_fini(&sim);
}

static void every_column_of_exchanges_and_bindings_has_its_value(void **state)
{
    struct lv_sim sim;
    struct lv_sim_client a;
    struct lv_sim_table table;

    (void)state;
    lv_sim_init(&sim, 1, 0);
    lv_sim_client_open(&a, &sim, 0);
    lv_sim_exchange_args(&a, "x", "topic", "ai",
                         lv_sim_table(&table, "alternate-exchange", lv_sim_string("amq.fanout")));
    lv_sim_declare(&a, "q", "");
    lv_sim_bind_args(&a, "q", "x", "a.#", lv_sim_table(&table, "k", lv_sim_string("v")));
    lv_sim_link(&a, "amq.direct", "x", "y", NULL);
    lv_sim_settle(&sim);
    begin(LV_LIST_EXCHANGE);
    while (!slice.is_over)
        lv_slice_fill(&slice, sim.shards[0].broker);
    assert_int_equal(slice.rows.count, 8);
    assert_true(has("[\"x\",\"topic\",false,true,true,"
                    "[[\"alternate-exchange\",\"longstr\",\"amq.fanout\"]],\"\"]\n"));
    assert_true(has("[\"\",\"direct\",true,false,false,[],\"\"]\n"));
    begin(LV_LIST_BINDING);
    while (!slice.is_over)
        lv_slice_fill(&slice, sim.shards[0].broker);
    assert_int_equal(slice.rows.count, 3);
    assert_true(has("[\"x\",\"exchange\",\"q\",\"queue\",\"a.#\",[[\"k\",\"longstr\",\"v\"]]]\n"));
    assert_true(has("[\"\",\"exchange\",\"q\",\"queue\",\"q\",[]]\n"));
    assert_true(has("[\"amq.direct\",\"exchange\",\"x\",\"exchange\",\"y\",[]]\n"));
    lv_sim_client_fini(&a);
    lv_sim_fini(&sim);
}

static struct lv_connection_view connection_view(void)
{
    struct lv_connection_view view = {
        .state = "running",
        .mechanism = "PLAIN",
        .user = lv_text("u"),
        .vhost = lv_text("v"),
        .client = 65,
        .connected_ms = 1700000000123,
        .send_pending = 9,
        .channels = 3,
        .frame_max = 131072,
        .channel_max = 2047,
        .heartbeat_s = 60,
    };
    struct lv_endpoint endpoint;

    assert_int_equal(lv_endpoint_parse("127.0.0.1:5000", &endpoint, NULL), 0);
    assert_int_equal(lv_address_resolve(endpoint.host, endpoint.port, &view.peer, 1, NULL), 1);
    assert_int_equal(lv_endpoint_parse("[::1]:5672", &endpoint, NULL), 0);
    assert_int_equal(lv_address_resolve(endpoint.host, endpoint.port, &view.local, 1, NULL), 1);
    return view;
}

static void every_column_of_a_connection_has_its_value(void **state)
{
    struct lv_connection_view view = connection_view();

    (void)state;
    begin(LV_LIST_CONNECTION);
    lv_slice_connection(&slice, &view);
    view.client = 0; /* not open yet */
    lv_slice_connection(&slice, &view);
    assert_int_equal(slice.rows.count, 2);
    assert_true(has("[\"<leveret.0.65.0>\",\"127.0.0.1:5000 -> [::1]:5672\",5672,"
                    "[0,0,0,0,0,0,0,1],5000,[127,0,0,1],false,\"running\",3,[0,9,1],\"PLAIN\","
                    "\"u\",\"v\",60,131072,2047,[],1700000000123,9]\n"));
    assert_true(has("[\"\",\"127.0.0.1:5000"));
}

static void every_column_of_channels_and_consumers_has_its_value(void **state)
{
    struct lv_sim sim;
    struct lv_sim_client a;
    struct lv_connection_view view = connection_view();
    char row[256];

    (void)state;
    lv_sim_init(&sim, 1, 0);
    lv_sim_client_open(&a, &sim, 0);
    lv_sim_declare(&a, "q", "");
    lv_sim_settle(&sim);
    lv_channel_qos(a.channels[0].core, 5, false);
    lv_sim_consume(&a, "q", "tag", "n");
    lv_sim_settle(&sim);
    view.client = lv_inspect_client(a.core).id;
    begin(LV_LIST_CHANNEL);
    lv_slice_channel(&slice, &view, a.channels[0].core, 7);
    snprintf(row, sizeof row,
             "[\"<leveret.0.%llu.7>\",\"<leveret.0.%llu.0>\",\"127.0.0.1:5000 -> [::1]:5672 (7)\","
             "7,\"guest\",\"/\",false,false,1,0,0,0,0,5,0]\n",
             (unsigned long long)view.client, (unsigned long long)view.client);
    assert_true(has(row));
    begin(LV_LIST_CONSUMER);
    assert_false(lv_slice_consumers(&slice, &view, a.channels[0].core, 7));
    snprintf(row, sizeof row, "[\"q\",\"<leveret.0.%llu.7>\",\"tag\",false,5,true,\"up\",[]]\n",
             (unsigned long long)view.client);
    assert_true(has(row));
    lv_sim_client_fini(&a);
    lv_sim_fini(&sim);
}

/* However many there are, a slice stays small. */
static void a_slice_ends_at_a_thousand_rows_or_a_quarter_of_a_mebibyte(void **state)
{
    struct lv_sim sim;
    struct lv_sim_client a;
    char name[255];
    uint64_t total = 0, slices = 0;

    (void)state;
    lv_sim_init(&sim, 1, 0);
    lv_sim_client_open(&a, &sim, 0);
    for (int i = 0; i < 2500; i++) {
        snprintf(name, sizeof name, "q%d", i);
        lv_sim_declare(&a, name, "");
        lv_sim_settle(&sim);
    }
    begin(LV_LIST_QUEUE);
    slice.column_count = 1; /* the name */
    for (; !slice.is_over; slices++) {
        lv_rows_reset(&slice.rows);
        lv_slice_fill(&slice, sim.shards[0].broker);
        assert_true(slice.rows.count <= LV_SLICE_ROWS);
        total += slice.rows.count;
    }
    assert_int_equal(total, 2500);
    assert_true(slices >= 3);
    begin(LV_LIST_QUEUE);
    memset(slice.columns, LV_COLUMN_QUEUE_PID, sizeof slice.columns);
    slice.column_count = LV_COLUMNS_MAX; /* 900 bytes for each row */
    for (total = 0; !slice.is_over;) {
        lv_rows_reset(&slice.rows);
        lv_slice_fill(&slice, sim.shards[0].broker);
        assert_true(slice.rows.size < LV_SLICE_SIZE + 2000);
        total += slice.rows.count;
    }
    assert_int_equal(total, 2500);
    lv_sim_client_fini(&a);
    lv_sim_fini(&sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(every_column_of_a_queue_has_its_value, forget),
        cmocka_unit_test_teardown(every_column_of_exchanges_and_bindings_has_its_value, forget),
        cmocka_unit_test_teardown(every_column_of_a_connection_has_its_value, forget),
        cmocka_unit_test_teardown(every_column_of_channels_and_consumers_has_its_value, forget),
        cmocka_unit_test_teardown(a_slice_ends_at_a_thousand_rows_or_a_quarter_of_a_mebibyte,
                                  forget),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
