/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "requests.hpp"

#include <pjsip.h>
#include <pjsip_ua.h>
#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

#include "as_written.hpp"
#include "calls.hpp"
#include "capabilities.hpp"
#include "challenges.hpp"
#include "contacts.hpp"
#include "description_reader.hpp"
#include "descriptions.hpp"
#include "destination.hpp"
#include "front.hpp"
#include "hangup.hpp"
#include "identities.hpp"
#include "malformed.hpp"
#include "media.hpp"
#include "messages.hpp"
#include "modules.hpp"
#include "outgoing.hpp"
#include "printing.hpp"
#include "referrals.hpp"
#include "registrations.hpp"
#include "resolver.hpp"
#include "rtp_ports.hpp"
#include "sending.hpp"
#include "strictness.hpp"
#include "strings.hpp"
#include "subscriptions.hpp"
#include "watches.hpp"

namespace gateway {

namespace {

RequestHandler *handler_ = nullptr;
pjsip_module usage_, strays_;

bool is(const pjsip_rx_data *rdata, const char *method)
{
    return pj_strcmp2(&rdata->msg_info.msg->line.req.method.name, method) == 0;
}

/* Requests inside of a dialog that the INVITE session or PJSUA answers. */
bool served_by_pjsua(const pjsip_rx_data *rdata)
{
    switch (rdata->msg_info.msg->line.req.method.id) {
    case PJSIP_INVITE_METHOD:
    case PJSIP_ACK_METHOD:
    case PJSIP_CANCEL_METHOD:
    case PJSIP_BYE_METHOD:
        return true;
    default:
        return is(rdata, "PRACK") || is(rdata, "UPDATE");
    }
}

int call_of(const pjsip_dialog *dialog)
{
    const pjsua_call *call = call_in(dialog);
    return call ? call->index : -1;
}

/* Runs the application's code; an exception there leaves the request unanswered and the caller answers 500. */
template <typename Decide> void ask(SipRequest &request, Decide decide)
{
    try {
        decide();
    } catch (...) {
        tell_fault(("the handler of a " + request.method).c_str());
    }
}

/* Answer a SUBSCRIBE that refreshes or ends the subscription of a REFER (RFC 3515 §2.4.4, RFC 6665 §4.2.1). */
void on_subscribe(pjsip_dialog *dialog, pjsip_rx_data *rdata)
{
    SipRequest request(rdata, dialog);
    const std::vector<std::string> event = request.values("Event", "o");
    const int subscription = event.size() == 1 ? find_subscription(dialog, event[0]) : -1;
    if (subscription < 0) {
        request.respond(event.empty() ? 400 : 489, "", {});
        return;
    }
    const pjsip_expires_hdr *expires =
        static_cast<pjsip_expires_hdr *>(pjsip_msg_find_hdr(rdata->msg_info.msg, PJSIP_H_EXPIRES, nullptr));
    const unsigned seconds = expires ? expires->ivalue : 60;
    pj::SipHeader granted;
    granted.hName = "Expires";
    granted.hValue = std::to_string(seconds);
    request.respond(200, "", {granted});
    if (seconds == 0 && handler_)
        ask(request, [&] { handler_->onUnsubscribed(subscription); });
}

pj::SipHeader header(const char *name, const std::string &value)
{
    pj::SipHeader made;
    made.hName = name;
    made.hValue = value;
    return made;
}

/* Answer what nobody else does: OPTIONS, which some send to see whether a call is still there, NOTIFY of a subscription
 * that there is not (RFC 6665 §4.1.3), and every other method. */
void answer_rest(pjsip_dialog *dialog, pjsip_rx_data *rdata)
{
    const pj::SipHeader allow = header("Allow", allowed_methods());
    SipRequest request(rdata, dialog);
    if (is(rdata, "OPTIONS"))
        request.respond(200, "",
                        {allow, header("Accept", accepted_types()), header("Supported", supported_extensions())});
    else if (is(rdata, "NOTIFY"))
        request.respond(481, "", {});
    else
        request.respond(405, "", {allow});
}

/* Leave a request in a dialog to the application, which is to answer it at once. */
template <typename Decide> void leave_to_handler(pjsip_dialog *dialog, pjsip_rx_data *rdata, Decide decide)
{
    SipRequest request(rdata, dialog);
    if (handler_)
        ask(request, [&] { decide(request); });
    if (!request.answered)
        request.respond(500, "", {});
    request.expire();
}

/* Dialog usage: sees the first state of a server transaction before the INVITE session and PJSUA do. */
void on_tsx_state(pjsip_transaction *tsx, pjsip_event *event)
{
    if (tsx->role != PJSIP_ROLE_UAS || tsx->state != PJSIP_TSX_STATE_TRYING || event->type != PJSIP_EVENT_TSX_STATE ||
        event->body.tsx_state.type != PJSIP_EVENT_RX_MSG)
        return;
    pjsip_rx_data *rdata = event->body.tsx_state.src.rdata;
    pjsip_dialog *dialog = pjsip_tsx_get_dlg(tsx);
    if (!dialog)
        return;
    if (is(rdata, "SUBSCRIBE")) {
        on_subscribe(dialog, rdata);
    } else if (is(rdata, "REFER")) {
        leave_to_handler(dialog, rdata, [&](SipRequest &request) { handler_->onRefer(call_of(dialog), request); });
    } else if (is(rdata, "INFO")) {
        leave_to_handler(dialog, rdata, [&](SipRequest &request) { handler_->onInfo(call_of(dialog), request); });
    } else if (!served_by_pjsua(rdata) && !(is(rdata, "NOTIFY") && (is_watch(dialog) || take_notify(dialog, rdata)))) {
        answer_rest(dialog, rdata);
    }
}

/* Whether a request is for a session that is over, or that PJSUA has begun to end: it would leave such a request without an
 * answer, and its dialog and transaction stay for good. Its own BYE may still cross ours (RFC 3261 §15.1.2). */
bool comes_late(const pjsip_dialog *dialog, const pjsip_rx_data *rdata)
{
    const pjsua_call *call = call_in(dialog);
    const bool over = !session_in(dialog);
    switch (rdata->msg_info.msg->line.req.method.id) {
    case PJSIP_BYE_METHOD:
    case PJSIP_CANCEL_METHOD:
        return over;
    case PJSIP_INVITE_METHOD:
        return over || !call || call->hanging_up;
    default:
        return (is(rdata, "UPDATE") || is(rdata, "PRACK") || is(rdata, "INFO")) && (over || !call || call->hanging_up);
    }
}

/* Whether a re-INVITE or UPDATE asks for what is there already, and only keeps the session alive (RFC 4028 §7.4). */
bool changes_nothing(const pjsip_dialog *dialog, pjsip_rx_data *rdata)
{
    const void *header = pjsip_msg_find_hdr(rdata->msg_info.msg, PJSIP_H_CONTACT, nullptr);
    const auto *contact = static_cast<const pjsip_contact_hdr *>(header);
    const pjsip_contact_hdr *known = dialog->remote.contact;
    if (contact && (!contact->uri || !known || !known->uri ||
                    pjsip_uri_cmp(PJSIP_URI_IN_CONTACT_HDR, pjsip_uri_get_uri(contact->uri),
                                  pjsip_uri_get_uri(known->uri)) != PJ_SUCCESS))
        return false;
    const pjsip_rdata_sdp_info *info = read_description(rdata);
    if (!info)
        return is(rdata, "UPDATE"); // a re-INVITE without an offer leaves the change to its ACK
    const pjsip_inv_session *session = session_in(dialog);
    const pjmedia_sdp_session *active = nullptr;
    return info->sdp && session && session->neg &&
           pjmedia_sdp_neg_get_active_remote(session->neg, &active) == PJ_SUCCESS && lead_to_the_same(*active, *info->sdp);
}

/* Ask the application about a re-INVITE or UPDATE; false: it has been answered. */
bool may_refresh(const pjsip_dialog *dialog, pjsip_rx_data *rdata)
{
    // One that comes out of order is refused by the dialog (RFC 3261 §12.2.2), and says nothing that counts.
    if (!handler_ || rdata->msg_info.cseq->cseq <= dialog->remote.cseq)
        return true;
    SipRequest request(rdata, nullptr);
    std::vector<pj::SipHeader> headers;
    int code = 500;
    ask(request, [&] { code = handler_->onRefresh(call_of(dialog), request, headers); });
    // Who does not answer a challenge within a dialog, as some do not, keeps the session that it refreshes.
    const bool passes = code == 0 || (code == PJSIP_SC_UNAUTHORIZED && changes_nothing(dialog, rdata));
    if (!passes)
        request.respond(code, "", headers);
    request.expire();
    return passes;
}

/* In front of the dialogs: answers what a session could not, and makes sure that our usage is part of the dialog where the
 * request is none of PJSUA's. */
pj_bool_t on_dialog_request(pjsip_rx_data *rdata)
{
    const pjsip_method_e method = rdata->msg_info.msg->line.req.method.id;
    if (rdata->msg_info.to->tag.slen == 0 || method == PJSIP_ACK_METHOD)
        return PJ_FALSE;
    pjsip_dialog *dialog = pjsip_ua_find_dialog(&rdata->msg_info.cid->id, &rdata->msg_info.to->tag,
                                                &rdata->msg_info.from->tag, PJ_FALSE);
    if (!dialog)
        return PJ_FALSE;
    const bool refreshes = method == PJSIP_INVITE_METHOD || is(rdata, "UPDATE");
    int code = comes_late(dialog, rdata) ? 481 : 0;
    if (!code && refreshes)
        code = verdict_on_offer(rdata);
    if (code) {
        SipRequest(rdata, nullptr).respond(code, "", {});
        return PJ_TRUE;
    }
    if (refreshes && !may_refresh(dialog, rdata))
        return PJ_TRUE;
    if (!served_by_pjsua(rdata))
        pjsip_dlg_add_usage(dialog, &usage_, nullptr);
    return PJ_FALSE;
}

/* Behind the dialogs: what belongs to none of them. */
pj_bool_t on_stray_request(pjsip_rx_data *rdata)
{
    if (rdata->msg_info.msg->line.req.method.id == PJSIP_ACK_METHOD)
        return PJ_FALSE;
    SipRequest request(rdata, nullptr);
    std::vector<pj::SipHeader> headers;
    int code = 500;
    if (handler_)
        ask(request, [&] { code = handler_->onRequest(request, headers); });
    request.expire();
    if (request.answered)
        return PJ_TRUE;
    if (code == 0) {
        handed_to_pjsua(request.callId);
        begin_messages(rdata);
        return PJ_FALSE;
    }
    pjsip_hdr list;
    add_headers(&list, rdata->tp_info.pool, headers);
    pjsip_endpt_respond_stateless(pjsua_get_pjsip_endpt(), rdata, code, nullptr, &list, nullptr);
    return PJ_TRUE;
}

}

int find_call(const std::string &callId, const std::string &localTag, const std::string &remoteTag)
{
    const pj_str_t id = view_of(callId), local = view_of(localTag), remote = view_of(remoteTag);
    const pjsip_dialog *dialog = pjsip_ua_find_dialog(&id, &local, &remote, PJ_FALSE);
    return dialog ? call_of(dialog) : -1;
}

std::vector<std::string> dialog_of(int callId)
{
    const pjsua_call *call = call_at(callId);
    if (!call)
        return {};
    const pjsip_dialog *dialog = call->inv->dlg;
    return {text_of(dialog->call_id->id), text_of(dialog->local.info->tag), text_of(dialog->remote.info->tag)};
}

bool send_options(int account, const std::string &uri, int token)
{
    const pj_str_t target = view_of(uri);
    pjsip_tx_data *tdata = nullptr;
    if (pjsua_acc_create_request(account, pjsip_get_options_method(), &target, &tdata) != PJ_SUCCESS)
        return false;
    return send_request(tdata, [token](pjsip_event *event) {
        if (handler_)
            handler_->onOptionsAnswered(token, event->body.tsx_state.tsx->status_code);
    });
}

pjsip_module *stray_requests()
{
    return &strays_;
}

void watch_dialog(pjsip_dialog *dialog)
{
    pjsip_dlg_add_usage(dialog, &usage_, nullptr);
}

RequestHandler *request_handler()
{
    return handler_;
}

void set_request_handler(RequestHandler *handler)
{
    static pjsip_module dialogs;
    handler_ = handler;
    stop_sending(); // what one endpoint has begun means nothing to the next
    stop_hanging_up();
    end_all_subscriptions();
    end_all_referrals();
    forget_watches();
    release_rtp_ports();
    if (!handler)
        return;
    pjsip_endpoint *endpoint = pjsua_get_pjsip_endpt();
    set_capabilities();
    print_closely();
    keep_as_written();
    stand_in_front();
    watch_messages();
    answer_malformed();
    answer_topmost_challenge();
    judge_requests();
    space_renewals();
    watch_contacts();
    watch_identities();
    watch_outgoing();
    govern_media();
    watch_descriptions();
    resolve_by_handler();
    usage_ = named_module("mod-gateway-usage", PJSIP_MOD_PRIORITY_DIALOG_USAGE - 1);
    usage_.on_tsx_state = guarded<&on_tsx_state>;
    dialogs = named_module("mod-gateway-dialogs", PJSIP_MOD_PRIORITY_UA_PROXY_LAYER - 1);
    dialogs.on_rx_request = guarded<&on_dialog_request>;
    strays_ = named_module("mod-gateway-strays", PJSIP_MOD_PRIORITY_APPLICATION - 1);
    strays_.on_rx_request = guarded<&on_stray_request, PJ_TRUE>; // never PJSUA's by accident
    register_module(usage_);
    register_module(dialogs);
    register_module(strays_);
}

}
