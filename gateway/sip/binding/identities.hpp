/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Who is at the other end of a call, where a response says that it is somebody else now: peers tell it with a 2xx to our
 * re-INVITE or UPDATE too (RFC 3325 §9.1). What requests tell, the RequestHandler reads itself.
 */
#pragma once

namespace gateway {

/* Hand such responses to the RequestHandler. Once, after libInit. */
void watch_identities();

}
