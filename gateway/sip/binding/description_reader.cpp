/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "description_reader.hpp"

#include <string>

#include <pjmedia.h>
#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

#include "malformed.hpp"
#include "media.hpp"

namespace gateway {

namespace {

const int DEEPEST = 4; // multiparts in multiparts

pj_str_t fixed(const char *text)
{
    return pj_str(const_cast<char *>(text));
}

// --- the body

/* RFC 2046 §5.1.3: a multipart of a kind that is not known is mixed; the part with the description may be part of a part. */
void flatten(pjsip_rx_data *rdata)
{
    pjsip_msg *msg = rdata->msg_info.msg;
    pjsip_media_type sdp;
    pjsip_media_type_init2(&sdp, const_cast<char *>("application"), const_cast<char *>("sdp"));
    for (int depth = 0; depth < DEEPEST && msg->body && rdata->msg_info.ctype; ++depth) {
        pjsip_media_type &type = msg->body->content_type;
        if (pj_stricmp2(&type.type, "multipart") != 0)
            return;
        const bool known = pj_stricmp2(&type.subtype, "mixed") == 0 || pj_stricmp2(&type.subtype, "alternative") == 0;
        if (known && pjsip_multipart_find_part(msg->body, &sdp, nullptr))
            return;
        rdata->endpt_info.mod_data[pjsip_inv_usage_instance()->id] = nullptr; // what was read of it so far
        type.subtype = fixed("mixed");
        rdata->msg_info.ctype->media.subtype = type.subtype;
        if (pjsip_multipart_find_part(msg->body, &sdp, nullptr))
            return;
        pjsip_msg_body *inner = nullptr;
        for (pjsip_multipart_part *part = pjsip_multipart_get_first_part(msg->body); part && !inner;
             part = pjsip_multipart_get_next_part(msg->body, part))
            if (part->body && part->body->data && pj_stricmp2(&part->body->content_type.type, "multipart") == 0)
                inner = pjsip_multipart_parse(rdata->tp_info.pool, static_cast<char *>(part->body->data),
                                              part->body->len, &part->body->content_type, 0);
        if (!inner)
            return;
        msg->body = inner;
    }
}

// --- its lines

bool number_of(const pj_str_t &format, unsigned &number)
{
    unsigned long value = 0;
    if (pj_strtoul3(&format, &value, 10) != PJ_SUCCESS || value > 127)
        return false;
    number = static_cast<unsigned>(value);
    return true;
}

/* A payload type as we write it ourselves. The negotiation compares types below 96 as numbers, and then looks for the text
 * of the peer's among our own: "08" would be found nowhere, and an empty format be taken into the answer in its place. */
bool is_plain(const pj_str_t &format, unsigned number)
{
    return pj_strcmp2(&format, std::to_string(number).c_str()) == 0;
}

/* Make the number of a known type that is written otherwise, as 08, a plain one. */
void make_plain(pj_pool_t *pool, pj_str_t &format)
{
    unsigned number = 0;
    if (format.slen == 0 || !number_of(format, number) || is_plain(format, number) || number >= 96)
        return;
    for (pj_ssize_t i = 0; i < format.slen; ++i)
        if (!pj_isdigit(format.ptr[i]))
            return;
    pj_strdup2(pool, &format, std::to_string(number).c_str());
}

/* Leave the formats that can be looked up: PJMEDIA reads the name of a type from 96 on without looking whether it is one,
 * and believes that of a lower one. */
void keep_readable(pj_pool_t *pool, pjmedia_sdp_media *media)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < media->desc.fmt_count; ++i) {
        make_plain(pool, media->desc.fmt[i]);
        const pj_str_t format = media->desc.fmt[i];
        unsigned number = 0;
        if (!number_of(format, number) || !is_plain(format, number))
            continue;
        pjmedia_sdp_attr *attribute = pjmedia_sdp_media_find_attr2(media, "rtpmap", &format);
        pjmedia_sdp_rtpmap map;
        pj_bzero(&map, sizeof(map));
        const bool named = attribute && attribute->value.slen > 0 &&
                           pjmedia_sdp_attr_get_rtpmap(attribute, &map) == PJ_SUCCESS && map.clock_rate > 0 &&
                           map.enc_name.slen > 0;
        if (attribute && !named)
            pjmedia_sdp_media_remove_attr(media, attribute);
        if (named || number < 96)
            media->desc.fmt[kept++] = format;
    }
    if (kept == 0)
        media->desc.fmt[kept++] = fixed("1"); // reserved: nobody speaks it (RFC 3551 §6)
    media->desc.fmt_count = kept;
}

