/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Messages that PJSIP cannot read: it drops them, and whoever sent a request would wait in vain for an answer.
 */
#pragma once

namespace gateway {

#ifndef SWIG
/* Hand what PJSIP drops to the RequestHandler, and answer 400 or 513 to datagrams that were cut short. Once, after
 * libInit. */
void answer_malformed();
#endif

}
