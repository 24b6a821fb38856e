/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tone_listener.hpp"

#include <mutex>
#include <stdexcept>
#include <utility>

#include <pjmedia.h>
#include <pjsua-lib/pjsua.h>

#include "key_tones.hpp"
#include "modules.hpp"

namespace gateway {

namespace {

const unsigned RATE = 8000;
const unsigned FRAME = RATE / 50;
const std::size_t KEPT = 32;

}

/* Written by the bridge's thread, read by the loop's; it lasts until both have let go of it. */
struct ToneEar {
    std::mutex lock;
    KeyTones tones;
    std::string keys;
};

namespace {

/* What belongs to a port: gone with it, which the bridge holds on to for a moment. */
struct Held {
    std::shared_ptr<ToneEar> ear;
    pj_pool_t *pool;
};

pj_status_t put_frame(pjmedia_port *port, pjmedia_frame *frame)
{
    static const std::int16_t silence[FRAME] = {};
    const bool heard = frame->type == PJMEDIA_FRAME_TYPE_AUDIO && frame->size;
    const auto *samples = heard ? static_cast<const std::int16_t *>(frame->buf) : silence;
    ToneEar &ear = *static_cast<Held *>(port->port_data.pdata)->ear;
    const std::lock_guard<std::mutex> locked(ear.lock);
    const std::string keys = ear.tones.hear(samples, heard ? frame->size / sizeof(*samples) : FRAME);
    if (ear.keys.size() + keys.size() <= KEPT)
        ear.keys += keys;
    return PJ_SUCCESS;
}

/* It says nothing. */
pj_status_t get_frame(pjmedia_port *, pjmedia_frame *frame)
{
    frame->type = PJMEDIA_FRAME_TYPE_NONE;
    frame->size = 0;
    return PJ_SUCCESS;
}

pj_status_t destroyed(pjmedia_port *port)
{
    auto *held = static_cast<Held *>(port->port_data.pdata);
    pj_pool_t *pool = held->pool;
    delete held;
    pj_pool_release(pool); // with the port
    return PJ_SUCCESS;
}

}

ToneListener::ToneListener() : ear_(std::make_shared<ToneEar>())
{
    pj_pool_t *pool = pjsua_pool_create("tones%p", 512, 512);
    if (!pool)
        throw std::runtime_error("no memory for a port");
    auto *port = PJ_POOL_ZALLOC_T(pool, pjmedia_port);
    const pj_str_t name = pj_str(const_cast<char *>("key tones"));
    pjmedia_port_info_init(&port->info, &name, PJMEDIA_SIG_CLASS_APP('G', 'K', 'T'), RATE, 1, 16, FRAME);
    port->put_frame = guarded<&put_frame, PJ_EUNKNOWN>;
    port->get_frame = guarded<&get_frame, PJ_EUNKNOWN>;
    port->port_data.pdata = new Held{ear_, pool};
    port->on_destroy = guarded<&destroyed, PJ_EUNKNOWN>;
    const pj_status_t status = pjmedia_port_init_grp_lock(port, pool, nullptr);
    if (status != PJ_SUCCESS) {
        destroyed(port);
        throw std::runtime_error("no lock for a port");
    }
    port_ = port;
    try {
        registerMediaPort2(port, pool);
    } catch (const pj::Error &error) {
        pjmedia_port_destroy(port);
        throw std::runtime_error(error.reason);
    }
}

ToneListener::~ToneListener()
{
    try {
        unregisterMediaPort();
    } catch (const pj::Error &) { // PJSIP has ended
    }
    pjmedia_port_destroy(port_);
}

std::string ToneListener::take()
{
    const std::lock_guard<std::mutex> locked(ear_->lock);
    return std::exchange(ear_->keys, {});
}

}
