/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "referrals.hpp"

#include <map>

#include <pjsip.h>
#include <pjsip_ua.h>
#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

#include "calls.hpp"
#include "modules.hpp"
#include "requests.hpp"
#include "sending.hpp"

namespace gateway {

namespace {

struct Referral {
    pjsip_dialog *dialog;
    long cseq;
};

std::map<int, Referral> referrals_;
int next_id_ = 1;

pjsip_module *keeper()
{
    static pjsip_module module = named_module("mod-gateway-referrer");
    return &module;
}

void on_answer(int referral, pjsip_event *event);

bool send(int referral, Referral &of, pjsip_tx_data *tdata)
{
    of.cseq = of.dialog->local.cseq; // which it gets
    return send_in_dialog(of.dialog, tdata, [referral](pjsip_event *event) { on_answer(referral, event); });
}

void on_answer(int referral, pjsip_event *event)
{
    const auto found = referrals_.find(referral);
    if (found == referrals_.end())
        return;
    pjsip_transaction *tsx = event->body.tsx_state.tsx;
    const int code = tsx->status_code;
    if ((code == 401 || code == 407) && event->body.tsx_state.type == PJSIP_EVENT_RX_MSG) {
        pjsip_tx_data *again = nullptr;
        if (pjsip_auth_clt_reinit_req(&found->second.dialog->auth_sess, event->body.tsx_state.src.rdata, tsx->last_tx,
                                      &again) == PJ_SUCCESS &&
            send(referral, found->second, again))
            return;
    }
    if (code >= 300)
        end_referral(referral);
    if (RequestHandler *handler = request_handler())
        handler->onReferAnswered(referral, code);
}

/* The newest referral in `dialog` that a NOTIFY with this Event is about; -1: none. */
int find(const pjsip_dialog *dialog, const std::string &event)
{
    for (auto entry = referrals_.rbegin(); entry != referrals_.rend(); ++entry) {
        const std::string with_id = "refer;id=" + std::to_string(entry->second.cseq);
        if (entry->second.dialog == dialog && (event == "refer" || event == with_id))
            return entry->first;
    }
    return -1;
}

}

int send_refer(int callId, const std::string &referTo, const std::vector<pj::SipHeader> &headers)
{
    const pjsua_call *call = call_at(callId);
    if (!call)
        return -1;
    pjsip_dialog *dialog = call->inv->dlg;
    const pj_str_t name = pj_str(const_cast<char *>("REFER"));
    pjsip_method method;
    pjsip_method_init_np(&method, const_cast<pj_str_t *>(&name));
    pjsip_tx_data *tdata = nullptr;
    if (pjsip_dlg_create_request(dialog, &method, -1, &tdata) != PJ_SUCCESS)
        return -1;
    if (!pjsip_msg_find_hdr(tdata->msg, PJSIP_H_CONTACT, nullptr))
        pjsip_msg_add_hdr(tdata->msg, static_cast<pjsip_hdr *>(pjsip_hdr_clone(tdata->pool, dialog->local.contact)));
    // The strings have to live as long as the message: its pool takes copies.
    const auto keep = [&](const std::string &text) {
        pj_str_t copy;
        pj_strdup2_with_null(tdata->pool, &copy, text.c_str());
        return copy;
    };
    const auto put = [&](const std::string &header, const std::string &value) {
        const pj_str_t hname = keep(header), hvalue = keep(value);
        pjsip_msg_add_hdr(tdata->msg,
                          reinterpret_cast<pjsip_hdr *>(pjsip_generic_string_hdr_create(tdata->pool, &hname, &hvalue)));
    };
    put("Refer-To", "<" + referTo + ">");
    for (const pj::SipHeader &header : headers)
        put(header.hName, header.hValue);
    watch_dialog(dialog);
    const int id = next_id_++;
    pjsip_dlg_inc_session(dialog, keeper());
    referrals_[id] = Referral{dialog, 0};
    pjsip_tx_data_add_ref(tdata);
    const bool sent = send(id, referrals_[id], tdata);
    if (!sent) {
        end_referral(id);
        tell_unsent(tdata);
    }
    pjsip_tx_data_dec_ref(tdata);
    return sent ? id : -1;
}

void end_referral(int referral)
{
    const auto found = referrals_.find(referral);
    if (found == referrals_.end())
        return;
    pjsip_dialog *dialog = found->second.dialog;
    referrals_.erase(found);
    pjsip_dlg_dec_session(dialog, keeper());
}

void end_all_referrals()
{
    while (!referrals_.empty())
        end_referral(referrals_.begin()->first);
}

int referral_count()
{
    return static_cast<int>(referrals_.size());
}

bool take_notify(pjsip_dialog *dialog, pjsip_rx_data *rdata)
{
    SipRequest request(rdata, dialog);
    const std::vector<std::string> event = request.values("Event", "o");
    const int referral = event.size() == 1 ? find(dialog, event[0]) : -1;
    if (referral < 0)
        return false;
    const std::vector<std::string> state = request.values("Subscription-State");
    const bool last = state.size() == 1 && state[0].compare(0, 10, "terminated") == 0;
    const pjsip_msg_body *body = rdata->msg_info.msg->body;
    const std::string text = body ? std::string(static_cast<const char *>(body->data), body->len) : std::string();
    request.respond(200, "", {});
    request.expire();
    if (request_handler()) {
        try {
            request_handler()->onReferNotified(referral, text, last);
        } catch (...) {
            tell_fault("the handler of a NOTIFY");
        }
    }
    if (last)
        end_referral(referral);
    return true;
}

}
