/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The challenges that a response holds, as PJSIP can read them: it knows Digest alone, one of them a header field, and
 * drops a response that holds anything else.
 */
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace gateway {

/* A response without the challenges that PJSIP does not know, and with a header field of its own for each Digest
 * (RFC 3261 §20.44; RFC 9110 §11.6.1 has lists of them). Nothing where that is the text which came, or where there are
 * more of them than anybody needs. */
std::optional<std::string> readable_challenges(std::string_view response);

}
