/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "events.hpp"

#include <initializer_list>

#include <pjmedia.h>
#include <pjsip.h>
#include <pjsip_ua.h>
#include <pjsua-lib/pjsua.h>

#include "modules.hpp"

namespace gateway {

namespace {

bool map_of(const pjmedia_sdp_media *media, unsigned index, pjmedia_sdp_rtpmap &map)
{
    const pjmedia_sdp_attr *attribute = pjmedia_sdp_media_find_attr2(media, "rtpmap", &media->desc.fmt[index]);
    return attribute && pjmedia_sdp_attr_get_rtpmap(attribute, &map) == PJ_SUCCESS;
}

bool is_event(const pjmedia_sdp_rtpmap &map)
{
    return pj_stricmp2(&map.enc_name, "telephone-event") == 0;
}

/* The clock of the codec that is spoken; static types need no rtpmap, and all that we have are of 8000 (RFC 3551 §6). */
unsigned clock_of(const pjmedia_sdp_media *media)
{
    pjmedia_sdp_rtpmap map;
    for (unsigned i = 0; i < media->desc.fmt_count; ++i)
        if (!map_of(media, i, map))
            return 8000;
        else if (!is_event(map))
            return map.clock_rate;
    return 8000;
}

void leave_one(pjmedia_sdp_media *media)
{
    const unsigned clock = clock_of(media);
    bool fits[PJMEDIA_MAX_SDP_FMT];
    bool any = false;
    pjmedia_sdp_rtpmap map;
    for (unsigned i = 0; i < media->desc.fmt_count; ++i) {
        const bool event = map_of(media, i, map) && is_event(map);
        fits[i] = !event || map.clock_rate == clock;
        any = any || (event && fits[i]);
    }
    if (!any)
        return;
    unsigned kept = 0;
    for (unsigned i = 0; i < media->desc.fmt_count; ++i) {
        const pj_str_t format = media->desc.fmt[i];
        if (fits[i]) {
            media->desc.fmt[kept++] = format;
            continue;
        }
        for (const char *name : {"rtpmap", "fmtp"})
            while (pjmedia_sdp_attr *attribute = pjmedia_sdp_media_find_attr2(media, name, &format))
                pjmedia_sdp_media_remove_attr(media, attribute);
    }
    media->desc.fmt_count = kept;
}

/* What comes in a response, or in an ACK, answers an offer of ours: we send no INVITE without one. */
pj_bool_t on_answer(pjsip_rx_data *rdata)
{
    const pjsip_msg *msg = rdata->msg_info.msg;
    if (!msg->body || (msg->type == PJSIP_REQUEST_MSG && msg->line.req.method.id != PJSIP_ACK_METHOD))
        return PJ_FALSE;
    pjsip_rdata_sdp_info *info = pjsip_rdata_get_sdp_info(rdata); // kept with the message, for whoever reads it next
    for (unsigned i = 0; info && info->sdp && i < info->sdp->media_count; ++i)
        if (pj_stricmp2(&info->sdp->media[i]->desc.media, "audio") == 0)
            leave_one(info->sdp->media[i]);
    return PJ_FALSE;
}

}

void choose_events()
{
    static pjsip_module module;
    module = named_module("mod-gateway-events", PJSIP_MOD_PRIORITY_TSX_LAYER - 1); // which keeps responses to itself
    module.on_rx_request = guarded<&on_answer>;
    module.on_rx_response = guarded<&on_answer>;
    register_module(module);
}

}
