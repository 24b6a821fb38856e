/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * How a call's media begins: the transport gets rtp_source.hpp's guard and what relay.hpp needs of it, and the numbers with
 * which its packets begin: a stream that is made anew by a re-INVITE goes on with those of the one before (RFC 3550 §5.1), or
 * a peer takes encrypted packets for old ones and drops them, for minutes. PJSUA asks the stream for them, which does not know
 * before its first packet was sent.
 */
#pragma once

namespace gateway {

/* Guard every media transport that is made from now on; once, after libInit. */
void guard_media_start();

}
