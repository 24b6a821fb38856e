/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Reliable provisional responses of ours, and the PRACKs for them (RFC 3262 §3).
 */
#pragma once

struct pjsip_rx_data;
struct pjsip_tx_data;

namespace gateway {

#ifndef SWIG
/* Once, after libInit. */
void watch_provisional();

/* Note a response on its way out: a reliable one waits for its PRACK from now on. */
void note_response(const pjsip_tx_data *tdata);

/* What a PRACK in a dialog is to be refused with: 400 (its RAck cannot be read), 481 (it matches nothing that waits);
 * 0: it is what was waited for. PJSIP answers all but the first ever with 200. */
int judge_prack(const pjsip_rx_data *rdata);
#endif

}
