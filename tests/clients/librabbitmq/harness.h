/*
 * harness.h - registers checks, runs each in a process of its own and reports it on one line.
 *
 * A check passes unless it calls fail(), dies or takes too long. It registers itself:
 *
 *     CHECK(queue_is_there) { ... }
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

typedef void check_fn(void);

struct check {
    const char *group; /* view  source file without directory and suffix */
    const char *name;  /* view */
    check_fn *run;
    struct check *next; /* view */
};

/* Called before main() by what CHECK() expands to. */
void check_register(struct check *check);

/* Ends the check as failed; `format` gives the reason. */
_Noreturn void fail_at(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A name that nobody else uses. The queue or exchange of that name is deleted after the check,
 * whatever became of it. The string lives until the check ends. */
const char *unique_queue(void);
const char *unique_exchange(void);

/* A name that is never declared. */
const char *unique_absent(void);

/* Where the broker is and who may log in. */
struct peer {
    const char *host;     /* view */
    const char *user;     /* view */
    const char *password; /* view */
    int port;
};
const struct peer *peer(void);

#define fail(...) fail_at(__FILE__, __LINE__, __VA_ARGS__)
#define expect(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail("%s", #condition);                                                                \
    } while (0)
#define expect_int(got, wanted)                                                                    \
    do {                                                                                           \
        long long got_ = (long long)(got), wanted_ = (long long)(wanted);                          \
        if (got_ != wanted_)                                                                       \
            fail("%s is %lld, not %lld", #got, got_, wanted_);                                     \
    } while (0)

#define CHECK(name_)                                                                               \
    static void name_(void);                                                                       \
    static struct check name_##_check = {.group = __FILE_NAME__, .name = #name_, .run = name_};    \
    __attribute__((constructor)) static void name_##_register(void)                                \
    {                                                                                              \
        check_register(&name_##_check);                                                            \
    }                                                                                              \
    static void name_(void)
