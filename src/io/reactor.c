#include "io/reactor.h"

#include "base/alloc.h"
#include "base/deadline.h"
#include "base/err.h"
#include "io/clock.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define BATCH 256

/* The batch lies in the struct, so that a watch which is removed can be struck out of it. */
struct lv_reactor {
    int epoll;
    int wake;      /* eventfd; its epoll data is NULL */
    int count, at; /* of the batch that is being worked off */
    struct epoll_event batch[BATCH];
};

static uint32_t to_epoll(unsigned wanted)
{
    assert((wanted & ~(unsigned)(LV_IO_READ | LV_IO_WRITE)) == 0);
    return (wanted & LV_IO_READ ? (uint32_t)EPOLLIN : 0) |
           (wanted & LV_IO_WRITE ? (uint32_t)EPOLLOUT : 0);
}

/* An error counts as a hangup: reading or writing tells what it is. */
static unsigned from_epoll(uint32_t events)
{
    return (events & EPOLLIN ? (unsigned)LV_IO_READ : 0) |
           (events & EPOLLOUT ? (unsigned)LV_IO_WRITE : 0) |
           (events & (EPOLLHUP | EPOLLERR) ? (unsigned)LV_IO_HANGUP : 0);
}

struct lv_reactor *lv_reactor_new(void)
{
    struct lv_reactor *reactor = lv_calloc(1, sizeof *reactor);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};

    if (reactor == NULL)
        return NULL;
    reactor->wake = -1;
    reactor->epoll = epoll_create1(EPOLL_CLOEXEC);
    reactor->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (reactor->epoll < 0 || reactor->wake < 0 ||
        epoll_ctl(reactor->epoll, EPOLL_CTL_ADD, reactor->wake, &event) < 0) {
        lv_reactor_free(reactor);
        return NULL;
    }
    return reactor;
}

/* Also one that lv_reactor_new() could not finish. */
void lv_reactor_free(struct lv_reactor *reactor)
{
    if (reactor == NULL)
        return;
    if (reactor->wake >= 0)
        close(reactor->wake);
    if (reactor->epoll >= 0)
        close(reactor->epoll);
    lv_free(reactor);
}

/* The kernel keeps the watch's address and gives it back with each event. */
int lv_reactor_add(struct lv_reactor *reactor, struct lv_watch *watch, int fd, unsigned wanted,
                   lv_watch_fn *ready)
{
    struct epoll_event event = {.events = to_epoll(wanted), .data.ptr = watch};

    assert(fd >= 0);
    assert(ready != NULL);
    if (epoll_ctl(reactor->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        return -LV_E_RESOURCE;
    *watch = (struct lv_watch){.ready = ready, .fd = fd, .wanted = wanted};
    return 0;
}

void lv_reactor_change(struct lv_reactor *reactor, struct lv_watch *watch, unsigned wanted)
{
    struct epoll_event event = {.events = to_epoll(wanted), .data.ptr = watch};
    int rc;

    assert(watch->ready != NULL);
    if (watch->wanted == wanted)
        return;
    rc = epoll_ctl(reactor->epoll, EPOLL_CTL_MOD, watch->fd, &event);
    assert(rc == 0);
    (void)rc;
    watch->wanted = wanted;
}

void lv_reactor_remove(struct lv_reactor *reactor, struct lv_watch *watch)
{
    int rc;

    if (watch->ready == NULL)
        return;
    rc = epoll_ctl(reactor->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
    assert(rc == 0);
    (void)rc;
    watch->ready = NULL;
    /* The rest of the batch may still speak of it, and its memory may be gone by then. */
    for (int i = reactor->at; i < reactor->count; i++) {
        if (reactor->batch[i].data.ptr == watch)
            reactor->batch[i].events = 0;
    }
}

/* epoll_wait() counts in milliseconds: rounded up, so that what was waited for is due. */
static int timeout_ms(uint64_t now, uint64_t deadline)
{
    uint64_t left;

    if (deadline == LV_NEVER)
        return -1;
    if (deadline <= now)
        return 0;
    left = (deadline - now + LV_NS_PER_MS - 1) / LV_NS_PER_MS;
    return left > 3600000 ? 3600000 : (int)left;
}

/* The counter goes back to zero; how often it was raised does not matter. */
static void drain_wake(struct lv_reactor *reactor)
{
    uint64_t ignored;
    ssize_t rc = read(reactor->wake, &ignored, sizeof ignored);

    assert(rc == (ssize_t)sizeof ignored || errno == EAGAIN);
    (void)rc;
}

/* The events of one wait, one by one; a handler may strike out those that are still to come. */
unsigned lv_reactor_wait(struct lv_reactor *reactor, uint64_t *now, uint64_t deadline)
{
    unsigned called = 0;
    int count = epoll_wait(reactor->epoll, reactor->batch, BATCH, timeout_ms(*now, deadline));

    assert(count >= 0 || errno == EINTR);
    *now = lv_clock_now();
    reactor->count = count < 0 ? 0 : count;
    for (reactor->at = 0; reactor->at < reactor->count;) {
        const struct epoll_event *event = &reactor->batch[reactor->at++];
        struct lv_watch *watch = event->data.ptr;

        if (event->events == 0)
            continue;
        if (watch == NULL) {
            drain_wake(reactor);
            continue;
        }
        watch->ready(watch, from_epoll(event->events));
        called++;
    }
    reactor->count = reactor->at = 0;
    return called;
}

/* Adding to the counter is all that another thread does; EAGAIN means it is high already. */
void lv_reactor_wake(struct lv_reactor *reactor)
{
    const uint64_t one = 1;
    ssize_t rc = write(reactor->wake, &one, sizeof one);

    assert(rc == (ssize_t)sizeof one || errno == EAGAIN);
    (void)rc;
}
