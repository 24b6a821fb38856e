/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A re-INVITE that takes up a dialog (see recovered.hpp), sent once more.
 *
 * Its peer may have a request of its own under way, as none that it has sent since its gateway was gone was answered: it says
 * 491, or 500 with Retry-After (RFC 3261 §14.2), and it is asked again (§14.1). To PJSIP that would be the refusal of a first
 * INVITE. The session counts as early meanwhile, and again after each INVITE sent anew, for a challenge and for 422 too:
 * requests of the peer find the dialog that they have.
 */
#pragma once

#include <pjsip.h>

namespace gateway {

/* Call once, when modules are registered. Throws std::runtime_error. */
void recover_again();

/* The INVITE of this dialog is a re-INVITE to its peer. Whose Call-ID it is says how long is waited after 491. */
void begin_recovery(pjsip_dialog *dialog, bool callIdIsOurs);

/* It is not sent again; for one who holds the dialog. */
void stop_waiting(pjsip_dialog *dialog);

/* Whether we have made its Call-ID, if need be in a process before this one. */
bool is_call_id_ours(const pjsip_dialog *dialog);

}
