/*
 * cli/completion.c - `leveret completion`.
 */
#include "cli/completion.h"

#include "cli/command.h"
#include "cli/options.h"

#include <string.h>

static const struct shell {
    const char *name;
    void (*print)(FILE *file);
} shells[] = {
    {"bash", lv_completion_bash},
    {"zsh", lv_completion_zsh},
    {"fish", lv_completion_fish},
};

static const char details[] = "In the shell that runs now, or in its start-up file:\n"
                              "  bash   source <(leveret completion bash)\n"
                              "  zsh    source <(leveret completion zsh)\n"
                              "  fish   leveret completion fish | source\n"
                              "`make install` puts them where the shells look.\n";

int lv_run_completion(int argc, char **argv)
{
    static const struct lv_option options[] = {LV_OPTION_END};
    const struct lv_usage usage = {
        .command = "leveret completion",
        .arguments = "bash|zsh|fish",
        .summary = "Prints what a shell needs to complete the commands and options of leveret.",
        .options = options,
        .arguments_min = 1,
        .arguments_max = 1,
        .details = details,
    };
    int status;

    if (!lv_options_parse(&usage, &argc, argv, &status))
        return status;
    assert(argc == 2);
    for (size_t i = 0; i < LV_COUNT(shells); i++) {
        if (strcmp(argv[1], shells[i].name) == 0) {
            shells[i].print(stdout);
            return fflush(stdout) == 0 ? LV_EXIT_OK : LV_EXIT_FAILED;
        }
    }
    return lv_options_refuse(&usage, "there is no completion for \"%s\"; there are bash, zsh, fish",
                             argv[1]);
}
