/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which of several challenges is answered: PJSIP answers all of a realm, so that the last one stands.
 */
#pragma once

namespace gateway {

/* Leave of each realm's challenges in a 401 or 407 only the topmost that can be answered (RFC 8760 §2.4). Once, after
 * libInit. */
void answer_topmost_challenge();

}
