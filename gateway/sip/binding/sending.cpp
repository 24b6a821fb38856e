/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sending.hpp"

#include <map>
#include <string>
#include <utility>

#include <pjsua-lib/pjsua.h>

#include "modules.hpp"
#include "requests.hpp"
#include "strings.hpp"

/* The linker's --wrap: what every request is sent by for the first time, PJSIP's own too. */
extern "C" {
pj_status_t __real_pjsip_endpt_send_request_stateless(pjsip_endpoint *endpoint, pjsip_tx_data *tdata, void *token,
                                                      pjsip_send_callback done);
pj_status_t __wrap_pjsip_endpt_send_request_stateless(pjsip_endpoint *endpoint, pjsip_tx_data *tdata, void *token,
                                                      pjsip_send_callback done);
}

pj_status_t __wrap_pjsip_endpt_send_request_stateless(pjsip_endpoint *endpoint, pjsip_tx_data *tdata, void *token,
                                                      pjsip_send_callback done)
{
    // The dialog has this text, and may be gone once a name server has answered, and the Via is made of it.
    const pj_str_t host = tdata->via_addr.host;
    if (host.slen > 0)
        pj_strdup(tdata->pool, &tdata->via_addr.host, &host);
    return __real_pjsip_endpt_send_request_stateless(endpoint, tdata, token, done);
}

namespace gateway {

namespace {

std::map<size_t, Answered> sent_;
size_t next_id_ = 1;
size_t starting_ = 0; // whose end is told by what send_request returns

void on_state(void *token, pjsip_event *event)
{
    const size_t id = reinterpret_cast<size_t>(token);
    const auto found = sent_.find(id);
    if (found == sent_.end() || event->type != PJSIP_EVENT_TSX_STATE)
        return;
    const Answered answered = std::move(found->second);
    sent_.erase(found);
    if (id != starting_ && answered)
        answered(event);
}

}

bool send_request(pjsip_tx_data *tdata, Answered answered)
{
    const size_t id = next_id_++;
    sent_[id] = std::move(answered);
    const size_t before = std::exchange(starting_, id);
    tdata->tp_info.transport = nullptr;
    pjsip_tx_data_add_ref(tdata);
    const pj_status_t status = pjsip_endpt_send_request(pjsua_get_pjsip_endpt(), tdata, -1,
                                                        reinterpret_cast<void *>(id), guarded<&on_state>);
    starting_ = before;
    if (status != PJ_SUCCESS)
        sent_.erase(id);
    const bool sent = sent_.count(id) != 0;
    pjsip_transport *transport = tdata->tp_info.transport;
    if (!sent && transport && !(transport->flag & PJSIP_TRANSPORT_DATAGRAM))
        pjsip_transport_shutdown2(transport, PJ_TRUE);
    pjsip_tx_data_dec_ref(tdata);
    return sent;
}

bool send_in_dialog(pjsip_dialog *dialog, pjsip_tx_data *tdata, Answered answered)
{
    PJSIP_MSG_CSEQ_HDR(tdata->msg)->cseq = dialog->local.cseq++;
    pjsip_tx_data_invalidate_msg(tdata);
    if (dialog->via_addr.host.slen > 0) {
        tdata->via_addr = dialog->via_addr;
        tdata->via_tp = dialog->via_tp;
    }
    pjsip_tx_data_set_transport(tdata, &dialog->tp_sel);
    return send_request(tdata, std::move(answered));
}

void renew(pjsip_tx_data *tdata)
{
    if (auto *via = static_cast<pjsip_via_hdr *>(pjsip_msg_find_hdr(tdata->msg, PJSIP_H_VIA, nullptr)))
        via->branch_param.slen = 0;
    tdata->dest_info.addr.count = tdata->dest_info.cur_addr = 0;
    pjsip_tx_data_invalidate_msg(tdata);
}

void tell_unsent(const pjsip_tx_data *tdata)
{
    RequestHandler *handler = request_handler();
    if (!handler)
        return;
    char printed[PJSIP_MAX_URL_SIZE];
    const pjsip_request_line &line = tdata->msg->line.req;
    const int length = pjsip_uri_print(PJSIP_URI_IN_REQ_URI, line.uri, printed, sizeof(printed));
    const auto *call = static_cast<const pjsip_cid_hdr *>(pjsip_msg_find_hdr(tdata->msg, PJSIP_H_CALL_ID, nullptr));
    handler->onUnsent(text_of(line.method.name), call ? text_of(call->id) : "", std::string(printed, length > 0 ? length : 0));
}

void stop_sending()
{
    sent_.clear();
}

}
