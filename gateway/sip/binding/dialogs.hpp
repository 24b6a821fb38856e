/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The dialogs that PJSIP holds, one by one: a count that does not go back to nothing says that one was left, not whose it is.
 *
 * PJSIP's table of them is its own, and its dump a line of the log that says neither Call-ID nor who holds the dialog. So
 * what PJSIP registers there is written down here as well.
 */
#pragma once

#include <string>
#include <vector>

namespace gateway {

/* Up to so many, the oldest first; with a Call-ID those alone that have it. Of each, one after the other: Call-ID; "uac" or "uas"; our address and the peer's, with the
 * tags; our CSeq and the peer's; age in seconds; the call's number in PJSUA, or -1 where that is
 * hung up or over; how many sessions and transactions hold
 * it; its usages by their modules' names, with blanks between; the state of its INVITE session, or "". */
std::vector<std::string> dialogs(unsigned most, const std::string &callId);

}
