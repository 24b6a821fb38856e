/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * REFERs that we send in the dialog of a call, on the subscriber's side (RFC 3515 §2.4).
 *
 * PJSUA's own would add a Referred-By of its making, hand its callbacks nothing once the call has ended, and unsubscribe
 * by itself. Here neither the REFER's answer nor a NOTIFY ever ends the call, and nothing is done but what is asked for.
 */
#pragma once

#include <string>
#include <vector>

#include <pjsua2.hpp>

struct pjsip_rx_data;
struct pjsip_dialog;

namespace gateway {

/* Send a REFER on a PJSUA call; `referTo` is the URI. The id of the referral, or -1 when it could not be sent.
 *
 * What comes of it is told by onReferAnswered and onReferNotified, until the final NOTIFY or end_referral(). */
int send_refer(int callId, const std::string &referTo, const std::vector<pj::SipHeader> &headers);

/* Hear nothing more of a referral, and let go of its dialog; nothing happens when there is none. */
void end_referral(int referral);

/* How many referrals hold a dialog. */
int referral_count();

#ifndef SWIG
/* Take a NOTIFY in `dialog` if it is about one of our REFERs, and answer it; false: it is not. */
bool take_notify(pjsip_dialog *dialog, pjsip_rx_data *rdata);

/* Let go of every dialog. */
void end_all_referrals();
#endif

}
