/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One audio stream, and port 0 for whatever else is offered (RFC 3264 §6).
 *
 * PJSUA takes part in real-time text unless each of its calls is told not to, and nobody here joins that to anything.
 */
#pragma once

#include <pjmedia.h>

namespace gateway {

/* Tell PJSUA's calls so; once, after libInit. */
void keep_to_audio();

/* Take the port from whatever is not audio in a description of ours. */
void close_others(pj_pool_t *pool, pjmedia_sdp_session *sdp);

}
