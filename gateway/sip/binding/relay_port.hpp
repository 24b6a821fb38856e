/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What stands on the transport of a call and passes packets on: see relay.hpp.
 */
#pragma once

#include <array>
#include <mutex>
#include <shared_mutex>

#include <pjmedia.h>

#include "one_stream.hpp"
#include "relayed_rtcp.hpp"

namespace gateway {

inline const int NOT_PASSED = -1;

/* Of one call. The transport's `op` is its own, which is how it is found. */
struct RelayPort {
    pjmedia_transport_op op{}; // has to be the first
    const pjmedia_transport_op *below = nullptr;
    pjmedia_transport *transport = nullptr;
    pjmedia_transport_attach_param user{}; // the stream's

    // While relayed, under `relay_links`:
    RelayPort *to = nullptr;
    pjmedia_stream_common *stream = nullptr;
    std::array<int, 128> types{}; // the partner's payload types by ours
    int keys = NOT_PASSED;        // our payload type of telephone events
    bool hears = false, speaks = false;
    unsigned rate = 8000; // of time stamps, and of the keys' durations
    // A press is passed on whole or not at all: all its packets have one time stamp.
    int heldType = NOT_PASSED;
    pj_uint32_t held = 0; // that of the newest press, or of what may have been one
    bool passes = false;  // whether that is passed

    std::mutex sending; // for all that is below
    OneStream out;
    SentReport report;
};

/* Who is relayed to whom: shared by those who pass packets, alone by the loop that changes it. Then comes `sending`, then
 * what the transports below lock. The loop never holds it while it calls them: they wait for packets that are under way. */
extern std::shared_mutex relay_links;

/* That of a transport which has one; null: it has none. */
RelayPort *port_of(pjmedia_transport *transport);

/* Its packets, and its partner's, are their streams' again; `relay_links` is held. */
void part(RelayPort &port);

/* Whether the key that this thread is just handing to its stream was passed on. */
bool is_key_passed();

}
