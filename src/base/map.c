#include "base/map.h"

#include "base/alloc.h"
#include "base/err.h"

#define CAPACITY_MIN 4u
#define CAPACITY_MAX (1u << 30)

/* 24 bytes: most maps are tiny (the bindings of a queue), and a big one is walked by hash alone
 * until a hash is equal. */
struct lv_map_entry {
    uint32_t hash;
    uint32_t key_size;
    const uint8_t *key; /* view */
    void *value;        /* view  NULL: the entry is free */
};

/* The four words of SipHash's state. */
struct sip {
    uint64_t v0, v1, v2, v3;
};

/* Compilers make one instruction of it. */
static inline uint64_t rotate(uint64_t x, unsigned bits)
{
    return (x << bits) | (x >> (64 - bits));
}

/* One SipRound; 1-3 means one of them for each word and three at the end. */
static inline void sip_round(struct sip *s)
{
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = rotate(s->v1, 13) ^ s->v0;
    s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 = rotate(s->v0, 32);
    s->v2 += s->v1;
    s->v0 += s->v3;
    s->v1 = rotate(s->v1, 17) ^ s->v2;
    s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 = rotate(s->v2, 32);
}

/* One round for a word: the variant for tables, not for signatures. */
static inline void sip_word(struct sip *s, uint64_t word)
{
    s->v3 ^= word;
    sip_round(s);
    s->v0 ^= word;
}

/* The last 0 to 7 bytes in little-endian order, the total size modulo 256 in the top byte. Loads
 * overlap instead of going byte by byte: most keys are names of a few words. */
static inline uint64_t sip_tail(const uint8_t *p, size_t left, size_t size)
{
    uint64_t word = (uint64_t)size << 56;

    assert(left < 8);
    if (left >= 4) {
        uint32_t low, high;
        memcpy(&low, p, sizeof low);
        memcpy(&high, p + left - sizeof high, sizeof high);
        return word | low | (uint64_t)high << (8 * (left - 4));
    }
    if (left > 0) {
        word |= (uint64_t)p[left - 1] << (8 * (left - 1));
        word |= (uint64_t)p[left / 2] << (8 * (left / 2));
        word |= p[0];
    }
    return word;
}

/* Keyed, so that a client who does not know the key cannot choose names that collide. */
uint64_t lv_siphash(const struct lv_hash_key *key, struct lv_bytes bytes)
{
    struct sip s = {
        /* "somepseudorandomlygeneratedbytes": the state under a key of zeros. */
        .v0 = key->k0 ^ 0x736f6d6570736575u,
        .v1 = key->k1 ^ 0x646f72616e646f6du,
        .v2 = key->k0 ^ 0x6c7967656e657261u,
        .v3 = key->k1 ^ 0x7465646279746573u,
    };
    const uint8_t *p = bytes.data;
    size_t left = bytes.size;

    assert(bytes.size == 0 || bytes.data != NULL);
    for (; left >= 8; left -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, sizeof word);
        sip_word(&s, word);
    }
    sip_word(&s, sip_tail(p, left, bytes.size));
    s.v2 ^= 0xff; /* a word never does this, so the end is told apart */
    for (int i = 0; i < 3; i++)
        sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

/* 32 bits of it: they choose among far fewer places, and a difference in them saves a look at the
 * key itself. */
static inline uint32_t hash_of(const struct lv_map *map, struct lv_bytes key)
{
    assert(map->key != NULL);
    return (uint32_t)lv_siphash(map->key, key);
}

/* The hash first: nearly every other entry differs there. */
static inline bool matches(const struct lv_map_entry *e, uint32_t hash, struct lv_bytes key)
{
    assert(e->value != NULL);
    return e->hash == hash && e->key_size == key.size &&
           (key.size == 0 || memcmp(e->key, key.data, key.size) == 0);
}

/* The key's entry or the free one where it would go. There is always a free one. */
static inline struct lv_map_entry *find(const struct lv_map *map, uint32_t hash,
                                        struct lv_bytes key)
{
    uint32_t mask = map->capacity - 1;
    uint32_t at = hash & mask;

    assert(map->count < map->capacity);
    while (map->entries[at].value != NULL && !matches(&map->entries[at], hash, key))
        at = (at + 1) & mask;
    return &map->entries[at];
}

/* Puts an entry whose key is known to be absent. */
static void place(struct lv_map_entry *entries, uint32_t capacity, const struct lv_map_entry *e)
{
    uint32_t at = e->hash & (capacity - 1);

    assert(e->value != NULL);
    while (entries[at].value != NULL)
        at = (at + 1) & (capacity - 1);
    entries[at] = *e;
}

