/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The threads that read what comes for calls: as many as there are processors, each with an epoll of its own.
 *
 * PJLIB's queue, which PJMEDIA has its sockets in, names a socket to epoll anew for each packet, and reads once more to find
 * that there is no second one. Here a socket is named once, and whenever it is ready one packet is read from it. So none has
 * more turns than another, however much it is sent.
 */
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include <pjlib.h>
#include <pjmedia.h>

namespace gateway {

/* What has a socket that is read here. */
class Readable {
public:
    virtual ~Readable() = default;

    /* A packet has come, or seemed to; in the thread. */
    virtual void read() = 0;
};

class MediaThread {
public:
    /* Have them begin, unless they have; they end with the endpoint. As many as the system has room for, perhaps none. Like the
     * next one, for the loop's thread alone. */
    static void begin_all(pjmedia_endpt *endpoint);

    /* The one that has the least to read; null: there is none. */
    static std::shared_ptr<MediaThread> least_busy(pjmedia_endpt *endpoint);

    MediaThread() = default;
    ~MediaThread();
    MediaThread(const MediaThread &) = delete;
    MediaThread &operator=(const MediaThread &) = delete;

    /* Read a socket from now on; false: the system has no room for it. */
    bool watch(int descriptor, Readable &reader);

    /* Read it no more. A packet of it may still be under way. */
    void unwatch(int descriptor);

    /* Give up a reference of whatever has had sockets here, once nothing that is under way names them any more. */
    void let_go(pj_grp_lock_t *lock);

private:
    bool begin(pj_pool_t *pool);
    void end();
    void wake();
    void run();
    void release();
    static int thread(void *self);
    static void end_all(pjmedia_endpt *endpoint);

    int poll_ = -1, awake_ = -1;
    pj_pool_t *pool_ = nullptr;
    pj_thread_t *thread_ = nullptr;
    unsigned users_ = 0; // that were given this thread, and have not been let go of
    std::atomic<bool> ended_{false};
    std::mutex lock_;
    std::vector<pj_grp_lock_t *> given_up_;
};

}
