/*
 * io/tls_testing.h - what tests of TLS share: a directory with certificates of every kind.
 *
 * For x_test.c only.
 */
#pragma once

#include "io/identity.h"
#include "io/tls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define DAY_OF_TEST 86400

/* Names of files are made on demand and removed with the directory. */
struct lv_tls_place {
    const char *directory; /* view */
    char paths[8][128];    /* the last few that were asked for */
    unsigned next;
    struct lv_identity *ca, *other_ca; /* own */
};

/* Valid for a few of the next calls. */
static inline const char *path_of(struct lv_tls_place *place, const char *name)
{
    char *path = place->paths[place->next++ % 8];

    snprintf(path, sizeof place->paths[0], "%s/%s", place->directory, name);
    return path;
}

/* NAME.pem and NAME.key, signed by `issuer`. */
static inline void issue(struct lv_tls_place *place, const char *name,
                         const struct lv_identity *issuer, const struct lv_identity_spec *spec)
{
    struct lv_identity *identity;
    char certfile[32], keyfile[32];

    snprintf(certfile, sizeof certfile, "%s.pem", name);
    snprintf(keyfile, sizeof keyfile, "%s.key", name);
    assert_int_equal(lv_identity_new(spec, issuer, &identity, NULL), 0);
    assert_int_equal(
        lv_identity_write(identity, path_of(place, certfile), path_of(place, keyfile), NULL), 0);
    lv_identity_free(identity);
}

/* For one host. */
static inline void issue_server(struct lv_tls_place *place, const char *name, const char *host,
                                int64_t from_s, int64_t until_s)
{
    const struct lv_identity_spec spec = {.use = LV_IDENTITY_SERVER,
                                          .name = name,
                                          .hosts = &host,
                                          .host_count = 1,
                                          .from_s = from_s,
                                          .until_s = until_s};

    issue(place, name, place->ca, &spec);
}

/* For one user. */
static inline void issue_client(struct lv_tls_place *place, const char *name,
                                const struct lv_identity *issuer, int64_t until_s)
{
    static const char *const hosts[] = {"first.example", "second.example", "10.0.0.7"};
    const struct lv_identity_spec spec = {.use = LV_IDENTITY_CLIENT,
                                          .name = name,
                                          .hosts = hosts,
                                          .host_count = 3,
                                          .from_s = -2 * DAY_OF_TEST,
                                          .until_s = until_s};

    issue(place, name, issuer, &spec);
}

static inline void write_file(struct lv_tls_place *place, const char *name, const char *text)
{
    FILE *file = fopen(path_of(place, name), "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* An authority, and one that nobody trusts; server and client certificates of both and of other
 * times. */
static inline int make_tls_place(void **state)
{
    static struct lv_tls_place place;
    static char directory[64];
    const struct lv_identity_spec ca = {.use = LV_IDENTITY_CA,
                                        .name = "Test CA",
                                        .from_s = -3 * DAY_OF_TEST,
                                        .until_s = DAY_OF_TEST};

    snprintf(directory, sizeof directory, "/tmp/leveret-tls-XXXXXX");
    assert_non_null(mkdtemp(directory));
    place = (struct lv_tls_place){.directory = directory};
    assert_int_equal(lv_identity_new(&ca, NULL, &place.ca, NULL), 0);
    assert_int_equal(lv_identity_new(&ca, NULL, &place.other_ca, NULL), 0);
    assert_int_equal(lv_identity_write(place.ca, path_of(&place, "ca.pem"), NULL, NULL), 0);
    assert_int_equal(lv_identity_write(place.other_ca, path_of(&place, "other.pem"), NULL, NULL),
                     0);
    issue_server(&place, "server", "localhost", -DAY_OF_TEST, DAY_OF_TEST);
    issue_server(&place, "second", "two.example", -DAY_OF_TEST, DAY_OF_TEST);
    issue_server(&place, "expired", "localhost", -2 * DAY_OF_TEST, -DAY_OF_TEST);
    issue_server(&place, "early", "localhost", DAY_OF_TEST, 2 * DAY_OF_TEST);
    issue_client(&place, "client", place.ca, DAY_OF_TEST);
    issue_client(&place, "late", place.ca, -DAY_OF_TEST);
    issue_client(&place, "stranger", place.other_ca, DAY_OF_TEST);
    *state = &place;
    return 0;
}

static inline int remove_tls_place(void **state)
{
    struct lv_tls_place *place = *state;
    char command[128];

    lv_identity_free(place->ca);
    lv_identity_free(place->other_ca);
    snprintf(command, sizeof command, "rm -r %s", place->directory);
    return system(command);
}
