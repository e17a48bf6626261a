#include "cli/bodies.h"

#include "base/alloc.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A pipe whose writer has said everything. */
static int said(struct lv_bytes bytes)
{
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    assert_true(bytes.size <= 65536); /* what a pipe holds */
    assert_int_equal(write(ends[1], bytes.data, bytes.size), bytes.size);
    (void)close(ends[1]);
    return ends[0];
}

/* All bodies of the text, with `|` behind each. */
static void expect(struct lv_bytes input, int separator, const char *expected)
{
    int fd = said(input);
    struct lv_bodies bodies;
    char text[256] = "";
    size_t used = 0;
    int rc = 0;

    lv_bodies_init(&bodies, fd, separator);
    while (rc >= 0) {
        struct lv_bytes body;

        rc = lv_bodies_next(&bodies, &body);
        if (rc == 0)
            assert_int_equal(lv_bodies_fill(&bodies, NULL), 0);
        if (rc != 1)
            continue;
        assert_true(used + body.size + 2 < sizeof text);
        memcpy(text + used, body.data, body.size);
        used += body.size;
        text[used++] = '|';
    }
    assert_int_equal(rc, -LV_E_CLOSED);
    text[used] = '\0';
    assert_string_equal(text, expected);
    lv_bodies_fini(&bodies);
    (void)close(fd);
}

static void lines_are_bodies(void **state)
{
    (void)state;
    expect(lv_text("a\nbc\n"), '\n', "a|bc|");
    expect(lv_text("a\nbc"), '\n', "a|bc|");
    expect(lv_text("\n\n"), '\n', "||");
    expect(lv_text(""), '\n', "");
}

static void any_byte_may_separate(void **state)
{
    (void)state;
    expect(lv_bytes("a\nb\0c\0", 6), '\0', "a\nb|c|");
}

static void all_may_be_one_body(void **state)
{
    (void)state;
    expect(lv_text("a\nb\n"), -1, "a\nb\n|");
    expect(lv_text(""), -1, "|");
}

static void a_body_may_come_bit_by_bit(void **state)
{
    struct lv_bodies bodies;
    struct lv_bytes body;
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    lv_bodies_init(&bodies, ends[0], '\n');
    for (const char *p = "one\n"; *p != '\0'; p++) {
        assert_int_equal(lv_bodies_next(&bodies, &body), 0);
        assert_int_equal(write(ends[1], p, 1), 1);
        assert_int_equal(lv_bodies_fill(&bodies, NULL), 0);
    }
    assert_int_equal(lv_bodies_next(&bodies, &body), 1);
    assert_true(lv_bytes_equal(body, lv_text("one")));
    assert_int_equal(lv_bodies_next(&bodies, &body), 0);
    (void)close(ends[1]);
    (void)close(ends[0]);
    lv_bodies_fini(&bodies);
}

static void long_bodies_fit(void **state)
{
    enum { SIZE = 1000000 };
    char path[] = "/tmp/leveret-bodies-XXXXXX";
    uint8_t *data = lv_alloc(SIZE);
    struct lv_bodies bodies;
    struct lv_bytes body = {0};
    int fd = mkstemp(path), rc;

    (void)state;
    assert_true(fd >= 0 && data != NULL);
    memset(data, 'x', SIZE);
    data[SIZE - 3] = '\n';
    assert_int_equal(write(fd, data, SIZE), SIZE);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    lv_bodies_init(&bodies, fd, '\n');
    while ((rc = lv_bodies_next(&bodies, &body)) == 0)
        assert_int_equal(lv_bodies_fill(&bodies, NULL), 0);
    assert_int_equal(rc, 1);
    assert_int_equal(body.size, SIZE - 3);
    while ((rc = lv_bodies_next(&bodies, &body)) == 0)
        assert_int_equal(lv_bodies_fill(&bodies, NULL), 0);
    assert_int_equal(body.size, 2);
    lv_bodies_fini(&bodies);
    lv_free(data);
    (void)close(fd);
    (void)unlink(path);
}

static void what_cannot_be_read_is_an_error(void **state)
{
    struct lv_bodies bodies;
    struct lv_diag diag = {.text = ""};
    int fd = open("/", O_RDONLY | O_CLOEXEC);

    (void)state;
    lv_bodies_init(&bodies, fd, '\n');
    lv_alloc_fail_after(1, 0);
    assert_int_equal(lv_bodies_fill(&bodies, NULL), -LV_E_NOMEM);
    lv_alloc_fail_after(0, 0);
    assert_int_equal(lv_bodies_fill(&bodies, &diag), -LV_E_IO);
    assert_non_null(strstr(diag.text, "directory"));
    lv_bodies_fini(&bodies);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_bodies),    cmocka_unit_test(any_byte_may_separate),
        cmocka_unit_test(all_may_be_one_body), cmocka_unit_test(a_body_may_come_bit_by_bit),
        cmocka_unit_test(long_bodies_fit),     cmocka_unit_test(what_cannot_be_read_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
