#include "base/utf8.h"

#include "base/defs.h"

#include <assert.h>

/* What RFC 3629 §4 allows behind a first byte. Only the second byte's range depends on the first:
 * it excludes overlong forms (E0, F0), surrogates (ED) and what lies above U+10FFFF (F4). */
struct lead {
    uint8_t size; /* of the character, 0: not a first byte */
    uint8_t low, high;
};

/* The second byte's range shuts out overlong forms, surrogates and what lies beyond U+10FFFF. */
static struct lead lead_of(uint8_t byte)
{
    if (byte < 0x80)
        return (struct lead){1, 0, 0};
    if (byte >= 0xc2 && byte <= 0xdf)
        return (struct lead){2, 0x80, 0xbf};
    if (byte >= 0xe0 && byte <= 0xef)
        return (struct lead){3, byte == 0xe0 ? 0xa0 : 0x80, byte == 0xed ? 0x9f : 0xbf};
    if (byte >= 0xf0 && byte <= 0xf4)
        return (struct lead){4, byte == 0xf0 ? 0x90 : 0x80, byte == 0xf4 ? 0x8f : 0xbf};
    return (struct lead){0, 0, 0};
}

/* How many of the bytes are ASCII at the start, by words: names mostly are nothing else. */
static LV_ALWAYS_INLINE size_t ascii_prefix(struct lv_bytes bytes)
{
    size_t at = 0;

    assert(bytes.size == 0 || bytes.data != NULL);
    for (; bytes.size - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, bytes.data + at, sizeof word);
        if ((word & 0x8080808080808080u) != 0)
            break;
    }
    while (at < bytes.size && bytes.data[at] < 0x80)
        at++;
    return at;
}

/* RFC 3629, table 3-7 of Unicode: the second byte may be narrower than the others. */
size_t lv_utf8_char(struct lv_bytes bytes)
{
    struct lead lead;

    assert(bytes.size > 0);
    lead = lead_of(bytes.data[0]);
    assert(lead.size <= 4);
    if (lead.size == 0 || lead.size > bytes.size)
        return 0;
    if (lead.size > 1 && (bytes.data[1] < lead.low || bytes.data[1] > lead.high))
        return 0;
    for (size_t i = 2; i < lead.size; i++) {
        if ((bytes.data[i] & 0xc0) != 0x80)
            return 0;
    }
    return lead.size;
}

/* Nearly all names are ASCII, eight letters at a time. */
bool lv_utf8_is_valid(struct lv_bytes bytes)
{
    size_t at = ascii_prefix(bytes);

    while (at < bytes.size) {
        size_t size = lv_utf8_char(lv_bytes(bytes.data + at, bytes.size - at));
        if (size == 0)
            return false;
        at += size;
        at += ascii_prefix(lv_bytes(bytes.data + at, bytes.size - at));
    }
    assert(at == bytes.size);
    return true;
}
