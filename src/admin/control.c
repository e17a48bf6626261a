#include "admin/control.h"

#include "base/alloc.h"
#include "base/deadline.h"
#include "base/event.h"
#include "io/local.h"
#include "io/socket.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* How long a request may take to come, and a reader to take something. */
#define REQUEST_NS (10 * LV_NS_PER_S)
#define READER_NS  (60 * LV_NS_PER_S)
/* Without descriptors the next try is so far away. */
#define RETRY_NS (250 * LV_NS_PER_MS)

/* An import or an export may wait for the disk, and an import for the queues' shards. */
#define DEED_NS (600 * LV_NS_PER_S)

enum guest_state {
    GUEST_ASKING,  /* the request is awaited */
    GUEST_SENDING, /* what belongs to the request is awaited */
    GUEST_SERVED,  /* rows are made and sent by turns */
    GUEST_LEAVING, /* the last line is in `slice.rows` */
    GUEST_CUT_OFF  /* freed when no shard has the slice */
};

/* Somebody at the socket. */
struct guest {
    struct lv_control *control; /* view */
    struct lv_link link;        /*       in the control's guests */
    struct lv_watch watch;
    struct lv_deadline deadline;
    struct lv_slice slice;
    struct lv_request request;
    struct lv_deed deed;
    struct lv_gather gather;
    uint8_t *body; /* own   of `request.size` bytes; NULL: none */
    size_t body_size;
    size_t sent; /*       bytes of the slice's rows */
    size_t input_size;
    enum guest_state state;
    bool is_away;   /*       somebody has the slice or the deed */
    bool wants_end; /*       the broker is to stop or drain once the answer is out */
    uint8_t input[LV_CONTROL_REQUEST_MAX];
};

struct lv_control {
    struct lv_control_config config;
    struct lv_watch watch; /*       of the listening socket; fd -1: closed */
    struct lv_list guests; /* own */
    unsigned guest_count;
    struct lv_deadlines deadlines;
    struct lv_deadline retry; /*     out of descriptors: when to accept again */
};

/* ---- guests ---- */

/* Passwords may be in all of it. */
static void forget(struct guest *guest)
{
    assert(!guest->is_away);
    lv_deed_fini(&guest->deed);
    lv_gather_fini(&guest->gather);
    lv_rows_fini(&guest->slice.rows);
    if (guest->body != NULL)
        explicit_bzero(guest->body, guest->request.size);
    lv_free(guest->body);
    guest->body = NULL;
    lv_request_wipe(&guest->request);
    explicit_bzero(guest->input, sizeof guest->input);
}

/* Nothing more is read or sent. What a shard still holds keeps the memory. */
static void cut_off(struct guest *guest)
{
    struct lv_control *control = guest->control;

    if (guest->watch.ready != NULL) {
        int fd = guest->watch.fd;

        lv_reactor_remove(control->config.reactor, &guest->watch);
        lv_socket_close(fd);
    }
    lv_deadline_cancel(&control->deadlines, &guest->deadline);
    guest->state = GUEST_CUT_OFF;
    if (guest->is_away)
        return;
    assert(control->guest_count > 0);
    control->guest_count--;
    lv_link_remove(&guest->link);
    forget(guest);
    lv_free(guest);
}

static void on_late(struct lv_deadline *deadline, uint64_t now)
{
    struct guest *guest = lv_container(deadline, struct guest, deadline);

    (void)now;
    lv_event(LV_WARN, "control.dropped",
             LV_S("why", guest->state <= GUEST_SENDING ? "no request came" : "nothing is read"));
    cut_off(guest);
}

static void give_time(struct guest *guest, uint64_t time)
{
    struct lv_control *control = guest->control;

    assert(guest->state != GUEST_CUT_OFF);
    lv_deadline_set(&control->deadlines, &guest->deadline, *control->config.now + time);
}

