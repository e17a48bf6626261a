/*
 * server/login.h - who may come in, by the settings. Any thread.
 */
#pragma once

#include "io/address.h"
#include "server/settings.h"
#include "session/amqp091/session.h"

/* NULL: welcome. Else why not, for the log, naming the setting that decides; lies in `diag`. */
const char *lv_login_refusal(const struct lv_settings *settings, const struct lv_address *peer,
                             const struct lv_login *login, struct lv_diag *diag);
