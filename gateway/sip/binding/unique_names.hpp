/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Call-IDs and tags that say which gateway of several they are of.
 *
 * PJSIP makes each of them a UUID, all in one place. With a token in front, a proxy sends an INVITE with Replaces (RFC 3891)
 * and a request with Target-Dialog (RFC 4538) to the gateway that has the dialog. A Via's branch and RTP's names are made
 * elsewhere, and stay as they are.
 */
#pragma once

#include <string>

namespace gateway {

/* From now on Call-IDs and tags of ours begin with this and a hyphen; empty: with nothing, as PJSIP has them. Before there
 * are accounts. Throws std::invalid_argument where it is no token (RFC 3261 §25.1) of up to 32 letters and digits. */
void begin_names(const std::string &token);

}
