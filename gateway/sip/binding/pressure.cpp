/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pressure.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <map>

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/time.h>

#include <pjsip.h>
#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

namespace gateway {

namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

/* From the second on a fair share is ever less. */
const double LATE_S = 0.1, VERY_LATE_S = 0.25;
/* Calls asked for in a second, by all together, that are not what makes anybody late: who is late with them lacks a processor. */
const double FEW = 20;
const std::chrono::milliseconds HICCUP{100}, FORGOTTEN{500};

struct Peer {
    double per_second = 0, tokens = 0;
    Clock::time_point filled{};
    long second = 0; /* in which `now` is counted */
    double now = 0, before = 0;

    /* How many calls it has asked for in the second that ends now, the one before being spread evenly. */
    double asked(Clock::time_point time, unsigned more)
    {
        const double seconds = Seconds(time.time_since_epoch()).count();
        const long current = static_cast<long>(seconds);
        if (current != second) {
            before = current == second + 1 ? now : 0;
            now = 0;
            second = current;
        }
        now += more;
        return now + before * (1 - (seconds - static_cast<double>(current)));
    }

    bool takes_token(Clock::time_point time)
    {
        if (per_second <= 0)
            return true;
        const double most = std::max(1.0, per_second);
        tokens = std::min(most, tokens + per_second * Seconds(time - filled).count());
        filled = time;
        if (tokens < 1)
            return false;
        tokens -= 1;
        return true;
    }
};

std::map<int, Peer> peers_;
double waited_s_ = 0;
Clock::time_point measured_{}, late_since_{};
bool late_ = false;

int socket_of(const pjsip_transport *transport)
{
    return static_cast<int>(pjsip_udp_transport_get_socket(const_cast<pjsip_transport *>(transport)));
}

}

void begin_to_measure()
{
    timeval ignored;
    for (const pjsua_transport_data &transport : pjsua_var.tpdata)
        if (transport.type == PJSIP_TRANSPORT_UDP || transport.type == PJSIP_TRANSPORT_UDP6)
            ioctl(socket_of(transport.data.tp), SIOCGSTAMP, &ignored);
}

void measure(const pjsip_rx_data *datagram)
{
    timeval arrived;
    timespec now;
    if (ioctl(socket_of(datagram->tp_info.transport), SIOCGSTAMP, &arrived) != 0 || clock_gettime(CLOCK_REALTIME, &now))
        return;
    waited_s_ = static_cast<double>(now.tv_sec - arrived.tv_sec) + now.tv_nsec / 1e9 - arrived.tv_usec / 1e6;
    const Clock::time_point time = Clock::now();
    const bool late = waited_s_ > LATE_S;
    if (late && (!late_ || time - measured_ > FORGOTTEN))
        late_since_ = time;
    late_ = late;
    measured_ = time;
}

Verdict weigh(int account)
{
    const Clock::time_point time = Clock::now();
    Peer &peer = peers_[account];
    const double asked = peer.asked(time, 1);
    if (!peer.takes_token(time))
        return Verdict::TOO_MANY_OF_ITS_PEER;
    if (late_ && time - measured_ < FORGOTTEN && time - late_since_ > HICCUP) {
        double all = 0;
        unsigned asking = 0;
        for (auto &[number, each] : peers_) {
            const double its = each.asked(time, 0);
            all += its;
            asking += its > 0 ? 1 : 0;
        }
        if (all >= FEW && asked * asking * std::max(1.0, waited_s_ / VERY_LATE_S) >= all)
            return Verdict::TOO_BUSY;
    }
    return Verdict::WELCOME;
}

void set_rate(int account, double per_second)
{
    Peer &peer = peers_[account];
    if (peer.per_second == per_second)
        return;
    peer.per_second = per_second;
    peer.tokens = std::max(1.0, per_second);
    peer.filled = Clock::now();
}

}
