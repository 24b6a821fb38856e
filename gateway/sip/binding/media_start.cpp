/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "media_start.hpp"

#include <pjlib.h>
#include <pjmedia.h>
#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

#include "leg_call.hpp"
#include "media_threads.hpp"
#include "modules.hpp"
#include "relay.hpp"
#include "rtp_source.hpp"

namespace gateway {

namespace {

pjmedia_transport_op guarded_;
const pjmedia_transport_op *original_ = nullptr;

void guard(int call, pjmedia_transport *transport)
{
    if (!original_) {
        original_ = transport->op;
        guarded_ = *transport->op;
        guard_source(guarded_);
    }
    if (transport->op == original_ && guard_transport(call, transport))
        transport->op = &guarded_;
}

/* Unless told, PJMEDIA begins where it likes, and PJSUA learns of it from the first packet that has been sent. */
void number(pjsua_call_media &media)
{
    if (media.rtp_tx_seq_ts_set)
        return;
    media.rtp_tx_seq_ts_set = 1 | 1 << 1; // both
    media.rtp_tx_seq = static_cast<pj_uint16_t>(pj_rand() & 0x7FFF); // far from beginning anew (RFC 3711 §3.3.1)
    media.rtp_tx_ts = static_cast<pj_uint32_t>(pj_rand());
}

pjmedia_transport *on_create_media_transport(pjsua_call_id call, unsigned index, pjmedia_transport *transport, unsigned)
{
    pjsua_call_media &media = pjsua_var.calls[call].media_prov[index];
    number(media);
    // What is shown here is PJSUA's SRTP, encrypted or not, though it says that its type is UDP; the sockets are below.
    pjmedia_transport *udp = media.tp_orig;
    if (udp && udp->type == PJMEDIA_TRANSPORT_TYPE_UDP)
        guard(call, udp);
    make_relayable(transport, sip_call_id_of(call));
    return transport;
}

}

void guard_media_start()
{
    pjsua_var.ua_cfg.cb.on_create_media_transport = guarded<&on_create_media_transport, nullptr>;
    MediaThread::begin_all(pjsua_var.med_endpt); // now: what they take of the system is not a call's
    prepare_relays();
    watch_sources();
}

}
