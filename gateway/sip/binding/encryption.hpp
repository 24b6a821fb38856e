/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A leg that has agreed on SRTP keeps it to its end, though its profile would have let it begin without.
 *
 * PJSIP goes back to RTP without a word when an offer or an answer in mid call has no key, or none of a known suite.
 * Such an offer is refused (488), such an answer is none, and the call goes on as it was.
 */
#pragma once

struct pjmedia_sdp_session;

namespace gateway {

/* Have PJSUA ask here first about every offer, and see to every answer; once, after libInit. */
void keep_encryption();

/* Our own offer in the dialog of an encrypted call: with RTP/SAVP, whatever the one before it had. */
void offer_encryption(int callId, pjmedia_sdp_session *offer);

}
