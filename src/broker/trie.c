#include "broker/trie.h"

#include "base/alloc.h"
#include "base/err.h"

#define CAPACITY_MIN 16u
#define FRONT_MIN    16u

/* A node with a word of up to 17 bytes takes 48. */
struct lv_trie_node {
    struct lv_trie_node *parent; /* view  NULL: the root */
    void *value;                 /* view  of the pattern that ends here, or NULL */
    uint64_t mark;               /*       `#`: the last match that reached it */
    uint32_t child_count;        /*       wildcards included */
    bool has_star, has_hash;
    uint8_t word_size;
    uint8_t word[];
};

/* The hash is kept beside, so that most misses never touch the node. */
struct lv_trie_slot {
    struct lv_trie_node *node; /* view  NULL: free */
    uint32_t hash;
};

/* ---- words ---- */

/* What take_word() begins with: the empty key has no words at all. */
static struct lv_bytes all_words(struct lv_bytes key)
{
    return key.size > 0 ? key : lv_bytes(NULL, 0);
}

/* Takes the first word off; false when none is left. Behind a last dot there is an empty one. */
static bool take_word(struct lv_bytes *rest, struct lv_bytes *ret_word)
{
    const uint8_t *dot;

    assert(ret_word != NULL);
    if (rest->data == NULL)
        return false;
    *ret_word = *rest;
    dot = rest->size > 0 ? memchr(rest->data, '.', rest->size) : NULL;
    if (dot == NULL) {
        *rest = lv_bytes(NULL, 0);
        return true;
    }
    ret_word->size = (size_t)(dot - rest->data);
    *rest = lv_bytes(dot + 1, rest->size - ret_word->size - 1);
    return true;
}

/* A wildcard of AMQP 0-9-1 §3.1.3.3 stands for itself alone: "a*" is a word like any other. */
static bool is_word(struct lv_bytes word, char c)
{
    assert(c == '*' || c == '#');
    return word.size == 1 && word.data[0] == (uint8_t)c;
}

/* Kept in the node: patterns share their first words, and so the memory for them. */
static struct lv_bytes word_of(const struct lv_trie_node *node)
{
    assert(node != NULL);
    return lv_bytes(node->word, node->word_size);
}

/* ---- the table of nodes ---- */

/* The word's hash is keyed and thus unknown to those who choose words; mixing in the parent keeps
 * it so. The multiplication carries all bits into the upper half. */
static uint32_t place_hash(const struct lv_trie_node *parent, uint64_t word_hash)
{
    assert(parent != NULL);
    return (uint32_t)(((word_hash ^ (uintptr_t)parent) * 0x9e3779b97f4a7c15u) >> 32);
}

/* All children of all nodes are in one table: a node with thousands of children and one with none
 * cost the same. */
static inline struct lv_trie_node *find(const struct lv_trie *trie,
                                        const struct lv_trie_node *parent, uint64_t word_hash,
                                        struct lv_bytes word)
{
    uint32_t hash = place_hash(parent, word_hash), mask = trie->capacity - 1;

    assert(trie->count < trie->capacity);
    for (uint32_t at = hash & mask;; at = (at + 1) & mask) {
        const struct lv_trie_slot *slot = &trie->slots[at];
        if (slot->node == NULL)
            return NULL;
        if (slot->hash == hash && slot->node->parent == parent &&
            lv_bytes_equal(word_of(slot->node), word))
            return slot->node;
    }
}

/* A free slot exists: the table is never more than three quarters full. */
static void place(struct lv_trie_slot *slots, uint32_t capacity, struct lv_trie_slot entry)
{
    uint32_t at = entry.hash & (capacity - 1);

    assert(entry.node != NULL);
    while (slots[at].node != NULL)
        at = (at + 1) & (capacity - 1);
    slots[at] = entry;
}

/* Room for one node more, with a quarter of the places free. */
static int reserve(struct lv_trie *trie)
{
    uint32_t capacity = trie->capacity == 0 ? CAPACITY_MIN : 2 * trie->capacity;
    struct lv_trie_slot *slots;

    assert(trie->count <= trie->capacity);
    if (trie->count + 1 <= trie->capacity / 4 * 3)
        return 0;
    slots = lv_calloc(capacity, sizeof *slots);
    if (slots == NULL)
        return -LV_E_NOMEM;
    for (uint32_t i = 0; i < trie->capacity; i++)
        if (trie->slots[i].node != NULL)
            place(slots, capacity, trie->slots[i]);
    lv_free(trie->slots);
    trie->slots = slots;
    trie->capacity = capacity;
    return 0;
}

