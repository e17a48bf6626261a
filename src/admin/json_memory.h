/*
 * admin/json_memory.h - where jansson's memory comes from.
 *
 * Requests and definitions may carry passwords, so what jansson frees is wiped before. Any thread.
 */
#pragma once

/* Before anything of jansson is called; the first call sets it for the whole program. */
void lv_json_memory(void);
