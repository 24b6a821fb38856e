/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "media.hpp"

#include <map>

#include <pjmedia.h>
#include <pjsip.h>
#include <pjsip_ua.h>
#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

#include "audio_only.hpp"
#include "calls.hpp"
#include "encryption.hpp"
#include "events.hpp"
#include "modules.hpp"
#include "origin.hpp"
#include "recovered_again.hpp"
#include "rtp_source.hpp"
#include "shown.hpp"

namespace gateway {

namespace {

std::map<int, std::vector<std::string>> codecs_;
std::vector<std::string> next_offer_;

pjmedia_sdp_media *audio_of(const pjmedia_sdp_session *sdp)
{
    for (unsigned i = 0; sdp && i < sdp->media_count; ++i)
        if (pj_stricmp2(&sdp->media[i]->desc.media, "audio") == 0)
            return sdp->media[i];
    return nullptr;
}

/* The encoding name of a payload type; static ones need no rtpmap (RFC 3551 §6). */
std::string name_of(const pjmedia_sdp_media *media, const pj_str_t &format)
{
    pjmedia_sdp_attr *attribute = pjmedia_sdp_media_find_attr2(media, "rtpmap", &format);
    pjmedia_sdp_rtpmap map;
    if (attribute && pjmedia_sdp_attr_get_rtpmap(attribute, &map) == PJ_SUCCESS)
        return std::string(map.enc_name.ptr, map.enc_name.slen);
    const std::string number(format.ptr, format.slen);
    return number == "0" ? "PCMU" : number == "8" ? "PCMA" : number == "9" ? "G722" : "";
}

bool same(const std::string &one, const std::string &other)
{
    return pj_ansi_stricmp(one.c_str(), other.c_str()) == 0;
}

/* Whether PJMEDIA knows an encoding by this payload type: one that has a number by itself (RFC 3551 §6) by no other. */
bool is_known_by(const std::string &name, const pj_str_t &format)
{
    const char *number = same(name, "PCMU") ? "0" : same(name, "PCMA") ? "8" : same(name, "G722") ? "9" : nullptr;
    return !number || pj_strcmp2(&format, number) == 0;
}

bool among(const std::vector<std::string> &names, const std::string &name)
{
    for (const std::string &one : names)
        if (same(one, name))
            return true;
    return false;
}

bool is_event(const std::string &name)
{
    return same(name, "telephone-event");
}

/* Those of `allowed` that are wanted, in the order in which they are wanted, then the others. */
std::vector<std::string> ordered(const std::vector<std::string> &wanted, const std::vector<std::string> &allowed)
{
    std::vector<std::string> names;
    for (const std::string &name : wanted)
        if (among(allowed, name) && !among(names, name))
            names.push_back(name);
    for (const std::string &name : allowed)
        if (!among(names, name))
            names.push_back(name);
    return names;
}

/* The clock rate of a format, by which the events that go with it are found (RFC 4733 §2.1). */
unsigned rate_of(const pjmedia_sdp_media *media, const pj_str_t &format)
{
    pjmedia_sdp_attr *attribute = pjmedia_sdp_media_find_attr2(media, "rtpmap", &format);
    pjmedia_sdp_rtpmap map;
    return attribute && pjmedia_sdp_attr_get_rtpmap(attribute, &map) == PJ_SUCCESS ? map.clock_rate : 8000;
}

void forget_format(pjmedia_sdp_media *media, const pj_str_t &format)
{
    while (pjmedia_sdp_attr *attribute = pjmedia_sdp_media_find_attr2(media, "rtpmap", &format))
        pjmedia_sdp_media_remove_attr(media, attribute);
    while (pjmedia_sdp_attr *attribute = pjmedia_sdp_media_find_attr2(media, "fmtp", &format))
        pjmedia_sdp_media_remove_attr(media, attribute);
}

/* Leave the formats named, in this order, and behind them the events of their clock rates and those of 8000, which are
 * the only ones that many have, whatever they speak. */
void arrange(pjmedia_sdp_media *media, const std::vector<std::string> &names)
{
    pj_str_t before[PJMEDIA_MAX_SDP_FMT], after[PJMEDIA_MAX_SDP_FMT];
    const unsigned count = media->desc.fmt_count;
    unsigned kept = 0, codecs = 0;
    for (unsigned i = 0; i < count; ++i)
        before[i] = media->desc.fmt[i];
    for (const std::string &name : names)
        for (unsigned i = 0; i < count; ++i)
            if (same(name_of(media, before[i]), name))
                after[kept++] = before[i];
    codecs = kept;
    if (codecs == 0)
        return; // the negotiation finds out that nothing fits, and refuses
    for (unsigned i = 0; i < count; ++i) {
        const unsigned rate = rate_of(media, before[i]);
        bool wanted = rate == 8000;
        for (unsigned k = 0; k < codecs; ++k)
            wanted = wanted || rate_of(media, after[k]) == rate;
        wanted = wanted && is_event(name_of(media, before[i]));
        if (wanted)
            after[kept++] = before[i];
    }
    for (unsigned i = 0; i < count; ++i) {
        bool stays = false;
        for (unsigned k = 0; k < kept; ++k)
            stays = stays || pj_strcmp(&after[k], &before[i]) == 0;
        if (!stays)
            forget_format(media, before[i]);
    }
    for (unsigned k = 0; k < kept; ++k)
        media->desc.fmt[k] = after[k];
    media->desc.fmt_count = kept;
}

/* What PJSUA has made holds every codec there is. */
void leave_allowed(pjsua_call_id callId, pjmedia_sdp_session *sdp, bool answers)
{
    pjmedia_sdp_media *media = audio_of(sdp);
    const auto allowed = codecs_.find(pjsua_var.calls[callId].acc_id);
    if (!media || media->desc.port == 0 || allowed == codecs_.end())
        return;
    const std::vector<std::string> inUse = codecs_of(callId);
    if (answers) {
        // As the answerer we choose (see prefer_in_answer): without a better reason what is in use, then our own order.
        arrange(media, ordered(inUse.size() == 1 ? inUse : std::vector<std::string>(), allowed->second));
    } else {
        arrange(media, ordered(next_offer_.empty() ? inUse : next_offer_, allowed->second));
        next_offer_.clear();
        offer_encryption(callId, sdp);
    }
}

/* PJSUA made a description of ours, offer or answer. */
void on_sdp_created(pjsua_call_id callId, pjmedia_sdp_session *sdp, pj_pool_t *pool, const pjmedia_sdp_session *offered)
{
    unlatch(callId);
    close_others(pool, sdp);
    leave_allowed(callId, sdp, offered != nullptr);
    if (offered)
        show_offer(callId);
    show(callId, true, offered != nullptr, *sdp, pool);
}

}

void govern_media()
{
    pjsua_var.ua_cfg.cb.on_call_sdp_created = guarded<&on_sdp_created>;
    keep_to_audio();
    write_origins();
    recover_again();
    keep_encryption();
    choose_events();
    codecs_.clear();
    next_offer_.clear();
}

void set_codecs(int account, const std::vector<std::string> &names)
{
    codecs_[account] = names;
}

void prefer_in_next_offer(const std::vector<std::string> &names)
{
    next_offer_ = names;
}

void prefer_in_answer(int callId, const std::vector<std::string> &names)
{
    pjsua_call *call = call_at(callId);
    if (!call || !call->inv->neg || pjmedia_sdp_neg_get_state(call->inv->neg) != PJMEDIA_SDP_NEG_STATE_WAIT_NEGO)
        return;
    const pjmedia_sdp_session *answer = nullptr;
    if (pjmedia_sdp_neg_get_neg_local(call->inv->neg, &answer) != PJ_SUCCESS)
        return;
    pjmedia_sdp_media *media = audio_of(answer);
    const auto allowed = codecs_.find(call->acc_id);
    if (media && allowed != codecs_.end())
        arrange(media, ordered(names, allowed->second));
    pjmedia_sdp_neg_set_prefer_remote_codec_order(call->inv->neg, PJ_FALSE);
}

std::vector<std::string> codecs_of(int callId)
{
    std::vector<std::string> names;
    pjsua_call *call = call_at(callId);
    if (!call || !call->inv->neg)
        return names;
    const pjmedia_sdp_session *sdp = nullptr;
    const pjmedia_sdp_neg_state state = pjmedia_sdp_neg_get_state(call->inv->neg);
    const bool agreed = state == PJMEDIA_SDP_NEG_STATE_DONE || call->inv->state == PJSIP_INV_STATE_CONFIRMED;
    if (agreed)
        pjmedia_sdp_neg_get_active_local(call->inv->neg, &sdp);
    else if (state == PJMEDIA_SDP_NEG_STATE_REMOTE_OFFER || state == PJMEDIA_SDP_NEG_STATE_WAIT_NEGO)
        pjmedia_sdp_neg_get_neg_remote(call->inv->neg, &sdp);
    const pjmedia_sdp_media *media = audio_of(sdp);
    for (unsigned i = 0; media && i < media->desc.fmt_count; ++i) {
        if (is_codec(media, media->desc.fmt[i]))
            names.push_back(name_of(media, media->desc.fmt[i]));
    }
    if (agreed && names.size() > 1)
        names.resize(1);
    return names;
}

bool is_codec(const pjmedia_sdp_media *media, const pj_str_t &format)
{
    const std::string name = name_of(media, format);
    return !name.empty() && !is_event(name);
}

bool is_encrypted(int callId)
{
    pjsua_call *call = call_at(callId);
    if (!call || call->audio_idx < 0 || !call->media[call->audio_idx].tp)
        return false;
    pjmedia_transport_info info;
    pjmedia_transport_info_init(&info);
    pjmedia_transport_get_info(call->media[call->audio_idx].tp, &info);
    const auto *srtp = static_cast<const pjmedia_srtp_info *>(
        pjmedia_transport_info_get_spc_info(&info, PJMEDIA_TRANSPORT_TYPE_SRTP));
    return srtp && srtp->active;
}

bool speaks_one_of(int account, const pjmedia_sdp_media *media)
{
    const auto allowed = codecs_.find(account);
    for (unsigned i = 0; i < media->desc.fmt_count; ++i) {
        const std::string name = name_of(media, media->desc.fmt[i]);
        const unsigned clock = same(name, "opus") ? 48000 : 8000;
        if (!name.empty() && !is_event(name) && is_known_by(name, media->desc.fmt[i]) && rate_of(media, media->desc.fmt[i]) == clock &&
            (allowed == codecs_.end() || among(allowed->second, name)))
            return true;
    }
    return false;
}

bool is_answered_by_anything(int callId)
{
    const pjsua_call *call = call_at(callId);
    return !call || !call->inv->invite_tsx || call->inv->invite_tsx->state > PJSIP_TSX_STATE_CALLING;
}

}
