#include "broker/restore.h"

#include "base/alloc.h"
#include "broker/lives.h"

/* A record as it lies in a log. */
struct record {
    struct lv_record_head head;
    union {
        struct lv_record_place places[2];
        struct {
            struct lv_record_queue queue;
            struct lv_record_range ranges[3];
        } gone;
        uint8_t bytes[256];
    } payload;
};

static struct record gone(const struct lv_lives *lives, uint64_t low, uint64_t next)
{
    struct record record = {.head = {.kind = LV_RECORD_SETTLE, .size = sizeof record.payload}};

    record.payload.gone.queue = (struct lv_record_queue){
        .queue_id = lv_lives_queue(lives, "q")->entry->id, .low = low, .next = next};
    return record;
}

static void add_range(struct record *record, uint64_t from, uint64_t to)
{
    record->payload.gone.ranges[record->head.count++] =
        (struct lv_record_range){.from = from, .to = to};
}

static int restore_gone(struct lv_lives *lives, const struct record *record)
{
    return lv_broker_restore_gone(lives->broker, &record->head, record->payload.bytes);
}

/* Into the log and from there to the queue. */
static int restore_message(struct lv_lives *lives, uint64_t queue_id, uint64_t seq, bool is_clean)
{
    const struct lv_record_place place = {.queue_id = queue_id, .seq = seq};
    const struct lv_message message = {.key = lv_text("q"), .body = lv_text("x")};
    struct lv_record_head head = {.kind = LV_RECORD_MESSAGE, .count = 1};
    uint64_t lsn;
    void *payload;

    head.size = (uint32_t)sizeof place + lv_message_record_size(&message);
    assert_int_equal(lv_log_append(lives->log, LV_RECORD_MESSAGE, 0, head.size, &lsn, &payload), 0);
    memcpy(payload, &place, sizeof place);
    lv_message_write(&message, (uint8_t *)payload + sizeof place);
    return lv_broker_restore_message(lives->broker, lsn, &head, payload, is_clean);
}

static const struct lv_kept *kept(const struct lv_lives *lives)
{
    return lv_lives_queue(lives, "q")->kept;
}

static uint64_t id_of(const struct lv_lives *lives)
{
    return lv_lives_queue(lives, "q")->entry->id;
}

static void records_of_queues_that_are_not_here_mean_nothing(void **state)
{
    struct lv_lives lives;
    struct record record;
    const uint64_t transient = 1;

    (void)state;
    lv_lives_begin(&lives);
    record = gone(&lives, 5, 9);
    record.payload.gone.queue.queue_id += 100 * LV_SHARDS_MAX;
    assert_int_equal(restore_gone(&lives, &record), 0);
    record.payload.gone.queue.queue_id = lv_lives_queue(&lives, "t")->entry->id; /* keeps nothing */
    assert_int_equal(restore_gone(&lives, &record), 0);
    assert_int_equal(restore_message(&lives, id_of(&lives) + 100 * LV_SHARDS_MAX, 3, true), 0);
    assert_int_equal(
        restore_message(&lives, lv_lives_queue(&lives, "t")->entry->id, transient, true), 0);
    assert_int_equal(lives.broker->stats.ready, 0);
    assert_int_equal(lv_log_held(lives.log, UINT64_MAX), 0);
    assert_null(kept(&lives));
    lv_lives_end(&lives);
}

static void what_is_gone_adds_up(void **state)
{
    struct lv_lives lives;
    struct record record;

    (void)state;
    lv_lives_begin(&lives);
    record = gone(&lives, 5, 30);
    add_range(&record, 10, 12);
    add_range(&record, 20, 20);
    assert_int_equal(restore_gone(&lives, &record), 0);
    record = gone(&lives, 3, 25); /* an older one says less */
    add_range(&record, 13, 14);
    assert_int_equal(restore_gone(&lives, &record), 0);
    assert_int_equal(restore_gone(&lives, &record), 0); /* twice is fine */
    assert_int_equal(kept(&lives)->gone.low, 5);
    assert_int_equal(lv_lives_queue(&lives, "q")->next_seq, 30);
    for (uint64_t seq = 0; seq < 30; seq++)
        assert_int_equal(lv_seqs_has(&kept(&lives)->gone, seq),
                         seq < 5 || (seq >= 10 && seq <= 14) || seq == 20);
    lv_lives_end(&lives);
}

