/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The numbers that PJSUA has for ports of the conference bridge, what is behind each, and who is connected to whom by them.
 * Not safe for several threads.
 */
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

struct pjmedia_port;

namespace gateway {

class BridgePlaces {
public:
    using Clock = std::chrono::steady_clock;
    using Ends = std::pair<unsigned, unsigned>; /* from whom to whom */

    static constexpr unsigned MASTER = 0; /* the bridge's own port, under this number there and here */
    static constexpr int OUTSIDE = -1;

    struct Place {
        pjmedia_port *port = nullptr; /* none: the number is free */
        std::string name;
        int slot = OUTSIDE; /* in the bridge */
        bool rests = false;
        Clock::time_point new_until{};
        unsigned links = 0;
    };

    struct Link {
        int level = 0;
        bool made = false; /* in the bridge */
    };

    /* A free number, which is looked at when the port is new no more; MASTER: there is none. */
    unsigned add(pjmedia_port *port, std::string name, Clock::time_point new_until);
    void remove(unsigned number);

    Place *find(unsigned number);
    bool knows(unsigned number) { return number == MASTER || find(number); }
    /* Whether it is to stay outside for now, whatever it is connected to. */
    bool is_new(unsigned number, Clock::time_point now);

    Link &link(const Ends &ends);
    void unlink(const Ends &ends);
    const Link *linked(const Ends &ends) const;
    /* Those of a number that nothing stands in the way of any more, with their levels; they are taken as made. */
    std::vector<std::pair<Ends, int>> to_be_made(unsigned number, Clock::time_point now);

    void look_later(unsigned number, Clock::time_point when);
    /* Those that are to be looked at by now; each is told of once. */
    std::vector<unsigned> due(Clock::time_point now);
    std::optional<Clock::time_point> next_due() const;

private:
    void count(const Ends &ends, int change);

    std::vector<Place> places_{Place{}};
    std::map<Ends, Link> links_;
    std::vector<std::pair<Clock::time_point, unsigned>> waiting_; /* the earliest first */
};

}
