/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rtp_source.hpp"

#include <map>
#include <memory>
#include <mutex>
#include <set>

#include <pjmedia.h>
#include <pjsip.h>
#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

#include "above.hpp"
#include "calls.hpp"
#include "dropped_media.hpp"
#include "modules.hpp"
#include "spoken.hpp"

namespace gateway {

namespace {

/* One socket's only source. */
struct Source {
    pj_sockaddr where;
    bool host = false, port = false; // what of `where` is known

    void is(const pj_sockaddr &address, bool withPort)
    {
        where = address;
        host = pj_sockaddr_has_addr(&address);
        port = host && withPort;
    }

    /* Whether a packet is taken; the first one of the right host settles an unknown port. */
    bool takes(const pj_sockaddr &from)
    {
        if (!host || from.addr.sa_family != where.addr.sa_family ||
            pj_memcmp(pj_sockaddr_get_addr(&from), pj_sockaddr_get_addr(&where), pj_sockaddr_get_addr_len(&from)) != 0)
            return false;
        if (!port) {
            pj_sockaddr_set_port(&where, pj_sockaddr_get_port(&from));
            port = true;
        }
        return pj_sockaddr_get_port(&from) == pj_sockaddr_get_port(&where);
    }
};

struct Origin {
    std::string callId;
    pj_sockaddr address;
};

/* Hangs on the `user_data` of its transport. */
struct Gate {
    std::mutex lock; // for all but `dropped`
    Above above;
    int call = PJSUA_INVALID_ID;
    RtpSource rule = RTP_SOURCE_ADDRESS;
    Origin signalling;
    Source rtp, rtcp;
    pj_sockaddr sentTo, reportedTo; // as the description says, or as latched
    bool mixed = false;             // RTCP comes and goes with RTP (RFC 5761)
    Spoken spoken;
    std::shared_ptr<Dropped> dropped = std::make_shared<Dropped>();
    pjmedia_transport *transport = nullptr;
};

pjmedia_transport_op udp_;
std::map<int, RtpSource> rules_;
Origin latest_; // of the newest description that came in

std::set<Gate *> gates_; // of the transports that PJSUA has not given up; for the loop's thread alone

Gate *gate_of(pjmedia_transport *transport)
{
    return static_cast<Gate *>(transport->user_data);
}

/* What a source may be known by, for who is told of packets from elsewhere. */
const pj_sockaddr *known(const Source &source)
{
    return source.host ? &source.where : nullptr;
}

/* A packet has come to the RTP socket; in a thread of media_threads.hpp. */
void on_rtp(pjmedia_tp_cb_param *param)
{
    Gate *gate = static_cast<Gate *>(param->user_data);
    if (!gate)
        return;
    Above above;
    bool turn = false;
    int type = -1;
    {
        const std::lock_guard<std::mutex> locked(gate->lock);
        if (param->size >= 0 && !gate->rtp.takes(*param->src_addr)) {
            drop(gate->dropped, gate->dropped->rtp, *param->src_addr, known(gate->rtp), gate->rtp.port);
            return;
        }
        above = gate->above;
        turn = param->size >= 0 && gate->rule == RTP_SOURCE_LATCHED &&
               pj_sockaddr_cmp(&gate->sentTo, param->src_addr) != 0;
        if (turn)
            gate->sentTo = *param->src_addr;
        if (param->size >= 0 && gate->spoken.hears(param->pkt, param->size, type))
            turn_to(gate->call, type);
    }
    pjmedia_tp_cb_param given = *param;
    given.src_addr = nullptr; // without it, a stream keeps to what it was told
    above.take_rtp(given);
    param->rem_switch = turn;
}

/* The same for the RTCP socket. */
void on_rtcp(void *data, void *packet, pj_ssize_t size)
{
    Gate *gate = static_cast<Gate *>(data);
    if (!gate)
        return;
    Above above;
    {
        const std::lock_guard<std::mutex> locked(gate->lock);
        if (size >= 0) {
            pjmedia_transport_info info;
            pjmedia_transport_info_init(&info);
            udp_.get_info(gate->transport, &info);
            if (!gate->rtcp.takes(info.src_rtcp_name)) {
                drop(gate->dropped, gate->dropped->rtcp, info.src_rtcp_name, known(gate->rtcp), gate->rtcp.port);
                return;
            }
        }
        above = gate->above;
    }
    above.take_rtcp(packet, size);
}

/* The call has its number, but may not have its INVITE session yet: that is there once media is attached. */
void know_call(Gate &gate)
{
    const pjsua_call *call = call_at(gate.call);
    if (!call)
        return;
    const pj_str_t &id = call->inv->dlg->call_id->id;
    gate.dropped->callId.assign(id.ptr, static_cast<std::size_t>(id.slen));
    gate.dropped->account = call->acc_id;
    gate.spoken.agreed(*call);
    const auto rule = rules_.find(call->acc_id);
    gate.rule = rule == rules_.end() ? RTP_SOURCE_ADDRESS : rule->second;
    if (latest_.callId == gate.dropped->callId)
        gate.signalling = latest_;
}

void begin(Gate &gate)
{
    const bool ours = gate.signalling.callId == gate.dropped->callId;
    pj_sockaddr unknown;
    pj_bzero(&unknown, sizeof(unknown));
    switch (gate.rule) {
    case RTP_SOURCE_LATCHED:
        gate.rtp.is(ours ? gate.signalling.address : unknown, false);
        gate.rtcp.is(ours ? gate.signalling.address : unknown, false);
        break;
    case RTP_SOURCE_HOST:
        gate.rtp.is(gate.sentTo, false);
        gate.rtcp.is(gate.reportedTo, false);
        break;
    case RTP_SOURCE_ADDRESS:
        gate.rtp.is(gate.sentTo, true);
        gate.rtcp.is(gate.reportedTo, true);
        break;
    }
}

pj_status_t attach2(pjmedia_transport *transport, pjmedia_transport_attach_param *param)
{
    Gate *gate = gate_of(transport);
    const std::lock_guard<std::mutex> locked(gate->lock);
    know_call(*gate);
    gate->above = Above(*param);
    gate->sentTo = param->rem_addr;
    gate->reportedTo = param->rem_rtcp;
    if (!pj_sockaddr_has_addr(&gate->reportedTo)) {
        gate->reportedTo = gate->sentTo; // RFC 3550 §11
        pj_sockaddr_set_port(&gate->reportedTo, static_cast<pj_uint16_t>(pj_sockaddr_get_port(&gate->sentTo) + 1));
    }
    gate->mixed = pj_sockaddr_cmp(&gate->sentTo, &gate->reportedTo) == 0;
    begin(*gate);
    pjmedia_transport_attach_param own = *param;
    own.user_data = gate;
    own.rtp_cb = nullptr;
    own.rtp_cb2 = guarded<&on_rtp>;
    own.rtcp_cb = guarded<&on_rtcp>;
    return udp_.attach2(transport, &own);
}

void detach(pjmedia_transport *transport, void *)
{
    Gate *gate = gate_of(transport);
    udp_.detach(transport, gate); // which waits for a packet that is being read
    const std::lock_guard<std::mutex> locked(gate->lock);
    gate->above = Above();
}

/* PJMEDIA would send its reports to whoever has sent three. */
pj_status_t send_rtcp2(pjmedia_transport *transport, const pj_sockaddr_t *to, unsigned length, const void *packet,
                       pj_size_t size)
{
    if (to)
        return udp_.send_rtcp2(transport, to, length, packet, size);
    Gate *gate = gate_of(transport);
    pj_sockaddr address;
    {
        const std::lock_guard<std::mutex> locked(gate->lock);
        address = gate->reportedTo;
        if (gate->rule == RTP_SOURCE_LATCHED && gate->mixed) {
            address = gate->sentTo;
        } else if (gate->rule == RTP_SOURCE_LATCHED && gate->rtcp.port) {
            address = gate->rtcp.where;
        } else if (gate->rule == RTP_SOURCE_LATCHED && gate->rtp.port) {
            address = gate->rtp.where;
            pj_sockaddr_set_port(&address, static_cast<pj_uint16_t>(pj_sockaddr_get_port(&address) + 1));
        }
    }
    return udp_.send_rtcp2(transport, &address, pj_sockaddr_get_len(&address), packet, size);
}

pj_status_t send_rtcp(pjmedia_transport *transport, const void *packet, pj_size_t size)
{
    return send_rtcp2(transport, nullptr, 0, packet, size);
}

pj_status_t destroy(pjmedia_transport *transport)
{
    gates_.erase(gate_of(transport));
    return udp_.destroy(transport);
}

/* The last stream has let go of the transport. */
void on_destroyed(void *data)
{
    delete static_cast<Gate *>(data);
}

/* A description that comes in makes a call, or changes one, before another message is read. */
pj_bool_t on_message(pjsip_rx_data *rdata)
{
    if (rdata->msg_info.msg->body && rdata->msg_info.cid) {
        const pj_str_t &id = rdata->msg_info.cid->id;
        latest_.callId.assign(id.ptr, static_cast<std::size_t>(id.slen));
        pj_sockaddr_cp(&latest_.address, &rdata->pkt_info.src_addr);
    }
    return PJ_FALSE;
}

}

void set_rtp_source(int account, RtpSource source)
{
    rules_[account] = source;
}

void watch_sources()
{
    rules_.clear();
    latest_ = Origin();
    static pjsip_module module;
    module = named_module("mod-gateway-rtp-source", PJSIP_MOD_PRIORITY_TSX_LAYER - 1); // it keeps responses to itself
    module.on_rx_request = guarded<&on_message>;
    module.on_rx_response = guarded<&on_message>;
    register_module(module);
}

void guard_source(pjmedia_transport_op &op)
{
    udp_ = op;
    op.attach2 = guarded<&attach2, PJ_EUNKNOWN>;
    op.detach = guarded<&detach>;
    op.send_rtcp = guarded<&send_rtcp, PJ_EUNKNOWN>;
    op.send_rtcp2 = guarded<&send_rtcp2, PJ_EUNKNOWN>;
    op.destroy = guarded<&destroy, PJ_EUNKNOWN>;
}

bool guard_transport(int callId, pjmedia_transport *transport)
{
    auto gate = std::make_unique<Gate>();
    pj_bzero(&gate->sentTo, sizeof(gate->sentTo));
    pj_bzero(&gate->reportedTo, sizeof(gate->reportedTo));
    gate->call = callId;
    gate->transport = transport;
    gate->signalling = latest_; // it counts if it turns out to be of the same call
    if (pj_grp_lock_add_handler(transport->grp_lock, nullptr, gate.get(), guarded<&on_destroyed>) != PJ_SUCCESS)
        return false;
    transport->user_data = gate.get();
    gates_.insert(gate.release());
    return true;
}

void unlatch(int callId)
{
    for (Gate *gate : gates_) {
        if (gate->call != callId || gate->rule == RTP_SOURCE_ADDRESS)
            continue;
        const std::lock_guard<std::mutex> locked(gate->lock);
        gate->rtp.port = gate->rtcp.port = false;
    }
}

}
