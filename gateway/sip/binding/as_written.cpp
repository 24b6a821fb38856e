/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "as_written.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

#include <pjsip.h>

#include "fields.hpp"
#include "modules.hpp"

namespace gateway {

namespace {

/* A URI of a From or To, with or without a display name, that knows its text. It begins as PJSIP's own name-addr does, for
 * whoever takes it for one. */
struct Written {
    pjsip_name_addr address;
    pjsip_uri *read; /* as PJSIP has read it */
    pj_str_t text;
};

extern pjsip_uri_vptr functions_;

const Written *written(const void *uri)
{
    return static_cast<const Written *>(uri);
}

const pj_str_t *scheme_of(const void *uri)
{
    return pjsip_uri_get_scheme(written(uri)->read);
}

void *uri_in(void *uri)
{
    return pjsip_uri_get_uri(written(uri)->read);
}

pj_ssize_t print(pjsip_uri_context_e context, const void *uri, char *buffer, pj_size_t size)
{
    const Written *self = written(uri);
    if (context != PJSIP_URI_IN_FROMTO_HDR)
        return pjsip_uri_print(context, self->read, buffer, size);
    const pj_size_t length = static_cast<pj_size_t>(self->text.slen);
    if (length >= size)
        return -1;
    std::memcpy(buffer, self->text.ptr, length);
    buffer[length] = '\0';
    return self->text.slen;
}

pj_status_t compare(pjsip_uri_context_e context, const void *one, const void *other)
{
    const pjsip_uri *right = static_cast<const pjsip_uri *>(other);
    return pjsip_uri_cmp(context, written(one)->read, right->vptr == &functions_ ? written(other)->read : right);
}

Written *made(pj_pool_t *pool, pjsip_uri *read, const pj_str_t &text)
{
    Written *self = PJ_POOL_ZALLOC_T(pool, Written);
    self->address.vptr = &functions_;
    self->address.uri = static_cast<pjsip_uri *>(pjsip_uri_get_uri(read));
    if (static_cast<void *>(self->address.uri) != read) // then it is a name-addr
        self->address.display = reinterpret_cast<pjsip_name_addr *>(read)->display;
    self->read = read;
    self->text = text;
    return self;
}

void *clone(pj_pool_t *pool, const void *uri)
{
    const Written *self = written(uri);
    pj_str_t text;
    pj_strdup(pool, &text, &self->text);
    return made(pool, static_cast<pjsip_uri *>(pjsip_uri_clone(pool, self->read)), text);
}

pjsip_uri_vptr functions_ = {&scheme_of, &uri_in, &print, &compare, &clone};

/* A value without the header's parameters: to the closing bracket, or where there is none to the first semicolon. */
std::string_view address_of(std::string_view value)
{
    bool quoted = false, bracketed = false;
    for (size_t at = 0; at < value.size(); ++at) {
        const char one = value[at];
        if (one == '\\' && quoted)
            ++at;
        else if (one == '"' && !bracketed)
            quoted = !quoted;
        else if (one == '<' && !quoted)
            bracketed = true;
        else if (one == '>' && bracketed)
            return value.substr(0, at + 1);
        else if (one == ';' && !quoted && !bracketed)
            return trimmed(value.substr(0, at));
    }
    return value;
}

void keep(pj_pool_t *pool, pjsip_fromto_hdr *header, std::string_view value)
{
    if (!header || !header->uri)
        return;
    std::string text(address_of(value));
    std::replace(text.begin(), text.end(), '\r', ' '); // it may have been folded
    std::replace(text.begin(), text.end(), '\n', ' ');
    char printed[PJSIP_MAX_URL_SIZE];
    const int length = pjsip_uri_print(PJSIP_URI_IN_FROMTO_HDR, header->uri, printed, sizeof(printed));
    if (text.empty() || (length > 0 && text == std::string_view(printed, static_cast<size_t>(length))))
        return;
    pj_str_t kept;
    const pj_str_t view = {text.data(), static_cast<pj_ssize_t>(text.size())};
    pj_strdup(pool, &kept, &view);
    header->uri = reinterpret_cast<pjsip_uri *>(made(pool, header->uri, kept));
}

pj_bool_t on_request(pjsip_rx_data *rdata)
{
    const auto &info = rdata->msg_info;
    const Field *from = nullptr, *to = nullptr;
    const std::vector<Field> fields = fields_of({info.msg_buf, static_cast<size_t>(info.len)});
    for (const Field &field : fields) { // of several PJSIP has the last one
        if (same(field.name, "From") || same(field.name, "f"))
            from = &field;
        else if (same(field.name, "To") || same(field.name, "t"))
            to = &field;
    }
    if (from)
        keep(rdata->tp_info.pool, info.from, from->value);
    if (to)
        keep(rdata->tp_info.pool, info.to, to->value);
    return PJ_FALSE;
}

}

void keep_as_written()
{
    // In front of everybody who answers.
    static pjsip_module module;
    module = named_module("mod-gateway-as-written", PJSIP_MOD_PRIORITY_TRANSPORT_LAYER - 2);
    module.on_rx_request = guarded<&on_request>;
    register_module(module);
}

}
