/*
 * codec/amqp091/wire.h - reading and writing the basic types of 0-9-1 §4.2.5.
 *
 * A reader goes over bytes it does not own. A read that fails leaves it at the end, so that all
 * that follow fail too; they give zero or nothing, and lv_amqp091_reader_end() tells of the first
 * failure. That way decoders are straight lines. Inline, because every message passes here. Pure;
 * any thread.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "base/utf8.h"

/* Keeps the first error and then reads zeros, so that decoders need one check, at their end. */
struct lv_amqp091_reader {
    const uint8_t *p;   /* view  next byte */
    const uint8_t *end; /* view */
    const char *why;    /* view  what went wrong first; NULL: nothing so far */
};

/* Writes "<<1,2,3>>" as RabbitMQ's reply texts show bytes, the first `max` (at most 32) of them,
 * and returns `text`. */
#define LV_AMQP091_OCTETS_SIZE 160
const char *lv_amqp091_octets(struct lv_bytes bytes, size_t max, char text[LV_AMQP091_OCTETS_SIZE]);

/* Fills the text and returns -LV_E_BAD_FRAME. `whole` is what could not be decoded, because of
 * `why`. */
int lv_amqp091_cannot_decode(struct lv_bytes whole, const char *why, struct lv_diag *diag);

/* A reader at the start of the bytes. */
static inline struct lv_amqp091_reader lv_amqp091_reader(struct lv_bytes bytes)
{
    /* Nothing at all may be NULL, to which C lets nobody add even 0. */
    const uint8_t *p = bytes.data != NULL ? bytes.data : (const uint8_t *)"";

    assert(bytes.data != NULL || bytes.size == 0);
    return (struct lv_amqp091_reader){p, p + bytes.size, NULL};
}

/* Ends all reading because of `why`; the first reason stays. */
static inline void lv_amqp091_reader_stop(struct lv_amqp091_reader *reader, const char *why)
{
    assert(why != NULL);
    reader->p = reader->end;
    if (reader->why == NULL)
        reader->why = why;
}

/* Bytes not read yet. */
static inline size_t lv_amqp091_reader_left(const struct lv_amqp091_reader *reader)
{
    assert(reader->p <= reader->end);
    return (size_t)(reader->end - reader->p);
}

/* The next `size` bytes, NULL when there are fewer. */
static inline const uint8_t *lv_amqp091_take(struct lv_amqp091_reader *reader, size_t size)
{
    const uint8_t *p = reader->p;

    if (LV_UNLIKELY(lv_amqp091_reader_left(reader) < size)) {
        lv_amqp091_reader_stop(reader, "it ends too early");
        return NULL;
    }
    reader->p += size;
    return p;
}

/* 0 when all has been read and nothing is left, else -LV_E_BAD_FRAME. */
static inline int lv_amqp091_reader_end(const struct lv_amqp091_reader *reader,
                                        struct lv_bytes whole, struct lv_diag *diag)
{
    assert(reader->p <= reader->end);
    if (LV_LIKELY(reader->why == NULL && reader->p == reader->end))
        return 0;
    return lv_amqp091_cannot_decode(
        whole, reader->why != NULL ? reader->why : "bytes are left over", diag);
}

/* Goes over bytes that nobody wants. */
static inline void lv_amqp091_skip(struct lv_amqp091_reader *reader, size_t size)
{
    assert(reader->p <= reader->end);
    (void)lv_amqp091_take(reader, size);
}

/* The numbers give 0 when they are not there. */
static inline uint8_t lv_amqp091_read_octet(struct lv_amqp091_reader *reader)
{
    const uint8_t *p = lv_amqp091_take(reader, 1);
    return p == NULL ? 0 : *p;
}

/* Two bytes. */
static inline uint16_t lv_amqp091_read_short(struct lv_amqp091_reader *reader)
{
    const uint8_t *p = lv_amqp091_take(reader, 2);
    return p == NULL ? 0 : lv_get16(p);
}

/* Four bytes. */
static inline uint32_t lv_amqp091_read_long(struct lv_amqp091_reader *reader)
{
    const uint8_t *p = lv_amqp091_take(reader, 4);
    return p == NULL ? 0 : lv_get32(p);
}

/* Eight bytes; timestamps, too. */
static inline uint64_t lv_amqp091_read_longlong(struct lv_amqp091_reader *reader)
{
    const uint8_t *p = lv_amqp091_take(reader, 8);
    return p == NULL ? 0 : lv_get64(p);
}

/* `size` bytes as a view. */
static inline struct lv_bytes lv_amqp091_read_bytes(struct lv_amqp091_reader *reader, size_t size)
{
    const uint8_t *p = lv_amqp091_take(reader, size);
    return p == NULL ? lv_bytes(NULL, 0) : lv_bytes(p, size);
}

/* A short string of any bytes: names in tables, and properties. */
static inline struct lv_bytes lv_amqp091_read_shortbytes(struct lv_amqp091_reader *reader)
{
    return lv_amqp091_read_bytes(reader, lv_amqp091_read_octet(reader));
}

/* The reason that is a whole reply text by itself. */
extern const char lv_amqp091_not_utf8[];

/* A short string, which has to be UTF-8 (0-9-1 §4.2.5.3). */
static inline struct lv_bytes lv_amqp091_read_shortstr(struct lv_amqp091_reader *reader)
{
    struct lv_bytes bytes = lv_amqp091_read_shortbytes(reader);

    if (LV_UNLIKELY(!lv_utf8_is_valid(bytes)))
        lv_amqp091_reader_stop(reader, lv_amqp091_not_utf8);
    return bytes;
}

/* A long string, or the entries of a table or an array: all have four bytes of length. */
static inline struct lv_bytes lv_amqp091_read_longstr(struct lv_amqp091_reader *reader)
{
    return lv_amqp091_read_bytes(reader, lv_amqp091_read_long(reader));
}

/* Writers return the byte behind what they wrote; the caller has made sure that there is room. The
 * names are those of the readers, so that code for a type can be written from the type's name. */
static inline uint8_t *lv_amqp091_write_octet(uint8_t *p, uint8_t value)
{
    return lv_put8(p, value);
}

/* Two bytes. */
static inline uint8_t *lv_amqp091_write_short(uint8_t *p, uint16_t value)
{
    return lv_put16(p, value);
}

/* Four bytes. */
static inline uint8_t *lv_amqp091_write_long(uint8_t *p, uint32_t value)
{
    return lv_put32(p, value);
}

/* Eight bytes. */
static inline uint8_t *lv_amqp091_write_longlong(uint8_t *p, uint64_t value)
{
    return lv_put64(p, value);
}

/* At most 255 bytes, which the caller has checked or cut. */
static inline uint8_t *lv_amqp091_write_shortstr(uint8_t *p, struct lv_bytes bytes)
{
    assert(bytes.size <= UINT8_MAX);
    return lv_put_bytes(lv_put8(p, (uint8_t)bytes.size), bytes);
}

/* A long string, or the entries of a table. */
static inline uint8_t *lv_amqp091_write_longstr(uint8_t *p, struct lv_bytes bytes)
{
    assert(bytes.size <= UINT32_MAX);
    return lv_put_bytes(lv_put32(p, (uint32_t)bytes.size), bytes);
}
