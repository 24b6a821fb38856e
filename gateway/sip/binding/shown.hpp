/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Descriptions of calls (SDP) as text, for an application that reads them, or has others sent or believed in their place.
 */
#pragma once

#ifndef SWIG
struct pj_pool_t;
struct pjmedia_sdp_session;
#endif

namespace gateway {

/* Whether the handler's onDescription is asked. Unless it is, no description is written out and read again for it. */
void show_descriptions(bool wanted);

#ifndef SWIG
/* Show a description of a PJSUA call, ours or the peer's, an offer or an answer; it becomes what the handler makes of it. What
 * cannot be read changes nothing. `pool` has to last as long as the description. */
void show(int callId, bool ours, bool answers, pjmedia_sdp_session &sdp, pj_pool_t *pool);

/* The same for the offer that a call is about to answer, as the negotiation has it. */
void show_offer(int callId);
#endif

}
