/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Whether there is room for a further transaction. Over UDP each is kept for 32 s after its response, and takes memory;
 * PJSIP itself has no limit. While very many are open, a peer that has begun more than its fair share begins no more.
 */
#pragma once

namespace gateway {

/* Whether a request of this account's peer may begin a transaction; counts it, if so. */
bool has_room(int account);

}