/* Takes the node out and closes the gap: whoever would rather stand there moves up. */
static void displace(struct lv_trie *trie, const struct lv_trie_node *node, uint32_t hash)
{
    uint32_t mask = trie->capacity - 1, gap = hash & mask;

    assert(trie->count > 0);
    while (trie->slots[gap].node != node)
        gap = (gap + 1) & mask;
    for (uint32_t at = (gap + 1) & mask; trie->slots[at].node != NULL; at = (at + 1) & mask) {
        uint32_t home = trie->slots[at].hash & mask;
        if (((at - home) & mask) < ((at - gap) & mask))
            continue; /* the gap lies before its home */
        trie->slots[gap] = trie->slots[at];
        gap = at;
    }
    trie->slots[gap].node = NULL;
    trie->count--;
}

/* ---- nodes ---- */

/* One block with the word behind it. */
static struct lv_trie_node *node_new(struct lv_trie_node *parent, struct lv_bytes word)
{
    struct lv_trie_node *node = lv_alloc(sizeof *node + word.size);

    assert(word.size <= UINT8_MAX);
    if (node == NULL)
        return NULL;
    *node = (struct lv_trie_node){.parent = parent, .word_size = (uint8_t)word.size};
    lv_put_bytes(node->word, word);
    return node;
}

/* What it adds is taken away again by prune() when a later word finds no memory. */
static struct lv_trie_node *add_child(struct lv_trie *trie, struct lv_trie_node *parent,
                                      struct lv_bytes word)
{
    uint64_t word_hash = lv_siphash(trie->key, word);
    struct lv_trie_node *node;

    assert(parent != NULL);
    if (reserve(trie) < 0)
        return NULL;
    node = find(trie, parent, word_hash, word);
    if (node != NULL)
        return node;
    node = node_new(parent, word);
    if (node == NULL)
        return NULL;
    place(trie->slots, trie->capacity,
          (struct lv_trie_slot){.node = node, .hash = place_hash(parent, word_hash)});
    trie->count++;
    parent->child_count++;
    parent->has_star |= is_word(word, '*');
    parent->has_hash |= is_word(word, '#');
    return node;
}

/* Removes the node and those above it that nothing needs any more. */
static void prune(struct lv_trie *trie, struct lv_trie_node *node)
{
    assert(node != NULL);
    while (node->value == NULL && node->child_count == 0) {
        struct lv_trie_node *parent = node->parent;
        if (parent == NULL) {
            trie->root = NULL;
            lv_free(node);
            return;
        }
        displace(trie, node, place_hash(parent, lv_siphash(trie->key, word_of(node))));
        parent->child_count--;
        if (is_word(word_of(node), '*'))
            parent->has_star = false;
        if (is_word(word_of(node), '#'))
            parent->has_hash = false;
        lv_free(node);
        node = parent;
    }
}

/* The words are clients' own, so the hash is keyed. */
void lv_trie_init(struct lv_trie *trie, const struct lv_hash_key *key)
{
    assert(key != NULL);
    *trie = (struct lv_trie){.key = key};
    trie->star = lv_siphash(key, lv_text("*"));
    trie->hash = lv_siphash(key, lv_text("#"));
}

/* Bindings have been removed one by one before. */
void lv_trie_fini(struct lv_trie *trie)
{
    assert(trie->root == NULL);
    assert(trie->count == 0);
    lv_free(trie->slots);
    lv_free(trie->front);
    *trie = (struct lv_trie){.key = NULL};
}

/* The node where the pattern ends, NULL when there is none. */
static struct lv_trie_node *node_of(const struct lv_trie *trie, struct lv_bytes pattern)
{
    struct lv_bytes rest = all_words(pattern), word;
    struct lv_trie_node *node = trie->root;

    assert(trie->count == 0 || trie->root != NULL);
    while (node != NULL && trie->count > 0 && take_word(&rest, &word))
        node = find(trie, node, lv_siphash(trie->key, word), word);
    return rest.data == NULL ? node : NULL;
}

/* The pattern itself, wildcards as they stand, not what it matches. */
void *lv_trie_get(const struct lv_trie *trie, struct lv_bytes pattern)
{
    const struct lv_trie_node *node = node_of(trie, pattern);

    assert(trie->key != NULL);
    return node == NULL ? NULL : node->value;
}

