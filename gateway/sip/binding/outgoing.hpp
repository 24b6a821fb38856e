/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The last look at every message before it leaves: what PJSIP writes into it by itself, and ought not to.
 *
 * - A request that was given a Max-Forwards of its own keeps that alone (RFC 3261 §8.1.1.6 lets PJSIP add another).
 * - A Warning names this product, and not the machine (RFC 3261 §20.43 allows a pseudonym).
 * - An INVITE that PJSUA could not make a call of, for want of ports, descriptors or call slots, is answered 503 with
 *   Retry-After, and not as if the gateway or the person were at fault; one that is bad in itself is answered 400.
 */
#pragma once

#include <string>

namespace gateway {

/* PJSUA has made a call of the INVITE that onRequest left to it: from now on what answers it is the application's. */
void call_made();

#ifndef SWIG
/* Register the module, once, after libInit. */
void watch_outgoing();

/* PJSUA is about to have the INVITE with this Call-ID. */
void handed_to_pjsua(const std::string &callId);
#endif

}
