/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Who is at the other end of a call, where a response says that it is somebody else now: peers tell it with a 2xx to our
 * re-INVITE or UPDATE too (RFC 3325 §9.1). What requests tell, the RequestHandler reads itself.
 */
#pragma once

#include <string>

struct pjsip_rx_data;

namespace gateway {

/* What a message says of its sender, if it is more than From: those of its header fields alone, behind an empty start line.
 * Empty: it says nothing of that. */
std::string identity_of(const pjsip_rx_data *rdata);

/* Hand such responses to the RequestHandler. Once, after libInit. */
void watch_identities();

}
