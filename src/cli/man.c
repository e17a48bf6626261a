#include "cli/man.h"

#include "base/utf8.h"
#include "cli/ctl_words.h"
#include "cli/pages.h"
#include "lv_version.h"
#include "server/settings_text.h"

#include <string.h>

/* ---- roff ---- */

/* groff_char(7): a hyphen that is typed is \-, and what is not ASCII is written by its number, so
 * that a page looks the same in every locale. Returns how many bytes it took. */
static size_t put_char(FILE *file, const char *text)
{
    static const uint8_t first[] = {0, 0x7f, 0x1f, 0x0f, 0x07}; /* value bits, by the length */
    size_t size = lv_utf8_char(lv_bytes(text, strlen(text)));
    unsigned value = (uint8_t)text[0];

    assert(text[0] != '\0');
    assert(size >= 1); /* our own tables are UTF-8 */
    if (size == 1) {
        if (text[0] == '-')
            fputs("\\-", file);
        else if (text[0] == '\\')
            fputs("\\e", file);
        else
            fputc(text[0], file);
        return 1;
    }
    value &= first[size];
    for (size_t i = 1; i < size; i++)
        value = value << 6 | ((uint8_t)text[i] & 0x3f);
    fprintf(file, "\\[u%04X]", value);
    return size;
}

/* Of one line. Its first character must not be taken for that of a request. */
static void put_line(FILE *file, const char *text, size_t size)
{
    const char *end = text + size;

    if (size > 0 && (text[0] == '.' || text[0] == '\''))
        fputs("\\&", file);
    while (text < end)
        text += put_char(file, text);
    assert(text == end);
    fputc('\n', file);
}

static void put_text(FILE *file, const char *text)
{
    assert(text != NULL);
    while (*text != '\0') {
        size_t size = strcspn(text, "\n");

        put_line(file, text, size);
        text += size;
        text += *text == '\n';
    }
}

/* Lines that begin with a blank stand as they are, the others are paragraphs. */
static void put_details(FILE *file, const char *text)
{
    bool is_plain = false;

    assert(text != NULL);
    fputs(".PP\n", file);
    while (*text != '\0') {
        size_t size = strcspn(text, "\n");
        bool wants_plain = text[0] == ' ';

        if (size == 0) {
            fputs(is_plain ? "" : ".PP\n", file);
        } else {
            if (wants_plain != is_plain)
                fputs(wants_plain ? ".nf\n" : ".fi\n.PP\n", file);
            is_plain = wants_plain;
            put_line(file, text, size);
        }
        text += size;
        text += *text == '\n';
    }
    if (is_plain)
        fputs(".fi\n", file);
}

static void put_title(FILE *file, const char *name, unsigned section, const char *help)
{
    assert(section == 1 || section == 5);
    fprintf(file, ".TH \"");
    for (const char *c = name; *c != '\0'; c++)
        fputc(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c, file);
    fprintf(file, "\" %u \"\" \"Leveret %s\" \"%s\"\n.SH NAME\n", section, LV_VERSION,
            section == 1 ? "User Commands" : "File Formats");
    for (const char *c = name; *c != '\0';)
        c += put_char(file, c);
    fputs(" \\- ", file);
    put_text(file, help);
}

/* ---- a command ---- */

static void put_option(FILE *file, const struct lv_option *option)
{
    assert(option->name != NULL);
    fputs(".TP\n", file);
    if (option->letter != 0)
        fprintf(file, "\\fB\\-%c\\fR, ", option->letter);
    fputs("\\fB\\-\\-", file);
    for (const char *c = option->name; *c != '\0';)
        c += put_char(file, c);
    fputs("\\fR", file);
    if (option->value != NULL)
        fprintf(file, " \\fI%s\\fR", option->value);
    fputc('\n', file);
    put_text(file, option->help);
}

static void put_synopsis(FILE *file, const struct lv_usage *usage)
{
    assert(usage->command != NULL);
    fprintf(file, ".B ");
    put_text(file, usage->command);
    fprintf(file, "[\\fIOPTION\\fR...]\n");
    put_text(file, usage->arguments);
}

/* What is there already when a sub-command's table comes. */
struct page {
    FILE *file;              /* view */
    const char *name, *help; /* view */
    bool is_begun;
};

/* The command's table comes first, each sub-command is a section behind it. */
static void put_usage(void *ctx, const struct lv_usage *usage)
{
    static const struct lv_option common[] = {
        {.name = "help", .help = "print the options"},
        {.name = "version", .help = "print the version"},
    };
    struct page *page = ctx;
    FILE *file = page->file;

    if (!page->is_begun) {
        put_title(file, page->name, 1, page->help);
        fputs(".SH SYNOPSIS\n", file);
        put_synopsis(file, usage);
        fputs(".SH DESCRIPTION\n", file);
    } else {
        fprintf(file, ".SH \"%s\"\n", usage->command);
        put_synopsis(file, usage);
        fputs(".PP\n", file);
    }
    put_text(file, usage->summary);
    if (usage->details == lv_settings_help())
        fputs(".PP\nThe settings are described in \\fBleveret.conf\\fR(5).\n", file);
    else if (usage->details != NULL)
        put_details(file, usage->details);
    fputs(page->is_begun ? ".PP\nOptions:\n" : ".SH OPTIONS\n", file);
    for (const struct lv_option *option = usage->options; option->name != NULL; option++)
        put_option(file, option);
    for (size_t i = 0; i < LV_COUNT(common); i++)
        put_option(file, &common[i]);
    assert(file != NULL);
    page->is_begun = true;
}

