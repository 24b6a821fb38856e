/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Requests that we send outside of PJSIP's own sessions, each in a transaction of its own.
 *
 * PJSIP tells of a request that fails at once twice, by its callback and by what it returns, or by one of the two. Here
 * it is one or the other.
 */
#pragma once

#include <functional>

#include <pjsip.h>

namespace gateway {

/* Told of the final response, or, with 408, 502 or 503 in its transaction, that there was none. */
using Answered = std::function<void(pjsip_event *)>;

/* Send a request; it takes the caller's reference. True: `answered` is called once, later. False: it could not be sent,
 * and nothing is called; a connection that was to carry it is not taken for a good one again, while a datagram's socket is
 * everybody's and stays. */
bool send_request(pjsip_tx_data *tdata, Answered answered);

/* The same in a dialog, by its transport and with its next number. */
bool send_in_dialog(pjsip_dialog *dialog, pjsip_tx_data *tdata, Answered answered);

/* Make a new transaction's request of one that was sent in vain. */
void renew(pjsip_tx_data *tdata);

/* Have the handler log that a request of ours was never sent. */
void tell_unsent(const pjsip_tx_data *tdata);

/* Call nobody back any more. */
void stop_sending();

}
