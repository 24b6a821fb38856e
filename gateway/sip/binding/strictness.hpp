/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Requests that PJSIP would take, or refuse with the wrong code, though RFC 3261 §8.2 has a right one for them.
 */
#pragma once

namespace gateway {

#ifndef SWIG
/* Judge every request before a dialog or PJSUA has it, and have the RequestHandler say how it is answered. Once, after
 * libInit. */
void judge_requests();
#endif

}
