/*
 * A line for the control socket: a request that is parsed holds only what was in the line, and what
 * it wants of the broker is a change that the broker may be given; a wiped one holds nothing.
 */
#include "admin/request.h"

#include "broker/change.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_view(const struct lv_request *request, struct lv_bytes view)
{
    assert(view.size <= request->text_size || view.size <= 1); /* "/" is the usual vhost */
    for (size_t i = 0; i < view.size; i++)
        (void)*(volatile const uint8_t *)(view.data + i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct lv_request request;
    struct lv_diag diag = {""};
    int rc = lv_request_parse(lv_bytes(data, size), &request, &diag);

    if (rc < 0) {
        assert(diag.text[0] != '\0');
    } else {
        check_view(&request, request.change.vhost);
        check_view(&request, request.change.name);
        check_view(&request, request.change.other);
        check_view(&request, request.change.key);
        check_view(&request, request.password);
        check_view(&request, request.reason);
        assert(request.column_count <= LV_COLUMNS_MAX);
        assert(request.arguments->count <= LV_REQUEST_ARGUMENTS_MAX);
        rc = lv_change_check_sizes(&request.change, &diag);
        assert(rc == 0 || rc == -LV_E_PRECONDITION);
    }
    lv_request_wipe(&request);
    assert(request.text_size == 0);
    return 0;
}
