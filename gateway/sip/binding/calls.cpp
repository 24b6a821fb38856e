/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "calls.hpp"

#include <pjsip.h>
#include <pjsip_ua.h>
#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

namespace gateway {

namespace {

/* An explicit instantiation may name a private member ([temp.explicit]): the only way to it without a patch. */
template <typename Tag, typename Tag::Type member> struct Reach {
    friend typename Tag::Type reach(Tag)
    {
        return member;
    }
};

struct CallNumber {
    using Type = int pj::Call::*;
    friend Type reach(CallNumber);
};

template struct Reach<CallNumber, &pj::Call::id>;

}

pjsua_call *call_at(int callId)
{
    if (callId < 0 || callId >= static_cast<int>(pjsua_var.ua_cfg.max_calls) || !pjsua_var.calls[callId].inv)
        return nullptr;
    return &pjsua_var.calls[callId];
}

pjsua_call *call_in(const pjsip_dialog *dialog)
{
    auto *call = dialog ? static_cast<pjsua_call *>(dialog->mod_data[pjsua_var.mod.id]) : nullptr;
    return call && call->inv && call->inv->dlg == dialog ? call : nullptr;
}

pjsua_call *call_for(const pjsip_rx_data *rdata)
{
    if (rdata->msg_info.to->tag.slen == 0)
        return nullptr;
    const bool request = rdata->msg_info.msg->type == PJSIP_REQUEST_MSG;
    const pj_str_t &ours = request ? rdata->msg_info.to->tag : rdata->msg_info.from->tag;
    const pj_str_t &theirs = request ? rdata->msg_info.from->tag : rdata->msg_info.to->tag;
    return call_in(pjsip_ua_find_dialog(&rdata->msg_info.cid->id, &ours, &theirs, PJ_FALSE));
}

pjsip_dialog *dialog_named_by(const pjsip_tx_data *tdata)
{
    const pjsip_msg *msg = tdata->msg;
    const auto *from = static_cast<const pjsip_from_hdr *>(pjsip_msg_find_hdr(msg, PJSIP_H_FROM, nullptr));
    const auto *to = static_cast<const pjsip_to_hdr *>(pjsip_msg_find_hdr(msg, PJSIP_H_TO, nullptr));
    const auto *id = static_cast<const pjsip_cid_hdr *>(pjsip_msg_find_hdr(msg, PJSIP_H_CALL_ID, nullptr));
    if (!from || !to || !id)
        return nullptr;
    const bool request = msg->type == PJSIP_REQUEST_MSG;
    return pjsip_ua_find_dialog(&id->id, request ? &from->tag : &to->tag, request ? &to->tag : &from->tag, PJ_FALSE);
}

pjsip_dialog *dialog_behind(pjsip_tx_data *tdata)
{
    const pjsip_dialog *made_in = pjsip_tdata_get_dlg(tdata);
    pjsip_dialog *there = made_in ? dialog_named_by(tdata) : nullptr;
    return there == made_in ? there : nullptr;
}

pjsip_inv_session *session_in(const pjsip_dialog *dialog)
{
    pjsip_inv_session *session = dialog ? pjsip_dlg_get_inv_session(const_cast<pjsip_dialog *>(dialog)) : nullptr;
    return session && session->state != PJSIP_INV_STATE_DISCONNECTED ? session : nullptr;
}

void release_call(pj::Call &call)
{
    call.*reach(CallNumber()) = PJSUA_INVALID_ID;
}

}
