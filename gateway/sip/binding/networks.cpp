/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "networks.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>

namespace gateway {

namespace {

const uint8_t MAPPED[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
/* Where the source address stands in the header of IP. */
const uint32_t SOURCE4 = static_cast<uint32_t>(SKF_NET_OFF) + 12, SOURCE6 = static_cast<uint32_t>(SKF_NET_OFF) + 8;
const uint32_t ALL = 0xffffffff;

Address made(unsigned version, const void *bytes)
{
    Address address;
    const uint8_t *from = static_cast<const uint8_t *>(bytes);
    if (version == 6 && std::memcmp(from, MAPPED, sizeof(MAPPED)) == 0) {
        version = 4;
        from += sizeof(MAPPED);
    }
    address.version = version;
    std::copy(from, from + (version == 4 ? 4 : 16), address.bytes.begin());
    return address;
}

sock_filter step(unsigned code, uint32_t value, unsigned if_true = 0, unsigned if_false = 0)
{
    return {static_cast<uint16_t>(code), static_cast<uint8_t>(if_true), static_cast<uint8_t>(if_false), value};
}

uint32_t word(const Address &address, unsigned index)
{
    uint32_t value;
    std::memcpy(&value, address.bytes.data() + 4 * index, sizeof(value));
    return ntohl(value);
}

/* Passes what comes from one network, and goes on behind itself with what does not. */
void pass(std::vector<sock_filter> &program, const Network &network)
{
    const uint32_t source = network.first.version == 4 ? SOURCE4 : SOURCE6;
    const unsigned words = (network.bits + 31) / 32;
    for (unsigned index = 0; index < words; ++index) {
        const unsigned bits = std::min(32u, network.bits - 32 * index);
        const uint32_t mask = ALL << (32 - bits);
        program.push_back(step(BPF_LD | BPF_W | BPF_ABS, source + 4 * index));
        program.push_back(step(BPF_ALU | BPF_AND | BPF_K, mask));
        const unsigned rest = 3 * (words - index - 1) + 1;
        program.push_back(step(BPF_JMP | BPF_JEQ | BPF_K, word(network.first, index) & mask, 0, rest));
    }
    program.push_back(step(BPF_RET | BPF_K, ALL));
}

}

bool Network::holds(const Address &address) const
{
    if (address.version != first.version)
        return false;
    const unsigned whole = bits / 8, rest = bits % 8;
    if (std::memcmp(address.bytes.data(), first.bytes.data(), whole) != 0)
        return false;
    return rest == 0 || ((address.bytes[whole] ^ first.bytes[whole]) >> (8 - rest)) == 0;
}

Address address_of(const pj_sockaddr &from)
{
    const unsigned family = from.addr.sa_family;
    if (family != pj_AF_INET() && family != pj_AF_INET6())
        return {};
    return made(family == pj_AF_INET() ? 4 : 6, pj_sockaddr_get_addr(&from));
}

std::string printed(const pj_sockaddr &address)
{
    char text[PJ_INET6_ADDRSTRLEN + 10];
    return pj_sockaddr_print(&address, text, sizeof(text), 3);
}

std::string text_of(const Address &address)
{
    char text[INET6_ADDRSTRLEN] = "";
    if (address.version != 0)
        inet_ntop(address.version == 4 ? AF_INET : AF_INET6, address.bytes.data(), text, sizeof(text));
    return text;
}

bool parse_network(const std::string &text, Network &network)
{
    const size_t slash = text.find('/');
    const std::string host = text.substr(0, slash);
    uint8_t bytes[16];
    const unsigned version = inet_pton(AF_INET, host.c_str(), bytes) == 1    ? 4
                             : inet_pton(AF_INET6, host.c_str(), bytes) == 1 ? 6
                                                                             : 0;
    if (version == 0)
        return false;
    const unsigned long most = version == 4 ? 32 : 128;
    const unsigned long bits = slash == std::string::npos ? most : std::strtoul(text.c_str() + slash + 1, nullptr, 10);
    network.first = made(version, bytes);
    network.bits = static_cast<unsigned>(std::min(bits, most));
    if (network.first.version != version) // IPv4 as IPv6 writes it
        network.bits = network.bits > 96 ? network.bits - 96 : 0;
    return network.bits > 0;
}

std::vector<sock_filter> pass_only(const std::vector<Network> &networks, unsigned sample)
{
    std::vector<sock_filter> program = {
        step(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(SKF_AD_OFF) + SKF_AD_RANDOM),
        step(BPF_JMP | BPF_JSET | BPF_K, sample - 1, 1, 0),
        step(BPF_RET | BPF_K, ALL),
        step(BPF_LD | BPF_B | BPF_ABS, static_cast<uint32_t>(SKF_NET_OFF)),
        step(BPF_ALU | BPF_RSH | BPF_K, 4),
        step(BPF_JMP | BPF_JEQ | BPF_K, 4, 1, 0),
        step(BPF_JMP | BPF_JA, 0), // to what follows those of IPv4
    };
    const size_t to_six = program.size() - 1;
    for (unsigned version : {4u, 6u}) {
        for (const Network &network : networks)
            if (network.first.version == version)
                pass(program, network);
        program.push_back(step(BPF_RET | BPF_K, 0));
        if (version == 4)
            program[to_six].k = static_cast<uint32_t>(program.size() - to_six - 1);
    }
    if (program.size() > BPF_MAXINSNS)
        program.clear();
    return program;
}

}
