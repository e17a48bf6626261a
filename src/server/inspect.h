/*
 * server/inspect.h - a shard's part of a list or of the totals. The owning shard's thread only.
 */
#pragma once

struct lv_shard;
struct lv_slice;

/* Adds the next rows that this shard has for the slice, or its numbers. */
void lv_shard_inspect(struct lv_shard *shard, struct lv_slice *slice);
