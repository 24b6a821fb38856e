/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "framing.hpp"

#include <set>

#include <sys/socket.h>

#include <pjsip.h>
#include <pjsua-lib/pjsua.h>

#include "fields.hpp"
#include "modules.hpp"
#include "requests.hpp"

namespace gateway {

namespace {

/* Connections of which nothing more is taken. */
std::set<const pjsip_transport *> closing_;

void on_state(pjsip_transport *transport, pjsip_transport_state state, const pjsip_transport_state_info *)
{
    if (state == PJSIP_TP_STATE_DESTROY)
        closing_.erase(transport);
}

bool is_ambiguous(const pjsip_rx_data *rdata)
{
    std::string_view length;
    for (const Field &field : fields_of({rdata->msg_info.msg_buf, static_cast<size_t>(rdata->msg_info.len)})) {
        if (!same(field.name, "Content-Length") && !same(field.name, "l"))
            continue;
        if (!length.empty() && length != field.value)
            return true;
        length = field.value;
    }
    return false;
}

void close(pjsip_transport *transport)
{
    pjsip_tp_state_listener_key *key = nullptr;
    if (pjsip_transport_add_state_listener(transport, guarded<&on_state>, nullptr, &key) == PJ_SUCCESS)
        closing_.insert(transport);
    const int type = transport->key.type & ~PJSIP_TRANSPORT_IPV6;
    if (type == PJSIP_TRANSPORT_TCP) // PJSIP reads its end, and tells the calls that use it
        shutdown(static_cast<int>(pjsip_tcp_transport_get_socket(transport)), SHUT_RDWR);
    else
        pjsip_transport_shutdown2(transport, PJ_TRUE);
}

bool is_taken(pjsip_rx_data *rdata)
{
    pjsip_transport *transport = rdata->tp_info.transport;
    if (transport->flag & PJSIP_TRANSPORT_DATAGRAM)
        return false;
    if (closing_.count(transport))
        return true;
    if (!is_ambiguous(rdata))
        return false;
    RequestHandler *handler = request_handler();
    const pjsip_msg *message = rdata->msg_info.msg;
    if (handler && message->type == PJSIP_REQUEST_MSG && message->line.req.method.id != PJSIP_ACK_METHOD) {
        SipRequest request(rdata, nullptr);
        std::vector<pj::SipHeader> headers;
        const int code = handler->onUnfit(request, 400, "Contradictory Content-Length", headers);
        request.refuse(code, code == 400 ? "Contradictory Content-Length" : "", headers, false);
        request.expire();
    }
    close(transport);
    return true;
}

pj_bool_t on_message(pjsip_rx_data *rdata)
{
    return is_taken(rdata) ? PJ_TRUE : PJ_FALSE;
}

}

void guard_framing()
{
    static pjsip_module module;
    closing_.clear();
    module = named_module("mod-gateway-framing", PJSIP_MOD_PRIORITY_TRANSPORT_LAYER + 2);
    module.on_rx_request = guarded<&on_message, PJ_TRUE>;
    module.on_rx_response = guarded<&on_message>;
    register_module(module);
}

}
