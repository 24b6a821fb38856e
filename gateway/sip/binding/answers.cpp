/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "answers.hpp"

#include <chrono>
#include <deque>
#include <string>
#include <unordered_map>

#include <pjsip.h>
#include <pjsua-lib/pjsua.h>

namespace gateway {

namespace {

using Clock = std::chrono::steady_clock;

const std::chrono::seconds KEPT{32};      /* 64 * T1 */
const size_t MOST_BYTES = 16 * 1024 * 1024; /* some 20,000 refusals */

struct Answer {
    std::string text;
    pj_sockaddr to;
};

struct Entry {
    Clock::time_point made;
    std::string key;
};

std::unordered_map<std::string, Answer> answers_;
std::deque<Entry> order_;
size_t bytes_ = 0;

bool is_kept(const pjsip_method &method)
{
    return method.id != PJSIP_ACK_METHOD && method.id != PJSIP_BYE_METHOD && method.id != PJSIP_CANCEL_METHOD;
}

std::string key(const pj_str_t &branch, const pj_str_t &call, const pj_str_t &from_tag, const pjsip_cseq_hdr *cseq)
{
    std::string made = std::to_string(cseq->cseq);
    for (const pj_str_t *part : {&cseq->method.name, &branch, &call, &from_tag}) {
        made += '\n';
        made.append(part->ptr ? part->ptr : "", part->slen > 0 ? part->slen : 0);
    }
    return made;
}

void drop_oldest()
{
    const auto found = answers_.find(order_.front().key);
    if (found != answers_.end()) {
        bytes_ -= found->second.text.size() + found->first.size();
        answers_.erase(found);
    }
    order_.pop_front();
}

}

void keep_answer(pjsip_tx_data *response)
{
    const pjsip_msg *message = response->msg;
    const pjsip_transport *transport = response->tp_info.transport;
    if (message->line.status.code < 300 || !transport || (transport->flag & PJSIP_TRANSPORT_DATAGRAM) == 0)
        return;
    const auto *cseq = static_cast<pjsip_cseq_hdr *>(pjsip_msg_find_hdr(message, PJSIP_H_CSEQ, nullptr));
    const auto *via = static_cast<pjsip_via_hdr *>(pjsip_msg_find_hdr(message, PJSIP_H_VIA, nullptr));
    const auto *call = static_cast<pjsip_cid_hdr *>(pjsip_msg_find_hdr(message, PJSIP_H_CALL_ID, nullptr));
    const auto *from = static_cast<pjsip_from_hdr *>(pjsip_msg_find_hdr(message, PJSIP_H_FROM, nullptr));
    if (!cseq || !via || !call || !from || !is_kept(cseq->method))
        return;
    const Clock::time_point now = Clock::now();
    while (!order_.empty() && (bytes_ > MOST_BYTES || now - order_.front().made > KEPT))
        drop_oldest();
    const std::string name = key(via->branch_param, call->id, from->tag, cseq);
    if (answers_.count(name))
        return;
    Answer answer{std::string(response->buf.start, response->buf.cur - response->buf.start), response->tp_info.dst_addr};
    bytes_ += answer.text.size() + name.size();
    answers_.emplace(name, std::move(answer));
    order_.push_back({now, name});
}

bool answered_before(const pjsip_rx_data *request)
{
    const auto &info = request->msg_info;
    if (answers_.empty() || !is_kept(info.cseq->method))
        return false;
    const auto found = answers_.find(key(info.via->branch_param, info.cid->id, info.from->tag, info.cseq));
    if (found == answers_.end())
        return false;
    const Answer &answer = found->second;
    pjsip_tpselector selector;
    pj_bzero(&selector, sizeof(selector));
    selector.type = PJSIP_TPSELECTOR_TRANSPORT;
    selector.u.transport = request->tp_info.transport;
    pjsip_tpmgr_send_raw(pjsip_endpt_get_tpmgr(pjsua_get_pjsip_endpt()),
                         static_cast<pjsip_transport_type_e>(selector.u.transport->key.type), &selector, nullptr,
                         answer.text.data(), answer.text.size(), &answer.to, pj_sockaddr_get_len(&answer.to), nullptr,
                         nullptr);
    return true;
}

}
