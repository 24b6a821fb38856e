/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * PJSIP's own log, which log_level = "debug" adds, goes to standard output by printf, in the loop's thread. Where nobody reads
 * on at the other end of the pipe, that waits for ever, and every call with it. So a line waits for a moment, once; until
 * there is room again lines are left out, and it is said how many.
 */
#include <algorithm>
#include <cstdio>
#include <mutex>
#include <string_view>

#include <poll.h>
#include <unistd.h>

#include <pjlib.h>

#include "modules.hpp"

namespace gateway {

namespace {

const int WAIT_MS = 20;
const std::size_t AT_ONCE = 4096; /* PIPE_BUF: what a pipe takes without waiting when it is ready (pipe(7)) */

std::mutex lock_; /* PJMEDIA's threads write too */
unsigned long lost_ = 0;

bool has_room(int wait_ms)
{
    pollfd out = {STDOUT_FILENO, POLLOUT, 0};
    return poll(&out, 1, wait_ms) > 0 && (out.revents & POLLOUT);
}

bool put(std::string_view text)
{
    while (!text.empty()) {
        if (!has_room(lost_ ? 0 : WAIT_MS))
            return false;
        const ssize_t written = ::write(STDOUT_FILENO, text.data(), std::min(text.size(), AT_ONCE));
        if (written <= 0)
            return false;
        text.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
}

void write_line(int, const char *buffer, int length)
{
    const std::lock_guard<std::mutex> hold(lock_);
    if (lost_) {
        char note[80];
        const int size = std::snprintf(note, sizeof(note), "\n%lu lines of PJSIP's are missing\n", lost_);
        if (!put({note, static_cast<std::size_t>(size)})) {
            ++lost_;
            return;
        }
        lost_ = 0;
    }
    if (length > 0 && !put({buffer, static_cast<std::size_t>(length)}))
        ++lost_;
}

}

}

/* The linker's --wrap: how PJLIB writes a line of its log. */
extern "C" void __wrap_pj_log_write(int level, const char *buffer, int length);

void __wrap_pj_log_write(int level, const char *buffer, int length)
{
    gateway::guarded<&gateway::write_line>(level, buffer, length);
}