/* Between messages, before the first and behind the last. */
static void numbers_without_a_message_are_gone(void **state)
{
    struct lv_lives lives;
    struct record record;

    (void)state;
    lv_lives_begin(&lives);
    record = gone(&lives, 0, 100);
    add_range(&record, 40, 40);
    assert_int_equal(restore_gone(&lives, &record), 0);
    for (uint64_t seq = 7; seq <= 70; seq += seq == 20 ? 20 : 1)
        if (seq <= 10 || seq == 20 || seq == 40 || seq == 70)
            assert_int_equal(restore_message(&lives, id_of(&lives), seq, true), 0);
    assert_int_equal(lv_broker_restored(lives.broker, true), 0);
    assert_int_equal(kept(&lives)->live_count, 6);
    assert_int_equal(kept(&lives)->gone.low, 7);
    for (uint64_t seq = 0; seq < 100; seq++)
        assert_int_equal(lv_seqs_has(&kept(&lives)->gone, seq),
                         !((seq >= 7 && seq <= 10) || seq == 20 || seq == 70));
    assert_int_equal(lives.broker->stats.ready, 6);
    assert_int_equal(lv_log_held(lives.log, UINT64_MAX), 6);
    lv_lives_expect(&lives, "q", "x x x x x x");
    assert_int_equal(kept(&lives)->gone.low, 100);
    lv_lives_end(&lives);
}

/* As of a queue that has seen billions: neither time nor memory for each of them. */
static void large_numbers_cost_nothing(void **state)
{
    struct lv_lives lives;
    struct record record;
    const uint64_t many = (uint64_t)1 << 40;

    (void)state;
    lv_lives_begin(&lives);
    assert_int_equal(restore_message(&lives, id_of(&lives), many, true), 0);
    record = gone(&lives, 0, many + 8000000);
    assert_int_equal(restore_gone(&lives, &record), 0);
    assert_int_equal(restore_message(&lives, id_of(&lives), many + 4000000, true), 0);
    assert_int_equal(lv_broker_restored(lives.broker, true), 0);
    assert_int_equal(kept(&lives)->gone.low, many);
    assert_true(kept(&lives)->gone.memory_size < 100000);
    lv_lives_expect(&lives, "q", "x x");
    lv_lives_end(&lives);
}

static void a_message_that_is_gone_is_not_held(void **state)
{
    struct lv_lives lives;
    struct record record;

    (void)state;
    lv_lives_begin(&lives);
    record = gone(&lives, 3, 5);
    assert_int_equal(restore_gone(&lives, &record), 0);
    for (uint64_t seq = 0; seq < 5; seq++)
        assert_int_equal(restore_message(&lives, id_of(&lives), seq, true), 0);
    assert_int_equal(lv_log_held(lives.log, UINT64_MAX), 2);
    assert_int_equal(kept(&lives)->live_count, 2);
    assert_int_equal(lv_broker_restored(lives.broker, true), 0);
    lv_lives_end(&lives);
}

static void every_allocation_may_fail(void **state)
{
    unsigned failed = 0;

    (void)state;
    for (uint64_t after = 1; after < 12; after++) {
        struct lv_lives lives;
        struct record record;
        int rc;

        lv_lives_begin(&lives);
        record = gone(&lives, 3, 50);
        add_range(&record, 10, 20);
        lv_alloc_fail_after(after, 0);
        rc = restore_gone(&lives, &record);
        if (rc == 0)
            rc = restore_message(&lives, id_of(&lives), 9, true);
        if (rc == 0)
            rc = restore_message(&lives, id_of(&lives), 40, true);
        if (rc == 0)
            rc = lv_broker_restored(lives.broker, true);
        lv_alloc_fail_after(0, 0);
        assert_true(rc == 0 || rc == -LV_E_NOMEM);
        failed += rc < 0;
        lv_lives_end(&lives);
    }
    assert_true(failed > 2);
}

