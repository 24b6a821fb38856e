/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pressure.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <map>
#include <vector>

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
/* Calls a second that we take of all together: at first, and at most. What we can take on this machine we learn: less by
 * so much for each HICCUP that we are late, and so many more for each call taken in time while about as many come. Up to what
 * was too much last, less once, we know no limit, and twice as many may come each second (as TCP's slow start, RFC 5681
 * §3.1): however long we were late then, for want of a processor perhaps, it is made up for soon. */
const double AT_FIRST = 100, AT_MOST = 1000, LESS = 0.7, MORE = 0.2, MORE_BELOW = 1;
/* Calls that one peer may make at once, beyond its share of those. */
const double BURST = 50;
/* Calls asked for in a second, by all together, that are not what makes anybody late: who is late with them lacks a processor. */
const double FEW = 30;
const std::chrono::milliseconds HICCUP{100}, FORGOTTEN{500}, EPISODE{1000};

/* So many at once, and so many a second. */
struct Bucket {
    double tokens = 0;
    Clock::time_point filled{};

    bool takes_token(double per_second, double most, Clock::time_point time)
    {
        tokens = std::min(most, tokens + per_second * std::max(0.0, Seconds(time - filled).count()));
        filled = std::max(filled, time);
        if (tokens < 1)
            return false;
        tokens -= 1;
        return true;
    }
};

struct Peer {
    double per_second = 0; /* what is agreed on; 0: nothing */
    Bucket agreed, share{BURST, {}};
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

    bool keeps_to_agreed(Clock::time_point time)
    {
        return per_second <= 0 || agreed.takes_token(per_second, std::max(1.0, per_second), time);
    }
};

std::map<int, Peer> peers_;
double waited_s_ = 0;
double limit_ = AT_FIRST, known_ = AT_MOST; /* known_: what can be had without being late, as far as we know */
Clock::time_point measured_{}, late_since_{}, lowered_{};
bool late_ = false;

/* What peers have asked for in the last second. */
struct Demand {
    double all = 0;
    std::vector<double> each; /* of those who ask */

    /* What each of them may have of so many: those who ask for less leave the rest to the others, in equal parts. */
    double share_of(double limit)
    {
        std::sort(each.begin(), each.end());
        double left = limit;
        std::size_t sharing = each.size();
        for (double its : each) {
            if (sharing == 1 || its * static_cast<double>(sharing) > left)
                break;
            --sharing;
            left -= its;
        }
        return left / static_cast<double>(std::max<std::size_t>(sharing, 1));
    }
};

Demand demand(Clock::time_point time)
{
    Demand found;
    for (auto &[number, peer] : peers_) {
        const double its = peer.asked(time, 0);
        if (its <= 0)
            continue;
        found.all += its;
        found.each.push_back(its);
    }
    return found;
}

bool is_late(Clock::time_point time)
{
    return late_ && time - measured_ < FORGOTTEN && time - late_since_ > HICCUP;
}

/* Whether this call is one more than its peer's share of what we can take. */
bool is_beyond_share(Peer &peer, Demand &asked, Clock::time_point arrived)
{
    return !peer.share.takes_token(asked.share_of(limit_), BURST, arrived);
}

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
    if (is_late(time) && time - lowered_ > HICCUP) {
        if (time - lowered_ > EPISODE)
            known_ = limit_ * LESS;
        limit_ = std::max(FEW, limit_ * LESS);
        lowered_ = time;
    }
}

Verdict weigh(int account, bool measured)
{
    const Clock::time_point time = Clock::now();
    Peer &peer = peers_[account];
    const double its = peer.asked(time, 1);
    if (!peer.keeps_to_agreed(time))
        return Verdict::TOO_MANY_OF_ITS_PEER;
    Demand asked = demand(time);
    // By when it came: those that had to wait for us came no closer to each other for that.
    const auto waited = std::chrono::duration_cast<Clock::duration>(Seconds(measured ? waited_s_ : 0));
    if (is_beyond_share(peer, asked, time - waited) && asked.all >= FEW)
        return Verdict::TOO_BUSY;
    const bool late = is_late(time);
    const double average = asked.all / static_cast<double>(asked.each.size());
    if (late && asked.all >= FEW && its * std::max(1.0, waited_s_ / VERY_LATE_S) >= average)
        return Verdict::TOO_BUSY;
    if (!late && asked.all >= limit_ / 2)
        limit_ = std::min(AT_MOST, limit_ + (limit_ < known_ ? MORE_BELOW : MORE));
    return Verdict::WELCOME;
}

void count_asked(int account)
{
    peers_[account].asked(Clock::now(), 1);
}

void set_rate(int account, double per_second)
{
    Peer &peer = peers_[account];
    if (peer.per_second == per_second)
        return;
    peer.per_second = per_second;
    peer.agreed = {std::max(1.0, per_second), Clock::now()};
}

}
