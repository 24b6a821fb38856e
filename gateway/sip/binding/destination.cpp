/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "destination.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "strings.hpp"

namespace gateway {

namespace {

std::string address_of(const pjmedia_sdp_session &session, const pjmedia_sdp_media &media)
{
    const pjmedia_sdp_conn *conn = media.conn ? media.conn : session.conn;
    return conn ? text_of(conn->addr_type) + " " + text_of(conn->addr) : "";
}

std::string direction_of(const pjmedia_sdp_session &session, const pjmedia_sdp_media &media)
{
    for (const char *name : {"sendonly", "recvonly", "inactive", "sendrecv"})
        if (pjmedia_sdp_media_find_attr2(&media, name, nullptr))
            return name;
    for (const char *name : {"sendonly", "recvonly", "inactive"})
        if (pjmedia_sdp_attr_find2(session.attr_count, session.attr, name, nullptr))
            return name;
    return "sendrecv";
}

/* Keys, and where RTCP goes; in any order. */
std::vector<std::string> bound_to(const pjmedia_sdp_media &media)
{
    std::vector<std::string> found;
    for (unsigned i = 0; i < media.attr_count; ++i)
        for (const char *name : {"crypto", "fingerprint", "rtcp", "rtcp-mux"})
            if (pj_stricmp2(&media.attr[i]->name, name) == 0)
                found.push_back(name + (" " + text_of(media.attr[i]->value)));
    std::sort(found.begin(), found.end());
    return found;
}

}

bool lead_to_the_same(const pjmedia_sdp_session &one, const pjmedia_sdp_session &other)
{
    if (one.media_count != other.media_count)
        return false;
    for (unsigned i = 0; i < one.media_count; ++i) {
        const pjmedia_sdp_media &left = *one.media[i], &right = *other.media[i];
        if (pj_stricmp(&left.desc.media, &right.desc.media) != 0 || left.desc.port != right.desc.port ||
            pj_stricmp(&left.desc.transport, &right.desc.transport) != 0 ||
            address_of(one, left) != address_of(other, right) || direction_of(one, left) != direction_of(other, right) ||
            bound_to(left) != bound_to(right))
            return false;
    }
    return true;
}

}
