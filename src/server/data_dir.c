#include "server/data_dir.h"

#include "io/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LOCK_NAME "leveret.pid"

/* NULL when the variable is not set, or set to nothing. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);

    assert(name != NULL);
    return value == NULL || value[0] == '\0' ? NULL : value;
}

/* systemd says where, root has a place, and others have their home. */
int lv_data_dir_choose(const char *path, char chosen[LV_PATH_SIZE_MAX], struct lv_diag *diag)
{
    const char *base = variable("STATE_DIRECTORY"), *behind = "";
    int size;

    if (path[0] != '\0') {
        base = path;
    } else if (base == NULL && geteuid() == 0) {
        base = "/var/lib/leveret";
    } else if (base == NULL && (base = variable("XDG_STATE_HOME")) != NULL) {
        behind = "/leveret";
    } else if (base == NULL) {
        base = variable("HOME");
        behind = "/.local/state/leveret";
    }
    if (base == NULL)
        return lv_fail(diag, -LV_E_USAGE, "no HOME to put data in: say where with --data-dir");
    size = snprintf(chosen, LV_PATH_SIZE_MAX, "%s%s", base, behind);
    assert(size > 0);
    if ((unsigned)size >= LV_PATH_SIZE_MAX - sizeof LOCK_NAME - 1)
        return lv_fail(diag, -LV_E_USAGE, "the data directory's name is too long");
    return 0;
}

/* The name is known to fit: lv_data_dir_choose() has made sure. */
static void lock_path(const struct lv_data_dir *dir, char path[LV_PATH_SIZE_MAX])
{
    int size = snprintf(path, LV_PATH_SIZE_MAX, "%s/%s", dir->path, LOCK_NAME);

    assert(size > 0);
    assert((unsigned)size < LV_PATH_SIZE_MAX);
    (void)size;
}

/* The sentence of the lock says which file and which process. */
int lv_data_dir_open(struct lv_data_dir *dir, const char *path, struct lv_diag *diag)
{
    char file[LV_PATH_SIZE_MAX];
    struct lv_diag why = {""};
    int rc = lv_data_dir_choose(path, dir->path, diag);

    assert(path != NULL);
    if (rc == 0)
        rc = lv_directory_make(dir->path, diag);
    if (rc < 0)
        return rc;
    lock_path(dir, file);
    rc = lv_file_lock(file, &dir->lock, &why);
    if (rc < 0)
        return lv_fail(diag, rc, "the data directory can't be used: %.400s", why.text);
    return 0;
}

/* The next broker may have the directory from here on. */
void lv_data_dir_close(struct lv_data_dir *dir)
{
    char file[LV_PATH_SIZE_MAX];

    assert(dir->lock >= 0);
    lock_path(dir, file);
    lv_file_unlock(file, dir->lock);
    dir->lock = -1;
}
