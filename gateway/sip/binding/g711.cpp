/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "g711.hpp"

#include <cstdlib>
#include <limits>

#include <pjlib.h>
#include <pjmedia/alaw_ulaw.h>

namespace gateway {

namespace {

const unsigned SIGN = 0x80; // of a sample, set where it is positive, in both forms
const pj_str_t ALAW = {const_cast<char *>("PCMA"), 4}, ULAW = {const_cast<char *>("PCMU"), 4};

int alaw_level(unsigned code)
{
    return pjmedia_alaw2linear(code & 0xFF);
}

int ulaw_level(unsigned code)
{
    return pjmedia_ulaw2linear(code & 0xFF);
}

/* The nearest level of the same sign: half a step off at most, and silence stays silence. */
template <int (*FROM)(unsigned), int (*TO)(unsigned)> G711Table nearest()
{
    G711Table table{};
    for (unsigned code = 0; code < table.size(); ++code) {
        int least = std::numeric_limits<int>::max();
        const unsigned first = code & SIGN;
        for (unsigned other = first; other < first + SIGN; ++other) {
            const int off = std::abs(TO(other) - FROM(code));
            if (off < least) {
                least = off;
                table[code] = static_cast<std::uint8_t>(other);
            }
        }
    }
    return table;
}

}

const G711Table *g711_between(const pj_str_t &from, const pj_str_t &to)
{
    static const G711Table to_ulaw = nearest<&alaw_level, &ulaw_level>(), to_alaw = nearest<&ulaw_level, &alaw_level>();
    if (pj_stricmp(&from, &ALAW) == 0 && pj_stricmp(&to, &ULAW) == 0)
        return &to_ulaw;
    if (pj_stricmp(&from, &ULAW) == 0 && pj_stricmp(&to, &ALAW) == 0)
        return &to_alaw;
    return nullptr;
}

}
