/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "watches.hpp"

#include <chrono>
#include <map>
#include <vector>

#include <pjsip.h>
#include <pjsip_simple.h>
#include <pjsip_ua.h>
#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

#include "modules.hpp"
#include "neighbours.hpp"
#include "requests.hpp"
#include "strings.hpp"

namespace gateway {

namespace {

using Clock = std::chrono::steady_clock;

/* So long a peer has to confirm the end of a watch. */
const std::chrono::seconds PARTING{10};

struct Watch {
    pjsip_evsub *sub;
    pjsip_dialog *dialog;
    int retry_after;
};

struct Leaving {
    pjsip_dialog *dialog;
    Clock::time_point since;
};

/* Keeps a dialog, and what is in it, until whoever holds this is done with it. */
class Hold {
public:
    explicit Hold(pjsip_dialog *dialog) : dialog_(dialog) { pjsip_dlg_inc_lock(dialog_); }
    ~Hold() { pjsip_dlg_dec_lock(dialog_); }
    Hold(const Hold &) = delete;
    Hold &operator=(const Hold &) = delete;

private:
    pjsip_dialog *dialog_;
};

std::map<int, Watch> watches_;
std::map<pjsip_evsub *, Leaving> leaving_; // the peer has yet to confirm their end
int next_id_ = 1;
bool starting_ = false; // what fails at once is told by watch() itself

int id_of(const pjsip_evsub *sub)
{
    for (const auto &entry : watches_)
        if (entry.second.sub == sub)
            return entry.first;
    return -1;
}

template <typename Tell> void tell(Tell what)
{
    RequestHandler *handler = request_handler();
    if (!handler)
        return;
    try {
        what(*handler);
    } catch (...) {
        tell_fault("the handler of a subscription");
    }
}

void on_state(pjsip_evsub *sub, pjsip_event *event)
{
    if (pjsip_evsub_get_state(sub) != PJSIP_EVSUB_STATE_TERMINATED)
        return;
    leaving_.erase(sub);
    const int id = id_of(sub);
    if (id < 0)
        return;
    const int retry_after = watches_[id].retry_after;
    watches_.erase(id);
    if (starting_)
        return;
    int code = 0; // it was ended by a NOTIFY, or by our own clock
    if (event->type == PJSIP_EVENT_TSX_STATE && event->body.tsx_state.tsx->role == PJSIP_ROLE_UAC)
        code = event->body.tsx_state.tsx->status_code;
    const std::string reason = text_of(*pjsip_evsub_get_termination_reason(sub));
    tell([&](RequestHandler &handler) { handler.onWatchEnded(id, code, reason, retry_after); });
}

void on_tsx(pjsip_evsub *sub, pjsip_transaction *tsx, pjsip_event *event)
{
    const int id = id_of(sub);
    if (id < 0 || tsx->role != PJSIP_ROLE_UAC || tsx->state != PJSIP_TSX_STATE_COMPLETED ||
        event->body.tsx_state.type != PJSIP_EVENT_RX_MSG || tsx->status_code / 100 != 2)
        return;
    tell([&](RequestHandler &handler) { handler.onWatchRefreshed(id); });
}

void on_notify(pjsip_evsub *sub, pjsip_rx_data *rdata, int *, pj_str_t **, pjsip_hdr *, pjsip_msg_body **)
{
    const int id = id_of(sub);
    if (id < 0)
        return;
    const pj_str_t name = pj_str(const_cast<char *>("Subscription-State"));
    const pjsip_sub_state_hdr *state = static_cast<const pjsip_sub_state_hdr *>(
        pjsip_msg_find_hdr_by_name(rdata->msg_info.msg, &name, nullptr));
    watches_[id].retry_after = state ? state->retry_after : -1;
    const pjsip_msg_body *body = rdata->msg_info.msg->body;
    std::string type, content;
    if (body) {
        type = text_of(body->content_type.type) + "/" + text_of(body->content_type.subtype);
        content.assign(static_cast<const char *>(body->data), body->len);
    }
    const std::string phase = state ? text_of(state->sub_state) : "";
    tell([&](RequestHandler &handler) { handler.onWatchNotified(id, phase, type, content); });
}

/* A dialog with the account's identity; null when there can't be one. Whatever is done with it next has to hold it. */
pjsip_dialog *make_dialog(int account, const std::string &uri)
{
    pj_pool_t *pool = pjsua_pool_create("watch", 512, 512);
    pj_str_t target, contact;
    pj_strdup2_with_null(pool, &target, uri.c_str());
    pjsip_dialog *dialog = nullptr;
    if (pjsua_acc_create_uac_contact(pool, &contact, account, &target) != PJ_SUCCESS ||
        pjsip_dlg_create_uac(pjsip_ua_instance(), &pjsua_var.acc[account].cfg.id, &contact, &target, nullptr,
                             &dialog) != PJ_SUCCESS)
        dialog = nullptr;
    pj_pool_release(pool);
    if (dialog)
        belongs_to(dialog, account);
    return dialog;
}

/* Give a dialog the account's route, transport and credentials. */
void equip(pjsip_dialog *dialog, int account)
{
    pjsua_acc *acc = &pjsua_var.acc[account];
    if (!pj_list_empty(&acc->route_set))
        pjsip_dlg_set_route_set(dialog, &acc->route_set);
    if (acc->cred_cnt)
        pjsip_auth_clt_set_credentials(&dialog->auth_sess, acc->cred_cnt, acc->cred);
    pjsip_tpselector selector;
    pjsua_init_tpselector(account, &selector);
    pjsip_dlg_set_transport(dialog, &selector);
}

}

int watch(int account, const std::string &uri, const std::string &event, int expires)
{
    pjsip_dialog *dialog = pjsua_acc_is_valid(account) ? make_dialog(account, uri) : nullptr;
    if (!dialog)
        return -1;
    const Hold hold(dialog); // one of which nothing came goes with it
    equip(dialog, account);
    pjsip_evsub_user callbacks;
    pj_bzero(&callbacks, sizeof(callbacks));
    callbacks.on_evsub_state = guarded<&on_state>;
    callbacks.on_tsx_state = guarded<&on_tsx>;
    callbacks.on_rx_notify = guarded<&on_notify>;
    const pj_str_t package = pj_str(const_cast<char *>(event.c_str()));
    pjsip_evsub *sub = nullptr;
    if (pjsip_evsub_create_uac(dialog, &callbacks, &package, PJSIP_EVSUB_NO_EVENT_ID, &sub) != PJ_SUCCESS)
        return -1;
    const int id = next_id_++;
    watches_[id] = Watch{sub, dialog, -1};
    pjsip_tx_data *tdata = nullptr;
    starting_ = true;
    const bool sent = pjsip_evsub_initiate(sub, nullptr, expires, &tdata) == PJ_SUCCESS &&
                      pjsip_evsub_send_request(sub, tdata) == PJ_SUCCESS;
    if (!sent)
        pjsip_evsub_terminate(sub, PJ_FALSE);
    starting_ = false;
    if (!sent)
        watches_.erase(id);
    return watches_.count(id) ? id : -1;
}

bool refresh_watch(int watch, int expires)
{
    const auto found = watches_.find(watch);
    pjsip_tx_data *tdata = nullptr;
    return found != watches_.end() &&
           pjsip_evsub_initiate(found->second.sub, nullptr, expires, &tdata) == PJ_SUCCESS &&
           pjsip_evsub_send_request(found->second.sub, tdata) == PJ_SUCCESS;
}

void end_watch(int watch)
{
    const auto found = watches_.find(watch);
    if (found == watches_.end())
        return;
    pjsip_evsub *sub = found->second.sub;
    pjsip_dialog *dialog = found->second.dialog;
    const Hold hold(dialog);
    watches_.erase(found);
    const pjsip_evsub_state state = pjsip_evsub_get_state(sub);
    pjsip_tx_data *tdata = nullptr;
    leaving_[sub] = {dialog, Clock::now()};
    // One that was not answered yet has nothing that could be ended at the peer.
    if ((state == PJSIP_EVSUB_STATE_ACCEPTED || state == PJSIP_EVSUB_STATE_PENDING ||
         state == PJSIP_EVSUB_STATE_ACTIVE) &&
        pjsip_evsub_initiate(sub, nullptr, 0, &tdata) == PJ_SUCCESS &&
        pjsip_evsub_send_request(sub, tdata) == PJ_SUCCESS)
        return;
    leaving_.erase(sub);
    pjsip_evsub_terminate(sub, PJ_FALSE);
}

/* PJSIP ends one when the peer confirms it, refuses it with most codes, or says nothing. After a 490, which it takes for its
 * own, and while the peer goes on with NOTIFYs that it has to refuse, it would keep it. */
void end_overdue_watches()
{
    const Clock::time_point now = Clock::now();
    std::vector<std::pair<pjsip_evsub *, pjsip_dialog *>> overdue;
    for (const auto &[sub, leaving] : leaving_)
        if (now - leaving.since > PARTING)
            overdue.emplace_back(sub, leaving.dialog);
    for (const auto &[sub, dialog] : overdue) {
        const Hold hold(dialog);
        leaving_.erase(sub);
        pjsip_evsub_terminate(sub, PJ_FALSE);
    }
}

int watch_count()
{
    return static_cast<int>(watches_.size() + leaving_.size());
}

void forget_watches()
{
    watches_.clear();
    leaving_.clear();
}

bool is_watch(const pjsip_dialog *dialog)
{
    return pjsip_dlg_has_usage(const_cast<pjsip_dialog *>(dialog), pjsip_evsub_instance()) == PJ_TRUE;
}

}
