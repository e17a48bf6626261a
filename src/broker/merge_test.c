#include "broker/merge.h"

#include "base/random.h"
#include "broker/lives.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Segments of the row that most tests merge, and messages in each. */
#define ROW    10u
#define LENGTH 20u

/* ---- what the server does ---- */

static void add_copy(struct lv_lives_segment *to, const struct lv_segment_entry *entry)
{
    uint8_t *data = malloc(entry->size + 1);

    assert_non_null(data);
    memcpy(data, entry->data, entry->size);
    to->entries = realloc(to->entries, (to->count + 1) * sizeof *entry);
    assert_non_null(to->entries);
    to->entries[to->count] = *entry;
    to->entries[to->count++].data = data;
}

static void clear(struct lv_lives_segment *segment)
{
    for (uint64_t i = 0; i < segment->count; i++) {
        void *data;
        memcpy(&data, &segment->entries[i].data, sizeof data);
        free(data);
    }
    free(segment->entries);
    *segment = (struct lv_lives_segment){0};
}

static int compare(const void *left, const void *right)
{
    const struct lv_segment_entry *a = left, *b = right;

    if (a->queue_id != b->queue_id)
        return a->queue_id < b->queue_id ? -1 : 1;
    return a->seq < b->seq ? -1 : a->seq > b->seq;
}

static void collect(struct lv_lives *lives, struct lv_merge *merge)
{
    int rc;

    while ((rc = lv_merge_collect(lives->broker, merge)) == 0)
        ;
    assert_int_equal(rc, 1);
}

/* What is wanted of the sources is in the last of them, as a rename leaves it. */
static uint64_t write(struct lv_lives *lives, struct lv_merge *merge)
{
    uint64_t last = merge->numbers[merge->source_count - 1];
    struct lv_lives_segment merged = {0};

    assert_true(lv_merge_is_due(lives->broker, merge));
    lv_merge_prepare(merge);
    for (uint32_t i = 0; i < merge->source_count; i++) {
        const struct lv_lives_segment *source = &lives->segments[merge->numbers[i]];
        for (uint64_t j = 0; j < source->count; j++) {
            const struct lv_segment_entry *entry = &source->entries[j];
            if (lv_merge_wanted(merge, entry->queue_id, entry->seq, entry->flags))
                add_copy(&merged, entry);
        }
        if (source->covers > merged.covers)
            merged.covers = source->covers;
    }
    if (merged.count == 0)
        return 0;
    qsort(merged.entries, merged.count, sizeof *merged.entries, compare);
    clear(&lives->segments[last]);
    lives->segments[last] = merged;
    return merged.count;
}

static void end(struct lv_lives *lives, struct lv_merge *merge, enum lv_merge_result result,
                uint64_t count)
{
    const struct lv_segment_merging merging = {.count = count, .size = 100 * count};
    uint32_t source_count = merge->source_count;
    uint64_t numbers[LV_MERGE_SOURCES_MAX];

    memcpy(numbers, merge->numbers, sizeof numbers);
    lv_merge_end(lives->broker, merge, result, &merging);
    for (uint32_t i = 0; result == LV_MERGE_DONE && i + 1 < source_count; i++)
        clear(&lives->segments[numbers[i]]);
}

static void switch_all(struct lv_lives *lives, struct lv_merge *merge)
{
    while (!lv_merge_switch(lives->broker, merge))
        ;
}

/* From the beginning to the end; how many messages the new segment has. */
static uint64_t merge_all(struct lv_lives *lives)
{
    struct lv_merge merge;
    uint64_t count;

    lv_lives_sync(lives);
    assert_true(lv_merge_begin(lives->broker, &merge));
    collect(lives, &merge);
    lv_lives_sync(lives);
    count = write(lives, &merge);
    if (count > 0)
        switch_all(lives, &merge);
    end(lives, &merge, count > 0 ? LV_MERGE_DONE : LV_MERGE_EMPTY, count);
    lv_lives_sync(lives);
    return count;
}

/* ---- scenes ---- */

