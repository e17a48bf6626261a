#include "io/holder.h"

#include "base/alloc.h"
#include "base/defs.h"
#include "base/text.h"
#include "io/file.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LISTENING 0x0a /* a state of /proc/net/tcp */

/* The inode of a socket that listens on the port, from a table of /proc; 0: none. */
static unsigned long find_inode(const char *path, uint16_t port)
{
    FILE *file = fopen(path, "re");
    unsigned long found = 0;
    char line[512];

    assert(path != NULL);
    if (file == NULL)
        return 0;
    while (found == 0 && fgets(line, sizeof line, file) != NULL) {
        unsigned at, state;
        unsigned long inode;

        /* number: local:port remote:port state tx:rx timer:when retransmits uid timeout inode */
        if (sscanf(line, " %*u: %*[0-9A-Fa-f]:%x %*s %x %*s %*s %*s %*u %*u %lu", &at, &state,
                   &inode) == 3 &&
            at == port && state == LISTENING)
            found = inode;
    }
    fclose(file);
    return found;
}

/* Whether a descriptor of the process is a link to this socket. */
static bool has_socket(const char *pid, unsigned long inode)
{
    char path[64], wanted[64], link[64];
    const struct dirent *entry;
    bool found = false;
    DIR *directory;

    assert(inode != 0);
    snprintf(wanted, sizeof wanted, "socket:[%lu]", inode);
    snprintf(path, sizeof path, "/proc/%.16s/fd", pid);
    directory = opendir(path);
    if (directory == NULL)
        return false;
    while (!found && (entry = readdir(directory)) != NULL) {
        ssize_t size = readlinkat(dirfd(directory), entry->d_name, link, sizeof link - 1);

        if (size <= 0)
            continue;
        link[size] = '\0';
        found = strcmp(link, wanted) == 0;
    }
    closedir(directory);
    return found;
}

/* 0: no process that we may look at has it. Others' descriptors are readable by root and by their
 * owner only. */
static uint64_t find_process(unsigned long inode)
{
    DIR *directory = opendir("/proc");
    const struct dirent *entry;
    uint64_t pid = 0, found = 0;

    assert(inode != 0);
    if (directory == NULL)
        return 0;
    while (found == 0 && (entry = readdir(directory)) != NULL) {
        if (lv_text_number(entry->d_name, &pid) == 0 && has_socket(entry->d_name, inode))
            found = pid;
    }
    closedir(directory);
    return found;
}

/* The name is what the program is called now, not what it was started as. */
const char *lv_process_text(uint64_t pid, char text[LV_HOLDER_TEXT_SIZE])
{
    char path[64];
    size_t size;
    char *name;

    assert(text != NULL);
    snprintf(path, sizeof path, "/proc/%llu/comm", (unsigned long long)pid);
    if (lv_file_read(path, 64, &name, &size, NULL) < 0) {
        snprintf(text, LV_HOLDER_TEXT_SIZE, "process %llu", (unsigned long long)pid);
        return text;
    }
    name[strcspn(name, "\n")] = '\0';
    snprintf(text, LV_HOLDER_TEXT_SIZE, "%s (process %llu)", name, (unsigned long long)pid);
    lv_free(name);
    return text;
}

/* A socket that is listened on by IPv6 may take IPv4 too, so both tables are looked at. */
const char *lv_port_holder(uint16_t port, char text[LV_HOLDER_TEXT_SIZE])
{
    unsigned long inode = find_inode("/proc/net/tcp", port);
    uint64_t pid;

    if (inode == 0)
        inode = find_inode("/proc/net/tcp6", port);
    pid = inode == 0 ? 0 : find_process(inode);
    if (pid != 0)
        return lv_process_text(pid, text);
    snprintf(text, LV_HOLDER_TEXT_SIZE, "a program of another user or container");
    assert(strlen(text) < LV_HOLDER_TEXT_SIZE);
    return text;
}
