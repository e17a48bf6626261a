#include "cli/bench_process.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define PATH_SIZE 320
#define KIB       1024u
#define NS_PER_US 1000u
#define US_PER_S  1000000u

/* Time on a processor, in ns: the first number of a schedstat file. Finer than the clock ticks of
 * /proc/PID/stat, which matters for short runs. */
static uint64_t read_schedstat(const char *path)
{
    FILE *file = fopen(path, "re");
    uint64_t ns = 0;

    if (file == NULL)
        return 0; /* the thread has just ended */
    if (fscanf(file, "%" SCNu64, &ns) != 1)
        ns = 0;
    (void)fclose(file);
    return ns;
}

/* Threads that ended take their time with them; brokers keep theirs. */
static int add_cpu(int pid, struct lv_process_usage *usage, struct lv_diag *diag)
{
    char path[PATH_SIZE];
    struct dirent *entry;
    DIR *tasks;

    assert(pid > 0);
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    tasks = opendir(path);
    if (tasks == NULL)
        return lv_fail(diag, -LV_E_NOT_FOUND, "there is no process %d", pid);
    while ((entry = readdir(tasks)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", pid, entry->d_name);
        usage->cpu_ns += read_schedstat(path);
    }
    (void)closedir(tasks);
    return 0;
}

/* proc(5): VmRSS and VmHWM, in KiB. */
static void add_memory(int pid, struct lv_process_usage *usage)
{
    char path[PATH_SIZE], line[256];
    FILE *file;

    assert(pid > 0);
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    file = fopen(path, "re");
    if (file == NULL)
        return;
    while (fgets(line, sizeof line, file) != NULL) {
        uint64_t kib;

        if (sscanf(line, "VmRSS: %" SCNu64, &kib) == 1)
            usage->resident += kib * KIB;
        if (sscanf(line, "VmHWM: %" SCNu64, &kib) == 1)
            usage->peak += kib * KIB;
    }
    (void)fclose(file);
}

int lv_process_measure(const int *pids, size_t count, struct lv_process_usage *ret_usage,
                       struct lv_diag *diag)
{
    struct lv_process_usage usage = {.cpu_ns = 0};

    assert(count == 0 || pids != NULL);
    for (size_t i = 0; i < count; i++) {
        int rc = add_cpu(pids[i], &usage, diag);

        if (rc < 0)
            return rc;
        add_memory(pids[i], &usage);
    }
    *ret_usage = usage;
    return 0;
}

void lv_process_reset_peak(const int *pids, size_t count)
{
    assert(count == 0 || pids != NULL);
    for (size_t i = 0; i < count; i++) {
        char path[PATH_SIZE];
        FILE *file;

        snprintf(path, sizeof path, "/proc/%d/clear_refs", pids[i]);
        file = fopen(path, "we");
        if (file == NULL)
            continue;
        (void)fputs("5", file); /* proc(5): resets the peak resident set size */
        (void)fclose(file);
    }
}

uint64_t lv_process_own_cpu(void)
{
    struct rusage usage;
    int rc = getrusage(RUSAGE_SELF, &usage);
    uint64_t us;

    assert(rc == 0);
    (void)rc;
    us = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * US_PER_S +
         (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    return us * NS_PER_US;
}
