/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Codecs by call.
 *
 * PJSUA has one list of codecs for everybody. Here each account has its own, and each call may prefer what the other leg
 * of its conversation speaks.
 */
#pragma once

#include <string>
#include <vector>

#ifndef SWIG
struct pj_str_t;
struct pjmedia_sdp_media;
#endif

namespace gateway {

/* Take over from PJSUA what goes into an offer or answer; once, after libInit. */
void govern_media();

/* The codecs that calls of an account may use, the best first, by encoding name: "PCMA", "opus". */
void set_codecs(int account, const std::vector<std::string> &names);

/* Put those of an account's codecs that are named here first in the next offer that is made. */
void prefer_in_next_offer(const std::vector<std::string> &names);

/* The same for the answer that a call owes its offerer; nothing happens when it owes none. */
void prefer_in_answer(int callId, const std::vector<std::string> &names);

/* The codec that a call uses, or as long as none is agreed on those that its peer has offered, in the peer's order. */
std::vector<std::string> codecs_of(int callId);

/* Whether a call's audio is encrypted. */
bool is_encrypted(int callId);

#ifndef SWIG
/* Whether a format is that of a codec we have, and not of events. */
bool is_codec(const pjmedia_sdp_media *media, const pj_str_t &format);

/* Whether a line of audio has a codec that calls of an account may use, in a form that PJMEDIA knows. */
bool speaks_one_of(int account, const pjmedia_sdp_media *media);
#endif

/* Whether an outgoing INVITE has been answered by anything at all, 100 included. */
bool is_answered_by_anything(int callId);

}
