#include "server/foreign.h"

#include <fnmatch.h>
#include <stddef.h>
#include <string.h>

const struct lv_foreign lv_foreign_rows[] = {
#define ROW(pattern, verdict, same, why) {pattern, LV_FOREIGN_##verdict, same, why},
    LV_FOREIGN_KEYS(ROW)
#undef ROW
        {.pattern = NULL},
};

const struct lv_foreign *lv_foreign_find(const char *name)
{
    assert(name != NULL);
    for (const struct lv_foreign *row = lv_foreign_rows; row->pattern != NULL; row++) {
        if (fnmatch(row->pattern, name, FNM_NOESCAPE) == 0)
            return row;
    }
    return NULL;
}

bool lv_foreign_is_same(const struct lv_foreign *row, const char *value)
{
    assert(row->pattern != NULL);
    for (const char *word = row->same; *word != '\0';) {
        size_t size = strcspn(word, ",");

        if (size == strlen(value) && memcmp(word, value, size) == 0)
            return true;
        word += size;
        word += strspn(word, ", ");
    }
    return false;
}
