/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "outgoing.hpp"

#include <string_view>

#include <pjsip.h>
#include <pjsua-lib/pjsua.h>

#include "modules.hpp"
#include "provisional.hpp"
#include "requests.hpp"

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

/* RFC 3261 §20.43: code, agent, text. What is written otherwise names no agent. */
bool no_host_in_warnings(pjsip_tx_data *tdata)
{
    const pj_str_t name = pj_str(const_cast<char *>("Warning"));
    bool changed = false;
    for (pjsip_hdr *hdr = tdata->msg->hdr.next; hdr != &tdata->msg->hdr; hdr = hdr->next) {
        if (pj_stricmp(&hdr->name, &name) != 0)
            continue;
        pjsip_generic_string_hdr *warning = reinterpret_cast<pjsip_generic_string_hdr *>(hdr);
        const std::string value(warning->hvalue.ptr, warning->hvalue.slen);
        const bool coded = value.size() > 4 && value[3] == ' ' &&
                           std::string_view(value).substr(0, 3).find_first_not_of("0123456789") == std::string::npos;
        const size_t text = coded ? value.find(' ', 4) : std::string::npos;
        if (text != std::string::npos) {
            const std::string better = value.substr(0, 4) + OUR_NAME + value.substr(text);
            const pj_str_t view = pj_str(const_cast<char *>(better.c_str()));
            pj_strdup(tdata->pool, &warning->hvalue, &view);
            changed = true;
        }
    }
    return changed;
}

/* PJSUA has no code for "not now": it says 486 when it has no slot left, and 500, in a transaction, when it gets no ports
 * or descriptors. A 500 without a transaction is what it says to a request of which it can make no dialog. */
int true_code(const pjsip_tx_data *tdata)
{
    const int code = tdata->msg->line.status.code;
    if (code == PJSIP_SC_BUSY_HERE)
        return PJSIP_SC_SERVICE_UNAVAILABLE;
    if (code != PJSIP_SC_INTERNAL_SERVER_ERROR)
        return code;
    const int transactions = pjsip_tsx_layer_instance()->id;
    return tdata->mod_data[transactions] ? PJSIP_SC_SERVICE_UNAVAILABLE : PJSIP_SC_BAD_REQUEST;
}

/* The answer of PJSUA to an INVITE that it makes no call of. */
bool told_as_it_is(pjsip_tx_data *tdata)
{
    pjsip_status_line &line = tdata->msg->line.status;
    if (handed_.empty() || line.code < 300)
        return false;
    const pjsip_cid_hdr *id = PJSIP_MSG_CID_HDR(tdata->msg);
    const std::string callId = id ? std::string(id->id.ptr, id->id.slen) : "";
    if (handed_ != callId)
        return false;
    handed_.clear();
    const int code = true_code(tdata);
    const bool changed = code != line.code;
    if (changed) {
        line.code = code;
        line.reason = *pjsip_get_status_text(code);
    }
    if (code == PJSIP_SC_SERVICE_UNAVAILABLE)
        pjsip_msg_add_hdr(tdata->msg,
                          reinterpret_cast<pjsip_hdr *>(pjsip_retry_after_hdr_create(tdata->pool, RETRY_AFTER_S)));
    if (RequestHandler *handler = request_handler())
        handler->onNotMade(callId, code);
    return changed;
}

pj_status_t on_request(pjsip_tx_data *tdata)
{
    if (one_max_forwards(tdata->msg))
        pjsip_tx_data_invalidate_msg(tdata);
    return PJ_SUCCESS;
}

pj_status_t on_response(pjsip_tx_data *tdata)
{
    note_response(tdata);
    const bool recoded = told_as_it_is(tdata), hidden = no_host_in_warnings(tdata);
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
    register_module(module);
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
