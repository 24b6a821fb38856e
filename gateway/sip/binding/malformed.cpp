/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "malformed.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include <pjsip.h>
#include <pjsua-lib/pjsua.h>

#include "challenge_fields.hpp"
#include "credentials.hpp"
#include "fields.hpp"
#include "front.hpp"
#include "modules.hpp"
#include "requests.hpp"

namespace gateway {

namespace {

const char *newlines_end_ = nullptr;
size_t newlines_ = 0;

/* PJSIP does not say where a datagram that it drops came from, but its data still lies in the rx_data that does: at the
 * beginning of the packet, or behind the newlines that were dropped just before. Null for later parts of a stream. */
const pjsip_rx_data *origin(const pjsip_tp_dropped_data &dropped)
{
    const char *data = static_cast<const char *>(dropped.data);
    const char *packet = newlines_end_ == data ? data - newlines_ : data;
    const void *whole = packet - offsetof(pjsip_rx_data, pkt_info.packet);
    const pjsip_rx_data *rdata = static_cast<const pjsip_rx_data *>(whole);
    const bool genuine = rdata->tp_info.transport == dropped.tp && rdata->msg_info.msg_buf == data &&
                         rdata->pkt_info.len > 0 && rdata->pkt_info.len <= PJSIP_MAX_PKT_LEN;
    return genuine ? rdata : nullptr;
}

/* The name of the header that could not be parsed, as far as PJSIP tells; empty: it does not. */
std::string culprit(const pjsip_rx_data *rdata)
{
    const pjsip_parser_err_report *errors = &rdata->msg_info.parse_err;
    if (!errors->next || errors->next == errors)
        return "";
    const pj_str_t &name = errors->next->hname;
    return std::string(name.ptr ? name.ptr : "", name.slen > 0 ? name.slen : 0);
}

bool is_response(std::string_view message)
{
    return same(message.substr(0, 4), "SIP/");
}

/* A response without the header field that could not be read, where it says what it has to without that: whose answer it
 * is, to what, and how long. What nobody reads would be waited for until a timer ends, and a call that was answered stays
 * with whoever answered. Nothing where there is no such field. */
std::optional<std::string> without(std::string_view response, std::string_view unreadable)
{
    for (const char *name : {"Via", "v", "From", "f", "To", "t", "Call-ID", "i", "CSeq", "Content-Length", "l",
                             "Record-Route", "RSeq"})
        if (same(unreadable, name))
            return std::nullopt;
    std::string rest;
    size_t at = 0;
    for (const Field &field : fields_of(response)) {
        if (unreadable.empty() || !same(field.name, unreadable))
            continue;
        const size_t begin = static_cast<size_t>(field.line.data() - response.data());
        rest += response.substr(at, begin - at);
        at = begin + field.line.size();
    }
    if (at == 0)
        return std::nullopt;
    return rest += response.substr(at);
}

/* A response whose code is of none of the six classes (RFC 3261 §7.2), as one that says that this server failed. PJSIP drops
 * it, and whoever waits for it would wait until their time is up. Nothing where the code is one, or no number. */
std::optional<std::string> with_a_code(std::string_view response)
{
    const size_t begin = response.find_first_not_of(' ', std::min(response.find(' '), response.size()));
    const size_t end = std::min(response.find_first_not_of("0123456789", begin), response.size());
    if (begin == std::string_view::npos || begin == end)
        return std::nullopt;
    const bool known = end - begin == 3 && response[begin] >= '1' && response[begin] <= '6';
    if (known)
        return std::nullopt;
    return std::string(response.substr(0, begin)) + std::to_string(PJSIP_SC_INTERNAL_SERVER_ERROR) +
           std::string(response.substr(end));
}

void reply(pjsip_transport *transport, const pj_sockaddr &to, const std::string &message)
{
    pjsip_tpselector selector;
    pj_bzero(&selector, sizeof(selector));
    selector.type = PJSIP_TPSELECTOR_TRANSPORT;
    selector.u.transport = transport;
    pjsip_tpmgr_send_raw(pjsip_endpt_get_tpmgr(pjsua_get_pjsip_endpt()),
                         static_cast<pjsip_transport_type_e>(transport->key.type), &selector, nullptr, message.data(),
                         message.size(), &to, pj_sockaddr_get_len(&to), nullptr, nullptr);
}

/* Have PJSIP read another text in the place of what it has dropped. */
void read_instead(pjsip_transport *transport, const pj_sockaddr &source, const std::string &text)
{
    if (text.size() >= PJSIP_MAX_PKT_LEN)
        return;
    pjsip_endpoint *endpoint = pjsua_get_pjsip_endpt();
    pj_pool_t *pool = pjsip_endpt_create_pool(endpoint, "instead", PJSIP_POOL_RDATA_LEN, PJSIP_POOL_RDATA_INC);
    pjsip_rx_data *rdata = PJ_POOL_ZALLOC_T(pool, pjsip_rx_data);
    rdata->tp_info.pool = pool;
    rdata->tp_info.transport = transport;
    pj_gettimeofday(&rdata->pkt_info.timestamp);
    pj_memcpy(rdata->pkt_info.packet, text.data(), text.size());
    rdata->pkt_info.len = static_cast<pj_ssize_t>(text.size());
    rdata->pkt_info.src_addr = source;
    rdata->pkt_info.src_addr_len = pj_sockaddr_get_len(&source);
    pj_sockaddr_print(&source, rdata->pkt_info.src_name, sizeof(rdata->pkt_info.src_name), 0);
    rdata->pkt_info.src_port = pj_sockaddr_get_port(&source);
    pjsip_tpmgr_receive_packet(pjsip_endpt_get_tpmgr(endpoint), rdata);
    pj_pool_release(pool);
}

void on_dropped(pjsip_tp_dropped_data *dropped)
{
    if (dropped->status == PJ_EIGNORED) { // newlines, as a sign of life or in front of a message
        newlines_end_ = static_cast<const char *>(dropped->data) + dropped->len;
        newlines_ = dropped->len;
        return;
    }
    if (drop_other_schemes(dropped))
        return;
    RequestHandler *handler = request_handler();
    pjsip_transport *transport = dropped->tp;
    const bool stream = (transport->flag & PJSIP_TRANSPORT_DATAGRAM) == 0;
    const pjsip_rx_data *rdata = origin(*dropped);
    newlines_end_ = nullptr;
    if (!handler || !dropped->data || (!rdata && !stream))
        return;
    const pj_sockaddr &source = stream ? transport->key.rem_addr : rdata->pkt_info.src_addr;
    if (!is_worth_a_look(source))
        return;
    char host[PJ_INET6_ADDRSTRLEN + 10];
    pj_sockaddr_print(&source, host, sizeof(host), 0);
    // Of a message on a stream that fills the whole packet PJSIP tells the length that its Content-Length declares.
    const bool overflows = dropped->status == PJSIP_ERXOVERFLOW;
    const size_t there = overflows ? std::min<size_t>(dropped->len, PJSIP_MAX_PKT_LEN) : dropped->len;
    const std::string text(static_cast<const char *>(dropped->data), there);
    const bool unreadable = dropped->status == PJSIP_EINVALIDMSG || dropped->status == PJSIP_EINVALIDSTATUS;
    if (unreadable && is_response(text)) { // each time a field less comes here
        std::optional<std::string> readable = with_a_code(text);
        if (!readable)
            readable = readable_challenges(text);
        if (!readable && rdata)
            readable = without(text, culprit(rdata));
        if (readable)
            return read_instead(transport, source, *readable);
    }
    const bool whole = there < PJSIP_MAX_PKT_LEN && !overflows;
    const std::string answer = handler->onMalformed(text, host, rdata ? culprit(rdata) : "", whole);
    if (!answer.empty())
        reply(transport, source, answer);
}

/* In front of everything else: a datagram has to hold all of its message (RFC 3261 §18.3), and no more counts. */
pj_bool_t on_request(pjsip_rx_data *rdata)
{
    pjsip_msg *message = rdata->msg_info.msg;
    const pjsip_clen_hdr *length = rdata->msg_info.clen;
    if ((rdata->tp_info.transport->flag & PJSIP_TRANSPORT_DATAGRAM) == 0)
        return PJ_FALSE;
    const bool cut = rdata->pkt_info.len >= PJSIP_MAX_PKT_LEN;
    const size_t wanted = length && length->len > 0 ? length->len : 0;
    if (!cut && wanted <= body_bytes(rdata)) {
        if (wanted && message->body && wanted < message->body->len)
            message->body->len = static_cast<unsigned>(wanted);
        return PJ_FALSE;
    }
    RequestHandler *handler = request_handler();
    if (!handler || message->line.req.method.id == PJSIP_ACK_METHOD)
        return PJ_TRUE;
    SipRequest request(rdata, nullptr);
    std::vector<pj::SipHeader> headers;
    const int code = handler->onUnfit(request, cut ? 513 : 400, "", headers);
    request.refuse(code, "", headers, false);
    request.expire();
    return PJ_TRUE;
}

}

size_t body_bytes(const pjsip_rx_data *rdata)
{
    const std::string_view text(rdata->msg_info.msg_buf, rdata->msg_info.len);
    for (const char *blank : {"\r\n\r\n", "\n\n", "\r\r"}) {
        const size_t found = text.find(blank);
        if (found != std::string_view::npos)
            return text.size() - found - std::strlen(blank);
    }
    return 0;
}

void answer_malformed()
{
    static pjsip_module front;
    front = named_module("mod-gateway-front", PJSIP_MOD_PRIORITY_TRANSPORT_LAYER + 1);
    front.on_rx_request = guarded<&on_request>;
    pjsip_endpoint *endpoint = pjsua_get_pjsip_endpt();
    register_module(front);
    pjsip_tpmgr_set_drop_data_cb(pjsip_endpt_get_tpmgr(endpoint), guarded<&on_dropped>);
}

}
