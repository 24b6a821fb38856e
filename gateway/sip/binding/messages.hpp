/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The SIP messages of the last calls, kept in bounded memory for whoever looks at a call later.
 *
 * Kept is what belongs to a call of ours, as it stands on the wire: from the INVITE on that was handed to PJSUA, or that PJSUA
 * sends, by the Call-ID, and of the call's own peers alone. What is refused in front of that leaves nothing here, whoever
 * sends it and however much of it. Secrets are taken out before a message is kept (see secrets.hpp).
 */
#pragma once

#include <string>
#include <vector>

#ifndef SWIG
struct pjsip_rx_data;
#endif

namespace gateway {

/* Keep the messages of so many Call-IDs, and so many bytes of them all together; 0 bytes: none, and what there was is gone.
 * Whichever had no message for the longest time goes first. */
void keep_messages(long bytes, long dialogs);

/* The messages with a Call-ID, and those that are told with them, the oldest first. First "<how many are left out> <late>",
 * where 1 says that the first ones are gone; then for each a line, "<us since 1970> <in|out> <UDP|TCP|TLS> <source>
 * <destination> <bytes on the wire> <new|again> <whole|cut>", and its text. Nothing: none are kept. */
std::vector<std::string> messages_of(const std::string &sipCallId);

/* Let go of the messages with these Call-IDs. */
void forget_messages(const std::vector<std::string> &sipCallIds);

/* Let go of all messages of each Call-ID in whose messages one of these texts stands: those Call-IDs. */
std::vector<std::string> forget_messages_naming(const std::vector<std::string> &texts);

/* How many bytes, Call-IDs and messages are kept, and how many Call-IDs had to go to make room. */
std::vector<long> messages_kept();

#ifndef SWIG
/* Register the module; behind stand_in_front(). */
void watch_messages();

/* Keep the INVITE that PJSUA is about to have, and all that follows with its Call-ID. */
void begin_messages(const pjsip_rx_data *rdata);

/* Keep a request outside of a dialog that is about the call with this Call-ID, and all that follows; it is told with that. */
void begin_messages(const pjsip_rx_data *rdata, const std::string &about);
#endif

}
