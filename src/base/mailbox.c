#include "base/mailbox.h"

/* Before any other thread knows of the box. */
void lv_mailbox_init(struct lv_mailbox *box)
{
    assert(box != NULL);
    atomic_init(&box->newest, NULL);
}

/* A failed exchange has read the newest letter anew, so the loop just tries again. */
bool lv_mailbox_post(struct lv_mailbox *box, struct lv_letter *letter)
{
    struct lv_letter *seen = atomic_load_explicit(&box->newest, memory_order_relaxed);

    assert(letter != NULL);
    do {
        letter->next = seen;
        /* Release: whoever takes the letter sees all that was written to it. */
    } while (!atomic_compare_exchange_weak_explicit(&box->newest, &seen, letter,
                                                    memory_order_release, memory_order_relaxed));
    return seen == NULL;
}

/* Acquire: what the posters wrote into their letters is seen with them. */
struct lv_letter *lv_mailbox_take(struct lv_mailbox *box)
{
    struct lv_letter *from = atomic_exchange_explicit(&box->newest, NULL, memory_order_acquire);
    struct lv_letter *to = NULL;

    while (from != NULL) { /* turn newest-first into oldest-first */
        struct lv_letter *older = from->next;
        assert(older != from); /* posted twice */
        from->next = to;
        to = from;
        from = older;
    }
    return to;
}
