/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bridge_places.hpp"

#include <algorithm>
#include <iterator>

#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

namespace gateway {

unsigned BridgePlaces::add(pjmedia_port *port, std::string name, Clock::time_point new_until)
{
    unsigned free = MASTER + 1;
    while (free < places_.size() && places_[free].port)
        ++free;
    if (free >= pjsua_var.media_cfg.max_media_ports)
        return MASTER;
    if (free == places_.size())
        places_.emplace_back();
    places_[free] = {port, std::move(name), OUTSIDE, false, new_until, 0};
    look_later(free, new_until);
    return free;
}

void BridgePlaces::remove(unsigned number)
{
    for (auto link = links_.begin(); link != links_.end();) {
        const Ends ends = link->first;
        const bool its = ends.first == number || ends.second == number;
        if (its)
            count(ends, -1);
        link = its ? links_.erase(link) : std::next(link);
    }
    if (Place *found = find(number))
        *found = {};
}

BridgePlaces::Place *BridgePlaces::find(unsigned number)
{
    return number != MASTER && number < places_.size() && places_[number].port ? &places_[number] : nullptr;
}

bool BridgePlaces::is_new(unsigned number, Clock::time_point now)
{
    const Place *found = find(number);
    return found && found->slot == OUTSIDE && found->new_until > now;
}

BridgePlaces::Link &BridgePlaces::link(const Ends &ends)
{
    const auto [link, added] = links_.try_emplace(ends);
    if (added)
        count(ends, 1);
    return link->second;
}

void BridgePlaces::unlink(const Ends &ends)
{
    if (links_.erase(ends))
        count(ends, -1);
}

const BridgePlaces::Link *BridgePlaces::linked(const Ends &ends) const
{
    const auto found = links_.find(ends);
    return found == links_.end() ? nullptr : &found->second;
}

std::vector<std::pair<BridgePlaces::Ends, int>> BridgePlaces::to_be_made(unsigned number, Clock::time_point now)
{
    std::vector<std::pair<Ends, int>> found;
    for (auto &[ends, link] : links_) {
        const bool its = ends.first == number || ends.second == number;
        if (!its || link.made || is_new(ends.first, now) || is_new(ends.second, now))
            continue;
        link.made = true;
        found.emplace_back(ends, link.level);
    }
    return found;
}

void BridgePlaces::look_later(unsigned number, Clock::time_point when)
{
    const std::pair<Clock::time_point, unsigned> entry{when, number};
    waiting_.insert(std::upper_bound(waiting_.begin(), waiting_.end(), entry), entry);
}

std::vector<unsigned> BridgePlaces::due(Clock::time_point now)
{
    const auto end = std::find_if(waiting_.begin(), waiting_.end(), [now](const auto &one) { return one.first > now; });
    std::vector<unsigned> found;
    std::transform(waiting_.begin(), end, std::back_inserter(found), [](const auto &one) { return one.second; });
    waiting_.erase(waiting_.begin(), end);
    return found;
}

std::optional<BridgePlaces::Clock::time_point> BridgePlaces::next_due() const
{
    if (waiting_.empty())
        return std::nullopt;
    return waiting_.front().first;
}

void BridgePlaces::count(const Ends &ends, int change)
{
    for (unsigned number : {ends.first, ends.second})
        if (Place *found = find(number))
            found->links += static_cast<unsigned>(change);
}

}
