/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The o= line of what we send.
 *
 * PJSIP makes it of the time in seconds, which all calls of one second share, and counts its version on whether anything
 * has changed or not. A session has an id of its own (RFC 8866 §5.2), and a new version when it has changed (RFC 3264
 * §8).
 */
#pragma once

#include <pjsip.h>

namespace gateway {

/* What stands for a session in its o= line. */
struct Origin {
    pj_uint32_t id, version;
};

/* That of the last description sent in a dialog; zeros: none was. */
Origin origin_of(const pjsip_dialog *dialog);

/* The next description that is sent in a dialog follows on this one. */
void set_origin(pjsip_dialog *dialog, Origin origin);

/* Write the o= line of every description that is sent in a dialog; once, after libInit. */
void write_origins();

}
