/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What pjsua2 does not tell of a call that is up: who wants to send and to receive, how our requests in its dialog were
 * answered, and whether its peer is still heard.
 */
#pragma once

#include <string>
#include <vector>

namespace gateway {

/* The newest completed offer/answer exchange (RFC 3264) of a call's audio: {1 when the peer answered or 0 when it
 * offered, our direction, the peer's direction as its own description says}; a direction is 1 to send plus 2 to receive,
 * seen from its describer. Empty when there was none. */
std::vector<int> exchange_of(int callId);

/* Tell the handler from now on how our INVITE, UPDATE and INFO in this call's dialog are answered. */
bool watch_call(int callId);

/* A number that changes with every RTP or RTCP packet the peer sends; -1 when the call has no stream. */
long packets_received(int callId);

/* Register the modules; once, after libInit. */
void watch_sessions();

}
