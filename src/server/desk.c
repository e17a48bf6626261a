#include "server/desk.h"

#include "base/alloc.h"
#include "base/deadline.h"
#include "io/machine.h"
#include "lv_version.h"
#include "server/inspect.h"
#include "server/listener.h"
#include "server/settings_text.h"
#include "server/shard.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A slice on its way to a shard and back. */
struct errand {
    struct lv_call call;
    struct lv_desk *desk;   /* view */
    struct lv_slice *slice; /* own */
};

/* On the shard's thread. */
static void run_errand(struct lv_call *call, struct lv_shard *shard)
{
    struct errand *errand = lv_container(call, struct errand, call);
    struct lv_desk *desk = errand->desk;
    struct lv_slice *slice = errand->slice;

    assert(slice->shard == shard->number);
    lv_free(errand);
    lv_shard_inspect(shard, slice);
    if (lv_mailbox_post(&desk->answers, &slice->letter))
        lv_reactor_wake(desk->config.shared->main);
}

static int on_ask(void *ctx, struct lv_slice *slice)
{
    struct lv_desk *desk = ctx;
    struct errand *errand = lv_calloc(1, sizeof *errand);

    assert(slice->shard < desk->config.shared->shard_count);
    if (errand == NULL)
        return -LV_E_NOMEM;
    errand->call.run = run_errand;
    errand->desk = desk;
    errand->slice = slice;
    lv_shard_call(desk->config.shared->shards[slice->shard], &errand->call);
    return 0;
}

static void on_stop(void *ctx)
{
    struct lv_desk *desk = ctx;

    lv_event(LV_INFO, "control.stop");
    desk->config.stop(desk->config.ctx);
}

static void on_drain(void *ctx, uint64_t seconds)
{
    struct lv_desk *desk = ctx;

    assert(desk->config.drain != NULL);
    lv_event(LV_INFO, "control.drain", LV_U("seconds", seconds));
    desk->config.drain(desk->config.ctx, seconds);
}

/* ---- status ---- */

static void put_plain(struct lv_rows *rows, uint64_t number)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRIu64, number);
    lv_rows_raw(rows, text);
}

/* `"name":number` behind a comma. */
static void put_number(struct lv_rows *rows, const char *name, uint64_t number)
{
    char text[96];

    snprintf(text, sizeof text, ",\"%s\":%" PRIu64, name, number);
    lv_rows_raw(rows, text);
}

static void put_text(struct lv_rows *rows, const char *name, const char *text)
{
    lv_rows_raw(rows, ",\"");
    lv_rows_raw(rows, name);
    lv_rows_raw(rows, "\":");
    lv_rows_raw_text(rows, text);
}

/* By the reasons for them. */
static void put_alarms(struct lv_rows *rows, unsigned alarms)
{
    static const char *const texts[] = {"", "\"memory\"", "\"disk\"", "\"memory\",\"disk\""};

    assert(alarms < LV_COUNT(texts));
    lv_rows_raw(rows, ",\"alarms\":[");
    lv_rows_raw(rows, texts[alarms]);
    lv_rows_raw(rows, "]");
}

/* On the main thread, which may wait for the file system. */
static void put_disk(struct lv_rows *rows, const struct lv_space *space)
{
    uint64_t room = 0;

    if (space->disk->ops->free_space(space->disk, &room) < 0)
        room = 0;
    put_number(rows, "disk_free", room);
    put_number(rows, "disk_free_limit", space->limit);
}

static void put_memory(struct lv_rows *rows, struct lv_memory *memory)
{
    assert(memory->high > 0);
    lv_rows_raw(rows, ",\"memory\":{\"strategy\":\"allocated\",\"total\":{\"rss\":");
    put_plain(rows, lv_machine_resident());
    put_number(rows, "allocated", lv_memory_used(memory));
    lv_rows_raw(rows, "}}");
    put_number(rows, "vm_memory_high_watermark_limit", memory->high);
}

static void put_files(struct lv_rows *rows)
{
    uint64_t used, limit;

    lv_machine_files(&used, &limit);
    assert(used > 0);
    lv_rows_raw(rows, ",\"file_descriptors\":{\"total_used\":");
    put_plain(rows, used);
    put_number(rows, "total_limit", limit);
    lv_rows_raw(rows, "}");
}

static void put_totals(struct lv_rows *rows, const struct lv_totals *totals)
{
    lv_rows_raw(rows, ",\"totals\":{\"virtual_host_count\":");
    put_plain(rows, totals->vhosts);
    put_number(rows, "connection_count", totals->connections);
    put_number(rows, "channel_count", totals->channels);
    put_number(rows, "consumer_count", totals->consumers);
    put_number(rows, "exchange_count", totals->exchanges);
    put_number(rows, "queue_count", totals->queues);
    put_number(rows, "messages_ready", totals->ready);
    put_number(rows, "messages_unacknowledged", totals->unacked);
    lv_rows_raw(rows, "}");
}

