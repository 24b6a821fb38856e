/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "subscriptions.hpp"

#include <map>

#include <pjsip.h>
#include <pjsip_ua.h>
#include <pjsua-lib/pjsua.h>

#include "modules.hpp"
#include "requests.hpp"
#include "sending.hpp"

namespace gateway {

namespace {

struct Subscription {
    pjsip_dialog *dialog;
    long cseq;
    bool last_sent;
    bool sent_again;
};

std::map<int, Subscription> subscriptions_;
int next_id_ = 1;

pjsip_module *keeper()
{
    // Sessions are counted per dialog, whoever holds them; the name is for PJSIP's log alone.
    static pjsip_module module = named_module("mod-gateway-notifier");
    return &module;
}

void add_header(pjsip_tx_data *tdata, const char *name, const std::string &value)
{
    const pj_str_t hname = pj_str(const_cast<char *>(name));
    pj_str_t hvalue;
    hvalue.ptr = const_cast<char *>(value.data());
    hvalue.slen = static_cast<pj_ssize_t>(value.size());
    pjsip_hdr *header = reinterpret_cast<pjsip_hdr *>(pjsip_generic_string_hdr_create(tdata->pool, &hname, &hvalue));
    pjsip_msg_add_hdr(tdata->msg, header);
}

bool send(pjsip_dialog *dialog, pjsip_tx_data *tdata, int subscription);

/* Its connection went down under it, and the peer may never have seen it: once more, over a new one. */
bool send_again(Subscription &subscription, pjsip_tx_data *tdata, int id)
{
    if (subscription.sent_again)
        return false;
    subscription.sent_again = true;
    renew(tdata);
    pjsip_tx_data_add_ref(tdata);
    return send(subscription.dialog, tdata, id);
}

void on_answer(int subscription, pjsip_event *event)
{
    const auto found = subscriptions_.find(subscription);
    if (found == subscriptions_.end())
        return;
    pjsip_transaction *tsx = event->body.tsx_state.tsx;
    const int code = tsx->status_code;
    const bool received = event->body.tsx_state.type == PJSIP_EVENT_RX_MSG;
    pjsip_dialog *dialog = found->second.dialog;
    if ((code == 401 || code == 407) && received) {
        pjsip_tx_data *again = nullptr;
        if (pjsip_auth_clt_reinit_req(&dialog->auth_sess, event->body.tsx_state.src.rdata, tsx->last_tx, &again) ==
                PJ_SUCCESS &&
            send(dialog, again, subscription))
            return;
    }
    if (code == PJSIP_SC_TSX_TRANSPORT_ERROR && !received && tsx->last_tx &&
        send_again(found->second, tsx->last_tx, subscription))
        return;
    if (found->second.last_sent || code == 481 || code == 408)
        end_subscription(subscription);
    RequestHandler *handler = request_handler();
    if (handler)
        handler->onNotifyAnswered(subscription, code);
}

bool send(pjsip_dialog *dialog, pjsip_tx_data *tdata, int subscription)
{
    pjsip_tx_data_add_ref(tdata);
    bool sent =
        send_in_dialog(dialog, tdata, [subscription](pjsip_event *event) { on_answer(subscription, event); });
    const auto found = subscriptions_.find(subscription);
    if (!sent && found != subscriptions_.end())
        sent = send_again(found->second, tdata, subscription);
    pjsip_tx_data_dec_ref(tdata);
    return sent;
}

}

int create_subscription(pjsip_dialog *dialog, long cseq)
{
    const int id = next_id_++;
    pjsip_dlg_inc_session(dialog, keeper());
    subscriptions_[id] = Subscription{dialog, cseq, false, false};
    return id;
}

int find_subscription(const pjsip_dialog *dialog, const std::string &event)
{
    for (const auto &entry : subscriptions_) {
        const std::string with_id = "refer;id=" + std::to_string(entry.second.cseq);
        if (entry.second.dialog == dialog && (event == "refer" || event == with_id))
            return entry.first;
    }
    return -1;
}

void end_subscription(int subscription)
{
    const auto found = subscriptions_.find(subscription);
    if (found == subscriptions_.end())
        return;
    pjsip_dialog *dialog = found->second.dialog;
    subscriptions_.erase(found);
    pjsip_dlg_dec_session(dialog, keeper());
}

int subscription_count()
{
    return static_cast<int>(subscriptions_.size());
}

bool send_notify(int subscription, const std::string &status_line, const std::string &state, bool with_id)
{
    const auto found = subscriptions_.find(subscription);
    if (found == subscriptions_.end())
        return false;
    pjsip_dialog *dialog = found->second.dialog;
    const pj_str_t name = pj_str(const_cast<char *>("NOTIFY"));
    pjsip_method method;
    pjsip_method_init_np(&method, const_cast<pj_str_t *>(&name));
    pjsip_tx_data *tdata = nullptr;
    if (pjsip_dlg_create_request(dialog, &method, -1, &tdata) != PJ_SUCCESS)
        return false;
    if (!pjsip_msg_find_hdr(tdata->msg, PJSIP_H_CONTACT, nullptr))
        pjsip_msg_add_hdr(tdata->msg, static_cast<pjsip_hdr *>(pjsip_hdr_clone(tdata->pool, dialog->local.contact)));
    add_header(tdata, "Event", with_id ? "refer;id=" + std::to_string(found->second.cseq) : "refer");
    add_header(tdata, "Subscription-State", state);
    const std::string body = status_line + "\r\n";
    const pj_str_t type = pj_str(const_cast<char *>("message")), subtype = pj_str(const_cast<char *>("sipfrag"));
    pj_str_t text;
    text.ptr = const_cast<char *>(body.data());
    text.slen = static_cast<pj_ssize_t>(body.size());
    tdata->msg->body = pjsip_msg_body_create(tdata->pool, &type, &subtype, &text);
    pjsip_param *version = PJ_POOL_ALLOC_T(tdata->pool, pjsip_param);
    version->name = pj_str(const_cast<char *>("version"));
    version->value = pj_str(const_cast<char *>("2.0"));
    pj_list_push_back(&tdata->msg->body->content_type.param, version);
    found->second.last_sent = state.compare(0, 10, "terminated") == 0;
    found->second.sent_again = false;
    pjsip_tx_data_add_ref(tdata);
    const bool sent = send(dialog, tdata, subscription);
    if (!sent)
        tell_unsent(tdata);
    pjsip_tx_data_dec_ref(tdata);
    return sent;
}

void end_all_subscriptions()
{
    while (!subscriptions_.empty())
        end_subscription(subscriptions_.begin()->first);
}

}
