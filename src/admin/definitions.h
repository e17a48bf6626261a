/*
 * admin/definitions.h - all that is declared and who may do what, as a list of changes that would
 * make it: what definitions.json says, and what a broker has.
 *
 * A list keeps changes with copies of all they refer to. Tables are kept with their fields by name
 * and without those that don't count, so that equal states are equal lists and the same bytes when
 * they are written. Pure; any thread that owns the list.
 */
#pragma once

#include "base/arena.h"
#include "broker/topology.h"

/* Bytes of a file; RabbitMQ takes 20 MB by default. */
#define LV_DEFINITIONS_SIZE_MAX ((size_t)32 << 20)
/* Bytes of one object's arguments, as base/pack.h counts them: more than a frame of the usual size
 * can declare. */
#define LV_DEFINITIONS_ARGUMENTS_MAX ((size_t)256 << 10)
/* Tables and lists in each other: as AMQP 0-9-1 lets them in. */
#define LV_DEFINITIONS_DEPTH_MAX 64u
/* What is left out is told one by one up to here. */
#define LV_DEFINITIONS_NOTES_MAX 100u

struct lv_definition {
    struct lv_change change; /* PUT, DECLARE or BIND; views into the list's arena */
    uint32_t place;          /* in its section of the file, from 0 */
    bool is_dangling;        /* while a list is pruned: goes */
};

/* All zeros is no list: see lv_definitions_init(). */
struct lv_definitions {
    struct lv_arena arena;       /* own */
    struct lv_definition *items; /* own */
    size_t count, capacity;
    bool is_sorted;
    struct lv_bytes notes[LV_DEFINITIONS_NOTES_MAX]; /* view  sentences on what is left out */
    size_t note_count;                               /*       may be more than are kept */
};

/* Whatever it is to keep takes at most `limit` bytes. */
void lv_definitions_init(struct lv_definitions *list, size_t limit);
void lv_definitions_fini(struct lv_definitions *list);

/* Copies the change. Bounds are the caller's business. -LV_E_NOMEM: also when the limit is reached.
 */
int lv_definitions_add(struct lv_definitions *list, const struct lv_change *change, uint32_t place)
    LV_MUST_CHECK;
/* A sentence, in printf's way, on something that is left out. */
void lv_definitions_note(struct lv_definitions *list, const char *fmt, ...) LV_PRINTF(2, 3);

/* Into the order in which changes can be made: vhosts, users, permissions, topic permissions,
 * limits, exchanges, queues, bindings; each by name. */
void lv_definitions_sort(struct lv_definitions *list);
/* What the same object is in a sorted list, NULL when it isn't there. Of a binding the arguments
 * count too, in the order that lists keep them in. */
const struct lv_definition *lv_definitions_find(const struct lv_definitions *list,
                                                const struct lv_change *change);
/* Are both about the same object? */
bool lv_definition_is_same(const struct lv_definition *a, const struct lv_definition *b);
/* The same object, and nothing about it differs; both from lists. */
bool lv_definition_equals(const struct lv_definition *a, const struct lv_definition *b);
/* What the change needs that is in neither sorted list: "vhost", "user", "exchange" or "queue", and
 * its name; NULL when all is there. */
const char *lv_definition_missing(const struct lv_definitions *list,
                                  const struct lv_definitions *more, const struct lv_change *change,
                                  struct lv_bytes *ret_name);
/* Leaves out of a sorted list what isn't written: exclusive queues, limits of nothing, and what
 * needs something that isn't in the list, as it was made while the broker went on. */
void lv_definitions_prune(struct lv_definitions *list);

/* "queue 'q' in vhost '/'", for sentences. Returns `text`. */
#define LV_DEFINITION_TEXT_SIZE 1200
const char *lv_definition_print(const struct lv_change *change, char *text);
/* The section of the file that has such changes: "queues". */
const char *lv_definition_section(enum lv_change_kind kind);
