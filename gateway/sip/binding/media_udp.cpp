/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "media_udp.hpp"

#include <array>
#include <cerrno>

#include <sys/socket.h>

#include "above.hpp"
#include "media_threads.hpp"
#include "modules.hpp"

/* PJMEDIA's own, of which the linker (--wrap) has PJSUA call ours. */
extern "C" pj_status_t __wrap_pjmedia_transport_udp_attach(pjmedia_endpt *endpoint, const char *name,
                                                           const pjmedia_sock_info *sockets, unsigned options,
                                                           pjmedia_transport **made);

namespace gateway {

namespace {

struct MediaUdp;

/* One of the two sockets. */
struct Socket : Readable {
    MediaUdp *owner = nullptr;
    pj_sock_t descriptor = PJ_INVALID_SOCKET;
    pj_sockaddr from{};      // where the newest packet came from
    pj_sockaddr to{};        // where ours go
    pj_sockaddr published{}; // what descriptions name

    void read() override;
};

struct MediaUdp {
    MediaUdp() = default;
    ~MediaUdp()
    {
        if (pool)
            pj_pool_release(pool);
    }
    MediaUdp(const MediaUdp &) = delete;
    MediaUdp &operator=(const MediaUdp &) = delete;

    pjmedia_transport base{}; // has to be the first
    pj_pool_t *pool = nullptr;
    std::shared_ptr<MediaThread> thread;
    unsigned options = 0; // of the description
    Socket rtp, rtcp;
    std::atomic<bool> started{false};