static void put_listeners(struct lv_rows *rows, const struct lv_shared *shared)
{
    assert(shared->listener_count == 0 || shared->listeners != NULL);
    lv_rows_raw(rows, ",\"listeners\":[");
    for (unsigned i = 0; i < shared->listener_count; i++) {
        const struct lv_address *address = &shared->listeners[i].address;
        bool is_tls = shared->listeners[i].is_tls;
        char text[LV_ADDRESS_TEXT_SIZE], *end;

        lv_address_text(address, text);
        end = strrchr(text, ':');
        assert(end != NULL);
        *end = '\0';
        lv_rows_raw(rows, i > 0 ? ",{\"protocol\":\"amqp" : "{\"protocol\":\"amqp");
        lv_rows_raw(rows, is_tls ? "/ssl\"" : "\"");
        put_text(rows, "interface", text);
        put_number(rows, "port", address->port);
        put_text(rows, "purpose", is_tls ? "AMQP 0-9-1 over TLS" : "AMQP 0-9-1");
        lv_rows_raw(rows, "}");
    }
    lv_rows_raw(rows, "]");
}

/* RabbitMQ's keys where the thing is the same, and ours beside them. */
static void on_status(void *ctx, const struct lv_totals *totals, struct lv_rows *rows)
{
    struct lv_desk *desk = ctx;
    struct lv_shared *shared = desk->config.shared;

    assert(shared->shard_count > 0);
    lv_rows_raw(rows, "{\"product_name\":\"Leveret\"");
    put_text(rows, "product_version", LV_VERSION);
    put_text(rows, "rabbitmq_version", shared->settings->product_version);
    put_text(rows, "os", "Linux");
    put_number(rows, "pid", (uint64_t)getpid());
    put_number(rows, "uptime", (*desk->config.now - desk->began) / LV_NS_PER_S);
    put_number(rows, "shards", shared->shard_count);
    put_text(rows, "data_directory", desk->config.directory);
    put_alarms(rows, lv_alarms_now(&shared->alarms));
    put_memory(rows, &shared->memory);
    put_disk(rows, &shared->space);
    put_files(rows);
    put_totals(rows, totals);
    put_listeners(rows, shared);
    lv_rows_raw(rows, "}\n");
}

/* Every setting as it would be written, without passwords. */
static void on_environment(void *ctx, struct lv_rows *rows)
{
    struct lv_desk *desk = ctx;
    bool is_first = true;

    lv_rows_raw(rows, "{");
    for (const struct lv_setting *row = lv_setting_rows; row->name != NULL; row++) {
        char value[LV_SETTING_VALUE_SIZE];

        lv_rows_raw(rows, is_first ? "" : ",");
        lv_rows_raw_text(rows, row->name);
        lv_rows_raw(rows, ":");
        lv_rows_raw_text(rows, lv_setting_value(desk->config.shared->settings, row, value));
        is_first = false;
    }
    assert(!is_first);
    lv_rows_raw(rows, "}\n");
}

static void on_act(void *ctx, struct lv_deed *deed)
{
    struct lv_desk *desk = ctx;

    assert(deed->request != NULL);
    lv_deeds_do(&desk->deeds, deed);
}

/* ---- life ---- */

static const struct lv_control_host host = {
    .ask = on_ask,
    .status = on_status,
    .environment = on_environment,
    .act = on_act,
    .stop = on_stop,
    .drain = on_drain,
};

int lv_desk_open(struct lv_desk *desk, const struct lv_desk_config *config, struct lv_diag *diag)
{
    const struct lv_control_config control = {
        .host = &host,
        .ctx = desk,
        .reactor = config->shared->main,
        .now = config->now,
        .directory = config->directory,
        .version = config->shared->settings->product_version,
        .shard_count = config->shared->shard_count,
    };

    assert(desk->control == NULL);
    desk->config = *config;
    desk->began = *config->now;
    lv_mailbox_init(&desk->answers);
    lv_deeds_init(&desk->deeds, config->shared);
    return lv_control_open(&control, diag, &desk->control);
}

uint64_t lv_desk_next(const struct lv_desk *desk)
{
    return desk->control == NULL ? LV_NEVER : lv_control_next(desk->control);
}

void lv_desk_turn(struct lv_desk *desk)
{
    struct lv_letter *letter;
    struct lv_deed *deed;

    if (desk->control == NULL)
        return;
    letter = lv_mailbox_take(&desk->answers);
    while (letter != NULL) {
        struct lv_slice *slice = lv_container(letter, struct lv_slice, letter);

        letter = letter->next;
        lv_control_answer(desk->control, slice);
    }
    while ((deed = lv_deeds_take(&desk->deeds)) != NULL)
        lv_control_done(desk->control, deed);
    lv_control_turn(desk->control);
}

bool lv_desk_close(struct lv_desk *desk)
{
    if (desk->control == NULL)
        return true;
    lv_control_close(desk->control);
    if (!lv_control_is_closed(desk->control))
        return false;
    lv_deeds_stop(&desk->deeds);
    lv_control_free(desk->control);
    desk->control = NULL;
    return true;
}
