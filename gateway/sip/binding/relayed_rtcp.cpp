/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "relayed_rtcp.hpp"

#include <algorithm>
#include <cstring>

#include <pjlib.h>

namespace gateway {

namespace {

const unsigned SENDER_REPORT = 200, RECEIVER_REPORT = 201, DESCRIPTION = 202;
const std::size_t COMMON = 8, SENDER = 20, BLOCK = 24; // header with SSRC, what a sender tells, a report about a source
const std::size_t LAST_REPORT = 16, DELAY = 20; // within a block
const std::uint8_t CNAME = 1;

std::uint32_t read(const std::uint8_t *at)
{
    std::uint32_t value;
    std::memcpy(&value, at, sizeof(value));
    return pj_ntohl(value);
}

void write(std::uint8_t *at, std::uint32_t value)
{
    value = pj_htonl(value);
    std::memcpy(at, &value, sizeof(value));
}

std::size_t length_of(const std::uint8_t *at)
{
    return (static_cast<std::size_t>(at[2]) << 8 | at[3]) * 4 + 4;
}

std::size_t sender_of(const std::uint8_t *at)
{
    return at[1] == SENDER_REPORT ? SENDER : 0;
}

/* RFC 3550 A.2; a report has room for what it says it has. */
bool is_compound(const std::uint8_t *packet, std::size_t size)
{
    std::size_t at = 0;
    while (at + 4 <= size) {
        const std::uint8_t *one = packet + at;
        const std::size_t length = length_of(one);
        const bool report = one[1] == SENDER_REPORT || one[1] == RECEIVER_REPORT;
        const bool padded = (one[0] & 0x20) != 0;
        if (one[0] >> 6 != 2 || (at == 0 && (!report || padded)) || at + length > size || (padded && at + length < size))
            return false;
        if (report && COMMON + sender_of(one) + (one[0] & 0x1F) * BLOCK > length)
            return false;
        at += length;
    }
    return at == size && size > 0;
}

/* The block of a report that is about this source. */
std::uint8_t *block_about(std::uint8_t *report, std::uint32_t ssrc)
{
    std::uint8_t *block = report + COMMON + sender_of(report);
    for (unsigned i = 0; i < (report[0] & 0x1Fu); ++i, block += BLOCK)
        if (read(block) == ssrc)
            return block;
    return nullptr;
}

std::uint32_t now_of(const pjmedia_rtcp_session &session)
{
    pjmedia_rtcp_ntp_rec time;
    pjmedia_rtcp_get_ntp_time(&session, &time);
    return (time.hi & 0xFFFF) << 16 | time.lo >> 16;
}

/* The extended number that ends in these 16 bits and is nearest to the highest that has come. */
std::uint32_t extended(const pjmedia_rtp_seq_session &come, std::uint16_t sequence)
{
    const std::uint32_t highest = come.cycles + come.max_seq;
    return highest + static_cast<std::uint32_t>(static_cast<std::int16_t>(sequence - static_cast<std::uint16_t>(highest)));
}

/* PJMEDIA takes the last report for one of its own, and would measure the time from its sender's clock. */
void count(const Reporter &from, std::uint8_t *report, std::size_t length, std::uint8_t *block)
{
    pjmedia_rtcp_session &session = from.stream.rtcp;
    std::array<std::uint8_t, COMMON + SENDER + BLOCK> told{};
    const std::size_t head = COMMON + sender_of(report);
    std::memcpy(told.data(), report, std::min(head, length));
    if (block) {
        std::memcpy(told.data() + head, block, BLOCK);
        const bool known = from.report.ours && read(block + LAST_REPORT) == from.report.theirs;
        write(told.data() + head + LAST_REPORT, known ? from.report.ours : 0);
    }
    const std::size_t size = head + (block ? BLOCK : 0);
    told[0] = static_cast<std::uint8_t>(0x80 | (block ? 1 : 0));
    told[2] = 0;
    told[3] = static_cast<std::uint8_t>(size / 4 - 1);
    pjmedia_rtcp_rx_rtcp(&session, told.data(), size);
}

std::size_t describe(const Reporter &onto, std::uint8_t *at)
{
    const pj_str_t &name = onto.stream.cname;
    const std::size_t size = std::min<std::size_t>(static_cast<std::size_t>(name.slen), 255);
    const std::size_t length = (COMMON + 2 + size) / 4 * 4 + 4; // a null ends the items, and fills up
    std::memset(at, 0, length);
    at[0] = 0x81;
    at[1] = DESCRIPTION;
    at[2] = static_cast<std::uint8_t>((length / 4 - 1) >> 8);
    at[3] = static_cast<std::uint8_t>(length / 4 - 1);
    write(at + 4, onto.out.ssrc());
    at[COMMON] = CNAME;
    at[COMMON + 1] = static_cast<std::uint8_t>(size);
    std::memcpy(at + COMMON + 2, name.ptr, size);
    return length;
}

}

std::size_t relayed_rtcp(const Reporter &from, const Reporter &onto, const void *packet, std::size_t size,
                         std::array<std::uint8_t, MOST_RTCP> &sent)
{
    std::array<std::uint8_t, 2048> copy;
    if (size > copy.size())
        return 0;
    std::memcpy(copy.data(), packet, size);
    if (!is_compound(copy.data(), size))
        return 0;
    std::uint8_t *report = copy.data();
    std::uint8_t *block = block_about(report, from.out.ssrc());
    count(from, report, length_of(report), block);

    std::uint8_t *out = sent.data();
    // A sender's report tells how its stamps go with its clock: nobody knows that before one of its packets was passed on.
    const bool speaks = report[1] == SENDER_REPORT && onto.out.speaker() == Speaker{from.leg, read(report + 4)};
    const bool about = block && from.out.speaker().leg == onto.leg;
    std::size_t length = COMMON;
    out[0] = static_cast<std::uint8_t>(0x80 | (about ? 1 : 0));
    out[1] = speaks ? SENDER_REPORT : RECEIVER_REPORT;
    write(out + 4, onto.out.ssrc());
    if (speaks) {
        std::memcpy(out + length, report + COMMON, 8); // the clock of whoever speaks
        write(out + length + 8, read(report + COMMON + 8) + onto.out.stamp_offset());
        write(out + length + 12, static_cast<std::uint32_t>(onto.stream.rtcp.stat.tx.pkt));
        write(out + length + 16, static_cast<std::uint32_t>(onto.stream.rtcp.stat.tx.bytes));
        length += SENDER;
        onto.report.theirs = read(report + COMMON) << 16 | read(report + COMMON + 4) >> 16;
        onto.report.ours = now_of(onto.stream.rtcp);
    }
    if (about) {
        std::uint8_t *at = out + length;
        std::memcpy(at, block, BLOCK);
        const auto sequence = static_cast<std::uint16_t>(read(block + 8) - from.out.sequence_offset());
        write(at, from.out.speaker().ssrc);
        write(at + 8, extended(onto.stream.rtcp.seq_ctrl, sequence));
        if (read(block + LAST_REPORT) != from.report.theirs)
            std::memset(at + LAST_REPORT, 0, DELAY + 4 - LAST_REPORT); // it was one of our own
        length += BLOCK;
    }
    out[2] = 0;
    out[3] = static_cast<std::uint8_t>(length / 4 - 1);
    return length + describe(onto, out + length);
}

void shift_sender_report(std::uint8_t *packet, std::size_t size, std::uint32_t offset)
{
    if (size >= COMMON + SENDER && packet[0] >> 6 == 2 && packet[1] == SENDER_REPORT)
        write(packet + COMMON + 8, read(packet + COMMON + 8) + offset);
}

}
