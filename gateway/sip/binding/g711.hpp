/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The two forms of G.711, A-law and µ-law: a byte for a sample in both, 8000 samples a second.
 */
#pragma once

#include <array>
#include <cstdint>

#include <pj/types.h>

namespace gateway {

/* A byte of the other form for each byte of the one. */
using G711Table = std::array<std::uint8_t, 256>;

/* What turns audio of the one encoding into the other; null: it needs no turning, or cannot be turned byte by byte. */
const G711Table *g711_between(const pj_str_t &from, const pj_str_t &to);

}
