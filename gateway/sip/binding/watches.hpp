/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Subscriptions that we hold, outside of any call, to what a peer tells of an address (RFC 6665): its dialogs (RFC 4235)
 * or its presence (RFC 3856).
 *
 * PJSIP refreshes a subscription before it expires and answers challenges with the account's credentials. What comes of
 * it is told by the RequestHandler's onWatch… callbacks, until onWatchEnded.
 */
#pragma once

#include <string>

struct pjsip_dialog;

namespace gateway {

/* Subscribe to `uri` with an account's identity and credentials; `event` is "dialog" or "presence", `expires` in seconds.
 * The id of the watch, or -1 when it could not be sent. */
int watch(int account, const std::string &uri, const std::string &event, int expires);

/* Ask anew for the whole state, which shows as well whether the peer still knows the subscription. False when that could
 * not be sent; nothing needs to be done then. */
bool refresh_watch(int watch, int expires);

/* End a watch, and hear nothing more of it; nothing happens when there is none. */
void end_watch(int watch);

/* How many watches there are, those included whose end the peer has yet to confirm. */
int watch_count();

#ifndef SWIG
/* Whether PJSIP itself takes the NOTIFYs that come in this dialog. */
bool is_watch(const pjsip_dialog *dialog);

/* End those whose end no peer has confirmed in time; to be called every second or so. */
void end_overdue_watches();

/* Forget those of an endpoint that is no more, or soon will be. */
void forget_watches();
#endif

}
