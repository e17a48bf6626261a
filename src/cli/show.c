#include "cli/show.h"

#include "cli/json.h"

bool lv_show_is_sound(const struct lv_show *show, const struct lv_usage *usage)
{
    assert(usage != NULL);
    if (show->json + show->null + show->raw <= 1)
        return true;
    (void)lv_options_refuse(usage, "--json, --null and --raw exclude each other");
    return false;
}

int lv_show_message(const struct lv_show *show, struct lv_output *output,
                    const struct lv_engine_message *message, struct lv_diag *diag)
{
    assert(message != NULL);
    if (show->json)
        return lv_json_message(output, message, diag);
    lv_output_put(output, message->body);
    if (!show->raw)
        lv_output_put(output, lv_bytes(show->null ? "" : "\n", 1));
    return 0;
}
