/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "relay.hpp"

#include <algorithm>

#include <pjlib.h>
#include <pjmedia.h>
#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

#include "calls.hpp"
#include "g711.hpp"
#include "modules.hpp"
#include "relay_port.hpp"

namespace gateway {

namespace {

void (*told_keys_)(pjsua_call_id, const pjsua_dtmf_event *);

pjsua_call_media *audio_of(int callId)
{
    pjsua_call *call = call_at(callId);
    if (!call || call->audio_idx < 0)
        return nullptr;
    pjsua_call_media &media = call->media[call->audio_idx];
    return media.type == PJMEDIA_TYPE_AUDIO && media.strm.a.stream ? &media : nullptr;
}

bool told(pjsua_call_media *media, pjmedia_stream_info &info)
{
    return media && port_of(media->tp) && media->strm.a.conf_slot != PJSUA_INVALID_ID &&
           pjmedia_stream_get_info(media->strm.a.stream, &info) == PJ_SUCCESS;
}

std::string parameters(const pjmedia_codec_fmtp &given)
{
    std::vector<std::string> each;
    for (unsigned i = 0; i < given.cnt; ++i) {
        const pj_str_t &name = given.param[i].name, &value = given.param[i].val;
        each.push_back(std::string(name.ptr, static_cast<std::size_t>(name.slen)) + "=" +
                       std::string(value.ptr, static_cast<std::size_t>(value.slen)));
    }
    std::sort(each.begin(), each.end());
    std::string all;
    for (const std::string &one : each)
        all += one + ";";
    return all;
}

pjmedia_stream_common *common(pjsua_call_media &media)
{
    return reinterpret_cast<pjmedia_stream_common *>(media.strm.a.stream); // the first of a stream of audio
}

void prepare(RelayPort &port, pjsua_call_media &media, const pjmedia_stream_info &in, const pjmedia_stream_info &out, bool keys)
{
    port.stream = common(media);
    port.hears = (in.dir & PJMEDIA_DIR_DECODING) != 0;
    port.speaks = (in.dir & PJMEDIA_DIR_ENCODING) != 0;
    port.rate = port.stream->rtcp.clock_rate;
    port.types.fill(NOT_PASSED);
    port.types[in.rx_pt & 0x7F] = static_cast<std::int8_t>(out.tx_pt & 0x7F);
    port.translation = g711_between(in.fmt.encoding_name, out.fmt.encoding_name);
    port.keys = in.rx_event_pt > 0 ? in.rx_event_pt & 0x7F : NOT_PASSED;
    if (keys && port.keys != NOT_PASSED && out.tx_event_pt > 0)
        port.types[static_cast<std::size_t>(port.keys)] = static_cast<std::int8_t>(out.tx_event_pt & 0x7F);
    const std::lock_guard<std::mutex> sending(port.sending);
    const pjmedia_rtp_hdr &next = port.stream->enc->rtp.out_hdr;
    port.out.is(pj_ntohl(next.ssrc), pj_ntohs(next.seq), pj_ntohl(next.ts), OneStream::Clock::now());
}

/* The bridge neither asks for a frame nor brings one. */
void rest(pjsua_call_media &media, bool rests)
{
    const pjmedia_port_op state = rests ? PJMEDIA_PORT_DISABLE : PJMEDIA_PORT_ENABLE;
    pjmedia_conf_configure_port(pjsua_var.mconf, static_cast<unsigned>(media.strm.a.conf_slot), state, state);
    if (!rests)
        return;
    pjmedia_stream_common &stream = *common(media);
    pj_mutex_lock(stream.jb_mutex);
    pjmedia_jbuf_reset(stream.jb); // or what is left there would be heard afterwards
    pj_mutex_unlock(stream.jb_mutex);
}

void on_key(pjsua_call_id call, const pjsua_dtmf_event *event)
{
    pjsua_dtmf_event told = *event;
    if (is_key_passed())
        told.flags |= DTMF_RELAYED;
    if (told_keys_)
        told_keys_(call, &told);
}

}

std::vector<std::string> media_format(int callId)
{
    pjmedia_stream_info info;
    if (!told(audio_of(callId), info))
        return {};
    const pj_str_t &name = info.fmt.encoding_name;
    return {std::string(name.ptr, static_cast<std::size_t>(name.slen)),
            std::to_string(info.fmt.clock_rate),
            std::to_string(info.fmt.channel_cnt),
            info.param ? parameters(info.param->setting.enc_fmtp) : "",
            info.tx_event_pt > 0 ? "1" : "0"};
}

bool relay(int one, int other, bool keysToOne, bool keysToOther)
{
    pjsua_call_media *first = audio_of(one), *second = audio_of(other);
    pjmedia_stream_info in, out;
    if (one == other || !told(first, in) || !told(second, out))
        return false;
    {
        const std::lock_guard<RelayLinks> changing(relay_links);
        RelayPort *a = port_of(first->tp), *b = port_of(second->tp);
        if (a->to != b) {
            part(*a);
            part(*b);
        }
        prepare(*a, *first, in, out, keysToOther);
        prepare(*b, *second, out, in, keysToOne);
        if (a->to == b)
            return true;
        a->to = b;
        b->to = a;
    }
    rest(*first, true);
    rest(*second, true);
    return true;
}

void unrelay(int callId)
{
    pjsua_call_media *media = audio_of(callId);
    RelayPort *port = media ? port_of(media->tp) : nullptr;
    if (!port)
        return;
    {
        const std::lock_guard<RelayLinks> changing(relay_links);
        part(*port);
    }
    if (media->strm.a.conf_slot != PJSUA_INVALID_ID)
        rest(*media, false);
}

void prepare_relays()
{
    pjsua_callback &callbacks = pjsua_var.ua_cfg.cb;
    told_keys_ = callbacks.on_dtmf_event;
    callbacks.on_dtmf_event = guarded<&on_key>;
}

}