/* Make a line one that its sender does not want, with all that the answer's line is made of. */
void retire(pj_pool_t *pool, const pjmedia_sdp_session *sdp, pjmedia_sdp_media *media)
{
    media->desc.port = 0;
    media->desc.port_count = 0;
    bool readable = media->desc.fmt_count > 0;
    for (unsigned i = 0; i < media->desc.fmt_count; ++i) {
        const pj_str_t &format = media->desc.fmt[i];
        unsigned number = 0;
        readable = readable && format.slen > 0 && (!pj_isdigit(*format.ptr) || number_of(format, number));
    }
    if (!readable) {
        media->desc.fmt[0] = fixed("0");
        media->desc.fmt_count = 1;
    }
    if (media->conn && (pj_strcmp2(&media->conn->net_type, "IN") != 0 || media->conn->addr.slen == 0 ||
                        (pj_strcmp2(&media->conn->addr_type, "IP4") != 0 &&
                         pj_strcmp2(&media->conn->addr_type, "IP6") != 0)))
        media->conn = nullptr;
    if (!media->conn && !sdp->conn) {
        media->conn = PJ_POOL_ZALLOC_T(pool, pjmedia_sdp_conn);
        media->conn->net_type = fixed("IN");
        media->conn->addr_type = fixed("IP4");
        media->conn->addr = fixed("127.0.0.1");
    }
}

/* Whether RTP may be sent there at all: to one host (RFC 3264 §5.2 has multicast otherwise, and nobody here speaks it). */
bool is_one_host(const pj_str_t &type, const pj_str_t &address)
{
    pj_in6_addr read; // has room for either
    const bool six = pj_strcmp2(&type, "IP6") == 0;
    if (pj_inet_pton(six ? pj_AF_INET6() : pj_AF_INET(), &address, &read) != PJ_SUCCESS)
        return false;
    const unsigned char first = *reinterpret_cast<const unsigned char *>(&read);
    return six ? first != 0xff : first > 0 && first < 224;
}

bool is_literal(const pj_str_t &type, const pj_str_t &address)
{
    pj_in6_addr read; // has room for either
    const int family = pj_strcmp2(&type, "IP6") == 0 ? pj_AF_INET6() : pj_AF_INET();
    return pj_inet_pton(family, &address, &read) == PJ_SUCCESS;
}

/* Whether it is one of our family of addresses, and no name: PJMEDIA would look that up and hold everything up. */
bool is_reachable(const pjmedia_sdp_conn *conn, int account)
{
    if (!conn || pj_strcmp2(&conn->net_type, "IN") != 0)
        return false;
    const bool six = pj_strcmp2(&conn->addr_type, "IP6") == 0;
    if (!six && pj_strcmp2(&conn->addr_type, "IP4") != 0)
        return false;
    if (!is_literal(conn->addr_type, conn->addr))
        return false;
    // An old hold (RFC 3264 §8.4) means no address at all.
    if (account == NOBODY || pj_strcmp2(&conn->addr, "0.0.0.0") == 0 || pj_strcmp2(&conn->addr, "::") == 0)
        return true;
    if (!is_one_host(conn->addr_type, conn->addr))
        return false;
    const pjsua_ipv6_use use = pjsua_var.acc[account].cfg.ipv6_media_use;
    return six ? use != PJSUA_IPV6_DISABLED : use != PJSUA_IPV6_ENABLED_USE_IPV6_ONLY;
}

bool is_rtp(const pjmedia_sdp_media *media)
{
    const pj_uint32_t protocol = pjmedia_sdp_transport_get_proto(const_cast<pj_str_t *>(&media->desc.transport));
    return PJMEDIA_TP_PROTO_HAS_FLAG(protocol, PJMEDIA_TP_PROTO_RTP_AVP) ||
           PJMEDIA_TP_PROTO_HAS_FLAG(protocol, PJMEDIA_TP_PROTO_RTP_SAVP);
}

bool is_spoken(const pjmedia_sdp_media *media, int account)
{
    return account == NOBODY ? media->desc.fmt_count > 0 : speaks_one_of(account, media);
}

/* RFC 3605. One that cannot be read, or names a host or the other family of addresses, is as good as none: PJMEDIA would
 * give the stream up for it, or look the name up. */
