/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "connections.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <unordered_map>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

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
/* Given up when no other is left, so that a connection can be accepted to be closed; else it would wait, and be told of,
 * without end. */
int spare_ = -1;
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

void keep_spare()
{
    if (spare_ < 0)
        spare_ = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

void watch_connections()
{
    keep_spare();
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

/* Whether there is a descriptor again for one connection. */
bool give_up_spare()
{
    keep_spare();
    if (spare_ < 0)
        return false;
    close(spare_);
    spare_ = -1;
    return true;
}

void count_for_no_room(const pj_sockaddr &from)
{
    count_turned_away("at-capacity", address_of(from));
}

const std::vector<int> &listeners()
{
    return listeners_;
}

}

/* PJLIB's own, of which the linker (--wrap) has everybody call the other one. */
extern "C" pj_status_t __real_pj_sock_accept(pj_sock_t listener, pj_sock_t *made, pj_sockaddr_t *peer, int *length);
extern "C" pj_status_t __wrap_pj_sock_accept(pj_sock_t listener, pj_sock_t *made, pj_sockaddr_t *peer, int *length);

namespace {

const pj_status_t NONE_WAITS = PJ_STATUS_FROM_OS(PJ_BLOCKING_ERROR_VAL);

/* Whether this status says that the next connection in the queue is to be tried: RFC 793 lets a peer take a connection
 * back before anybody has accepted it. */
bool was_taken_back(pj_status_t status)
{
    return status == PJ_STATUS_FROM_OS(ECONNABORTED) || status == PJ_STATUS_FROM_OS(EINTR);
}

bool has_no_descriptor(pj_status_t status)
{
    return status == PJ_STATUS_FROM_OS(EMFILE) || status == PJ_STATUS_FROM_OS(ENFILE);
}

}

/* PJLIB keeps a listener only as long as it brings connections or says that none waits. So it is told of nothing else. */
pj_status_t __wrap_pj_sock_accept(pj_sock_t listener, pj_sock_t *made, pj_sockaddr_t *peer, int *length)
{
    const int size = length ? *length : 0;
    const auto *from = static_cast<const pj_sockaddr *>(peer);
    const auto accept = [&] {
        if (length)
            *length = size;
        return __real_pj_sock_accept(listener, made, peer, length);
    };
    while (true) {
        pj_status_t status = accept();
        if (has_no_descriptor(status) && gateway::give_up_spare()) {
            status = accept();
            if (status == PJ_SUCCESS)
                pj_sock_close(*made);
            gateway::keep_spare();
            if (status == PJ_SUCCESS) {
                if (from)
                    gateway::guarded<&gateway::count_for_no_room>(*from);
                continue;
            }
        }
        if (status == PJ_SUCCESS) {
            if (!from || gateway::guarded<&gateway::has_time_for, true>(*from))
                return status;
            pj_sock_close(*made);
        } else if (!was_taken_back(status)) {
            return NONE_WAITS;
        }
    }
}
