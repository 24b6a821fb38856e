/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The clock of the conference bridge, in the place of PJSUA's null sound device: it stands still while no port of the bridge
 * is at work, which is so while every call's packets are relayed (relay.hpp).
 */
#pragma once

namespace gateway {

/* Have the bridge clocked from now on; once, after libInit. Throws std::runtime_error: there is no room for a thread. */
void begin_bridge_clock();

#ifndef SWIG
/* Stop it, before the bridge goes. */
void end_bridge_clock();

/* A port of the bridge takes frames or brings some, or does neither any more. */
void bridge_works(unsigned slot, bool does);

/* Something was asked of the bridge: have its next tick carry it out. */
void bridge_asked();
#endif

}
