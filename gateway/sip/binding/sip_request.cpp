/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sip_request.hpp"

#include <string_view>

#include <pjsip.h>
#include <pjsip_ua.h>
#include <pjsua-lib/pjsua.h>

#include "descriptions.hpp"
#include "messages.hpp"
#include "neighbours.hpp"
#include "requests.hpp"
#include "strings.hpp"
#include "subscriptions.hpp"

namespace gateway {

void add_headers(pjsip_hdr *list, pj_pool_t *pool, const std::vector<pj::SipHeader> &headers)
{
    pj_list_init(list);
    for (const pj::SipHeader &header : headers) {
        pj_str_t name = view_of(header.hName), value = view_of(header.hValue);
        pj_list_push_back(list, pjsip_generic_string_hdr_create(pool, &name, &value));
    }
}

namespace {

/* The value of a header as PJSIP writes it; false: it cannot be written. */
bool value_of(const pjsip_hdr *header, std::string &value)
{
    char line[PJSIP_MAX_PKT_LEN];
    const int length = pjsip_hdr_print_on(const_cast<pjsip_hdr *>(header), line, sizeof(line));
    if (length <= 0)
        return false;
    const std::string_view printed(line, static_cast<std::size_t>(length));
    const std::size_t colon = printed.find(':');
    const std::size_t start = printed.find_first_not_of(" \t", colon == std::string_view::npos ? 0 : colon + 1);
    value = start == std::string_view::npos ? "" : printed.substr(start);
    return true;
}

}

SipRequest::SipRequest(pjsip_rx_data *rdata, pjsip_dialog *dialog)
    : sourceHost(rdata->pkt_info.src_name), sourcePort(rdata->pkt_info.src_port),
      transport(rdata->tp_info.transport->type_name), cseq(rdata->msg_info.cseq->cseq), answered(false), rdata_(rdata),
      dialog_(dialog)
{
    const pjsip_request_line &line = rdata->msg_info.msg->line.req;
    method = text_of(line.method.name);
    callId = text_of(rdata->msg_info.cid->id);
    fromTag = text_of(rdata->msg_info.from->tag);
    toTag = text_of(rdata->msg_info.to->tag);
    char uri[PJSIP_MAX_URL_SIZE];
    const int length = pjsip_uri_print(PJSIP_URI_IN_REQ_URI, line.uri, uri, sizeof(uri));
    requestUri.assign(uri, length > 0 ? length : 0);
}

void SipRequest::expire()
{
    rdata_ = nullptr;
    dialog_ = nullptr;
}

std::vector<std::string> SipRequest::fields() const
{
    std::vector<std::string> found;
    const pjsip_hdr *headers = rdata_ ? &rdata_->msg_info.msg->hdr : nullptr;
    for (const pjsip_hdr *header = headers ? headers->next : nullptr; header != headers; header = header->next)
        if (std::string value; value_of(header, value)) {
            found.push_back(text_of(header->name));
            found.push_back(value);
        }
    return found;
}

std::vector<std::string> SipRequest::values(const std::string &name, const std::string &compact) const
{
    std::vector<std::string> found;
    const pj_str_t wanted = view_of(name), brief = view_of(compact);
    const pjsip_hdr *headers = rdata_ ? &rdata_->msg_info.msg->hdr : nullptr;
    for (const pjsip_hdr *header = headers ? headers->next : nullptr; header != headers; header = header->next) {
        const bool named = pj_stricmp(&header->name, &wanted) == 0 || (brief.slen && pj_stricmp(&header->name, &brief) == 0);
        if (std::string value; named && value_of(header, value))
            found.push_back(value);
    }
    return found;
}

std::string SipRequest::text() const
{
    return rdata_ ? std::string(rdata_->msg_info.msg_buf, rdata_->msg_info.len) : std::string();
}

bool SipRequest::respond(int code, const std::string &reason, const std::vector<pj::SipHeader> &headers)
{
    if (!rdata_ || answered)
        return false;
    answered = true;
    pjsip_hdr list;
    add_headers(&list, rdata_->tp_info.pool, headers);
    const pj_str_t phrase = view_of(reason);
    const pj_str_t *text = reason.empty() ? nullptr : &phrase;
    if (dialog_)
        return pjsip_dlg_respond(dialog_, rdata_, code, text, &list, nullptr) == PJ_SUCCESS;
    pjsip_endpoint *endpoint = pjsua_get_pjsip_endpt();
    return pjsip_endpt_respond(endpoint, stray_requests(), rdata_, code, text, &list, nullptr, nullptr) == PJ_SUCCESS;
}

void SipRequest::refuse(int code, const std::string &reason, const std::vector<pj::SipHeader> &headers, bool transaction)
{
    if (!rdata_ || answered || (transaction && respond(code, reason, headers)))
        return;
    answered = true;
    pjsip_hdr list;
    add_headers(&list, rdata_->tp_info.pool, headers);
    const pj_str_t phrase = view_of(reason);
    pjsip_endpt_respond_stateless(pjsua_get_pjsip_endpt(), rdata_, code, reason.empty() ? nullptr : &phrase, &list,
                                  nullptr);
}

int SipRequest::accept(int code, const std::vector<pj::SipHeader> &headers, int account)
{
    if (!rdata_ || answered)
        return -1;
    pjsip_dialog *made = nullptr;
    if (!dialog_) {
        pj_str_t contact;
        if (pjsua_acc_create_uas_contact(rdata_->tp_info.pool, &contact, account, rdata_) != PJ_SUCCESS ||
            pjsip_dlg_create_uas_and_inc_lock(pjsip_ua_instance(), rdata_, &contact, &made) != PJ_SUCCESS)
            return -1;
        watch_dialog(made);
        belongs_to(made, account);
        dialog_ = made;
    }
    int subscription = create_subscription(dialog_, cseq);
    if (!respond(code, "", headers)) {
        end_subscription(subscription);
        subscription = -1;
    }
    if (made)
        pjsip_dlg_dec_lock(made);
    return subscription;
}

int SipRequest::offerProblem(int account)
{
    return rdata_ ? verdict_on_first_offer(rdata_, account) : 0;
}

std::string SipRequest::body() const
{
    const pjsip_msg_body *body = rdata_ ? rdata_->msg_info.msg->body : nullptr;
    if (!body || !body->data)
        return "";
    pj_str_t raw = {static_cast<char *>(body->data), static_cast<pj_ssize_t>(body->len)};
    if (pj_stricmp2(&body->content_type.type, "multipart") == 0) // whose data is PJSIP's own
        pjsip_multipart_get_raw(const_cast<pjsip_msg_body *>(body), nullptr, &raw);
    return text_of(raw);
}

std::string SipRequest::bodyType() const
{
    const pjsip_msg_body *body = rdata_ ? rdata_->msg_info.msg->body : nullptr;
    return body ? text_of(body->content_type.type) + "/" + text_of(body->content_type.subtype) : "";
}

void SipRequest::take_out(const std::string &name)
{
    if (!rdata_)
        return;
    const pj_str_t wanted = view_of(name);
    while (pjsip_hdr *header = static_cast<pjsip_hdr *>(pjsip_msg_find_hdr_by_name(rdata_->msg_info.msg, &wanted, nullptr)))
        pj_list_erase(header);
}

void SipRequest::keep_with(const std::string &sipCallId)
{
    if (rdata_)
        begin_messages(rdata_, sipCallId);
}

}
