/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Packets from socket to socket: RTP and RTCP of two calls that speak the same codec, or both forms of G.711, of which each
 * byte is the other's by a table (g711.hpp); past jitter buffer and bridge.
 *
 * It stands on top of all that a packet passes on its way in: rtp_source.hpp's guard has dropped what is not the peer's,
 * and SRTP has opened it, before it is here, and what it sends is sealed below. So each side may be encrypted or not. What
 * leaves a leg stays one RTP stream (one_stream.hpp), and its reports are about that (relayed_rtcp.hpp). The two calls'
 * streams of PJMEDIA go on counting what comes and goes (RFC 3550 A.1, A.3, A.8), find the keys in it (RFC 4733), and rest
 * otherwise: their ports of the bridge are disabled meanwhile.
 *
 * Whether a pair is relayed is decided elsewhere, by what media_format() tells of both.
 */
#pragma once

#include <string>
#include <vector>

#ifndef SWIG
struct pjmedia_transport;
#endif

namespace gateway {

/* What a call's audio is now: encoding name, clock rate, channels, the format parameters that its peer asks for, and "1"
 * when its peer takes telephone events; empty: it has none that could be relayed. */
std::vector<std::string> media_format(int callId);

/* Have two calls' packets go from one to the other until either's stream ends, or unrelay(); `keysToOne` and `keysToOther`
 * say whether telephone events go there too. The calls leave the bridge meanwhile. False: one of them has no stream. */
bool relay(int one, int other, bool keysToOne, bool keysToOther);

/* The call's audio is the bridge's again, its partner's too once that is asked for. */
void unrelay(int callId);

/* In the flags of an event of DTMF: the partner has been given it already. */
enum { DTMF_RELAYED = 1 << 8 };

#ifndef SWIG
/* Take over what has to do with keys; once, after libInit. */
void prepare_relays();

/* Make ready the transport that the stream of the call with this SIP Call-ID will use. */
void make_relayable(pjmedia_transport *transport, std::string callId);
#endif

}
