/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One answer for one request. What is refused makes no transaction, yet its retransmission may already wait behind it in
 * the socket, and would be decided on anew: refused once and then connected. So the refusal is kept for as long as a
 * transaction would have lived (RFC 3261 §8.2.7: a stateless server gives a retransmission the same response).
 */
#pragma once

struct pjsip_rx_data;
struct pjsip_tx_data;

namespace gateway {

/* A response has been printed and is about to leave: keep it, if it refuses a request over UDP
 * that ends nothing. */
void keep_answer(pjsip_tx_data *response);

/* Send the response that this request has had before; false: it has had none that was kept. */
bool answered_before(const pjsip_rx_data *request);

}
