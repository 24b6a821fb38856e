/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What must stand nowhere but on the wire, taken out of a SIP message.
 */
#pragma once

#include <string>

namespace gateway {

/* A SIP message, or as much of it as there is, in which "[redacted]" stands in place of what proves who somebody is (the
 * response of a digest, other credentials, passwords in URIs), of keys of SRTP and ICE, and of the keys that a caller presses. */
std::string without_secrets(const std::string &message);

}
