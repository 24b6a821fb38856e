/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What an event loop needs to run PJSIP in its own thread: a descriptor to watch and the time of the next timer.
 */
#pragma once

namespace gateway {

/* The epoll descriptor of PJSIP's ioqueue, readable when there is something to poll; -1 before libInit. */
int loop_fd();

/* Whether the last look at PJSIP ended before everything that had come was dealt with. */
bool more_events();

/* How much PJSIP writes to stdout until libInit sets its own level: 0 nothing, 5 everything. */
void set_log_level(int level);

/* Milliseconds until PJSIP's earliest timer is due, 0 when it is overdue, -1 when there is none. */
long next_timer_ms();

/* What PJSIP holds at the moment: dialogs, transactions (those that have ended linger for up to 32 s), timers. */
unsigned dialog_count();
unsigned transaction_count();
unsigned timer_count();

}
