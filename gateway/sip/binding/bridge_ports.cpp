/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bridge_ports.hpp"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <pjlib.h>
#include <pjmedia.h>
#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

#include "bridge_clock.hpp"
#include "bridge_places.hpp"
#include "modules.hpp"

/* PJMEDIA's own, of which the linker (--wrap) has PJSUA and the relay call ours. What they ask of the bridge is carried out by
 * its next tick. */
extern "C" {
pj_status_t __real_pjmedia_conf_add_port(pjmedia_conf *bridge, pj_pool_t *pool, pjmedia_port *port, const pj_str_t *name,
                                         unsigned *slot);
pj_status_t __wrap_pjmedia_conf_add_port(pjmedia_conf *bridge, pj_pool_t *pool, pjmedia_port *port, const pj_str_t *name,
                                         unsigned *slot);
pj_status_t __real_pjmedia_conf_remove_port(pjmedia_conf *bridge, unsigned slot);
pj_status_t __wrap_pjmedia_conf_remove_port(pjmedia_conf *bridge, unsigned slot);
pj_status_t __real_pjmedia_conf_configure_port(pjmedia_conf *bridge, unsigned slot, pjmedia_port_op out, pjmedia_port_op in);
pj_status_t __wrap_pjmedia_conf_configure_port(pjmedia_conf *bridge, unsigned slot, pjmedia_port_op out, pjmedia_port_op in);
pj_status_t __real_pjmedia_conf_connect_port(pjmedia_conf *bridge, unsigned from, unsigned to, int level);
pj_status_t __wrap_pjmedia_conf_connect_port(pjmedia_conf *bridge, unsigned from, unsigned to, int level);
pj_status_t __real_pjmedia_conf_disconnect_port(pjmedia_conf *bridge, unsigned from, unsigned to);
pj_status_t __wrap_pjmedia_conf_disconnect_port(pjmedia_conf *bridge, unsigned from, unsigned to);
pj_status_t __real_pjmedia_conf_get_port_info(pjmedia_conf *bridge, unsigned slot, pjmedia_conf_port_info *info);
pj_status_t __wrap_pjmedia_conf_get_port_info(pjmedia_conf *bridge, unsigned slot, pjmedia_conf_port_info *info);
pj_status_t __real_pjmedia_conf_destroy(pjmedia_conf *bridge);
pj_status_t __wrap_pjmedia_conf_destroy(pjmedia_conf *bridge);
}

