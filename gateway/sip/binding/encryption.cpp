/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "encryption.hpp"

#include <map>
#include <string>

#include <pjmedia.h>
#include <pjsip.h>
#include <pjsip_ua.h>
#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

#include "calls.hpp"
#include "media.hpp"
#include "modules.hpp"
#include "requests.hpp"

namespace gateway {

namespace {

void (*others_)(pjsua_call_id, const pjmedia_sdp_session *, void *, pjsip_status_code *, pjsua_call_setting *);
std::map<int, std::string> agreed_; // the Call-ID by the number of the call, which others will have after it

bool is_agreed(int callId)
{
    const pjsua_call *call = call_at(callId);
    const pjsip_inv_session *inv = call ? call->inv : nullptr;
    if (!inv)
        return false;
    const pj_str_t &id = inv->dlg->call_id->id;
    const std::string name(id.ptr, id.slen);
    if (is_encrypted(callId)) {
        // A stream that was taken out of the call, and comes back to it, has no transport in between. Before the answer
        // that counts for nothing: it may be another who answers than who was heard ringing.
        if (inv->state == PJSIP_INV_STATE_CONFIRMED)
            agreed_[callId] = name;
        return true;
    }
    const auto found = agreed_.find(callId);
    return found != agreed_.end() && found->second == name;
}

bool is_known(const pj_str_t &suite)
{
    pjmedia_srtp_crypto known[PJMEDIA_SRTP_MAX_CRYPTOS];
    unsigned count = PJ_ARRAY_SIZE(known);
    if (pjmedia_srtp_enum_crypto(&count, known) != PJ_SUCCESS)
        return false;
    for (unsigned i = 0; i < count; ++i)
        if (pj_stricmp(&known[i].name, &suite) == 0)
            return true;
    return false;
}

/* RFC 4568 §9.1: tag, suite, key parameters. */
bool has_key(const pjmedia_sdp_media *media)
{
    const pj_str_t spaces = pj_str(const_cast<char *>(" \t"));
    for (unsigned i = 0; i < media->attr_count; ++i) {
        const pjmedia_sdp_attr *attribute = media->attr[i];
        if (pj_stricmp2(&attribute->name, "crypto") != 0)
            continue;
        pj_str_t word;
        const pj_ssize_t tag = pj_strtok(&attribute->value, &spaces, &word, 0);
        if (tag < attribute->value.slen &&
            pj_strtok(&attribute->value, &spaces, &word, tag + word.slen) < attribute->value.slen && is_known(word))
            return true;
    }
    return false;
}

bool is_audio(const pjmedia_sdp_media *media)
{
    return media->desc.port != 0 && pj_stricmp2(&media->desc.media, "audio") == 0;
}

bool is_in_the_clear(const pjmedia_sdp_session *sdp)
{
    for (unsigned i = 0; i < sdp->media_count; ++i)
        if (is_audio(sdp->media[i]) && !has_key(sdp->media[i]))
            return true;
    return false;
}

void tell(int callId)
{
    RequestHandler *handler = request_handler();
    if (!handler)
        return;
    try {
        handler->onKeyMissing(callId);
    } catch (...) {
        tell_fault("the handler of a missing key");
    }
}

void on_offer(pjsua_call_id callId, const pjmedia_sdp_session *offer, void *reserved, pjsip_status_code *code,
              pjsua_call_setting *setting)
{
    if (is_agreed(callId) && is_in_the_clear(offer)) {
        *code = PJSIP_SC_NOT_ACCEPTABLE_HERE;
        tell(callId);
    } else if (others_) {
        others_(callId, offer, reserved, code, setting);
    }
}

/* The answer to an offer of ours. Without a key it is none: under another protocol than those which PJMEDIA takes for one
 * another, the negotiation turns it down and leaves everything as it was. */
pj_bool_t on_answer(pjsip_rx_data *rdata)
{
    const pjsip_msg *msg = rdata->msg_info.msg;
    const pjsua_call *call = msg->body ? call_for(rdata) : nullptr;
    if (!call || !call->inv->neg || !is_agreed(call->index) ||
        pjmedia_sdp_neg_get_state(call->inv->neg) != PJMEDIA_SDP_NEG_STATE_LOCAL_OFFER)
        return PJ_FALSE;
    pjsip_rdata_sdp_info *info = pjsip_rdata_get_sdp_info(rdata); // kept with the message, for whoever reads it next
    if (!info || !info->sdp || !is_in_the_clear(info->sdp))
        return PJ_FALSE;
    for (unsigned i = 0; i < info->sdp->media_count; ++i)
        if (is_audio(info->sdp->media[i]) && !has_key(info->sdp->media[i]))
            info->sdp->media[i]->desc.transport = pj_str(const_cast<char *>("RTP/in-the-clear"));
    tell(call->index);
    return PJ_FALSE;
}

}

void keep_encryption()
{
    agreed_.clear();
    others_ = pjsua_var.ua_cfg.cb.on_call_rx_offer;
    pjsua_var.ua_cfg.cb.on_call_rx_offer = guarded<&on_offer>;
    static pjsip_module module;
    module = named_module("mod-gateway-encryption", PJSIP_MOD_PRIORITY_TSX_LAYER - 1); // which keeps responses to itself
    module.on_rx_request = guarded<&on_answer>;
    module.on_rx_response = guarded<&on_answer>;
    register_module(module);
}

void offer_encryption(int callId, pjmedia_sdp_session *offer)
{
    if (!is_agreed(callId))
        return;
    for (unsigned i = 0; i < offer->media_count; ++i)
        if (is_audio(offer->media[i]))
            offer->media[i]->desc.transport = pj_str(const_cast<char *>("RTP/SAVP"));
}

}
