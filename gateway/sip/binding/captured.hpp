/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What calls have sent and received, for a capture server: the SIP messages that are kept (see messages.hpp), and RTCP.
 *
 * It waits here, in bounded memory, until Python takes it: nothing in PJSIP or in a thread of media waits for that. What there is
 * no room for is counted, and lost.
 */
#pragma once

#include <string>
#include <vector>

#ifndef SWIG
#include <atomic>
#include <cstdint>
#include <string_view>
#endif

namespace gateway {

/* Have so many bytes wait at most; 0: capture nothing, and what waits goes. */
void capture(long bytes);

/* Take up to so many of those that wait, the oldest first. For each its Call-ID, a line as messages_of() has it, where RTCP stands in
 * the place of the transport, and the text, or the packet. */
std::vector<std::string> take_captured(long most);

/* How many there was no room for, since the start. */
long captured_lost();

#ifndef SWIG
extern std::atomic<bool> capturing;

/* Keep one for whoever takes it; from any thread. */
void add_captured(std::string_view callId, std::string line, std::string_view content);

int64_t now_us();
#endif

}
