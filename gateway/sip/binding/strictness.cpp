/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "strictness.hpp"

#include <array>
#include <string>
#include <string_view>

#include <pjsip.h>
#include <pjsua-lib/pjsua.h>

#include "bodies.hpp"
#include "capabilities.hpp"
#include "description_reader.hpp"
#include "fields.hpp"
#include "framing.hpp"
#include "modules.hpp"
#include "provisional.hpp"
#include "requests.hpp"

namespace gateway {

namespace {

struct Name {
    std::string_view full;
    std::string_view compact;
};

/* What may stand once, and means something to whoever reads the message (RFC 3261 §7.3.1, and where each is defined).
 * Refer-To, Replaces and Target-Dialog have readers of their own, which refuse a second one too. */
const std::array SINGLE = {
    Name{"From", "f"},         Name{"To", "t"},
    Name{"Call-ID", "i"},      Name{"CSeq", ""},
    Name{"Max-Forwards", ""},  Name{"Content-Type", "c"},
    Name{"Content-Length", "l"}, Name{"Content-Disposition", ""},
    Name{"MIME-Version", ""},  Name{"Expires", ""},
    Name{"Min-Expires", ""},   Name{"Event", "o"},
    Name{"Subscription-State", ""}, Name{"Session-Expires", "x"},
    Name{"Min-SE", ""},        Name{"RAck", ""},
    Name{"RSeq", ""},          Name{"Referred-By", "b"},
    Name{"Refer-Sub", ""},     Name{"Join", ""},
    Name{"Info-Package", ""},  Name{"SIP-If-Match", ""},
    Name{"Reply-To", ""},      Name{"Priority", ""},
    Name{"Subject", "s"},      Name{"Date", ""},
    Name{"Timestamp", ""},     Name{"Retry-After", ""},
};

struct Refusal {
    int code = 0;
    std::string why{};
    std::vector<pj::SipHeader> headers{};
};

pj::SipHeader header(const char *name, const std::string &value)
{
    pj::SipHeader made;
    made.hName = name;
    made.hValue = value;
    return made;
}

bool is(const pjsip_rx_data *rdata, const char *method)
{
    return pj_strcmp2(&rdata->msg_info.msg->line.req.method.name, method) == 0;
}

bool is_own_scheme(const void *uri)
{
    return uri && (PJSIP_URI_SCHEME_IS_SIP(uri) || PJSIP_URI_SCHEME_IS_SIPS(uri));
}

/* RFC 4475 §3.3.8: two that differ leave it open which one is meant. The same one twice is no reason to lose a call. */
std::string contradiction(const std::vector<Field> &fields)
{
    std::array<const Field *, SINGLE.size()> first{};
    for (const Field &field : fields)
        for (size_t i = 0; i < SINGLE.size(); ++i) {
            if (!same(field.name, SINGLE[i].full) && !(field.name.size() == 1 && same(field.name, SINGLE[i].compact)))
                continue;
            if (first[i] && first[i]->value != field.value)
                return std::string(SINGLE[i].full);
            first[i] = &field;
        }
    return "";
}

/* RFC 3261 §8.1.1.8, §12.1.1: whoever makes a dialog, or moves it elsewhere, names one place, which SIP can reach. */
bool has_bad_contact(const pjsip_rx_data *rdata, bool makes_dialog)
{
    const pjsip_msg *message = rdata->msg_info.msg;
    const pjsip_contact_hdr *only = nullptr;
    for (const pjsip_hdr *hdr = message->hdr.next; hdr != &message->hdr; hdr = hdr->next) {
        if (hdr->type == PJSIP_H_RECORD_ROUTE && makes_dialog &&
            !is_own_scheme(reinterpret_cast<const pjsip_rr_hdr *>(hdr)->name_addr.uri))
            return true;
        if (hdr->type != PJSIP_H_CONTACT)
            continue;
        const auto *contact = reinterpret_cast<const pjsip_contact_hdr *>(hdr);
        if (contact->star || !is_own_scheme(contact->uri))
            return true;
        if (only && pjsip_uri_cmp(PJSIP_URI_IN_CONTACT_HDR, pjsip_uri_get_uri(only->uri),
                                  pjsip_uri_get_uri(contact->uri)) != PJ_SUCCESS)
            return true;
        only = contact;
    }
    return makes_dialog && !only;
}

std::string unsupported(const std::vector<Field> &fields)
{
    std::string list;
    for (const Field &field : fields) {
        if (!same(field.name, "Require"))
            continue;
        for (const std::string_view tag : split(field.value, ',')) {
            std::string safe;
            for (const char one : tag.substr(0, 128))
                if (one > ' ' && one < 0x7f && one != '"' && one != '\\')
                    safe += one;
            if (!is_supported(std::string(tag)) && (", " + list + ",").find(", " + safe + ",") == std::string::npos)
                list += (list.empty() ? "" : ", ") + safe;
        }
    }
    return list;
}

Refusal judge_body(pjsip_rx_data *rdata, const std::vector<Field> &fields)
{
    const bool describes = is(rdata, "INVITE") || is(rdata, "UPDATE") || is(rdata, "PRACK");
    const bool told = is(rdata, "PRACK") || is(rdata, "INFO") || is(rdata, "REFER") || is(rdata, "SUBSCRIBE");
    if (told && is_unseen(rdata)) // of INVITE and UPDATE it is judged with the offer
        return {400, "Body Without Content-Type", {}};
    BodyVerdict verdict = BodyVerdict::FINE;
    if (describes)
        verdict = judge_description(rdata, fields);
    else if (!is(rdata, "BYE") && rdata->msg_info.msg->body && is_encoded(fields)) // a call's end is never refused
        verdict = may_be_ignored(fields) ? BodyVerdict::OPTIONAL : BodyVerdict::ENCODED;
    switch (verdict) {
    case BodyVerdict::UNSUPPORTED:
        return {415, "Unsupported Media Type", {header("Accept", accepted_types())}};
    case BodyVerdict::ENCODED:
        return {415, "Unsupported Content Encoding", {header("Accept-Encoding", "identity")}};
    case BodyVerdict::OPTIONAL:
        drop_body(rdata);
        break;
    case BodyVerdict::FINE:
        break;
    }
    if (describes && !is(rdata, "PRACK") && !accepts_descriptions(fields))
        return {406, "", {}};
    return {};
}

/* In the order of RFC 3261 §8.2: what the message is, whom it is for, what it requires, what it holds. */
Refusal judge(pjsip_rx_data *rdata)
{
    const pjsip_request_line &line = rdata->msg_info.msg->line.req;
    const std::vector<Field> fields = fields_of({rdata->msg_info.msg_buf, static_cast<size_t>(rdata->msg_info.len)});
    const std::string twice = contradiction(fields);
    if (!twice.empty())
        return {400, "Contradictory " + twice, {}};
    if (pjsip_method_cmp(&line.method, &rdata->msg_info.cseq->method) != 0)
        return {400, "CSeq of Another Method", {}};
    if (line.method.id == PJSIP_CANCEL_METHOD)
        return {};
    // A tel: URI names whom to call as well as a SIP one does.
    if (!is_own_scheme(line.uri) && pj_stricmp2(pjsip_uri_get_scheme(line.uri), "tel") != 0)
        return {416, "", {}};
    // What a REFER requires is judged with the REFER: its refusal is a transfer's outcome.
    const std::string missing = is(rdata, "REFER") ? "" : unsupported(fields);
    if (!missing.empty())
        return {420, "", {header("Unsupported", missing)}};
    const bool fresh = rdata->msg_info.to->tag.slen == 0;
    const bool invite = line.method.id == PJSIP_INVITE_METHOD;
    if ((invite || is(rdata, "UPDATE") || is(rdata, "SUBSCRIBE") || is(rdata, "REFER")) &&
        has_bad_contact(rdata, invite && fresh))
        return {400, "Bad Contact Header", {}};
    if (is(rdata, "PRACK") && !fresh) {
        const int code = judge_prack(rdata);
        if (code)
            return {code, "", {}};
    }
    return judge_body(rdata, fields);
}

pj_bool_t on_request(pjsip_rx_data *rdata)
{
    RequestHandler *handler = request_handler();
    if (!handler || rdata->msg_info.msg->line.req.method.id == PJSIP_ACK_METHOD) // which nobody may answer
        return PJ_FALSE;
    Refusal refusal = judge(rdata);
    if (!refusal.code)
        return PJ_FALSE;
    SipRequest request(rdata, nullptr);
    const int code = handler->onUnfit(request, refusal.code, refusal.why, refusal.headers);
    request.refuse(code, code == refusal.code ? refusal.why : "", refusal.headers);
    request.expire();
    return PJ_TRUE;
}

}

void judge_requests()
{
    // Behind the transactions, which know a repeated request, and in front of the dialogs.
    static pjsip_module module;
    module = named_module("mod-gateway-strictness", PJSIP_MOD_PRIORITY_UA_PROXY_LAYER - 2);
    module.on_rx_request = guarded<&on_request, PJ_TRUE>; // never taken by accident
    register_module(module);
    guard_framing();
    watch_provisional();
}

}
