/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resolver.hpp"

#include <cstdlib>
#include <map>

#include <pjsip.h>
#include <pjsua-lib/pjsua.h>

#include "modules.hpp"
#include "requests.hpp"

namespace gateway {

namespace {

struct Query {
    pjsip_transport_type_e type;
    void *token;
    pjsip_resolver_callback *done;
};

std::map<int, Query> queries_;
int next_query_ = 1;

bool is_address(const pj_str_t &host)
{
    pj_in_addr four;
    pj_in6_addr six;
    return pj_inet_pton(pj_AF_INET(), &host, &four) == PJ_SUCCESS ||
           pj_inet_pton(pj_AF_INET6(), &host, &six) == PJ_SUCCESS;
}

/* RFC 3263 §4.1 without NAPTR: the URI's transport, or UDP. */
pjsip_transport_type_e type_of(const pjsip_host_info *target)
{
    if (target->type != PJSIP_TRANSPORT_UNSPECIFIED)
        return target->type;
    if (target->flag & PJSIP_TRANSPORT_SECURE)
        return PJSIP_TRANSPORT_TLS;
    return target->flag & PJSIP_TRANSPORT_RELIABLE ? PJSIP_TRANSPORT_TCP : PJSIP_TRANSPORT_UDP;
}

bool add(pjsip_server_addresses &found, pjsip_transport_type_e type, const pj_str_t &host, int port)
{
    pjsip_server_address_record &entry = found.entry[found.count];
    pj_bzero(&entry, sizeof(entry));
    const bool six = pj_strchr(&host, ':') != nullptr;
    const int family = six ? pj_AF_INET6() : pj_AF_INET();
    const int kind = six ? type | PJSIP_TRANSPORT_IPV6 : type & ~PJSIP_TRANSPORT_IPV6;
    entry.type = static_cast<pjsip_transport_type_e>(kind);
    if (port == 0)
        port = pjsip_transport_get_default_port_for_type(entry.type);
    if (pj_sockaddr_init(family, &entry.addr, nullptr, static_cast<pj_uint16_t>(port)) != PJ_SUCCESS ||
        pj_inet_pton(family, &host, pj_sockaddr_get_addr(&entry.addr)) != PJ_SUCCESS)
        return false;
    entry.name = host;
    entry.priority = found.count;
    entry.addr_len = pj_sockaddr_get_len(&entry.addr);
    ++found.count;
    return true;
}

void on_resolve(pjsip_resolver_t *, pj_pool_t *, const pjsip_host_info *target, void *token,
                pjsip_resolver_callback *done)
{
    const pjsip_transport_type_e type = type_of(target);
    pjsip_server_addresses found;
    found.count = 0;
    if (is_address(target->addr.host)) {
        add(found, type, target->addr.host, target->addr.port);
        done(PJ_SUCCESS, token, &found);
        return;
    }
    RequestHandler *handler = request_handler();
    if (!handler) {
        done(PJ_ERESOLVE, token, &found);
        return;
    }
    const int query = next_query_++;
    queries_[query] = {type, token, done};
    const std::string host(target->addr.host.ptr, target->addr.host.slen);
    try {
        handler->onResolve(query, host, target->addr.port, pjsip_transport_get_type_name(type));
    } catch (...) {
        tell_fault("the handler of a name");
        resolved(query, {});
    }
}

}

void resolve_by_handler()
{
    static pjsip_ext_resolver ours;
    ours.resolve = guarded<&on_resolve>;
    queries_.clear();
    pjsip_endpt_set_ext_resolver(pjsua_get_pjsip_endpt(), &ours);
}

void resolved(int query, const std::vector<std::string> &servers)
{
    const auto asked = queries_.find(query);
    if (asked == queries_.end())
        return;
    const Query answered = asked->second;
    queries_.erase(asked);
    pjsip_server_addresses found;
    found.count = 0;
    for (const std::string &server : servers) {
        const size_t space = server.find(' ');
        if (space == std::string::npos || found.count == PJSIP_MAX_RESOLVED_ADDRESSES)
            continue;
        pj_str_t host;
        host.ptr = const_cast<char *>(server.data());
        host.slen = static_cast<pj_ssize_t>(space);
        add(found, answered.type, host, std::atoi(server.c_str() + space + 1));
    }
    answered.done(found.count ? PJ_SUCCESS : PJ_ERESOLVE, answered.token, &found);
}

}
