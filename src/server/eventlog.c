#include "server/eventlog.h"

#include "base/alloc.h"
#include "base/event.h"
#include "io/clock.h"
#include "io/file.h"
#include "io/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* `{"time":"…",` and the like. */
#define HEAD_SIZE_MAX (LV_CLOCK_TEXT_SIZE + 16u)

/* Where lines go. */
struct target {
    const char *name; /* view  NULL: it is not open */
    struct lv_thread thread;
    int fd;
    char path[LV_EVENTLOG_PATH_SIZE]; /* "": the descriptor is not ours */
    enum lv_event_form form;
    pthread_mutex_t lock; /*       of all below */
    pthread_cond_t wake;  /*       there is something to write, or the end */
    pthread_cond_t ended;
    char *filling;  /* own   what is said goes here */
    char *writing;  /* own   and this is the thread's */
    size_t used;    /*       of `filling` */
    uint64_t lost;  /*       lines that did not fit */
    bool is_ending; /*       the thread is to write what there is, and end */
    bool has_ended;
};

/* How a target's writing goes; its thread's own. */
struct state {
    uint64_t lost;   /* lines, since the last that was written */
    bool is_failing; /* and it has been said */
    bool is_torn;    /* the last line was written in part */
};

enum { CONSOLE, LOG_FILE, TARGET_COUNT };

static struct target targets[TARGET_COUNT];

/* ---- writing ---- */

static uint64_t count_lines(const char *text, size_t size)
{
    uint64_t count = 0;

    assert(text != NULL);
    for (size_t i = 0; i < size; i++)
        count += text[i] == '\n';
    return count;
}

/* Returns how much was written; less than all: *ret_error says why. */
static size_t write_all(int fd, const char *text, size_t size, int *ret_error)
{
    size_t done = 0;

    assert(ret_error != NULL);
    while (done < size) {
        ssize_t count = write(fd, text + done, size - done);

        if (count >= 0) {
            done += (size_t)count;
        } else if (errno == EAGAIN) { /* whoever started us made it so */
            struct pollfd ready = {.fd = fd, .events = POLLOUT};
            poll(&ready, 1, -1);
        } else if (errno != EINTR) {
            *ret_error = errno;
            break;
        }
    }
    return done;
}

/* Both say something only once, and never of a single line: they are lines themselves. */
static void say_failing(const struct target *target, struct state *state, int error)
{
    assert(error != 0);
    if (state->is_failing)
        return;
    state->is_failing = true;
    lv_event(LV_ERROR, "log.failed", LV_S("target", target->name), LV_S("why", strerror(error)),
             LV_S("effect", "lines are lost until it can be written again"));
}

static void say_lost(const struct target *target, struct state *state)
{
    uint64_t lost = state->lost;

    assert(target->name != NULL);
    state->is_failing = false;
    state->lost = 0;
    if (lost > 0)
        lv_event(LV_WARN, "log.lost", LV_S("target", target->name), LV_U("lines", lost));
}

/* What can't be written is lost: to keep it would only move the end of what memory holds. */
static void write_out(const struct target *target, struct state *state, const char *text,
                      size_t size)
{
    int error = 0;
    size_t done = 0;

    assert(size > 0);
    if (!state->is_torn || write_all(target->fd, "\n", 1, &error) == 1) {
        state->is_torn = false;
        done = write_all(target->fd, text, size, &error);
    }
    if (done > 0)
        state->is_torn = text[done - 1] != '\n';
    if (done == size) {
        say_lost(target, state);
        return;
    }
    state->lost += count_lines(text + done, size - done);
    say_failing(target, state, error);
}

/* The thread's whole life. What it says itself comes back to it like anybody's lines. */
static void run(void *ctx)
{
    struct target *target = ctx;
    struct state state = {.lost = 0};

    pthread_mutex_lock(&target->lock);
    for (;;) {
        char *text = target->filling;
        size_t size;

        while (target->used == 0 && !target->is_ending)
            pthread_cond_wait(&target->wake, &target->lock);
        size = target->used;
        if (size == 0)
            break;
        assert(size <= LV_EVENTLOG_BUFFER);
        target->filling = target->writing;
        target->writing = text;
        target->used = 0;
        state.lost += target->lost;
        target->lost = 0;
        pthread_mutex_unlock(&target->lock);
        write_out(target, &state, text, size);
        pthread_mutex_lock(&target->lock);
    }
    target->has_ended = true;
    pthread_cond_signal(&target->ended);
    pthread_mutex_unlock(&target->lock);
}

