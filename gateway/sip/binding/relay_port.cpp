/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "relay_port.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <shared_mutex>
#include <string>
#include <utility>

#include <pjlib.h>
#include <pjsua-lib/pjsua.h>

#include "captured.hpp"
#include "modules.hpp"
#include "networks.hpp"
#include "relay.hpp"

namespace gateway {

RelayLinks relay_links;

namespace {

using Clock = OneStream::Clock;

const std::size_t HEADER = sizeof(pjmedia_rtp_hdr);
/* A second, of what has come or gone: reports come some seconds apart (RFC 3550 §6.2). */
const int MOST_SHOWN = 10;

/* Whether the key that this thread is just handing to its stream was passed on. */
thread_local bool key_passed_ = false;

/* Whether this packet of a key belongs to a press that is passed on. */
bool key_passes(RelayPort &port, int type, pj_uint32_t stamp)
{
    if (port.heldType != type || port.held != stamp) {
        port.heldType = type;
        port.held = stamp;
        port.passes = port.hears && port.to->speaks && port.types[static_cast<std::size_t>(type)] != NOT_PASSED;
    }
    return port.passes;
}

/* For a capture, a report that has come or goes; `relay_links` is held. Of a peer that floods little is shown. */
void show(RelayPort &port, bool sent, const void *packet, std::size_t size)
{
    if (!capturing || port.ownPlace.empty())
        return;
    const int64_t now = now_us();
    Shown &shown = port.shown[sent ? 1 : 0];
    if (shown.second.exchange(now / 1000000) != now / 1000000)
        shown.count = 0;
    if (++shown.count > MOST_SHOWN)
        return;
    const std::string &from = sent ? port.ownPlace : port.peersPlace, &to = sent ? port.peersPlace : port.ownPlace;
    add_captured(port.callId,
                 std::to_string(now) + (sent ? " out" : " in") + " RTCP " + from + " " + to + " " + std::to_string(size) +
                     " new whole",
                 {static_cast<const char *>(packet), size});
}

/* Send a packet of one leg as one of the other's stream. */
void send_on(RelayPort &from, const pjmedia_rtp_hdr &header, const void *payload, unsigned size, int type, bool restarted)
{
    RelayPort &to = *from.to;
    std::array<pj_uint8_t, PJMEDIA_MAX_MTU> packet;
    if (!from.hears || !to.speaks || HEADER + size > packet.size())
        return;
    RtpNumbers numbers{pj_ntohs(header.seq), pj_ntohl(header.ts), 0, header.m != 0};
    if (header.pt == from.keys) {
        const auto *event = static_cast<const pjmedia_rtp_dtmf_event *>(payload);
        const unsigned lasted = pj_ntohs(event->duration);
        numbers.longer = lasted - std::min(lasted, from.rate / 50);
    }
    const std::lock_guard<std::mutex> sending(to.sending);
    if (!to.out.renumber({&from, pj_ntohl(header.ssrc)}, numbers, to.rate, restarted, Clock::now()))
        return;
    pjmedia_rtp_hdr sent;
    pj_bzero(&sent, sizeof(sent));
    sent.v = 2;
    sent.m = numbers.marker;
    sent.pt = static_cast<pj_uint8_t>(type) & 0x7F;
    sent.seq = pj_htons(numbers.sequence);
    sent.ts = pj_htonl(numbers.stamp);
    sent.ssrc = pj_htonl(to.out.ssrc());
    std::memcpy(packet.data(), &sent, HEADER);
    const auto *given = static_cast<const pj_uint8_t *>(payload);
    pj_uint8_t *put = packet.data() + HEADER;
    if (from.translation && header.pt != from.keys)
        std::transform(given, given + size, put, [&from](pj_uint8_t sample) { return (*from.translation)[sample]; });
    else
        std::memcpy(put, given, size);
    if (to.below->send_rtp(to.transport, packet.data(), HEADER + size) == PJ_SUCCESS)
        pjmedia_rtcp_tx_rtp(&to.stream->rtcp, size);
}

/* What a stream does with a packet, but for the jitter buffer (stream_imp_common.c). False: it is no good. */
bool counted(pjmedia_stream_common &stream, const pjmedia_rtp_hdr &header, unsigned size, bool passes, bool &restarted)
{
    pjmedia_rtp_session &session = stream.dec->rtp;
    pjmedia_rtp_status status;
    pj_bzero(&status, sizeof(status));
    pjmedia_rtp_session_update2(&session, &header, &status, PJ_FALSE);
    if (stream.rtcp.peer_ssrc == 0 || (!stream.si->has_rem_ssrc && status.status.flag.badssrc))
        stream.rtcp.peer_ssrc = session.peer_ssrc;
    const bool good = passes && !status.status.flag.bad && !status.status.flag.dup && size > 0;
    pjmedia_rtcp_rx_rtp2(&stream.rtcp, pj_ntohs(header.seq), pj_ntohl(header.ts), size, !good);
    restarted = status.status.flag.restart;
    return good;
}

enum class Fate { TAKEN, STREAM };

Fate pass(RelayPort &port, const void *packet, pj_ssize_t length, bool &keyPassed)
{
    const pjmedia_rtp_hdr *header = nullptr;
    const void *payload = nullptr;
    unsigned size = 0;
    if (pjmedia_rtp_decode_rtp(&port.stream->dec->rtp, packet, static_cast<int>(length), &header, &payload, &size) !=
        PJ_SUCCESS)
        return Fate::STREAM; // which counts it
    if (header->pt == port.keys) {
        // The stream counts it too, and finds the key.
        keyPassed = size >= sizeof(pjmedia_rtp_dtmf_event) && key_passes(port, header->pt, pj_ntohl(header->ts));
        if (keyPassed)
            send_on(port, *header, payload, size, port.types[header->pt], false);
        return Fate::STREAM;
    }
    const int type = port.types[header->pt];
    bool restarted = false, good;
    {
        const std::lock_guard<std::mutex> counting(port.counting);
        good = counted(*port.stream, *header, size, type != NOT_PASSED, restarted);
    }
    if (good)
        send_on(port, *header, payload, size, type, restarted);
    return Fate::TAKEN;
}

/* What comes while nobody is relayed may be a press that goes on when somebody is. */
void hold(RelayPort &port, const void *packet)
{
    const auto *header = static_cast<const pjmedia_rtp_hdr *>(packet);
    if (header->pt < 96)
        return;
    port.heldType = header->pt;
    port.held = pj_ntohl(header->ts);
    port.passes = false;
}

/* A packet has come, and is the peer's; in a thread of media_threads.hpp, as all that comes. */
void on_rtp(pjmedia_tp_cb_param *param)
{
    auto *port = static_cast<RelayPort *>(param->user_data);
    if (!port)
        return;
    Above above;
    {
        const std::shared_lock<RelayLinks> linked(relay_links);
        above = port->above;
        const bool readable = param->size >= static_cast<pj_ssize_t>(HEADER);
        if (readable && port->to && pass(*port, param->pkt, param->size, key_passed_) == Fate::TAKEN)
            return;
        if (readable && !port->to)
            hold(*port, param->pkt);
    }
    param->rem_switch = above.take_rtp(*param);
    key_passed_ = false;
}

void on_rtcp(void *data, void *packet, pj_ssize_t size)
{
    auto *port = static_cast<RelayPort *>(data);
    if (!port)
        return;
    Above above;
    {
        const std::shared_lock<RelayLinks> linked(relay_links);
        above = port->above;
        if (size >= 0)
            show(*port, false, packet, static_cast<std::size_t>(size));
        if (port->to && size >= 0) {
            RelayPort &to = *port->to;
            std::array<pj_uint8_t, MOST_RTCP> sent;
            std::size_t length = 0;
            {
                const std::scoped_lock sending(port->counting, to.counting, port->sending, to.sending);
                const Reporter from{port, *port->stream, port->out, port->report};
                const Reporter onto{&to, *to.stream, to.out, to.report};
                length = relayed_rtcp(from, onto, packet, static_cast<std::size_t>(size), sent);
                if (length)
                    to.below->send_rtcp(to.transport, sent.data(), length);
            }
            if (length)
                show(to, true, sent.data(), length);
            return;
        }
    }
    above.take_rtcp(packet, size);
}

void note_places(RelayPort &port, const pjmedia_transport_attach_param &param)
{
    pjmedia_transport_info info;
    pjmedia_transport_info_init(&info);
    if (pjmedia_transport_get_info(port.transport, &info) != PJ_SUCCESS)
        return;
    pj_sockaddr peers = param.rem_rtcp;
    if (!pj_sockaddr_has_addr(&peers)) { // RFC 3550 §11
        peers = param.rem_addr;
        pj_sockaddr_set_port(&peers, static_cast<pj_uint16_t>(pj_sockaddr_get_port(&peers) + 1));
    }
    const std::lock_guard<RelayLinks> changing(relay_links);
    port.ownPlace = printed(info.sock_info.rtcp_addr_name);
    port.peersPlace = printed(peers);
}

pj_status_t attach2(pjmedia_transport *transport, pjmedia_transport_attach_param *param)
{
    RelayPort *port = port_of(transport);
    {
        const std::lock_guard<RelayLinks> changing(relay_links);
        part(*port);
        port->above = Above(*param);
    }
    pjmedia_transport_attach_param own = *param;
    own.user_data = port;
    own.rtp_cb = nullptr;
    own.rtp_cb2 = guarded<&on_rtp>;
    own.rtcp_cb = guarded<&on_rtcp>;
    const pj_status_t status = port->below->attach2(transport, &own);
    if (status == PJ_SUCCESS && capturing)
        note_places(*port, *param);
    return status;
}

void detach(pjmedia_transport *transport, void *)
{
    RelayPort *port = port_of(transport);
    {
        const std::lock_guard<RelayLinks> changing(relay_links);
        part(*port);
    }
    port->below->detach(transport, port); // which waits for a packet that is being read
    const std::lock_guard<RelayLinks> changing(relay_links);
    port->above = Above();
}

/* What PJMEDIA's stream says: nothing while another leg speaks here. */
pj_status_t send_rtp(pjmedia_transport *transport, const void *packet, pj_size_t size)
{
    RelayPort *port = port_of(transport);
    const std::shared_lock<RelayLinks> linked(relay_links);
    if (port->to)
        return PJ_SUCCESS;
    std::array<pj_uint8_t, PJMEDIA_MAX_MTU> copy;
    if (size < HEADER || size > copy.size())
        return port->below->send_rtp(transport, packet, size);
    pjmedia_rtp_hdr header;
    std::memcpy(&header, packet, HEADER);
    RtpNumbers numbers{pj_ntohs(header.seq), pj_ntohl(header.ts), 0, header.m != 0};
    const std::lock_guard<std::mutex> sending(port->sending);
    if (!port->out.renumbers()) {
        port->out.passed(numbers, Clock::now());
        return port->below->send_rtp(transport, packet, size);
    }
    if (!port->out.renumber({port, pj_ntohl(header.ssrc)}, numbers, port->rate, false, Clock::now()))
        return PJ_SUCCESS;
    header.seq = pj_htons(numbers.sequence);
    header.ts = pj_htonl(numbers.stamp);
    header.m = numbers.marker;
    header.ssrc = pj_htonl(port->out.ssrc());
    std::memcpy(copy.data(), packet, size);
    std::memcpy(copy.data(), &header, HEADER);
    return port->below->send_rtp(transport, copy.data(), size);
}

/* Its reports: those of the leg that speaks here are passed on in their place. */
pj_status_t send_rtcp2(pjmedia_transport *transport, const pj_sockaddr_t *to, unsigned length, const void *packet,
                       pj_size_t size)
{
    RelayPort *port = port_of(transport);
    const std::shared_lock<RelayLinks> linked(relay_links);
    if (port->to)
        return PJ_SUCCESS;
    std::array<pj_uint8_t, MOST_RTCP> copy;
    if (size > copy.size()) {
        show(*port, true, packet, size);
        return port->below->send_rtcp2(transport, to, length, packet, size);
    }
    std::memcpy(copy.data(), packet, size);
    {
        const std::lock_guard<std::mutex> sending(port->sending);
        if (port->out.renumbers() && port->out.speaker().leg == port)
            shift_sender_report(copy.data(), size, port->out.stamp_offset());
    }
    show(*port, true, copy.data(), size);
    return port->below->send_rtcp2(transport, to, length, copy.data(), size);
}

pj_status_t send_rtcp(pjmedia_transport *transport, const void *packet, pj_size_t size)
{
    return send_rtcp2(transport, nullptr, 0, packet, size);
}

pj_status_t destroy(pjmedia_transport *transport)
{
    RelayPort *port = port_of(transport);
    {
        const std::lock_guard<RelayLinks> changing(relay_links);
        part(*port);
    }
    return port->below->destroy(transport);
}

/* The last packet has been read. */
void on_destroyed(void *data)
{
    delete static_cast<RelayPort *>(data);
}

}

RelayPort *port_of(pjmedia_transport *transport)
{
    // `op` is the first of a Port, where it is ours at all.
    if (!transport || transport->op->detach != guarded<&detach>)
        return nullptr;
    return reinterpret_cast<RelayPort *>(transport->op);
}

void part(RelayPort &port)
{
    if (!port.to)
        return;
    for (RelayPort *one : {port.to, &port}) {
        one->to = nullptr;
        one->stream = nullptr;
        one->passes = false; // whoever comes next is not given the rest of a press
    }
}

bool is_key_passed()
{
    return key_passed_;
}

void make_relayable(pjmedia_transport *transport, std::string callId)
{
    if (port_of(transport) || !transport->grp_lock)
        return;
    auto port = std::make_unique<RelayPort>();
    port->op = *transport->op;
    port->below = transport->op;
    port->transport = transport;
    port->callId = std::move(callId);
    port->op.attach2 = guarded<&attach2, PJ_EUNKNOWN>;
    port->op.detach = guarded<&detach>;
    port->op.send_rtp = guarded<&send_rtp, PJ_EUNKNOWN>;
    port->op.send_rtcp = guarded<&send_rtcp, PJ_EUNKNOWN>;
    port->op.send_rtcp2 = guarded<&send_rtcp2, PJ_EUNKNOWN>;
    port->op.destroy = guarded<&destroy, PJ_EUNKNOWN>;
    if (pj_grp_lock_add_handler(transport->grp_lock, nullptr, port.get(), guarded<&on_destroyed>) != PJ_SUCCESS)
        return;
    transport->op = &port.release()->op;
}

}
