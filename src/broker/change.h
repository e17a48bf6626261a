/*
 * broker/change.h - a change of the topology as bytes, for the log.
 *
 * Version 1, little-endian: a head of fixed size with all sizes in it, then vhost, name, other, key
 * and the arguments as base/pack.h says (no bytes when there are none). A change has one encoding
 * only. Pure; any thread that owns the memory.
 */
#pragma once

#include "broker/topology.h"

/* -LV_E_PRECONDITION: a string is longer than the encoding has room for. */
int lv_change_check_sizes(const struct lv_change *change, struct lv_diag *diag) LV_MUST_CHECK;
/* Bytes of the encoding, at most 4 GiB. Not of a kind behind LV_CHANGE_LIMITS_DELETE. */
uint32_t lv_change_size(const struct lv_change *change);
/* Writes lv_change_size() bytes. `client` is not kept: it names nobody after a restart; `is_new`
 * neither. */
void lv_change_encode(const struct lv_change *change, void *bytes);
/* Views into `bytes` and the arena, which gets the arguments and needs at most 48 bytes for each of
 * these. Bytes that were hashed when they were written can be applied as they are; the vhost may be
 * unknown. -LV_E_CORRUPT: not what lv_change_encode() writes; -LV_E_VERSION; -LV_E_NOMEM. */
int lv_change_decode(struct lv_bytes bytes, struct lv_arena *arena, struct lv_change *ret_change)
    LV_MUST_CHECK;
