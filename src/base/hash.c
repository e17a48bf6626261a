#include "base/hash.h"

#include <assert.h>

/* Everything inline: nothing is linked, and the compiler sees which of its ways are used. */
#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t lv_xxh3(const void *data, size_t size, uint64_t seed)
{
    assert(data != NULL || size == 0);
    return XXH3_64bits_withSeed(data, size, seed);
}
