/*
 * base/utf8.h - is this UTF-8 (RFC 3629: shortest form, no surrogates, at most U+10FFFF)?
 *
 * Pure; any thread.
 */
#pragma once

#include "base/bytes.h"

/* Bytes of the first character, 0 when there is none at the start of these (not empty) bytes. */
size_t lv_utf8_char(struct lv_bytes bytes);
/* True for no bytes at all. */
bool lv_utf8_is_valid(struct lv_bytes bytes);
