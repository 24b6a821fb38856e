/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "one_stream.hpp"

namespace gateway {

namespace {

const int PACKETS_A_SECOND = 50;
const std::int16_t MOST_LATE = 1000;
/* Two clocks are never in step: where one speaker follows another within this time, no sample is left out. A jitter buffer
 * would take it for lost sound. */
const std::chrono::milliseconds SEAMLESS(100);

std::int16_t ahead(std::uint16_t later, std::uint16_t earlier)
{
    return static_cast<std::int16_t>(later - earlier);
}

}

void OneStream::is(std::uint32_t ssrc, std::uint16_t sequence, std::uint32_t stamp, Clock::time_point now)
{
    ssrc_ = ssrc;
    renumbers_ = true;
    if (begun_)
        return;
    begun_ = true;
    sequence_ = sequence;
    stamp_ = stamp;
    at_ = now;
}

bool OneStream::renumber(const Speaker &speaker, RtpNumbers &packet, unsigned rate, bool restarted,
                         Clock::time_point now)
{
    if (restarted || !(speaker == speaker_)) {
        speaker_ = speaker;
        floor_ = sequence_;
        sequence_offset_ = static_cast<std::uint16_t>(sequence_ + 1 - packet.sequence);
        const auto passed = std::chrono::duration_cast<std::chrono::milliseconds>(now - at_);
        const auto packets = passed < SEAMLESS ? 1 : passed.count() * PACKETS_A_SECOND / 1000;
        stamp_offset_ = stamp_ + static_cast<std::uint32_t>(packets * (rate / PACKETS_A_SECOND)) - packet.stamp;
        packet.marker = true;
    }
    packet.sequence = static_cast<std::uint16_t>(packet.sequence + sequence_offset_);
    packet.stamp += stamp_offset_;
    if (ahead(packet.sequence, sequence_) <= 0 && ahead(packet.sequence, floor_) <= 0)
        return false;
    note(packet, now);
    return true;
}

void OneStream::passed(const RtpNumbers &packet, Clock::time_point now)
{
    note(packet, now);
}

void OneStream::note(const RtpNumbers &packet, Clock::time_point now)
{
    if (begun_ && ahead(packet.sequence, sequence_) <= 0)
        return;
    begun_ = true;
    sequence_ = packet.sequence;
    stamp_ = packet.stamp + packet.longer;
    at_ = now;
    if (ahead(sequence_, floor_) > MOST_LATE)
        floor_ = static_cast<std::uint16_t>(sequence_ - MOST_LATE); // or it would be ahead again after half a round
}

}
