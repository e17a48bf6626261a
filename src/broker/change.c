#include "broker/change.h"

#include "base/pack.h"

#define VERSION 1u

enum {
    FLAG_DURABLE = 1 << 0,
    FLAG_EXCLUSIVE = 1 << 1,
    FLAG_AUTO_DELETE = 1 << 2,
    FLAG_INTERNAL = 1 << 3,
    FLAG_IF_UNUSED = 1 << 4,
    FLAG_TO_EXCHANGE = 1 << 5,
    FLAGS_ALL = (1 << 6) - 1 /* `is_new` is judged before anything is written */
};

/* Numbers of kinds lie on disk: new ones go behind these. */
static_assert(LV_CHANGE_EXCHANGE_DECLARE == 0 && LV_CHANGE_UNBIND == 5 &&
                  LV_CHANGE_VHOST_PUT == 6 && LV_CHANGE_LIMITS_DELETE == 15,
              "kinds keep their numbers");

struct head {
    uint8_t version;
    uint8_t kind;
    uint16_t flags;
    uint32_t home;
    uint64_t queue_id;
    uint32_t arguments_size;
    uint8_t vhost_size, name_size, other_size, key_size;
};
static_assert(sizeof(struct head) == 24, "a change's head as it lies in the log");

static bool has_arguments(const struct lv_change *change)
{
    return change->arguments != NULL && change->arguments->count > 0;
}

static uint16_t flags_of(const struct lv_change *change)
{
    assert(change != NULL);
    return (uint16_t)((change->durable ? FLAG_DURABLE : 0) |
                      (change->exclusive ? FLAG_EXCLUSIVE : 0) |
                      (change->auto_delete ? FLAG_AUTO_DELETE : 0) |
                      (change->internal ? FLAG_INTERNAL : 0) |
                      (change->if_unused ? FLAG_IF_UNUSED : 0) |
                      (change->to_exchange ? FLAG_TO_EXCHANGE : 0));
}

static struct head head_of(const struct lv_change *change)
{
    assert(change->kind <= LV_CHANGE_LIMITS_DELETE);
    assert(change->vhost.size <= UINT8_MAX);
    assert(change->name.size <= UINT8_MAX);
    assert(change->other.size <= UINT8_MAX);
    assert(change->key.size <= UINT8_MAX);
    return (struct head){
        .version = VERSION,
        .kind = (uint8_t)change->kind,
        .flags = flags_of(change),
        .home = change->home,
        .queue_id = change->queue_id,
        .arguments_size = has_arguments(change) ? lv_table_packed_size(change->arguments) : 0,
        .vhost_size = (uint8_t)change->vhost.size,
        .name_size = (uint8_t)change->name.size,
        .other_size = (uint8_t)change->other.size,
        .key_size = (uint8_t)change->key.size,
    };
}

/* With the head. */
static uint64_t size_of(const struct head *head)
{
    assert(head->version == VERSION);
    return sizeof *head + (uint64_t)head->vhost_size + head->name_size + head->other_size +
           head->key_size + head->arguments_size;
}

/* Without a name, or a vhost, there would be nothing that it is about. */
static bool needs_name(unsigned kind)
{
    switch (kind) {
    case LV_CHANGE_EXCHANGE_DECLARE:
    case LV_CHANGE_QUEUE_DECLARE:
    case LV_CHANGE_USER_PUT:
    case LV_CHANGE_USER_DELETE:
    case LV_CHANGE_PERMISSION_PUT:
    case LV_CHANGE_PERMISSION_DELETE:
    case LV_CHANGE_TOPIC_PERMISSION_PUT:
    case LV_CHANGE_TOPIC_PERMISSION_DELETE:
        return true;
    default:
        return false;
    }
}

static bool needs_vhost(unsigned kind)
{
    return kind == LV_CHANGE_VHOST_PUT || kind == LV_CHANGE_VHOST_DELETE;
}

