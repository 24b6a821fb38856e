/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The codec that a peer speaks, where its answer has left itself a choice.
 *
 * Whoever answers an offer of ours with several codecs may send any of them at any time (RFC 3264 §7), and a stream of
 * PJMEDIA decodes one. PJSUA would offer anew until one is left, in a request that can go wrong; here the call's stream
 * is made anew for the codec that is heard, and nobody is asked.
 */
#pragma once

#include <vector>

#include <pjmedia.h>

struct pjsua_call;

namespace gateway {

/* Of one stream; it belongs to whoever reads its packets, and needs their lock. */
class Spoken {
public:
    /* Media was attached to the call after an offer and its answer, or by a turn. */
    void agreed(const pjsua_call &call);

    /* A packet has come from the peer. True, once: have `turn` called for this payload type. */
    bool hears(const void *packet, pj_ssize_t size, int &type);

private:
    std::vector<int> types_;
    int current_ = -1, other_ = -1;
    unsigned heard_ = 0, turns_ = 0;
};

/* Have the call decode, and speak, the codec of this payload type from the loop's next turn on; from any thread. */
void turn_to(int callId, int type);

}
