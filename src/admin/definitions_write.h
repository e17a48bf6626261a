/*
 * admin/definitions_write.h - a list as definitions.json, which RabbitMQ imports.
 *
 * Keys, objects and members are in order and each object has a line of its own: the same state is
 * the same bytes, and two exports can be compared line by line. Pure; any thread that owns the
 * list.
 */
#pragma once

#include "admin/definitions.h"
#include "base/json.h"

/* Of a sorted list. The exchanges that every vhost is born with are left out. `version` is the one
 * of RabbitMQ that clients are told. */
void lv_definitions_write(const struct lv_definitions *list, const char *version,
                          const struct lv_json *json);