/* A row of segments of "q", all delivered and not settled: the tag of message n is n. */
static void begin_row(struct lv_lives *lives)
{
    lv_lives_begin(lives);
    lv_sim_consume(&lives->a, "q", "c", "");
    for (unsigned i = 0; i < ROW; i++) {
        lv_lives_publish_many(lives, "q", LENGTH * i + 1, LENGTH * i + LENGTH);
        (void)lv_sim_heard(&lives->a);
        lv_lives_spill(lives);
    }
    lv_sim_cancel(&lives->a, "c");
    (void)lv_sim_heard(&lives->a);
    assert_int_equal(lv_lives_segment_count(lives), ROW);
}

static void ack(struct lv_lives *lives, unsigned from, unsigned to)
{
    for (unsigned i = from; i <= to; i++)
        lv_sim_settle_tag(&lives->a, i, "a");
}

/* Of each segment the first message is left. */
static void thin_out(struct lv_lives *lives)
{
    for (unsigned i = 0; i < ROW; i++)
        ack(lives, LENGTH * i + 2, LENGTH * i + LENGTH);
    lv_lives_sync(lives);
}

static const char *left_of_row(const char *mark)
{
    static char text[256];
    size_t at = 0;

    for (unsigned i = 0; i < ROW; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%u%s", i > 0 ? " " : "",
                               LENGTH * i + 1, mark);
    return text;
}

static const struct lv_cold *cold(const struct lv_lives *lives)
{
    return lv_lives_queue(lives, "q")->cold;
}

/* ---- tests ---- */

static void sparse_neighbours_become_one_segment(void **state)
{
    struct lv_lives lives;

    (void)state;
    for (int way = 0; way < 3; way++) {
        begin_row(&lives);
        assert_int_equal(cold(&lives)->count, ROW);
        thin_out(&lives);
        assert_int_equal(merge_all(&lives), ROW);
        assert_int_equal(lv_lives_segment_count(&lives), 1);
        assert_non_null(lives.segments[ROW].entries);
        assert_int_equal(cold(&lives)->count, 1);
        assert_int_equal(cold(&lives)->runs[0].first, 0);
        assert_int_equal(cold(&lives)->runs[0].live_count, ROW);
        if (way == 0) {
            lv_sim_settle_tag(&lives.a, LENGTH * (ROW - 1) + 1, "q+");
            lv_lives_expect(&lives, "q", left_of_row("!"));
        } else {
            lv_lives_restart(&lives, way == 1);
            lv_lives_expect(&lives, "q", left_of_row("!"));
        }
        lv_lives_sync(&lives);
        assert_int_equal(lv_lives_segment_count(&lives), 0);
        assert_int_equal(lives.broker->stats.ready, 0);
        lv_lives_end(&lives);
    }
}

static void what_waits_is_loaded_from_the_new_segment(void **state)
{
    struct lv_lives lives;

    (void)state;
    begin_row(&lives);
    thin_out(&lives);
    lv_lives_restart(&lives, true); /* all that is left waits in segments */
    assert_int_equal(cold(&lives)->waiting_count, ROW);
    lv_lives_publish_many(&lives, "q", 1000, 1000);
    assert_int_equal(merge_all(&lives), ROW);
    assert_int_equal(cold(&lives)->waiting_count, ROW);
    lv_sim_get(&lives.a, "q", "n");
    lv_lives_read(&lives);
    assert_hears(&lives.a, "get-ok #1 1 again, 10 left");
    lv_lives_sync(&lives);
    lv_lives_restart(&lives, false);
    lv_lives_expect(&lives, "q", "21! 41! 61! 81! 101! 121! 141! 161! 181! 1000!");
    lv_lives_end(&lives);
}

static void segments_with_much_left_stay_as_they_are(void **state)
{
    struct lv_lives lives;
    struct lv_merge merge;

    (void)state;
    begin_row(&lives);
    LV_LIST_EACH(&lives.broker->segments, link)
    lv_container(link, struct lv_segment_use, link)->size = 2u << 20; /* not small ones */
    for (unsigned i = 0; i < ROW; i++)
        ack(&lives, LENGTH * i + 1, LENGTH * i + LENGTH / 2);
    assert_false(lv_merge_begin(lives.broker, &merge));
    assert_false(lv_merge_is_worth_a_look(lives.broker));
    for (unsigned i = 0; i < ROW; i++)
        if (i != 4)
            ack(&lives, LENGTH * i + LENGTH / 2 + 1, LENGTH * i + LENGTH - 1);
    assert_true(lv_merge_is_worth_a_look(lives.broker));
    assert_true(lv_merge_begin(lives.broker, &merge));
    assert_int_equal(merge.source_count, 4); /* up to the one that is half full */
    end(&lives, &merge, LV_MERGE_FAILED, 0);
    lv_lives_end(&lives);
}

