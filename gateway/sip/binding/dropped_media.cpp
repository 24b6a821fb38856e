/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dropped_media.hpp"

#include <mutex>

namespace gateway {

namespace {

std::mutex lock_;
std::vector<std::shared_ptr<Dropped>> dropped_;

std::string text_of(const pj_sockaddr &address, bool port)
{
    char text[PJ_INET6_ADDRSTRLEN + 10];
    return pj_sockaddr_has_addr(&address) ? pj_sockaddr_print(&address, text, sizeof(text), port ? 3 : 2) : "";
}

}

void drop(const std::shared_ptr<Dropped> &dropped, std::atomic<unsigned> &count, const pj_sockaddr &from,
          const pj_sockaddr *taken, bool port)
{
    // PJMEDIA forgets where a packet came from that it has read, but not given yet when a stream attaches: no news.
    if (!pj_sockaddr_has_addr(&from))
        return;
    ++count;
    if (dropped->listed.exchange(true))
        return;
    const std::lock_guard<std::mutex> locked(lock_);
    dropped->from = text_of(from, true);
    dropped->taken = taken ? text_of(*taken, port) : "";
    dropped_.push_back(dropped);
}

std::vector<std::string> take_dropped()
{
    std::vector<std::shared_ptr<Dropped>> taken;
    std::vector<std::string> told;
    const std::lock_guard<std::mutex> locked(lock_);
    taken.swap(dropped_);
    for (const auto &one : taken) {
        told.insert(told.end(), {one->callId, std::to_string(one->account), one->from, one->taken});
        one->listed = false; // first: what is dropped from here on is listed anew
        told.push_back(std::to_string(one->rtp.exchange(0)));
        told.push_back(std::to_string(one->rtcp.exchange(0)));
        told.push_back(one->told ? "0" : "1");
        one->told = true;
    }
    return told;
}

}
