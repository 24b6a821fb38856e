/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What PJSUA2 is told by PJSUA, and nobody has an ear for.
 *
 * PJSUA2 takes every callback of PJSUA's, makes copies of what it is told (of a transaction's state whole messages, twice),
 * and calls a method that does nothing, some of them in Python: for a transfer some thirty times, and with the
 * interpreter's lock, also from the thread of the conference bridge.
 */
#pragma once

namespace gateway {

/* Have PJSUA keep these to itself; once, after libInit, before anybody else takes one of them. */
void leave_unheard();

}