/* The last line. What could not be written for lack of memory is missing with the rows. */
static void finish(struct guest *guest, int error, const char *why)
{
    struct lv_rows *rows = &guest->slice.rows;
    char text[48];

    assert(guest->state != GUEST_CUT_OFF);
    guest->state = GUEST_LEAVING;
    if (error == 0 && rows->is_short) {
        error = -LV_E_NOMEM;
        why = "out of memory";
    }
    if (error == 0 && guest->deed.request != NULL) {
        snprintf(text, sizeof text, "{\"ok\":true,\"count\":%" PRIu64 "}\n", guest->deed.count);
        lv_rows_raw(rows, text);
        return;
    }
    if (error == 0) {
        lv_rows_raw(rows, "{\"ok\":true}\n");
        return;
    }
    rows->is_short = false;
    lv_rows_raw(rows, "{\"ok\":false,\"code\":");
    lv_rows_raw_text(rows, lv_error_name(error));
    lv_rows_raw(rows, ",\"error\":");
    lv_rows_raw_text(rows, why);
    lv_rows_raw(rows, "}\n");
}

/* True when all rows are sent. A guest that is gone is cut off, which is false too. */
static bool send_rows(struct guest *guest)
{
    const struct lv_rows *rows = &guest->slice.rows;
    size_t before = guest->sent;

    assert(!guest->is_away);
    while (guest->sent < rows->size) {
        struct lv_bytes piece = lv_bytes(rows->text + guest->sent, rows->size - guest->sent);
        ssize_t sent = lv_socket_write(guest->watch.fd, &piece, 1);

        if (sent < 0) {
            cut_off(guest);
            return false;
        }
        if (sent == 0) {
            if (guest->sent > before)
                give_time(guest, READER_NS);
            lv_reactor_change(guest->control->config.reactor, &guest->watch, LV_IO_WRITE);
            return false;
        }
        guest->sent += (size_t)sent;
    }
    lv_reactor_change(guest->control->config.reactor, &guest->watch, 0);
    lv_rows_reset(&guest->slice.rows);
    guest->sent = 0;
    give_time(guest, READER_NS);
    return true;
}

/* True when another shard has something for this list. Exchanges and bindings are the same on every
 * shard. */
static bool next_shard(struct guest *guest)
{
    struct lv_slice *slice = &guest->slice;
    bool is_same =
        !slice->is_status && (slice->kind == LV_LIST_EXCHANGE || slice->kind == LV_LIST_BINDING ||
                              slice->kind >= LV_LIST_ACCESS_FIRST);

    assert(slice->is_over);
    if (is_same || slice->shard + 1 == guest->control->config.shard_count)
        return false;
    slice->shard++;
    slice->walk = (struct lv_walk){.position = 0};
    slice->connection = 0;
    slice->channel = 0;
    slice->is_over = false;
    return true;
}

/* The slice goes to its shard. */
static void ask(struct guest *guest)
{
    const struct lv_control_config *config = &guest->control->config;

    assert(!guest->is_away);
    guest->is_away = true;
    if (config->host->ask(config->ctx, &guest->slice) < 0) {
        guest->is_away = false;
        finish(guest, -LV_E_NOMEM, "out of memory");
    }
}

static void act(struct guest *guest)
{
    const struct lv_control_config *config = &guest->control->config;

    assert(!guest->is_away);
    guest->deed.request = &guest->request;
    guest->deed.gather = &guest->gather;
    guest->deed.body = lv_bytes(guest->body, guest->body_size);
    guest->deed.version = config->version;
    guest->is_away = true;
    give_time(guest, DEED_NS);
    config->host->act(config->ctx, &guest->deed);
}

/* The rows are out: more of them, or the end. */
static void go_on(struct guest *guest)
{
    const struct lv_control_config *config = &guest->control->config;
    struct lv_slice *slice = &guest->slice;

    assert(guest->state == GUEST_SERVED);
    if (slice->is_gathered || !slice->is_over || next_shard(guest)) {
        ask(guest);
        return;
    }
    if (slice->is_status)
        config->host->status(config->ctx, &slice->totals, &slice->rows);
    finish(guest, 0, NULL);
}

