/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The header fields of a message as they came, before PJSIP makes one of two.
 */
#pragma once

#include <string_view>
#include <vector>

namespace gateway {

/* A header field (RFC 3261 §7.3.1) within the text of its message; a folded value still holds its line ends. */
struct Field {
    std::string_view name;
    std::string_view value;
    std::string_view line; /* all of it, with its line end */
};

/* The fields of a message, in their order, as far as PJSIP would read it. Takes time in proportion to its length. */
std::vector<Field> fields_of(std::string_view message);

/* Whether two names, or other tokens, are the same (case does not matter). */
bool same(std::string_view one, std::string_view other);

/* A text without the blanks around it. */
std::string_view trimmed(std::string_view text);

/* What a list holds between its separators, which mean nothing inside of quotes; empty elements are left out. */
std::vector<std::string_view> split(std::string_view text, char separator);

/* The value of a parameter (`;name=value`) of a header value, without quotes; empty: there is none. */
std::string_view parameter_of(std::string_view value, std::string_view name);

}
