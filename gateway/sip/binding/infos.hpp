/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A key that a peer does not take is not the end of its call.
 *
 * PJSIP ends a session by any request in its dialog that is answered 408 or 481, or not at all (RFC 3261 §12.2.1.2). A
 * session can do without an INFO: peers that know none let it run out, and whether they are still there is found out by
 * the session timer and by their silence.
 */
#pragma once

struct pjsip_dialog;

namespace gateway {

/* Make ready for `bear_infos`; once, after libInit. */
void watch_infos();

/* Have no INFO end this dialog's session. */
void bear_infos(pjsip_dialog *dialog);

}