/* What the topology relies on. */
static bool is_sound(const struct head *head)
{
    assert(head->version == VERSION);
    if (head->kind > LV_CHANGE_LIMITS_DELETE || (head->flags & ~FLAGS_ALL) != 0)
        return false;
    if ((needs_name(head->kind) && head->name_size == 0) ||
        (needs_vhost(head->kind) && head->vhost_size == 0))
        return false;
    return head->kind != LV_CHANGE_QUEUE_DECLARE || head->queue_id != 0;
}

static struct lv_bytes take(const uint8_t **next, size_t size)
{
    struct lv_bytes bytes = lv_bytes(*next, size);

    assert(*next != NULL);
    *next += size;
    return bytes;
}

static int take_arguments(struct lv_bytes bytes, struct lv_arena *arena,
                          const struct lv_table **ret_arguments)
{
    struct lv_table *table;
    int rc;

    assert(ret_arguments != NULL);
    *ret_arguments = NULL;
    if (bytes.size == 0)
        return 0;
    rc = lv_table_unpack(bytes, arena, &table);
    if (rc < 0)
        return rc;
    *ret_arguments = table;
    return table == NULL ? -LV_E_CORRUPT : 0; /* an empty one takes no bytes */
}

int lv_change_check_sizes(const struct lv_change *change, struct lv_diag *diag)
{
    const struct lv_bytes *strings[] = {&change->vhost, &change->name, &change->other,
                                        &change->key};

    for (size_t i = 0; i < LV_COUNT(strings); i++)
        if (strings[i]->size > UINT8_MAX)
            return lv_fail(diag, -LV_E_PRECONDITION,
                           "'%.40s…' is longer than %d bytes, the most that a name, tags and the "
                           "hash of a password may have",
                           (const char *)strings[i]->data, UINT8_MAX);
    return 0;
}

uint32_t lv_change_size(const struct lv_change *change)
{
    struct head head = head_of(change);
    uint64_t size = size_of(&head);

    assert(size <= UINT32_MAX);
    return (uint32_t)size;
}

void lv_change_encode(const struct lv_change *change, void *bytes)
{
    struct head head = head_of(change);
    uint8_t *p = lv_put_bytes(bytes, lv_bytes(&head, sizeof head));

    p = lv_put_bytes(p, change->vhost);
    p = lv_put_bytes(p, change->name);
    p = lv_put_bytes(p, change->other);
    p = lv_put_bytes(p, change->key);
    if (has_arguments(change))
        p = lv_table_pack(change->arguments, p);
    assert(p == (uint8_t *)bytes + size_of(&head));
}

int lv_change_decode(struct lv_bytes bytes, struct lv_arena *arena, struct lv_change *ret_change)
{
    const uint8_t *next = bytes.data;
    struct lv_change change;
    struct head head;
    int rc;

    assert(ret_change != NULL);
    if (bytes.size >= 1 && bytes.data[0] != VERSION)
        return -LV_E_VERSION;
    if (bytes.size < sizeof head)
        return -LV_E_CORRUPT;
    memcpy(&head, take(&next, sizeof head).data, sizeof head);
    if (!is_sound(&head) || bytes.size != size_of(&head))
        return -LV_E_CORRUPT;
    change = (struct lv_change){
        .kind = (enum lv_change_kind)head.kind,
        .queue_id = head.queue_id,
        .home = head.home,
        .durable = head.flags & FLAG_DURABLE,
        .exclusive = head.flags & FLAG_EXCLUSIVE,
        .auto_delete = head.flags & FLAG_AUTO_DELETE,
        .internal = head.flags & FLAG_INTERNAL,
        .if_unused = head.flags & FLAG_IF_UNUSED,
        .to_exchange = head.flags & FLAG_TO_EXCHANGE,
    };
    change.vhost = take(&next, head.vhost_size);
    change.name = take(&next, head.name_size);
    change.other = take(&next, head.other_size);
    change.key = take(&next, head.key_size);
    rc = take_arguments(take(&next, head.arguments_size), arena, &change.arguments);
    if (rc == 0)
        *ret_change = change;
    return rc;
}