/* To twice the size. The hashes are kept, so no key is read. */
static int grow(struct lv_map *map)
{
    uint32_t capacity = map->capacity > 0 ? map->capacity * 2 : CAPACITY_MIN;
    struct lv_map_entry *entries;

    assert((capacity & (capacity - 1)) == 0);
    if (capacity > CAPACITY_MAX)
        return -LV_E_NOMEM;
    entries = lv_calloc(capacity, sizeof *entries);
    if (entries == NULL)
        return -LV_E_NOMEM;
    for (uint32_t i = 0; i < map->capacity; i++) {
        if (map->entries[i].value != NULL)
            place(entries, capacity, &map->entries[i]);
    }
    lv_free(map->entries);
    map->entries = entries;
    map->capacity = capacity;
    return 0;
}

/* Moves the entries behind the hole forward, so that no probe ever crosses a free entry that it
 * should not: there are no tombstones, and a map that is used for years stays as fast as new. */
static void close_hole(struct lv_map *map, uint32_t hole)
{
    uint32_t mask = map->capacity - 1;

    assert(map->entries[hole].value != NULL);
    for (uint32_t at = (hole + 1) & mask; map->entries[at].value != NULL; at = (at + 1) & mask) {
        uint32_t home = map->entries[at].hash & mask;
        /* It may move when its home isn't between the hole (exclusive) and where it lies. */
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            map->entries[hole] = map->entries[at];
            hole = at;
        }
    }
    map->entries[hole] = (struct lv_map_entry){.value = NULL};
}

/* An empty map owns no memory, so objects can have one that most never use. */
void lv_map_init(struct lv_map *map, const struct lv_hash_key *key)
{
    assert(key != NULL);
    *map = (struct lv_map){.key = key};
}

/* The values are the owner's to free. */
void lv_map_fini(struct lv_map *map)
{
    assert(map->entries != NULL || map->capacity == 0);
    lv_free(map->entries);
    *map = (struct lv_map){.key = map->key};
}

/* The key may be anywhere: it is compared by its bytes. */
void *lv_map_get(const struct lv_map *map, struct lv_bytes key)
{
    assert(map->key != NULL);
    if (map->count == 0)
        return NULL;
    return find(map, hash_of(map, key), key)->value;
}

/* The key is not copied: it lies in the value and lives as long. */
int lv_map_put(struct lv_map *map, struct lv_bytes key, void *value)
{
    uint32_t hash = hash_of(map, key);
    struct lv_map_entry *entry;

    assert(value != NULL);
    assert(key.size <= UINT32_MAX);
    if (map->count + 1 > map->capacity / 4 * 3) { /* beyond 3/4 probes become long */
        int rc = grow(map);
        if (rc < 0)
            return rc;
    }
    entry = find(map, hash, key);
    assert(entry->value == NULL);
    *entry = (struct lv_map_entry){
        .hash = hash, .key_size = (uint32_t)key.size, .key = key.data, .value = value};
    map->count++;
    return 0;
}

/* Backward shift and no tombstones, so look-ups do not slow down with time. */
void *lv_map_remove(struct lv_map *map, struct lv_bytes key)
{
    struct lv_map_entry *entry;
    void *value;

    assert(map->key != NULL);
    if (map->count == 0)
        return NULL;
    entry = find(map, hash_of(map, key), key);
    value = entry->value;
    if (value == NULL)
        return NULL;
    close_hole(map, (uint32_t)(entry - map->entries));
    map->count--;
    if (map->count == 0)
        lv_map_fini(map); /* an empty map owns no memory */
    return value;
}

/* In no order; nothing may be put or removed in between. */
void *lv_map_next(const struct lv_map *map, uint32_t *cursor)
{
    assert(cursor != NULL);
    while (*cursor < map->capacity) {
        void *value = map->entries[(*cursor)++].value;
        if (value != NULL)
            return value;
    }
    return NULL;
}

/* The bits in the opposite order: halves are swapped, then quarters, and so on. */
static uint32_t reverse(uint32_t x)
{
    x = __builtin_bswap32(x);
    x = (x & 0x0f0f0f0f) << 4 | (x >> 4 & 0x0f0f0f0f);
    x = (x & 0x33333333) << 2 | (x >> 2 & 0x33333333);
    return (x & 0x55555555) << 1 | (x >> 1 & 0x55555555);
}

/* The order is that of the reversed hashes. The values of one place are a range of it, whatever the
 * capacity: the place is given by the hash's low bits, which are the high ones when reversed. So a
 * position says which values have been visited, also after the map has grown or begun anew. */
bool lv_map_scan(const struct lv_map *map, uint64_t *position, lv_map_visit_fn *visit, void *ctx)
{
    uint32_t mask = map->capacity - 1, home, at;
    uint64_t step;

    assert(*position <= UINT32_MAX);
    if (map->count == 0)
        return false;
    step = ((uint64_t)1 << 32) / map->capacity;
    home = reverse((uint32_t)*position) & mask;
    for (at = home; map->entries[at].value != NULL; at = (at + 1) & mask) {
        const struct lv_map_entry *entry = &map->entries[at];

        if ((entry->hash & mask) == home && reverse(entry->hash) >= *position)
            visit(ctx, entry->value);
    }
    *position = (*position / step + 1) * step;
    return *position <= UINT32_MAX;
}
