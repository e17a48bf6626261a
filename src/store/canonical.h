/*
 * store/canonical.h - one row of bytes for all arguments that count as the same.
 *
 * Two tables give the same bytes exactly when lv_value_equal() calls them equal: whatever the order
 * of fields, the widths of numbers and what a field of the same name hides. Pure; any thread.
 */
#pragma once

#include "base/arena.h"
#include "base/value.h"

/* As base/pack.h packs them, in the arena; no bytes for an empty table or NULL. -LV_E_NOMEM. */
int lv_canonical_pack(const struct lv_table *table, struct lv_arena *arena,
                      struct lv_bytes *ret_bytes) LV_MUST_CHECK;
