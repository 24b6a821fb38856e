/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * RTP ports for all calls.
 *
 * PJSUA counts RTP ports by account, from the same first one, and tries no more than a hundred of them; here one search finds a
 * free pair for whichever call comes next. A pair that was found is held, bound, until a call takes it: nobody else on the host
 * can have it meanwhile, and to ask whether there is room costs nothing.
 */
#pragma once

#include <string>

namespace gateway {

/* Whether there are `pairs` free pairs of ports (RTP even, RTCP above it) among [low, high] on an address; they are held, with
 * `hold`. False: the ports are taken, or descriptors have run out. */
bool find_rtp_ports(const std::string &address, int low, int high, int pairs, bool hold);

/* Have the account's next call take a pair. False: there is none. */
bool use_rtp_ports(int account, const std::string &address, int low, int high);

/* Hold none any more. */
void release_rtp_ports();

}
