/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "contacts.hpp"

#include <array>
#include <cstdlib>
#include <cstring>

#include <pjsip.h>
#include <pjsip_simple.h>
#include <pjsua-lib/pjsua.h>

#include "modules.hpp"

namespace gateway {

namespace {

struct Network {
    bool rewritten;
    int family;
    unsigned char address[16];
    unsigned bits;

    bool holds(const pj_sockaddr &source) const
    {
        if (source.addr.sa_family != family)
            return false;
        const unsigned char *bytes = static_cast<const unsigned char *>(pj_sockaddr_get_addr(&source));
        const unsigned whole = bits / 8, rest = bits % 8;
        if (std::memcmp(bytes, address, whole) != 0)
            return false;
        const unsigned char mask = static_cast<unsigned char>(0xFF00 >> rest);
        return rest == 0 || ((bytes[whole] ^ address[whole]) & mask) == 0;
    }
};

std::vector<Network> networks_;

bool is_rewritten(const pj_sockaddr &source)
{
    for (const Network &network : networks_)
        if (network.holds(source))
            return network.rewritten;
    return false;
}

/* Whether a method makes a dialog, or tells anew where its sender is to be reached (RFC 3261 §12.2, RFC 6665 §4.4.1). */
bool names_a_target(const pjsip_method &method)
{
    static const std::array<const char *, 5> targets = {"INVITE", "UPDATE", "REFER", "SUBSCRIBE", "NOTIFY"};
    for (const char *name : targets)
        if (pj_strcmp2(&method.name, name) == 0)
            return true;
    return false;
}

void rewrite(pjsip_sip_uri *uri, pjsip_rx_data *rdata)
{
    pj_strdup2(rdata->tp_info.pool, &uri->host, rdata->pkt_info.src_name);
    uri->port = rdata->pkt_info.src_port;
    uri->maddr_param.slen = 0;
    const pjsip_transport *transport = rdata->tp_info.transport;
    if (transport->flag & PJSIP_TRANSPORT_DATAGRAM)
        uri->transport_param.slen = 0;
    else
        pj_strdup2(rdata->tp_info.pool, &uri->transport_param, transport->type_name);
}

pj_bool_t on_message(pjsip_rx_data *rdata)
{
    pjsip_msg *message = rdata->msg_info.msg;
    const bool response = message->type == PJSIP_RESPONSE_MSG;
    const int code = response ? message->line.status.code : 0;
    // A Contact of a redirection names somebody else; with a Record-Route it is the proxy that we send to.
    if (networks_.empty() || !rdata->msg_info.cseq || !names_a_target(rdata->msg_info.cseq->method) || code >= 300 ||
        rdata->msg_info.record_route || !is_rewritten(rdata->pkt_info.src_addr))
        return PJ_FALSE;
    for (pjsip_hdr *header = message->hdr.next; header != &message->hdr; header = header->next) {
        if (header->type != PJSIP_H_CONTACT)
            continue;
        const pjsip_contact_hdr *contact = reinterpret_cast<pjsip_contact_hdr *>(header);
        if (contact->star || !contact->uri)
            continue;
        void *uri = pjsip_uri_get_uri(contact->uri);
        if (PJSIP_URI_SCHEME_IS_SIP(uri) || PJSIP_URI_SCHEME_IS_SIPS(uri))
            rewrite(static_cast<pjsip_sip_uri *>(uri), rdata);
    }
    return PJ_FALSE;
}

}

void rewrite_contacts(const std::vector<std::string> &networks)
{
    std::vector<Network> read;
    for (const std::string &text : networks) {
        Network network{text[0] != '!', pj_AF_INET(), {}, 0};
        const size_t begin = network.rewritten ? 0 : 1, slash = text.find('/');
        const std::string address = text.substr(begin, slash - begin);
        if (address.find(':') != std::string::npos)
            network.family = pj_AF_INET6();
        const pj_str_t name = {const_cast<char *>(address.data()), static_cast<pj_ssize_t>(address.size())};
        const unsigned width = network.family == pj_AF_INET() ? 32 : 128;
        network.bits = slash == std::string::npos ? width : std::atoi(text.c_str() + slash + 1);
        if (network.bits <= width && pj_inet_pton(network.family, &name, network.address) == PJ_SUCCESS)
            read.push_back(network);
    }
    networks_.swap(read);
}

void watch_contacts()
{
    static pjsip_module module;
    module = named_module("mod-gateway-contacts", PJSIP_MOD_PRIORITY_TRANSPORT_LAYER + 3);
    module.on_rx_request = guarded<&on_message>;
    module.on_rx_response = guarded<&on_message>;
    register_module(module);
}

}
