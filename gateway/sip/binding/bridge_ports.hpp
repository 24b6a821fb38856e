/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which ports the conference bridge has: those of calls that are mixed, announcements and ringbacks. PJSUA adds the port of
 * each call as its stream begins; a call whose packets are relayed (relay.hpp) from then on never comes to the bridge, which
 * keeps two numbers for each port that there may be, with each port: 29 KB for 3,584.
 *
 * PJSUA gets numbers of ours, behind which there is a port of the bridge while it is needed: from 40 ms after it was added,
 * by which time most are relayed, until it rests and is connected to nobody. What neither rests nor is connected is there as
 * well: the bridge sends silence by it.
 */
#pragma once

namespace gateway {

/* Have those in the bridge whose time has come; at the beginning of each turn of the loop. */
void enter_bridge();

/* In how many milliseconds that is to be done next; -1: not as things are. */
long bridge_due_ms();

}
