/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The end of a pj::Call, as PJSUA2 should have it.
 */
#pragma once

#include <pjsua2.hpp>

namespace gateway {

/* The call is over: its object stands for no call of PJSUA's any more. Whenever it is destroyed, PJSUA2 would otherwise
 * hang up whichever call has its number by then, and take it away from its own object. */
void release_call(pj::Call &call);

}
