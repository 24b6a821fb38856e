/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "recovered_again.hpp"

#include <algorithm>

#include <pjlib-util.h>
#include <pjsip_ua.h>
#include <pjsua-lib/pjsua.h>

#include "modules.hpp"

/* The linker's --wrap: what pjsip_dlg_on_tsx_state is for PJSIP's user agent layer. */
extern "C" void __real_pjsip_dlg_on_tsx_state(pjsip_dialog *dialog, pjsip_transaction *tsx, pjsip_event *event);
extern "C" void __wrap_pjsip_dlg_on_tsx_state(pjsip_dialog *dialog, pjsip_transaction *tsx, pjsip_event *event);

namespace gateway {

namespace {

/* RFC 3261 §14.1: whose Call-ID it is waits for so long, and the other one for less, so that they do not meet again. */
const unsigned OWNER_LEAST_MS = 2100, OWNER_MOST_MS = 4000, OTHER_MOST_MS = 2000, STEP_MS = 10;

/* A Retry-After of more would outlast the patience of whoever waits for an answer (recovering.py): better early than never. */
const unsigned LONGEST_MS = 6000;

struct Recovery {
    bool callIdIsOurs;
    pj_timer_entry timer;
    pjsip_transaction *refused; // while it is waited
};

pjsip_module module_ = named_module("mod-gateway-recovered");

Recovery *recovery_of(const pjsip_dialog *dialog)
{
    return module_.id < 0 ? nullptr : static_cast<Recovery *>(dialog->mod_data[module_.id]);
}

unsigned between(unsigned least, unsigned most)
{
    return least + STEP_MS * (static_cast<unsigned>(pj_rand()) % ((most - least) / STEP_MS + 1));
}

/* How long to wait before it is sent again; -1: it is refused. */
int wait_ms(const Recovery &recovery, const pjsip_transaction *tsx, const pjsip_event *event)
{
    if (event->body.tsx_state.type != PJSIP_EVENT_RX_MSG || tsx->state != PJSIP_TSX_STATE_COMPLETED)
        return -1;
    if (tsx->status_code == PJSIP_SC_REQUEST_PENDING)
        return recovery.callIdIsOurs ? between(OWNER_LEAST_MS, OWNER_MOST_MS) : between(0, OTHER_MOST_MS);
    const pjsip_msg *answer = event->body.tsx_state.src.rdata->msg_info.msg;
    const auto *after = static_cast<pjsip_retry_after_hdr *>(pjsip_msg_find_hdr(answer, PJSIP_H_RETRY_AFTER, nullptr));
    if (tsx->status_code != PJSIP_SC_INTERNAL_SERVER_ERROR || !after || after->ivalue < 0)
        return -1;
    return static_cast<int>(std::min<unsigned>(after->ivalue, LONGEST_MS / 1000) * 1000);
}

void send_again(pjsip_inv_session *inv)
{
    pjsip_tx_data *request = inv->invite_req;
    pjsip_tx_data_add_ref(request);
    auto *via = static_cast<pjsip_via_hdr *>(pjsip_msg_find_hdr(request->msg, PJSIP_H_VIA, nullptr));
    via->branch_param.slen = 0; // it is another transaction
    pjsip_restore_strict_route_set(request);
    pjsip_tx_data_invalidate_msg(request);
    pjsip_inv_uac_restart(inv, PJ_FALSE);
    pjsip_inv_send_msg(inv, request);
}

void end_wait(pjsip_dialog *dialog, Recovery &recovery)
{
    pj_grp_lock_t *held = recovery.refused->grp_lock;
    recovery.refused = nullptr;
    pj_grp_lock_dec_ref(held);
    pjsip_dlg_dec_session(dialog, &module_);
}

void on_time(pj_timer_heap_t *, pj_timer_entry *entry)
{
    auto *dialog = static_cast<pjsip_dialog *>(entry->user_data);
    pjsip_dlg_inc_lock(dialog);
    Recovery *recovery = recovery_of(dialog);
    pjsip_inv_session *inv = pjsip_dlg_get_inv_session(dialog);
    if (inv->state == PJSIP_INV_STATE_EARLY && inv->invite_tsx == recovery->refused)
        send_again(inv);
    end_wait(dialog, *recovery);
    pjsip_dlg_dec_lock(dialog);
}

/* The transaction and the dialog are there until then. */
void begin_wait(pjsip_dialog *dialog, Recovery &recovery, pjsip_transaction *tsx, unsigned waitMs)
{
    pj_time_val after = {0, static_cast<long>(waitMs)};
    pj_time_val_normalize(&after);
    pj_timer_entry_init(&recovery.timer, 0, dialog, guarded<&on_time>);
    if (pjsip_endpt_schedule_timer(pjsua_get_pjsip_endpt(), &recovery.timer, &after) != PJ_SUCCESS)
        return;
    recovery.refused = tsx;
    pj_grp_lock_add_ref(tsx->grp_lock);
    pjsip_dlg_inc_session(dialog, &module_);
}

void look(pjsip_dialog *dialog, Recovery &recovery, pjsip_transaction *tsx, pjsip_event *event)
{
    pjsip_inv_session *inv = pjsip_dlg_get_inv_session(dialog);
    if (!inv || inv->invite_tsx != tsx || inv->state != PJSIP_INV_STATE_EARLY || recovery.refused)
        return;
    const int waitMs = wait_ms(recovery, tsx, event);
    if (waitMs >= 0)
        begin_wait(dialog, recovery, tsx, static_cast<unsigned>(waitMs));
}

/* What PJSIP does with what has become of a transaction. Of an INVITE that is going to be sent again it does not learn that it is
 * the session's: neither its refusal ends that, nor the transaction's own end some time later. PJSUA learns of neither. */
void carry_on(pjsip_dialog *dialog, Recovery &recovery, pjsip_transaction *tsx, pjsip_event *event)
{
    pjsip_inv_session *inv = pjsip_dlg_get_inv_session(dialog);
    if (!inv || inv->state == PJSIP_INV_STATE_DISCONNECTED) { // which is perhaps gone, but for its memory
        __real_pjsip_dlg_on_tsx_state(dialog, tsx, event);
        return;
    }
    pjsip_inv_add_ref(inv);
    const bool aside = recovery.refused == tsx && inv->invite_tsx == tsx;
    const pj_bool_t notify = inv->notify;
    if (aside) {
        inv->invite_tsx = nullptr;
        inv->notify = PJ_FALSE; // PJSUA would take the ports away that the answer to the next one is for
    }
    __real_pjsip_dlg_on_tsx_state(dialog, tsx, event);
    if (aside) {
        inv->invite_tsx = tsx;
        inv->notify = notify;
    }
    if (inv->state == PJSIP_INV_STATE_CALLING)
        inv->state = PJSIP_INV_STATE_EARLY;
    else if (inv->state == PJSIP_INV_STATE_DISCONNECTED)
        stop_waiting(dialog);
    pjsip_inv_dec_ref(inv);
}

void on_state(pjsip_dialog *dialog, pjsip_transaction *tsx, pjsip_event *event)
{
    Recovery *recovery = recovery_of(dialog);
    if (!recovery) {
        __real_pjsip_dlg_on_tsx_state(dialog, tsx, event);
        return;
    }
    pjsip_dlg_inc_lock(dialog);
    look(dialog, *recovery, tsx, event);
    carry_on(dialog, *recovery, tsx, event);
    pjsip_dlg_dec_lock(dialog);
}

}

void begin_recovery(pjsip_dialog *dialog, bool callIdIsOurs)
{
    Recovery *recovery = PJ_POOL_ZALLOC_T(dialog->pool, Recovery);
    recovery->callIdIsOurs = callIdIsOurs;
    dialog->mod_data[module_.id] = recovery;
}

void stop_waiting(pjsip_dialog *dialog)
{
    Recovery *recovery = recovery_of(dialog);
    if (!recovery || !recovery->refused)
        return;
    pjsip_endpt_cancel_timer(pjsua_get_pjsip_endpt(), &recovery->timer);
    end_wait(dialog, *recovery);
}

bool is_call_id_ours(const pjsip_dialog *dialog)
{
    const Recovery *recovery = recovery_of(dialog);
    return recovery ? recovery->callIdIsOurs : dialog->role == PJSIP_ROLE_UAC;
}

void recover_again()
{
    module_.id = -1;
    register_module(module_);
}

}

void __wrap_pjsip_dlg_on_tsx_state(pjsip_dialog *dialog, pjsip_transaction *tsx, pjsip_event *event)
{
    gateway::on_state(dialog, tsx, event);
}
