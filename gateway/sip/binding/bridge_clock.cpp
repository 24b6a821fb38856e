/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bridge_clock.hpp"

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <ctime>
#include <mutex>
#include <set>
#include <stdexcept>
#include <vector>

#include <pjlib.h>
#include <pjmedia.h>
#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

#include "modules.hpp"

namespace gateway {

namespace {

using Clock = std::chrono::steady_clock;

const std::chrono::milliseconds MOST_LATE(500); // what is later is not made up for
const unsigned TICKS = 2;                       // one may be under way when it is asked for

class BridgeClock {
public:
    void begin(pjmedia_port *master)
    {
        master_ = master;
        ended_ = false;
        frame_.assign(PJMEDIA_PIA_SPF(&master->info), 0);
        between_ = std::chrono::microseconds(PJMEDIA_PIA_PTIME(&master->info) * std::int64_t{1000});
        if (pj_thread_create(pjsua_var.pool, "clock", guarded<&thread>, this, 0, 0, &thread_) != PJ_SUCCESS)
            throw std::runtime_error("there is no room for the bridge's clock");
    }

    void end()
    {
        if (!thread_)
            return;
        {
            const std::lock_guard<std::mutex> locked(lock_);
            ended_ = true;
            at_work_.clear();
        }
        changed_.notify_one();
        pj_thread_join(thread_);
        pj_thread_destroy(thread_);
        thread_ = nullptr;
    }

    /* Something was asked of the bridge: carry it out. */
    void ask()
    {
        {
            const std::lock_guard<std::mutex> locked(lock_);
            asked_ = TICKS;
        }
        changed_.notify_one();
    }

    /* Whether a port takes frames, or brings some. */
    void works(unsigned slot, bool does)
    {
        {
            const std::lock_guard<std::mutex> locked(lock_);
            if (does)
                at_work_.insert(slot);
            else
                at_work_.erase(slot);
            asked_ = TICKS;
        }
        changed_.notify_one();
    }

private:
    static int thread(void *self)
    {
        static_cast<BridgeClock *>(self)->run();
        return 0;
    }

    void run()
    {
        std::unique_lock<std::mutex> locked(lock_);
        Clock::time_point next = Clock::now();
        while (!ended_) {
            if (at_work_.empty() && asked_ == 0) {
                changed_.wait(locked);
                next = Clock::now();
                continue;
            }
            if (asked_ > 0)
                --asked_;
            locked.unlock();
            tick();
            const Clock::time_point now = Clock::now();
            next = now - next > MOST_LATE ? now : next + between_;
            sleep_until(next);
            locked.lock();
        }
    }

    /* What PJSUA's null device does, but for the silence that it plays into the bridge, and which nobody is connected to. */
    void tick()
    {
        pjmedia_frame frame{};
        frame.buf = frame_.data();
        frame.size = frame_.size() * sizeof(frame_[0]);
        frame.timestamp.u64 = stamp_;
        stamp_ += frame_.size();
        pjmedia_port_get_frame(master_, &frame);
    }

    static void sleep_until(Clock::time_point when)
    {
        const auto at = when.time_since_epoch();
        const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(at);
        timespec until{};
        until.tv_sec = static_cast<time_t>(seconds.count());
        until.tv_nsec = static_cast<long>(std::chrono::duration_cast<std::chrono::nanoseconds>(at - seconds).count());
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) == EINTR)
            continue;
    }

    pjmedia_port *master_ = nullptr;
    pj_thread_t *thread_ = nullptr;
    std::vector<pj_int16_t> frame_;
    std::chrono::microseconds between_{};
    std::uint64_t stamp_ = 0;
    std::mutex lock_; // for what follows
    std::condition_variable changed_;
    std::set<unsigned> at_work_;
    unsigned asked_ = 0;
    bool ended_ = false;
};

BridgeClock clock_;

}

void begin_bridge_clock()
{
    clock_.begin(pjsua_set_no_snd_dev());
}

void end_bridge_clock()
{
    clock_.end();
}

void bridge_works(unsigned slot, bool does)
{
    clock_.works(slot, does);
}

void bridge_asked()
{
    clock_.ask();
}

}
