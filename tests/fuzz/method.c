/*
 * The payload of a method frame: what can be decoded has a size and a text, and what is encoded
 * from it decodes to the same again.
 */
#include "codec/amqp091/method.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Gives the method's payload in a block of exactly its size. */
static struct lv_bytes encode(const struct lv_amqp091_method *method)
{
    size_t size = lv_amqp091_method_size(method);
    uint8_t *out = malloc(size);

    assert(out != NULL);
    assert(lv_amqp091_method_encode(method, out) == out + size);
    return lv_bytes(out, size);
}

static void let_go(struct lv_bytes bytes)
{
    free((void *)(uintptr_t)bytes.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lv_amqp091_method method, again;
    struct lv_bytes first, second;
    struct lv_diag diag;
    char text[256];
    size_t length;

    if (lv_amqp091_method_decode(lv_bytes(data, size), &method, &diag) < 0)
        return 0;
    assert(lv_amqp091_method_name(method.id) != NULL);
    length = lv_amqp091_method_print(&method, text, sizeof text);
    assert(length == strlen(text));
    first = encode(&method);
    assert(first.size <= size); /* reserved strings are not sent again */
    assert(lv_amqp091_method_decode(first, &again, NULL) == 0);
    second = encode(&again);
    assert(lv_bytes_equal(first, second));
    let_go(first);
    let_go(second);
    return 0;
}
