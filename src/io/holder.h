/*
 * io/holder.h - which program has a TCP port, as /proc tells it. Any thread; slow: it looks at
 * every process.
 */
#pragma once

#include <stdint.h>

#define LV_HOLDER_TEXT_SIZE 96

/* "nginx (process 4711)", or what can be said without the right to look closer. Returns `text`. */
const char *lv_port_holder(uint16_t port, char text[LV_HOLDER_TEXT_SIZE]);
/* "nginx (process 4711)". Returns `text`. */
const char *lv_process_text(uint64_t pid, char text[LV_HOLDER_TEXT_SIZE]);
