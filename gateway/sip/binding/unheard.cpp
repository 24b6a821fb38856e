/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unheard.hpp"

#include <pjmedia.h>
#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

namespace gateway {

void leave_unheard()
{
    pjsua_callback &callbacks = pjsua_var.ua_cfg.cb;
    callbacks.on_call_tsx_state = nullptr;
    callbacks.on_stream_precreate = nullptr;
    callbacks.on_stream_created2 = nullptr;
    callbacks.on_call_media_transport_state = nullptr;
    callbacks.on_media_event = nullptr;
    callbacks.on_call_media_event = nullptr;
    callbacks.on_conf_op_completed = nullptr;
    pjmedia_conf_set_op_cb(pjsua_var.mconf, nullptr); // the bridge has had it since libInit
}

}
