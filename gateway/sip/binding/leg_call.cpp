/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "leg_call.hpp"

#include <initializer_list>

#include <pjsip.h>
#include <pjsip_ua.h>
#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

#include "calls.hpp"
#include "identities.hpp"
#include "modules.hpp"
#include "strings.hpp"

namespace gateway {

namespace {

void (*told_state_)(pjsua_call_id, pjsip_event *);

/* PJSUA's own place of a call, also before and after its INVITE session. */
pjsua_call *place_of(int callId)
{
    if (callId < 0 || callId >= static_cast<int>(pjsua_var.ua_cfg.max_calls))
        return nullptr;
    return &pjsua_var.calls[callId];
}

/* As pjsua_call_get_info() has it. */
pjsip_inv_state state_of(const pjsua_call &call)
{
    if (call.hanging_up)
        return PJSIP_INV_STATE_DISCONNECTED;
    if (!call.inv)
        return call.async_call.dlg && !call.last_code ? PJSIP_INV_STATE_NULL : PJSIP_INV_STATE_DISCONNECTED;
    const bool comes_in = call.inv->role == PJSIP_ROLE_UAS && call.inv->state == PJSIP_INV_STATE_NULL;
    return comes_in ? PJSIP_INV_STATE_INCOMING : call.inv->state;
}

int code_of(const pjsua_call &call)
{
    return call.inv && call.inv->state >= PJSIP_INV_STATE_DISCONNECTED ? call.inv->cause : call.last_code;
}

/* Whether a leg has any use for it: who is called knows how far that is. */
bool is_news(pjsip_inv_state state, const pjsua_call &call)
{
    switch (state) {
    case PJSIP_INV_STATE_CONFIRMED:
    case PJSIP_INV_STATE_DISCONNECTED:
        return true;
    case PJSIP_INV_STATE_EARLY:
    case PJSIP_INV_STATE_CONNECTING:
        return call.inv->role == PJSIP_ROLE_UAC;
    default:
        return false;
    }
}

bool is_heard(const pjsua_call_media &media)
{
    return media.type == PJMEDIA_TYPE_AUDIO &&
           (media.state == PJSUA_CALL_MEDIA_ACTIVE || media.state == PJSUA_CALL_MEDIA_REMOTE_HOLD ||
            media.state == PJSUA_CALL_MEDIA_LOCAL_HOLD);
}

std::vector<long> counts_of(int callId, unsigned stream)
{
    pjsua_stream_stat stat;
    if (pjsua_call_get_stream_stat(callId, stream, &stat) != PJ_SUCCESS)
        return {};
    const pjmedia_rtcp_stat &control = stat.rtcp;
    return {static_cast<long>(control.rx.pkt),
            static_cast<long>(control.rx.loss),
            static_cast<long>(control.rx.discard),
            static_cast<long>(control.rx.jitter.mean),
            static_cast<long>(control.rx.jitter.max),
            static_cast<long>(control.tx.pkt),
            control.tx.update_cnt ? static_cast<long>(control.tx.loss) : -1,
            control.rtt.n ? static_cast<long>(control.rtt.mean) : -1};
}

void on_call_state(pjsua_call_id callId, pjsip_event *event)
{
    auto *leg = dynamic_cast<LegCall *>(pj::Call::lookup(callId));
    const pjsua_call *call = place_of(callId);
    if (!leg || !call) {
        told_state_(callId, event);
        return;
    }
    const pjsip_inv_state state = state_of(*call);
    if (!is_news(state, *call))
        return;
    const int code = code_of(*call);
    std::string accepted;
    if (state == PJSIP_INV_STATE_DISCONNECTED) {
        pj::OnCallStateParam nothing;
        leg->processStateChange(nothing); // PJSUA2 counts the streams, and lets go of the call
    } else if (state == PJSIP_INV_STATE_CONNECTING && event->type == PJSIP_EVENT_TSX_STATE &&
               event->body.tsx_state.type == PJSIP_EVENT_RX_MSG) {
        accepted = identity_of(event->body.tsx_state.src.rdata);
    }
    leg->onState(callId, state, code, accepted);
}

}

void LegCall::onCallState(pj::OnCallStateParam &) {}

void LegCall::onCallMediaState(pj::OnCallMediaStateParam &)
{
    const int callId = getId();
    const pjsua_call *call = place_of(callId);
    int stream = -1;
    for (unsigned i = 0; call && i < call->med_cnt && stream < 0; ++i)
        if (is_heard(call->media[i]) && call->media[i].strm.a.conf_slot != PJSUA_INVALID_ID)
            stream = static_cast<int>(i);
    onMedia(callId, stream);
}

void LegCall::onStreamDestroyed(pj::OnStreamDestroyedParam &prm)
{
    const std::vector<long> counts = counts_of(getId(), prm.streamIdx);
    if (!counts.empty())
        onCounted(counts);
}

int state_of(int callId)
{
    const pjsua_call *call = place_of(callId);
    return call ? state_of(*call) : PJSIP_INV_STATE_DISCONNECTED;
}

std::string sip_call_id_of(int callId)
{
    const pjsua_call *call = place_of(callId);
    const pjsip_dialog *dialog = !call ? nullptr : call->inv ? call->inv->dlg : call->async_call.dlg;
    return dialog ? text_of(dialog->call_id->id) : "";
}

bool was_offered(int callId)
{
    const pjsua_call *call = place_of(callId);
    return call && call->rem_offerer;
}

bool has_no_audio(int callId)
{
    const pjsua_call *call = call_at(callId);
    for (unsigned i = 0; call && i < call->med_cnt; ++i) {
        const pjsua_call_media &media = call->media[i];
        if (media.type == PJMEDIA_TYPE_AUDIO && media.state != PJSUA_CALL_MEDIA_NONE && media.state != PJSUA_CALL_MEDIA_ERROR)
            return false;
    }
    return true;
}

std::vector<long> counts_of(int callId)
{
    const pjsua_call *call = call_at(callId);
    for (unsigned i = 0; call && i < call->med_cnt; ++i)
        if (is_heard(call->media[i]))
            return counts_of(callId, i);
    return {};
}

void tell_states()
{
    pjsua_callback &callbacks = pjsua_var.ua_cfg.cb;
    told_state_ = callbacks.on_call_state;
    callbacks.on_call_state = guarded<&on_call_state>;
}

}
