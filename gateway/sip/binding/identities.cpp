/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "identities.hpp"

#include <string>
#include <string_view>

#include <pjsip.h>
#include <pjsip_ua.h>
#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

#include "calls.hpp"
#include "fields.hpp"
#include "modules.hpp"
#include "requests.hpp"

namespace gateway {

namespace {

bool names_somebody(const pjsip_msg *message)
{
    for (const char *header : {"P-Asserted-Identity", "Remote-Party-ID", "Privacy"}) {
        const pj_str_t name = pj_str(const_cast<char *>(header));
        if (pjsip_msg_find_hdr_by_name(message, &name, nullptr))
            return true;
    }
    return false;
}

pj_bool_t on_response(pjsip_rx_data *rdata)
{
    const auto &info = rdata->msg_info;
    const pjsip_method &method = info.cseq->method;
    const bool refreshes = method.id == PJSIP_INVITE_METHOD || pj_strcmp2(&method.name, "UPDATE") == 0;
    RequestHandler *handler = request_handler();
    if (!handler || !refreshes || info.msg->line.status.code / 100 != 2 || !names_somebody(info.msg))
        return PJ_FALSE;
    const pjsip_dialog *dialog = pjsip_ua_find_dialog(&info.cid->id, &info.from->tag, &info.to->tag, PJ_FALSE);
    const pjsua_call *call = dialog ? call_in(dialog) : nullptr;
    // The answer to the first INVITE is the leg's own to read.
    if (call && call->inv && call->inv->state == PJSIP_INV_STATE_CONFIRMED)
        handler->onConnected(call->index, std::string(info.msg_buf, static_cast<size_t>(info.len)));
    return PJ_FALSE;
}

}

std::string identity_of(const pjsip_rx_data *rdata)
{
    std::string found = "\r\n";
    bool more = false;
    for (const Field &field : fields_of({rdata->msg_info.msg_buf, static_cast<size_t>(rdata->msg_info.len)})) {
        const bool sender = same(field.name, "From") || same(field.name, "f");
        if (!sender && !same(field.name, "P-Asserted-Identity") && !same(field.name, "P-Preferred-Identity") &&
            !same(field.name, "Remote-Party-ID") && !same(field.name, "RPID-Privacy") && !same(field.name, "Privacy"))
            continue;
        more = more || !sender;
        found.append(field.name).append(": ").append(field.value).append("\r\n");
    }
    return more ? found : "";
}

void watch_identities()
{
    static pjsip_module module;
    module = named_module("mod-gateway-identities", PJSIP_MOD_PRIORITY_TSX_LAYER - 1); // which keeps responses to itself
    module.on_rx_response = guarded<&on_response>;
    register_module(module);
}

}
