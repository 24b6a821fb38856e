/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Whose audio a call takes, and who is sent ours.
 *
 * PJMEDIA follows whoever sends: ten packets from anywhere make it listen and speak to there. Here each media transport
 * takes packets from the one source that the description in force allows, and whatever else arrives is dropped and
 * counted (dropped_media.hpp) before SRTP, jitter buffer and statistics see it. Nothing that a packet says changes where
 * ours go, but for the first one of a peer that is latched on to.
 */
#pragma once

struct pjmedia_transport;
struct pjmedia_transport_op;

namespace gateway {

/* Where the packets of an account's calls may come from: ADDRESS, host and port of the description; HOST, its host, and
 * the port that is heard first; LATCHED, the host that the call's signalling comes from and the port that is heard
 * first, to which ours are then sent. What was heard first counts until the next description. */
enum RtpSource { RTP_SOURCE_ADDRESS, RTP_SOURCE_HOST, RTP_SOURCE_LATCHED };

/* For the calls of an account that get their media from now on. */
void set_rtp_source(int account, RtpSource source);

#ifndef SWIG
/* Learn where descriptions come from; once, after libInit. */
void watch_sources();

/* Replace what has to do with the source of packets; `op` is a copy of that of PJMEDIA's UDP transport. */
void guard_source(pjmedia_transport_op &op);

/* Make ready a transport that was made for a call, and is to have such an `op`; false: it can't be. */
bool guard_transport(int callId, pjmedia_transport *transport);

/* A new description is exchanged: forget what was heard first. */
void unlatch(int callId);
#endif

}
