#include "io/process.h"

#include "base/err.h"

#include <errno.h>
#include <limits.h>
#include <sys/pidfd.h>

/* Names the process itself, so that a number that is used again means nobody else. */
int lv_process_open(uint64_t pid, int *ret_fd)
{
    int fd;

    assert(ret_fd != NULL);
    if (pid == 0 || pid > INT_MAX)
        return -LV_E_NOT_FOUND;
    fd = pidfd_open((pid_t)pid, 0);
    if (fd < 0)
        return errno == ESRCH ? -LV_E_NOT_FOUND : -LV_E_IO;
    *ret_fd = fd;
    return 0;
}
