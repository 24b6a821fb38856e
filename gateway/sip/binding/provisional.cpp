/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "provisional.hpp"

#include <cstdlib>
#include <string>

#include <pjsip.h>
#include <pjsip_ua.h>
#include <pjsua-lib/pjsua.h>

#include "fields.hpp"
#include "modules.hpp"

namespace gateway {

namespace {

/* PJSIP sends the next one only when the one before has its PRACK: one waits at a time. It lives in its dialog's pool. */
struct Waiting {
    unsigned long rseq;
    long cseq;
    bool acknowledged;
};

pjsip_module module_;

bool read_number(std::string_view text, unsigned long *value)
{
    if (text.empty() || text.size() > 10 || text.find_first_not_of("0123456789") != std::string_view::npos)
        return false;
    *value = std::strtoul(std::string(text).c_str(), nullptr, 10);
    return true;
}

std::string_view value_of(const pjsip_msg *message, const char *name)
{
    const pj_str_t wanted = pj_str(const_cast<char *>(name));
    const void *found = pjsip_msg_find_hdr_by_name(message, &wanted, nullptr);
    if (!found)
        return {};
    const pj_str_t &value = static_cast<const pjsip_generic_string_hdr *>(found)->hvalue;
    return trimmed({value.ptr, value.slen > 0 ? static_cast<size_t>(value.slen) : 0});
}

}

void watch_provisional()
{
    module_ = named_module("mod-gateway-provisional");
    register_module(module_);
}

void note_response(const pjsip_tx_data *tdata)
{
    const pjsip_msg *message = tdata->msg;
    const int code = message->line.status.code;
    unsigned long rseq = 0;
    if (module_.id < 0 || code <= 100 || code >= 200 || !read_number(value_of(message, "RSeq"), &rseq))
        return;
    const pjsip_cid_hdr *id = PJSIP_MSG_CID_HDR(message);
    const pjsip_from_hdr *from = PJSIP_MSG_FROM_HDR(message);
    const pjsip_to_hdr *to = PJSIP_MSG_TO_HDR(message);
    const pjsip_cseq_hdr *cseq = PJSIP_MSG_CSEQ_HDR(message);
    pjsip_dialog *dialog =
        id && from && to && cseq ? pjsip_ua_find_dialog(&id->id, &to->tag, &from->tag, PJ_FALSE) : nullptr;
    if (!dialog)
        return;
    void *&kept = dialog->mod_data[module_.id];
    if (!kept)
        kept = PJ_POOL_ZALLOC_T(dialog->pool, Waiting);
    auto *waiting = static_cast<Waiting *>(kept);
    if (waiting->rseq == rseq && waiting->cseq == cseq->cseq)
        return; // sent again
    *waiting = {rseq, cseq->cseq, false};
}

int judge_prack(const pjsip_rx_data *rdata)
{
    const std::vector<std::string_view> words = split(value_of(rdata->msg_info.msg, "RAck"), ' ');
    unsigned long rseq = 0, cseq = 0;
    if (words.size() != 3 || !read_number(words[0], &rseq) || !read_number(words[1], &cseq))
        return 400;
    const pjsip_dialog *dialog = pjsip_ua_find_dialog(&rdata->msg_info.cid->id, &rdata->msg_info.to->tag,
                                                      &rdata->msg_info.from->tag, PJ_FALSE);
    auto *waiting = dialog ? static_cast<Waiting *>(dialog->mod_data[module_.id]) : nullptr;
    if (!waiting || waiting->acknowledged || waiting->rseq != rseq || waiting->cseq != static_cast<long>(cseq) ||
        words[2] != "INVITE")
        return 481;
    waiting->acknowledged = true;
    return 0;
}

}