/* A word after the other, so the cost is that of the pattern and not of how many there are. */
int lv_trie_add(struct lv_trie *trie, struct lv_bytes pattern, void *value)
{
    struct lv_bytes rest = all_words(pattern), word;
    struct lv_trie_node *node;

    assert(pattern.size <= UINT8_MAX);
    assert(value != NULL);
    if (trie->root == NULL) {
        trie->root = node_new(NULL, lv_bytes(NULL, 0));
        if (trie->root == NULL)
            return -LV_E_NOMEM;
    }
    node = trie->root;
    while (take_word(&rest, &word)) {
        struct lv_trie_node *child = add_child(trie, node, word);
        if (child == NULL) {
            prune(trie, node);
            return -LV_E_NOMEM;
        }
        node = child;
    }
    assert(node->value == NULL);
    node->value = value;
    return 0;
}

/* Nodes that lead nowhere any more go as well. */
void lv_trie_remove(struct lv_trie *trie, struct lv_bytes pattern)
{
    struct lv_trie_node *node = node_of(trie, pattern);

    assert(node != NULL);
    assert(node->value != NULL);
    node->value = NULL;
    prune(trie, node);
}

/* ---- matching ---- */

static int append(struct lv_trie *trie, struct lv_trie_node *node)
{
    assert(trie->front_count <= trie->front_capacity);
    if (LV_UNLIKELY(trie->front_count == trie->front_capacity)) {
        uint32_t capacity = trie->front_capacity == 0 ? FRONT_MIN : 2 * trie->front_capacity;
        struct lv_trie_node **front =
            lv_realloc(trie->front, capacity * sizeof(struct lv_trie_node *));
        if (front == NULL)
            return -LV_E_NOMEM;
        trie->front = front;
        trie->front_capacity = capacity;
    }
    trie->front[trie->front_count++] = node;
    return 0;
}

/* The node has been reached, and with it what follows by no words at all: the `#` below it. A `#`
 * stays reached to the key's end, so it is entered once in a match. */
static int reach(struct lv_trie *trie, struct lv_trie_node *node)
{
    for (;;) {
        int rc = append(trie, node);
        if (rc < 0 || !node->has_hash)
            return rc;
        node = find(trie, node, trie->hash, lv_text("#"));
        assert(node != NULL);
        if (node->mark == trie->match_count)
            return 0;
        node->mark = trie->match_count;
    }
}

/* Where one word more leads to from a node. */
static int step(struct lv_trie *trie, struct lv_trie_node *node, struct lv_bytes word,
                uint64_t word_hash)
{
    uint32_t wildcards = (uint32_t)node->has_star + (uint32_t)node->has_hash;
    int rc = is_word(word_of(node), '#') ? append(trie, node) : 0;

    assert(node != NULL);
    if (rc == 0 && node->has_star)
        rc = reach(trie, find(trie, node, trie->star, lv_text("*")));
    /* A key's own `*` or `#` is a word like any other; the patterns they would lead to by name have
     * been reached already. */
    if (rc < 0 || node->child_count == wildcards || is_word(word, '*') || is_word(word, '#'))
        return rc;
    node = find(trie, node, word_hash, word);
    return node == NULL ? 0 : reach(trie, node);
}

/* From the front that the words so far have reached to that of one word more. */
static int advance(struct lv_trie *trie, struct lv_bytes word)
{
    uint64_t word_hash = lv_siphash(trie->key, word);
    uint32_t count = trie->front_count;

    assert(trie->front_count > 0);
    for (uint32_t i = 0; i < count; i++) {
        int rc = step(trie, trie->front[i], word, word_hash);
        if (rc < 0)
            return rc;
    }
    trie->front_count -= count;
    memmove(trie->front, trie->front + count, trie->front_count * sizeof(struct lv_trie_node *));
    return 0;
}

/* All nodes that the words so far can lead to are carried along together, so no pattern makes it
 * try the same words twice: there is no key that takes exponential time. */
int lv_trie_match(struct lv_trie *trie, struct lv_bytes key, lv_trie_visit_fn *visit, void *ctx)
{
    struct lv_bytes rest = all_words(key), word;
    int rc;

    assert(visit != NULL);
    if (trie->root == NULL)
        return 0;
    trie->match_count++;
    trie->front_count = 0;
    rc = reach(trie, trie->root);
    while (rc == 0 && trie->front_count > 0 && take_word(&rest, &word))
        rc = advance(trie, word);
    for (uint32_t i = 0; rc == 0 && i < trie->front_count; i++)
        if (trie->front[i]->value != NULL)
            rc = visit(ctx, trie->front[i]->value);
    return rc;
}