static void few_small_segments_are_not_worth_it(void **state)
{
    struct lv_lives lives;
    struct lv_merge merge;

    (void)state;
    begin_row(&lives);
    ack(&lives, 3 * LENGTH + 1, 4 * LENGTH); /* the fourth one goes */
    ack(&lives, 1, 3);
    lv_lives_sync(&lives);
    assert_int_equal(lv_lives_segment_count(&lives), ROW - 1);
    assert_true(lv_merge_begin(lives.broker, &merge));
    assert_int_equal(merge.source_count, ROW - 1);
    end(&lives, &merge, LV_MERGE_FAILED, 0);
    ack(&lives, 4 * LENGTH + 1, 7 * LENGTH);
    lv_lives_sync(&lives);
    assert_false(lv_merge_begin(lives.broker, &merge));
    lv_lives_end(&lives);
}

static void nothing_is_written_before_the_disk_knows_what_is_gone(void **state)
{
    struct lv_lives lives;
    struct lv_merge merge;

    (void)state;
    begin_row(&lives);
    thin_out(&lives);
    ack(&lives, 1, 1);
    assert_true(lv_merge_begin(lives.broker, &merge));
    collect(&lives, &merge);
    assert_false(lv_merge_is_due(lives.broker, &merge));
    lv_lives_sync(&lives);
    assert_true(lv_merge_is_due(lives.broker, &merge));
    end(&lives, &merge, LV_MERGE_FAILED, 0);
    lv_lives_end(&lives);
}

/* The first source, the last one, and one between. */
static void what_is_settled_meanwhile_counts(void **state)
{
    struct lv_lives lives;
    struct lv_merge merge;
    uint64_t count = 0;

    (void)state;
    for (int step = 0; step < 3; step++) {
        begin_row(&lives);
        thin_out(&lives);
        assert_true(lv_merge_begin(lives.broker, &merge));
        for (int i = 0; i < 3; i++) {
            if (i == step) {
                ack(&lives, 1, 1);
                ack(&lives, 3 * LENGTH + 1, 3 * LENGTH + 1);
                ack(&lives, (ROW - 1) * LENGTH + 1, (ROW - 1) * LENGTH + 1);
            }
            if (i == 0)
                collect(&lives, &merge);
            lv_lives_sync(&lives);
            if (i == 1)
                count = write(&lives, &merge);
        }
        assert_int_equal(lv_lives_segment_count(&lives), ROW);
        assert_int_equal(count, step == 0 ? ROW - 3 : ROW);
        switch_all(&lives, &merge);
        end(&lives, &merge, LV_MERGE_DONE, count);
        assert_int_equal(cold(&lives)->runs[0].live_count, ROW - 3);
        assert_int_equal(lv_lives_segment_count(&lives), 1);
        lv_lives_restart(&lives, false);
        lv_lives_expect(&lives, "q", "21! 41! 81! 101! 121! 141! 161!");
        lv_lives_sync(&lives);
        assert_int_equal(lv_lives_segment_count(&lives), 0);
        lv_lives_end(&lives);
    }
}

static void when_all_is_settled_meanwhile_all_segments_go(void **state)
{
    struct lv_lives lives;
    struct lv_merge merge;
    uint64_t count = 0;

    (void)state;
    for (int step = 0; step < 3; step++) {
        begin_row(&lives);
        thin_out(&lives);
        assert_true(lv_merge_begin(lives.broker, &merge));
        for (int i = 0; i < 3; i++) {
            if (i == step)
                for (unsigned j = 0; j < ROW; j++)
                    ack(&lives, j * LENGTH + 1, j * LENGTH + 1);
            if (i == 0)
                collect(&lives, &merge);
            lv_lives_sync(&lives);
            if (i == 1)
                count = write(&lives, &merge);
        }
        if (count > 0)
            switch_all(&lives, &merge);
        end(&lives, &merge, count > 0 ? LV_MERGE_DONE : LV_MERGE_EMPTY, count);
        lv_lives_sync(&lives);
        assert_int_equal(lv_lives_segment_count(&lives), 0);
        assert_null(cold(&lives));
        lv_lives_end(&lives);
    }
}

