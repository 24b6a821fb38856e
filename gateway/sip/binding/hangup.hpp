/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A BYE whose connection goes down before it is answered may never have been read: it is sent again over a new one, or
 * the peer's call would stay up for as long as the peer believes in it.
 */
#pragma once

struct pjsip_transaction;
struct pjsip_event;

namespace gateway {

/* The transaction of a BYE of ours, in a dialog, has come to another state. */
void bye_went_on(pjsip_transaction *tsx, const pjsip_event *event);

}