namespace gateway {

namespace {

using Clock = BridgePlaces::Clock;
using Ends = BridgePlaces::Ends;

/* So long the port of a new stream stays outside, whatever it is connected to: by then most of them are relayed. Two frames. */
const std::chrono::milliseconds NEW(40);
const int OUTSIDE = BridgePlaces::OUTSIDE;

std::mutex lock_; // never held while the bridge is called, which calls back from its clock
BridgePlaces places_;

/* The port of the bridge behind a number, or OUTSIDE. */
int slot_of(unsigned number)
{
    const std::lock_guard<std::mutex> locked(lock_);
    const BridgePlaces::Place *found = places_.find(number);
    return number == BridgePlaces::MASTER ? static_cast<int>(number) : found ? found->slot : OUTSIDE;
}

/* The same; it is added if it is outside. */
pj_status_t enter(pjmedia_conf *bridge, unsigned number, unsigned &slot)
{
    const int known = slot_of(number);
    if (known != OUTSIDE) {
        slot = static_cast<unsigned>(known);
        return PJ_SUCCESS;
    }
    std::unique_lock<std::mutex> locked(lock_);
    const BridgePlaces::Place *found = places_.find(number);
    if (!found)
        return PJ_EINVAL;
    pjmedia_port *port = found->port;
    std::string name = found->name;
    const bool rests = found->rests;
    locked.unlock();
    const pj_str_t called = {name.data(), static_cast<pj_ssize_t>(name.size())};
    const pj_status_t status = __real_pjmedia_conf_add_port(bridge, pjsua_var.pool, port, &called, &slot);
    if (status != PJ_SUCCESS)
        return status;
    if (rests)
        __real_pjmedia_conf_configure_port(bridge, slot, PJMEDIA_PORT_DISABLE, PJMEDIA_PORT_DISABLE);
    bridge_works(slot, !rests);
    locked.lock();
    if (BridgePlaces::Place *added = places_.find(number))
        added->slot = static_cast<int>(slot);
    return PJ_SUCCESS;
}

pj_status_t leave(pjmedia_conf *bridge, int slot)
{
    const pj_status_t status = __real_pjmedia_conf_remove_port(bridge, static_cast<unsigned>(slot));
    bridge_works(static_cast<unsigned>(slot), false);
    return status;
}

/* One that rests and is connected to nobody has nothing to do in the bridge. */
void leave_if_idle(pjmedia_conf *bridge, unsigned number)
{
    int slot = OUTSIDE;
    {
        const std::lock_guard<std::mutex> locked(lock_);
        BridgePlaces::Place *found = places_.find(number);
        if (found && found->rests && !found->links)
            std::swap(slot, found->slot);
    }
    if (slot != OUTSIDE)
        leave(bridge, slot);
}

pj_status_t make(pjmedia_conf *bridge, const Ends &ends, int level)
{
    unsigned source = 0, sink = 0;
    pj_status_t status = enter(bridge, ends.first, source);
    if (status == PJ_SUCCESS)
        status = enter(bridge, ends.second, sink);
    if (status == PJ_SUCCESS)
        status = __real_pjmedia_conf_connect_port(bridge, source, sink, level);
    bridge_asked();
    return status;
}

pj_status_t add_port(pjmedia_conf *, pj_pool_t *, pjmedia_port *port, const pj_str_t *name, unsigned *number)
{
    if (!port)
        return PJ_EINVAL;
    const pj_str_t &called = name ? *name : port->info.name;
    const std::lock_guard<std::mutex> locked(lock_);
    // A ringback or an announcement is made to be heard, and follows on another without a gap.
    const bool is_call = port->info.signature == PJMEDIA_SIG_PORT_STREAM;
    const Clock::time_point until = Clock::now() + (is_call ? NEW : NEW.zero());
    const unsigned free = places_.add(port, std::string(called.ptr, static_cast<std::size_t>(called.slen)), until);
    if (free == BridgePlaces::MASTER)
        return PJ_ETOOMANY;
    if (number)
        *number = free;
    return PJ_SUCCESS;
}

pj_status_t remove_port(pjmedia_conf *bridge, unsigned number)
{
    int slot;
    {
        const std::lock_guard<std::mutex> locked(lock_);
        BridgePlaces::Place *found = places_.find(number);
        if (!found)
            return PJ_EINVAL;
        slot = found->slot;
        places_.remove(number);
    }
    return slot == OUTSIDE ? PJ_SUCCESS : leave(bridge, slot);
}

/* Those of ours that configure a port have it do both or neither. */
pj_status_t configure_port(pjmedia_conf *bridge, unsigned number, pjmedia_port_op out, pjmedia_port_op in)
{
    const bool works = out != PJMEDIA_PORT_DISABLE || in != PJMEDIA_PORT_DISABLE;
    int slot;
    {
        const std::lock_guard<std::mutex> locked(lock_);
        BridgePlaces::Place *found = places_.find(number);
        if (!found)
            return PJ_EINVAL;
        slot = found->slot;
        found->rests = !works;
        if (slot == OUTSIDE && works)
            places_.look_later(number, std::max(found->new_until, Clock::now()));
    }
    if (slot == OUTSIDE)
        return PJ_SUCCESS;
    const pj_status_t status = __real_pjmedia_conf_configure_port(bridge, static_cast<unsigned>(slot), out, in);
    if (status == PJ_SUCCESS)
        bridge_works(static_cast<unsigned>(slot), works);
    leave_if_idle(bridge, number);
    return status;
}

pj_status_t connect_port(pjmedia_conf *bridge, unsigned from, unsigned to, int level)
{
    const Ends ends{from, to};
    {
        const std::lock_guard<std::mutex> locked(lock_);
        if (!places_.knows(from) || !places_.knows(to))
            return PJ_EINVAL;
        BridgePlaces::Link &link = places_.link(ends);
        link.level = level;
        const Clock::time_point now = Clock::now();
        if (!link.made && (places_.is_new(from, now) || places_.is_new(to, now)))
            return PJ_SUCCESS; // when the new one is looked at
        link.made = true;
    }
    const pj_status_t status = make(bridge, ends, level);
    if (status != PJ_SUCCESS) {
        const std::lock_guard<std::mutex> locked(lock_);
        places_.unlink(ends);
    }
    return status;
}

pj_status_t disconnect_port(pjmedia_conf *bridge, unsigned from, unsigned to)
{
    const int source = slot_of(from), sink = slot_of(to);
    bool made = false;
    {
        const std::lock_guard<std::mutex> locked(lock_);
        const BridgePlaces::Link *link = places_.linked({from, to});
        if (!link)
            return PJ_EINVAL;
        made = link->made;
        places_.unlink({from, to});
    }
    pj_status_t status = PJ_SUCCESS;
    if (made && source != OUTSIDE && sink != OUTSIDE) {
        status = __real_pjmedia_conf_disconnect_port(bridge, static_cast<unsigned>(source), static_cast<unsigned>(sink));
        bridge_asked();
    }
    leave_if_idle(bridge, from);
    leave_if_idle(bridge, to);
    return status;
}

/* One is new no more: it is connected to those it is to be connected to that are not new either, and sends silence if it
 * neither rests nor is connected. */
void look_at(pjmedia_conf *bridge, unsigned number)
{
    std::vector<std::pair<Ends, int>> due;
    bool works = false;
    {
        const std::lock_guard<std::mutex> locked(lock_);
        const BridgePlaces::Place *found = places_.find(number);
        const Clock::time_point now = Clock::now();
        if (!found || found->new_until > now)
            return;
        works = !found->rests;
        due = places_.to_be_made(number, now);
    }
    unsigned slot = 0;
    if (works)
        enter(bridge, number, slot);
    for (const auto &[ends, level] : due)
        make(bridge, ends, level);
}

pj_status_t port_info(pjmedia_conf *bridge, unsigned number, pjmedia_conf_port_info *info)
{
    unsigned slot = 0;
    pj_status_t status = enter(bridge, number, slot);
    if (status == PJ_SUCCESS)
        status = __real_pjmedia_conf_get_port_info(bridge, slot, info);
    if (status == PJ_SUCCESS)
        info->slot = number;
    return status;
}

pj_status_t destroy(pjmedia_conf *bridge)
{
    end_bridge_clock();
    const pj_status_t status = __real_pjmedia_conf_destroy(bridge);
    const std::lock_guard<std::mutex> locked(lock_);
    places_ = BridgePlaces();
    return status;
}

}

void enter_bridge()
{
    std::vector<unsigned> due;
    {
        const std::lock_guard<std::mutex> locked(lock_);
        due = places_.due(Clock::now());
    }
    for (unsigned number : due)
        look_at(pjsua_var.mconf, number);
}

long bridge_due_ms()
{
    const std::lock_guard<std::mutex> locked(lock_);
    const auto next = places_.next_due();
    if (!next)
        return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*next - Clock::now());
    return std::max<long>(0, static_cast<long>(left.count()));
}

}

