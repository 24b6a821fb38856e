/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "rtp_ports.hpp"

#include <deque>
#include <map>

#include <pjlib.h>
#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

#include <sys/resource.h>

#include "strings.hpp"

namespace gateway {

namespace {

/* Descriptors kept for what must go on when calls have taken all others: connections, files, the web server. */
const long SPARE_DESCRIPTORS = 64;
const int BUSY = -1, EXHAUSTED = -2;

struct Pair {
    int port;
    int rtp;
    int rtcp;
};

/* Of one address. */
struct Range {
    int low = 0;
    int high = 0;
    int next = 0; /* where the search goes on: a port that was let go of rests as long as it can */
    std::deque<Pair> held;
};

std::map<std::string, Range> ranges_;

/* A bound socket, or why there is none. */
int bound(int family, pj_sockaddr &address, int port)
{
    pj_sock_t made;
    if (pj_sock_socket(family, pj_SOCK_DGRAM() | pj_SOCK_CLOEXEC(), 0, &made) != PJ_SUCCESS)
        return EXHAUSTED;
    pj_sockaddr_set_port(&address, static_cast<pj_uint16_t>(port));
    if (pj_sock_bind(made, &address, pj_sockaddr_get_len(&address)) != PJ_SUCCESS) {
        pj_sock_close(made);
        return BUSY;
    }
    return static_cast<int>(made);
}

void close(const Pair &pair)
{
    for (const int socket : {pair.rtp, pair.rtcp})
        if (socket >= 0)
            pj_sock_close(socket);
}

void let_go(Range &range)
{
    for (const Pair &pair : range.held)
        close(pair);
    range.held.clear();
}

Range &range_of(const std::string &address, int low, int high)
{
    Range &range = ranges_[address];
    if (range.low != low || range.high != high) {
        let_go(range);
        range.low = low;
        range.high = high;
        range.next = low + low % 2;
    }
    return range;
}

/* Look at the next pair; false: descriptors have run out. */
bool try_next(Range &range, int family, pj_sockaddr &where, long descriptors)
{
    const int first = range.low + range.low % 2;
    Pair pair{range.next, bound(family, where, range.next), BUSY};
    if (pair.rtp >= 0)
        pair.rtcp = bound(family, where, pair.port + 1);
    const bool exhausted = pair.rtp == EXHAUSTED || pair.rtcp == EXHAUSTED || pair.rtp >= descriptors - SPARE_DESCRIPTORS;
    if (!exhausted && pair.rtcp >= 0)
        range.held.push_back(pair);
    else
        close(pair);
    range.next = range.next + 3 > range.high ? first : range.next + 2;
    return !exhausted;
}

bool hold(Range &range, const std::string &address, int pairs)
{
    if (static_cast<int>(range.held.size()) >= pairs)
        return true;
    const pj_str_t text = view_of(address);
    const int family = address.find(':') == std::string::npos ? pj_AF_INET() : pj_AF_INET6();
    pj_sockaddr where;
    if (pj_sockaddr_init(family, &where, nullptr, 0) != PJ_SUCCESS ||
        pj_sockaddr_set_str_addr(family, &where, &text) != PJ_SUCCESS)
        return false;
    rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    const int all = (range.high - range.low - range.low % 2 + 1) / 2;
    for (int tried = 0; static_cast<int>(range.held.size()) < pairs; ++tried)
        if (tried == all || !try_next(range, family, where, static_cast<long>(limit.rlim_cur)))
            return false;
    return true;
}

}

bool find_rtp_ports(const std::string &address, int low, int high, int pairs, bool hold)
{
    Range &range = range_of(address, low, high);
    const bool found = gateway::hold(range, address, pairs);
    if (!hold)
        let_go(range);
    return found;
}

bool use_rtp_ports(int account, const std::string &address, int low, int high)
{
    Range &range = range_of(address, low, high);
    if (!hold(range, address, 1))
        return false;
    const Pair taken = range.held.front();
    range.held.pop_front();
    close(taken);
    pjsua_var.acc[account].next_rtp_port = static_cast<pj_uint16_t>(taken.port);
    return true;
}

void release_rtp_ports()
{
    for (auto &[address, range] : ranges_)
        let_go(range);
}

}
