/* Definitions from the broker into a file, and back. */
#include "admin/definitions.h"
#include "base/alloc.h"
#include "cli/ctl_session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_standard(const struct lv_ctl_words *words)
{
    assert(words->argument_count <= 1);
    return words->argument_count == 0 || strcmp(words->arguments[0], "-") == 0;
}

/* ---- export ---- */

static int write_all(int fd, const char *data, size_t size)
{
    assert(fd >= 0);
    while (size > 0) {
        ssize_t done = write(fd, data, size);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -LV_E_IO;
        data += done;
        size -= (size_t)done;
    }
    return 0;
}

/* For its owner only: hashes of passwords are in it. The old file stays until the new one is whole.
 */
static int write_file(const struct lv_ctl_session *session, const char *text, size_t size)
{
    const char *path = session->words->arguments[0];
    char temporary[4096];
    int fd, rc;

    if ((size_t)snprintf(temporary, sizeof temporary, "%s.XXXXXX", path) >= sizeof temporary)
        return lv_ctl_refuse(session, LV_CTL_DATA, "the path is too long");
    fd = mkstemp(temporary);
    if (fd < 0)
        return lv_ctl_refuse(session, LV_CTL_DATA, "%s can't be written: %s", path,
                             strerror(errno));
    rc = write_all(fd, text, size);
    assert(rc <= 0);
    if (fsync(fd) < 0 || close(fd) < 0)
        rc = -LV_E_IO;
    if (rc == 0 && rename(temporary, path) == 0)
        return LV_CTL_OK;
    rc = lv_ctl_refuse(session, LV_CTL_OUTPUT, "%s can't be written: %s", path, strerror(errno));
    unlink(temporary);
    return rc;
}

static int save(struct lv_ctl_session *session, size_t size)
{
    const struct lv_ctl_words *words = session->words;
    struct lv_diag diag = {""};
    char *text = lv_alloc(size);
    json_t *line = NULL;
    int status, rc = text == NULL ? lv_fail(&diag, -LV_E_NOMEM, "out of memory") : 0;

    assert(size > 0);
    if (rc == 0)
        rc = lv_ctl_wire_read(&session->wire, text, size, &diag);
    if (rc == 0)
        rc = lv_ctl_wire_next(&session->wire, &line, &diag);
    if (rc < 0) {
        lv_free(text);
        return lv_ctl_fail(session, rc, &diag);
    }
    json_decref(line);
    if (!is_standard(words))
        status = write_file(session, text, size);
    else
        status = fwrite(text, 1, size, stdout) == size ? LV_CTL_OK : LV_CTL_OUTPUT;
    lv_free(text);
    return status;
}

static int export(struct lv_ctl_session *session)
{
    const struct lv_ctl_words *words = session->words;
    struct lv_diag diag = {""};
    json_t *line;
    int status, rc;

    if (lv_ctl_is_chatty(session) && !is_standard(words))
        printf("Exporting definitions in JSON to a file at \"%s\" ...\n", words->arguments[0]);
    rc = lv_ctl_ask(session, json_pack("{s:s}", "command", "export_definitions"), &line, &diag);
    if (rc < 0)
        return lv_ctl_fail(session, rc, &diag);
    assert(line != NULL);
    if (lv_ctl_is_last(line))
        status = lv_ctl_refuse(session, LV_CTL_SOFTWARE, "%s", lv_ctl_error(line));
    else
        status = save(session, (size_t)json_integer_value(json_object_get(line, "size")));
    json_decref(line);
    return status;
}

/* ---- import ---- */

/* Gives (lv_free) all of the file. */
static int read_all(int fd, char **ret_text, size_t *ret_size)
{
    size_t size = 0, capacity = (size_t)64 << 10;
    char *text = lv_alloc(capacity);

    assert(fd >= 0);
    while (text != NULL && size <= LV_DEFINITIONS_SIZE_MAX) {
        ssize_t count = read(fd, text + size, capacity - size);

        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0) {
            *ret_text = text;
            *ret_size = size;
            return count < 0 ? -LV_E_IO : 0;
        }
        size += (size_t)count;
        if (size == capacity) {
            char *more = lv_realloc(text, 2 * capacity);

            if (more == NULL)
                break;
            text = more;
            capacity *= 2;
        }
    }
    lv_free(text);
    return text == NULL ? -LV_E_NOMEM : -LV_E_RESOURCE;
}

