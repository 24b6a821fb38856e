/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Names of servers are looked up by the application, which may take its time: PJSIP's own way asks the C library and
 * holds everything up until that has an answer, or knows nothing of NAPTR and of servers that were down a moment ago.
 */
#pragma once

#include <string>
#include <vector>

namespace gateway {

/* Have PJSIP ask RequestHandler::onResolve for every name; once, after libInit. */
void resolve_by_handler();

/* The answer to an onResolve, given within it or later: the servers as "address port", the best first; none: there is no
 * such name. An answer to a query that is not there is dropped. */
void resolved(int query, const std::vector<std::string> &servers);

}
