#include "cli/ctl_status.h"

#include "cli/ctl_words.h"

#include <string.h>

/* Of a key in an object; 0 and "" for what is not there. */
static long long number_at(const json_t *object, const char *key)
{
    assert(key != NULL);
    return (long long)json_integer_value(json_object_get(object, key));
}

static const char *text_at(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    assert(key != NULL);
    return text == NULL ? "" : text;
}

static void print_title(FILE *file, const char *title)
{
    bool is_bold = lv_ctl_is_bold();

    assert(title != NULL);
    fprintf(file, "%s%s%s\n\n", is_bold ? "\033[1m" : "", title, is_bold ? "\033[0m" : "");
}

/* rabbitmqctl's powers of ten, with four digits behind the point. */
static void print_size(FILE *file, const char *name, long long size, const char *unit)
{
    assert(name != NULL);
    if (unit != NULL && strcmp(unit, "bytes") == 0)
        fprintf(file, "%s: %lld bytes\n", name, size);
    else if (unit != NULL && strcmp(unit, "mb") == 0)
        fprintf(file, "%s: %.4f mb\n", name, (double)size / 1e6);
    else
        fprintf(file, "%s: %.4f gb\n", name, (double)size / 1e9);
}

static void print_runtime(FILE *file, const json_t *status)
{
    assert(json_is_object(status));
    print_title(file, "Runtime");
    fprintf(file, "OS PID: %lld\n", number_at(status, "pid"));
    fprintf(file, "OS: %s\n", text_at(status, "os"));
    fprintf(file, "Uptime (seconds): %lld\n", number_at(status, "uptime"));
    fprintf(file, "Product name: %s\n", text_at(status, "product_name"));
    fprintf(file, "Product version: %s\n", text_at(status, "product_version"));
    fprintf(file, "RabbitMQ version: %s\n", text_at(status, "rabbitmq_version"));
    fprintf(file, "Shards: %lld\n\n", number_at(status, "shards"));
}

static void print_alarms(FILE *file, const json_t *alarms)
{
    assert(alarms == NULL || json_is_array(alarms));
    print_title(file, "Alarms");
    for (size_t i = 0; i < json_array_size(alarms); i++)
        fprintf(file, "%s\n", json_string_value(json_array_get(alarms, i)));
    fputs(json_array_size(alarms) == 0 ? "(none)\n\n" : "\n", file);
}

static void print_room(FILE *file, const json_t *status, const char *unit)
{
    const json_t *total = json_object_get(json_object_get(status, "memory"), "total");

    assert(json_is_object(status));
    print_title(file, "Memory");
    print_size(file, "Total memory used", number_at(total, "rss"), unit);
    print_size(file, "Accounted for messages and connections", number_at(total, "allocated"), unit);
    print_size(file, "Memory high watermark, computed to",
               number_at(status, "vm_memory_high_watermark_limit"), unit);
    fputc('\n', file);
    print_title(file, "Free Disk Space");
    print_size(file, "Low free disk space watermark", number_at(status, "disk_free_limit"), unit);
    print_size(file, "Free disk space", number_at(status, "disk_free"), unit);
    fputc('\n', file);
}

static void print_totals(FILE *file, const json_t *status)
{
    const json_t *files = json_object_get(status, "file_descriptors");
    const json_t *totals = json_object_get(status, "totals");

    assert(json_is_object(status));
    print_title(file, "File Descriptors");
    fprintf(file, "Total: %lld, limit: %lld\n\n", number_at(files, "total_used"),
            number_at(files, "total_limit"));
    print_title(file, "Totals");
    fprintf(file, "Connection count: %lld\n", number_at(totals, "connection_count"));
    fprintf(file, "Channel count: %lld\n", number_at(totals, "channel_count"));
    fprintf(file, "Consumer count: %lld\n", number_at(totals, "consumer_count"));
    fprintf(file, "Exchange count: %lld\n", number_at(totals, "exchange_count"));
    fprintf(file, "Queue count: %lld\n", number_at(totals, "queue_count"));
    fprintf(file, "Messages ready: %lld, unacknowledged: %lld\n",
            number_at(totals, "messages_ready"), number_at(totals, "messages_unacknowledged"));
    fprintf(file, "Virtual host count: %lld\n\n", number_at(totals, "virtual_host_count"));
}

static void print_listeners(FILE *file, const json_t *listeners)
{
    assert(listeners == NULL || json_is_array(listeners));
    print_title(file, "Listeners");
    for (size_t i = 0; i < json_array_size(listeners); i++) {
        const json_t *listener = json_array_get(listeners, i);

        fprintf(file, "Interface: %s, port: %lld, protocol: %s, purpose: %s\n",
                text_at(listener, "interface"), number_at(listener, "port"),
                text_at(listener, "protocol"), text_at(listener, "purpose"));
    }
}

void lv_ctl_status_print(FILE *file, const json_t *status, const char *unit)
{
    assert(file != NULL);
    print_runtime(file, status);
    print_title(file, "Data directory");
    fprintf(file, "Node data directory: %s\n\n", text_at(status, "data_directory"));
    print_alarms(file, json_object_get(status, "alarms"));
    print_room(file, status, unit);
    print_totals(file, status);
    print_listeners(file, json_object_get(status, "listeners"));
}
