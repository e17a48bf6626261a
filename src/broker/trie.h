/*
 * broker/trie.h - binding keys of a topic exchange, by their words.
 *
 * Keys are words between dots; in a pattern `*` stands for one word and `#` for any number of them,
 * none included. The empty key has no words, `a..b` has an empty one in the middle. A node is found
 * by its parent and its word in one hash table for the whole trie, so it costs its word, a place in
 * the table and little more, and a match costs no more than the nodes that can still lead to a
 * pattern. A pattern has one value, which is the caller's. Owning shard only.
 */
#pragma once

#include "base/map.h"

struct lv_trie_node;
struct lv_trie_slot;

/* One hash table for all edges of all nodes, and room for the nodes that a match has reached. */
struct lv_trie {
    struct lv_trie_slot *slots;    /* own   all nodes but the root, open addressing */
    struct lv_trie_node *root;     /* own   NULL: nothing is bound */
    struct lv_trie_node **front;   /* own   of a match: the nodes reached by the words so far */
    const struct lv_hash_key *key; /* view  outlives the trie */
    uint64_t star, hash;           /*       hashes of these two words */
    uint64_t match_count;
    uint32_t capacity, count; /*       of `slots` */
    uint32_t front_capacity, front_count;
};

/* Keeps a view of `key`. An empty trie owns no memory. */
void lv_trie_init(struct lv_trie *trie, const struct lv_hash_key *key);
/* Nothing may be bound any more. */
void lv_trie_fini(struct lv_trie *trie);

/* NULL when nothing is bound with just this pattern. O(words), as are adding and removal. */
void *lv_trie_get(const struct lv_trie *trie, struct lv_bytes pattern);
/* The pattern must be absent. Keeps a view of `value` (not NULL). -LV_E_NOMEM changes nothing. */
int lv_trie_add(struct lv_trie *trie, struct lv_bytes pattern, void *value) LV_MUST_CHECK;
/* The pattern must be there. */
void lv_trie_remove(struct lv_trie *trie, struct lv_bytes pattern);

/* An error ends the match. */
typedef int lv_trie_visit_fn(void *ctx, void *value);

/* Visits the value of every matching pattern once, in no particular order. However many `#` there
 * are, each node is looked at no more than once for each word of the key, so the work has a bound.
 * Returns 0, -LV_E_NOMEM, or the error of `visit`, which may not use this trie. */
int lv_trie_match(struct lv_trie *trie, struct lv_bytes key, lv_trie_visit_fn *visit, void *ctx)
    LV_MUST_CHECK;
