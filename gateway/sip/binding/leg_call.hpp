/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A call of PJSUA's, told about in numbers.
 *
 * PJSUA2 makes copies of everything there is to know of a call, of the event and of both messages of its transaction whenever a
 * call's state changes, and Python reads a few numbers of it, each by a call of its own.
 */
#pragma once

#include <string>
#include <vector>

#include <pjsua2.hpp>

namespace gateway {

class LegCall : public pj::Call {
public:
    LegCall(pj::Account &account, int callId = PJSUA_INVALID_ID) : pj::Call(account, callId) {}
    virtual ~LegCall() {}

    /* The INVITE session has come to this state (pjsip_inv_state), with this last status code: CONFIRMED, DISCONNECTED or, of a
     * call that we make, EARLY or CONNECTING. `accepted` is what the message
     * that accepted our INVITE says of who is there (see identity_of), in its state CONNECTING alone. */
    virtual void onState(int callId, int state, int code, const std::string &accepted) {}

    /* Media was started, changed or stopped: the first of its streams of audio that has a port of the bridge; -1: none. */
    virtual void onMedia(int callId, int stream) {}

    /* A stream is about to go, having counted this (see counts_of). */
    virtual void onCounted(const std::vector<long> &counts) {}

    virtual void onCallState(pj::OnCallStateParam &prm);
    virtual void onCallMediaState(pj::OnCallMediaStateParam &prm);
    virtual void onStreamDestroyed(pj::OnStreamDestroyedParam &prm);
};

/* The state (pjsip_inv_state) of a call's INVITE session; DISCONNECTED once PJSUA is about to end it, or has. */
int state_of(int callId);

/* The Call-ID of a call; empty when there is none, or none any more. */
std::string sip_call_id_of(int callId);

/* Whether the peer's INVITE came with a description. */
bool was_offered(int callId);

/* Whether a call was left with no audio by what was agreed on: in the clear where encryption is required, or with no codec of
 * ours. */
bool has_no_audio(int callId);

/* What the stream has counted that brings a call's audio: {packets received, lost, discarded, the jitter's mean and maximum in
 * us, packets sent, lost of these as the peer's reports tell or -1 where there were none, the mean round trip in us or -1}.
 * Empty: there is no such stream. */
std::vector<long> counts_of(int callId);

/* Tell calls so; once, after libInit. */
void tell_states();

}
