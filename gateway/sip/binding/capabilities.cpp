/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "capabilities.hpp"

#include <pjsip.h>
#include <pjsua-lib/pjsua.h>

#include "fields.hpp"

namespace gateway {

namespace {

/* SUBSCRIBE is served for the subscription of a REFER alone, in its dialog: nobody can begin with one. */
const std::vector<const char *> METHODS = {"INVITE", "ACK",    "CANCEL", "BYE",   "OPTIONS",
                                           "REFER",  "NOTIFY", "INFO",   "PRACK", "UPDATE"};
/* RFC 3262, RFC 4488, RFC 3891, RFC 4538, RFC 4028. */
const std::vector<const char *> EXTENSIONS = {"100rel", "norefersub", "replaces", "tdialog", "timer"};
const std::vector<const char *> TYPES = {"application/sdp"};

std::string listed(const std::vector<const char *> &values)
{
    std::string list;
    for (const char *value : values)
        list += (list.empty() ? "" : ", ") + std::string(value);
    return list;
}

/* PJSIP offers to add to its lists, and nothing to take away: the header that it copies is emptied first. */
void set(int type, const std::vector<const char *> &values)
{
    pjsip_endpoint *endpoint = pjsua_get_pjsip_endpt();
    const pjsip_hdr *known = pjsip_endpt_get_capability(endpoint, type, nullptr);
    if (known)
        reinterpret_cast<pjsip_generic_array_hdr *>(const_cast<pjsip_hdr *>(known))->count = 0;
    for (const char *value : values) {
        const pj_str_t tag = pj_str(const_cast<char *>(value));
        pjsip_endpt_add_capability(endpoint, nullptr, type, nullptr, 1, &tag);
    }
}

}

std::string allowed_methods()
{
    return listed(METHODS);
}

std::string supported_extensions()
{
    return listed(EXTENSIONS);
}

std::string accepted_types()
{
    return listed(TYPES);
}

bool is_supported(const std::string &tag)
{
    for (const char *extension : EXTENSIONS)
        if (same(tag, extension))
            return true;
    return false;
}

void set_capabilities()
{
    set(PJSIP_H_ALLOW, METHODS);
    set(PJSIP_H_SUPPORTED, EXTENSIONS);
    set(PJSIP_H_ACCEPT, TYPES);
}

}