void keep_readable_rtcp(const pjmedia_sdp_session *sdp, pjmedia_sdp_media *media)
{
    const pjmedia_sdp_conn *conn = media->conn ? media->conn : sdp->conn;
    for (unsigned i = media->attr_count; i-- > 0;) {
        pjmedia_sdp_attr *attribute = media->attr[i];
        if (pj_stricmp2(&attribute->name, "rtcp") != 0)
            continue;
        pjmedia_sdp_rtcp_attr rtcp;
        pj_bzero(&rtcp, sizeof(rtcp));
        const bool read = attribute->value.slen > 0 && pjmedia_sdp_attr_get_rtcp(attribute, &rtcp) == PJ_SUCCESS;
        if (!read || (rtcp.addr.slen > 0 && (!conn || pj_strcmp(&rtcp.addr_type, &conn->addr_type) != 0 ||
                                             !is_literal(rtcp.addr_type, rtcp.addr))))
            pjmedia_sdp_media_remove_attr(media, attribute);
    }
}

/* Make a description complete; false: it is not one. Of the lines that are refused anyway nothing more is asked. */
bool complete(pj_pool_t *pool, pjmedia_sdp_session *sdp)
{
    for (unsigned i = 0; i < sdp->media_count; ++i) {
        pjmedia_sdp_media *media = sdp->media[i];
        if (media->desc.media.slen == 0 || media->desc.transport.slen == 0)
            return false;
        if (is_audio(media))
            media->desc.media = fixed("audio"); // PJSUA knows it in lower case alone (RFC 6838 §4.2: any will do)
        if (is_audio(media) && media->desc.port != 0) {
            keep_readable(pool, media);
            keep_readable_rtcp(sdp, media);
        }
        if (media->desc.port == 0 || !is_audio(media))
            retire(pool, sdp, media);
    }
    return pjmedia_sdp_validate2(sdp, PJ_FALSE) == PJ_SUCCESS;
}

}

bool is_audio(const pjmedia_sdp_media *media)
{
    return pj_stricmp2(&media->desc.media, "audio") == 0;
}

bool is_unseen(const pjsip_rx_data *rdata)
{
    const pjsip_clen_hdr *length = rdata->msg_info.clen;
    return !rdata->msg_info.msg->body && (!length || length->len != 0) && body_bytes(rdata) > 0;
}

void take_away(pjsip_rx_data *rdata, pjsip_rdata_sdp_info *info)
{
    rdata->msg_info.msg->body = nullptr;
    info->body.ptr = nullptr;
    info->body.slen = 0;
    info->sdp = nullptr;
    info->sdp_err = PJ_SUCCESS;
}

unsigned lines_of(const pj_str_t &body)
{
    unsigned lines = 0;
    bool begins = true;
    for (pj_ssize_t i = 0; i + 1 < body.slen; ++i) {
        lines += begins && body.ptr[i] == 'm' && body.ptr[i + 1] == '=';
        begins = body.ptr[i] == '\n' || body.ptr[i] == '\r';
    }
    return lines;
}

pjsip_rdata_sdp_info *read_description(pjsip_rx_data *rdata)
{
    if (!rdata->msg_info.msg->body)
        return nullptr;
    flatten(rdata);
    pjsip_rdata_sdp_info *info = pjsip_rdata_get_sdp_info(rdata); // kept with the message
    if (!info || !info->body.ptr)
        return nullptr;
    pj_pool_t *pool = rdata->tp_info.pool;
    pjmedia_sdp_session *sdp = info->sdp;
    // PJSIP asks more of a line than it needs, where that is refused, and of the others less.
    if (!sdp && pjmedia_sdp_parse(pool, info->body.ptr, info->body.slen, &sdp) != PJ_SUCCESS)
        sdp = nullptr;
    if (!sdp || !complete(pool, sdp) || lines_of(info->body) > PJMEDIA_MAX_SDP_MEDIA) {
        info->sdp = nullptr;
        info->sdp_err = PJMEDIA_SDP_EINSDP;
        return info;
    }
    info->sdp = sdp;
    info->sdp_err = PJ_SUCCESS;
    return info;
}

Audio audio_of(pj_pool_t *pool, pjmedia_sdp_session *sdp, int account)
{
    unsigned usable = 0, wanted = 0;
    bool good[PJMEDIA_MAX_SDP_MEDIA] = {};
    for (unsigned i = 0; i < sdp->media_count; ++i) {
        const pjmedia_sdp_media *media = sdp->media[i];
        if (!is_audio(media) || media->desc.port == 0)
            continue;
        ++wanted;
        good[i] = is_rtp(media) && is_reachable(media->conn ? media->conn : sdp->conn, account) &&
                  is_spoken(media, account);
        usable += good[i];
    }
    if (!usable)
        return wanted ? Audio::unusable : Audio::none;
    for (unsigned i = 0; i < sdp->media_count; ++i)
        if (is_audio(sdp->media[i]) && !good[i])
            retire(pool, sdp, sdp->media[i]);
    return Audio::usable;
}

}