static void a_queue_may_go_meanwhile(void **state)
{
    struct lv_lives lives;
    struct lv_merge merge;
    uint64_t count = 0;

    (void)state;
    for (int step = 0; step < 3; step++) {
        begin_row(&lives);
        lv_sim_declare(&lives.a, "other", "d");
        lv_lives_sync(&lives);
        assert_hears(&lives.a, "declare-ok other 0 0");
        lv_lives_publish_many(&lives, "other", 1, 3);
        lv_lives_spill(&lives);
        lv_lives_publish_many(&lives, "other", 4, 5);
        thin_out(&lives);
        assert_true(lv_merge_begin(lives.broker, &merge));
        assert_int_equal(merge.source_count, ROW + 1);
        for (int i = 0; i < 3; i++) {
            if (i == step) {
                lv_sim_delete(&lives.a, "q", "");
                lv_sim_settle(&lives.sim);
            }
            if (i == 0)
                collect(&lives, &merge);
            lv_lives_sync(&lives);
            if (i == 1)
                count = write(&lives, &merge);
        }
        assert_int_equal(count, step == 0 ? 3 : ROW + 3);
        switch_all(&lives, &merge);
        end(&lives, &merge, LV_MERGE_DONE, count);
        lv_lives_sync(&lives);
        assert_int_equal(lv_lives_segment_count(&lives), 1);
        (void)lv_sim_heard(&lives.a);
        lv_lives_expect(&lives, "other", "1 2 3 4 5");
        lv_lives_sync(&lives);
        assert_int_equal(lv_lives_segment_count(&lives), 0);
        lv_lives_end(&lives);
    }
}

/* Loads that were asked for before the merge, or between its steps, are answered in any order. */
static void loads_go_on_meanwhile(void **state)
{
    struct lv_lives lives;
    struct lv_merge merge;
    uint64_t count = 0;

    (void)state;
    for (int step = 0; step < 3; step++) {
        begin_row(&lives);
        thin_out(&lives);
        lv_lives_restart(&lives, true);
        lives.load_size = 2;
        assert_true(lv_merge_begin(lives.broker, &merge));
        collect(&lives, &merge);
        lv_lives_sync(&lives);
        lv_sim_consume(&lives.a, "q", "c", "");
        lv_sim_settle(&lives.sim);
        for (int i = 0; i < 2 * step; i++) {
            assert_true(lv_lives_read_one(&lives));
            lv_sim_settle(&lives.sim);
        }
        assert_int_equal(lives.load_count, 1);
        count = write(&lives, &merge);
        if (step > 0)
            assert_true(lv_lives_read_one(&lives)); /* of the new file, by the old number */
        lv_sim_settle(&lives.sim);
        switch_all(&lives, &merge);
        lv_lives_read(&lives); /* asked for before, answered after */
        end(&lives, &merge, LV_MERGE_DONE, count);
        lv_lives_read(&lives);
        assert_int_equal(lv_queue_ready_count(lv_lives_queue(&lives, "q")), 0);
        assert_int_equal(lv_lives_queue(&lives, "q")->unacked_count, ROW);
        lv_sim_settle_tag(&lives.a, ROW, "a+");
        lv_lives_sync(&lives);
        assert_int_equal(lv_lives_segment_count(&lives), 0);
        lv_lives_end(&lives);
    }
}

/* Waiting ones are taken along; what is in memory is needed by nobody. */
static void transient_messages_that_wait_are_taken_along(void **state)
{
    struct lv_lives lives;
    char all[512] = "";
    size_t at = 0;

    (void)state;
    lv_lives_begin(&lives);
    for (unsigned i = 1; i <= ROW; i++) {
        lv_lives_publish(&lives, "q", "t", false);
        lv_lives_publish_many(&lives, "q", i, i);
        lv_lives_spill(&lives);
        at += (size_t)snprintf(all + at, sizeof all - at, "%st %u", i > 1 ? " " : "", i);
    }
    assert_int_equal(merge_all(&lives), 2 * ROW);
    assert_int_equal(lv_lives_segment_count(&lives), 1);
    lv_lives_expect(&lives, "q", all);
    lv_lives_sync(&lives);
    assert_int_equal(lv_lives_segment_count(&lives), 0);
    lv_lives_end(&lives);
}

