/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * PJLIB's strings and ours.
 */
#pragma once

#include <string>

#include <pjlib.h>

namespace gateway {

inline std::string text_of(const pj_str_t &string)
{
    return std::string(string.ptr ? string.ptr : "", string.slen > 0 ? static_cast<std::size_t>(string.slen) : 0);
}

/* Lasts as long as the text does. */
inline pj_str_t view_of(const std::string &text)
{
    return {const_cast<char *>(text.data()), static_cast<pj_ssize_t>(text.size())};
}

}
