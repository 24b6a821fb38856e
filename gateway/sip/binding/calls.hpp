/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * PJSUA's calls by their numbers, and the end of a pj::Call as PJSUA2 should have it.
 */
#pragma once

#include <pjsua2.hpp>

struct pjsip_dialog;
struct pjsip_inv_session;
struct pjsip_rx_data;
struct pjsip_tx_data;
struct pjsua_call;

namespace gateway {

#ifndef SWIG
/* The PJSUA call with this number, or null when there is none, or none any more. */
pjsua_call *call_at(int callId);

/* The PJSUA call of this dialog, or null when there is none, or none any more: the dialog outlives it, and keeps a pointer
 * to its place, which the next call takes. */
pjsua_call *call_in(const pjsip_dialog *dialog);

/* The PJSUA call in whose dialog a message belongs, or null. */
pjsua_call *call_for(const pjsip_rx_data *rdata);

/* The dialog that the Call-ID and tags of a message of ours name, or null. */
pjsip_dialog *dialog_named_by(const pjsip_tx_data *tdata);

/* The dialog in which a message of ours was made, or null where it has ended: PJSIP leaves its address in the message,
 * which may outlive it. A request is sent again for 32 s after the dialog has gone, and an ACK waits for a name server. */
pjsip_dialog *dialog_behind(pjsip_tx_data *tdata);

/* The INVITE session of this dialog, or null when there is none, or none any more: the dialog outlives it as well, and
 * names it still, although what it had offered and agreed on has been freed. */
pjsip_inv_session *session_in(const pjsip_dialog *dialog);
#endif

/* The call is over: its object stands for no call of PJSUA's any more. Whenever it is destroyed, PJSUA2 would otherwise
 * hang up whichever call has its number by then, and take it away from its own object. */
void release_call(pj::Call &call);

}
