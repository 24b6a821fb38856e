/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "loop.hpp"

#include <algorithm>
#include <chrono>
#include <optional>

#include <pjlib.h>
#include <pjsip.h>
#include <pjsip_ua.h>
#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

#include "bridge_ports.hpp"

namespace {

/* How long PJSIP may go on before whatever else waits on the loop has its turn. */
constexpr std::chrono::milliseconds TURN(2);

bool more_ = false;

/* When the turn of this thread is over; it has none otherwise. */
thread_local std::optional<std::chrono::steady_clock::time_point> turn_ends;

bool is_over()
{
    return turn_ends && std::chrono::steady_clock::now() >= *turn_ends;
}

}

/*
 * The linker puts these in front of PJLIB's own, by which a socket of PJSIP goes on to its next datagram, or to what a
 * connection has brought next, fifty times in one event. A message takes half a millisecond: while many came, all of
 * them had their turn before anything else. What is not read at once here is read by the next poll.
 */
extern "C" {
pj_status_t __real_pj_ioqueue_recvfrom(pj_ioqueue_key_t *key, pj_ioqueue_op_key_t *operation, void *buffer,
                                       pj_ssize_t *length, pj_uint32_t flags, pj_sockaddr_t *from, int *from_length);
pj_status_t __wrap_pj_ioqueue_recvfrom(pj_ioqueue_key_t *key, pj_ioqueue_op_key_t *operation, void *buffer,
                                       pj_ssize_t *length, pj_uint32_t flags, pj_sockaddr_t *from, int *from_length);
pj_status_t __real_pj_ioqueue_recv(pj_ioqueue_key_t *key, pj_ioqueue_op_key_t *operation, void *buffer,
                                   pj_ssize_t *length, pj_uint32_t flags);
pj_status_t __wrap_pj_ioqueue_recv(pj_ioqueue_key_t *key, pj_ioqueue_op_key_t *operation, void *buffer,
                                   pj_ssize_t *length, pj_uint32_t flags);
}

pj_status_t __wrap_pj_ioqueue_recvfrom(pj_ioqueue_key_t *key, pj_ioqueue_op_key_t *operation, void *buffer,
                                       pj_ssize_t *length, pj_uint32_t flags, pj_sockaddr_t *from, int *from_length)
{
    if (is_over())
        flags |= PJ_IOQUEUE_ALWAYS_ASYNC;
    return __real_pj_ioqueue_recvfrom(key, operation, buffer, length, flags, from, from_length);
}

pj_status_t __wrap_pj_ioqueue_recv(pj_ioqueue_key_t *key, pj_ioqueue_op_key_t *operation, void *buffer,
                                   pj_ssize_t *length, pj_uint32_t flags)
{
    if (is_over())
        flags |= PJ_IOQUEUE_ALWAYS_ASYNC;
    return __real_pj_ioqueue_recv(key, operation, buffer, length, flags);
}

/*
 * The linker puts this in front of PJSIP's own, which goes on for 32 events of fifty datagrams each: while more came than
 * could be read, 1,600 were read in one turn, and timers, HTTP, the PBX's state and the broker waited until then.
 */
extern "C" pj_status_t __wrap_pjsip_endpt_handle_events2(pjsip_endpoint *endpoint, const pj_time_val *longest,
                                                         unsigned *count);

pj_status_t __wrap_pjsip_endpt_handle_events2(pjsip_endpoint *endpoint, const pj_time_val *longest, unsigned *count)
{
    gateway::enter_bridge();
    pj_time_val wait = {0, 0};
    const int timers = pj_timer_heap_poll(pjsip_endpt_get_timer_heap(endpoint), &wait);
    unsigned handled = timers > 0 ? static_cast<unsigned>(timers) : 0;
    if (wait.msec >= 1000)
        wait.msec = 999;
    if (longest && PJ_TIME_VAL_GT(wait, *longest))
        wait = *longest;
    pj_status_t status = PJ_SUCCESS;
    turn_ends = std::chrono::steady_clock::now() + TURN;
    int events = 0;
    do {
        more_ = true; // should a callback throw: nobody knows what it has left
        events = pj_ioqueue_poll(pjsip_endpt_get_ioqueue(endpoint), &wait);
        if (events < 0)
            status = pj_get_netos_error();
        if (events <= 0)
            break;
        handled += static_cast<unsigned>(events);
        wait = {0, 0};
    } while (!is_over());
    turn_ends.reset();
    more_ = events > 0;
    if (count)
        *count = handled;
    return status;
}

namespace gateway {

int loop_fd()
{
    pjsip_endpoint *endpoint = pjsua_get_pjsip_endpt();
    if (!endpoint)
        return -1;
    // The handle of the epoll and kqueue back ends is a pointer to their descriptor.
    const void *handle = pj_ioqueue_get_os_handle(pjsip_endpt_get_ioqueue(endpoint));
    return handle ? *static_cast<const int *>(handle) : -1;
}

bool more_events()
{
    return more_;
}

void set_log_level(int level)
{
    pj_log_set_level(level);
    if (pjsua_get_state() < PJSUA_STATE_INIT)
        return; // libInit() will be given its own
    // PJSUA decides by a copy of its own what it writes, and whether each SIP message is.
    pjsua_logging_config config = pjsua_var.log_cfg;
    config.level = config.console_level = static_cast<unsigned>(level);
    config.msg_logging = level > 0;
    pjsua_reconfigure_logging(&config);
}

long next_timer_ms()
{
    pjsip_endpoint *endpoint = pjsua_get_pjsip_endpt();
    const long bridge = bridge_due_ms();
    pj_time_val due;
    if (!endpoint || pj_timer_heap_earliest_time(pjsip_endpt_get_timer_heap(endpoint), &due) != PJ_SUCCESS)
        return bridge;
    pj_time_val now;
    pj_gettickcount(&now);
    PJ_TIME_VAL_SUB(due, now);
    const long left = PJ_TIME_VAL_MSEC(due);
    return std::max(0L, bridge < 0 ? left : std::min(left, bridge));
}

unsigned dialog_count()
{
    return pjsip_ua_get_dlg_set_count();
}

unsigned transaction_count()
{
    return pjsip_tsx_layer_get_tsx_count();
}

unsigned timer_count()
{
    return static_cast<unsigned>(pj_timer_heap_count(pjsip_endpt_get_timer_heap(pjsua_get_pjsip_endpt())));
}

}
