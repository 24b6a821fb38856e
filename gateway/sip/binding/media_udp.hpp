/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The media transport over UDP that every call gets in the place of PJMEDIA's: the sockets are those that PJSUA has made,
 * bound and marked (DSCP), what is above it is the same (rtp_source.hpp's guard, SRTP, relay.hpp), and so is when it reads.
 *
 * A packet costs what it has to: one look of epoll, one recvfrom() and one sendto(), and no lock of PJLIB's queue. Two threads
 * or more share the calls; one call's RTP and RTCP are read by the same, one packet after the other.
 *
 * Its sockets are not connected, though that would spare each packet sent a look for the route (0.35 of 2.65 µs): the kernel
 * would keep strangers' packets to itself, and who is told of them, or has a peer that moves, would never learn of any.
 * Nor are packets read several at a time: there is hardly ever a second one in a socket, and recvmmsg() takes 0.85 µs to find
 * just the one that recvfrom() has in 0.52.
 */
#pragma once

#include <pjmedia.h>

namespace gateway {

/* Make a transport of two sockets, bound; they are its own where it is PJ_SUCCESS. For the loop's thread alone. */
pj_status_t make_media_udp(pjmedia_endpt *endpoint, const char *name, const pjmedia_sock_info *sockets, unsigned options,
                           pjmedia_transport **made);

}
