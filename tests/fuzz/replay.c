/*
 * tests/fuzz/replay.c - runs a fuzz target over files instead of a fuzzer's inputs.
 *
 *   replay_NAME DIRECTORY|FILE...
 *
 * Each input lies in a block of exactly its size, so that a sanitizer sees the first byte read
 * behind it. The name of the file is said before it runs: after a crash it is the last line.
 */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PATH_SIZE = 4096 };

static void give_up(const char *what, const char *path)
{
    assert(what != NULL);
    fprintf(stderr, "replay: %s %s: %s\n", what, path, strerror(errno));
    exit(1);
}

static size_t replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data;
    long size;

    fprintf(stderr, "%s\n", path);
    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        give_up("cannot open", path);
    size = ftell(file);
    if (size < 0 || fseek(file, 0, SEEK_SET) != 0)
        give_up("cannot measure", path);
    data = malloc((size_t)size);
    if (data == NULL && size > 0)
        give_up("cannot hold", path);
    if (fread(data, 1, (size_t)size, file) != (size_t)size)
        give_up("cannot read", path);
    fclose(file);
    assert(LLVMFuzzerTestOneInput(data, (size_t)size) == 0);
    free(data);
    return 1;
}

/* A file, or each file of a directory that holds no further ones. Returns how many ran. */
static size_t replay(const char *path)
{
    struct dirent *entry;
    char child[PATH_SIZE];
    size_t count = 0;
    DIR *directory = opendir(path);

    if (directory == NULL && errno == ENOTDIR)
        return replay_file(path);
    if (directory == NULL)
        give_up("cannot open", path);
    while ((entry = readdir(directory)) != NULL) {
        int length = snprintf(child, sizeof child, "%s/%s", path, entry->d_name);
        assert(length > 0);
        assert((size_t)length < sizeof child);
        if (entry->d_name[0] != '.')
            count += replay_file(child);
    }
    closedir(directory);
    return count;
}

int main(int argc, char **argv)
{
    size_t count = 0;

    for (int i = 1; i < argc; i++)
        count += replay(argv[i]);
    printf("%zu inputs\n", count);
    return count > 0 ? 0 : 1; /* a corpus that got lost is a failure */
}
