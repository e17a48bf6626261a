#include "io/machine.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/text.h"
#include "io/file.h"

#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

/* Those of the affinity mask: a container often has fewer than the machine. */
unsigned lv_machine_cpus(void)
{
    cpu_set_t set;
    int count;

    if (sched_getaffinity(0, sizeof set, &set) < 0) /* more than 1024 processors */
        count = (int)sysconf(_SC_NPROCESSORS_ONLN);
    else
        count = CPU_COUNT(&set);
    return count < 1 ? 1 : (unsigned)count;
}

/* The limit of the control group in this file; UINT64_MAX: none, or no such file. */
static uint64_t group_limit(const char *path)
{
    uint64_t limit = UINT64_MAX;
    size_t size;
    char *text;

    assert(path[0] == '/');
    if (lv_file_read(path, 64, &text, &size, NULL) < 0)
        return limit;
    text[strcspn(text, "\n")] = '\0';
    if (lv_text_number(text, &limit) < 0)
        limit = UINT64_MAX; /* "max" */
    lv_free(text);
    return limit;
}

uint64_t lv_machine_memory(void)
{
    uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    /* Inside a container its own group is the root of what is visible. */
    uint64_t second = group_limit("/sys/fs/cgroup/memory.max");
    uint64_t first = group_limit("/sys/fs/cgroup/memory/memory.limit_in_bytes");

    assert(memory > 0);
    if (second < memory)
        memory = second;
    return first < memory ? first : memory;
}

/* The second number of statm, in pages (proc(5)). */
uint64_t lv_machine_resident(void)
{
    unsigned long long total, resident;
    size_t size;
    char *text;
    int found;

    if (lv_file_read("/proc/self/statm", 256, &text, &size, NULL) < 0)
        return 0;
    found = sscanf(text, "%llu %llu", &total, &resident);
    lv_free(text);
    return found == 2 ? resident * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

/* The soft limit is 1024 on most systems for programs that use select(); this one does not. */
uint64_t lv_machine_raise_files(void)
{
    struct rlimit limit;
    int rc = getrlimit(RLIMIT_NOFILE, &limit);
    rlim_t before;

    assert(rc == 0);
    (void)rc;
    before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        return before;
    return limit.rlim_cur;
}

/* One entry in /proc/self/fd is the directory being read. */
void lv_machine_files(uint64_t *ret_used, uint64_t *ret_limit)
{
    struct rlimit limit;
    DIR *directory = opendir("/proc/self/fd");
    const struct dirent *entry;
    int rc = getrlimit(RLIMIT_NOFILE, &limit);

    assert(rc == 0);
    (void)rc;
    *ret_limit = limit.rlim_cur;
    *ret_used = 0;
    if (directory == NULL)
        return; /* without /proc it is not known */
    while ((entry = readdir(directory)) != NULL)
        *ret_used += entry->d_name[0] != '.';
    --*ret_used;
    closedir(directory);
}

/* From the kernel's generator, which never blocks once the machine is up. */
uint64_t lv_machine_random(void)
{
    uint64_t number = 0;
    ssize_t size = getrandom(&number, sizeof number, 0);

    assert(size == (ssize_t)sizeof number); /* so few bytes come whole and uninterrupted */
    (void)size;
    return number;
}