static void transient_messages_of_an_earlier_life_do_not_come_back(void **state)
{
    struct lv_lives lives;
    struct lv_merge merge;

    (void)state;
    lv_lives_begin(&lives);
    for (unsigned i = 1; i <= 2 * ROW; i++) {
        lv_lives_publish(&lives, "q", "t", false);
        lv_lives_publish_many(&lives, "q", i, i);
        lv_lives_spill(&lives);
        if (i == ROW)
            lv_lives_restart(&lives, true);
    }
    assert_true(lv_merge_begin(lives.broker, &merge));
    assert_int_equal(merge.source_count, ROW);
    assert_int_equal(merge.numbers[ROW - 1], ROW);
    end(&lives, &merge, LV_MERGE_FAILED, 0);
    assert_int_equal(merge_all(&lives), 2 * ROW); /* those of this life */
    assert_int_equal(merge_all(&lives), ROW);
    assert_int_equal(lv_lives_segment_count(&lives), 2);
    lv_lives_expect(&lives, "q",
                    "1 2 3 4 5 6 7 8 9 10 t 11 t 12 t 13 t 14 t 15 t 16 t 17 t 18 t 19 t 20");
    lv_lives_end(&lives);
}

static void a_merge_that_failed_is_tried_again(void **state)
{
    struct lv_lives lives;
    struct lv_merge merge;

    (void)state;
    begin_row(&lives);
    thin_out(&lives);
    for (int i = 0; i < 3; i++) {
        assert_true(lv_merge_begin(lives.broker, &merge));
        assert_int_equal(merge.source_count, ROW);
        if (i > 0)
            collect(&lives, &merge);
        end(&lives, &merge, LV_MERGE_FAILED, 0);
    }
    assert_int_equal(merge_all(&lives), ROW);
    lv_lives_end(&lives);
}

static void a_damaged_segment_is_left_alone(void **state)
{
    struct lv_lives lives;
    struct lv_merge merge;

    (void)state;
    begin_row(&lives);
    thin_out(&lives);
    assert_true(lv_merge_begin(lives.broker, &merge));
    collect(&lives, &merge);
    lv_merge_end(lives.broker, &merge, LV_MERGE_DAMAGED,
                 &(struct lv_segment_merging){.damaged = 1});
    assert_true(lv_merge_begin(lives.broker, &merge));
    assert_int_equal(merge.source_count, ROW - 2);
    assert_int_equal(merge.numbers[0], 3);
    end(&lives, &merge, LV_MERGE_FAILED, 0);
    lv_lives_end(&lives);
}

/* The file is there, and nobody in the broker had heard of it: as a kill leaves it, with and
 * without the sources. */
static void a_crash_before_the_switch_loses_nothing(void **state)
{
    struct lv_lives lives;
    struct lv_merge merge;

    (void)state;
    begin_row(&lives);
    thin_out(&lives);
    assert_true(lv_merge_begin(lives.broker, &merge));
    collect(&lives, &merge);
    lv_lives_sync(&lives);
    assert_int_equal(write(&lives, &merge), ROW);
    for (uint32_t i = 0; i + 1 < merge.source_count; i++)
        clear(&lives.segments[merge.numbers[i]]); /* the new one's head says so */
    lv_merge_fini(&merge);
    lv_lives_restart(&lives, false);
    assert_int_equal(cold(&lives)->waiting_count, ROW);
    lv_lives_expect(&lives, "q", left_of_row("!"));
    lv_lives_end(&lives);
}

/* ---- at random ---- */

#define MESSAGES_MAX 2000u

/* What should be there, by number, and a merge that is under way. */
struct known {
    bool is_there[MESSAGES_MAX];
    unsigned next;
    enum { NONE, COLLECTED, WRITTEN } stage;
    struct lv_merge merge;
    uint64_t count;
    unsigned merged; /* that came to their end */
};

/* One step of a merge; what else happens comes between them. */
static void go_on(struct lv_lives *lives, struct known *known)
{
    if (known->stage == NONE && lv_merge_begin(lives->broker, &known->merge)) {
        collect(lives, &known->merge);
        known->stage = COLLECTED;
    } else if (known->stage == COLLECTED) {
        lv_lives_sync(lives);
        known->count = write(lives, &known->merge);
        known->stage = WRITTEN;
    } else if (known->stage == WRITTEN) {
        if (known->count > 0)
            switch_all(lives, &known->merge);
        end(lives, &known->merge, known->count > 0 ? LV_MERGE_DONE : LV_MERGE_EMPTY, known->count);
        known->stage = NONE;
        known->merged++;
    }
}