    /* While a packet is handed up, and to wait for that. Whoever waits holds nothing that is taken on the way up: so neither
     * SRTP's lock nor the group's, under which PJMEDIA starts transports and asks how they are. */
    std::recursive_mutex handing;
    std::mutex lock; // for what follows, and the sockets' `to` and `from`; nothing else is taken while it is held
    Above above;
    bool multiplexed = false; // RTCP goes where RTP goes (RFC 5761)
};

MediaUdp &udp_of(pjmedia_transport *transport)
{
    return *reinterpret_cast<MediaUdp *>(transport);
}

void hand_up(MediaUdp &udp, Socket &socket, const Above &above, void *packet, pj_ssize_t size, pj_sockaddr &source)
{
    if (&socket == &udp.rtcp) {
        above.take_rtcp(packet, size);
        return;
    }
    pjmedia_tp_cb_param given{};
    given.pkt = packet;
    given.size = size;
    given.src_addr = &source;
    if (!above.take_rtp(given))
        return;
    const std::lock_guard<std::mutex> locked(udp.lock);
    udp.rtp.to = source;
}

void Socket::read()
{
    const std::lock_guard<std::recursive_mutex> handing(owner->handing);
    if (!owner->started)
        return;
    Above above; // from before it is read: a description that comes meanwhile does not judge it
    {
        const std::lock_guard<std::mutex> locked(owner->lock);
        above = owner->above;
    }
    alignas(8) std::array<char, PJMEDIA_MAX_MRU> packet; // SRTP opens it in its place, word by word
    pj_sockaddr source{};
    socklen_t length = sizeof(source);
    const ssize_t size = recvfrom(static_cast<int>(descriptor), packet.data(), packet.size(), MSG_DONTWAIT | MSG_TRUNC,
                                  reinterpret_cast<sockaddr *>(&source), &length);
    if (size < 0 || size > static_cast<ssize_t>(packet.size()))
        return; // there is none, or it is larger than any
    {
        const std::lock_guard<std::mutex> locked(owner->lock);
        from = source;
    }
    hand_up(*owner, *this, above, packet.data(), static_cast<pj_ssize_t>(size), source);
}

void stop(MediaUdp &udp)
{
    {
        const std::lock_guard<std::mutex> locked(udp.lock);
        if (udp.started.exchange(false))
            for (const Socket *one : {&udp.rtp, &udp.rtcp})
                udp.thread->unwatch(static_cast<int>(one->descriptor));
    }
    const std::lock_guard<std::recursive_mutex> waited(udp.handing);
}

pj_status_t get_info(pjmedia_transport *transport, pjmedia_transport_info *info)
{
    MediaUdp &udp = udp_of(transport);
    const std::lock_guard<std::mutex> locked(udp.lock);
    info->sock_info.rtp_sock = udp.rtp.descriptor;
    info->sock_info.rtcp_sock = udp.rtcp.descriptor;
    info->sock_info.rtp_addr_name = udp.rtp.published;
    info->sock_info.rtcp_addr_name = udp.multiplexed ? udp.rtp.published : udp.rtcp.published;
    info->src_rtp_name = udp.rtp.from;
    info->src_rtcp_name = udp.rtcp.from;
    if (info->specific_info_cnt < PJ_ARRAY_SIZE(info->spc_info)) {
        pjmedia_transport_specific_info &specific = info->spc_info[info->specific_info_cnt++];
        specific.type = PJMEDIA_TRANSPORT_TYPE_UDP;
        specific.cbsize = 0;
    }
    return PJ_SUCCESS;
}

/* An address as this socket's family has it. */
void aim(Socket &socket, const pj_sockaddr &where)
{
    if (pj_sockaddr_synthesize(socket.published.addr.sa_family, &socket.to, &where) != PJ_SUCCESS)
        pj_sockaddr_cp(&socket.to, &where);
}

pj_status_t attach2(pjmedia_transport *transport, pjmedia_transport_attach_param *param)
{
    MediaUdp &udp = udp_of(transport);
    const std::lock_guard<std::mutex> locked(udp.lock);
    udp.multiplexed =
        pj_sockaddr_has_addr(&param->rem_addr) && pj_sockaddr_cmp(&param->rem_addr, &param->rem_rtcp) == 0;
    aim(udp.rtp, param->rem_addr);
    aim(udp.rtcp, pj_sockaddr_has_addr(&param->rem_rtcp) ? param->rem_rtcp : param->rem_addr);
    if (!pj_sockaddr_has_addr(&param->rem_rtcp)) // RFC 3550 §11
        pj_sockaddr_set_port(&udp.rtcp.to, static_cast<pj_uint16_t>(pj_sockaddr_get_port(&udp.rtp.to) + 1));
    udp.rtp.from = udp.rtcp.from = pj_sockaddr{};
    udp.above = Above(*param);
    return PJ_SUCCESS;
}

void detach(pjmedia_transport *transport, void *)
{
    MediaUdp &udp = udp_of(transport);
    {
        const std::lock_guard<std::mutex> locked(udp.lock);
        udp.above = Above();
    }
    stop(udp);
}

pj_status_t send(MediaUdp &udp, const Socket &through, const pj_sockaddr &to, const void *packet, pj_size_t size)
{
    if (!udp.started)
        return PJ_SUCCESS;
    const ssize_t sent = sendto(static_cast<int>(through.descriptor), packet, size, MSG_DONTWAIT | MSG_NOSIGNAL,
                                reinterpret_cast<const sockaddr *>(&to), pj_sockaddr_get_len(&to));
    return sent < 0 ? PJ_RETURN_OS_ERROR(errno) : PJ_SUCCESS;
}

pj_status_t send_rtp(pjmedia_transport *transport, const void *packet, pj_size_t size)
{
    MediaUdp &udp = udp_of(transport);
    pj_sockaddr to;
    {
        const std::lock_guard<std::mutex> locked(udp.lock);
        to = udp.rtp.to;
    }
    return send(udp, udp.rtp, to, packet, size);
}

pj_status_t send_rtcp2(pjmedia_transport *transport, const pj_sockaddr_t *to, unsigned, const void *packet, pj_size_t size)
{
    MediaUdp &udp = udp_of(transport);
    pj_sockaddr address;
    bool multiplexed;
    {
        const std::lock_guard<std::mutex> locked(udp.lock);
        multiplexed = udp.multiplexed;
        address = multiplexed ? udp.rtp.to : udp.rtcp.to;
    }
    if (to)
        pj_sockaddr_cp(&address, to);
    return send(udp, multiplexed ? udp.rtp : udp.rtcp, address, packet, size);
}

pj_status_t send_rtcp(pjmedia_transport *transport, const void *packet, pj_size_t size)
{
    return send_rtcp2(transport, nullptr, 0, packet, size);
}

pj_status_t media_create(pjmedia_transport *transport, pj_pool_t *, unsigned options, const pjmedia_sdp_session *, unsigned)
{
    udp_of(transport).options = options;
    return options & PJMEDIA_TPMED_RTCP_MUX ? PJ_ENOTSUP : PJ_SUCCESS; // no account of ours asks to offer it
}

/* RTP/AVP alone, unless SRTP, which is above, sees to that. */
bool is_plain(const pjmedia_sdp_media *media)
{
    pj_uint32_t protocol = pjmedia_sdp_transport_get_proto(&media->desc.transport);
    PJMEDIA_TP_PROTO_TRIM_FLAG(protocol, PJMEDIA_TP_PROFILE_RTCP_FB);
    return protocol == PJMEDIA_TP_PROTO_RTP_AVP;
}

pj_status_t encode_sdp(pjmedia_transport *transport, pj_pool_t *pool, pjmedia_sdp_session *local,
                       const pjmedia_sdp_session *remote, unsigned index)
{
    if (udp_of(transport).options & PJMEDIA_TPMED_NO_TRANSPORT_CHECKING)
        return PJ_SUCCESS;
    if (is_plain(local->media[index]) && (!remote || is_plain(remote->media[index])))
        return PJ_SUCCESS;
    pjmedia_sdp_media_deactivate(pool, local->media[index]);
    return PJMEDIA_SDP_EINPROTO;
}

pj_status_t media_start(pjmedia_transport *transport, pj_pool_t *, const pjmedia_sdp_session *, const pjmedia_sdp_session *,
                        unsigned)
{
    MediaUdp &udp = udp_of(transport);
    const std::lock_guard<std::mutex> locked(udp.lock);
    if (udp.started.exchange(true))
        return PJ_SUCCESS;
    if (udp.thread->watch(static_cast<int>(udp.rtp.descriptor), udp.rtp) &&
        udp.thread->watch(static_cast<int>(udp.rtcp.descriptor), udp.rtcp))
        return PJ_SUCCESS;
    const int failed = errno;
    udp.started = false;
    udp.thread->unwatch(static_cast<int>(udp.rtp.descriptor));
    return PJ_RETURN_OS_ERROR(failed);
}

pj_status_t media_stop(pjmedia_transport *transport)
{
    stop(udp_of(transport));
    return PJ_SUCCESS;
}

pj_status_t simulate_lost(pjmedia_transport *, pjmedia_dir, unsigned)
{
    return PJ_SUCCESS; // PJSUA tells of it for each transport: of none
}

/* The ports are free at once; the rest lasts until no thread and no stream needs it. */
pj_status_t destroy(pjmedia_transport *transport)
{
    MediaUdp &udp = udp_of(transport);
    stop(udp);
    for (Socket *one : {&udp.rtp, &udp.rtcp}) {
        pj_sock_close(one->descriptor);
        one->descriptor = PJ_INVALID_SOCKET;
    }
    const std::shared_ptr<MediaThread> thread = udp.thread;
    thread->let_go(transport->grp_lock);
    return PJ_SUCCESS;
}

void on_destroyed(void *data)
{
    delete static_cast<MediaUdp *>(data);
}

const pjmedia_transport_op operations_ = [] {
    pjmedia_transport_op made{};
    made.get_info = guarded<&get_info, PJ_EUNKNOWN>;
    made.attach2 = guarded<&attach2, PJ_EUNKNOWN>;
    made.detach = guarded<&detach>;
    made.send_rtp = guarded<&send_rtp, PJ_EUNKNOWN>;
    made.send_rtcp = guarded<&send_rtcp, PJ_EUNKNOWN>;
    made.send_rtcp2 = guarded<&send_rtcp2, PJ_EUNKNOWN>;
    made.media_create = guarded<&media_create, PJ_EUNKNOWN>;
    made.encode_sdp = guarded<&encode_sdp, PJ_EUNKNOWN>;
    made.media_start = guarded<&media_start, PJ_EUNKNOWN>;
    made.media_stop = guarded<&media_stop, PJ_EUNKNOWN>;
    made.simulate_lost = guarded<&simulate_lost, PJ_EUNKNOWN>;
    made.destroy = guarded<&destroy, PJ_EUNKNOWN>;
    return made;
}();

}

pj_status_t make_media_udp(pjmedia_endpt *endpoint, const char *name, const pjmedia_sock_info *sockets, unsigned,
                           pjmedia_transport **made)
{
    auto udp = std::make_unique<MediaUdp>();
    udp->pool = pjmedia_endpt_create_pool(endpoint, name ? name : "udp%p", 256, 256);
    if (!udp->pool)
        return PJ_ENOMEM;
    pjmedia_transport &base = udp->base;
    const pj_status_t status =
        pj_grp_lock_create_w_handler(udp->pool, nullptr, udp.get(), guarded<&on_destroyed>, &base.grp_lock);
    if (status != PJ_SUCCESS)
        return status;
    MediaUdp &kept = *udp.release(); // by that lock
    pj_grp_lock_add_ref(base.grp_lock);
    kept.thread = MediaThread::least_busy(endpoint);
    if (!kept.thread) {
        pj_grp_lock_dec_ref(base.grp_lock);
        return PJ_ENOMEM;
    }
    pj_ansi_strxcpy(base.name, kept.pool->obj_name, sizeof(base.name));
    base.type = PJMEDIA_TRANSPORT_TYPE_UDP;
    base.op = const_cast<pjmedia_transport_op *>(&operations_);
    kept.rtp.owner = kept.rtcp.owner = &kept;
    kept.rtp.descriptor = sockets->rtp_sock;
    kept.rtp.published = sockets->rtp_addr_name;
    kept.rtcp.descriptor = sockets->rtcp_sock;
    kept.rtcp.published = sockets->rtcp_addr_name;
    *made = &base;
    return PJ_SUCCESS;
}

}

pj_status_t __wrap_pjmedia_transport_udp_attach(pjmedia_endpt *endpoint, const char *name, const pjmedia_sock_info *sockets,
                                                unsigned options, pjmedia_transport **made)
{
    const pj_status_t status =
        gateway::guarded<&gateway::make_media_udp, PJ_ENOMEM>(endpoint, name, sockets, options, made);
    if (status != PJ_SUCCESS) {
        pj_sock_close(sockets->rtp_sock);
        pj_sock_close(sockets->rtcp_sock);
    }
    return status;
}
