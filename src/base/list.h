/*
 * base/list.h - intrusive doubly linked lists.
 *
 * A link lives inside the object; lv_container() leads back to it. A link that is in no list is
 * clear, insertion asserts that and removal makes it so again; an object must be out of every list
 * before its memory goes. Pure; the owner of the list calls.
 */
#pragma once

#include "base/defs.h"

#include <stdbool.h>

/* Lives in the element, one for each list that it may be in. All zeros is not linked. */
struct lv_link {
    struct lv_link *prev; /* view */
    struct lv_link *next; /* view */
};

/* A ring with a head that is no element, so that no end is a special case. */
struct lv_list {
    struct lv_link head; /* a ring through the head; empty when it points at itself */
};

/* Makes it empty; needed before anything else. */
static inline void lv_list_init(struct lv_list *list)
{
    list->head.prev = list->head.next = &list->head;
}

/* O(1), as everything here. */
static inline bool lv_list_is_empty(const struct lv_list *list)
{
    assert(list->head.next != NULL); /* was it initialised? */
    return list->head.next == &list->head;
}

/* Is it in some list? Which one, only its owner knows. */
static inline bool lv_link_is_linked(const struct lv_link *link)
{
    assert((link->next == NULL) == (link->prev == NULL));
    return link->next != NULL;
}

/* `place` is in a list, or is a list's head; `link` is in none. */
static inline void lv_link_insert_before(struct lv_link *place, struct lv_link *link)
{
    assert(link->next == NULL && link->prev == NULL);
    link->prev = place->prev;
    link->next = place;
    place->prev->next = link;
    place->prev = link;
}

/* As the newest. */
static inline void lv_list_push_back(struct lv_list *list, struct lv_link *link)
{
    lv_link_insert_before(&list->head, link);
}

/* As the oldest. */
static inline void lv_list_push_front(struct lv_list *list, struct lv_link *link)
{
    lv_link_insert_before(list->head.next, link);
}

/* From whatever list it is in; it is clear afterwards. */
static inline void lv_link_remove(struct lv_link *link)
{
    assert(link->next != NULL && link->prev != NULL);
    assert(link->next->prev == link && link->prev->next == link);
    link->prev->next = link->next;
    link->next->prev = link->prev;
    link->prev = link->next = NULL;
}

/* Removal of what may be in no list. */
static inline void lv_link_clear(struct lv_link *link)
{
    if (lv_link_is_linked(link))
        lv_link_remove(link);
}

/* NULL when empty. */
static inline struct lv_link *lv_list_first(const struct lv_list *list)
{
    return lv_list_is_empty(list) ? NULL : list->head.next;
}

/* Gives the oldest link, removed, or NULL. */
static inline struct lv_link *lv_list_pop_front(struct lv_list *list)
{
    struct lv_link *link = lv_list_first(list);
    if (link != NULL)
        lv_link_remove(link);
    return link;
}

/* Moves all of `from` behind what `to` holds; `from` is empty afterwards. */
static inline void lv_list_splice_back(struct lv_list *to, struct lv_list *from)
{
    assert(to != from);
    if (lv_list_is_empty(from))
        return;
    from->head.next->prev = to->head.prev;
    from->head.prev->next = &to->head;
    to->head.prev->next = from->head.next;
    to->head.prev = from->head.prev;
    lv_list_init(from);
}

/* `link` walks the list; the current one may be removed in the body. */
#define LV_LIST_EACH(list, link)                                                                   \
    for (struct lv_link *link = (list)->head.next, *link##_next = link->next;                      \
         link != &(list)->head; link = link##_next, link##_next = link->next)