pj_status_t __wrap_pjmedia_conf_add_port(pjmedia_conf *bridge, pj_pool_t *pool, pjmedia_port *port, const pj_str_t *name,
                                         unsigned *slot)
{
    return gateway::guarded<&gateway::add_port, PJ_ENOMEM>(bridge, pool, port, name, slot);
}

pj_status_t __wrap_pjmedia_conf_remove_port(pjmedia_conf *bridge, unsigned slot)
{
    return gateway::guarded<&gateway::remove_port, PJ_EUNKNOWN>(bridge, slot);
}

pj_status_t __wrap_pjmedia_conf_configure_port(pjmedia_conf *bridge, unsigned slot, pjmedia_port_op out, pjmedia_port_op in)
{
    return gateway::guarded<&gateway::configure_port, PJ_EUNKNOWN>(bridge, slot, out, in);
}

pj_status_t __wrap_pjmedia_conf_connect_port(pjmedia_conf *bridge, unsigned from, unsigned to, int level)
{
    return gateway::guarded<&gateway::connect_port, PJ_EUNKNOWN>(bridge, from, to, level);
}

pj_status_t __wrap_pjmedia_conf_disconnect_port(pjmedia_conf *bridge, unsigned from, unsigned to)
{
    return gateway::guarded<&gateway::disconnect_port, PJ_EUNKNOWN>(bridge, from, to);
}

pj_status_t __wrap_pjmedia_conf_get_port_info(pjmedia_conf *bridge, unsigned slot, pjmedia_conf_port_info *info)
{
    return gateway::guarded<&gateway::port_info, PJ_EUNKNOWN>(bridge, slot, info);
}

pj_status_t __wrap_pjmedia_conf_destroy(pjmedia_conf *bridge)
{
    return gateway::guarded<&gateway::destroy, PJ_EUNKNOWN>(bridge);
}
