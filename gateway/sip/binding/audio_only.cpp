/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "audio_only.hpp"

#include <pjsip_ua.h>
#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

#include "modules.hpp"

namespace gateway {

namespace {

void (*incoming_)(pjsua_acc_id, pjsua_call_id, pjsip_rx_data *);

/* PJSUA has no setting of an account for it, and the call keeps what it has now for all its offers and answers. */
void on_incoming_call(pjsua_acc_id account, pjsua_call_id call, pjsip_rx_data *rdata)
{
    pjsua_call_setting &setting = pjsua_var.calls[call].opt;
    setting.aud_cnt = 1;
    setting.vid_cnt = setting.txt_cnt = 0;
    if (incoming_)
        incoming_(account, call, rdata);
}

}

void keep_to_audio()
{
    incoming_ = pjsua_var.ua_cfg.cb.on_incoming_call;
    pjsua_var.ua_cfg.cb.on_incoming_call = guarded<&on_incoming_call>;
}

void close_others(pj_pool_t *pool, pjmedia_sdp_session *sdp)
{
    for (unsigned i = 0; i < sdp->media_count; ++i)
        if (sdp->media[i]->desc.port != 0 && pj_stricmp2(&sdp->media[i]->desc.media, "audio") != 0)
            pjmedia_sdp_media_deactivate(pool, sdp->media[i]);
}

}
