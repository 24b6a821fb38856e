/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Descriptions (SDP) that others send, read before PJSIP and PJSUA have them.
 *
 * PJSUA takes a description for complete whose lines may lack what an answer needs: an address, formats, a codec's name.
 * Here a line that nobody could use becomes one that is refused (port 0, RFC 3264 §6), with all that a line has to have; a
 * request whose description leaves nothing to talk with is answered 488, and 400 if it cannot be read; and such a
 * description is taken out of a response, of ACK and of PRACK, which cannot be refused.
 */
#pragma once

struct pjsip_rx_data;

namespace gateway {

/* Register the modules; once, after libInit. */
void watch_descriptions();

/* What the offer in an INVITE outside of any dialog deserves, from an account's peer: 0 when it can be accepted, or there is
 * none; 400 when it cannot be read; 488 when it leaves no audio that the account could have. */
int verdict_on_first_offer(pjsip_rx_data *rdata, int account);

/* The same for the offer in a request of a dialog. */
int verdict_on_offer(pjsip_rx_data *rdata);

}
