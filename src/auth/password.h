/*
 * auth/password.h - passwords as they are stored, and whether a given one is right.
 *
 * What is stored is a line of text, a hash in one of three forms:
 * - `$y$…`: yescrypt as crypt(5) writes it. New ones are of this kind.
 * - `rabbit_password_hashing_sha256:BASE64` (or _sha512, _md5): RabbitMQ's, of a salt of four bytes
 *   followed by the hash of salt and password. They come with imported definitions.
 * - an empty one: nobody logs in with a password.
 *
 * A yescrypt hash takes tens of milliseconds and some 16 MiB, on purpose: never on a shard's
 * thread. Nothing here has state; any thread.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"

/* Room for the longest stored hash and its end. */
#define LV_PASSWORD_HASH_SIZE ((size_t)192)
/* Bytes of a password that can be given a new hash (crypt(3) takes no more). */
#define LV_PASSWORD_MAX 511u
/* What a hash of crypt's is called in definitions, which RabbitMQ's have no name for. */
#define LV_PASSWORD_YESCRYPT "yescrypt"

/* A new hash with a salt of its own; takes as long as a check. `hash` is a terminated text.
 * -LV_E_USAGE: the password is empty, too long or holds a NUL byte, as `diag` says. */
int lv_password_hash(struct lv_bytes password, char hash[LV_PASSWORD_HASH_SIZE],
                     struct lv_diag *diag) LV_MUST_CHECK;
/* The same in RabbitMQ's usual form, rabbit_password_hashing_sha256: quick to make, and quick to
 * guess from. For definitions that RabbitMQ is to read. */
int lv_password_hash_portable(struct lv_bytes password, char hash[LV_PASSWORD_HASH_SIZE],
                              struct lv_diag *diag) LV_MUST_CHECK;
/* 1: the password is right. 0: it is wrong, which every password is for an empty hash, and the
 * empty password always. -LV_E_SYNTAX: the text is no hash. -LV_E_NOMEM. How long it takes tells
 * nothing about the password. */
int lv_password_verify(const char *hash, struct lv_bytes password) LV_MUST_CHECK;

/* Whether the text is a hash as it is stored; one whose check would take too long is none. The
 * text is at most LV_PASSWORD_HASH_SIZE with its end. -LV_E_USAGE with the sentence. */
int lv_password_check(const char *hash, struct lv_diag *diag) LV_MUST_CHECK;
/* From definitions: `hashing_algorithm` and `password_hash`, as both stand there. With yescrypt the
 * hash may be as crypt(5) writes it, or that in base64. -LV_E_USAGE with the sentence. */
int lv_password_import(struct lv_bytes algorithm, struct lv_bytes text,
                       char hash[LV_PASSWORD_HASH_SIZE], struct lv_diag *diag) LV_MUST_CHECK;

/* A stored hash as definitions write it. */
struct lv_password_export {
    const char *algorithm; /* view  static; RabbitMQ's usual one for an empty hash */
    char text[(LV_PASSWORD_HASH_SIZE + 2) / 3 * 4 + 1];
};

/* `hash` is one that lv_password_check() takes. All is in base64, since RabbitMQ refuses to import
 * what is not. */
void lv_password_export(const char *hash, struct lv_password_export *ret_export);
