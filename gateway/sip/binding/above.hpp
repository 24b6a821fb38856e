/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Who is given what a media transport has taken: the stream that uses it, SRTP, or one of ours between the two.
 */
#pragma once

#include <pjmedia.h>

namespace gateway {

struct Above {
    void *user = nullptr;
    void (*rtp)(void *, void *, pj_ssize_t) = nullptr;
    void (*rtp2)(pjmedia_tp_cb_param *) = nullptr;
    void (*rtcp)(void *, void *, pj_ssize_t) = nullptr;

    Above() = default;
    explicit Above(const pjmedia_transport_attach_param &attached)
        : user(attached.user_data), rtp(attached.rtp_cb), rtp2(attached.rtp_cb2), rtcp(attached.rtcp_cb)
    {
    }

    /* Give a packet of RTP, which is theirs now; whether what we send is to go to where it came from. */
    bool take_rtp(pjmedia_tp_cb_param packet) const
    {
        packet.rem_switch = PJ_FALSE;
        packet.user_data = user;
        if (rtp2)
            rtp2(&packet);
        else if (rtp)
            rtp(user, packet.pkt, packet.size);
        return packet.rem_switch != PJ_FALSE;
    }

    void take_rtcp(void *packet, pj_ssize_t size) const
    {
        if (rtcp)
            rtcp(user, packet, size);
    }
};

}