/* The sink: on whatever thread says something. */
static void take(void *ctx, enum lv_level level, struct lv_bytes line)
{
    struct target *target = ctx;
    char time[LV_CLOCK_TEXT_SIZE], head[HEAD_SIZE_MAX];
    size_t size = (size_t)snprintf(head, sizeof head,
                                   target->form == LV_EVENT_JSON ? "{\"time\":\"%s\"," : "%s ",
                                   lv_clock_text(time));

    (void)level;
    assert(size < sizeof head);
    pthread_mutex_lock(&target->lock);
    if (size + line.size > LV_EVENTLOG_BUFFER - target->used) {
        target->lost++;
    } else {
        memcpy(target->filling + target->used, head, size);
        memcpy(target->filling + target->used + size, line.data, line.size);
        target->used += size + line.size;
        pthread_cond_signal(&target->wake);
    }
    pthread_mutex_unlock(&target->lock);
}

/* ---- opening ---- */

int lv_eventlog_path(const struct lv_settings *settings, char path[LV_EVENTLOG_PATH_SIZE],
                     struct lv_diag *diag)
{
    const char *file = settings->log_file, *dir = settings->log_dir;
    int size;

    path[0] = '\0';
    if (file[0] == '\0' && dir[0] != '\0')
        file = LV_EVENTLOG_FILE;
    if (file[0] == '\0' || strcmp(file, "false") == 0)
        return 0;
    if (file[0] != '/' && dir[0] == '\0')
        return lv_fail(diag, -LV_E_USAGE,
                       "log.file = %s is in no directory: set log.dir, or begin with /", file);
    if (file[0] == '/')
        size = snprintf(path, LV_EVENTLOG_PATH_SIZE, "%s", file);
    else
        size = snprintf(path, LV_EVENTLOG_PATH_SIZE, "%s/%s", dir, file);
    assert(size > 0);
    if ((size_t)size >= LV_EVENTLOG_PATH_SIZE)
        return lv_fail(diag, -LV_E_USAGE, "log.dir and log.file are too long together");
    return 0;
}

/* Not to be blocked by: a pipe that nobody reads is an error. */
static int open_file(const char *path)
{
    assert(path[0] != '\0');
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640);
}

/* The place of a level's name in the settings; `common` is log.level's. */
static bool find_level(uint64_t word, uint64_t common, enum lv_level *ret_lowest)
{
    /* RabbitMQ's: what it tells apart and we don't is the next worse. */
    static const enum lv_level levels[] = {LV_DEBUG, LV_INFO,  LV_WARN,  LV_WARN,
                                           LV_ERROR, LV_ERROR, LV_ERROR, LV_ERROR};
    uint64_t place = word == 0 ? common : word - 1;

    static_assert(LV_COUNT(levels) == LV_LOG_LEVEL_NONE, "a level for each word but none");
    assert(place <= LV_LOG_LEVEL_NONE);
    if (place == LV_LOG_LEVEL_NONE)
        return false;
    *ret_lowest = levels[place];
    return true;
}

static void free_target(struct target *target)
{
    assert(target->name == NULL);
    lv_free(target->filling);
    lv_free(target->writing);
    if (target->path[0] != '\0' && target->fd >= 0)
        close(target->fd);
    *target = (struct target){.fd = -1};
}

static int start_target(struct target *target, const char *name, enum lv_event_form form,
                        struct lv_diag *diag)
{
    char text[16];

    assert(target->fd >= 0);
    target->form = form;
    target->filling = lv_alloc(LV_EVENTLOG_BUFFER);
    target->writing = lv_alloc(LV_EVENTLOG_BUFFER);
    pthread_mutex_init(&target->lock, NULL);
    pthread_cond_init(&target->wake, NULL);
    pthread_cond_init(&target->ended, NULL);
    snprintf(text, sizeof text, "log %s", name);
    if (target->filling == NULL || target->writing == NULL ||
        lv_thread_start(&target->thread, text, run, target) < 0) {
        free_target(target);
        return lv_fail(diag, -LV_E_NOMEM, "out of memory or threads for the log");
    }
    target->name = name;
    return 0;
}

