/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Messages that leave take as much memory as they are long.
 *
 * PJSIP prints each into a buffer for the longest there may be (PJSIP_MAX_PKT_LEN), and over UDP keeps it with its
 * transaction for 32 s after the last response: 8 KB where most messages have one.
 */
#pragma once

namespace gateway {

/* Register the module; once, before all others of its priority, so that it is the last of them that a message meets. */
void print_closely();

}
