/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sessions.hpp"

#include <cstring>

#include <pjsip.h>
#include <pjsip_ua.h>
#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

#include "calls.hpp"
#include "hangup.hpp"
#include "infos.hpp"
#include "modules.hpp"
#include "requests.hpp"

namespace gateway {

namespace {

const int SENDS = 1, RECEIVES = 2;
pjsip_module watcher_, reader_, farewell_;

bool says(const pjmedia_sdp_session *session, const pjmedia_sdp_media *media, const char *direction)
{
    return pjmedia_sdp_attr_find2(media->attr_count, media->attr, direction, nullptr) ||
           pjmedia_sdp_attr_find2(session->attr_count, session->attr, direction, nullptr);
}

/* RFC 3264 §8.4: how peers of RFC 2543 put a call on hold. */
bool nowhere(const pjmedia_sdp_session *session, const pjmedia_sdp_media *media)
{
    const pjmedia_sdp_conn *conn = media->conn ? media->conn : session->conn;
    return conn && (pj_strcmp2(&conn->addr, "0.0.0.0") == 0 || pj_strcmp2(&conn->addr, "::") == 0);
}

int direction(const pjmedia_sdp_session *session, unsigned index)
{
    if (index >= session->media_count || session->media[index]->desc.port == 0)
        return 0;
    const pjmedia_sdp_media *media = session->media[index];
    if (says(session, media, "inactive"))
        return 0;
    if (says(session, media, "sendonly"))
        return SENDS;
    if (says(session, media, "recvonly"))
        return RECEIVES;
    return SENDS | RECEIVES;
}

/* Where the peer was before, or else where its message comes from. Nothing but reports is sent there. */
pjmedia_sdp_conn *somewhere(const pjsip_rx_data *rdata, unsigned index)
{
    pj_pool_t *pool = rdata->tp_info.pool;
    const pjsua_call *call = call_for(rdata);
    const pjmedia_sdp_session *before = nullptr;
    if (call && call->inv->neg && pjmedia_sdp_neg_get_active_remote(call->inv->neg, &before) == PJ_SUCCESS &&
        index < before->media_count && !nowhere(before, before->media[index])) {
        const pjmedia_sdp_media *media = before->media[index];
        return pjmedia_sdp_conn_clone(pool, media->conn ? media->conn : before->conn);
    }
    auto *conn = PJ_POOL_ZALLOC_T(pool, pjmedia_sdp_conn);
    conn->net_type = pj_str(const_cast<char *>("IN"));
    conn->addr_type = pj_str(const_cast<char *>(std::strchr(rdata->pkt_info.src_name, ':') ? "IP6" : "IP4"));
    pj_strdup2(pool, &conn->addr, rdata->pkt_info.src_name);
    return conn;
}

/* PJMEDIA would send to 0.0.0.0, which is this very host, and PJSUA would answer that it is to be sent to there: say in
 * today's terms what its sender means. */
void read_old_hold(pjsip_rx_data *rdata)
{
    const pjsip_msg_body *body = rdata->msg_info.msg->body;
    if (!body || !body->len)
        return;
    const std::string text(static_cast<const char *>(body->data), body->len);
    if (text.find(" 0.0.0.0") == std::string::npos && text.find(" ::\r") == std::string::npos)
        return;
    // INVITE sessions use the same parsed description: it is kept with the message.
    pjsip_rdata_sdp_info *info = pjsip_rdata_get_sdp_info(rdata);
    if (!info || !info->sdp || info->sdp_err != PJ_SUCCESS)
        return;
    for (unsigned i = 0; i < info->sdp->media_count; ++i) {
        pjmedia_sdp_media *media = info->sdp->media[i];
        if (!nowhere(info->sdp, media))
            continue;
        const bool sends = (direction(info->sdp, i) & SENDS) != 0;
        media->conn = somewhere(rdata, i);
        for (const char *name : {"sendrecv", "sendonly", "recvonly", "inactive"})
            pjmedia_sdp_media_remove_all_attr(media, name);
        pjmedia_sdp_media_add_attr(
            media, pjmedia_sdp_attr_create(rdata->tp_info.pool, sends ? "sendonly" : "inactive", nullptr));
    }
}

pj_bool_t on_message(pjsip_rx_data *rdata)
{
    read_old_hold(rdata);
    return PJ_FALSE;
}

/* RFC 3261 §14.2: whose 200 to a re-INVITE is never acknowledged ends the session. */
void end_unacknowledged(const pjsip_transaction *tsx, const pjsip_event *event)
{
    const pjsip_dialog *dialog = pjsip_tsx_get_dlg(const_cast<pjsip_transaction *>(tsx));
    if (tsx->method.id != PJSIP_INVITE_METHOD || tsx->state != PJSIP_TSX_STATE_TERMINATED || !dialog ||
        event->body.tsx_state.type != PJSIP_EVENT_TIMER || tsx->status_code != PJSIP_SC_TSX_TIMEOUT || !tsx->last_tx ||
        tsx->last_tx->msg->line.status.code / 100 != 2)
        return;
    pjsip_inv_session *session = session_in(dialog);
    pjsip_tx_data *bye = nullptr;
    if (session && session->state == PJSIP_INV_STATE_CONFIRMED &&
        pjsip_inv_end_session(session, PJSIP_SC_REQUEST_TIMEOUT, nullptr, &bye) == PJ_SUCCESS && bye)
        pjsip_inv_send_msg(session, bye);
}

/* RFC 3261 §15.1.1: after a BYE the session is over, whatever comes back. Before the answer to its INVITE PJSIP takes a 481 or
 * 408 to a BYE for one to any request, and ends the session by the next BYE, and so on, as fast as the peer answers; the
 * INVITE stays. What ends that is a CANCEL, or our own answer. */
void end_early(pjsip_transaction *tsx, pjsip_event *event)
{
    pjsip_inv_session *session = session_in(pjsip_tsx_get_dlg(tsx));
    if (tsx->role != PJSIP_ROLE_UAC || tsx->method.id != PJSIP_BYE_METHOD || tsx->status_code < 200 ||
        tsx->status_code == PJSIP_SC_UNAUTHORIZED || tsx->status_code == PJSIP_SC_PROXY_AUTHENTICATION_REQUIRED ||
        !session || session->state >= PJSIP_INV_STATE_CONNECTING || event->type != PJSIP_EVENT_TSX_STATE)
        return;
    event->body.tsx_state.prev_state = PJSIP_TSX_STATE_COMPLETED; // PJSIP has dealt with it, then
    if (tsx->mod_data[farewell_.id] || !session->invite_tsx)
        return;
    tsx->mod_data[farewell_.id] = tsx;
    pjsip_tx_data *tdata = nullptr;
    if (tsx->status_code < 300 && session->role == PJSIP_ROLE_UAC)
        pjsip_tsx_set_timeout(session->invite_tsx, 64 * pjsip_cfg()->tsx.t1); // for its 487 (RFC 3261 §15.1.2)
    else if (pjsip_inv_end_session(session, PJSIP_SC_REQUEST_TERMINATED, nullptr, &tdata) == PJ_SUCCESS && tdata)
        pjsip_inv_send_msg(session, tdata);
}

bool is_answered(const pjsip_transaction *tsx)
{
    return tsx->role == PJSIP_ROLE_UAC && tsx->method.id == PJSIP_INVITE_METHOD &&
           tsx->state == PJSIP_TSX_STATE_TERMINATED && tsx->status_code / 100 == 2;
}

/* Before the INVITE session sees it: is this the answer of one that we have hung up on? */
void mark_late(pjsip_transaction *tsx)
{
    const pjsip_inv_session *session = session_in(pjsip_tsx_get_dlg(tsx));
    if (is_answered(tsx) && session && session->cancelling && session->state < PJSIP_INV_STATE_CONNECTING)
        tsx->mod_data[farewell_.id] = tsx;
}

/* Such an answer is acknowledged and hung up (RFC 3261 §9.1, §13.2.2.4). PJSIP hangs up once its ACK is on the way, and so
 * never where that cannot even be sent. */
void end_late(pjsip_transaction *tsx)
{
    pjsip_inv_session *session = session_in(pjsip_tsx_get_dlg(tsx));
    if (!is_answered(tsx) || !tsx->mod_data[farewell_.id] || !session || session->state != PJSIP_INV_STATE_CONNECTING)
        return;
    pjsip_inv_add_ref(session);
    pjsip_tx_data *bye = nullptr;
    if (pjsip_inv_end_session(session, PJSIP_SC_REQUEST_TERMINATED, nullptr, &bye) != PJ_SUCCESS || !bye ||
        pjsip_inv_send_msg(session, bye) != PJ_SUCCESS)
        pjsip_inv_terminate(session, PJSIP_SC_REQUEST_TERMINATED, PJ_TRUE);
    pjsip_inv_dec_ref(session);
}

void before_session(pjsip_transaction *tsx, pjsip_event *event)
{
    mark_late(tsx);
    end_early(tsx, event);
}

void on_tsx_state(pjsip_transaction *tsx, pjsip_event *event)
{
    if (tsx->role == PJSIP_ROLE_UAS)
        end_unacknowledged(tsx, event);
    end_late(tsx);
    const bool bye = tsx->method.id == PJSIP_BYE_METHOD;
    if (tsx->role != PJSIP_ROLE_UAC || (tsx->status_code < 200 && !bye))
        return;
    transaction_went_on(tsx, event);
    // A transaction that was answered ends as well, and a 2xx ends an INVITE at once (RFC 3261 §17.1.1.2).
    if (tsx->state != PJSIP_TSX_STATE_COMPLETED && tsx->state != PJSIP_TSX_STATE_TERMINATED && !bye)
        return;
    pjsip_dialog *dialog = pjsip_tsx_get_dlg(tsx);
    RequestHandler *handler = request_handler();
    if (!handler || !dialog)
        return;
    const pjsua_call *call = static_cast<pjsua_call *>(dialog->mod_data[pjsua_var.mod.id]);
    if (!call || (call->inv && call->inv->dlg != dialog))
        return; // its place is another call's by now
    const std::string method(tsx->method.name.ptr, tsx->method.name.slen);
    if (!bye && method != "INVITE" && method != "UPDATE" && method != "INFO")
        return;
    void *&seen = tsx->mod_data[watcher_.id];
    if (seen)
        return;
    seen = tsx;
    handler->onRequestAnswered(call->index, method, bye ? 0 : tsx->status_code);
}

}

std::vector<int> exchange_of(int callId)
{
    pjsua_call *call = call_at(callId);
    const pjmedia_sdp_session *local = nullptr, *remote = nullptr;
    if (!call || !call->inv->neg || call->audio_idx < 0 ||
        pjmedia_sdp_neg_get_active_local(call->inv->neg, &local) != PJ_SUCCESS ||
        pjmedia_sdp_neg_get_active_remote(call->inv->neg, &remote) != PJ_SUCCESS)
        return {};
    const unsigned index = static_cast<unsigned>(call->audio_idx);
    return {pjmedia_sdp_neg_was_answer_remote(call->inv->neg) ? 1 : 0, direction(local, index),
            direction(remote, index)};
}

bool watch_call(int callId)
{
    pjsua_call *call = call_at(callId);
    if (call)
        bear_infos(call->inv->dlg);
    return call && pjsip_dlg_add_usage(call->inv->dlg, &farewell_, nullptr) == PJ_SUCCESS &&
           pjsip_dlg_add_usage(call->inv->dlg, &watcher_, nullptr) == PJ_SUCCESS;
}

long packets_received(int callId)
{
    pjsua_call *call = call_at(callId);
    pjsua_stream_stat stat;
    if (!call || call->audio_idx < 0 ||
        pjsua_call_get_stream_stat(callId, static_cast<unsigned>(call->audio_idx), &stat) != PJ_SUCCESS)
        return -1;
    // RTP counts on the receiving side; the peer's reports are about what we send.
    return static_cast<long>(stat.rtcp.rx.pkt) + static_cast<long>(stat.rtcp.tx.update_cnt);
}

void watch_sessions()
{
    pjsip_endpoint *endpoint = pjsua_get_pjsip_endpt();
    // After the INVITE session, whose state is then what the answer made of it.
    watcher_ = named_module("mod-gateway-sessions", PJSIP_MOD_PRIORITY_APPLICATION + 1);
    watcher_.on_tsx_state = guarded<&on_tsx_state>;
    // Before the INVITE session.
    farewell_ = named_module("mod-gateway-farewell", PJSIP_MOD_PRIORITY_DIALOG_USAGE - 1);
    farewell_.on_tsx_state = guarded<&before_session>;
    // Before the transactions, which keep responses to themselves.
    reader_ = named_module("mod-gateway-descriptions", PJSIP_MOD_PRIORITY_TSX_LAYER - 1);
    reader_.on_rx_request = guarded<&on_message>;
    reader_.on_rx_response = guarded<&on_message>;
    watch_infos();
    register_module(watcher_);
    register_module(reader_);
    register_module(farewell_);
}

}
