#include "auth/verified.h"

#include "base/alloc.h"
#include "base/err.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <sys/random.h>

/* Sets of a few places each: a digest has its set and nobody can choose which. Memory that nobody
 * has written to is the kernel's, so the table costs what its users cost. */
#define SET_COUNT 4096u
#define WAY_COUNT 4u
#define KEY_SIZE  32u

struct place {
    struct lv_verified_digest digest;
    uint64_t ends_at; /* 0: free */
};

struct lv_verified {
    EVP_MAC_CTX *mac; /* own  the key is in it and nowhere else */
    struct place places[SET_COUNT][WAY_COUNT];
};

/* With a key of its own; NULL: out of memory or chance. */
static EVP_MAC_CTX *new_mac(void)
{
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    unsigned char key[KEY_SIZE];
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *mac = EVP_MAC_CTX_new(hmac);

    EVP_MAC_free(hmac);
    if (mac != NULL && (getrandom(key, sizeof key, 0) != sizeof key ||
                        EVP_MAC_init(mac, key, sizeof key, params) != 1)) {
        EVP_MAC_CTX_free(mac);
        mac = NULL;
    }
    explicit_bzero(key, sizeof key);
    return mac;
}

struct lv_verified *lv_verified_new(void)
{
    struct lv_verified *verified = lv_calloc(1, sizeof *verified);

    if (verified == NULL)
        return NULL;
    verified->mac = new_mac();
    if (verified->mac == NULL) {
        lv_free(verified);
        return NULL;
    }
    return verified;
}

void lv_verified_free(struct lv_verified *verified)
{
    if (verified == NULL)
        return;
    EVP_MAC_CTX_free(verified->mac);
    lv_free(verified);
}

/* The end of `hash` keeps the two apart. */
int lv_verified_digest(struct lv_verified *verified, const char *hash, struct lv_bytes password,
                       struct lv_verified_digest *ret_digest)
{
    unsigned char whole[EVP_MAX_MD_SIZE];
    size_t size = 0;

    assert(hash != NULL);
    if (EVP_MAC_init(verified->mac, NULL, 0, NULL) != 1 ||
        EVP_MAC_update(verified->mac, (const uint8_t *)hash, strlen(hash) + 1) != 1 ||
        EVP_MAC_update(verified->mac, password.data, password.size) != 1 ||
        EVP_MAC_final(verified->mac, whole, &size, sizeof whole) != 1)
        return -LV_E_NOMEM;
    assert(size >= sizeof ret_digest->bytes);
    memcpy(ret_digest->bytes, whole, sizeof ret_digest->bytes);
    return 0;
}

/* Which set; the digest is as good as chance. */
static size_t set_of(const struct lv_verified_digest *digest)
{
    uint64_t start;

    static_assert(sizeof start <= sizeof digest->bytes, "a digest has that many bytes");
    memcpy(&start, digest->bytes, sizeof start);
    return start % SET_COUNT;
}

static bool is_same(const struct lv_verified_digest *a, const struct lv_verified_digest *b)
{
    return CRYPTO_memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
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
