/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Credentials of other schemes than Digest (Bearer, Basic, Negotiate), which PJSIP takes for an error in the message.
 * RFC 3261 §22 knows Digest alone: who did not ask need not understand them, and who asks, asks again. The challenges
 * that responses hold: challenge_fields.hpp.
 */
#pragma once

struct pjsip_tp_dropped_data;

namespace gateway {

#ifndef SWIG
/* Take such header fields out of a message that PJSIP has just dropped, and have it read what is left. False: it has
 * none. */
bool drop_other_schemes(pjsip_tp_dropped_data *dropped);
#endif

}
