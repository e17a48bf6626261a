#include "server/login.h"

#include <string.h>

/* Takes as long for a nearly right password as for a wholly wrong one. */
static bool is_secret(const char *secret, struct lv_bytes given)
{
    size_t size = strlen(secret);
    unsigned difference = size == given.size ? 0 : 1;

    assert(secret != NULL);
    for (size_t i = 0; i < given.size; i++)
        difference |= (unsigned)(given.data[i] ^ (uint8_t)secret[size == 0 ? 0 : i % size]);
    return difference == 0;
}

/* Both are compared whatever the first says: how long it takes tells nothing about which was wrong.
 */
const char *lv_login_refusal(const struct lv_settings *settings, const struct lv_address *peer,
                             const struct lv_login *login, struct lv_diag *diag)
{
    bool known = is_secret(settings->default_user, login->user);
    bool right = is_secret(settings->default_pass, login->password);

    assert(diag != NULL);
    if (!known)
        lv_fail(diag, -LV_E_ACCESS_REFUSED,
                "there is no user '%.*s'; the setting default_user names the one there is",
                (int)(login->user.size < 128 ? login->user.size : 128),
                (const char *)login->user.data);
    else if (!right || login->password.size == 0)
        lv_fail(diag, -LV_E_ACCESS_REFUSED, "the password of user '%s' is wrong (default_pass)",
                settings->default_user);
    else if (lv_names_have(&settings->loopback_users, login->user.data, login->user.size) &&
             !lv_address_is_loopback(peer))
        lv_fail(diag, -LV_E_ACCESS_REFUSED,
                "user '%s' can only connect via localhost (loopback_users)",
                settings->default_user);
    else
        return NULL;
    return diag->text;
}
