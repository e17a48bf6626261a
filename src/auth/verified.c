#include "auth/verified.h"

#include "base/alloc.h"
#include "base/map.h"

#include <sys/random.h>

/* Sets of a few places each: a digest has its set and nobody can choose which. Memory that nobody
 * has written to is the kernel's, so the table costs what its users cost. */
#define SET_COUNT    4096u
#define WAY_COUNT    4u
#define DIGEST_WORDS LV_COUNT(((struct lv_verified_digest *)0)->words)

struct place {
    struct lv_verified_digest digest;
    uint64_t ends_at; /* 0: free */
};

struct lv_verified {
    struct lv_hash_key keys[DIGEST_WORDS]; /* one for each word of a digest */
    struct place places[SET_COUNT][WAY_COUNT];
};

struct lv_verified *lv_verified_new(void)
{
    struct lv_verified *verified = lv_calloc(1, sizeof *verified);

    if (verified == NULL)
        return NULL;
    if (getrandom(verified->keys, sizeof verified->keys, 0) != sizeof verified->keys) {
        lv_free(verified);
        return NULL;
    }
    return verified;
}

void lv_verified_free(struct lv_verified *verified)
{
    lv_free(verified);
}

/* The stored hash makes a key of its own of the table's, under which the password is hashed: so no
 * bytes of the one can be taken for the other's. */
static uint64_t word_of(const struct lv_hash_key *key, struct lv_bytes hash,
                        struct lv_bytes password)
{
    const struct lv_hash_key turned = {~key->k0, ~key->k1};
    const struct lv_hash_key own = {lv_siphash(key, hash), lv_siphash(&turned, hash)};

    assert(hash.data != NULL);
    return lv_siphash(&own, password);
}

struct lv_verified_digest lv_verified_digest(const struct lv_verified *verified, const char *hash,
                                             struct lv_bytes password)
{
    struct lv_verified_digest digest = {.words = {0}};

    static_assert(sizeof digest.words == sizeof verified->keys / 2, "a key for each word");
    for (size_t i = 0; i < DIGEST_WORDS; i++)
        digest.words[i] = word_of(&verified->keys[i], lv_text(hash), password);
    return digest;
}

/* Which set; the digest is as good as chance. */
static size_t set_of(const struct lv_verified_digest *digest)
{
    return digest->words[0] % SET_COUNT;
}

static bool is_same(const struct lv_verified_digest *a, const struct lv_verified_digest *b)
{
    uint64_t difference = 0;

    for (size_t i = 0; i < DIGEST_WORDS; i++)
        difference |= a->words[i] ^ b->words[i];
    return difference == 0;
}

bool lv_verified_has(const struct lv_verified *verified, const struct lv_verified_digest *digest,
                     uint64_t now)
{
    const struct place *set = verified->places[set_of(digest)];
    bool has = false;

    for (size_t i = 0; i < WAY_COUNT; i++)
        has = has || (set[i].ends_at > now && is_same(&set[i].digest, digest));
    return has;
}

void lv_verified_put(struct lv_verified *verified, const struct lv_verified_digest *digest,
                     uint64_t now)
{
    struct place *set = verified->places[set_of(digest)], *place = &set[0];

    assert(now < UINT64_MAX - LV_VERIFIED_NS);
    for (size_t i = 0; i < WAY_COUNT; i++) {
        if (set[i].ends_at != 0 && is_same(&set[i].digest, digest)) {
            place = &set[i];
            break;
        }
        if (set[i].ends_at < place->ends_at)
            place = &set[i];
    }
    place->digest = *digest;
    place->ends_at = now + LV_VERIFIED_NS;
}