static void end_broker(const struct guest *guest)
{
    const struct lv_control_config *config = &guest->control->config;

    assert(guest->state == GUEST_LEAVING);
    if (guest->request.kind == LV_REQUEST_DRAIN)
        config->host->drain(config->ctx, guest->request.drain_s);
    else
        config->host->stop(config->ctx);
}

/* Until something has to be waited for. May free the guest. */
static void step(struct guest *guest)
{
    assert(guest->state != GUEST_ASKING);
    while (!guest->is_away && send_rows(guest)) {
        if (guest->state == GUEST_LEAVING) {
            if (guest->wants_end)
                end_broker(guest);
            cut_off(guest);
            return;
        }
        go_on(guest);
    }
}

/* Definitions are made of what all slices have had. True: now they are all here. */
static bool gathered(struct guest *guest)
{
    int rc = lv_gather_take(&guest->gather, &guest->slice);

    assert(guest->slice.is_gathered);
    if (rc < 0)
        finish(guest, rc, "out of memory for definitions");
    if (rc == 0)
        guest->slice.is_gathered = false;
    return rc == 0;
}

void lv_control_answer(struct lv_control *control, struct lv_slice *slice)
{
    struct guest *guest = lv_container(slice, struct guest, slice);

    assert(guest->is_away);
    assert(guest->control == control);
    (void)control;
    guest->is_away = false;
    if (guest->state == GUEST_CUT_OFF) {
        cut_off(guest);
        return;
    }
    if (slice->is_gathered) {
        if (gathered(guest))
            act(guest);
    } else if (slice->diag.text[0] != '\0') {
        finish(guest, -LV_E_NOT_FOUND, slice->diag.text);
    } else if (slice->rows.is_short) {
        finish(guest, -LV_E_NOMEM, "out of memory");
    }
    step(guest);
}

/* What it says is sent as a list's rows are. */
void lv_control_done(struct lv_control *control, struct lv_deed *deed)
{
    struct guest *guest = lv_container(deed, struct guest, deed);

    assert(guest->is_away);
    assert(guest->control == control);
    (void)control;
    guest->is_away = false;
    if (guest->state == GUEST_CUT_OFF) {
        cut_off(guest);
        return;
    }
    lv_rows_fini(&guest->slice.rows);
    guest->slice.rows = deed->rows;
    deed->rows = (struct lv_rows){.text = NULL};
    give_time(guest, READER_NS);
    finish(guest, deed->error, deed->diag.text);
    step(guest);
}

/* ---- requests ---- */

static void begin_list(struct guest *guest)
{
    const struct lv_request *request = &guest->request;
    struct lv_slice *slice = &guest->slice;

    assert(request->column_count <= LV_COLUMNS_MAX);
    slice->kind = request->list;
    slice->column_count = request->column_count;
    for (unsigned i = 0; i < request->column_count; i++)
        slice->columns[i] = request->columns[i];
    slice->vhost = request->change.vhost;
    slice->user = request->change.name;
    slice->is_all = request->is_all;
}

/* What kind of answer it will be. */
static void begin(struct guest *guest)
{
    const struct lv_control_config *config = &guest->control->config;

    assert(guest->state == GUEST_SERVED);
    switch (guest->request.kind) {
    case LV_REQUEST_LIST:
        begin_list(guest);
        break;
    case LV_REQUEST_STATUS:
        guest->slice.is_status = true;
        break;
    case LV_REQUEST_ENVIRONMENT:
        config->host->environment(config->ctx, &guest->slice.rows);
        finish(guest, 0, NULL);
        break;
    case LV_REQUEST_STOP:
    case LV_REQUEST_DRAIN:
        guest->wants_end = true;
        finish(guest, 0, NULL);
        break;
    case LV_REQUEST_EXPORT:
    case LV_REQUEST_IMPORT:
        lv_gather_begin(&guest->gather, &guest->slice);
        give_time(guest, DEED_NS);
        break;
    case LV_REQUEST_CHANGE:
    case LV_REQUEST_AUTHENTICATE:
    case LV_REQUEST_CLOSE:
    case LV_REQUEST_ORDER:
        act(guest);
        break;
    }
}

