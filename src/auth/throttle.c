#include "auth/throttle.h"

#include "base/alloc.h"
#include "base/map.h"

#include <string.h>
#include <sys/random.h>

/* Sets of a few places each; nobody can choose which set an address is in. */
#define SET_COUNT 1024u
#define WAY_COUNT 4u
/* More failures make no answer slower. */
#define FAILURES_MAX (LV_THROTTLE_FREE + 6u)

static_assert(LV_THROTTLE_MIN_NS << (FAILURES_MAX - LV_THROTTLE_FREE - 1) == LV_THROTTLE_MAX_NS,
              "the last failure that counts has the longest wait");

struct place {
    uint64_t ip;       /*       as name_of() has it */
    uint64_t at;       /*       of the last failure; 0: free */
    uint32_t failures; /*       as of then */
    uint32_t held;
};

struct lv_throttle {
    struct lv_hash_key key;
    struct place places[SET_COUNT][WAY_COUNT];
};

struct lv_throttle *lv_throttle_new(void)
{
    struct lv_throttle *throttle = lv_calloc(1, sizeof *throttle);

    if (throttle == NULL)
        return NULL;
    if (getrandom(&throttle->key, sizeof throttle->key, 0) != sizeof throttle->key) {
        lv_free(throttle);
        return NULL;
    }
    return throttle;
}

void lv_throttle_free(struct lv_throttle *throttle)
{
    lv_free(throttle);
}

/* Eight bytes for each network that counts as one. Those of IPv4 begin with 0:ffff, which no
 * network of IPv6 does (RFC 4291 §2.4 has what begins with zeros for special uses). */
static uint64_t name_of(const uint8_t ip[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    bool is_ipv4 = memcmp(ip, mapped, sizeof mapped) == 0;
    uint64_t name;

    static_assert(sizeof name == 8, "half an address");
    memcpy(&name, is_ipv4 ? ip + 8 : ip, sizeof name);
    return name;
}

static size_t set_of(const struct lv_throttle *throttle, uint64_t name)
{
    return lv_siphash(&throttle->key, lv_bytes(&name, sizeof name)) % SET_COUNT;
}

/* NULL: nothing is known of it. */
static struct place *find(struct place *set, uint64_t name)
{
    for (size_t i = 0; i < WAY_COUNT; i++) {
        if (set[i].at != 0 && set[i].ip == name)
            return &set[i];
    }
    return NULL;
}

/* The one that failed longest ago goes; what is free never did. */
static struct place *make_room(struct place *set, uint64_t name)
{
    struct place *place = &set[0];

    for (size_t i = 1; i < WAY_COUNT; i++) {
        if (set[i].at < place->at)
            place = &set[i];
    }
    *place = (struct place){.ip = name};
    return place;
}

bool lv_throttle_is_full(struct lv_throttle *throttle, const uint8_t ip[16])
{
    uint64_t name = name_of(ip);
    const struct place *place = find(throttle->places[set_of(throttle, name)], name);

    assert(ip != NULL);
    return place != NULL && place->held >= LV_THROTTLE_HELD;
}

uint64_t lv_throttle_fail(struct lv_throttle *throttle, const uint8_t ip[16], uint64_t now)
{
    uint64_t name = name_of(ip), forgotten;
    struct place *set = throttle->places[set_of(throttle, name)];
    struct place *place = find(set, name);

    assert(now > 0);
    if (place == NULL)
        place = make_room(set, name);
    assert(place->at <= now);
    forgotten = (now - place->at) / LV_THROTTLE_FORGET_NS;
    place->failures -= forgotten < place->failures ? (uint32_t)forgotten : place->failures;
    place->failures += place->failures < FAILURES_MAX;
    place->at = now;
    if (place->failures <= LV_THROTTLE_FREE)
        return 0;
    place->held++;
    return LV_THROTTLE_MIN_NS << (place->failures - LV_THROTTLE_FREE - 1);
}

/* The address may have made room for others meanwhile, and have come back since. */
void lv_throttle_let_go(struct lv_throttle *throttle, const uint8_t ip[16])
{
    uint64_t name = name_of(ip);
    struct place *place = find(throttle->places[set_of(throttle, name)], name);

    assert(ip != NULL);
    if (place != NULL && place->held > 0)
        place->held--;
}
