/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A request that came in, as the application reads and answers it.
 */
#pragma once

#include <string>
#include <vector>

#include <pjsua2.hpp>

struct pj_pool_t;
struct pjsip_dialog;
struct pjsip_hdr;
struct pjsip_rx_data;

namespace gateway {

/* A request as PJSIP parsed it. Valid only inside the callback that was handed it. */
class SipRequest {
public:
    std::string method;
    std::string requestUri;
    std::string sourceHost; /* address the request came from */
    int sourcePort;
    std::string transport; /* UDP, TCP, TLS */
    std::string callId;
    std::string fromTag;
    std::string toTag;
    long cseq;
    bool answered;

    /* Name and value of each header, unparsed, one behind the other. In Python, values() asks for them once. */
    std::vector<std::string> fields() const;

    /* The whole message, as it was received. */
    std::string text() const;

    /* Answer a request, in its transaction. Only the first answer counts; false when it could not be sent. */
    bool respond(int code, const std::string &reason, const std::vector<pj::SipHeader> &headers);

    /* Answer a REFER with a 2xx and keep its dialog for NOTIFYs: the id of the subscription, or -1.
     * Outside of a dialog this makes one, with the contact of the account `account`. */
    int accept(int code, const std::vector<pj::SipHeader> &headers, int account = -1);

    /* What the offer in this INVITE outside of a dialog is to be answered with, where the gateway can't take it: 400 when
     * it cannot be read, 488 when it leaves no audio that the account's calls could have; else 0. */
    int offerProblem(int account);

    /* The body as it came, and its type ("application/sdp") without parameters; empty: there is none. */
    std::string body() const;
    std::string bodyType() const;

    /* Take every header of this name out of the request, before PJSUA sees it. */
    void take_out(const std::string &name);

    /* This request, outside of a dialog, is about the call with that Call-ID: what is kept of the call has it too. */
    void keep_with(const std::string &sipCallId);

#ifndef SWIG
    SipRequest(pjsip_rx_data *rdata, pjsip_dialog *dialog);
    void expire();

    /* The values of each header of this name or (when not empty) compact name, unparsed, in their order. */
    std::vector<std::string> values(const std::string &name, const std::string &compact = "") const;

    /* As respond(), and where there can be no transaction, or must not be, without one. */
    void refuse(int code, const std::string &reason, const std::vector<pj::SipHeader> &headers, bool transaction = true);
#endif

private:
    pjsip_rx_data *rdata_;
    pjsip_dialog *dialog_;
};

#ifndef SWIG
/* Make a list of headers, which are copied. */
void add_headers(pjsip_hdr *list, pj_pool_t *pool, const std::vector<pj::SipHeader> &headers);
#endif

}
