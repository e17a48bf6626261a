#include "broker/headers.h"

#include "base/alloc.h"

#define SEEN_MIN  16u
#define SEEN_KEPT 64u /* places that stay allocated between messages */

/* A name that a group asks about. */
struct asked {
    uint64_t hash;        /*      of the name */
    struct lv_bytes name; /* view in the group's signature */
    bool any_value;
};

/* Rules about the same names. */
struct group {
    struct lv_link link;       /* view  in lv_headers.group_list */
    struct lv_map buckets;     /* own   by the hash of the values wanted */
    struct lv_bytes signature; /* view  of what lies behind `asked`: names and how they are asked */
    uint32_t asked_count;
    struct asked asked[];
};

/* Rules of a group whose values have one hash. */
struct bucket {
    uint64_t hash;
    struct lv_list rules;
};

/* What one binding wants of the fields that its group asks for. */
struct rule {
    struct lv_link link;             /* view  in its bucket */
    struct group *group;             /* view */
    struct bucket *bucket;           /* view */
    void *owner;                     /* view */
    const struct lv_value *wanted[]; /* view  in the group's order */
};

/* One rule for `all`, one for each field for `any`. */
struct lv_headers_binding {
    uint32_t count;
    struct rule *rules[]; /* own */
};

/* A header of the message. */
struct lv_headers_seen {
    const struct lv_field *field; /* view  NULL: a free place */
    uint64_t name_hash;
    uint64_t value_hash; /*       when `is_hashed` */
    bool is_hashed;
};

/* ---- what a binding's arguments mean ---- */

/* A value of x-match. */
struct mode {
    const char *word;
    bool is_any, with_x;
};

/* The first is meant when there is none. */
static const struct mode modes[] = {
    {"all", false, false},
    {"any", true, false},
    {"all-with-x", false, true},
    {"any-with-x", true, true},
};

/* NULL when the word is none of them. */
static const struct mode *mode_of(const struct lv_table *arguments)
{
    const struct lv_value *value = lv_table_get(arguments, "x-match");

    if (value == NULL)
        return &modes[0];
    for (size_t i = 0; i < LV_COUNT(modes); i++)
        if (value->type == LV_TYPE_STRING && lv_bytes_equal(value->bytes, lv_text(modes[i].word)))
            return &modes[i];
    return NULL;
}

/* At the bind, where the client can be told; when a message is routed nobody could. */
int lv_headers_check(const struct lv_table *arguments, struct lv_diag *diag)
{
    const struct lv_value *value = lv_table_get(arguments, "x-match");
    char text[128];

    if (mode_of(arguments) != NULL)
        return 0;
    assert(value != NULL);
    if (value->type == LV_TYPE_STRING)
        return lv_fail(diag, -LV_E_PRECONDITION,
                       "Invalid x-match field value <<\"%.*s\">>; expected all, any, all-with-x, "
                       "or any-with-x",
                       LV_FMT(value->bytes));
    return lv_fail(diag, -LV_E_PRECONDITION,
                   "Invalid x-match field type %s (value %s); expected longstr",
                   lv_type_name(value->type), lv_value_print(value, text, sizeof text));
}

/* Names with x- are left out of plain matches, as the headers exchange of AMQP 0-9-1 §3.1.3.4 keeps
 * them for itself. */
static bool counts(const struct mode *mode, struct lv_bytes name)
{
    assert(mode != NULL);
    if (mode->with_x)
        return !lv_bytes_equal(name, lv_text("x-match"));
    return name.size < 2 || memcmp(name.data, "x-", 2) != 0;
}

/* By name; of one name, in the order they came: fields lie in one array. */
static int compare_fields(const void *a, const void *b)
{
    const struct lv_field *left = *(const struct lv_field *const *)a;
    const struct lv_field *right = *(const struct lv_field *const *)b;
    size_t size = left->name.size < right->name.size ? left->name.size : right->name.size;
    int order = size == 0 ? 0 : memcmp(left->name.data, right->name.data, size);

    if (order != 0)
        return order;
    if (left->name.size != right->name.size)
        return left->name.size < right->name.size ? -1 : 1;
    return left < right ? -1 : 1;
}

/* The arguments that count, each name once, in the order of names: how many. `fields` has room for
 * all. */
static uint32_t select_fields(const struct lv_table *arguments, const struct mode *mode,
                              const struct lv_field **fields)
{
    uint32_t count = 0, kept = 0;

    assert(mode != NULL);
    for (uint32_t i = 0; arguments != NULL && i < arguments->count; i++)
        if (counts(mode, arguments->fields[i].name))
            fields[count++] = &arguments->fields[i];
    qsort(fields, count, sizeof *fields, compare_fields);
    for (uint32_t i = 0; i < count; i++)
        if (kept == 0 || !lv_bytes_equal(fields[kept - 1]->name, fields[i]->name))
            fields[kept++] = fields[i];
    return kept;
}