static void serve(struct guest *guest)
{
    guest->state = GUEST_SERVED;
    assert(!guest->is_away);
    give_time(guest, READER_NS);
    lv_reactor_change(guest->control->config.reactor, &guest->watch, 0);
    begin(guest);
    step(guest);
}

static void refuse(struct guest *guest, int error, const char *why)
{
    guest->state = GUEST_SERVED;
    assert(error < 0);
    lv_reactor_change(guest->control->config.reactor, &guest->watch, 0);
    finish(guest, error, why);
    step(guest);
}

static void read_body(struct guest *guest)
{
    size_t room = guest->request.size - guest->body_size;
    ssize_t count = lv_socket_read(guest->watch.fd, guest->body + guest->body_size, room);

    assert(guest->state == GUEST_SENDING);
    if (count < 0) {
        cut_off(guest);
        return;
    }
    guest->body_size += (size_t)count;
    if (count > 0)
        give_time(guest, REQUEST_NS);
    if (guest->body_size == guest->request.size)
        serve(guest);
}

/* Begins with what has come behind the line. */
static void begin_body(struct guest *guest, struct lv_bytes rest)
{
    size_t size = guest->request.size;

    assert(guest->body == NULL);
    guest->body = lv_alloc(size);
    if (guest->body == NULL || rest.size > size) {
        refuse(guest, guest->body == NULL ? -LV_E_NOMEM : -LV_E_SYNTAX,
               guest->body == NULL ? "out of memory" : "more bytes come than were announced");
        return;
    }
    lv_put_bytes(guest->body, rest);
    guest->body_size = rest.size;
    guest->state = GUEST_SENDING;
    if (rest.size == size)
        serve(guest);
}

static void take_line(struct guest *guest, size_t size)
{
    struct lv_bytes rest = lv_bytes(guest->input + size + 1, guest->input_size - size - 1);
    struct lv_diag diag = {""};
    int rc = lv_request_parse(lv_bytes(guest->input, size), &guest->request, &diag);

    assert(guest->state == GUEST_ASKING);
    if (rc < 0)
        refuse(guest, rc, diag.text);
    else if (guest->request.kind == LV_REQUEST_IMPORT)
        begin_body(guest, rest);
    else
        serve(guest);
}

static void read_request(struct guest *guest)
{
    size_t room = sizeof guest->input - guest->input_size;
    ssize_t count = lv_socket_read(guest->watch.fd, guest->input + guest->input_size, room);
    const uint8_t *end;

    if (count < 0) {
        cut_off(guest);
        return;
    }
    guest->input_size += (size_t)count;
    end = memchr(guest->input, '\n', guest->input_size);
    if (end != NULL)
        take_line(guest, (size_t)(end - guest->input));
    else if (guest->input_size == sizeof guest->input)
        refuse(guest, -LV_E_SYNTAX, "the request is too long");
}

static void on_guest(struct lv_watch *watch, unsigned ready)
{
    struct guest *guest = lv_container(watch, struct guest, watch);

    assert(guest->state != GUEST_CUT_OFF);
    if (ready & LV_IO_HANGUP)
        cut_off(guest);
    else if (guest->state == GUEST_ASKING)
        read_request(guest);
    else if (guest->state == GUEST_SENDING)
        read_body(guest);
    else if (!guest->is_away)
        step(guest);
}

/* ---- who comes in ---- */

/* Nobody else gets past the socket's mode; this is for a directory that was opened to others. */
static bool is_welcome(int fd)
{
    struct lv_local_peer peer;

    return lv_local_peer(fd, &peer) == 0 && (peer.uid == 0 || peer.uid == geteuid());
}