static void see_last(void *ctx, uint64_t lsn, const struct lv_record_head *head,
                     const uint8_t *payload)
{
    (void)lsn;
    (void)payload;
    *(uint8_t *)ctx = head->kind;
}

static void the_mark_of_a_clean_end_is_the_last_record(void **state)
{
    struct lv_lives lives;
    uint8_t kind = 0;

    (void)state;
    lv_lives_begin(&lives);
    lv_lives_publish_many(&lives, "q", 1, 3);
    assert_int_equal(lv_broker_log_clean(lives.broker), 0);
    lv_lives_sync(&lives);
    lv_log_each(lives.log, UINT64_MAX, false, see_last, &kind);
    assert_int_equal(kind, LV_RECORD_CLEAN);
    lv_lives_end(&lives);
}

/* What might have been delivered in one life stays marked in all that follow. */
static void marks_survive_any_row_of_restarts(void **state)
{
    struct lv_lives lives;

    (void)state;
    lv_lives_begin(&lives);
    lv_lives_publish_many(&lives, "q", 1, 2);
    lv_lives_sync(&lives);
    lv_lives_restart(&lives, false);
    lv_lives_publish_many(&lives, "q", 3, 4);
    lv_lives_restart(&lives, true);
    lv_lives_restart(&lives, true);
    lv_lives_spill(&lives);
    lv_lives_publish_many(&lives, "q", 5, 5);
    lv_lives_restart(&lives, true);
    lv_sim_get(&lives.a, "q", "");
    lv_lives_read(&lives);
    assert_hears(&lives.a, "get-ok #1 1 again, 4 left");
    lv_lives_expect(&lives, "q", "2! 3 4 5");
    lv_lives_end(&lives);
}

/* Loaded, and delivered to nobody when the broker stopped. */
static void what_was_only_read_ahead_was_not_delivered(void **state)
{
    struct lv_lives lives;

    (void)state;
    lv_lives_begin(&lives);
    lv_lives_publish_many(&lives, "q", 1, 9);
    lv_lives_spill(&lives);
    lives.load_size = 5;
    lv_sim_get(&lives.a, "q", "n");
    lv_lives_read(&lives);
    assert_hears(&lives.a, "get-ok #1 1, 8 left");
    lv_lives_restart(&lives, true);
    lv_lives_expect(&lives, "q", "2 3 4 5 6 7 8 9");
    lv_lives_end(&lives);
}

/* The numbers of queues go on: what the disk says of an old one is never taken for a new one's. */
static void a_queue_declared_after_a_restart_has_a_number_of_its_own(void **state)
{
    struct lv_lives lives;
    uint64_t id;

    (void)state;
    lv_lives_begin(&lives);
    lv_lives_publish_many(&lives, "q", 1, 3);
    id = id_of(&lives);
    lv_lives_sync(&lives);
    lv_lives_restart(&lives, false);
    assert_int_equal(id_of(&lives), id);
    lv_sim_declare(&lives.a, "r", "d");
    lv_lives_sync(&lives);
    assert_hears(&lives.a, "declare-ok r 0 0");
    assert_true(lv_lives_queue(&lives, "r")->entry->id > id);
    lv_lives_end(&lives);
}