/* ---- hashes ---- */

/* With the kind in front, so that 1 and true and a timestamp of 1 differ. */
static uint64_t hash_number(const struct lv_headers *headers, uint8_t kind, uint64_t number)
{
    uint8_t bytes[9];

    assert(headers->key != NULL);
    lv_put64(lv_put8(bytes, kind), number);
    return lv_siphash(headers->key, lv_bytes(bytes, sizeof bytes));
}

/* Whatever lv_value_equal() calls equal has to have one hash. */
static uint64_t hash_real(const struct lv_headers *headers, double real)
{
    uint64_t bits = 0;

    assert(headers->key != NULL);
    if (real != real)
        bits = 1;       /* every NaN is the same here, as for lv_value_equal() */
    else if (real != 0) /* 0.0 equals -0.0 */
        memcpy(&bits, &real, sizeof bits);
    return hash_number(headers, LV_TYPE_F64, bits);
}

/* What lv_value_equal() calls equal has one hash. */
static uint64_t hash_value(const struct lv_headers *headers, const struct lv_value *value)
{
    assert(headers->key != NULL);
    if (lv_value_is_integer(value))
        return hash_number(headers, LV_TYPE_I64, (uint64_t)value->integer);
    switch (value->type) {
    case LV_TYPE_BOOL:
        return hash_number(headers, LV_TYPE_BOOL, value->boolean);
    case LV_TYPE_F32:
    case LV_TYPE_F64:
        return hash_real(headers, value->real);
    case LV_TYPE_STRING:
    case LV_TYPE_BINARY:
        return lv_siphash(headers->key, value->bytes) + value->type;
    case LV_TYPE_TIMESTAMP:
    case LV_TYPE_DECIMAL:
        return hash_number(headers, (uint8_t)value->type, (uint64_t)value->integer);
    default: /* void, and what nests: rare, and told apart by comparing */
        return value->type;
    }
}

/* Order matters: fields come sorted, and the group says which value belongs to which name. */
static uint64_t add_hash(uint64_t sum, uint64_t hash)
{
    return (sum ^ hash) * 0x9e3779b97f4a7c15u + (hash >> 32);
}

/* A view of the number, as the map takes bytes for keys. */
static struct lv_bytes hash_bytes(const uint64_t *hash)
{
    assert(hash != NULL);
    return lv_bytes(hash, sizeof *hash);
}

/* ---- groups and rules ---- */

/* A group without rules that asks about these fields, in no list yet. */
static struct group *group_new(const struct lv_headers *headers,
                               const struct lv_field *const *fields, uint32_t count)
{
    size_t size = 0;
    struct group *group;
    uint8_t *p;

    assert(count == 0 || fields != NULL);
    for (uint32_t i = 0; i < count; i++)
        size += 5 + fields[i]->name.size; /* length, how it is asked, name */
    group = lv_calloc(1, sizeof *group + count * sizeof(struct asked) + size);
    if (group == NULL)
        return NULL;
    p = (uint8_t *)(group->asked + count);
    group->signature = lv_bytes(p, size);
    group->asked_count = count;
    lv_map_init(&group->buckets, headers->key);
    for (uint32_t i = 0; i < count; i++) {
        struct asked *asked = &group->asked[i];
        asked->any_value = fields[i]->value.type == LV_TYPE_VOID;
        asked->hash = lv_siphash(headers->key, fields[i]->name);
        p = lv_put8(lv_put32(p, (uint32_t)fields[i]->name.size), asked->any_value);
        asked->name = lv_bytes(p, fields[i]->name.size);
        p = lv_put_bytes(p, fields[i]->name);
    }
    return group;
}

/* Only when no rule asks for its names any more. */
static void group_free(struct group *group)
{
    assert(group->buckets.count == 0);
    lv_map_fini(&group->buckets);
    lv_free(group);
}

/* The group that asks about these fields; NULL when out of memory. */
static struct group *group_for(struct lv_headers *headers, const struct lv_field *const *fields,
                               uint32_t count)
{
    struct group *made = group_new(headers, fields, count);
    struct group *group;

    assert(count == 0 || fields != NULL);
    if (made == NULL)
        return NULL;
    group = lv_map_get(&headers->groups, made->signature);
    if (group == NULL && lv_map_put(&headers->groups, made->signature, made) == 0) {
        lv_list_push_back(&headers->group_list, &made->link);
        return made;
    }
    group_free(made);
    return group;
}

/* A group that nobody needs any more goes. */
static void group_let_go(struct lv_headers *headers, struct group *group)
{
    assert(lv_link_is_linked(&group->link));
    if (group->buckets.count > 0)
        return;
    lv_map_remove(&headers->groups, group->signature);
    lv_link_remove(&group->link);
    group_free(group);
}

