/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "media_threads.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>

#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "modules.hpp"

namespace gateway {

namespace {

const unsigned MOST_THREADS = 8;

std::vector<std::shared_ptr<MediaThread>> threads_; // for the loop's thread alone

/* The processors that this process may use, which may be fewer than the machine has. */
unsigned processors()
{
    cpu_set_t may;
    const int count = sched_getaffinity(0, sizeof(may), &may) == 0 ? CPU_COUNT(&may) : 1;
    return std::clamp(static_cast<unsigned>(count), 1U, MOST_THREADS);
}

}

void MediaThread::begin_all(pjmedia_endpt *endpoint)
{
    if (!threads_.empty() || pjmedia_endpt_atexit(endpoint, guarded<&end_all>) != PJ_SUCCESS)
        return;
    for (unsigned i = 0; i < processors(); ++i) {
        auto one = std::make_shared<MediaThread>();
        if (!one->begin(pjmedia_endpt_create_pool(endpoint, "media%p", 512, 512)))
            break;
        threads_.push_back(one);
    }
}

std::shared_ptr<MediaThread> MediaThread::least_busy(pjmedia_endpt *endpoint)
{
    begin_all(endpoint);
    std::shared_ptr<MediaThread> chosen;
    unsigned fewest = 0;
    for (const auto &one : threads_) {
        const std::lock_guard<std::mutex> locked(one->lock_);
        if (!chosen || one->users_ < fewest) {
            chosen = one;
            fewest = one->users_;
        }
    }
    if (chosen) {
        const std::lock_guard<std::mutex> locked(chosen->lock_);
        ++chosen->users_;
    }
    return chosen;
}

void MediaThread::end_all(pjmedia_endpt *)
{
    for (const auto &one : threads_)
        one->end();
    threads_.clear();
}

bool MediaThread::begin(pj_pool_t *pool)
{
    pool_ = pool;
    poll_ = epoll_create1(EPOLL_CLOEXEC);
    awake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    epoll_event event{};
    event.events = EPOLLIN; // of nobody: it only wakes
    if (!pool_ || poll_ < 0 || awake_ < 0 || epoll_ctl(poll_, EPOLL_CTL_ADD, awake_, &event) != 0)
        return false;
    return pj_thread_create(pool_, "media", guarded<&thread>, this, 0, 0, &thread_) == PJ_SUCCESS;
}

void MediaThread::end()
{
    ended_ = true;
    wake();
    pj_thread_join(thread_);
    pj_thread_destroy(thread_);
    thread_ = nullptr;
    release(); // of whoever came after the thread's last look
    pj_pool_release(pool_);
    pool_ = nullptr;
}

MediaThread::~MediaThread()
{
    for (const int descriptor : {poll_, awake_})
        if (descriptor >= 0)
            close(descriptor);
    if (pool_)
        pj_pool_release(pool_);
}

bool MediaThread::watch(int descriptor, Readable &reader)
{
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &reader;
    return epoll_ctl(poll_, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

void MediaThread::unwatch(int descriptor)
{
    epoll_ctl(poll_, EPOLL_CTL_DEL, descriptor, nullptr);
}

void MediaThread::let_go(pj_grp_lock_t *lock)
{
    {
        const std::lock_guard<std::mutex> locked(lock_);
        --users_;
        given_up_.push_back(lock);
    }
    if (ended_)
        release();
    else
        wake();
}

void MediaThread::wake()
{
    const std::uint64_t one = 1;
    (void)!write(awake_, &one, sizeof(one)); // it fails where it is full: the thread will wake
}

int MediaThread::thread(void *self)
{
    static_cast<MediaThread *>(self)->run();
    return 0;
}

void MediaThread::run()
{
    std::array<epoll_event, 64> events;
    while (!ended_) {
        const int count = epoll_wait(poll_, events.data(), static_cast<int>(events.size()), -1);
        for (int i = 0; i < count; ++i) {
            std::uint64_t times;
            if (events[static_cast<std::size_t>(i)].data.ptr)
                static_cast<Readable *>(events[static_cast<std::size_t>(i)].data.ptr)->read();
            else
                (void)!::read(awake_, &times, sizeof(times));
        }
        release(); // no event of a later turn names them: their sockets are unwatched
    }
    release();
}

void MediaThread::release()
{
    std::vector<pj_grp_lock_t *> locks;
    {
        const std::lock_guard<std::mutex> locked(lock_);
        locks.swap(given_up_);
    }
    for (pj_grp_lock_t *lock : locks)
        pj_grp_lock_dec_ref(lock);
}

}
