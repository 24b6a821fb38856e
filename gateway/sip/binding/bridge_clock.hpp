/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The clock of the conference bridge, in the place of PJSUA's null sound device: it stands still while no port of the bridge
 * is at work, which is so while every call's packets are relayed (relay.hpp).
 */
#pragma once

namespace gateway {

/* Have the bridge clocked from now on; once, after libInit. Throws std::runtime_error: there is no room for a thread. */
void begin_bridge_clock();

}
