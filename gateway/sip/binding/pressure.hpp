/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Whether a further call may come in: how late we are with what has arrived, and who sends how much.
 *
 * Late: what is read has waited for more than 100 ms in the socket, and for longer than one hiccup of as much. Then
 * those calls are refused that come from whoever sends more than its fair share, which is the smaller the later we are.
 * How many calls a second we can take is learned from that, so that a flood of one peer's is refused before it makes us
 * late: each peer has its share of them, and what the others leave of theirs.
 */
#pragma once

struct pjsip_rx_data;

namespace gateway {

enum class Verdict { WELCOME, TOO_BUSY, TOO_MANY_OF_ITS_PEER };

/* Have the kernel note when each datagram arrives; once, when the transports are there. */
void begin_to_measure();

/* Note how long this datagram, which was read last of all, has waited. */
void measure(const pjsip_rx_data *datagram);

/* Whether a new INVITE of this account's peer may become a call; counts it. `measured`: it came in a datagram. */
Verdict weigh(int account, bool measured);

/* One that is refused for another reason: it counts among what its peer asks for. */
void count_asked(int account);

/* How many calls a second this account's peer may make, a second's worth of them at once; 0: as many as it likes. */
void set_rate(int account, double per_second);

}
