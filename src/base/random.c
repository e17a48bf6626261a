#include "base/random.h"

#include <assert.h>
#include <stddef.h>

/* By 0 or 64 the shift would be undefined. */
static uint64_t rotate(uint64_t x, unsigned bits)
{
    assert(bits > 0);
    assert(bits < 64);
    return (x << bits) | (x >> (64 - bits));
}

/* splitmix64: spreads a seed, even a small one, over the whole state. */
static uint64_t spread(uint64_t *seed)
{
    uint64_t x = *seed += 0x9e3779b97f4a7c15u;

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* A small seed too gives four words that look unrelated. */
void lv_random_seed(struct lv_random *random, uint64_t seed)
{
    for (size_t i = 0; i < 4; i++)
        random->state[i] = spread(&seed);
    /* All zeros is the one state that the generator never leaves. */
    assert((random->state[0] | random->state[1] | random->state[2] | random->state[3]) != 0);
}

/* xoshiro256**: fast, and nothing secret hangs on it. */
uint64_t lv_random_next(struct lv_random *random)
{
    uint64_t *s = random->state;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    assert((s[0] | s[1] | s[2] | s[3]) != 0);
    /* The order of these is the generator. */
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

/* Even for large bounds, where a plain modulo would favour small numbers. */
uint64_t lv_random_below(struct lv_random *random, uint64_t bound)
{
    uint64_t reject;
    uint64_t x;

    assert(bound > 0);
    /* The lowest 2^64 mod bound values would make small results likelier. */
    reject = (0 - bound) % bound;
    do
        x = lv_random_next(random);
    while (x < reject);
    return x % bound;
}

/* 128 bits in base64url, as RabbitMQ's generated names have them. */
void lv_random_name(struct lv_random *random, char name[22])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint64_t bits = 0;

    assert(name != NULL);
    static_assert(sizeof digits == 64 + 1, "base64url has 64 digits");
    for (size_t i = 0; i < 22; i++) {
        if (i % 10 == 0) /* 64 bits are ten digits of six bits each */
            bits = lv_random_next(random);
        name[i] = digits[bits & 63];
        bits >>= 6;
    }
}
