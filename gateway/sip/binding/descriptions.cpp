/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "descriptions.hpp"

#include <string>

#include <pjmedia.h>
#include <pjsip.h>
#include <pjsip_ua.h>
#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

#include "calls.hpp"
#include "description_reader.hpp"
#include "modules.hpp"
#include "requests.hpp"
#include "shown.hpp"
#include "strings.hpp"

namespace gateway {

namespace {

bool is_request(const pjsip_rx_data *rdata, const char *method)
{
    return rdata->msg_info.msg->type == PJSIP_REQUEST_MSG &&
           pj_strcmp2(&rdata->msg_info.msg->line.req.method.name, method) == 0;
}

pjsip_inv_session *session_of(pjsip_rx_data *rdata)
{
    if (const pjsua_call *call = call_for(rdata))
        return session_in(call->inv->dlg);
    if (rdata->msg_info.msg->type != PJSIP_RESPONSE_MSG)
        return nullptr;
    // The first response is what gives the dialog its remote tag.
    pj_str_t key;
    if (pjsip_tsx_create_key(rdata->tp_info.pool, &key, PJSIP_ROLE_UAC, &rdata->msg_info.cseq->method, rdata) != PJ_SUCCESS)
        return nullptr;
    pjsip_transaction *tsx = pjsip_tsx_layer_find_tsx(&key, PJ_FALSE);
    return session_in(tsx ? pjsip_tsx_get_dlg(tsx) : nullptr);
}

int account_of(const pjsip_inv_session *inv)
{
    const pjsua_call *call = inv ? call_in(inv->dlg) : nullptr;
    return call ? call->acc_id : NOBODY;
}

/* What the negotiation would come to. A failed one would be the end of a call that may be ringing, or talked on. */
bool would_fit(pj_pool_t *pool, pjsip_inv_session *inv, const pjmedia_sdp_session *answer, bool first)
{
    const pjmedia_sdp_session *offer = nullptr, *agreed = nullptr;
    pjmedia_sdp_neg *trial = nullptr;
    if (pjmedia_sdp_neg_get_neg_local(inv->neg, &offer) != PJ_SUCCESS ||
        pjmedia_sdp_neg_create_w_local_offer(pool, offer, &trial) != PJ_SUCCESS ||
        pjmedia_sdp_neg_set_remote_answer(pool, trial, answer) != PJ_SUCCESS ||
        pjmedia_sdp_neg_negotiate(pool, trial, PJ_FALSE) != PJ_SUCCESS ||
        pjmedia_sdp_neg_get_active_local(trial, &agreed) != PJ_SUCCESS)
        return false;
    for (unsigned i = 0; i < agreed->media_count; ++i)
        if (is_audio(agreed->media[i]) && agreed->media[i]->desc.port != 0)
            return true;
    return !first; // in mid call a stream may be taken out
}

bool is_good_answer(pjsip_rx_data *rdata, pjsip_rdata_sdp_info *info)
{
    if (!info->sdp)
        return false;
    pjsip_inv_session *inv = session_of(rdata);
    const bool first = !inv || inv->state < PJSIP_INV_STATE_CONFIRMED;
    const Audio audio = audio_of(rdata->tp_info.pool, info->sdp, account_of(inv));
    if (audio == Audio::unusable || (audio == Audio::none && first))
        return false;
    if (!inv || !inv->neg || pjmedia_sdp_neg_get_state(inv->neg) != PJMEDIA_SDP_NEG_STATE_LOCAL_OFFER)
        return true;
    return would_fit(rdata->tp_info.pool, inv, info->sdp, first);
}

void tell(const pjsip_rx_data *rdata, int code)
{
    RequestHandler *handler = request_handler();
    if (!handler)
        return;
    const pjsip_msg *msg = rdata->msg_info.msg;
    const std::string method = text_of(rdata->msg_info.cseq->method.name);
    const bool response = msg->type == PJSIP_RESPONSE_MSG;
    const std::string where = response ? std::to_string(msg->line.status.code) + " " + method : method;
    handler->onDescriptionRefused(text_of(rdata->msg_info.cid->id), where, code);
}

/* Whether INVITE sessions look into the body of such a message. */
bool is_of_session(const pjsip_rx_data *rdata)
{
    const pjsip_method &method = rdata->msg_info.cseq->method;
    return method.id == PJSIP_INVITE_METHOD || method.id == PJSIP_ACK_METHOD || pj_strcmp2(&method.name, "UPDATE") == 0 ||
           pj_strcmp2(&method.name, "PRACK") == 0;
}

/* An answer that is believed; where none is waited for, nobody reads it. */
void show_answer(pjsip_rx_data *rdata, const pjsip_rdata_sdp_info *info)
{
    const pjsip_inv_session *inv = session_of(rdata);
    const pjsua_call *call = inv ? call_in(inv->dlg) : nullptr;
    if (call && inv->neg && pjmedia_sdp_neg_get_state(inv->neg) == PJMEDIA_SDP_NEG_STATE_LOCAL_OFFER)
        show(call->index, false, true, *info->sdp, rdata->tp_info.pool);
}

pj_bool_t on_message(pjsip_rx_data *rdata)
{
    const pjsip_msg *msg = rdata->msg_info.msg;
    const bool response = msg->type == PJSIP_RESPONSE_MSG;
    pjsip_rdata_sdp_info *info = read_description(rdata); // also for whoever judges the kind of a first INVITE's body
    if (rdata->msg_info.to->tag.slen == 0)
        return PJ_FALSE;
    const bool bears_answer = response ? msg->line.status.code < 300
                                       : is_request(rdata, "ACK") || is_request(rdata, "PRACK");
    if (info && bears_answer && !is_good_answer(rdata, info)) {
        take_away(rdata, info);
        tell(rdata, 0);
    } else if (info && bears_answer) {
        show_answer(rdata, info);
    } else if (!info && bears_answer && is_of_session(rdata)) {
        rdata->msg_info.msg->body = nullptr; // of another kind, ISUP as it may be: PJSIP would end the call for it
    }
    return PJ_FALSE;
}

/* PJSIP takes an offer that it could not negotiate for a fault of ours. */
pj_status_t on_response(pjsip_tx_data *tdata)
{
    pjsip_status_line &line = tdata->msg->line.status;
    if (line.code == PJSIP_SC_INTERNAL_SERVER_ERROR && pj_strcmp2(&line.reason, "SDP negotiation failed") == 0) {
        line.code = PJSIP_SC_NOT_ACCEPTABLE_HERE;
        line.reason = *pjsip_get_status_text(line.code);
        pjsip_tx_data_invalidate_msg(tdata);
    }
    return PJ_SUCCESS;
}

int verdict(pjsip_rx_data *rdata, int account, bool first)
{
    if (is_unseen(rdata))
        return PJSIP_SC_BAD_REQUEST;
    pjsip_rdata_sdp_info *info = read_description(rdata);
    if (!info)
        return 0;
    if (!info->sdp)
        return lines_of(info->body) > PJMEDIA_MAX_SDP_MEDIA ? PJSIP_SC_NOT_ACCEPTABLE_HERE : PJSIP_SC_BAD_REQUEST;
    const Audio audio = audio_of(rdata->tp_info.pool, info->sdp, account);
    const bool nothing = audio == Audio::unusable || (audio == Audio::none && (first || info->sdp->media_count == 0));
    return nothing ? PJSIP_SC_NOT_ACCEPTABLE_HERE : 0;
}

}

int verdict_on_first_offer(pjsip_rx_data *rdata, int account)
{
    return verdict(rdata, account, true);
}

int verdict_on_offer(pjsip_rx_data *rdata)
{
    const pjsua_call *call = call_for(rdata);
    const int code = verdict(rdata, call ? call->acc_id : NOBODY, false);
    if (code)
        tell(rdata, code);
    return code;
}

void watch_descriptions()
{
    static pjsip_module reader, writer;
    // Before the transactions, which keep responses to themselves, and before everybody else who reads descriptions.
    reader = named_module("mod-gateway-reader", PJSIP_MOD_PRIORITY_TSX_LAYER - 2);
    reader.on_rx_request = guarded<&on_message, PJ_TRUE>; // rather lost than believed
    reader.on_rx_response = guarded<&on_message, PJ_TRUE>;
    writer = named_module("mod-gateway-writer", PJSIP_MOD_PRIORITY_TRANSPORT_LAYER + 1);
    writer.on_tx_response = guarded<&on_response>;
    register_module(reader);
    register_module(writer);
}

}
