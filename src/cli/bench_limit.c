/* The time a whole run may take. See cli/bench.h. */
#include "cli/bench.h"
#include "cli/command.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define US_PER_S 1000000

static _Atomic(const char *) doing = "began"; /* any  view */
static char sentence[96]; /*      written before the timer runs, read by its handler */

static void say(const char *text)
{
    ssize_t written = write(STDERR_FILENO, text, strlen(text));

    (void)written; /* nobody is left who could be told */
}

/* signal-safety(7): write() and _exit() may be called here, and reading a pointer is one load. */
static void end(int number)
{
    const char *phase = atomic_load(&doing);

    (void)number;
    assert(phase != NULL);
    say(sentence);
    say(phase);
    say("\n");
    _exit(LV_EXIT_FAILED);
}

void lv_bench_limit(double seconds)
{
    struct itimerval timer = {.it_value = {.tv_sec = (time_t)seconds}};
    struct sigaction action = {.sa_handler = end, .sa_flags = SA_RESTART};
    int rc;

    assert(seconds > 0);
    timer.it_value.tv_usec = (suseconds_t)((seconds - (double)timer.it_value.tv_sec) * US_PER_S);
    snprintf(sentence, sizeof sentence, "leveret bench: not over after %g s (--limit); it still ",
             seconds);
    (void)sigemptyset(&action.sa_mask);
    rc = sigaction(SIGALRM, &action, NULL);
    assert(rc == 0);
    rc = setitimer(ITIMER_REAL, &timer, NULL);
    assert(rc == 0);
    (void)rc;
}

void lv_bench_phase(const char *phase)
{
    assert(phase != NULL);
    atomic_store(&doing, phase);
}