static int read_input(const struct lv_ctl_session *session, char **ret_text, size_t *ret_size)
{
    const struct lv_ctl_words *words = session->words;
    int fd = is_standard(words) ? STDIN_FILENO : open(words->arguments[0], O_RDONLY | O_CLOEXEC);
    int rc;

    if (fd < 0)
        return lv_ctl_words_refuse(words, "Bad argument: File %s does not exist",
                                   words->arguments[0]) == LV_CTL_USAGE
                   ? LV_CTL_DATA
                   : LV_CTL_USAGE;
    *ret_text = NULL;
    rc = read_all(fd, ret_text, ret_size);
    if (fd != STDIN_FILENO)
        close(fd);
    assert(rc <= 0);
    if (rc == 0)
        return LV_CTL_OK;
    if (rc == -LV_E_IO)
        lv_free(*ret_text);
    return lv_ctl_refuse(session, LV_CTL_DATA,
                         rc == -LV_E_RESOURCE ? "definitions are larger than 20 MiB"
                                              : "the definitions can't be read");
}

/* What is left out is told on standard error, since nothing else tells. */
static void show_line(const json_t *line)
{
    const char *note = json_string_value(json_object_get(line, "note"));
    const char *step = json_string_value(json_object_get(line, "step"));

    assert(json_is_object(line));
    if (note != NULL)
        fprintf(stderr, "Warning: %s\n", note);
    if (step != NULL)
        printf("%s\n", step);
}

static int finish_import(const struct lv_ctl_session *session, const json_t *line)
{
    const char *error = lv_ctl_error(line);
    long long count = json_integer_value(json_object_get(line, "count"));

    assert(count >= 0);
    if (error != NULL)
        return lv_ctl_refuse(session, LV_CTL_DATA, "%s", error);
    if (session->words->form == LV_CTL_JSON)
        lv_ctl_say_ok(session);
    else if (lv_ctl_is_chatty(session) && session->words->is_plan)
        printf("An import makes %lld change%s. Nothing was changed.\n", count,
               count == 1 ? "" : "s");
    else if (lv_ctl_is_chatty(session))
        printf("Imported: %lld change%s.\n", count, count == 1 ? "" : "s");
    return LV_CTL_OK;
}

static int follow_import(struct lv_ctl_session *session)
{
    for (;;) {
        struct lv_diag diag = {""};
        json_t *line;
        int status, rc = lv_ctl_wire_next(&session->wire, &line, &diag);

        if (rc < 0)
            return lv_ctl_fail(session, rc, &diag);
        assert(line != NULL);
        if (!lv_ctl_is_last(line)) {
            show_line(line);
            json_decref(line);
            continue;
        }
        status = finish_import(session, line);
        json_decref(line);
        return status;
    }
}

static int import(struct lv_ctl_session *session)
{
    const struct lv_ctl_words *words = session->words;
    struct lv_diag diag = {""};
    char *text = NULL;
    size_t size = 0;
    int status, rc;

    status = read_input(session, &text, &size);
    if (status != LV_CTL_OK)
        return status;
    if (lv_ctl_is_chatty(session) && is_standard(words))
        printf("Importing definitions in JSON from standard input ...\n");
    else if (lv_ctl_is_chatty(session))
        printf("Importing definitions in JSON from a file at \"%s\" ...\n", words->arguments[0]);
    fflush(stdout);
    rc = lv_ctl_wire_send(&session->wire,
                          json_pack("{s:s, s:I, s:b}", "command", "import_definitions", "size",
                                    (json_int_t)size, "plan", (int)words->is_plan),
                          &diag);
    if (rc == 0 && size > 0)
        rc = lv_ctl_wire_write(&session->wire, text, size, &diag);
    if (size > 0)
        explicit_bzero(text, size);
    lv_free(text);
    assert(rc <= 0);
    return rc < 0 ? lv_ctl_fail(session, rc, &diag) : follow_import(session);
}

int lv_ctl_definitions(struct lv_ctl_session *session)
{
    assert(session->wire.fd >= 0);
    return session->words->verb == LV_CTL_EXPORT_DEFINITIONS ? export(session) : import(session);
}
