/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Dialogs that outlive the process that has begun them.
 *
 * All that a request within a dialog needs (RFC 3261 §12.1) is told of one that is up, and taken again by a later process: the
 * next call that PJSUA makes then begins in that dialog. To its peer its INVITE is a re-INVITE (§14.1), by which both agree on
 * media anew; to PJSIP it is the first one, so that media, session timer and state come about in the way of any call.
 */
#pragma once

#include <string>
#include <vector>

namespace gateway {

/* A call's dialog, for recover_next: Call-ID, our tag, the peer's, our address in From, the peer's, the number (CSeq) of our last
 * request, that of the peer's, the remote target, id and version of the last description (o=), 1
 * where the Call-ID is ours and 0 where it is the peer's, then each URI of the route set.
 * Empty: there is no such call, or a URI of it cannot be written. */
std::vector<std::string> dialog_to_keep(int callId);

/* The call that is made next is in this dialog, which this process does not have. What is asked for in vain is asked for once:
 * the call after it is a new one. Throws std::invalid_argument where that is no dialog. */
void recover_next(const std::vector<std::string> &dialog);

/* Whether the call made since has taken the dialog; a BYE of its peer is an end then, though nothing has been answered.
 * False: it is in none, or in a new one, and has not been sent to anybody. Nothing is left of recover_next then. */
bool has_recovered(int callId);

/* End a call whose recovery was not answered, by a BYE: its peer has the dialog, and would keep it after a CANCEL
 * (RFC 3261 §15). The call is over when this returns. */
void give_up_recovery(int callId);

/* Tell the peer of a call that is just over, since its peer would not have the re-INVITE, that its dialog is over as well. */
void end_recovered(int callId);

}
