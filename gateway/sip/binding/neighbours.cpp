/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "neighbours.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <utility>

#include <pjsip.h>
#include <pjsip_ua.h>
#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

#include "calls.hpp"
#include "modules.hpp"

namespace gateway {

namespace {

/* Servers that names stand for, and hosts that peers' Contacts name. */
const size_t MOST_DESTINATIONS = 256;

struct Neighbour {
    std::vector<Network> networks;
    std::vector<Network> former; /* of a configuration before, for the calls that began under it */
};

std::map<int, Neighbour> neighbours_;
std::vector<std::pair<Network, int>> by_width_; /* the narrowest first */
std::vector<std::pair<Address, int>> destinations_; /* the newest last */
std::vector<Network> own_;
pjsip_module owners_; /* its place in a dialog without a call holds the account's number, and one */

std::vector<Network> parsed(const std::vector<std::string> &texts)
{
    std::vector<Network> found;
    for (const std::string &text : texts) {
        Network network;
        if (parse_network(text, network))
            found.push_back(network);
    }
    return found;
}

bool any_holds(const std::vector<Network> &networks, const Address &source)
{
    return std::any_of(networks.begin(), networks.end(), [&](const Network &one) { return one.holds(source); });
}

bool has_calls(int account)
{
    pjsua_call *end = pjsua_var.calls + pjsua_var.ua_cfg.max_calls;
    return std::any_of(pjsua_var.calls, end,
                       [account](const pjsua_call &call) { return call.inv && call.acc_id == account; });
}

bool was_sent_to(const Address &source, int account)
{
    return std::find(destinations_.begin(), destinations_.end(), std::make_pair(source, account)) != destinations_.end();
}

}

int account_at(const Address &source)
{
    for (const auto &[network, account] : by_width_)
        if (network.holds(source))
            return account;
    return NOBODY;
}

int account_of(const pjsip_dialog *dialog)
{
    if (const pjsua_call *call = call_in(dialog))
        return call->acc_id;
    const void *owner = dialog && owners_.id >= 0 ? dialog->mod_data[owners_.id] : nullptr;
    return owner ? static_cast<int>(reinterpret_cast<std::intptr_t>(owner)) - 1 : NOBODY;
}

void belongs_to(pjsip_dialog *dialog, int account)
{
    dialog->mod_data[owners_.id] = reinterpret_cast<void *>(static_cast<std::intptr_t>(account) + 1);
}

void keep_owners()
{
    owners_ = named_module("mod-gateway-owners");
    register_module(owners_);
}

bool may_speak(const Address &source)
{
    if (account_at(source) != NOBODY)
        return true;
    return std::any_of(destinations_.begin(), destinations_.end(), [&](const auto &one) { return one.first == source; });
}

bool may_speak(const pjsip_dialog *dialog, const Address &source)
{
    const auto found = neighbours_.find(account_of(dialog));
    if (found == neighbours_.end())
        return may_speak(source);
    const Neighbour &peer = found->second;
    return any_holds(peer.networks, source) || any_holds(peer.former, source) || was_sent_to(source, found->first);
}

bool is_ours(const Address &source, int port)
{
    if (!any_holds(own_, source))
        return false;
    for (const pjsua_transport_data &transport : pjsua_var.tpdata) {
        if (transport.type == PJSIP_TRANSPORT_UNSPECIFIED)
            continue;
        const bool datagrams = (pjsip_transport_get_flag_from_type(transport.type) & PJSIP_TRANSPORT_DATAGRAM) != 0;
        const pjsip_host_port &name =
            datagrams ? transport.data.tp->local_name : transport.data.factory->addr_name;
        if (name.port == port)
            return true;
    }
    return false;
}

bool gone_to(const Address &address, int account)
{
    const auto entry = std::make_pair(address, account);
    const auto found = std::find(destinations_.begin(), destinations_.end(), entry);
    const bool isNew = found == destinations_.end();
    if (!isNew)
        destinations_.erase(found);
    else if (destinations_.size() >= MOST_DESTINATIONS)
        destinations_.erase(destinations_.begin());
    destinations_.push_back(entry);
    return isNew;
}

std::vector<Network> all_networks()
{
    std::vector<Network> all = own_;
    for (const auto &[account, peer] : neighbours_) {
        all.insert(all.end(), peer.networks.begin(), peer.networks.end());
        all.insert(all.end(), peer.former.begin(), peer.former.end());
    }
    for (const auto &[address, account] : destinations_)
        all.push_back({address, address.version == 4 ? 32u : 128u});
    return all;
}

void set_networks(int account, const std::vector<std::string> &networks)
{
    Neighbour &peer = neighbours_[account];
    std::vector<Network> before = std::move(peer.networks);
    peer.networks = parsed(networks);
    if (!has_calls(account))
        peer.former.clear();
    else
        for (const Network &network : before)
            if (std::find(peer.former.begin(), peer.former.end(), network) == peer.former.end())
                peer.former.push_back(network);
    by_width_.clear();
    for (const auto &[number, each] : neighbours_)
        for (const Network &network : each.networks)
            by_width_.emplace_back(network, number);
    std::stable_sort(by_width_.begin(), by_width_.end(),
                     [](const auto &one, const auto &other) { return one.first.bits > other.first.bits; });
}

void set_own_addresses(const std::vector<std::string> &addresses)
{
    own_ = parsed(addresses);
}

}
