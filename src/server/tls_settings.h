/*
 * server/tls_settings.h - what the settings say about TLS.
 */
#pragma once

#include "io/tls.h"
#include "server/settings.h"

/* A server's context from the files that the settings name. Sentences begin with the setting that
 * is wrong, where it is one. */
int lv_tls_settings_context(const struct lv_settings *settings, struct lv_tls_context **ret_context,
                            struct lv_diag *diag) LV_MUST_CHECK;
/* Keeps the name that a verified client's certificate has for a user, if it has one. */
void lv_tls_settings_name_peer(const struct lv_settings *settings, struct lv_tls *tls);