/* Its block was hashed with it: the fault is of who wrote it, but a start must survive it. */
static void a_record_that_contradicts_itself_is_damage(void **state)
{
    static const struct lv_record_range wrong[] = {{8, 7}, {3, 9}, {9, 9}, {4, UINT64_MAX}};
    struct lv_lives lives;
    struct record record;
    struct {
        struct lv_record_queue queue;
        struct lv_record_bits bits;
        uint64_t words[2];
    } payload;
    const struct lv_record_head bits = {.kind = LV_RECORD_BITS, .count = 2, .size = sizeof payload};

    (void)state;
    lv_lives_begin(&lives);
    for (size_t i = 0; i < LV_COUNT(wrong); i++) {
        record = gone(&lives, 2, 9);
        add_range(&record, wrong[i].from, wrong[i].to);
        assert_int_equal(restore_gone(&lives, &record), -LV_E_CORRUPT);
    }
    record = gone(&lives, 10, 9);
    assert_int_equal(restore_gone(&lives, &record), -LV_E_CORRUPT);
    record = gone(&lives, 0, UINT64_MAX);
    assert_int_equal(restore_gone(&lives, &record), -LV_E_CORRUPT);
    payload.queue = (struct lv_record_queue){.queue_id = id_of(&lives), .low = 2, .next = 150};
    for (size_t i = 0; i < 4; i++) {
        payload.bits.from = i == 0 ? 32 : i == 1 ? UINT64_MAX - 63 : 64;
        payload.words[0] = 1;
        payload.words[1] = i == 2 ? UINT64_C(1) << 22 : UINT64_C(1) << 21;
        assert_int_equal(
            lv_broker_restore_gone(lives.broker, &bits, (const uint8_t *)(const void *)&payload),
            i == 3 ? 0 : -LV_E_CORRUPT);
    }
    assert_true(lv_seqs_has(&kept(&lives)->gone, 64) && lv_seqs_has(&kept(&lives)->gone, 149));
    assert_int_equal(lv_seqs_count(&kept(&lives)->gone, 2, 149), 2);
    assert_int_equal(restore_message(&lives, id_of(&lives), LV_SEQ_MAX, true), -LV_E_CORRUPT);
    lv_lives_end(&lives);
}

/* As of a segment that somebody has put back. */
static void a_run_that_does_not_follow_the_one_before_is_damage(void **state)
{
    static const uint64_t wrong[][2] = {{3, 9}, {9, 12}, {20, 19}, {20, LV_SEQ_MAX}};
    struct lv_lives lives;
    struct lv_segment_run run;

    (void)state;
    lv_lives_begin(&lives);
    run = (struct lv_segment_run){
        .queue_id = id_of(&lives), .first_seq = 3, .last_seq = 9, .count = 7};
    assert_int_equal(lv_broker_restore_run(lives.broker, 1, &run), 0);
    for (size_t i = 0; i < LV_COUNT(wrong); i++) {
        run.first_seq = wrong[i][0];
        run.last_seq = wrong[i][1];
        assert_int_equal(lv_broker_restore_run(lives.broker, 2, &run), -LV_E_CORRUPT);
    }
    run.first_seq = run.last_seq = 10;
    run.count = 1;
    assert_int_equal(lv_broker_restore_run(lives.broker, 2, &run), 0);
    assert_int_equal(lv_queue_ready_count(lv_lives_queue(&lives, "q")), 8);
    lv_lives_end(&lives);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_that_contradicts_itself_is_damage),
        cmocka_unit_test(a_run_that_does_not_follow_the_one_before_is_damage),
        cmocka_unit_test(records_of_queues_that_are_not_here_mean_nothing),
        cmocka_unit_test(what_is_gone_adds_up),
        cmocka_unit_test(numbers_without_a_message_are_gone),
        cmocka_unit_test(large_numbers_cost_nothing),
        cmocka_unit_test(a_message_that_is_gone_is_not_held),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(the_mark_of_a_clean_end_is_the_last_record),
        cmocka_unit_test(marks_survive_any_row_of_restarts),
        cmocka_unit_test(what_was_only_read_ahead_was_not_delivered),
        cmocka_unit_test(a_queue_declared_after_a_restart_has_a_number_of_its_own),
    };

    return cmocka_run_group_tests_name("restore", tests, NULL, NULL);
}
