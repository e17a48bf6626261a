/*
 * codec/testing.h - what the tests of codecs share: bytes written out by hand, and copies of
 * exactly their size.
 *
 * For x_test.c only, of which each is one program with one thread.
 */
#pragma once

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/random.h"

#include <stdarg.h>

#include <setjmp.h>

#include <cmocka.h>

#define GOLDEN_SIZE_MAX 2048u

/* Fails the test for anything but 0-9 and a-f. */
static inline uint8_t golden_nibble(char c)
{
    if (c >= '0' && c <= '9')
        return (uint8_t)(c - '0');
    assert_in_range(c, 'a', 'f');
    return (uint8_t)(c - 'a' + 10);
}

/* "0a ff 'text' 00": pairs of hex digits, and text as it is. The view is of a static buffer, the
 * older of two, so that a test may hold two of them. */
static inline struct lv_bytes golden(const char *text)
{
    static uint8_t buffers[2][GOLDEN_SIZE_MAX];
    static unsigned turn;
    uint8_t *buffer = buffers[turn++ % 2];
    size_t size = 0;

    while (*text != '\0') {
        assert_true(size < GOLDEN_SIZE_MAX);
        if (*text == ' ') {
            text++;
        } else if (*text == '\'') {
            for (text++; *text != '\''; text++)
                buffer[size++] = (uint8_t)*text;
            text++;
        } else {
            buffer[size++] = (uint8_t)(golden_nibble(text[0]) << 4 | golden_nibble(text[1]));
            text += 2;
        }
    }
    return lv_bytes(buffer, size);
}

/* Gives a copy (lv_free) in a block of its own: a sanitizer sees the first byte read behind it. */
static inline uint8_t *exact_copy(struct lv_bytes bytes)
{
    uint8_t *copy = lv_alloc(bytes.size);

    assert_non_null(copy);
    lv_put_bytes(copy, bytes);
    return copy;
}

/* Shows where they begin to differ. */
static inline void assert_bytes_equal(struct lv_bytes got, struct lv_bytes want)
{
    assert_int_equal(got.size, want.size);
    if (want.size > 0)
        assert_memory_equal(got.data, want.data, want.size);
}

/* For views, which end without a 0. */
static inline void assert_text_equal(struct lv_bytes got, const char *want)
{
    assert_bytes_equal(got, lv_text(want));
}

/* The texts of errors are cut after what a test says about them. */
static inline void assert_starts_with(const char *text, const char *start)
{
    if (strncmp(text, start, strlen(start)) != 0)
        assert_string_equal(text, start); /* fails and shows both */
}

/* `size` bytes of ASCII letters, which are text and data alike; returns the byte behind. */
static inline uint8_t *put_letters(struct lv_random *random, uint8_t *p, size_t size)
{
    for (size_t i = 0; i < size; i++)
        *p++ = (uint8_t)('a' + lv_random_below(random, 26));
    return p;
}
