/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "strangers.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <map>
#include <utility>

#include <linux/sock_diag.h>
#include <sys/socket.h>

#include <pjsip.h>
#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

#include "connections.hpp"
#include "neighbours.hpp"
#include "watches.hpp"

namespace gateway {

namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

/* Responses to one stranger and to all of them together, a second; and how many of them may come at once. */
const double ONE_RATE = 5, ONE_BURST = 30, ALL_RATE = 20, ALL_BURST = 100;
/* From so many messages a second on it is a flood, until for so long nothing of it is seen. */
const unsigned FLOOD = 100, SAMPLE = 256;
const std::chrono::seconds FLOOD_LASTS{10};
const size_t MOST_SOURCES = 256;

struct Bucket {
    Address of;
    double tokens = 0;
    Clock::time_point filled{};

    bool take(double rate, double burst, Clock::time_point now)
    {
        tokens = std::min(burst, tokens + rate * Seconds(now - filled).count());
        filled = now;
        if (tokens < 1)
            return false;
        tokens -= 1;
        return true;
    }
};

std::array<Bucket, MOST_SOURCES> buckets_;
Bucket all_;
std::map<std::pair<std::string, std::string>, unsigned long> counts_; /* by reason and source; "": by many */
long second_ = 0;
unsigned seen_ = 0;
Clock::time_point flood_until_{};
bool filtered_ = false;
std::map<int, uint32_t> dropped_; /* by socket, as told last */

uint64_t hash(const Address &address)
{
    uint64_t value = 14695981039346656037ull;
    for (uint8_t byte : address.bytes)
        value = (value ^ byte) * 1099511628211ull;
    return value ^ (value >> 32);
}

/* All that take from anybody. */
std::vector<int> open_sockets()
{
    std::vector<int> found = listeners();
    for (const pjsua_transport_data &transport : pjsua_var.tpdata)
        if (transport.type == PJSIP_TRANSPORT_UDP || transport.type == PJSIP_TRANSPORT_UDP6)
            found.push_back(static_cast<int>(pjsip_udp_transport_get_socket(transport.data.tp)));
    return found;
}

uint32_t dropped_by(int socket)
{
    uint32_t memory[SK_MEMINFO_VARS] = {};
    socklen_t size = sizeof(memory);
    return getsockopt(socket, SOL_SOCKET, SO_MEMINFO, memory, &size) == 0 ? memory[SK_MEMINFO_DROPS] : 0;
}

/* How many the filter of this socket has dropped since it was asked last. */
void count_dropped(int socket)
{
    const uint32_t dropped = dropped_by(socket);
    if (const uint32_t more = dropped - dropped_[socket])
        counts_[{"peer-not-allowed", ""}] += more;
    dropped_[socket] = dropped;
}

void put_filter()
{
    std::vector<sock_filter> program = pass_only(all_networks(), SAMPLE);
    if (program.empty())
        return; // more networks than fit: all of it is turned away here instead
    const sock_fprog filter = {static_cast<unsigned short>(program.size()), program.data()};
    for (int socket : open_sockets()) {
        if (!filtered_)
            dropped_[socket] = dropped_by(socket);
        setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter));
    }
    filtered_ = true;
}

void take_filter_away()
{
    int ignored = 0;
    for (int socket : open_sockets())
        setsockopt(socket, SOL_SOCKET, SO_DETACH_FILTER, &ignored, sizeof(ignored));
    filtered_ = false;
}

void watch_for_flood(Clock::time_point now)
{
    const long second = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
    if (second != second_) {
        second_ = second;
        seen_ = 0;
    }
    if (filtered_ || ++seen_ > FLOOD)
        flood_until_ = now + FLOOD_LASTS;
    if (!filtered_ && seen_ > FLOOD)
        put_filter();
}

}

bool time_for(const Address &stranger)
{
    const Clock::time_point now = Clock::now();
    watch_for_flood(now);
    Bucket &own = buckets_[hash(stranger) % buckets_.size()];
    if (!(own.of == stranger)) {
        own.of = stranger;
        own.tokens = ONE_BURST;
        own.filled = now;
    }
    return own.take(ONE_RATE, ONE_BURST, now) && all_.take(ALL_RATE, ALL_BURST, now);
}

void count_turned_away(const char *reason, const Address &source)
{
    const bool full = counts_.size() >= MOST_SOURCES;
    const std::pair<std::string, std::string> key{reason, text_of(source)};
    const auto found = counts_.find(key);
    if (found != counts_.end())
        ++found->second;
    else
        ++counts_[{reason, full ? "" : key.second}];
}

void let_in_anew()
{
    if (filtered_)
        put_filter();
}

std::vector<std::string> counted_turned_away()
{
    close_silent();
    end_overdue_watches();
    if (filtered_) {
        for (int socket : open_sockets())
            count_dropped(socket);
        if (Clock::now() > flood_until_)
            take_filter_away();
    }
    std::vector<std::string> told;
    for (const auto &[key, count] : counts_)
        told.push_back(std::to_string(count) + " " + key.first + " " + key.second);
    counts_.clear();
    return told;
}

}
