#include "cli/ctl_password.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* What the terminal was like, for who ends the program in the middle of the question. */
static struct termios before;

static void on_signal(int number)
{
    static const char end = '\n';
    ssize_t rc;

    tcsetattr(STDIN_FILENO, TCSANOW, &before);
    rc = write(STDOUT_FILENO, &end, 1);
    (void)rc;
    signal(number, SIG_DFL);
    raise(number);
}

/* True: the terminal doesn't show what is typed from now on. */
static bool hide(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGQUIT, SIGHUP};
    struct termios hidden;

    if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, &before) < 0)
        return false;
    for (size_t i = 0; i < LV_COUNT(signals); i++)
        signal(signals[i], on_signal);
    hidden = before;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    assert(hidden.c_lflag != before.c_lflag || (before.c_lflag & ECHO) == 0);
    return tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden) == 0;
}

/* Byte by byte, so that nothing of it stays in a buffer of stdio. Returns the bytes before the
 * line's end; -LV_E_NOT_FOUND: there is no line. */
static int read_line(char text[LV_CTL_PASSWORD_SIZE])
{
    size_t size = 0;

    for (;;) {
        ssize_t count;

        if (size == LV_CTL_PASSWORD_SIZE)
            return -LV_E_SYNTAX;
        count = read(STDIN_FILENO, text + size, 1);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0 && size == 0)
            return -LV_E_NOT_FOUND;
        if (count <= 0 || text[size] == '\n')
            break;
        size++;
    }
    if (size > 0 && text[size - 1] == '\r')
        size--;
    assert(size < LV_CTL_PASSWORD_SIZE);
    text[size] = '\0';
    return (int)size;
}

int lv_ctl_password_read(char text[LV_CTL_PASSWORD_SIZE])
{
    bool is_hidden;
    int rc;

    printf("Password: ");
    fflush(stdout);
    is_hidden = hide();
    rc = read_line(text);
    if (is_hidden)
        tcsetattr(STDIN_FILENO, TCSANOW, &before);
    printf("\n");
    assert(rc != -LV_E_NOMEM);
    if (rc < 0)
        explicit_bzero(text, LV_CTL_PASSWORD_SIZE);
    return rc < 0 ? rc : 0;
}
