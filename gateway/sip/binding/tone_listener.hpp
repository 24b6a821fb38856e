/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A port of the conference bridge that hears keys in what it is sent.
 */
#pragma once

#include <memory>
#include <string>

#ifndef SWIG
#include <pjsua2.hpp>
#endif

namespace gateway {

#ifndef SWIG
struct ToneEar;
#endif

class ToneListener : public pj::AudioMedia {
public:
    /* Throws std::runtime_error where the bridge has no place for it. */
    ToneListener();
    virtual ~ToneListener();

    /* The keys that were heard since this was last asked. */
    std::string take();

private:
#ifndef SWIG
    std::shared_ptr<ToneEar> ear_;
    pjmedia_port *port_ = nullptr;
#endif
};

}
