/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "captured.hpp"

#include <algorithm>
#include <ctime>
#include <deque>
#include <mutex>

namespace gateway {

std::atomic<bool> capturing{false};

namespace {

struct Captured {
    std::string callId, line, content;

    size_t bytes() const { return callId.size() + line.size() + content.size() + sizeof(Captured); }
};

std::mutex lock_;
std::deque<Captured> waiting_;
size_t bytes_ = 0, most_ = 0;
long lost_ = 0;

}

void capture(long bytes)
{
    const std::lock_guard<std::mutex> locked(lock_);
    most_ = static_cast<size_t>(std::max(bytes, 0L));
    capturing = most_ > 0;
    if (!capturing) {
        waiting_.clear();
        bytes_ = 0;
    }
}

void add_captured(std::string_view callId, std::string line, std::string_view content)
{
    Captured one{std::string(callId), std::move(line), std::string(content)};
    const std::lock_guard<std::mutex> locked(lock_);
    if (!most_)
        return;
    if (bytes_ + one.bytes() > most_) {
        ++lost_;
        return;
    }
    bytes_ += one.bytes();
    waiting_.push_back(std::move(one));
}

std::vector<std::string> take_captured(long most)
{
    std::vector<std::string> taken;
    const std::lock_guard<std::mutex> locked(lock_);
    for (; most > 0 && !waiting_.empty(); --most) {
        Captured &one = waiting_.front();
        bytes_ -= one.bytes();
        taken.push_back(std::move(one.callId));
        taken.push_back(std::move(one.line));
        taken.push_back(std::move(one.content));
        waiting_.pop_front();
    }
    return taken;
}

long captured_lost()
{
    const std::lock_guard<std::mutex> locked(lock_);
    return lost_;
}

int64_t now_us()
{
    timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return static_cast<int64_t>(now.tv_sec) * 1000000 + now.tv_nsec / 1000;
}

}
