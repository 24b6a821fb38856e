/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "loop.hpp"

#include <pjlib.h>
#include <pjsip.h>
#include <pjsip_ua.h>
#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

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
    pj_time_val due;
    if (!endpoint || pj_timer_heap_earliest_time(pjsip_endpt_get_timer_heap(endpoint), &due) != PJ_SUCCESS)
        return -1;
    pj_time_val now;
    pj_gettickcount(&now);
    PJ_TIME_VAL_SUB(due, now);
    const long left = PJ_TIME_VAL_MSEC(due);
    return left > 0 ? left : 0;
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
