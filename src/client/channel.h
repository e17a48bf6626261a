/*
 * client/channel.h - what the engine knows of one channel.
 *
 * Belongs to client/engine.c; nobody else includes it. Pure; one owner.
 */
#pragma once

#include "client/assembly.h"
#include "client/engine.h"
#include "client/unconfirmed.h"

/* Kept when the channel ends, for when its number is used again. */
struct lv_engine_channel {
    bool open;
    bool confirming;                         /* confirm.select was answered */
    uint32_t awaited[LV_ENGINE_AWAITED_MAX]; /* ids of calls without their answer, a ring */
    uint32_t awaited_first, awaited_count;
    struct lv_unconfirmed confirms;
    struct lv_assembly assembly;
};

/* A closed one; NULL when out of memory. */
struct lv_engine_channel *lv_engine_channel_new(void) LV_MUST_CHECK;
/* Takes NULL. */
void lv_engine_channel_free(struct lv_engine_channel *channel);
/* Back to closed: nothing is awaited, nothing unconfirmed. */
void lv_engine_channel_reset(struct lv_engine_channel *channel);

/* True for methods of the client that the broker answers. */
bool lv_engine_channel_is_answered(uint32_t id);
/* Remembers an open call; -LV_E_RESOURCE when there are too many. */
int lv_engine_channel_await(struct lv_engine_channel *channel, uint32_t id) LV_MUST_CHECK;
/* True when `answer` is one to the oldest open call, which is open no longer. */
bool lv_engine_channel_answer(struct lv_engine_channel *channel, uint32_t answer);
