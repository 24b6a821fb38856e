/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * How often we register. RFC 3261 §10.2.4 leaves to us when a registration is renewed, and PJSIP renews one that is granted
 * for a second twice a second, for as long as the registrar says so.
 */
#pragma once

namespace gateway {

/* From now on take what a registrar grants for at least ten seconds, which PJSIP renews after five. */
void space_renewals();

}
