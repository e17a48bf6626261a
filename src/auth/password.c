#include "auth/password.h"

#include "base/alloc.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define SALT_SIZE     ((size_t)4) /* of RabbitMQ's hashes */
#define NEW_SALT_SIZE 16u         /* bytes of chance in a new hash */
/* crypt(5): how much work; 5 is what Debian's own passwords have, with 16 MiB. */
#define NEW_COST 5u
/* Above, a check takes more than 128 MiB and much of a second: an import that asks for it is a
 * mistake, or worse. As a digit of crypt's: 2^15 blocks. */
#define COST_DIGIT_MAX 'C'

/* RabbitMQ's names, which are those of its modules. */
static const struct algorithm {
    const char *name;
    const EVP_MD *(*digest)(void);
    size_t size; /* of a hash, without salt */
} algorithms[] = {
    {"rabbit_password_hashing_sha256", EVP_sha256, 32},
    {"rabbit_password_hashing_sha512", EVP_sha512, 64},
    {"rabbit_password_hashing_md5", EVP_md5, 16},
};
#define ALGORITHM_NAMES                                                                            \
    "rabbit_password_hashing_sha256, rabbit_password_hashing_sha512, "                             \
    "rabbit_password_hashing_md5 and " LV_PASSWORD_YESCRYPT " are known"

/* Salt and hash of the longest of them, and what a decoder may write behind them. */
#define RAW_MAX  (SALT_SIZE + 64u)
#define RAW_ROOM (RAW_MAX + 2)

static_assert(sizeof "rabbit_password_hashing_sha512:" + (RAW_MAX + 2) / 3 * 4 <=
                  LV_PASSWORD_HASH_SIZE,
              "every hash of RabbitMQ's has room");

/* ---- base64, as RFC 4648 §4 has it ---- */

/* How many bytes the text stands for, at most `max`, or -1. Only the one way to write them counts:
 * full quadruples, nothing but the alphabet, no stray bits. `data` has room for `max` + 2. */
static int decode(struct lv_bytes text, uint8_t *data, size_t max)
{
    unsigned char again[LV_PASSWORD_HASH_SIZE / 3 * 4 + 5];
    int size, padding = 0;

    if (text.size == 0 || text.size % 4 != 0 || text.size / 4 * 3 > max + 2)
        return -1;
    padding += text.data[text.size - 1] == '=';
    padding += text.data[text.size - 2] == '=';
    size = EVP_DecodeBlock(data, text.data, (int)text.size) - padding;
    if (size <= 0 || (size_t)size > max)
        return -1;
    EVP_EncodeBlock(again, data, size);
    assert(strlen((const char *)again) < sizeof again);
    return memcmp(again, text.data, text.size) == 0 ? size : -1;
}

/* ---- RabbitMQ's hashes ---- */

/* NULL: none of this name. */
static const struct algorithm *find_algorithm(struct lv_bytes name)
{
    for (size_t i = 0; i < LV_COUNT(algorithms); i++) {
        if (lv_bytes_equal(name, lv_text(algorithms[i].name)))
            return &algorithms[i];
    }
    return NULL;
}

/* The part before the colon; NULL: none is known. `ret_text` becomes what is behind it. */
static const struct algorithm *split(const char *hash, struct lv_bytes *ret_text)
{
    const char *colon = strchr(hash, ':');

    if (colon == NULL)
        return NULL;
    *ret_text = lv_text(colon + 1);
    return find_algorithm(lv_bytes(hash, (size_t)(colon - hash)));
}

/* Into `raw`, of RAW_ROOM bytes: salt, then hash. */
static int decode_salted(const struct algorithm *algorithm, struct lv_bytes text, uint8_t *raw,
                         struct lv_diag *diag)
{
    int size = decode(text, raw, RAW_MAX);

    assert(algorithm->size <= RAW_MAX - SALT_SIZE);
    if (size < 0)
        return lv_fail(diag, -LV_E_USAGE, "a password hash is not base64");
    if ((size_t)size != SALT_SIZE + algorithm->size)
        return lv_fail(diag, -LV_E_USAGE,
                       "a password hash of %s is a salt of %zu bytes and %zu more, not %d bytes",
                       algorithm->name, SALT_SIZE, algorithm->size, size);
    return 0;
}

/* Of salt and password; `hash` has room for the longest. */
static int digest(const struct algorithm *algorithm, const uint8_t *salt, struct lv_bytes password,
                  uint8_t hash[EVP_MAX_MD_SIZE])
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    unsigned size = 0;
    int rc = -LV_E_NOMEM; /* or an OpenSSL that was built without the algorithm */

    if (md != NULL && EVP_DigestInit_ex(md, algorithm->digest(), NULL) == 1 &&
        EVP_DigestUpdate(md, salt, SALT_SIZE) == 1 &&
        EVP_DigestUpdate(md, password.data, password.size) == 1 &&
        EVP_DigestFinal_ex(md, hash, &size) == 1)
        rc = 0;
    assert(rc < 0 || size == algorithm->size);
    EVP_MD_CTX_free(md);
    return rc;
}

