/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bodies.hpp"

#include <string_view>

#include <pjsip.h>
#include <pjsip_ua.h>

namespace gateway {

namespace {

std::string_view view(const pj_str_t &text)
{
    return {text.ptr ? text.ptr : "", text.slen > 0 ? static_cast<size_t>(text.slen) : 0};
}

bool is_sdp(const pjsip_media_type &type)
{
    return same(view(type.type), "application") && same(view(type.subtype), "sdp");
}

std::string_view header_of(const pjsip_multipart_part *part, const char *name)
{
    const pj_str_t wanted = pj_str(const_cast<char *>(name));
    for (const pjsip_hdr *header = part->hdr.next; header != &part->hdr; header = header->next)
        if (pj_stricmp(&header->name, &wanted) == 0 && header->type == PJSIP_H_OTHER)
            return view(reinterpret_cast<const pjsip_generic_string_hdr *>(header)->hvalue);
    return {};
}

bool is_other_than_identity(std::string_view encodings)
{
    for (const std::string_view encoding : split(encodings, ','))
        if (!same(encoding, "identity"))
            return true;
    return false;
}

/* RFC 3261 §20.11 has a missing `handling` mean required; yet a part that says nothing of itself at all is ignored, as
 * others do: senders who mean it say so (RFC 3204 §4). A part that another one refers to is for whoever follows the
 * reference (RFC 5621 §5). */
bool is_required(std::string_view disposition)
{
    if (disposition.empty() || same(trimmed(disposition.substr(0, disposition.find(';'))), "by-reference"))
        return false;
    return !same(parameter_of(disposition, "handling"), "optional");
}

/* By the header itself: whoever looked for the description before may have called every multipart mixed. */
bool are_alternatives(const std::vector<Field> &fields)
{
    for (const Field &field : fields)
        if (same(field.name, "Content-Type") || same(field.name, "c"))
            return same(trimmed(field.value.substr(0, field.value.find(';'))), "multipart/alternative");
    return false;
}

BodyVerdict judge_parts(const pjsip_msg_body *body, bool alternatives)
{
    bool understood = false, encoded = false, required = false, named = true;
    for (pjsip_multipart_part *part = pjsip_multipart_get_first_part(body); part;
         part = pjsip_multipart_get_next_part(body, part)) {
        const std::string_view disposition = header_of(part, "Content-Disposition");
        const bool foreign = is_other_than_identity(header_of(part, "Content-Encoding"));
        if (is_sdp(part->body->content_type) && !foreign) {
            understood = true;
            continue;
        }
        encoded = encoded || (foreign && is_sdp(part->body->content_type));
        required = required || is_required(disposition);
        named = named && !disposition.empty();
    }
    if (understood)
        return required && !alternatives ? BodyVerdict::UNSUPPORTED : BodyVerdict::FINE;
    if (!required && named)
        return BodyVerdict::OPTIONAL;
    return encoded ? BodyVerdict::ENCODED : BodyVerdict::UNSUPPORTED;
}

}

bool is_encoded(const std::vector<Field> &fields)
{
    for (const Field &field : fields)
        if ((same(field.name, "Content-Encoding") || same(field.name, "e")) && is_other_than_identity(field.value))
            return true;
    return false;
}

bool may_be_ignored(const std::vector<Field> &fields)
{
    for (const Field &field : fields)
        if (same(field.name, "Content-Disposition"))
            return same(parameter_of(field.value, "handling"), "optional");
    return false;
}

BodyVerdict judge_description(const pjsip_rx_data *rdata, const std::vector<Field> &fields)
{
    const pjsip_msg_body *body = rdata->msg_info.msg->body;
    if (!body || !body->data)
        return BodyVerdict::FINE;
    const bool ignorable = may_be_ignored(fields);
    if (is_encoded(fields))
        return ignorable ? BodyVerdict::OPTIONAL : BodyVerdict::ENCODED;
    if (same(view(body->content_type.type), "multipart")) {
        const BodyVerdict verdict = judge_parts(body, are_alternatives(fields));
        return verdict != BodyVerdict::FINE && ignorable ? BodyVerdict::OPTIONAL : verdict;
    }
    if (is_sdp(body->content_type) || body->len == 0)
        return BodyVerdict::FINE;
    return ignorable ? BodyVerdict::OPTIONAL : BodyVerdict::UNSUPPORTED;
}

void drop_body(pjsip_rx_data *rdata)
{
    rdata->msg_info.msg->body = nullptr;
    rdata->msg_info.ctype = nullptr;
    if (!rdata->msg_info.clen)
        rdata->msg_info.clen = pjsip_clen_hdr_create(rdata->tp_info.pool);
    rdata->msg_info.clen->len = 0;
    rdata->endpt_info.mod_data[pjsip_inv_usage_instance()->id] = nullptr; // what was read of it so far
    if (void *type = pjsip_msg_find_hdr(rdata->msg_info.msg, PJSIP_H_CONTENT_TYPE, nullptr))
        pj_list_erase(type);
}

bool accepts_descriptions(const std::vector<Field> &fields)
{
    bool said = false;
    for (const Field &field : fields) {
        if (!same(field.name, "Accept"))
            continue;
        said = true;
        for (const std::string_view range : split(field.value, ',')) {
            const std::string_view type = trimmed(range.substr(0, range.find(';')));
            const std::string_view weight = parameter_of(range, "q");
            const bool never = !weight.empty() && weight.find_first_not_of("0.") == std::string_view::npos;
            if (!never && (same(type, "application/sdp") || same(type, "application/*") || type == "*/*"))
                return true;
        }
    }
    return !said;
}

}
