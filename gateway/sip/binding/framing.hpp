/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Where a message on a stream ends. Two lengths that differ let whatever is between us read other messages than we do.
 */
#pragma once

namespace gateway {

#ifndef SWIG
/* Answer 400 to a message whose lengths contradict each other, take nothing more from its connection, and close that.
 * Once, after libInit. */
void guard_framing();
#endif

}
