#include "harness.h"

#include <assert.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "session.h"

#define SECONDS   20
#define NAMES_MAX 16
#define NAME_SIZE 64

/* What the process of a check leaves to the one that reaps it. */
struct shared {
    char reason[512];
    char queues[NAMES_MAX][NAME_SIZE];
    char exchanges[NAMES_MAX][NAME_SIZE];
};

static struct check *first;
static struct check **last = &first;
static struct shared *shared;
static unsigned run_id;

void check_register(struct check *check)
{
    assert(check->next == NULL);
    *last = check;
    last = &check->next;
}

void fail_at(const char *file, int line, const char *format, ...)
{
    const char *slash = strrchr(file, '/');
    va_list args;

    va_start(args, format);
    int size = vsnprintf(shared->reason, sizeof(shared->reason) - 64, format, args);
    va_end(args);
    size_t used = strlen(shared->reason);
    assert(size >= 0);
    snprintf(shared->reason + used, sizeof(shared->reason) - used, " (%s:%d)",
             slash != NULL ? slash + 1 : file, line);
    _exit(1);
}

static const char *new_name(char (*names)[NAME_SIZE], const char *kind)
{
    size_t i = 0;

    while (i < NAMES_MAX && names[i][0] != '\0')
        i++;
    assert(i < NAMES_MAX);
    snprintf(names[i], NAME_SIZE, "check.%08x.%s.%d.%zu", run_id, kind, getpid(), i);
    return names[i];
}

const char *unique_queue(void)
{
    return new_name(shared->queues, "queue");
}

const char *unique_exchange(void)
{
    return new_name(shared->exchanges, "exchange");
}

const char *unique_absent(void)
{
    static char name[NAME_SIZE];

    snprintf(name, sizeof(name), "check.%08x.absent.%d", run_id, getpid());
    return name;
}

static const char *setting(const char *name, const char *otherwise)
{
    const char *value = getenv(name);

    return value != NULL && value[0] != '\0' ? value : otherwise;
}

const struct peer *peer(void)
{
    static struct peer here;

    here.host = setting("LEVERET_HOST", "127.0.0.1");
    here.user = setting("LEVERET_USER", "guest");
    here.password = setting("LEVERET_PASS", "guest");
    here.port = atoi(setting("LEVERET_PORT", "5672"));
    return &here;
}

/* Runs in a process of its own too: a broker that hangs must not hang the suite. */
static void delete_names(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        alarm(SECONDS);
        for (size_t i = 0; i < NAMES_MAX && shared->queues[i][0] != '\0'; i++)
            session_delete_queue(shared->queues[i]);
        for (size_t i = 0; i < NAMES_MAX && shared->exchanges[i][0] != '\0'; i++)
            session_delete_exchange(shared->exchanges[i]);
        _exit(0);
    }
    assert(pid > 0);
    waitpid(pid, NULL, 0);
}

static void group_of(const struct check *check, char *ret_group, size_t size)
{
    const char *from = check->group;

    if (strncmp(from, "check_", 6) == 0)
        from += 6;
    snprintf(ret_group, size, "%.*s", (int)strcspn(from, "."), from);
}

static bool run_one(const struct check *check)
{
    char group[64];
    int status = 0;

    memset(shared, 0, sizeof(*shared));
    group_of(check, group, sizeof(group));
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(SECONDS);
        check->run();
        _exit(0);
    }
    assert(pid > 0);
    waitpid(pid, &status, 0);
    if (WIFSIGNALED(status))
        snprintf(shared->reason, sizeof(shared->reason), "%s",
                 WTERMSIG(status) == SIGALRM ? "timed out" : strsignal(WTERMSIG(status)));
    if (status == 0)
        printf("ok %s.%s\n", group, check->name);
    else
        printf("not ok %s.%s %s\n", group, check->name, shared->reason);
    if (shared->queues[0][0] != '\0' || shared->exchanges[0][0] != '\0')
        delete_names();
    return status == 0;
}

static bool is_wanted(const struct check *check, int argc, char **argv)
{
    char group[64], full[256];

    group_of(check, group, sizeof(group));
    snprintf(full, sizeof(full), "%s.%s", group, check->name);
    for (int i = 1; i < argc; i++)
        if (strstr(full, argv[i]) != NULL)
            return true;
    return argc < 2;
}

int main(int argc, char **argv)
{
    unsigned passed = 0, failed = 0;

    signal(SIGPIPE, SIG_IGN);
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert(shared != MAP_FAILED);
    if (getrandom(&run_id, sizeof(run_id), 0) != (ssize_t)sizeof(run_id))
        return 1;
    for (struct check *check = first; check != NULL; check = check->next) {
        if (!is_wanted(check, argc, argv))
            continue;
        if (run_one(check))
            passed++;
        else
            failed++;
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}
