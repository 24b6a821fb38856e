/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "room.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <map>

#include <pjsip.h>

namespace gateway {

namespace {

using Clock = std::chrono::steady_clock;

/* So many transactions may be open, of all peers together, before anybody's share counts; each takes some 10 KB. */
const unsigned ROOM = 16384;
const long KEPT_S = 32;

/* What was begun in the last 32 s: so long a transaction over UDP is kept (RFC 3261 §17.2.2, timer J). */
class Recent {
public:
    void add(long second)
    {
        pass(second);
        ++each_[static_cast<size_t>(second % KEPT_S)];
        ++sum_;
    }

    unsigned sum(long second)
    {
        pass(second);
        return sum_;
    }

private:
    void pass(long second)
    {
        newest_ = std::max(newest_, second - KEPT_S);
        while (newest_ < second) {
            unsigned &oldest = each_[static_cast<size_t>(++newest_ % KEPT_S)];
            sum_ -= oldest;
            oldest = 0;
        }
    }

    std::array<unsigned, KEPT_S> each_{};
    long newest_ = 0;
    unsigned sum_ = 0;
};

std::map<int, Recent> begun_; /* by account */

}

bool has_room(int account)
{
    const long second = std::chrono::duration_cast<std::chrono::seconds>(Clock::now().time_since_epoch()).count();
    Recent &its = begun_[account];
    if (pjsip_tsx_layer_get_tsx_count() >= ROOM) {
        unsigned asking = 1, others = 0; // itself, if it has begun nothing yet
        for (auto &[number, each] : begun_) {
            const unsigned begun = number != account ? each.sum(second) : 0;
            asking += begun > 0 ? 1 : 0;
            others += begun;
        }
        // What the others leave is its as well: or one of many peers could do less with the others silent than with none.
        if (its.sum(second) >= std::max(ROOM / asking, ROOM - std::min(ROOM, others)))
            return false;
    }
    its.add(second);
    return true;
}

}
