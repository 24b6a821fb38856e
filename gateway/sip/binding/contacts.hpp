/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Peers behind NAT: their Contact names an address that only they can reach, so what goes to it goes nowhere.
 */
#pragma once

#include <string>
#include <vector>

namespace gateway {

/* From now on the Contact of a message from one of these networks is taken to name where that message came from. Of the
 * networks that hold a source the first counts; one with a '!' in front is left as it is ("!203.0.113.0/24"). */
void rewrite_contacts(const std::vector<std::string> &networks);

#ifndef SWIG
/* Begin to look at Contacts. Once, after libInit. */
void watch_contacts();
#endif

}