static int open_console(const struct lv_settings *settings, struct lv_diag *diag)
{
    struct target *target = &targets[CONSOLE];

    assert(target->name == NULL);
    *target =
        (struct target){.fd = settings->log_console_stdio == 0 ? STDERR_FILENO : STDOUT_FILENO};
    return start_target(target, "console",
                        settings->log_console_formatter == 0 ? LV_EVENT_PLAIN : LV_EVENT_JSON,
                        diag);
}

static int open_log_file(const struct lv_settings *settings, const char *path, struct lv_diag *diag)
{
    struct target *target = &targets[LOG_FILE];
    int rc = settings->log_dir[0] == '\0' ? 0 : lv_directory_make(settings->log_dir, diag);

    assert(target->name == NULL);
    if (rc < 0)
        return rc;
    *target = (struct target){.fd = open_file(path)};
    if (target->fd < 0)
        return lv_fail(diag, -LV_E_IO, "can't write the log %s: %s", path, strerror(errno));
    snprintf(target->path, sizeof target->path, "%s", path);
    return start_target(target, "file",
                        settings->log_file_formatter == 0 ? LV_EVENT_PLAIN : LV_EVENT_JSON, diag);
}

int lv_eventlog_open(const struct lv_settings *settings, struct lv_diag *diag)
{
    struct lv_event_sink sinks[TARGET_COUNT];
    char path[LV_EVENTLOG_PATH_SIZE];
    enum lv_level lowest;
    unsigned count = 0;
    int rc = lv_eventlog_path(settings, path, diag);

    static_assert(TARGET_COUNT <= LV_EVENT_SINKS_MAX, "a sink for each target");
    if (rc == 0 && settings->log_console == 0 &&
        find_level(settings->log_console_level, settings->log_level, &lowest)) {
        rc = open_console(settings, diag);
        sinks[count++] = (struct lv_event_sink){.ctx = &targets[CONSOLE], .lowest = lowest};
    }
    if (rc == 0 && path[0] != '\0' &&
        find_level(settings->log_file_level, settings->log_level, &lowest)) {
        rc = open_log_file(settings, path, diag);
        sinks[count++] = (struct lv_event_sink){.ctx = &targets[LOG_FILE], .lowest = lowest};
    }
    for (unsigned i = 0; i < count; i++) {
        sinks[i].write = take;
        sinks[i].form = ((const struct target *)sinks[i].ctx)->form;
    }
    if (rc == 0)
        lv_event_sinks(sinks, count);
    else
        lv_eventlog_close(NULL);
    return rc;
}

/* dup2() puts the new file in the old one's place at once: a write that is under way ends in the
 * old one, and the next goes to the new one. */
void lv_eventlog_reopen(void)
{
    struct target *target = &targets[LOG_FILE];
    int fd;

    if (target->name == NULL)
        return;
    assert(target->fd >= 0);
    fd = open_file(target->path);
    if (fd < 0 || dup3(fd, target->fd, O_CLOEXEC) < 0)
        lv_event(LV_ERROR, "log.not_reopened", LV_S("file", target->path),
                 LV_S("why", strerror(errno)), LV_S("effect", "the old file is written on"));
    if (fd >= 0)
        close(fd);
}

/* ---- the end ---- */

/* One that does not end is left to the process's end, with what belongs to it. */
static void end_target(struct target *target)
{
    struct timespec until;
    int rc = 0;

    if (target->name == NULL)
        return;
    assert(target->filling != NULL);
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += LV_EVENTLOG_PATIENCE_MS / 1000;
    pthread_mutex_lock(&target->lock);
    target->is_ending = true;
    pthread_cond_signal(&target->wake);
    while (!target->has_ended && rc == 0)
        rc = pthread_cond_clockwait(&target->ended, &target->lock, CLOCK_MONOTONIC, &until);
    pthread_mutex_unlock(&target->lock);
    if (rc != 0)
        return;
    lv_thread_join(&target->thread);
    target->name = NULL;
}

void lv_eventlog_close(const char *why)
{
    end_target(&targets[CONSOLE]);
    if (why != NULL && targets[LOG_FILE].name != NULL)
        lv_event(LV_ERROR, "server.failed", LV_S("why", why));
    end_target(&targets[LOG_FILE]);
    lv_event_sinks(NULL, 0);
    for (unsigned i = 0; i < TARGET_COUNT; i++) {
        if (targets[i].name == NULL)
            free_target(&targets[i]);
    }
}
