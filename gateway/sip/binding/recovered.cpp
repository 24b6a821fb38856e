/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "recovered.hpp"

#include <charconv>
#include <optional>
#include <stdexcept>

#include <pjsip.h>
#include <pjsip_ua.h>
#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

#include "calls.hpp"
#include "modules.hpp"
#include "origin.hpp"
#include "recovered_again.hpp"
#include "strings.hpp"

/* The linker's --wrap: how PJSUA comes to the dialog of a call that it makes. */
extern "C" pj_status_t __real_pjsip_dlg_create_uac(pjsip_user_agent *agent, const pj_str_t *localUri, const pj_str_t *contact,
                                                   const pj_str_t *remoteUri, const pj_str_t *target, pjsip_dialog **made);
extern "C" pj_status_t __wrap_pjsip_dlg_create_uac(pjsip_user_agent *agent, const pj_str_t *localUri, const pj_str_t *contact,
                                                   const pj_str_t *remoteUri, const pj_str_t *target, pjsip_dialog **made);

namespace gateway {

namespace {

enum { CALL_ID, OUR_TAG, THEIR_TAG, OUR_ADDRESS, THEIR_ADDRESS, OUR_CSEQ, THEIR_CSEQ, TARGET, ORIGIN_ID, ORIGIN_VERSION, CALL_ID_IS_OURS, ROUTES };

const size_t MOST_ROUTES = 16, LONGEST = 2000;
const char *const OURS = "1", *const THEIRS = "0";

std::optional<std::vector<std::string>> next_;
const pjsip_dialog *taken_ = nullptr; // by the call that is being made

std::string written(pjsip_uri_context_e context, const void *uri)
{
    char printed[PJSIP_MAX_URL_SIZE];
    const int length = uri ? pjsip_uri_print(context, uri, printed, sizeof(printed)) : 0;
    return std::string(printed, length > 0 ? length : 0);
}

pj_uint32_t number_in(const std::string &text)
{
    pj_uint32_t value = 0;
    const char *end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc() || stop != end)
        throw std::invalid_argument("no number in a dialog: " + text);
    return value;
}

pj_int32_t cseq_in(const std::string &text)
{
    if (text == "-1") // nothing came in the dialog yet
        return -1;
    const pj_uint32_t value = number_in(text);
    if (value > 0x7fffffff)
        throw std::invalid_argument("no CSeq: " + text);
    return static_cast<pj_int32_t>(value);
}

pj_str_t copy_of(pjsip_dialog *dialog, const std::string &text)
{
    pj_str_t copy;
    const pj_str_t view = view_of(text);
    pj_strdup_with_null(dialog->pool, &copy, &view);
    return copy;
}

void set_routes(pjsip_dialog *dialog, const std::vector<std::string> &known)
{
    for (size_t i = ROUTES; i < known.size(); ++i) {
        pj_str_t text = copy_of(dialog, known[i]);
        pjsip_uri *uri = pjsip_parse_uri(dialog->pool, text.ptr, text.slen, PJSIP_PARSE_URI_AS_NAMEADDR);
        if (!uri)
            throw std::invalid_argument("no route of a dialog: " + known[i]);
        pjsip_route_hdr *route = pjsip_route_hdr_create(dialog->pool);
        pj_memcpy(&route->name_addr, uri, sizeof(route->name_addr));
        pj_list_push_back(&dialog->route_set, route);
    }
    dialog->route_set_frozen = PJ_TRUE;
}

/* What PJSIP has made up for a new dialog becomes what is known of the old one. */
void rename(pjsip_dialog *dialog, const std::vector<std::string> &known)
{
    pjsip_user_agent *agent = dialog->ua;
    set_routes(dialog, known);
    pjsip_ua_unregister_dlg(agent, dialog); // it is found by its names
    dialog->call_id->id = copy_of(dialog, known[CALL_ID]);
    dialog->local.info->tag = copy_of(dialog, known[OUR_TAG]);
    dialog->local.tag_hval = pj_hash_calc_tolower(0, nullptr, &dialog->local.info->tag);
    dialog->local.first_cseq = dialog->local.cseq = cseq_in(known[OUR_CSEQ]);
    dialog->remote.info->tag = copy_of(dialog, known[THEIR_TAG]);
    dialog->remote.tag_hval = pj_hash_calc_tolower(0, nullptr, &dialog->remote.info->tag);
    dialog->remote.first_cseq = dialog->remote.cseq = cseq_in(known[THEIR_CSEQ]);
    dialog->state = PJSIP_DIALOG_STATE_ESTABLISHED;
    set_origin(dialog, {number_in(known[ORIGIN_ID]), number_in(known[ORIGIN_VERSION])});
    begin_recovery(dialog, known[CALL_ID_IS_OURS] == OURS);
    pjsip_ua_register_dlg(agent, dialog);
}

pjsip_dialog *dialog_named(const std::string &callId, const std::string &ours, const std::string &theirs)
{
    const pj_str_t id = view_of(callId), local = view_of(ours), remote = view_of(theirs);
    return pjsip_ua_find_dialog(&id, &local, &remote, PJ_FALSE);
}

/* A dialog is renamed only when all of it can be read: nothing is left half done. */
void check(const std::vector<std::string> &known)
{
    bool fits = known.size() >= ROUTES && known.size() <= ROUTES + MOST_ROUTES;
    for (const std::string &text : known)
        fits = fits && !text.empty() && text.size() < LONGEST && text.find_first_of("\r\n") == std::string::npos;
    if (!fits)
        throw std::invalid_argument("that is no dialog");
    cseq_in(known[OUR_CSEQ]);
    cseq_in(known[THEIR_CSEQ]);
    number_in(known[ORIGIN_ID]);
    number_in(known[ORIGIN_VERSION]);
    if (dialog_named(known[CALL_ID], known[OUR_TAG], known[THEIR_TAG]))
        throw std::invalid_argument("that dialog is here already");
}

bool become(pjsip_dialog *dialog, const std::vector<std::string> *known)
{
    rename(dialog, *known);
    taken_ = dialog;
    return true;
}

void say_bye(pjsip_dialog *dialog)
{
    pjsip_tx_data *bye = nullptr;
    if (pjsip_dlg_create_request(dialog, pjsip_get_bye_method(), -1, &bye) == PJ_SUCCESS)
        pjsip_dlg_send_request(dialog, bye, -1, nullptr);
}

}

