/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "descriptions.hpp"

#include <cstring>
#include <initializer_list>
#include <string>

#include <pjmedia.h>
#include <pjsip.h>
#include <pjsip_ua.h>
#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

#include "calls.hpp"
#include "malformed.hpp"
#include "media.hpp"
#include "modules.hpp"
#include "requests.hpp"

namespace gateway {

namespace {

const int NOBODY = -1;
const int DEEPEST = 4; // multiparts in multiparts

pj_str_t fixed(const char *text)
{
    return pj_str(const_cast<char *>(text));
}

std::string text_of(const pj_str_t &of)
{
    return std::string(of.ptr ? of.ptr : "", of.slen > 0 ? of.slen : 0);
}

bool is_request(const pjsip_rx_data *rdata, const char *method)
{
    return rdata->msg_info.msg->type == PJSIP_REQUEST_MSG &&
           pj_strcmp2(&rdata->msg_info.msg->line.req.method.name, method) == 0;
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

/* There is a body, and PJSIP made nothing of it: there is no Content-Type, or a header before it took it along. */
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

// --- its lines

bool is_audio(const pjmedia_sdp_media *media)
{
    return pj_stricmp2(&media->desc.media, "audio") == 0;
}

bool number_of(const pj_str_t &format, unsigned &number)
{
    unsigned long value = 0;
    if (pj_strtoul3(&format, &value, 10) != PJ_SUCCESS || value > 127)
        return false;
    number = static_cast<unsigned>(value);
    return true;
}

/* Leave the formats that can be looked up: PJMEDIA reads the name of a type from 96 on without looking whether it is one,
 * and believes that of a lower one. */
void keep_readable(pjmedia_sdp_media *media)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < media->desc.fmt_count; ++i) {
        const pj_str_t format = media->desc.fmt[i];
        unsigned number = 0;
        if (!number_of(format, number))
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

/* Whether it is one of our family of addresses, and no name: PJMEDIA would look that up and hold everything up. */
bool is_reachable(const pjmedia_sdp_conn *conn, int account)
{
    if (!conn || pj_strcmp2(&conn->net_type, "IN") != 0)
        return false;
    const bool six = pj_strcmp2(&conn->addr_type, "IP6") == 0;
    if (!six && pj_strcmp2(&conn->addr_type, "IP4") != 0)
        return false;
    pj_in6_addr address; // has room for either
    if (pj_inet_pton(six ? pj_AF_INET6() : pj_AF_INET(), &conn->addr, &address) != PJ_SUCCESS)
        return false;
    // An old hold (RFC 3264 §8.4) means no address at all.
    if (account == NOBODY || pj_strcmp2(&conn->addr, "0.0.0.0") == 0 || pj_strcmp2(&conn->addr, "::") == 0)
        return true;
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

/* Make a description complete; false: it is not one. Of the lines that are refused anyway nothing more is asked. */
bool complete(pj_pool_t *pool, pjmedia_sdp_session *sdp)
{
    for (unsigned i = 0; i < sdp->media_count; ++i) {
        pjmedia_sdp_media *media = sdp->media[i];
        if (media->desc.media.slen == 0 || media->desc.transport.slen == 0)
            return false;
        if (is_audio(media) && media->desc.port != 0)
            keep_readable(media);
        if (media->desc.port == 0 || !is_audio(media))
            retire(pool, sdp, media);
    }
    return pjmedia_sdp_validate2(sdp, PJ_FALSE) == PJ_SUCCESS;
}

/* How many lines the text has, those that PJMEDIA has no room for included. */
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

/* Read the description of a message as everybody who reads it later will have it; null when there is none. */
pjsip_rdata_sdp_info *read(pjsip_rx_data *rdata)
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

enum class Audio { usable, unusable, none };

/* Whether a description leaves audio to talk with; if so, no other line of audio does. */
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

// --- answers, which cannot be refused

pjsip_inv_session *session_of(pjsip_rx_data *rdata)
{
    if (const pjsua_call *call = call_for(rdata))
        return call->inv;
    if (rdata->msg_info.msg->type != PJSIP_RESPONSE_MSG)
        return nullptr;
    // The first response is what gives the dialog its remote tag.
    pj_str_t key;
    if (pjsip_tsx_create_key(rdata->tp_info.pool, &key, PJSIP_ROLE_UAC, &rdata->msg_info.cseq->method, rdata) != PJ_SUCCESS)
        return nullptr;
    pjsip_transaction *tsx = pjsip_tsx_layer_find_tsx(&key, PJ_FALSE);
    pjsip_dialog *dialog = tsx ? pjsip_tsx_get_dlg(tsx) : nullptr;
    return dialog ? pjsip_dlg_get_inv_session(dialog) : nullptr;
}

int account_of(const pjsip_inv_session *inv)
{
    const pjsua_call *call = inv ? static_cast<pjsua_call *>(inv->dlg->mod_data[pjsua_var.mod.id]) : nullptr;
    return call ? call->acc_id : NOBODY;
}

/* What the negotiation would come to. A failed one would be the end of a call that may be ringing, or talked on. */
bool would_fit(pj_pool_t *pool, pjsip_inv_session *inv, const pjmedia_sdp_session *answer, bool first)
{
    const pjmedia_sdp_session *offer = nullptr, *agreed = nullptr;
    pjmedia_sdp_neg *trial = nullptr;
    if (pjmedia_sdp_neg_get_neg_local(inv->neg, &offer) != PJ_SUCCESS ||
        pjmedia_sdp_neg_create_w_local_offer(pool, offer, &trial) != PJ_SUCCESS ||
        pjmedia_sdp_neg_set_remote_answer(pool, trial, answer) != PJ_SUCCESS ||
        pjmedia_sdp_neg_negotiate(pool, trial, PJ_FALSE) != PJ_SUCCESS ||
        pjmedia_sdp_neg_get_active_local(trial, &agreed) != PJ_SUCCESS)
        return false;
    for (unsigned i = 0; i < agreed->media_count; ++i)
        if (is_audio(agreed->media[i]) && agreed->media[i]->desc.port != 0)
            return true;
    return !first; // in mid call a stream may be taken out
}

bool is_good_answer(pjsip_rx_data *rdata, pjsip_rdata_sdp_info *info)
{
    if (!info->sdp)
        return false;
    pjsip_inv_session *inv = session_of(rdata);
    const bool first = !inv || inv->state < PJSIP_INV_STATE_CONFIRMED;
    const Audio audio = audio_of(rdata->tp_info.pool, info->sdp, account_of(inv));
    if (audio == Audio::unusable || (audio == Audio::none && first))
        return false;
    if (!inv || !inv->neg || pjmedia_sdp_neg_get_state(inv->neg) != PJMEDIA_SDP_NEG_STATE_LOCAL_OFFER)
        return true;
    return would_fit(rdata->tp_info.pool, inv, info->sdp, first);
}

void tell(const pjsip_rx_data *rdata, int code)
{
    RequestHandler *handler = request_handler();
    if (!handler)
        return;
    const pjsip_msg *msg = rdata->msg_info.msg;
    const std::string method = text_of(rdata->msg_info.cseq->method.name);
    const bool response = msg->type == PJSIP_RESPONSE_MSG;
    const std::string where = response ? std::to_string(msg->line.status.code) + " " + method : method;
    handler->onDescriptionRefused(text_of(rdata->msg_info.cid->id), where, code);
}

pj_bool_t on_message(pjsip_rx_data *rdata)
{
    const pjsip_msg *msg = rdata->msg_info.msg;
    const bool response = msg->type == PJSIP_RESPONSE_MSG;
    if (rdata->msg_info.to->tag.slen == 0)
        return PJ_FALSE;
    pjsip_rdata_sdp_info *info = read(rdata);
    const bool bears_answer = response ? msg->line.status.code < 300
                                       : is_request(rdata, "ACK") || is_request(rdata, "PRACK");
    if (info && bears_answer && !is_good_answer(rdata, info)) {
        take_away(rdata, info);
        tell(rdata, 0);
    }
    return PJ_FALSE;
}

/* PJSIP takes an offer that it could not negotiate for a fault of ours. */
pj_status_t on_response(pjsip_tx_data *tdata)
{
    pjsip_status_line &line = tdata->msg->line.status;
    if (line.code == PJSIP_SC_INTERNAL_SERVER_ERROR && pj_strcmp2(&line.reason, "SDP negotiation failed") == 0) {
        line.code = PJSIP_SC_NOT_ACCEPTABLE_HERE;
        line.reason = *pjsip_get_status_text(line.code);
        pjsip_tx_data_invalidate_msg(tdata);
    }
    return PJ_SUCCESS;
}

int verdict(pjsip_rx_data *rdata, int account, bool first)
{
    if (is_unseen(rdata))
        return PJSIP_SC_BAD_REQUEST;
    pjsip_rdata_sdp_info *info = read(rdata);
    if (!info)
        return 0;
    if (!info->sdp)
        return lines_of(info->body) > PJMEDIA_MAX_SDP_MEDIA ? PJSIP_SC_NOT_ACCEPTABLE_HERE : PJSIP_SC_BAD_REQUEST;
    const Audio audio = audio_of(rdata->tp_info.pool, info->sdp, account);
    const bool nothing = audio == Audio::unusable || (audio == Audio::none && (first || info->sdp->media_count == 0));
    return nothing ? PJSIP_SC_NOT_ACCEPTABLE_HERE : 0;
}

}

int verdict_on_first_offer(pjsip_rx_data *rdata, int account)
{
    return verdict(rdata, account, true);
}

int verdict_on_offer(pjsip_rx_data *rdata)
{
    const pjsua_call *call = call_for(rdata);
    const int code = verdict(rdata, call ? call->acc_id : NOBODY, false);
    if (code)
        tell(rdata, code);
    return code;
}

void watch_descriptions()
{
    static pjsip_module reader, writer;
    // Before the transactions, which keep responses to themselves, and before everybody else who reads descriptions.
    reader = named_module("mod-gateway-reader", PJSIP_MOD_PRIORITY_TSX_LAYER - 2);
    reader.on_rx_request = guarded<&on_message, PJ_TRUE>; // rather lost than believed
    reader.on_rx_response = guarded<&on_message, PJ_TRUE>;
    writer = named_module("mod-gateway-writer", PJSIP_MOD_PRIORITY_TRANSPORT_LAYER + 1);
    writer.on_tx_response = guarded<&on_response>;
    pjsip_endpt_register_module(pjsua_get_pjsip_endpt(), &reader);
    pjsip_endpt_register_module(pjsua_get_pjsip_endpt(), &writer);
}

}
