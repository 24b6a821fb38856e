/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Messages in bounded memory, by the Call-ID that they have.
 */
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "networks.hpp"

namespace gateway {

struct KeptMessage {
    int64_t at_us = 0; /* since 1970 */
    bool sent = false, again = false, cut = false;
    const char *transport = "";
    std::string source, destination;
    size_t size = 0; /* on the wire */
    size_t mark = 0; /* of its bytes there */
    std::shared_ptr<const std::string> text; /* that of the first, where it is sent again */

    size_t bytes() const;
};

/* The first messages of a Call-ID, which stay, and the last ones of the rest. */
struct KeptDialog {
    std::deque<KeptMessage> first, last;
    size_t first_bytes = 0, last_bytes = 0, left_out = 0;
    bool late = false; /* its first messages are gone */
    std::vector<Address> peers; /* whose messages belong to it without a further look */
    std::vector<std::string> beside; /* Call-IDs whose messages are told with its own */
    std::list<std::string>::iterator touched;

    size_t bytes() const { return first_bytes + last_bytes; }
    bool has_peer(const Address &peer) const;
    void add_peer(const Address &peer);
    bool names(const std::vector<std::string> &texts) const;
};

class KeptMessages {
public:
    /* So many bytes of all together, of so many Call-IDs; none of both: nothing is kept. */
    void set_room(size_t bytes, size_t dialogs);
    bool has_room() const { return most_bytes_ > 0; }

    KeptDialog *find(std::string_view id);
    KeptDialog &begin(std::string_view id, bool late);
    void erase(std::string_view id);
    void clear();

    /* Keep what has gone over the wire as `bytes`, without its secrets. What had no message for the longest time makes room.
     * `kept`, where it is given, becomes what was kept. */
    void put(KeptDialog &dialog, KeptMessage message, std::string_view bytes, KeptMessage *kept = nullptr);

    /* Those of a Call-ID and of what is told with it, the oldest first; `left_out` is how many are not there any more. */
    std::vector<const KeptMessage *> told(const KeptDialog &dialog, size_t &left_out) const;

    /* The Call-IDs in whose messages one of these texts stands. */
    std::vector<std::string> naming(const std::vector<std::string> &texts) const;

    /* Bytes, Call-IDs, messages, and how many Call-IDs had to go. */
    std::vector<long> counts() const;

private:
    using Dialogs = std::map<std::string, KeptDialog, std::less<>>;

    void erase(Dialogs::iterator found);
    void make_room();

    Dialogs dialogs_;
    std::list<std::string> by_time_; /* Call-IDs, whichever had no message for the longest time first */
    size_t most_bytes_ = 0, most_dialogs_ = 0, bytes_ = 0;
    long gone_ = 0;
};

}
