/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The subscriptions that accepted REFERs create (RFC 3515 §2.4.4), on the notifier's side.
 *
 * A NOTIFY travels in the dialog of its REFER but not as a transaction of the call: its answer, 481 and time-out included,
 * ends a subscription and never a call (RFC 6665 §4.2.2). The dialog is kept until the subscription ends, so a transferor
 * that has sent BYE still learns what became of its transfer.
 */
#pragma once

#include <string>

struct pjsip_rx_data;
struct pjsip_dialog;

namespace gateway {

/* Send one NOTIFY. One at a time: wait for onNotifyAnswered before the next. False when it could not be sent.
 *
 * `status_line` is the message/sipfrag body without its line end, e.g. "SIP/2.0 180 Ringing"; `state` the value of
 * Subscription-State; `with_id` puts the CSeq of the REFER into Event. A state that starts with "terminated" is the last.
 */
bool send_notify(int subscription, const std::string &status_line, const std::string &state, bool with_id);

/* Let go of a subscription without a NOTIFY; nothing happens when there is none. */
void end_subscription(int subscription);

/* How many subscriptions hold a dialog. */
int subscription_count();

#ifndef SWIG
/* Keep `dialog` for the REFER with this CSeq; the id of the new subscription. */
int create_subscription(pjsip_dialog *dialog, long cseq);

/* The subscription that a SUBSCRIBE in `dialog` is about, from its Event header; -1: none. */
int find_subscription(const pjsip_dialog *dialog, const std::string &event);

/* Let go of every dialog. */
void end_all_subscriptions();
#endif

}
