/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "connections.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <unordered_map>
#include <vector>

#include <dirent.h>
#include <sys/socket.h>

#include <pjsip.h>
#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

#include "modules.hpp"
#include "neighbours.hpp"
#include "strangers.hpp"

namespace gateway {

namespace {

using Clock = std::chrono::steady_clock;

const std::chrono::seconds FIRST_WORD{5};
const long MOST_OF_ONE = 1000;

struct Connection {
    Address peer;
    Clock::time_point since;
    bool spoken = false;
};

std::unordered_map<const pjsip_transport *, Connection> connections_;
std::vector<int> listeners_;
void (*before_)(pjsip_transport *, pjsip_transport_state, const pjsip_transport_state_info *) = nullptr;

void made(pjsip_transport *transport)
{
    const Address peer = address_of(transport->key.rem_addr);
    const long others = std::count_if(connections_.begin(), connections_.end(),
                                      [&](const auto &one) { return one.second.peer == peer; });
    if (may_speak(peer) && others < MOST_OF_ONE) {
        connections_[transport] = {peer, Clock::now()};
        return;
    }
    count_turned_away("peer-not-allowed", peer);
    pjsip_transport_shutdown2(transport, PJ_TRUE);
}

void on_state(pjsip_transport *transport, pjsip_transport_state state, const pjsip_transport_state_info *info)
{
    if (before_)
        before_(transport, state, info);
    if ((transport->flag & PJSIP_TRANSPORT_DATAGRAM) || transport->dir != PJSIP_TP_DIR_INCOMING)
        return;
    if (state == PJSIP_TP_STATE_CONNECTED)
        made(transport);
    else if (state == PJSIP_TP_STATE_DESTROY)
        connections_.erase(transport);
}

bool listens_for_us(int descriptor)
{
    int listening = 0;
    socklen_t size = sizeof(listening);
    if (getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 || !listening)
        return false;
    pj_sockaddr address;
    int length = sizeof(address);
    if (pj_sock_getsockname(descriptor, &address, &length) != PJ_SUCCESS)
        return false;
    for (const pjsua_transport_data &transport : pjsua_var.tpdata) {
        if (transport.type == PJSIP_TRANSPORT_UNSPECIFIED ||
            (pjsip_transport_get_flag_from_type(transport.type) & PJSIP_TRANSPORT_DATAGRAM))
            continue;
        const pj_sockaddr &ours = transport.data.factory->local_addr;
        if (ours.addr.sa_family == address.addr.sa_family &&
            pj_sockaddr_get_port(&ours) == pj_sockaddr_get_port(&address))
            return true;
    }
    return false;
}

/* PJSIP keeps the sockets that it listens on to itself. */
void find_listeners()
{
    DIR *directory = opendir("/proc/self/fd");
    if (!directory)
        return;
    while (const dirent *entry = readdir(directory)) {
        const int descriptor = std::atoi(entry->d_name);
        if (descriptor > 2 && listens_for_us(descriptor))
            listeners_.push_back(descriptor);
    }
    closedir(directory);
}

}

void watch_connections()
{
    before_ = pjsua_var.ua_cfg.cb.on_transport_state;
    pjsua_var.ua_cfg.cb.on_transport_state = guarded<&on_state>;
    find_listeners();
}

void has_spoken(const pjsip_rx_data *message)
{
    const auto found = connections_.find(message->tp_info.transport);
    if (found != connections_.end())
        found->second.spoken = true;
}

void close_silent()
{
    const Clock::time_point now = Clock::now();
    std::vector<pjsip_transport *> silent;
    for (const auto &[transport, connection] : connections_)
        if (!connection.spoken && now - connection.since > FIRST_WORD)
            silent.push_back(const_cast<pjsip_transport *>(transport));
    for (pjsip_transport *transport : silent)
        pjsip_transport_shutdown2(transport, PJ_TRUE);
}

/* Whether there is time to make a connection, if only to close it. */
bool has_time_for(const pj_sockaddr &from)
{
    const Address source = address_of(from);
    if (may_speak(source) || time_for(source))
        return true;
    count_turned_away("peer-not-allowed", source);
    return false;
}

const std::vector<int> &listeners()
{
    return listeners_;
}

}

/* PJLIB's own, of which the linker (--wrap) has everybody call the other one. */
extern "C" pj_status_t __real_pj_sock_accept(pj_sock_t listener, pj_sock_t *made, pj_sockaddr_t *peer, int *length);
extern "C" pj_status_t __wrap_pj_sock_accept(pj_sock_t listener, pj_sock_t *made, pj_sockaddr_t *peer, int *length);

pj_status_t __wrap_pj_sock_accept(pj_sock_t listener, pj_sock_t *made, pj_sockaddr_t *peer, int *length)
{
    while (true) {
        const pj_status_t status = __real_pj_sock_accept(listener, made, peer, length);
        const auto *from = static_cast<const pj_sockaddr *>(peer);
        if (status != PJ_SUCCESS || !from || gateway::guarded<&gateway::has_time_for, true>(*from))
            return status;
        pj_sock_close(*made);
    }
}