/* rabbitmqctl's command line has no usage of ours. */
static void put_ctl(FILE *file)
{
    assert(file != NULL);
    fputs(".SH SYNOPSIS\n.B leveret ctl\n[\\fIOPTION\\fR...] \\fICOMMAND\\fR "
          "[\\fIARGUMENT\\fR...]\n"
          ".SH DESCRIPTION\n"
          "Asks the broker whose data directory it is, by a socket that is there for the user "
          "that the broker runs as, and for root.\n"
          "Commands, columns, output and exit codes are those of rabbitmqctl; a link to the "
          "program by that name is this command.\n"
          ".SH COMMANDS\n",
          file);
    for (unsigned i = 0; i < LV_CTL_PLUGINS_LIST; i++) {
        struct lv_ctl_page page = lv_ctl_words_page(i);

        fprintf(file, ".TP\n\\fB%s\\fR ", page.name);
        put_line(file, page.arguments, strlen(page.arguments));
        put_text(file, page.summary);
        if (page.columns == NULL)
            continue;
        fputs("Columns:", file);
        for (const char *const *column = page.columns; *column != NULL; column++)
            fprintf(file, "%s %s", column == page.columns ? "" : ",", *column);
        fputs(".\n", file);
    }
    fputs(".SH OPTIONS\n.nf\n", file);
    put_text(file, lv_ctl_words_options);
    fputs(".fi\n.SH EXIT STATUS\n"
          "0 when it is done, 64 for a wrong command, option or column, 69 when there is no broker "
          "or it is not for this user, 70 when the broker could not do it, 74 when the output "
          "could not be written, 75 when no answer came in time.\n",
          file);
}

bool lv_man_command(FILE *file, const char *command)
{
    struct lv_page page;
    char name[48];
    unsigned place = 0;

    assert(command != NULL);
    while (lv_pages_at(place, &page) && strcmp(page.name, command) != 0)
        place++;
    if (!lv_pages_at(place, &page))
        return false;
    snprintf(name, sizeof name, "leveret-%s", command);
    if (strcmp(command, "ctl") == 0) {
        put_title(file, name, 1, page.help);
        put_ctl(file);
    } else {
        lv_pages_tell(command, put_usage,
                      &(struct page){.file = file, .name = name, .help = page.help});
        fputs(".SH EXIT STATUS\n0 when all went well, 1 when the work could not be done, 2 for a "
              "wrong option, argument or setting.\n",
              file);
    }
    fputs(".SH SEE ALSO\n.BR leveret (1)\n", file);
    return true;
}

/* ---- the other pages ---- */

void lv_man_program(FILE *file)
{
    struct lv_page page;

    put_title(file, "leveret", 1, "AMQP messaging: a broker and its clients");
    fputs(".SH SYNOPSIS\n.B leveret\n"
          "\\fICOMMAND\\fR [\\fIOPTION\\fR...] [\\fIARGUMENT\\fR...]\n"
          ".SH DESCRIPTION\nLeveret is a message broker that speaks AMQP 0\\-9\\-1 with RabbitMQ's "
          "extensions, and the commands that talk to such brokers.\n"
          "Each command has a page of its own and explains its options with \\fB\\-\\-help\\fR.\n"
          ".SH COMMANDS\n",
          file);
    for (unsigned i = 0; lv_pages_at(i, &page); i++) {
        fprintf(file, ".TP\n.BR leveret\\-%s (1)\n", page.name);
        put_text(file, page.help);
    }
    assert(lv_pages_at(0, &page));
    fputs(".SH EXIT STATUS\n0 when all went well, 1 when the work could not be done, 2 for a wrong "
          "option, argument or setting.\n"
          ".SH ENVIRONMENT\n.TP\n.B LEVERET_URL\nthe broker that commands which are clients talk "
          "to, when \\fB\\-\\-url\\fR does not say it\n"
          ".TP\n.B STATE_DIRECTORY\nthe broker's data directory, when nothing else says it\n"
          ".TP\n.B NO_COLOR\nwhen it is set, the output has no colours and no bold letters\n"
          ".SH SEE ALSO\n.BR leveret.conf (5)\n",
          file);
}

void lv_man_settings(FILE *file)
{
    put_title(file, "leveret.conf", 5, "settings of the broker");
    fputs(".SH DESCRIPTION\nThe file that \\fBleveret serve \\-\\-config\\fR names. It has the "
          "format of rabbitmq.conf, and its names where the thing is the same: lines "
          "\\fINAME\\fR = \\fIVALUE\\fR; # begins a comment, and a value in single quotes is taken "
          "as it is. Sizes take k, M, G (1024) and kB, MB, GB (1000).\n"
          ".PP\nThe same settings can be given as \\fB\\-\\-set\\fR \\fINAME\\fR=\\fIVALUE\\fR, "
          "which goes over what the file says.\n"
          ".SH SETTINGS\n",
          file);
    lv_settings_print_man(file);
    assert(!ferror(file));
    fputs(".SH ENVIRONMENT\nThose of RabbitMQ and of its image that mean something here go over "
          "the files.\n",
          file);
    lv_settings_print_man_variables(file);
    fputs(".SH FILES\n.TP\n.I /etc/leveret/leveret.conf\nread when no file is named\n"
          ".TP\n.I /etc/leveret/conf.d/*.conf\nread after it, in the order of their names\n",
          file);
    fputs(".SH EXAMPLE\n.nf\nlisteners.tcp = 0.0.0.0:5672\ndefault_user = app\n"
          "default_pass = 's3cret'\nvm_memory_high_watermark.absolute = 2GB\n.fi\n"
          ".SH SEE ALSO\n.BR leveret\\-serve (1)\n",
          file);
}
