/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "credentials.hpp"

#include <cstring>
#include <string_view>

#include <pjsip.h>

#include "fields.hpp"

namespace gateway {

namespace {

bool is_of_other_scheme(const Field &field)
{
    for (const char *name : {"Authorization", "Proxy-Authorization"})
        if (same(field.name, name)) {
            const std::string_view scheme = field.value.substr(0, field.value.find_first_of(" \t\r\n,="));
            return !same(scheme, "Digest") && !same(scheme, "\"Digest\"");
        }
    return false;
}

}

bool drop_other_schemes(pjsip_tp_dropped_data *dropped)
{
    if (dropped->status != PJSIP_EINVALIDMSG || !dropped->data)
        return false;
    char *begin = static_cast<char *>(dropped->data);
    size_t removed = 0;
    for (const Field &field : fields_of({begin, dropped->len})) {
        if (!is_of_other_scheme(field))
            continue;
        // What stands before it moves up to what follows it: the rest then ends where it did.
        const size_t before = static_cast<size_t>(field.line.data() - begin);
        std::memmove(begin + removed + field.line.size(), begin + removed, before - removed);
        removed += field.line.size();
    }
    if (!removed)
        return false;
    dropped->len = removed; // PJSIP goes on behind so many bytes
    return true;
}

}
