/*
 * cli/main.c - the program `leveret`: finds the command and runs it.
 */
#include "base/text.h"
#include "cli/command.h"
#include "cli/ctl_words.h"
#include "lv_version.h"

#include <stdio.h>
#include <string.h>

/* A command of the table in cli/command.h. */
struct row {
    const char *name;
    const char *help;
    int (*run)(int argc, char **argv);
};

/* In the order in which the help lists them. */
static const struct row rows[] = {
#define COMMAND_ROW(name, help) {#name, help, lv_run_##name},
    LV_COMMANDS(COMMAND_ROW)
#undef COMMAND_ROW
};

/*
 * jemalloc reads this before main(). Memory that a drained backlog leaves behind goes back to the
 * system within a second, also when nothing else happens: without a thread of its own jemalloc only
 * looks when somebody allocates, and an idle broker does not.
 */
extern const char *malloc_conf; /* jemalloc's header would bring malloc() with it */
LV_API const char *malloc_conf =
    "background_thread:true,max_background_threads:1,dirty_decay_ms:1000,muzzy_decay_ms:0";

static void print_commands(FILE *file)
{
    assert(file != NULL);
    fprintf(file, "leveret COMMAND [OPTION...] [ARGUMENT...]\n\n"
                  "AMQP messaging: a broker that speaks AMQP 0-9-1, and its clients.\n\n");
    for (size_t i = 0; i < LV_COUNT(rows); i++)
        fprintf(file, "  leveret %-10s %s\n", rows[i].name, rows[i].help);
    fprintf(file,
            "\n`leveret COMMAND --help` says more; `leveret --version` prints the version.\n");
}

static int refuse(const char *word)
{
    struct lv_nearest nearest = {.name = word};

    for (size_t i = 0; i < LV_COUNT(rows); i++)
        lv_nearest_try(&nearest, rows[i].name);
    assert(word != NULL);
    if (nearest.best != NULL)
        fprintf(stderr, "leveret: there is no command `%s`; did you mean `leveret %s`?\n", word,
                nearest.best);
    else
        fprintf(stderr, "leveret: there is no command `%s`; `leveret` lists them\n", word);
    return LV_EXIT_USAGE;
}

/* Each command is a function of its own; a wrong word is answered with the nearest right one. */
int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "--help";

    assert(argc >= 1);
    if (lv_ctl_tool_of(argv[0]) != LV_CTL_TOOL_LEVERET)
        return lv_run_ctl(argc, argv);
    if (strcmp(word, "--help") == 0 || strcmp(word, "help") == 0) {
        print_commands(stdout);
        return fflush(stdout) == 0 ? LV_EXIT_OK : LV_EXIT_FAILED;
    }
    if (strcmp(word, "--version") == 0) {
        printf("leveret %s\n", LV_VERSION);
        return fflush(stdout) == 0 ? LV_EXIT_OK : LV_EXIT_FAILED;
    }
    for (size_t i = 0; i < LV_COUNT(rows); i++) {
        if (strcmp(word, rows[i].name) == 0)
            return rows[i].run(argc - 1, argv + 1);
    }
    return refuse(word);
}
