#include "client/assembly.h"

#include "base/alloc.h"
#include "codec/amqp091/content.h"

#define GROWTH_MIN 4096u
/* A body buffer larger than this is given back after its message. */
#define KEPT_MAX ((size_t)1 << 20)

/* Its three buffers; it may be used again. */
void lv_assembly_fini(struct lv_assembly *assembly)
{
    assert(assembly != NULL);
    lv_free(assembly->method.data);
    lv_free(assembly->properties.data);
    lv_free(assembly->body.data);
    *assembly = (struct lv_assembly){.state = LV_ASSEMBLY_IDLE};
}

/* Doubles, so that a long body is copied a few times at most. */
static int append(struct lv_assembly_buffer *buffer, struct lv_bytes bytes)
{
    size_t needed = buffer->size + bytes.size;

    assert(buffer->size <= buffer->capacity);
    if (needed > buffer->capacity) {
        size_t capacity = buffer->capacity < GROWTH_MIN ? GROWTH_MIN : buffer->capacity;
        uint8_t *data;

        while (capacity < needed)
            capacity *= 2;
        data = lv_realloc(buffer->data, capacity);
        if (data == NULL)
            return -LV_E_NOMEM;
        buffer->data = data;
        buffer->capacity = capacity;
    }
    if (bytes.size > 0)
        memcpy(buffer->data + buffer->size, bytes.data, bytes.size);
    buffer->size = needed;
    return 0;
}

/* What has been collected, as a view. */
static struct lv_bytes contents(const struct lv_assembly_buffer *buffer)
{
    assert(buffer->size <= buffer->capacity);
    return lv_bytes(buffer->data, buffer->size);
}

/* The message has come whole: its body is `body`. */
static int complete(struct lv_assembly *assembly, struct lv_bytes body,
                    struct lv_engine_message *ret_message, struct lv_diag *diag)
{
    int rc = lv_amqp091_method_decode(contents(&assembly->method), &ret_message->method, diag);

    assert(body.size == assembly->body_size);
    assembly->state = LV_ASSEMBLY_IDLE;
    if (rc < 0)
        return rc;
    ret_message->properties = contents(&assembly->properties);
    ret_message->body = body;
    return 1;
}

/* 0-9-1 §4.2.6: a message is a method, a header and bodies, with nothing of its channel in between.
 */
int lv_assembly_method(struct lv_assembly *assembly, struct lv_bytes payload, struct lv_diag *diag)
{
    assert(payload.size >= 4);
    if (assembly->state != LV_ASSEMBLY_IDLE)
        return lv_fail(diag, -LV_E_UNEXPECTED_FRAME, "a method came in the middle of a message");
    if (assembly->body.capacity > KEPT_MAX) {
        lv_free(assembly->body.data);
        assembly->body = (struct lv_assembly_buffer){.data = NULL};
    }
    assembly->method.size = 0;
    assembly->properties.size = 0;
    assembly->body.size = 0;
    assembly->state = LV_ASSEMBLY_HEADER;
    return append(&assembly->method, payload);
}

/* The size is judged before any memory is taken for the body. */
int lv_assembly_header(struct lv_assembly *assembly, struct lv_bytes payload, uint64_t body_max,
                       struct lv_engine_message *ret_message, struct lv_diag *diag)
{
    struct lv_amqp091_content content;
    int rc;

    assert(ret_message != NULL);
    if (assembly->state != LV_ASSEMBLY_HEADER)
        return lv_fail(diag, -LV_E_UNEXPECTED_FRAME, "a content header came without its method");
    rc = lv_amqp091_content_decode(payload, &content, diag);
    if (rc < 0)
        return rc;
    if (content.body_size > body_max)
        return lv_fail(diag, -LV_E_CONTENT_TOO_LARGE, "a body of %llu bytes; %llu are taken",
                       (unsigned long long)content.body_size, (unsigned long long)body_max);
    assembly->body_size = content.body_size;
    rc = append(&assembly->properties, content.properties);
    if (rc < 0)
        return rc;
    assembly->state = LV_ASSEMBLY_BODY;
    if (assembly->body_size > 0)
        return 0;
    return complete(assembly, lv_bytes(NULL, 0), ret_message, diag);
}

/* A body in one frame is not copied at all, which is nearly every body. */
int lv_assembly_body(struct lv_assembly *assembly, struct lv_bytes payload,
                     struct lv_engine_message *ret_message, struct lv_diag *diag)
{
    uint64_t left = assembly->body_size - assembly->body.size;
    int rc;

    assert(ret_message != NULL);
    if (assembly->state != LV_ASSEMBLY_BODY)
        return lv_fail(diag, -LV_E_UNEXPECTED_FRAME, "a content body came without its header");
    if (payload.size > left)
        return lv_fail(diag, -LV_E_BAD_FRAME, "a body is longer than its header says");
    if (payload.size == assembly->body_size)
        return complete(assembly, payload, ret_message, diag);
    rc = append(&assembly->body, payload);
    if (rc < 0)
        return rc;
    if (payload.size < left)
        return 0;
    return complete(assembly, contents(&assembly->body), ret_message, diag);
}