/* Rules of one bucket have the same hash of values and are told apart by comparing. */
static struct bucket *bucket_for(struct group *group, uint64_t hash)
{
    struct bucket *bucket = lv_map_get(&group->buckets, hash_bytes(&hash));

    if (bucket != NULL)
        return bucket;
    bucket = lv_alloc(sizeof *bucket);
    if (bucket == NULL)
        return NULL;
    bucket->hash = hash;
    lv_list_init(&bucket->rules);
    if (lv_map_put(&group->buckets, hash_bytes(&bucket->hash), bucket) < 0) {
        lv_free(bucket);
        return NULL;
    }
    return bucket;
}

/* A rule of a binding that asks for nothing has no fields: it matches every message. */
static struct rule *rule_new(struct lv_headers *headers, const struct lv_field *const *fields,
                             uint32_t count, void *owner)
{
    struct rule *rule = lv_calloc(1, sizeof *rule + count * sizeof(struct lv_value *));
    uint64_t hash = 0;

    assert(owner != NULL);
    if (rule == NULL)
        return NULL;
    rule->owner = owner;
    rule->group = group_for(headers, fields, count);
    if (rule->group == NULL)
        goto fail;
    for (uint32_t i = 0; i < count; i++) {
        rule->wanted[i] = &fields[i]->value;
        if (!rule->group->asked[i].any_value)
            hash = add_hash(hash, hash_value(headers, rule->wanted[i]));
    }
    rule->bucket = bucket_for(rule->group, hash);
    if (rule->bucket == NULL)
        goto fail;
    lv_list_push_back(&rule->bucket->rules, &rule->link);
    return rule;
fail:
    if (rule->group != NULL)
        group_let_go(headers, rule->group);
    lv_free(rule);
    return NULL;
}

/* The last one of a bucket takes it along, the last bucket its group. */
static void rule_free(struct lv_headers *headers, struct rule *rule)
{
    struct bucket *bucket = rule->bucket;

    assert(lv_link_is_linked(&rule->link));
    lv_link_remove(&rule->link);
    if (lv_list_is_empty(&bucket->rules)) {
        lv_map_remove(&rule->group->buckets, hash_bytes(&bucket->hash));
        lv_free(bucket);
        group_let_go(headers, rule->group);
    }
    lv_free(rule);
}

/* The key is the broker's: names and values are chosen by clients. */
void lv_headers_init(struct lv_headers *headers, const struct lv_hash_key *key)
{
    assert(key != NULL);
    *headers = (struct lv_headers){.key = key};
    lv_map_init(&headers->groups, key);
    lv_list_init(&headers->group_list);
}

/* Bindings have been removed one by one before. */
void lv_headers_fini(struct lv_headers *headers)
{
    assert(headers->groups.count == 0);
    lv_map_fini(&headers->groups);
    lv_free(headers->seen);
    headers->seen = NULL;
}

/* Also of a binding that got only some of its rules. */
void lv_headers_remove(struct lv_headers *headers, struct lv_headers_binding *binding)
{
    assert(binding->count == 0 || binding->rules[0] != NULL);
    for (uint32_t i = 0; i < binding->count; i++)
        rule_free(headers, binding->rules[i]);
    lv_free(binding);
}

/* Makes the rules of a binding: one of all the fields, or one of each. */
static int make_rules(struct lv_headers *headers, const struct lv_field *const *fields,
                      uint32_t per_rule, uint32_t rule_count, void *owner,
                      struct lv_headers_binding **ret_binding)
{
    struct lv_headers_binding *binding =
        lv_calloc(1, sizeof *binding + rule_count * sizeof(struct rule *));

    assert(owner != NULL);
    if (binding == NULL)
        return -LV_E_NOMEM;
    for (uint32_t i = 0; i < rule_count; i++) {
        struct rule *rule = rule_new(headers, fields + (size_t)i * per_rule, per_rule, owner);
        if (rule == NULL) {
            lv_headers_remove(headers, binding);
            return -LV_E_NOMEM;
        }
        binding->rules[binding->count++] = rule;
    }
    *ret_binding = binding;
    return 0;
}

/* `any` makes one rule for each field and `all` one for all of them, so that a message is looked up
 * the same way for both. */
int lv_headers_add(struct lv_headers *headers, const struct lv_table *arguments, void *owner,
                   struct lv_headers_binding **ret_binding)
{
    const struct mode *mode = mode_of(arguments);
    size_t count = arguments == NULL ? 0 : arguments->count;
    const struct lv_field **fields = lv_calloc(count + 1, sizeof *fields);
    int rc;

