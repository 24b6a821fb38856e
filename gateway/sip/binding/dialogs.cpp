/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "dialogs.hpp"

#include <algorithm>
#include <chrono>
#include <unordered_map>
#include <utility>

#include <pjsip.h>
#include <pjsip_ua.h>
#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

#include "calls.hpp"
#include "modules.hpp"
#include "strings.hpp"

namespace gateway {

namespace {

using Clock = std::chrono::steady_clock;

/* Since when. PJSIP runs in the loop's thread, and so does whoever asks. */
std::unordered_map<const pjsip_dialog *, Clock::time_point> begun_;

pj_status_t began(pjsip_dialog *dialog)
{
    begun_.emplace(dialog, Clock::now());
    return PJ_SUCCESS;
}

pj_status_t ended(pjsip_dialog *dialog)
{
    begun_.erase(dialog);
    return PJ_SUCCESS;
}

/* A dialog of a further answer to our INVITE has no text of either, so it is printed anew. */
std::string address_in(const pjsip_fromto_hdr *header)
{
    char printed[PJSIP_MAX_URL_SIZE];
    const int length = header->uri ? pjsip_uri_print(PJSIP_URI_IN_FROMTO_HDR, header->uri, printed, sizeof(printed)) : 0;
    return std::string(printed, length > 0 ? length : 0) + ";tag=" + text_of(header->tag);
}

std::string usages_of(const pjsip_dialog *dialog)
{
    std::string names;
    for (unsigned i = 0; i < dialog->usage_cnt; ++i)
        names += (names.empty() ? "" : " ") + text_of(dialog->usage[i]->name);
    return names;
}

std::string invite_of(const pjsip_dialog *dialog)
{
    const pjsip_inv_session *session = pjsip_dlg_get_inv_session(const_cast<pjsip_dialog *>(dialog));
    return session ? pjsip_inv_state_name(session->state) : "";
}

void describe(const pjsip_dialog *dialog, Clock::duration age, std::vector<std::string> &told)
{
    const pjsua_call *call = call_in(dialog);
    const std::string fields[] = {
        text_of(dialog->call_id->id),
        dialog->role == PJSIP_ROLE_UAC ? "uac" : "uas",
        address_in(dialog->local.info),
        address_in(dialog->remote.info),
        std::to_string(dialog->local.cseq),
        std::to_string(dialog->remote.cseq),
        std::to_string(std::chrono::duration_cast<std::chrono::seconds>(age).count()),
        std::to_string(call && !call->hanging_up ? static_cast<int>(call->index) : -1),
        std::to_string(dialog->sess_count),
        std::to_string(dialog->tsx_count),
        usages_of(dialog),
        invite_of(dialog),
    };
    told.insert(told.end(), std::begin(fields), std::end(fields));
}

}

std::vector<std::string> dialogs(unsigned most, const std::string &callId)
{
    std::vector<std::pair<Clock::time_point, const pjsip_dialog *>> oldest;
    for (const auto &[dialog, since] : begun_)
        if (callId.empty() || text_of(dialog->call_id->id) == callId)
            oldest.emplace_back(since, dialog);
    std::sort(oldest.begin(), oldest.end());
    const auto now = Clock::now();
    std::vector<std::string> told;
    for (const auto &[since, dialog] : oldest) {
        if (most-- == 0)
            break;
        describe(dialog, now - since, told);
    }
    return told;
}

}

/* The linker's --wrap: how each dialog comes into PJSIP's table, and out of it. */
extern "C" pj_status_t __real_pjsip_ua_register_dlg(pjsip_user_agent *agent, pjsip_dialog *dialog);
extern "C" pj_status_t __wrap_pjsip_ua_register_dlg(pjsip_user_agent *agent, pjsip_dialog *dialog);
extern "C" pj_status_t __real_pjsip_ua_unregister_dlg(pjsip_user_agent *agent, pjsip_dialog *dialog);
extern "C" pj_status_t __wrap_pjsip_ua_unregister_dlg(pjsip_user_agent *agent, pjsip_dialog *dialog);

pj_status_t __wrap_pjsip_ua_register_dlg(pjsip_user_agent *agent, pjsip_dialog *dialog)
{
    const pj_status_t status = __real_pjsip_ua_register_dlg(agent, dialog);
    if (status == PJ_SUCCESS)
        gateway::guarded<&gateway::began>(dialog);
    return status;
}

pj_status_t __wrap_pjsip_ua_unregister_dlg(pjsip_user_agent *agent, pjsip_dialog *dialog)
{
    gateway::guarded<&gateway::ended>(dialog);
    return __real_pjsip_ua_unregister_dlg(agent, dialog);
}