static int verify_salted(const char *hash, struct lv_bytes password)
{
    uint8_t raw[RAW_ROOM], given[EVP_MAX_MD_SIZE];
    struct lv_bytes text;
    const struct algorithm *algorithm = split(hash, &text);
    int rc;

    if (algorithm == NULL || decode_salted(algorithm, text, raw, NULL) < 0)
        return -LV_E_SYNTAX;
    rc = digest(algorithm, raw, password, given);
    if (rc < 0)
        return rc;
    return CRYPTO_memcmp(raw + SALT_SIZE, given, algorithm->size) == 0;
}

int lv_password_hash_portable(struct lv_bytes password, char hash[LV_PASSWORD_HASH_SIZE],
                              struct lv_diag *diag)
{
    const struct algorithm *algorithm = &algorithms[0];
    uint8_t raw[SALT_SIZE + EVP_MAX_MD_SIZE];
    size_t name_size = strlen(algorithm->name);

    assert(hash != NULL);
    if (password.size == 0)
        return lv_fail(diag, -LV_E_USAGE, "a password may not be empty");
    if (getrandom(raw, SALT_SIZE, 0) != (ssize_t)SALT_SIZE ||
        digest(algorithm, raw, password, raw + SALT_SIZE) < 0)
        return lv_fail(diag, -LV_E_NOMEM, "the password can't be hashed");
    memcpy(hash, algorithm->name, name_size);
    hash[name_size] = ':';
    EVP_EncodeBlock((unsigned char *)hash + name_size + 1, raw, (int)(SALT_SIZE + algorithm->size));
    return 0;
}

/* ---- crypt's ---- */

static bool is_crypt(const char *hash)
{
    return strncmp(hash, "$y$", 3) == 0;
}

/* crypt(5): ./0-9A-Za-z. */
static size_t crypt_digits(const char *text)
{
    return strspn(text, "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
}

/* `$y$`, three digits for how much work, `$`, salt, `$`, 43 digits of hash. What else crypt(3)
 * might take has a price that nobody has looked at. */
static bool is_yescrypt(const char *hash)
{
    const char *cost, *salt, *rest;

    if (!is_crypt(hash) || crypt_digits(hash + 3) != 3 || hash[6] != '$')
        return false;
    cost = hash + 3;
    if (cost[0] != 'j' || cost[1] > COST_DIGIT_MAX || (cost[2] != 'T' && cost[2] != '5'))
        return false;
    salt = cost + 4;
    rest = salt + crypt_digits(salt);
    assert(rest >= salt);
    return rest > salt && *rest == '$' && crypt_digits(rest + 1) == 43 && rest[44] == '\0';
}

/* crypt(3) takes a terminated text, so what cannot be one is nobody's password. */
static bool is_text(struct lv_bytes password)
{
    return password.size <= LV_PASSWORD_MAX &&
           (password.size == 0 || memchr(password.data, '\0', password.size) == NULL);
}

/* By the setting at the beginning of `setting`, which may be a whole hash. */
static int run_crypt(const char *setting, struct lv_bytes password,
                     char hash[LV_PASSWORD_HASH_SIZE])
{
    struct crypt_data *data = lv_calloc(1, sizeof *data); /* 32 KiB */
    char phrase[LV_PASSWORD_MAX + 1] = "";
    const char *made;
    int rc = -LV_E_NOMEM;

    assert(is_text(password));
    if (data == NULL)
        return rc;
    lv_put_bytes((uint8_t *)phrase, password);
    made = crypt_rn(phrase, setting, data, sizeof *data);
    if (made != NULL && strlen(made) < LV_PASSWORD_HASH_SIZE) {
        snprintf(hash, LV_PASSWORD_HASH_SIZE, "%s", made);
        rc = 0;
    }
    explicit_bzero(phrase, sizeof phrase);
    explicit_bzero(data, sizeof *data);
    lv_free(data);
    return rc;
}

static int verify_crypt(const char *hash, struct lv_bytes password)
{
    char given[LV_PASSWORD_HASH_SIZE];
    int rc;

    if (!is_yescrypt(hash))
        return -LV_E_SYNTAX;
    if (!is_text(password))
        return 0;
    rc = run_crypt(hash, password, given);
    if (rc < 0)
        return rc;
    return strlen(given) == strlen(hash) && CRYPTO_memcmp(given, hash, strlen(hash)) == 0;
}

static int fail_crypt(struct lv_diag *diag)
{
    return lv_fail(diag, -LV_E_USAGE,
                   "a yescrypt hash is $y$j9T$SALT$HASH as mkpasswd writes it, with a cost of at "
                   "most 8");
}

/* ---- both ---- */

int lv_password_hash(struct lv_bytes password, char hash[LV_PASSWORD_HASH_SIZE],
                     struct lv_diag *diag)
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE], salt[NEW_SALT_SIZE];
    int rc;

    if (password.size == 0)
        return lv_fail(diag, -LV_E_USAGE, "a password can't be empty");
    if (!is_text(password))
        return lv_fail(diag, -LV_E_USAGE,
                       "a password has at most %u bytes, and none of them is NUL", LV_PASSWORD_MAX);
    if (getrandom(salt, sizeof salt, 0) != sizeof salt ||
        crypt_gensalt_rn("$y$", NEW_COST, salt, sizeof salt, setting, sizeof setting) == NULL)
        return lv_fail(diag, -LV_E_INTERNAL, "there is no yescrypt, or no chance for a salt");
    rc = run_crypt(setting, password, hash);
    if (rc < 0)
        return lv_fail(diag, rc, "no memory for the hash of a password");
    assert(is_yescrypt(hash));
    return 0;
}

