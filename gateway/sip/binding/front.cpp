/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "front.hpp"

#include <chrono>
#include <map>
#include <set>

#include <pjsip.h>
#include <pjsip_ua.h>
#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>

#include "answers.hpp"
#include "calls.hpp"
#include "connections.hpp"
#include "modules.hpp"
#include "neighbours.hpp"
#include "pressure.hpp"
#include "requests.hpp"
#include "room.hpp"
#include "strangers.hpp"

namespace gateway {

namespace {

const char *const NOT_ALLOWED = "peer-not-allowed";
const char *const AT_CAPACITY = "at-capacity";
const char *const TRUNK_AT_CAPACITY = "trunk-at-capacity";
const int RETRY_AFTER_S = 5;

using Clock = std::chrono::steady_clock;

/* So long nobody is asked again whether there is a place: to ask takes Python, which many calls a second would keep from
 * the calls that have one. */
const std::chrono::milliseconds UNASKED{50};

struct Full {
    Clock::time_point until;
    unsigned legs; /* that there were */
    bool is_trunk; /* it is the trunk that may have no more */
};

std::set<int> challenged_;
std::map<int, Full> full_; /* by account */

void respond(pjsip_rx_data *rdata, int code, const char *slug, int retry_after_s = 0)
{
    const std::string why = "SIP;cause=" + std::to_string(code) + ";text=\"" + slug + "\"";
    const pj_str_t name = pj_str(const_cast<char *>("Reason")), value = pj_str(const_cast<char *>(why.c_str()));
    pj_pool_t *pool = rdata->tp_info.pool;
    pjsip_hdr list;
    pj_list_init(&list);
    pj_list_push_back(&list, pjsip_generic_string_hdr_create(pool, &name, &value));
    if (retry_after_s)
        pj_list_push_back(&list, pjsip_retry_after_hdr_create(pool, retry_after_s));
    pjsip_endpt_respond_stateless(pjsua_get_pjsip_endpt(), rdata, code, nullptr, &list, nullptr);
}

void tell(const pjsip_rx_data *rdata, const std::string &method, const char *reason)
{
    if (RequestHandler *handler = request_handler())
        handler->onTurnedAway(rdata->pkt_info.src_name, method, reason);
}

pj_bool_t turn_away(pjsip_rx_data *rdata, const Address &source, bool known)
{
    const pjsip_method &method = rdata->msg_info.msg->line.req.method;
    if (!known && !time_for(source)) {
        count_turned_away(NOT_ALLOWED, source);
        return PJ_TRUE;
    }
    if (method.id == PJSIP_ACK_METHOD)
        return PJ_TRUE; // of a 403, as a rule
    tell(rdata, std::string(method.name.ptr, method.name.slen), NOT_ALLOWED);
    respond(rdata, 403, NOT_ALLOWED);
    return PJ_TRUE;
}

pjsip_transaction *transaction(pjsip_rx_data *rdata, pjsip_role_e role, const pjsip_method &method)
{
    pj_str_t key;
    if (pjsip_tsx_create_key(rdata->tp_info.pool, &key, role, &method, rdata) != PJ_SUCCESS)
        return nullptr;
    return pjsip_tsx_layer_find_tsx(&key, PJ_FALSE);
}

pjsip_dialog *dialog(const pjsip_rx_data *rdata, const pj_str_t &local_tag, const pj_str_t &remote_tag)
{
    if (local_tag.slen == 0)
        return nullptr;
    return pjsip_ua_find_dialog(&rdata->msg_info.cid->id, &local_tag, &remote_tag, PJ_FALSE);
}

bool is_datagram(const pjsip_rx_data *rdata)
{
    return (rdata->tp_info.transport->flag & PJSIP_TRANSPORT_DATAGRAM) != 0;
}

bool has(const pjsip_rx_data *rdata, const char *header)
{
    const pj_str_t name = pj_str(const_cast<char *>(header));
    return pjsip_msg_find_hdr_by_name(rdata->msg_info.msg, &name, nullptr) != nullptr;
}

pj_bool_t refuse(pjsip_rx_data *rdata, const Address &source, bool of_trunk)
{
    const char *reason = of_trunk ? TRUNK_AT_CAPACITY : AT_CAPACITY;
    count_turned_away(reason, source);
    respond(rdata, 503, reason, RETRY_AFTER_S);
    return PJ_TRUE;
}

/* What is known of an account that has no place for a call, unless it may have one by now. */
const Full *full(int account)
{
    const auto found = full_.find(account);
    if (found == full_.end())
        return nullptr;
    if (Clock::now() < found->second.until && pjsua_var.call_cnt >= found->second.legs)
        return &found->second;
    full_.erase(found);
    return nullptr;
}

/* A call that would be a new one. */
pj_bool_t on_invite(pjsip_rx_data *rdata, const Address &source, int account)
{
    if (transaction(rdata, PJSIP_ROLE_UAS, *pjsip_get_invite_method()))
        return PJ_FALSE; // sent again
    if (has(rdata, "Replaces"))
        return PJ_FALSE; // it takes the place of one that is there
    if (challenged_.count(account) && !has(rdata, "Authorization"))
        return PJ_FALSE; // half of one: it will be challenged
    if (const Full *its = full(account)) {
        count_asked(account);
        return refuse(rdata, source, its->is_trunk);
    }
    const Verdict verdict = weigh(account, is_datagram(rdata));
    return verdict == Verdict::WELCOME ? PJ_FALSE : refuse(rdata, source, verdict == Verdict::TOO_MANY_OF_ITS_PEER);
}

/* A request that may begin a transaction. What ends a call may always. */
pj_bool_t on_any(pjsip_rx_data *rdata, const Address &source, int account)
{
    const pjsip_method &method = rdata->msg_info.msg->line.req.method;
    if (!is_datagram(rdata) || method.id == PJSIP_ACK_METHOD || method.id == PJSIP_BYE_METHOD || method.id == PJSIP_CANCEL_METHOD)
        return PJ_FALSE;
    if (transaction(rdata, PJSIP_ROLE_UAS, method) || has_room(account))
        return PJ_FALSE;
    return refuse(rdata, source, false);
}

pj_bool_t look_at_request(pjsip_rx_data *rdata)
{
    const Address source = address_of(rdata->pkt_info.src_addr);
    const int account = account_at(source);
    const bool known = account != NOBODY;
    const auto &info = rdata->msg_info;
    const pjsip_method_e method = info.msg->line.req.method.id;
    if (known && is_datagram(rdata))
        measure(rdata);
    if (const pjsip_dialog *found = dialog(rdata, info.to->tag, info.from->tag)) {
        if (!may_speak(found, source))
            return turn_away(rdata, source, known);
        const int of = account_of(found);
        return answered_before(rdata) ? PJ_TRUE : on_any(rdata, source, of == NOBODY ? account : of);
    }
    if (!known)
        return is_ours(source, rdata->pkt_info.src_port) ? PJ_FALSE : turn_away(rdata, source, known);
    if (method == PJSIP_CANCEL_METHOD) {
        pjsip_transaction *invite = transaction(rdata, PJSIP_ROLE_UAS, *pjsip_get_invite_method());
        const pjsip_dialog *of = invite ? pjsip_tsx_get_dlg(invite) : nullptr;
        return !of || may_speak(of, source) ? PJ_FALSE : turn_away(rdata, source, known);
    }
    if (answered_before(rdata))
        return PJ_TRUE;
    if (method == PJSIP_INVITE_METHOD && info.to->tag.slen == 0 && on_invite(rdata, source, account))
        return PJ_TRUE;
    return on_any(rdata, source, account);
}

/* A response comes from where its request has gone, or from another address of the same peer. */
bool is_of_its_peer(pjsip_rx_data *rdata, const Address &source)
{
    const auto &info = rdata->msg_info;
    pjsip_transaction *request = transaction(rdata, PJSIP_ROLE_UAC, info.cseq->method);
    if (request && request->last_tx && address_of(request->last_tx->tp_info.dst_addr) == source)
        return true;
    const pjsip_dialog *of =
        request ? pjsip_tsx_get_dlg(request) : dialog(rdata, info.from->tag, info.to->tag);
    return of ? may_speak(of, source) : may_speak(source);
}

pj_bool_t on_request(pjsip_rx_data *rdata)
{
    has_spoken(rdata);
    return look_at_request(rdata);
}

pj_bool_t on_response(pjsip_rx_data *rdata)
{
    has_spoken(rdata);
    const Address source = address_of(rdata->pkt_info.src_addr);
    if (is_of_its_peer(rdata, source))
        return PJ_FALSE;
    if (account_at(source) == NOBODY)
        time_for(source);
    count_turned_away(NOT_ALLOWED, source);
    return PJ_TRUE;
}

pj_status_t on_request_sent(pjsip_tx_data *tdata)
{
    if (gone_to(address_of(tdata->tp_info.dst_addr), account_of(dialog_behind(tdata))))
        let_in_anew();
    return PJ_SUCCESS;
}

pj_status_t on_response_sent(pjsip_tx_data *tdata)
{
    keep_answer(tdata);
    return PJ_SUCCESS;
}

}

void know_peer(int account, const std::vector<std::string> &networks, double calls_per_second, bool challenged)
{
    set_networks(account, networks);
    set_rate(account, calls_per_second);
    full_.clear(); // there may be places by what is configured now
    if (challenged)
        challenged_.insert(account);
    else
        challenged_.erase(account);
    let_in_anew();
}

void has_no_place(int account, const std::string &reason)
{
    full_[account] = {Clock::now() + UNASKED, pjsua_var.call_cnt, reason == TRUNK_AT_CAPACITY};
}

void know_ourselves(const std::vector<std::string> &addresses)
{
    set_own_addresses(addresses);
    let_in_anew();
}

std::vector<std::string> turned_away()
{
    return counted_turned_away();
}

bool is_worth_a_look(const pj_sockaddr &from)
{
    const Address source = address_of(from);
    if (may_speak(source))
        return true;
    if (!time_for(source)) {
        count_turned_away(NOT_ALLOWED, source);
        return false;
    }
    if (RequestHandler *handler = request_handler())
        handler->onTurnedAway(text_of(source), "", NOT_ALLOWED);
    return false;
}

void stand_in_front()
{
    // Below the transport layer, so that what leaves has been printed, and everybody else sees what comes in later.
    static pjsip_module module;
    module = named_module("mod-gateway-strangers", PJSIP_MOD_PRIORITY_TRANSPORT_LAYER - 1);
    module.on_rx_request = guarded<&on_request, PJ_TRUE>;
    module.on_rx_response = guarded<&on_response, PJ_TRUE>;
    module.on_tx_request = guarded<&on_request_sent>;
    module.on_tx_response = guarded<&on_response_sent>;
    register_module(module);
    keep_owners();
    begin_to_measure();
    watch_connections();
}

}
