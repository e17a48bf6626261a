/*
 * cli/command.h - the table of `leveret`'s commands.
 *
 * Each command is one function in a file of its own. It gets its own name as argv[0] and returns
 * the program's exit code. Main thread.
 */
#pragma once

/* As scripts test for them; the same for every command. */
enum lv_exit {
    LV_EXIT_OK,
    LV_EXIT_FAILED, /* the work could not be done */
    LV_EXIT_USAGE   /* bad option, argument or setting */
};

/* X(name, one line of help): the command `name` is run by lv_run_<name>(). */
#define LV_COMMANDS(X)                                                                             \
    X(serve, "run the broker")                                                                     \
    X(publish, "publish messages")                                                                 \
    X(consume, "print messages as they come")                                                      \
    X(get, "take messages that wait in a queue")                                                   \
    X(ctl, "ask and manage a running broker, as rabbitmqctl does")                                 \
    X(cert, "make certificates for a first try with TLS")                                          \
    X(bench, "load a broker and measure it")                                                       \
    X(store, "check or print what a broker has stored")                                            \
    X(completion, "print what a shell needs to complete commands and options")                     \
    X(docs, "print tables of the manual: settings, limits, example, man")

/* X(command, word): `leveret command word` has options of its own. */
#define LV_SUBCOMMANDS(X)                                                                          \
    X(bench, relay)                                                                                \
    X(bench, fsync)

#define LV_COMMAND_FUNCTION(name, help) int lv_run_##name(int argc, char **argv);
LV_COMMANDS(LV_COMMAND_FUNCTION)
#undef LV_COMMAND_FUNCTION
