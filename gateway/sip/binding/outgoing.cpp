/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "outgoing.hpp"

#include <pjsip.h>
#include <pjsua-lib/pjsua.h>

#include "modules.hpp"

namespace gateway {

namespace {

const char *const OUR_NAME = "transfer-gateway";
const int RETRY_AFTER_S = 5;

std::string handed_;

/* PJSIP keeps its own header objects apart; those of the application are generic strings of the same name. */
bool one_max_forwards(pjsip_msg *msg)
{
    pjsip_hdr *own = static_cast<pjsip_hdr *>(pjsip_msg_find_hdr(msg, PJSIP_H_MAX_FORWARDS, nullptr));
    const pj_str_t name = pj_str(const_cast<char *>("Max-Forwards"));
    for (pjsip_hdr *hdr = msg->hdr.next; own && hdr != &msg->hdr; hdr = hdr->next)
        if (hdr != own && hdr->type == PJSIP_H_OTHER && pj_stricmp(&hdr->name, &name) == 0) {
            pj_list_erase(own);
            return true;
        }
    return false;
}

bool no_host_in_warnings(pjsip_tx_data *tdata)
{
    const pj_str_t name = pj_str(const_cast<char *>("Warning"));
    bool changed = false;
    for (pjsip_hdr *hdr = tdata->msg->hdr.next; hdr != &tdata->msg->hdr; hdr = hdr->next) {
        if (pj_stricmp(&hdr->name, &name) != 0)
            continue;
        pjsip_generic_string_hdr *warning = reinterpret_cast<pjsip_generic_string_hdr *>(hdr);
        const std::string value(warning->hvalue.ptr, warning->hvalue.slen);
        const size_t host = value.find(' ');
        const size_t text = host == std::string::npos ? host : value.find(' ', host + 1);
        if (text != std::string::npos) {
            const std::string better = value.substr(0, host + 1) + OUR_NAME + value.substr(text);
            const pj_str_t view = pj_str(const_cast<char *>(better.c_str()));
            pj_strdup(tdata->pool, &warning->hvalue, &view);
            changed = true;
        }
    }
    return changed;
}

bool busy_is_not_broken(pjsip_tx_data *tdata)
{
    pjsip_status_line &line = tdata->msg->line.status;
    if (handed_.empty() || (line.code != 500 && line.code != 486))
        return false;
    const pjsip_cid_hdr *id = static_cast<pjsip_cid_hdr *>(pjsip_msg_find_hdr(tdata->msg, PJSIP_H_CALL_ID, nullptr));
    if (!id || handed_ != std::string(id->id.ptr, id->id.slen))
        return false;
    handed_.clear();
    line.code = PJSIP_SC_SERVICE_UNAVAILABLE;
    line.reason = *pjsip_get_status_text(PJSIP_SC_SERVICE_UNAVAILABLE);
    pjsip_hdr *again = reinterpret_cast<pjsip_hdr *>(pjsip_retry_after_hdr_create(tdata->pool, RETRY_AFTER_S));
    pjsip_msg_add_hdr(tdata->msg, again);
    return true;
}

pj_status_t on_request(pjsip_tx_data *tdata)
{
    if (one_max_forwards(tdata->msg))
        pjsip_tx_data_invalidate_msg(tdata);
    return PJ_SUCCESS;
}

pj_status_t on_response(pjsip_tx_data *tdata)
{
    const bool recoded = busy_is_not_broken(tdata), hidden = no_host_in_warnings(tdata);
    if (recoded || hidden)
        pjsip_tx_data_invalidate_msg(tdata);
    return PJ_SUCCESS;
}

}

void watch_outgoing()
{
    // Above the transport layer, which prints the message (lower numbers are called later on the way out).
    static pjsip_module module;
    module = named_module("mod-gateway-outgoing", PJSIP_MOD_PRIORITY_TRANSPORT_LAYER + 1);
    module.on_tx_request = guarded<&on_request>;
    module.on_tx_response = guarded<&on_response>;
    pjsip_endpt_register_module(pjsua_get_pjsip_endpt(), &module);
}

void handed_to_pjsua(const std::string &callId)
{
    handed_ = callId;
}

void call_made()
{
    handed_.clear();
}

}