/* Recovery removes what the new segment stands for. */
static void restart(struct lv_lives *lives, struct known *known, bool is_clean)
{
    for (uint32_t i = 0; known->stage == WRITTEN && known->count > 0; i++) {
        if (i + 1 == known->merge.source_count)
            break;
        clear(&lives->segments[known->merge.numbers[i]]);
    }
    lv_merge_fini(&known->merge);
    known->stage = NONE;
    lv_lives_restart(lives, is_clean);
}

/* Delivers all, settles most, puts the rest back. */
static void consume(struct lv_lives *lives, struct known *known, struct lv_random *random)
{
    unsigned last = 0, tag = 0, kept = 0;

    for (;;) {
        const char *heard;
        unsigned number, left;

        lv_sim_get(&lives->a, "q", "");
        lv_lives_read(lives);
        heard = lv_sim_heard(&lives->a);
        if (strcmp(heard, "get-empty") == 0)
            break;
        assert_int_equal(sscanf(heard, "get-ok #%u %u%*[ a-z], %u left", &tag, &number, &left) >= 2,
                         1);
        assert_true(number > last);
        for (unsigned i = last + 1; i < number; i++)
            assert_false(known->is_there[i]);
        assert_true(known->is_there[number]);
        last = number;
        if (lv_random_below(random, 8) != 0) {
            lv_sim_settle_tag(&lives->a, tag, "a");
            known->is_there[number] = false;
        } else {
            kept = tag;
        }
    }
    for (unsigned i = last + 1; i < known->next; i++)
        assert_false(known->is_there[i]);
    if (kept > 0)
        lv_sim_settle_tag(&lives->a, kept, "q+");
    lv_sim_settle(&lives->sim);
}

static void step(struct lv_lives *lives, struct known *known, struct lv_random *random)
{
    unsigned count = 1 + (unsigned)lv_random_below(random, 10);

    switch (lv_random_below(random, 10)) {
    case 0:
        consume(lives, known, random);
        break;
    case 1:
        lv_lives_sync(lives); /* what was settled stays settled */
        restart(lives, known, lv_random_below(random, 2) == 0);
        break;
    case 2:
    case 3:
        go_on(lives, known);
        break;
    default:
        for (unsigned i = 0; i < count; i++)
            known->is_there[known->next + i] = true;
        lv_lives_publish_many(lives, "q", known->next, known->next + count - 1);
        known->next += count;
        lv_lives_spill(lives);
    }
}

static void at_random_nothing_is_lost_and_order_holds(void **state)
{
    unsigned merged = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct lv_lives lives;
        struct lv_random random;
        struct known known = {.next = 1};

        lv_random_seed(&random, seed);
        lv_lives_begin(&lives);
        for (int i = 0; i < 120; i++)
            step(&lives, &known, &random);
        consume(&lives, &known, &random);
        lv_merge_fini(&known.merge);
        lv_lives_end(&lives);
        merged += known.merged;
    }
    assert_in_range(merged, 10, 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sparse_neighbours_become_one_segment),
        cmocka_unit_test(what_waits_is_loaded_from_the_new_segment),
        cmocka_unit_test(segments_with_much_left_stay_as_they_are),
        cmocka_unit_test(few_small_segments_are_not_worth_it),
        cmocka_unit_test(nothing_is_written_before_the_disk_knows_what_is_gone),
        cmocka_unit_test(what_is_settled_meanwhile_counts),
        cmocka_unit_test(when_all_is_settled_meanwhile_all_segments_go),
        cmocka_unit_test(a_queue_may_go_meanwhile),
        cmocka_unit_test(loads_go_on_meanwhile),
        cmocka_unit_test(transient_messages_that_wait_are_taken_along),
        cmocka_unit_test(transient_messages_of_an_earlier_life_do_not_come_back),
        cmocka_unit_test(a_merge_that_failed_is_tried_again),
        cmocka_unit_test(a_damaged_segment_is_left_alone),
        cmocka_unit_test(a_crash_before_the_switch_loses_nothing),
        cmocka_unit_test(at_random_nothing_is_lost_and_order_holds),
    };
    return cmocka_run_group_tests_name("broker merge", tests, NULL, NULL);
}
