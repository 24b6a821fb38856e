/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Where a description has the media go.
 */
#pragma once

#include <pjmedia.h>

namespace gateway {

/* Whether two descriptions have the media go to the same addresses and ports, in the same directions and with the same keys.
 * The formats may differ: who has answered with one of them offers them all. */
bool lead_to_the_same(const pjmedia_sdp_session &one, const pjmedia_sdp_session &other);

}
