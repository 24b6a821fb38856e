/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "hangup.hpp"

#include <map>

#include <pjsip.h>
#include <pjsip_ua.h>
#include <pjsua-lib/pjsua.h>

#include "modules.hpp"

namespace gateway {

namespace {

const int TIMES = 2;
const long BEFORE_MS[TIMES] = {50, 2000};

/* One that is to be sent again. It keeps its dialog, whose route and numbers it has. */
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

void wait(int id)
{
    Bye &bye = byes_.at(id);
    pj_time_val delay = {0, BEFORE_MS[bye.sent]};
    pj_time_val_normalize(&delay);
    if (pjsip_endpt_schedule_timer(pjsua_get_pjsip_endpt(), &bye.timer, &delay) != PJ_SUCCESS)
        forget(id);
}

void on_answer(void *token, pjsip_event *event)
{
    const int id = static_cast<int>(reinterpret_cast<size_t>(token));
    const auto found = byes_.find(id);
    if (found == byes_.end())
        return;
    if (event->type == PJSIP_EVENT_TSX_STATE && is_lost(event->body.tsx_state.tsx, event) && found->second.sent < TIMES)
        wait(id);
    else
        forget(id);
}

/* RFC 3261 §12.2.1.1: a request with a number of its own. Who has read the one before it answers 481. */
void on_time(pj_timer_heap_t *, pj_timer_entry *entry)
{
    void *token = entry->user_data;
    Bye &bye = byes_.at(static_cast<int>(reinterpret_cast<size_t>(token)));
    pjsip_tx_data *tdata = bye.tdata;
    if (auto *via = static_cast<pjsip_via_hdr *>(pjsip_msg_find_hdr(tdata->msg, PJSIP_H_VIA, nullptr)))
        via->branch_param.slen = 0;
    PJSIP_MSG_CSEQ_HDR(tdata->msg)->cseq = bye.dialog->local.cseq++;
    tdata->dest_info.addr.count = tdata->dest_info.cur_addr = 0;
    pjsip_tx_data_invalidate_msg(tdata);
    pjsip_tx_data_set_transport(tdata, &bye.dialog->tp_sel);
    pjsip_tx_data_add_ref(tdata); // sending takes one away, whatever becomes of it
    ++bye.sent;
    if (pjsip_endpt_send_request(pjsua_get_pjsip_endpt(), tdata, -1, token, &on_answer) != PJ_SUCCESS)
        forget(static_cast<int>(reinterpret_cast<size_t>(token)));
}

void cancel(pjsip_dialog *dialog, pjsip_tx_data *invite)
{
    pjsip_tx_data *tdata = nullptr;
    if (pjsip_endpt_create_cancel(pjsua_get_pjsip_endpt(), invite, &tdata) != PJ_SUCCESS)
        return;
    tdata->dest_info.addr.count = tdata->dest_info.cur_addr = 0;
    pjsip_tx_data_set_transport(tdata, &dialog->tp_sel);
    pjsip_endpt_send_request(pjsua_get_pjsip_endpt(), tdata, -1, nullptr, nullptr);
}

void hang_up(pjsip_dialog *dialog, pjsip_tx_data *tdata)
{
    const int id = next_id_++;
    Bye &bye = byes_[id];
    bye.dialog = dialog;
    bye.tdata = tdata;
    bye.sent = 0;
    pj_timer_entry_init(&bye.timer, 0, reinterpret_cast<void *>(static_cast<size_t>(id)), &on_time);
    pjsip_tx_data_add_ref(bye.tdata);
    pjsip_dlg_inc_session(dialog, keeper());
    wait(id);
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

}
