/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Keys as events (RFC 4733) beside a codec of another clock than 8000, which opus is.
 *
 * PJMEDIA listens to the first kind of events that its own offer has, whichever the answer's codec goes with. So answers
 * are read as if they had only the events of their codec's clock, wherever they have these (RFC 4733 §2.1).
 */
#pragma once

namespace gateway {

/* Read answers so; once, after libInit. */
void choose_events();

}
