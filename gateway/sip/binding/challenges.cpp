/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "challenges.hpp"

#include <algorithm>
#include <string_view>
#include <vector>

#include <pjsip.h>
#include <pjsua-lib/pjsua.h>

#include "modules.hpp"

namespace gateway {

namespace {

using Challenge = pjsip_www_authenticate_hdr; // Proxy-Authenticate has the same form

bool offers_auth(const pj_str_t &qop)
{
    std::string_view rest(qop.ptr ? qop.ptr : "", qop.slen > 0 ? qop.slen : 0);
    if (rest.empty())
        return true; // RFC 2069
    while (!rest.empty()) {
        const size_t end = std::min(rest.find(','), rest.size());
        const pj_str_t part = {const_cast<char *>(rest.data()), static_cast<pj_ssize_t>(end)};
        pj_str_t token = part;
        if (pj_stricmp2(pj_strtrim(&token), "auth") == 0)
            return true;
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return false;
}

/* Whether PJSIP can answer it with a password. */
bool can_be_answered(const Challenge &challenge)
{
    if (pj_stricmp2(&challenge.scheme, "Digest") != 0)
        return false;
    const pjsip_digest_challenge &digest = challenge.challenge.digest;
    const pjsip_auth_algorithm *algorithm = pjsip_auth_get_algorithm_by_iana_name(&digest.algorithm);
    if (!algorithm || !pjsip_auth_is_algorithm_supported(algorithm->algorithm_type))
        return false;
    const bool needs_sim = algorithm->algorithm_type == PJSIP_AUTH_ALGORITHM_AKAV1_MD5 ||
                           algorithm->algorithm_type == PJSIP_AUTH_ALGORITHM_AKAV2_MD5;
    return !needs_sim && offers_auth(digest.qop);
}

bool same_realm(const Challenge &one, const Challenge &other)
{
    return one.type == other.type &&
           pj_stricmp(&one.challenge.common.realm, &other.challenge.common.realm) == 0;
}

pj_bool_t on_response(pjsip_rx_data *rdata)
{
    pjsip_msg *message = rdata->msg_info.msg;
    const int code = message->line.status.code;
    if (code != PJSIP_SC_UNAUTHORIZED && code != PJSIP_SC_PROXY_AUTHENTICATION_REQUIRED)
        return PJ_FALSE;
    std::vector<Challenge *> challenges;
    for (pjsip_hdr *header = message->hdr.next; header != &message->hdr; header = header->next)
        if (header->type == PJSIP_H_WWW_AUTHENTICATE || header->type == PJSIP_H_PROXY_AUTHENTICATE)
            challenges.push_back(reinterpret_cast<Challenge *>(header));
    std::vector<Challenge *> chosen;
    for (Challenge *each : challenges) {
        const auto before = [each](const Challenge *other) { return same_realm(*each, *other); };
        if (can_be_answered(*each) && std::none_of(chosen.begin(), chosen.end(), before))
            chosen.push_back(each);
    }
    for (Challenge *each : challenges) {
        const auto instead = [each](const Challenge *other) { return each != other && same_realm(*each, *other); };
        if (std::any_of(chosen.begin(), chosen.end(), instead))
            pj_list_erase(each);
    }
    return PJ_FALSE;
}

}

void answer_topmost_challenge()
{
    static pjsip_module module;
    module = named_module("mod-gateway-challenges", PJSIP_MOD_PRIORITY_TRANSPORT_LAYER + 2);
    module.on_rx_response = guarded<&on_response>;
    register_module(module);
}

}
