/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A BYE whose connection goes down before it is answered may never have been read: it is sent again over a new one, or
 * the peer's call would stay up for as long as the peer believes in it. And an INVITE whose connection goes down while it
 * rings is over for PJSIP (RFC 3261 §18.4), but not for who is called: they are told so by CANCEL.
 */
#pragma once

struct pjsip_transaction;
struct pjsip_event;

namespace gateway {

/* The transaction of a BYE or INVITE of ours, in a dialog, has come to another state. */
void transaction_went_on(pjsip_transaction *tsx, const pjsip_event *event);

/* Send no BYE again, and let go of the dialogs. */
void stop_hanging_up();

}
