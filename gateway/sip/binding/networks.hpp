/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Addresses and networks of IPv4 and IPv6, and a socket filter that lets nothing but some networks in.
 */
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <linux/filter.h>

#include <pjlib.h>

namespace gateway {

/* An IPv4 address that came over a socket of IPv6 is the IPv4 address that it is. */
struct Address {
    unsigned version = 0; /* 4, 6; 0: neither */
    std::array<uint8_t, 16> bytes{};

    bool operator==(const Address &other) const { return version == other.version && bytes == other.bytes; }
};

struct Network {
    Address first;
    unsigned bits = 0;

    bool holds(const Address &address) const;
    bool operator==(const Network &other) const { return first == other.first && bits == other.bits; }
};

Address address_of(const pj_sockaddr &from);

/* Without brackets; empty for what is no address. */
std::string text_of(const Address &address);

/* With its port: "192.0.2.1:5060", "[2001:db8::1]:5060". */
std::string printed(const pj_sockaddr &address);

/* "203.0.113.0/24", "2001:db8::1"; false: it is none. */
bool parse_network(const std::string &text, Network &network);

/* A classic BPF program for UDP and listening TCP sockets (socket(7), SO_ATTACH_FILTER): what comes from these networks
 * passes, and so does one in `sample` (a power of two) of all else. Empty: there are too many of them for a program. */
std::vector<sock_filter> pass_only(const std::vector<Network> &networks, unsigned sample);

}