int lv_password_verify(const char *hash, struct lv_bytes password)
{
    assert(hash != NULL);
    if (hash[0] == '\0' || password.size == 0)
        return 0;
    return is_crypt(hash) ? verify_crypt(hash, password) : verify_salted(hash, password);
}

int lv_password_check(const char *hash, struct lv_diag *diag)
{
    uint8_t raw[RAW_ROOM];
    struct lv_bytes text;
    const struct algorithm *algorithm;

    assert(hash != NULL);
    if (strlen(hash) >= LV_PASSWORD_HASH_SIZE)
        return lv_fail(diag, -LV_E_USAGE, "a password hash has less than %zu characters",
                       LV_PASSWORD_HASH_SIZE);
    if (hash[0] == '\0')
        return 0;
    if (is_crypt(hash))
        return is_yescrypt(hash) ? 0 : fail_crypt(diag);
    algorithm = split(hash, &text);
    if (algorithm == NULL)
        return lv_fail(diag, -LV_E_USAGE,
                       "a password hash of no known algorithm: " ALGORITHM_NAMES);
    return decode_salted(algorithm, text, raw, diag);
}

/* From a text in which anything may stand. */
static int import_yescrypt(struct lv_bytes text, char hash[LV_PASSWORD_HASH_SIZE],
                           struct lv_diag *diag)
{
    char given[LV_PASSWORD_HASH_SIZE + 2] = "";
    int size = 0;

    assert(text.size > 0);
    if (text.data[0] != '$')
        size = decode(text, (uint8_t *)given, LV_PASSWORD_HASH_SIZE - 1);
    else if (text.size < LV_PASSWORD_HASH_SIZE)
        size = (int)(lv_put_bytes((uint8_t *)given, text) - (uint8_t *)given);
    given[size < 0 ? 0 : size] = '\0';
    /* A NUL byte within would hide what is behind it. */
    if (size < 0 || strlen(given) != (size_t)size || !is_yescrypt(given))
        return fail_crypt(diag);
    memcpy(hash, given, (size_t)size + 1);
    return 0;
}

int lv_password_import(struct lv_bytes algorithm, struct lv_bytes text,
                       char hash[LV_PASSWORD_HASH_SIZE], struct lv_diag *diag)
{
    const struct algorithm *known = find_algorithm(algorithm);
    uint8_t raw[RAW_ROOM];
    int rc;

    if (known == NULL && !lv_bytes_equal(algorithm, lv_text(LV_PASSWORD_YESCRYPT)))
        return lv_fail(diag, -LV_E_USAGE, "unknown hashing_algorithm '%.*s': " ALGORITHM_NAMES,
                       algorithm.size < 64 ? (int)algorithm.size : 64,
                       (const char *)algorithm.data);
    if (text.size == 0) {
        hash[0] = '\0';
        return 0;
    }
    if (known == NULL)
        return import_yescrypt(text, hash, diag);
    rc = decode_salted(known, text, raw, diag);
    if (rc == 0)
        snprintf(hash, LV_PASSWORD_HASH_SIZE, "%s:%.*s", known->name, LV_FMT(text));
    return rc;
}

void lv_password_export(const char *hash, struct lv_password_export *ret_export)
{
    struct lv_bytes text = lv_text("");
    const struct algorithm *algorithm = hash[0] == '\0' ? &algorithms[0] : split(hash, &text);

    assert(lv_password_check(hash, NULL) == 0);
    static_assert(sizeof ret_export->text > (LV_PASSWORD_HASH_SIZE + 2) / 3 * 4, "room for all");
    ret_export->algorithm = algorithm == NULL ? LV_PASSWORD_YESCRYPT : algorithm->name;
    if (algorithm == NULL)
        EVP_EncodeBlock((uint8_t *)ret_export->text, (const uint8_t *)hash, (int)strlen(hash));
    else
        snprintf(ret_export->text, sizeof ret_export->text, "%.*s", LV_FMT(text));
}
