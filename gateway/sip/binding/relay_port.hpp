/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What stands on the transport of a call and passes packets on: see relay.hpp.
 */
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>

#include <pthread.h>

#include <pjmedia.h>

#include "above.hpp"
#include "g711.hpp"
#include "one_stream.hpp"
#include "relayed_rtcp.hpp"

namespace gateway {

inline const int NOT_PASSED = -1;

/* Shared by who reads, alone for who writes, as std::shared_mutex is. That one, as the C library has it, lets readers in while a
 * writer waits: threads that pass packets all the time would keep the loop out for as long. A thread takes it once. */
class RelayLinks {
public:
    RelayLinks()
    {
        pthread_rwlockattr_t kind;
        pthread_rwlockattr_init(&kind);
        pthread_rwlockattr_setkind_np(&kind, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
        pthread_rwlock_init(&lock_, &kind);
        pthread_rwlockattr_destroy(&kind);
    }
    RelayLinks(const RelayLinks &) = delete;
    RelayLinks &operator=(const RelayLinks &) = delete;

    void lock()
    {
        pthread_rwlock_wrlock(&lock_);
    }
    void unlock()
    {
        pthread_rwlock_unlock(&lock_);
    }
    void lock_shared()
    {
        pthread_rwlock_rdlock(&lock_);
    }
    void unlock_shared()
    {
        pthread_rwlock_unlock(&lock_);
    }

private:
    pthread_rwlock_t lock_;
};

/* How many reports a capture was given within a second. */
struct Shown {
    std::atomic<std::int64_t> second{0};
    std::atomic<int> count{0};
};

/* Of one call. The transport's `op` is its own, which is how it is found. */
struct RelayPort {
    pjmedia_transport_op op{}; // has to be the first
    const pjmedia_transport_op *below = nullptr;
    pjmedia_transport *transport = nullptr;
    Above above; // the stream

    std::string callId;                   // of SIP
    std::string ownPlace, peersPlace;     // of RTCP, as descriptions have it; for captures, and under `relay_links`
    std::array<Shown, 2> shown;           // of what has come, and of what has gone

    // While relayed, under `relay_links`:
    RelayPort *to = nullptr;
    pjmedia_stream_common *stream = nullptr;
    const G711Table *translation = nullptr; // of what comes into what the partner speaks; null: it goes on as it is
    int keys = NOT_PASSED; // our payload type of telephone events
    bool hears = false, speaks = false;
    unsigned rate = 8000; // of time stamps, and of the keys' durations
    // A press is passed on whole or not at all: all its packets have one time stamp.
    int heldType = NOT_PASSED;
    pj_uint32_t held = 0; // that of the newest press, or of what may have been one
    bool passes = false;  // whether that is passed
    std::array<std::int8_t, 128> types{}; // the partner's payload types by ours

    std::mutex counting; // for what `stream` has counted of the packets that came: the partner's thread asks how far that is
    std::mutex sending;  // for all that is below
    OneStream out;
    SentReport report;
};

/* Who is relayed to whom: shared by those who pass packets, alone by the loop that changes it. Then come `counting` and
 * `sending`, then what the transports below lock. The loop never holds it while it calls them: they wait for packets that are under way. */
extern RelayLinks relay_links;

/* That of a transport which has one; null: it has none. */
RelayPort *port_of(pjmedia_transport *transport);

/* Its packets, and its partner's, are their streams' again; `relay_links` is held. */
void part(RelayPort &port);

/* Whether the key that this thread is just handing to its stream was passed on. */
bool is_key_passed();

}
