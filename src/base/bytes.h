/*
 * base/bytes.h - a view of bytes that somebody else owns, and big-endian numbers in them.
 *
 * Pure; any thread. A view is passed by value and is valid as long as its owner says.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A view of somebody else's bytes, passed by value. No bytes have any data, NULL too. */
struct lv_bytes {
    const uint8_t *data; /* view */
    size_t size;
};

/* A view of `size` bytes; `data` may be NULL when there are none. */
static inline struct lv_bytes lv_bytes(const void *data, size_t size)
{
    return (struct lv_bytes){.data = data, .size = size};
}

/* A view of a terminated string, without its end. */
static inline struct lv_bytes lv_text(const char *text)
{
    return (struct lv_bytes){.data = (const uint8_t *)text, .size = strlen(text)};
}

/* The same bytes, wherever they lie. */
static inline bool lv_bytes_equal(struct lv_bytes a, struct lv_bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* For printf's "%.*s". */
#define LV_FMT(bytes) (int)(bytes).size, (const char *)(bytes).data

/*
 * AMQP is big-endian on the wire (0-9-1 §4.2.1, 1.0 §1.6) and addresses need no alignment. The
 * caller has checked that the bytes are there; put returns the address behind what it wrote.
 */

/* Reads two bytes. */
static inline uint16_t lv_get16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return __builtin_bswap16(v);
}

/* Reads four bytes. */
static inline uint32_t lv_get32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return __builtin_bswap32(v);
}

/* Reads eight bytes. */
static inline uint64_t lv_get64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return __builtin_bswap64(v);
}

/* Writes one byte. */
static inline uint8_t *lv_put8(uint8_t *p, uint8_t v)
{
    *p = v;
    return p + 1;
}

/* Writes two bytes. */
static inline uint8_t *lv_put16(uint8_t *p, uint16_t v)
{
    v = __builtin_bswap16(v);
    memcpy(p, &v, sizeof v);
    return p + sizeof v;
}

/* Writes four bytes. */
static inline uint8_t *lv_put32(uint8_t *p, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(p, &v, sizeof v);
    return p + sizeof v;
}

/* Writes eight bytes. */
static inline uint8_t *lv_put64(uint8_t *p, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(p, &v, sizeof v);
    return p + sizeof v;
}

/* Copies them all, without their size in front. */
static inline uint8_t *lv_put_bytes(uint8_t *p, struct lv_bytes bytes)
{
    if (bytes.size > 0)
        memcpy(p, bytes.data, bytes.size);
    return p + bytes.size;
}
