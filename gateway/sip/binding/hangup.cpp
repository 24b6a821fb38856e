/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hangup.hpp"

#include <map>

#include <pjsip.h>
#include <pjsip_ua.h>
#include <pjsua-lib/pjsua.h>

#include "modules.hpp"
#include "sending.hpp"

namespace gateway {

namespace {

const int TIMES = 2;
const long BEFORE_MS[TIMES] = {50, 2000};

/* One that is to be sent again. It keeps its dialog, whose route and numbers it has, until forget(). */
struct Bye {
    pjsip_dialog *dialog;
    pjsip_tx_data *tdata;
    int sent;
    pj_timer_entry timer;
};

std::map<int, Bye> byes_;
int next_id_ = 1;

pjsip_module *keeper()
{
    // Sessions are counted per dialog, whoever holds them; the name is for PJSIP's log alone.
    static pjsip_module module = named_module("mod-gateway-hangup");
    return &module;
}

void forget(int id)
{
    const auto found = byes_.find(id);
    if (found == byes_.end())
        return;
    pjsip_endpt_cancel_timer(pjsua_get_pjsip_endpt(), &found->second.timer); // nothing happens when it is not set
    const Bye bye = found->second;
    byes_.erase(found);
    pjsip_tx_data_dec_ref(bye.tdata);
    pjsip_dlg_dec_session(bye.dialog, keeper());
}

bool is_lost(const pjsip_transaction *tsx, const pjsip_event *event)
{
    return tsx->status_code == PJSIP_SC_TSX_TRANSPORT_ERROR && event->type == PJSIP_EVENT_TSX_STATE &&
           event->body.tsx_state.type != PJSIP_EVENT_RX_MSG;
}

/* It may not have been read: once more after a while, or that was it. */
void lost(int id)
{
    const auto found = byes_.find(id);
    if (found == byes_.end())
        return;
    Bye &bye = found->second;
    if (bye.sent < TIMES) {
        pj_time_val delay = {0, BEFORE_MS[bye.sent]};
        pj_time_val_normalize(&delay);
        if (pjsip_endpt_schedule_timer(pjsua_get_pjsip_endpt(), &bye.timer, &delay) == PJ_SUCCESS)
            return;
    }
    pjsip_tx_data *tdata = bye.tdata;
    pjsip_tx_data_add_ref(tdata);
    forget(id);
    tell_unsent(tdata);
    pjsip_tx_data_dec_ref(tdata);
}

void on_answer(int id, pjsip_event *event)
{
    if (is_lost(event->body.tsx_state.tsx, event))
        lost(id);
    else
        forget(id);
}

/* RFC 3261 §12.2.1.1: a request with a number of its own. Who has read the one before it answers 481. */
void on_time(pj_timer_heap_t *, pj_timer_entry *entry)
{
    const int id = static_cast<int>(reinterpret_cast<size_t>(entry->user_data));
    const auto found = byes_.find(id);
    if (found == byes_.end())
        return;
    Bye &bye = found->second;
    renew(bye.tdata);
    pjsip_tx_data_add_ref(bye.tdata); // sending takes one away, whatever becomes of it
    ++bye.sent;
    if (!send_in_dialog(bye.dialog, bye.tdata, [id](pjsip_event *event) { on_answer(id, event); }))
        lost(id);
}

void cancel(pjsip_dialog *dialog, pjsip_tx_data *invite)
{
    pjsip_tx_data *tdata = nullptr;
    if (pjsip_endpt_create_cancel(pjsua_get_pjsip_endpt(), invite, &tdata) != PJ_SUCCESS)
        return;
    tdata->dest_info.addr.count = tdata->dest_info.cur_addr = 0;
    pjsip_tx_data_set_transport(tdata, &dialog->tp_sel);
    pjsip_tx_data_add_ref(tdata);
    if (!send_request(tdata, nullptr))
        tell_unsent(tdata);
    pjsip_tx_data_dec_ref(tdata);
}

void hang_up(pjsip_dialog *dialog, pjsip_tx_data *tdata)
{
    const int id = next_id_++;
    Bye &bye = byes_[id];
    bye.dialog = dialog;
    bye.tdata = tdata;
    bye.sent = 0;
    pj_timer_entry_init(&bye.timer, 0, reinterpret_cast<void *>(static_cast<size_t>(id)), guarded<&on_time>);
    pjsip_tx_data_add_ref(bye.tdata);
    pjsip_dlg_inc_session(dialog, keeper());
    lost(id);
}

}

void transaction_went_on(pjsip_transaction *tsx, const pjsip_event *event)
{
    pjsip_dialog *dialog = pjsip_tsx_get_dlg(tsx);
    if (tsx->state != PJSIP_TSX_STATE_TERMINATED || !dialog || !tsx->last_tx || !is_lost(tsx, event))
        return;
    if (tsx->method.id == PJSIP_BYE_METHOD)
        hang_up(dialog, tsx->last_tx);
    else if (tsx->method.id == PJSIP_INVITE_METHOD && event->body.tsx_state.prev_state == PJSIP_TSX_STATE_PROCEEDING)
        cancel(dialog, tsx->last_tx);
}

void stop_hanging_up()
{
    while (!byes_.empty())
        forget(byes_.begin()->first);
}

}
