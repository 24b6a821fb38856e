/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The SRTP sessions that there are. When the second of a call's two cannot be made, PJMEDIA gives up the first and keeps its
 * address; what it is asked for next, how far a stream has come or to give it up again, would be read from freed memory. The thread of
 * the media may make sessions anew while the loop's asks of them, and PJMEDIA takes no lock for the question: so one is held.
 */
#include <mutex>
#include <unordered_set>

#include <srtp2/srtp.h>

namespace gateway {

namespace {

using Lock = std::lock_guard<std::mutex>;

std::mutex mutex_;
std::unordered_set<srtp_t> sessions_;

}

}

/* libsrtp's own, of which the linker (--wrap) has PJMEDIA call the others. */
extern "C" srtp_err_status_t __real_srtp_create(srtp_t *session, const srtp_policy_t *policy);
extern "C" srtp_err_status_t __real_srtp_dealloc(srtp_t session);
extern "C" srtp_err_status_t __real_srtp_get_stream_roc(srtp_t session, uint32_t ssrc, uint32_t *roc);
extern "C" srtp_err_status_t __wrap_srtp_create(srtp_t *session, const srtp_policy_t *policy);
extern "C" srtp_err_status_t __wrap_srtp_dealloc(srtp_t session);
extern "C" srtp_err_status_t __wrap_srtp_get_stream_roc(srtp_t session, uint32_t ssrc, uint32_t *roc);

srtp_err_status_t __wrap_srtp_create(srtp_t *session, const srtp_policy_t *policy)
{
    const gateway::Lock lock(gateway::mutex_);
    const srtp_err_status_t status = __real_srtp_create(session, policy);
    if (status == srtp_err_status_ok)
        gateway::sessions_.insert(*session);
    else
        *session = nullptr;
    return status;
}

srtp_err_status_t __wrap_srtp_dealloc(srtp_t session)
{
    const gateway::Lock lock(gateway::mutex_);
    return gateway::sessions_.erase(session) ? __real_srtp_dealloc(session) : srtp_err_status_bad_param;
}

srtp_err_status_t __wrap_srtp_get_stream_roc(srtp_t session, uint32_t ssrc, uint32_t *roc)
{
    const gateway::Lock lock(gateway::mutex_);
    return gateway::sessions_.count(session) ? __real_srtp_get_stream_roc(session, ssrc, roc) : srtp_err_status_bad_param;
}
