/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What stands around PJSIP's dialogs. PJSIP finds the dialog of a request by our tag alone, and where nobody has answered
 * our INVITE yet it takes any request with that tag; its INVITE session then claims every INVITE and BYE, and in some of
 * its states does nothing with them. Such a transaction has no timer (RFC 3261 §17.2): it and its dialog would stay for good.
 *
 * So a request that is of no dialog gets 481 before PJSIP's dialog sees it, and one that the dialog has left unanswered is
 * answered after that.
 */
#include <pjsip.h>
#include <pjsip_ua.h>
#include <pjsua-lib/pjsua.h>

#include "modules.hpp"

namespace gateway {

namespace {

/* RFC 3261 §12.2.2: by Call-ID and both tags. Before the peer has a tag there is no dialog of an INVITE, and that of a
 * SUBSCRIBE begins with a NOTIFY and nothing else (RFC 6665 §4.1.2.4). A caller of RFC 2543 never has one (§12.1.1). */
bool is_of(const pjsip_dialog *dialog, const pjsip_rx_data *rdata)
{
    const pj_str_t &known = dialog->remote.info->tag, &given = rdata->msg_info.from->tag;
    if (pj_strcmp(&dialog->call_id->id, &rdata->msg_info.cid->id) != 0)
        return false;
    if (known.slen == 0 && dialog->role == PJSIP_ROLE_UAC)
        return !pjsip_dlg_get_inv_session(const_cast<pjsip_dialog *>(dialog)) &&
               pjsip_method_cmp(&rdata->msg_info.msg->line.req.method, pjsip_get_notify_method()) == 0;
    return pj_stricmp(&known, &given) == 0;
}

/* An INVITE that has been sent again, with credentials or another Min-SE, has no dialog before its next answer, whatever was
 * said to the one before it. */
bool has_begun(pjsip_dialog *dialog)
{
    const pjsip_inv_session *session = pjsip_dlg_get_inv_session(dialog);
    return session && session->state > PJSIP_INV_STATE_CALLING;
}

void respond(pjsip_dialog *dialog, pjsip_transaction *tsx, pjsip_rx_data *rdata, int code)
{
    pjsip_tx_data *response = nullptr;
    if (pjsip_dlg_create_response(dialog, rdata, code, nullptr, &response) == PJ_SUCCESS)
        pjsip_dlg_send_response(dialog, tsx, response);
    if (tsx->state == PJSIP_TSX_STATE_TRYING)
        pjsip_tsx_terminate(tsx, code);
}

void answer_left(pjsip_dialog *dialog, pjsip_rx_data *rdata)
{
    const pjsip_method &method = rdata->msg_info.cseq->method;
    pj_str_t key;
    if (method.id == PJSIP_ACK_METHOD ||
        pjsip_tsx_create_key(rdata->tp_info.pool, &key, PJSIP_ROLE_UAS, &method, rdata) != PJ_SUCCESS)
        return;
    pjsip_transaction *tsx = pjsip_tsx_layer_find_tsx2(&key, PJ_TRUE);
    if (!tsx)
        return;
    if (tsx->role == PJSIP_ROLE_UAS && tsx->state == PJSIP_TSX_STATE_TRYING && pjsip_tsx_get_dlg(tsx) == dialog)
        respond(dialog, tsx, rdata,
                method.id == PJSIP_INVITE_METHOD && has_begun(dialog) ? PJSIP_SC_INTERNAL_SERVER_ERROR
                                                                      : PJSIP_SC_CALL_TSX_DOES_NOT_EXIST);
    pj_grp_lock_dec_ref(tsx->grp_lock);
}

/* Whether the request goes no further. */
bool turn_away(pjsip_dialog *dialog, pjsip_rx_data *rdata)
{
    if (is_of(dialog, rdata))
        return false;
    if (rdata->msg_info.msg->line.req.method.id != PJSIP_ACK_METHOD)
        pjsip_endpt_respond_stateless(pjsua_get_pjsip_endpt(), rdata, PJSIP_SC_CALL_TSX_DOES_NOT_EXIST, nullptr, nullptr,
                                      nullptr);
    return true;
}

}

}

/* The linker's --wrap: what pjsip_dlg_on_rx_request is for PJSIP's user agent layer, which holds the dialog meanwhile. */
extern "C" void __real_pjsip_dlg_on_rx_request(pjsip_dialog *dialog, pjsip_rx_data *rdata);
extern "C" void __wrap_pjsip_dlg_on_rx_request(pjsip_dialog *dialog, pjsip_rx_data *rdata);

void __wrap_pjsip_dlg_on_rx_request(pjsip_dialog *dialog, pjsip_rx_data *rdata)
{
    if (gateway::guarded<&gateway::turn_away, true>(dialog, rdata))
        return;
    __real_pjsip_dlg_on_rx_request(dialog, rdata);
    gateway::guarded<&gateway::answer_left>(dialog, rdata);
}
