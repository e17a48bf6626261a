#include "io/signals.h"

#include "base/err.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* What an operator, systemd or a terminal sends to end a program, or to have it read its files
 * again. */
static sigset_t taken_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    return set;
}

/* Blocked in the main thread before there are others, which inherit it. */
int lv_signals_open(int *ret_fd)
{
    sigset_t set = taken_signals();
    int fd;

    assert(ret_fd != NULL);
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
        return -LV_E_RESOURCE;
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0) {
        pthread_sigmask(SIG_UNBLOCK, &set, NULL);
        return -LV_E_RESOURCE;
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* the write that goes over RLIMIT_FSIZE says so itself */
    *ret_fd = fd;
    return 0;
}

/* One at a time; equal signals that came before one was taken are one. */
int lv_signals_take(int fd)
{
    struct signalfd_siginfo info;
    ssize_t size = read(fd, &info, sizeof info);

    assert(size < 0 || size == (ssize_t)sizeof info);
    return size < 0 ? 0 : (int)info.ssi_signo;
}

/* A signal that came and was not taken takes effect here. */
void lv_signals_close(int fd)
{
    sigset_t set = taken_signals();

    assert(fd >= 0);
    close(fd);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
