/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What goes wrong in a callback, C++ or Python, is told here and is over with.
 */
#pragma once

namespace gateway {

/* Tell that what `where` names failed, with the error that Python has pending or else with `what`. To be called in a
 * catch block: an error that stays pending would come up in whatever Python does next. */
void tell_fault(const char *where, const char *what = "an exception of C++") noexcept;

}
