/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "origin.hpp"

#include <random>
#include <string_view>

#include <pjmedia.h>
#include <pjsip.h>
#include <pjsip_ua.h>
#include <pjsua-lib/pjsua.h>

#include "calls.hpp"
#include "modules.hpp"

namespace gateway {

namespace {

/* What a dialog was told last; it lives as long as that. */
struct Told : Origin {
    std::size_t text; // a hash of all but the o= line's numbers; 0: nothing yet
};

pjsip_module module_;
pj_uint32_t next_;

Told *begin(pjsip_dialog *dialog, Origin origin)
{
    Told *told = PJ_POOL_ZALLOC_T(dialog->pool, Told);
    told->id = origin.id;
    told->version = origin.version;
    dialog->mod_data[module_.id] = told;
    return told;
}

/* Before it is printed; what is printed already is sent again, as it was. */
pj_status_t on_sent(pjsip_tx_data *tdata)
{
    const pjsip_msg_body *body = tdata->msg->body;
    if (!body || !body->data || pjsip_tx_data_is_valid(tdata) || pj_stricmp2(&body->content_type.type, "application") != 0 ||
        pj_stricmp2(&body->content_type.subtype, "sdp") != 0 || body->len != 0)
        return PJ_SUCCESS;
    pjsip_dialog *dialog = dialog_named_by(tdata);
    if (!dialog)
        return PJ_SUCCESS;
    auto *sdp = static_cast<pjmedia_sdp_session *>(body->data);
    auto *origin = static_cast<Told *>(dialog->mod_data[module_.id]);
    if (!origin)
        origin = begin(dialog, {next_++, 0});
    sdp->origin.id = origin->id;
    sdp->origin.version = 0;
    char text[PJSIP_MAX_PKT_LEN];
    const int length = pjmedia_sdp_print(sdp, text, sizeof(text));
    const std::size_t hash =
        length > 0 ? std::hash<std::string_view>()(std::string_view(text, static_cast<std::size_t>(length))) | 1 : 0;
    if (hash == 0 || hash != origin->text)
        ++origin->version;
    origin->text = hash;
    sdp->origin.version = origin->version;
    return PJ_SUCCESS;
}

}

Origin origin_of(const pjsip_dialog *dialog)
{
    const auto *told = static_cast<const Told *>(dialog->mod_data[module_.id]);
    return told ? Origin{told->id, told->version} : Origin{0, 0};
}

void set_origin(pjsip_dialog *dialog, Origin origin)
{
    begin(dialog, origin);
}

void write_origins()
{
    next_ = std::random_device()();
    // Above the transport layer, which prints the message (lower numbers are called later on the way out).
    module_ = named_module("mod-gateway-origin", PJSIP_MOD_PRIORITY_TRANSPORT_LAYER + 1);
    module_.on_tx_request = guarded<&on_sent>;
    module_.on_tx_response = guarded<&on_sent>;
    register_module(module_);
}

}