std::vector<std::string> dialog_to_keep(int callId)
{
    const pjsua_call *call = call_at(callId);
    if (!call)
        return {};
    pjsip_dialog *dialog = call->inv->dlg;
    const Origin origin = origin_of(dialog);
    std::vector<std::string> known = {
        text_of(dialog->call_id->id),
        text_of(dialog->local.info->tag),
        text_of(dialog->remote.info->tag),
        written(PJSIP_URI_IN_FROMTO_HDR, dialog->local.info->uri),
        written(PJSIP_URI_IN_FROMTO_HDR, dialog->remote.info->uri),
        std::to_string(dialog->local.cseq),
        std::to_string(dialog->remote.cseq),
        written(PJSIP_URI_IN_REQ_URI, pjsip_uri_get_uri(dialog->target)),
        std::to_string(origin.id),
        std::to_string(origin.version),
        is_call_id_ours(dialog) ? OURS : THEIRS,
    };
    for (pjsip_route_hdr *route = dialog->route_set.next; route != &dialog->route_set; route = route->next)
        known.push_back(written(PJSIP_URI_IN_ROUTING_HDR, &route->name_addr));
    for (const std::string &text : known)
        if (text.empty())
            return {};
    return known;
}

void recover_next(const std::vector<std::string> &dialog)
{
    next_.reset();
    taken_ = nullptr;
    check(dialog);
    next_ = dialog;
}

bool has_recovered(int callId)
{
    const pjsip_dialog *taken = taken_;
    taken_ = nullptr;
    next_.reset();
    const pjsua_call *call = call_at(callId);
    return call && taken && call->inv->dlg == taken && call->inv->state == PJSIP_INV_STATE_EARLY;
}

void give_up_recovery(int callId)
{
    pjsua_call *call = call_at(callId);
    if (!call)
        return;
    pjsip_dialog *dialog = call->inv->dlg;
    pjsip_dlg_inc_lock(dialog);
    say_bye(dialog);
    pjsip_inv_terminate(call->inv, PJSIP_SC_REQUEST_TERMINATED, PJ_TRUE);
    stop_waiting(dialog);
    pjsip_dlg_dec_lock(dialog);
}

void end_recovered(int callId)
{
    if (pjsua_call *call = call_at(callId))
        say_bye(call->inv->dlg);
}

}

pj_status_t __wrap_pjsip_dlg_create_uac(pjsip_user_agent *agent, const pj_str_t *localUri, const pj_str_t *contact,
                                        const pj_str_t *remoteUri, const pj_str_t *target, pjsip_dialog **made)
{
    if (!gateway::next_)
        return __real_pjsip_dlg_create_uac(agent, localUri, contact, remoteUri, target, made);
    const std::vector<std::string> known = std::move(*gateway::next_);
    gateway::next_.reset();
    const pj_str_t ours = gateway::view_of(known[gateway::OUR_ADDRESS]);
    const pj_str_t theirs = gateway::view_of(known[gateway::THEIR_ADDRESS]);
    const pj_str_t goal = gateway::view_of(known[gateway::TARGET]); // the call is made to the first hop: see recovering.py
    const pj_status_t status = __real_pjsip_dlg_create_uac(agent, &ours, contact, &theirs, &goal, made);
    if (status != PJ_SUCCESS || gateway::guarded<&gateway::become, false>(*made, &known))
        return status;
    pjsip_dlg_terminate(*made); // or it would be a new call to somebody
    *made = nullptr;
    return PJ_EINVAL;
}
