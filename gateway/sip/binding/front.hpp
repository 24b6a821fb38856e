/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The first look at what comes in, before transactions, dialogs and Python: who has sent it, and whether there is room.
 *
 * - Strangers are answered 403 while they are few, and not at all when they are many.
 * - A request or response in a dialog counts only when it comes from the dialog's peer.
 * - A call above its peer's rate, or one that comes while we are late with what has arrived, is answered 503.
 * - So is a request of a peer that has begun more than its share of transactions while very many are open.
 * - So is a call of a peer that had one refused a moment ago since all its places are taken, without asking again.
 * - What is repeated after it was refused gets the same answer again.
 */
#pragma once

#include <string>
#include <vector>

#ifndef SWIG
struct pjsip_rx_data;
union pj_sockaddr;
#endif

namespace gateway {

/* The networks ("203.0.113.0/24") that the requests of an account's peer come from, none when it is no longer a peer; and
 * how many calls a second it may make (0: as many as it likes). `challenged`: only those with credentials count. */
void know_peer(int account, const std::vector<std::string> &networks, double calls_per_second, bool challenged);

/* Our own addresses: what comes from one of our own ports there is no stranger's. */
void know_ourselves(const std::vector<std::string> &addresses);

/* The application has just refused a call of this account's peer since there is no place for it, with this reason
 * ("at-capacity", "trunk-at-capacity"). What follows is refused alike, without asking, for 50 ms or until a leg ends. */
void has_no_place(int account, const std::string &reason);

/* What was turned away since the last call and not told of by onTurnedAway: "<count> <reason> <address>", the last empty
 * for what was not told apart. To be asked every second: it also notices when a flood is over. */
std::vector<std::string> turned_away();

#ifndef SWIG
/* Register the module; once, when there are transports. */
void stand_in_front();

/* A message that cannot be read has come from there: whether anybody may be troubled with it. */
bool is_worth_a_look(const pj_sockaddr &source);
#endif

}
