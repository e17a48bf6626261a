#include "server/service.h"

#include "base/alloc.h"

#include <stdarg.h>
#include <stdio.h>

#define LINES_SIZE 512u

/* On the shard's thread. The last one wakes who waits for all. */
static void answer(struct lv_call *call, struct lv_shard *shard)
{
    struct lv_pulse *pulse = lv_container(call, struct lv_pulse, call);
    struct lv_service *service = pulse->service;

    assert(atomic_load(&pulse->is_awaited));
    atomic_store(&pulse->is_awaited, false);
    if (atomic_fetch_sub(&service->awaited, 1) == 1)
        lv_reactor_wake(shard->shared->main);
}

static int make_pulses(struct lv_service *service)
{
    uint32_t count = service->shared->shard_count;

    assert(count > 0);
    service->pulses = lv_calloc(count, sizeof *service->pulses);
    if (service->pulses == NULL)
        return -LV_E_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        service->pulses[i].call.run = answer;
        service->pulses[i].service = service;
    }
    return 0;
}

/* Somebody who starts the broker by hand in a service's shell must not be kept from it by what that
 * shell was told. */
int lv_service_open(struct lv_service *service, struct lv_shared *shared, uint64_t now)
{
    struct lv_diag diag = {""};

    *service = (struct lv_service){.notify.fd = -1, .shared = shared, .next = now};
    if (lv_notify_open(&service->notify, &diag) < 0) {
        lv_event(LV_WARN, "service.unheard", LV_S("why", diag.text));
        return 0;
    }
    assert(service->notify.fd >= 0 || service->notify.watchdog_ns == 0);
    return service->notify.watchdog_ns == 0 ? 0 : make_pulses(service);
}

void lv_service_close(struct lv_service *service)
{
    assert(service->notify.fd >= -1);
    lv_notify_close(&service->notify);
    lv_free(service->pulses);
    service->pulses = NULL;
}

void lv_service_tell(struct lv_service *service, const char *fmt, ...)
{
    char lines[LINES_SIZE];
    va_list args;

    assert(service->notify.fd >= -1);
    va_start(args, fmt);
    vsnprintf(lines, sizeof lines, fmt, args);
    va_end(args);
    if (lv_notify_send(&service->notify, lines) < 0)
        lv_event(LV_WARN, "service.unheard", LV_S("why", "the service manager takes no message"));
}

/* ---- the watchdog ---- */

static void ask(struct lv_service *service, uint64_t now)
{
    const struct lv_shared *shared = service->shared;

    assert(atomic_load(&service->awaited) == 0);
    /* Half of the time: a ping that comes a whole turn late is still in time. */
    service->next = now + service->notify.watchdog_ns / 2;
    service->is_asking = true;
    service->is_late = false;
    atomic_store(&service->awaited, shared->shard_count);
    for (uint32_t i = 0; i < shared->shard_count; i++) {
        atomic_store(&service->pulses[i].is_awaited, true);
        lv_shard_call(shared->shards[i], &service->pulses[i].call);
    }
}

/* So that whoever reads the log after the manager has ended the broker knows why. */
static void tell_late(struct lv_service *service)
{
    assert(service->is_asking);
    service->is_late = true;
    for (uint32_t i = 0; i < service->shared->shard_count; i++) {
        if (atomic_load(&service->pulses[i].is_awaited))
            lv_event(LV_ERROR, "shard.stuck", LV_U("shard", i),
                     LV_U("ms", service->notify.watchdog_ns / 2 / LV_NS_PER_MS));
    }
}

void lv_service_turn(struct lv_service *service, uint64_t now)
{
    if (service->pulses == NULL)
        return;
    if (service->is_asking && atomic_load(&service->awaited) == 0) {
        service->is_asking = false;
        lv_service_tell(service, "WATCHDOG=1");
    }
    if (now < service->next)
        return;
    if (!service->is_asking)
        ask(service, now);
    else if (!service->is_late)
        tell_late(service);
    assert(service->is_asking);
}

uint64_t lv_service_next(const struct lv_service *service)
{
    assert(service->pulses != NULL || !service->is_asking);
    if (service->pulses == NULL || service->is_late)
        return LV_NEVER; /* whoever answers wakes us */
    return service->next;
}
