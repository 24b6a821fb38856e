/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What becomes of those whom no profile names. A few are told that they may not; above that nobody is answered, and in a
 * flood of them the kernel lets nothing of theirs in but a sample that tells how it goes on.
 */
#pragma once

#include <string>
#include <vector>

#include "networks.hpp"

namespace gateway {

/* A stranger has sent something: whether there is still time to answer it, and to tell of it by itself. */
bool time_for(const Address &stranger);

/* Something was turned away without being told of by itself. */
void count_turned_away(const char *reason, const Address &source);

/* There is a new address from which something may come. */
void let_in_anew();

/* See front.hpp. */
std::vector<std::string> counted_turned_away();

}
