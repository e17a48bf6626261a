/*
 * base/hash.h - a fast hash of bytes, for checks of what lies on disk.
 *
 * Not for tables whose keys come from strangers: those use base/map.h, whose hash is keyed. Pure;
 * any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* XXH3, 64 bits: the same for the same bytes and seed on every machine and in every version.
 * `data` may be NULL when there are none. */
uint64_t lv_xxh3(const void *data, size_t size, uint64_t seed);
