#include "admin/json_memory.h"

#include "base/alloc.h"

#include <jansson.h>
#include <malloc.h>
#include <pthread.h>
#include <string.h>

/* Whatever allocator it is, it knows the size. */
static void free_wiped(void *memory)
{
    size_t size = malloc_usable_size(memory);

    assert(memory != NULL || size == 0);
    if (size > 0)
        explicit_bzero(memory, size);
    lv_free(memory);
}

static void set(void)
{
    json_set_alloc_funcs(lv_alloc, free_wiped);
}

void lv_json_memory(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    int rc = pthread_once(&once, set);

    assert(rc == 0);
    (void)rc;
}
