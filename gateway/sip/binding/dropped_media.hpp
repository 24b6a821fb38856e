/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Packets that came from elsewhere than a call's peer, counted until somebody asks.
 */
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#ifndef SWIG
#include <pjlib.h>
#endif

namespace gateway {

#ifndef SWIG
/* What was dropped of one call; it outlives the call until it has been told. */
struct Dropped {
    std::string callId, from, taken;
    int account = -1;
    std::atomic<unsigned> rtp{0}, rtcp{0};
    std::atomic<bool> listed{false};
    bool told = false;
};

/* Count a packet that came `from` there, in PJSIP's media thread; `taken` is the source that is, null: none yet, and
 * `port` whether its port is known. */
void drop(const std::shared_ptr<Dropped> &dropped, std::atomic<unsigned> &count, const pj_sockaddr &from,
          const pj_sockaddr *taken, bool port);
#endif

/* What was dropped since this was last asked, seven texts for each call: Call-ID, account, the source that was
 * dropped first, the source that is taken, how many packets of RTP, and of RTCP, and "1" when it is told first. */
std::vector<std::string> take_dropped();

}