static void welcome(struct lv_control *control, int fd)
{
    bool is_full = control->guest_count == LV_CONTROL_GUESTS_MAX;
    struct guest *guest = is_full || !is_welcome(fd) ? NULL : lv_calloc(1, sizeof *guest);

    assert(fd >= 0);
    if (guest == NULL) {
        lv_event(LV_WARN, "control.refused",
                 LV_S("why", is_full ? "too many are there" : "not this user's, or no memory"));
        lv_socket_close(fd);
        return;
    }
    guest->control = control;
    lv_deadline_init(&guest->deadline, on_late);
    if (lv_reactor_add(control->config.reactor, &guest->watch, fd, LV_IO_READ, on_guest) < 0) {
        lv_free(guest);
        lv_socket_close(fd);
        return;
    }
    lv_list_push_back(&control->guests, &guest->link);
    control->guest_count++;
    give_time(guest, REQUEST_NS);
}

static void on_listener(struct lv_watch *watch, unsigned ready)
{
    struct lv_control *control = lv_container(watch, struct lv_control, watch);
    int fd, rc = lv_local_accept(watch->fd, &fd);

    (void)ready;
    if (rc == 0) {
        welcome(control, fd);
    } else if (rc == -LV_E_RESOURCE) {
        lv_reactor_change(control->config.reactor, watch, 0);
        lv_deadline_set(&control->deadlines, &control->retry, *control->config.now + RETRY_NS);
    }
}

static void on_retry(struct lv_deadline *deadline, uint64_t now)
{
    struct lv_control *control = lv_container(deadline, struct lv_control, retry);

    assert(control->watch.ready != NULL);
    (void)now;
    lv_reactor_change(control->config.reactor, &control->watch, LV_IO_READ);
}

/* ---- life ---- */

int lv_control_open(const struct lv_control_config *config, struct lv_diag *diag,
                    struct lv_control **ret_control)
{
    struct lv_control *control = lv_calloc(1, sizeof *control);
    int fd, rc;

    assert(config->shard_count > 0);
    if (control == NULL)
        return lv_fail(diag, -LV_E_NOMEM, "out of memory");
    control->config = *config;
    lv_list_init(&control->guests);
    lv_deadline_init(&control->retry, on_retry);
    rc = lv_local_listen(config->directory, LV_CONTROL_NAME, &fd, diag);
    if (rc == 0) {
        rc = lv_reactor_add(config->reactor, &control->watch, fd, LV_IO_READ, on_listener);
        if (rc < 0) {
            close(fd);
            lv_fail(diag, rc, "can't wait for the control socket");
        }
    }
    if (rc < 0) {
        lv_free(control);
        return rc;
    }
    *ret_control = control;
    return 0;
}

void lv_control_close(struct lv_control *control)
{
    int fd = control->watch.fd;

    assert(fd >= 0);
    if (control->watch.ready == NULL)
        return;
    lv_reactor_remove(control->config.reactor, &control->watch);
    lv_deadline_cancel(&control->deadlines, &control->retry);
    close(fd);
    lv_local_remove(control->config.directory, LV_CONTROL_NAME);
    LV_LIST_EACH(&control->guests, link)
    cut_off(lv_container(link, struct guest, link));
}

bool lv_control_is_closed(const struct lv_control *control)
{
    assert(control->watch.ready == NULL || control->watch.fd >= 0);
    return control->watch.ready == NULL && lv_list_is_empty(&control->guests);
}

void lv_control_free(struct lv_control *control)
{
    if (control == NULL)
        return;
    assert(lv_control_is_closed(control));
    lv_free(control);
}

uint64_t lv_control_next(const struct lv_control *control)
{
    assert(control != NULL);
    return lv_deadlines_next(&control->deadlines);
}

void lv_control_turn(struct lv_control *control)
{
    assert(control != NULL);
    if (lv_deadlines_next(&control->deadlines) <= *control->config.now)
        lv_deadlines_run(&control->deadlines, *control->config.now);
}
