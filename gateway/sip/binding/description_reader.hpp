/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One description as everybody who reads it later will have it, and what it is good for.
 */
#pragma once

#include <pjmedia.h>
#include <pjsip.h>
#include <pjsip_ua.h>

namespace gateway {

/* In place of an account: of nobody in particular. */
const int NOBODY = -1;

enum class Audio { usable, unusable, none };

bool is_audio(const pjmedia_sdp_media *media);

/* There is a body, and PJSIP made nothing of it: there is no Content-Type, or a header before it took it along. */
bool is_unseen(const pjsip_rx_data *rdata);

/* Read the description of a message, inside whatever multipart, and make it complete; it is kept with the message. Null when
 * there is none; without `sdp` where it is none that could be read. */
pjsip_rdata_sdp_info *read_description(pjsip_rx_data *rdata);

/* How many lines of media a text has, those that PJMEDIA has no room for included. */
unsigned lines_of(const pj_str_t &body);

/* Whether a description leaves audio to talk with, for an account's calls; if so, no other line of audio does. */
Audio audio_of(pj_pool_t *pool, pjmedia_sdp_session *sdp, int account);

/* Make the message one without a description. */
void take_away(pjsip_rx_data *rdata, pjsip_rdata_sdp_info *info);

}
