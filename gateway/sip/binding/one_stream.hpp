/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What leaves a leg is one RTP stream (RFC 3550 §5.1), whoever speaks: the conference bridge, then a target, then the
 * assistant again. It has the SSRC that our description names, and sequence numbers and time stamps without a break.
 */
#pragma once

#include <chrono>
#include <cstdint>

namespace gateway {

/* The fields of a packet that are numbered anew, in the host's byte order. */
struct RtpNumbers {
    std::uint16_t sequence;
    std::uint32_t stamp;
    std::uint32_t longer; // by so many samples than an ordinary packet, as one is that tells how long a key has lasted
    bool marker;
};

/* Who speaks: whatever differs in either begins another count. */
struct Speaker {
    const void *leg = nullptr;
    std::uint32_t ssrc = 0;

    bool operator==(const Speaker &other) const
    {
        return leg == other.leg && ssrc == other.ssrc;
    }
};

/* Belongs to whoever sends the packets of one leg, and needs their lock. */
class OneStream {
public:
    using Clock = std::chrono::steady_clock;

    /* The stream that would speak if nobody were relayed: its SSRC, and the last numbers that it has used. */
    void is(std::uint32_t ssrc, std::uint16_t sequence, std::uint32_t stamp, Clock::time_point now);

    /* Number a packet; `rate` is that of its time stamps, `restarted` says that its numbers have begun anew. False: it comes
     * too late, from before this speaker's turn. */
    bool renumber(const Speaker &speaker, RtpNumbers &packet, unsigned rate, bool restarted, Clock::time_point now);

    /* A packet of PJMEDIA's goes out as it is: nobody was relayed so far. */
    void passed(const RtpNumbers &packet, Clock::time_point now);

    bool begun() const
    {
        return begun_;
    }
    bool renumbers() const
    {
        return renumbers_;
    }
    std::uint32_t ssrc() const
    {
        return ssrc_;
    }
    const Speaker &speaker() const
    {
        return speaker_;
    }
    std::uint16_t sequence_offset() const
    {
        return sequence_offset_;
    }
    std::uint32_t stamp_offset() const
    {
        return stamp_offset_;
    }

private:
    void note(const RtpNumbers &packet, Clock::time_point now);

    Speaker speaker_;
    bool begun_ = false, renumbers_ = false;
    std::uint32_t ssrc_ = 0, stamp_ = 0, stamp_offset_ = 0;
    std::uint16_t sequence_ = 0, sequence_offset_ = 0, floor_ = 0;
    Clock::time_point at_;
};

}
