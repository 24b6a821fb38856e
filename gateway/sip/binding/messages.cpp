/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "messages.hpp"

#include <algorithm>
#include <string_view>

#include <pjsip.h>
#include <pjsip_ua.h>
#include <pjsua-lib/pjsua.h>

#include "calls.hpp"
#include "captured.hpp"
#include "kept_messages.hpp"
#include "modules.hpp"
#include "strings.hpp"

namespace gateway {

namespace {

/* Requests outside of a call's dialog that are told with it. */
const size_t MOST_BESIDE = 16;

KeptMessages kept_;

std::string_view view(const pj_str_t &text)
{
    return {text.ptr ? text.ptr : "", text.slen > 0 ? static_cast<size_t>(text.slen) : 0};
}

/* Our own end; a socket that is bound to no address has the name that is told to peers. */
std::string place(const pjsip_transport *transport)
{
    if (pj_sockaddr_has_addr(&transport->local_addr))
        return printed(transport->local_addr);
    const std::string host = text_of(transport->local_name.host);
    const bool six = host.find(':') != std::string::npos && host.front() != '[';
    return (six ? "[" + host + "]" : host) + ":" + std::to_string(transport->local_name.port);
}

const char *name_of(const pjsip_transport *transport)
{
    switch (transport->key.type & ~PJSIP_TRANSPORT_IPV6) {
    case PJSIP_TRANSPORT_UDP:
        return "UDP";
    case PJSIP_TRANSPORT_TLS:
        return "TLS";
    default:
        return "TCP";
    }
}

std::string line_of(const KeptMessage &message)
{
    return std::to_string(message.at_us) + (message.sent ? " out " : " in ") + message.transport + " " + message.source + " " +
           message.destination + " " + std::to_string(message.size) + (message.again ? " again" : " new") +
           (message.cut ? " cut" : " whole");
}

void keep(std::string_view id, KeptDialog &dialog, KeptMessage message, std::string_view bytes)
{
    KeptMessage kept;
    const bool captured = capturing;
    kept_.put(dialog, std::move(message), bytes, captured ? &kept : nullptr);
    if (captured)
        add_captured(id, line_of(kept), *kept.text);
}

void received(KeptDialog &dialog, const pjsip_rx_data *rdata)
{
    KeptMessage message;
    message.at_us = now_us();
    message.transport = name_of(rdata->tp_info.transport);
    message.source = printed(rdata->pkt_info.src_addr);
    message.destination = place(rdata->tp_info.transport);
    dialog.add_peer(address_of(rdata->pkt_info.src_addr));
    keep(view(rdata->msg_info.cid->id), dialog, std::move(message),
         {rdata->msg_info.msg_buf, static_cast<size_t>(rdata->msg_info.len)});
}

pj_bool_t on_received(pjsip_rx_data *rdata)
{
    if (!kept_.has_room())
        return PJ_FALSE;
    const std::string_view id = view(rdata->msg_info.cid->id);
    KeptDialog *known = kept_.find(id);
    if (known && known->has_peer(address_of(rdata->pkt_info.src_addr)))
        received(*known, rdata);
    else if (call_for(rdata)) // it had to make room for others, or its peer has another address now
        received(kept_.begin(id, true), rdata);
    return PJ_FALSE;
}

/* Whether what leaves with a Call-ID that is kept belongs to it: an answer goes to its peer, and not to whoever has sent
 * a request with the Call-ID of somebody else's call. */
bool goes_to_peer(KeptDialog &dialog, const pjsip_tx_data *tdata)
{
    const Address destination = address_of(tdata->tp_info.dst_addr);
    if (tdata->msg->type == PJSIP_REQUEST_MSG)
        dialog.add_peer(destination);
    return dialog.has_peer(destination);
}

bool is_of_a_call(pjsip_tx_data *tdata)
{
    return call_in(dialog_behind(tdata)) != nullptr;
}

bool begins_a_dialog(const pjsip_msg *message)
{
    const auto *to = static_cast<const pjsip_to_hdr *>(pjsip_msg_find_hdr(message, PJSIP_H_TO, nullptr));
    return message->type == PJSIP_REQUEST_MSG && message->line.req.method.id == PJSIP_INVITE_METHOD && to && to->tag.slen == 0;
}

pj_status_t on_sent(pjsip_tx_data *tdata)
{
    const pjsip_cid_hdr *header = kept_.has_room() ? PJSIP_MSG_CID_HDR(tdata->msg) : nullptr;
    if (!header || !tdata->tp_info.transport)
        return PJ_SUCCESS;
    const std::string_view id = view(header->id);
    KeptDialog *dialog = kept_.find(id);
    if (!dialog && is_of_a_call(tdata))
        dialog = &kept_.begin(id, !begins_a_dialog(tdata->msg));
    if (!dialog || (!goes_to_peer(*dialog, tdata) && !is_of_a_call(tdata)))
        return PJ_SUCCESS;
    KeptMessage message;
    message.at_us = now_us();
    message.sent = true;
    message.transport = name_of(tdata->tp_info.transport);
    message.source = place(tdata->tp_info.transport);
    message.destination = printed(tdata->tp_info.dst_addr);
    keep(id, *dialog, std::move(message), {tdata->buf.start, static_cast<size_t>(tdata->buf.cur - tdata->buf.start)});
    return PJ_SUCCESS;
}

}

void keep_messages(long bytes, long dialogs)
{
    kept_.set_room(static_cast<size_t>(std::max(bytes, 0L)), static_cast<size_t>(std::max(dialogs, 0L)));
}

std::vector<std::string> messages_of(const std::string &sipCallId)
{
    const KeptDialog *dialog = kept_.find(sipCallId);
    if (!dialog)
        return {};
    size_t left_out = 0;
    const std::vector<const KeptMessage *> messages = kept_.told(*dialog, left_out);
    std::vector<std::string> told = {std::to_string(left_out) + (dialog->late ? " 1" : " 0")};
    for (const KeptMessage *each : messages) {
        told.push_back(line_of(*each));
        told.push_back(*each->text);
    }
    return told;
}

void forget_messages(const std::vector<std::string> &sipCallIds)
{
    for (const std::string &id : sipCallIds)
        kept_.erase(id);
}

std::vector<std::string> forget_messages_naming(const std::vector<std::string> &texts)
{
    const std::vector<std::string> found = kept_.naming(texts);
    forget_messages(found);
    return found;
}

std::vector<long> messages_kept()
{
    return kept_.counts();
}

void begin_messages(const pjsip_rx_data *rdata)
{
    if (kept_.has_room())
        received(kept_.begin(view(rdata->msg_info.cid->id), false), rdata);
}

void begin_messages(const pjsip_rx_data *rdata, const std::string &about)
{
    KeptDialog *call = kept_.find(about);
    const std::string id(view(rdata->msg_info.cid->id));
    if (!call || id == about || call->beside.size() >= MOST_BESIDE)
        return;
    call->beside.push_back(id);
    received(kept_.begin(id, false), rdata);
}

void watch_messages()
{
    // Behind the one that looks who has sent it, as it is registered after that; and where what leaves has been printed.
    static pjsip_module module;
    kept_.clear();
    module = named_module("mod-gateway-messages", PJSIP_MOD_PRIORITY_TRANSPORT_LAYER - 1);
    module.on_rx_request = guarded<&on_received>;
    module.on_rx_response = guarded<&on_received>;
    module.on_tx_request = guarded<&on_sent>;
    module.on_tx_response = guarded<&on_sent>;
    register_module(module);
}

}
