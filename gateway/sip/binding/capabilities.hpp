/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What this gateway can do, in one place: whatever says it, says it from here (RFC 3261 §20.1, §20.5, §20.37).
 */
#pragma once

#include <string>
#include <vector>

namespace gateway {

/* The value of Allow: the methods that are served. */
std::string allowed_methods();

/* The value of Supported: the option tags that a request may require. */
std::string supported_extensions();

/* The value of Accept: the types of body that a call, or a change of one, may be described in. */
std::string accepted_types();

#ifndef SWIG
/* Whether a request may require this option tag. */
bool is_supported(const std::string &tag);

/* Have PJSIP say the same, in place of all that its modules could do. Once, after libInit. */
void set_capabilities();
#endif

}
