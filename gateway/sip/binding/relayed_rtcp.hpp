/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The reports of a leg whose packets are relayed, made those of its partner's stream (RFC 3550 §6).
 */
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <pjmedia.h>

#include "one_stream.hpp"

namespace gateway {

constexpr std::size_t MOST_RTCP = 512;

/* The newest sender report that was sent to a leg: its time, and ours when it was. Middle 32 bits of NTP. */
struct SentReport {
    std::uint32_t theirs = 0, ours = 0;
};

/* One of the two: its stream, what is sent to it, and whose packets those are. */
struct Reporter {
    const void *leg;
    pjmedia_stream_common &stream;
    const OneStream &out;
    SentReport &report;
};

/* What the partner `onto` is sent for a packet that has come from `from`, and its length; 0: nothing, since it is malformed
 * (RFC 3550 A.2). Sender's and receiver's reports go on; SSRCs, time stamps and sequence numbers are those of the partner's
 * stream, counts of packets too, and CNAME is our own, for one stream has one (§6.5.1). The rest ends here: BYE, since the
 * stream goes on with whoever speaks next, and what nobody has negotiated. */
std::size_t relayed_rtcp(const Reporter &from, const Reporter &onto, const void *packet, std::size_t size,
                         std::array<std::uint8_t, MOST_RTCP> &sent);

/* Have the sender report of our own that a packet begins with, if any, tell the time stamps that are sent. */
void shift_sender_report(std::uint8_t *packet, std::size_t size, std::uint32_t offset);

}
