/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spoken.hpp"

#include <algorithm>
#include <cstdint>

#include <pjsip_ua.h>
#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

#include "calls.hpp"
#include "media.hpp"
#include "modules.hpp"

namespace gateway {

namespace {

/* One or two packets may be late ones, of before a re-INVITE. */
const unsigned CERTAIN = 3;
/* By description: a stream that is made anew leaves a gap, and whoever changes all the time would hear nothing else. */
const unsigned MOST_TURNS = 8;
const unsigned CALLS = 1U << 16;

int turning_ = -1; // the payload type for which a stream is being made

const pjmedia_sdp_media *audio_of(const pjsua_call &call, const pjmedia_sdp_session *sdp)
{
    const int index = call.audio_idx;
    return index >= 0 && index < static_cast<int>(sdp->media_count) ? sdp->media[index] : nullptr;
}

/* The audio formats of ours that the answer has left. */
std::vector<int> types_of(const pjsua_call &call)
{
    std::vector<int> types;
    const pjmedia_sdp_session *local = nullptr;
    if (!call.inv || !call.inv->neg || !pjmedia_sdp_neg_was_answer_remote(call.inv->neg) ||
        pjmedia_sdp_neg_get_active_local(call.inv->neg, &local) != PJ_SUCCESS)
        return types;
    const pjmedia_sdp_media *media = audio_of(call, local);
    for (unsigned i = 0; media && i < media->desc.fmt_count; ++i)
        if (is_codec(media, media->desc.fmt[i]))
            types.push_back(static_cast<int>(pj_strtoul(&media->desc.fmt[i])));
    return types;
}

void turn(void *what)
{
    const auto both = reinterpret_cast<std::uintptr_t>(what);
    const int type = static_cast<int>(both / CALLS);
    pjsua_call *call = call_at(static_cast<int>(both % CALLS));
    const pjmedia_sdp_session *local = nullptr, *remote = nullptr;
    // While another exchange is under way, that one settles it.
    if (!call || call->hanging_up || !call->inv->neg || call->inv->state > PJSIP_INV_STATE_CONFIRMED ||
        pjmedia_sdp_neg_get_state(call->inv->neg) != PJMEDIA_SDP_NEG_STATE_DONE ||
        pjmedia_sdp_neg_get_active_local(call->inv->neg, &local) != PJ_SUCCESS ||
        pjmedia_sdp_neg_get_active_remote(call->inv->neg, &remote) != PJ_SUCCESS)
        return;
    const pjmedia_sdp_media *media = audio_of(*call, local);
    if (!media)
        return;
    pjmedia_sdp_session *turned = pjmedia_sdp_session_clone(call->inv->pool_prov, local);
    pj_str_t *formats = turned->media[call->audio_idx]->desc.fmt;
    pj_str_t *end = formats + media->desc.fmt_count;
    pj_str_t *wanted = std::find_if(
        formats, end, [type](const pj_str_t &format) { return static_cast<int>(pj_strtoul(&format)) == type; });
    if (wanted == end)
        return;
    std::rotate(formats, wanted, wanted + 1);
    turning_ = type;
    const pj_status_t status = pjsua_media_channel_update(call->index, turned, remote);
    turning_ = -1;
    if (status != PJ_SUCCESS)
        PJ_PERROR(1, ("spoken", status, "call %d: cannot turn to payload type %d", call->index, type));
    if (pjsua_var.ua_cfg.cb.on_call_media_state)
        pjsua_var.ua_cfg.cb.on_call_media_state(call->index);
}

}

void Spoken::agreed(const pjsua_call &call)
{
    types_ = types_of(call);
    if (turning_ < 0)
        turns_ = 0;
    current_ = turning_ >= 0 ? turning_ : types_.empty() ? -1 : types_.front();
    other_ = -1;
    heard_ = 0;
}

bool Spoken::hears(const void *packet, pj_ssize_t size, int &type)
{
    if (types_.size() < 2 || size < static_cast<pj_ssize_t>(sizeof(pjmedia_rtp_hdr)))
        return false;
    const int heard = static_cast<const pjmedia_rtp_hdr *>(packet)->pt;
    if (heard == current_) {
        heard_ = 0;
        return false;
    }
    if (std::find(types_.begin(), types_.end(), heard) == types_.end())
        return false; // events, comfort noise, or nothing that was agreed on
    heard_ = heard == other_ ? heard_ + 1 : 1;
    other_ = type = heard;
    if (heard_ != CERTAIN || turns_ == MOST_TURNS)
        return false;
    ++turns_;
    return true;
}

void turn_to(int callId, int type)
{
    const auto both = static_cast<std::uintptr_t>(type) * CALLS + static_cast<std::uintptr_t>(callId);
    pjsua_schedule_timer2(guarded<&turn>, reinterpret_cast<void *>(both), 0);
}

}
