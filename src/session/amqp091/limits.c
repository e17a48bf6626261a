#include "session/amqp091/limits.h"

#include <stddef.h>

#define BOUND(bound, number, of, bounds, why)                                                      \
    {.name = #bound, .value = (number), .unit = (of), .what = (bounds), .reason = (why)},

const struct lv_bound lv_session_bounds[] = {
    LV_SESSION_BOUNDS(BOUND){.name = NULL},
};
