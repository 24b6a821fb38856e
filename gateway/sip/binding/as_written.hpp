/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * From and To as their sender has written them.
 *
 * PJSIP prints them without what RFC 3261 §19.1.1 does not allow there (port, transport and more), and escapes anew. A
 * response has those of its request (§8.2.6.2), and a request in a dialog those that the dialog began with (§12.2.1.1): some
 * peers compare the text.
 */
#pragma once

namespace gateway {

/* Have whatever is made of a request that comes in print its From and To as they came. Once, after libInit. */
void keep_as_written();

}
