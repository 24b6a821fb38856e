/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "registrations.hpp"

#include <pjsip.h>

#include "modules.hpp"

namespace gateway {

namespace {

/* PJSIP renews five seconds before the end. */
const pj_uint32_t SHORTEST_S = PJSIP_REGISTER_CLIENT_DELAY_BEFORE_REFRESH + 5;

/* 0 ends a registration (§10.2.2), and stays that. */
template <typename Seconds> void lengthen(Seconds &granted)
{
    if (granted > 0 && static_cast<pj_uint32_t>(granted) < SHORTEST_S)
        granted = SHORTEST_S;
}

pj_bool_t on_response(pjsip_rx_data *rdata)
{
    pjsip_msg *message = rdata->msg_info.msg;
    if (rdata->msg_info.cseq->method.id != PJSIP_REGISTER_METHOD || message->line.status.code / 100 != 2)
        return PJ_FALSE;
    for (pjsip_hdr *header = message->hdr.next; header != &message->hdr; header = header->next)
        if (header->type == PJSIP_H_EXPIRES)
            lengthen(reinterpret_cast<pjsip_expires_hdr *>(header)->ivalue);
        else if (header->type == PJSIP_H_CONTACT)
            lengthen(reinterpret_cast<pjsip_contact_hdr *>(header)->expires);
    return PJ_FALSE;
}

}

void space_renewals()
{
    static pjsip_module module;
    module = named_module("mod-gateway-registrations", PJSIP_MOD_PRIORITY_TRANSPORT_LAYER + 2);
    module.on_rx_response = guarded<&on_response>;
    register_module(module);
}

}
