/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A guard against a race in PJSIP 2.17 that leaves a call deaf.
 *
 * The UDP media transport asks for the first packet and only then notes that it has started. Where a packet is waiting
 * already (the far end sends from its 200 on), PJSIP's media thread may read it between the two, take the transport for
 * stopped, and never read again: about two calls in a hundred on a fast network. Its sockets are read under the
 * transport's group lock, so holding that lock over the whole start keeps the media thread out.
 *
 * Here the transports get rtp_source.hpp's guard as well, and the numbers with which their packets begin: a stream that is
 * made anew by a re-INVITE goes on with those of the one before (RFC 3550 §5.1), or a peer takes encrypted packets for old
 * ones and drops them, for minutes. PJSUA asks the stream for them, which does not know before its first packet was sent.
 */
#pragma once

namespace gateway {

/* Guard every media transport that is made from now on; once, after libInit. */
void guard_media_start();

}
