/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "shown.hpp"

#include <string>

#include <pjmedia.h>
#include <pjsip.h>
#include <pjsip_ua.h>
#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

#include "faults.hpp"
#include "requests.hpp"

namespace gateway {

namespace {

bool wanted_ = false;

}

void show_descriptions(bool wanted)
{
    wanted_ = wanted;
}

void show(int callId, bool ours, bool answers, pjmedia_sdp_session &sdp, pj_pool_t *pool)
{
    RequestHandler *handler = request_handler();
    char printed[PJSIP_MAX_PKT_LEN];
    const int length = wanted_ && handler ? pjmedia_sdp_print(&sdp, printed, sizeof(printed)) : 0;
    if (length <= 0)
        return;
    const std::string text(printed, static_cast<std::size_t>(length));
    std::string other;
    try {
        other = handler->onDescription(callId, ours, answers, text);
    } catch (...) {
        tell_fault("the handler of a description");
        return;
    }
    if (other.empty() || other == text)
        return;
    const pj_str_t made = {other.data(), static_cast<pj_ssize_t>(other.size())};
    pj_str_t kept;
    pj_strdup_with_null(pool, &kept, &made); // what is read points into it
    pjmedia_sdp_session *read = nullptr;
    if (pjmedia_sdp_parse(pool, kept.ptr, static_cast<pj_size_t>(kept.slen), &read) != PJ_SUCCESS ||
        pjmedia_sdp_validate2(read, PJ_FALSE) != PJ_SUCCESS || read->media_count != sdp.media_count)
        tell_fault("the handler of a description", "it returned none that fits");
    else
        sdp = *read;
}

void show_offer(int callId)
{
    const pjsua_call &call = pjsua_var.calls[callId];
    const pjmedia_sdp_session *offer = nullptr;
    if (wanted_ && call.inv && call.inv->neg && pjmedia_sdp_neg_get_neg_remote(call.inv->neg, &offer) == PJ_SUCCESS)
        show(callId, false, false, *const_cast<pjmedia_sdp_session *>(offer), call.inv->pool_prov);
}

}
