/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * PJMEDIA's SRTP transport has a lock for its two sessions of libsrtp, and does not hold it everywhere. The media's thread
 * makes both sessions anew when a packet comes twice among a stream's first hundred (transport_srtp.c, srtp_rtp_cb); the
 * loop asks meanwhile how far the streams have come (get_info) or compares their keys (media_start), and would read what
 * the other has freed. Both hold the lock here. No packet costs more: PJMEDIA holds it for each of them already.
 *
 * And when the second of the two sessions cannot be made, PJMEDIA gives up the first and keeps its address, to read from
 * it and to give it up once more later. So the address goes with the session.
 */
#include <unordered_map>

#include <pjlib.h>
#include <pjmedia.h>
#include <srtp2/srtp.h>

#include "modules.hpp"

/* PJMEDIA's, PJLIB's and libsrtp's own, of which the linker (--wrap) has PJSUA and PJMEDIA call ours. */
extern "C" {
pj_status_t __real_pjmedia_transport_srtp_create(pjmedia_endpt *endpoint, pjmedia_transport *member,
                                                 const pjmedia_srtp_setting *setting, pjmedia_transport **made);
pj_status_t __wrap_pjmedia_transport_srtp_create(pjmedia_endpt *endpoint, pjmedia_transport *member,
                                                 const pjmedia_srtp_setting *setting, pjmedia_transport **made);
pj_status_t __real_pj_lock_create_recursive_mutex(pj_pool_t *pool, const char *name, pj_lock_t **lock);
pj_status_t __wrap_pj_lock_create_recursive_mutex(pj_pool_t *pool, const char *name, pj_lock_t **lock);
srtp_err_status_t __real_srtp_create(srtp_t *session, const srtp_policy_t *policy);
srtp_err_status_t __wrap_srtp_create(srtp_t *session, const srtp_policy_t *policy);
srtp_err_status_t __real_srtp_dealloc(srtp_t session);
srtp_err_status_t __wrap_srtp_dealloc(srtp_t session);
}

namespace gateway {

namespace {

/* The first lock that this thread has made since create() began: a transport keeps its own where nobody sees it. */
thread_local pj_lock_t *first_ = nullptr;

std::unordered_map<const pjmedia_transport *, pj_lock_t *> locks_; // for the loop's thread alone
pjmedia_transport_op locked_;
const pjmedia_transport_op *original_ = nullptr;

class Locked {
public:
    explicit Locked(const pjmedia_transport *transport) : lock_(locks_.at(transport))
    {
        pj_lock_acquire(lock_);
    }
    ~Locked()
    {
        pj_lock_release(lock_);
    }
    Locked(const Locked &) = delete;
    Locked &operator=(const Locked &) = delete;

private:
    pj_lock_t *lock_;
};

pj_status_t get_info(pjmedia_transport *transport, pjmedia_transport_info *info)
{
    const Locked locked(transport);
    return original_->get_info(transport, info);
}

pj_status_t media_start(pjmedia_transport *transport, pj_pool_t *pool, const pjmedia_sdp_session *local,
                        const pjmedia_sdp_session *remote, unsigned index)
{
    const Locked locked(transport);
    return original_->media_start(transport, pool, local, remote, index);
}

pj_status_t destroy(pjmedia_transport *transport)
{
    locks_.erase(transport);
    return original_->destroy(transport);
}

pj_status_t create(pjmedia_endpt *endpoint, pjmedia_transport *member, const pjmedia_srtp_setting *setting,
                   pjmedia_transport **made)
{
    first_ = nullptr;
    const pj_status_t status = __real_pjmedia_transport_srtp_create(endpoint, member, setting, made);
    if (status != PJ_SUCCESS)
        return status;
    // A PJMEDIA that makes its lock in some other way has to be looked at first; no call, and so no self-test, passes.
    if (!first_)
        return PJ_ENOTSUP;
    if (!original_) {
        original_ = (*made)->op;
        locked_ = *original_;
        locked_.get_info = guarded<&get_info, PJ_EUNKNOWN>;
        locked_.media_start = guarded<&media_start, PJ_EUNKNOWN>;
        locked_.destroy = guarded<&destroy, PJ_EUNKNOWN>;
    }
    locks_[*made] = first_;
    (*made)->op = &locked_;
    return PJ_SUCCESS;
}

}

}

pj_status_t __wrap_pjmedia_transport_srtp_create(pjmedia_endpt *endpoint, pjmedia_transport *member,
                                                 const pjmedia_srtp_setting *setting, pjmedia_transport **made)
{
    return gateway::guarded<&gateway::create, PJ_ENOMEM>(endpoint, member, setting, made);
}

pj_status_t __wrap_pj_lock_create_recursive_mutex(pj_pool_t *pool, const char *name, pj_lock_t **lock)
{
    const pj_status_t status = __real_pj_lock_create_recursive_mutex(pool, name, lock);
    if (status == PJ_SUCCESS && !gateway::first_)
        gateway::first_ = *lock;
    return status;
}

srtp_err_status_t __wrap_srtp_create(srtp_t *session, const srtp_policy_t *policy)
{
    const srtp_err_status_t status = __real_srtp_create(session, policy);
    if (status == srtp_err_status_ok)
        srtp_set_user_data(*session, session); // where PJMEDIA keeps its address
    else
        *session = nullptr;
    return status;
}

srtp_err_status_t __wrap_srtp_dealloc(srtp_t session)
{
    *static_cast<srtp_t *>(srtp_get_user_data(session)) = nullptr;
    return __real_srtp_dealloc(session);
}
