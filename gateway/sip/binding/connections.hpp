/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Connections that are made to us, over TCP and TLS: by peers alone, so many from each address, and each has to say
 * something that is SIP within five seconds. Those that have nothing to say any more PJSIP closes after ten minutes.
 * Of strangers' a few are accepted, and closed as soon as they are made; many are closed before anything is made of them.
 */
#pragma once

#include <vector>

struct pjsip_rx_data;

namespace gateway {

/* Look at each connection from now on. Once, when there are transports. */
void watch_connections();

/* A message has come in: over its connection more may come. */
void has_spoken(const pjsip_rx_data *message);

/* Close the connections that nothing has come over in time. */
void close_silent();

/* The sockets of TCP and TLS that we listen on. */
const std::vector<int> &listeners();

}
