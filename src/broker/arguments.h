/*
 * broker/arguments.h - the argument tables that queues, exchanges and bindings keep.
 *
 * Pure; any thread.
 */
#pragma once

#include "base/map.h"
#include "base/value.h"

/* An absent table is an empty one. */
bool lv_arguments_same(const struct lv_table *a, const struct lv_table *b);
/* Tables that are the same have the same hash, whatever the order and the widths of numbers; others
 * do not, as far as a keyed hash of 64 bits can tell. */
uint64_t lv_arguments_hash(const struct lv_table *table, const struct lv_hash_key *key);
/* Bytes that a copy takes, about. */
size_t lv_arguments_size(const struct lv_table *table);
/* A copy, NULL when there are none. -LV_E_NOMEM. */
int lv_arguments_copy(const struct lv_table *table, struct lv_table **ret_copy) LV_MUST_CHECK;
