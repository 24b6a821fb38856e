/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Messages that PJSIP cannot read: it drops them, and whoever sent a request would wait in vain for an answer.
 */
#pragma once

#include <cstddef>

struct pjsip_rx_data;

namespace gateway {

#ifndef SWIG
/* How much follows the header: PJSIP makes a body of it only where there is a Content-Type. */
std::size_t body_bytes(const pjsip_rx_data *rdata);

/* Hand what PJSIP drops to the RequestHandler, and answer 400 or 513 to datagrams that were cut short. Once, after
 * libInit. */
void answer_malformed();
#endif

}