    assert(mode != NULL);
    if (fields == NULL)
        return -LV_E_NOMEM;
    uint32_t kept = select_fields(arguments, mode, fields);
    rc = mode->is_any ? make_rules(headers, fields, 1, kept, owner, ret_binding)
                      : make_rules(headers, fields, kept, 1, owner, ret_binding);
    lv_free(fields);
    return rc;
}

/* ---- matching ---- */

/* The header of this name, or the free place where it would be. */
static struct lv_headers_seen *look(const struct lv_headers *headers, uint64_t name_hash,
                                    struct lv_bytes name)
{
    uint64_t mask = headers->seen_capacity - 1;

    assert(headers->seen_capacity > 0);
    assert((headers->seen_capacity & (headers->seen_capacity - 1)) == 0);
    for (uint64_t at = name_hash & mask;; at = (at + 1) & mask) {
        struct lv_headers_seen *seen = &headers->seen[at];
        if (seen->field == NULL ||
            (seen->name_hash == name_hash && lv_bytes_equal(seen->field->name, name)))
            return seen;
    }
}

/* Enters the message's headers; of one name the first counts. A place is always free. */
static int see(struct lv_headers *headers, const struct lv_table *message)
{
    uint32_t count = message == NULL ? 0 : message->count;
    uint32_t capacity = headers->seen_capacity == 0 ? SEEN_MIN : headers->seen_capacity;

    assert(headers->key != NULL);
    while (capacity / 2 < count)
        capacity *= 2;
    if (capacity != headers->seen_capacity) {
        struct lv_headers_seen *seen = lv_realloc(headers->seen, capacity * sizeof *seen);
        if (seen == NULL)
            return -LV_E_NOMEM;
        headers->seen = seen;
        headers->seen_capacity = capacity;
    }
    memset(headers->seen, 0, capacity * sizeof *headers->seen);
    for (uint32_t i = 0; i < count; i++) {
        const struct lv_field *field = &message->fields[i];
        uint64_t hash = lv_siphash(headers->key, field->name);
        struct lv_headers_seen *seen = look(headers, hash, field->name);
        if (seen->field == NULL)
            *seen = (struct lv_headers_seen){.field = field, .name_hash = hash};
    }
    return 0;
}

/* The hash of the message's values for what the group asks about; false when one is missing. */
static bool hash_values(const struct lv_headers *headers, const struct group *group,
                        uint64_t *ret_hash)
{
    uint64_t hash = 0;

    assert(ret_hash != NULL);
    for (uint32_t i = 0; i < group->asked_count; i++) {
        const struct asked *asked = &group->asked[i];
        struct lv_headers_seen *seen = look(headers, asked->hash, asked->name);
        if (seen->field == NULL)
            return false;
        if (asked->any_value)
            continue;
        if (!seen->is_hashed)
            seen->value_hash = hash_value(headers, &seen->field->value);
        seen->is_hashed = true;
        hash = add_hash(hash, seen->value_hash);
    }
    *ret_hash = hash;
    return true;
}

/* Are the values those that the rule wants, and not only their hash? */
static bool is_met(const struct lv_headers *headers, const struct rule *rule)
{
    assert(rule->group != NULL);
    for (uint32_t i = 0; i < rule->group->asked_count; i++) {
        const struct asked *asked = &rule->group->asked[i];
        const struct lv_headers_seen *seen = look(headers, asked->hash, asked->name);
        if (!asked->any_value && !lv_value_equal(&seen->field->value, rule->wanted[i]))
            return false;
    }
    return true;
}

/* A look-up for each set of names that any binding asks about, however many bindings ask. */
static int match_group(const struct lv_headers *headers, const struct group *group,
                       lv_headers_visit_fn *visit, void *ctx)
{
    uint64_t hash;
    int rc = 0;

    assert(visit != NULL);
    if (!hash_values(headers, group, &hash))
        return 0;
    const struct bucket *bucket = lv_map_get(&group->buckets, hash_bytes(&hash));
    if (bucket == NULL)
        return 0;
    LV_LIST_EACH(&bucket->rules, link)
    {
        const struct rule *rule = lv_container(link, struct rule, link);
        if (rc == 0 && is_met(headers, rule))
            rc = visit(ctx, rule->owner);
    }
    return rc;
}

/* A message with very many headers leaves no large table behind. */
int lv_headers_match(struct lv_headers *headers, const struct lv_table *message,
                     lv_headers_visit_fn *visit, void *ctx)
{
    int rc = headers->groups.count == 0 ? 0 : see(headers, message);

    assert(visit != NULL);
    LV_LIST_EACH(&headers->group_list, link)
    {
        if (rc == 0)
            rc = match_group(headers, lv_container(link, struct group, link), visit, ctx);
    }
    if (headers->seen_capacity > SEEN_KEPT) {
        lv_free(headers->seen);
        headers->seen = NULL;
        headers->seen_capacity = 0;
    }
    return rc;
}
