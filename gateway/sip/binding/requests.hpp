/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Requests that PJSUA must not decide on: everything outside of a dialog, and REFER and SUBSCRIBE inside of one.
 *
 * PJSUA would dial the Refer-To of any REFER as it came, and leave requests it does not know without an answer. These
 * modules see them first and ask the application's RequestHandler; whatever goes wrong there becomes a 500, never a call.
 */
#pragma once

#include <string>
#include <vector>

#include <pjsua2.hpp>

#include "sip_request.hpp"

#ifndef SWIG
struct pjsip_dialog;
struct pjsip_module;
#endif

namespace gateway {

/* Who decides. Called on the thread that polls PJSIP. */
class RequestHandler {
public:
    virtual ~RequestHandler() {}

    /* A request outside of any dialog. Unless it is answered here, 0 leaves it to PJSUA, and any other code answers it
     * without making a transaction (with the headers put into `headers`). */
    virtual int onRequest(SipRequest &request, std::vector<pj::SipHeader> &headers)
    {
        return 500;
    }

    /* A request, in a dialog or not, that is to be refused with `code`, for what is wrong with it in itself; `why` is
     * the phrase, unless the usual one will do. Returns the code to answer, with the headers put into `headers`. */
    virtual int onUnfit(SipRequest &request, int code, const std::string &why, std::vector<pj::SipHeader> &headers)
    {
        return code;
    }

    /* A re-INVITE or UPDATE in the dialog of a call, with nothing wrong in it: 0 lets it have its effect, and any other
     * code answers it, with the headers put into `headers`. */
    virtual int onRefresh(int callId, SipRequest &request, std::vector<pj::SipHeader> &headers)
    {
        return 0;
    }

    /* A peer accepted a re-INVITE or UPDATE of ours, and this message of its says who is at its end now. */
    virtual void onConnected(int callId, const std::string &text) {}

    /* PJSUA has refused an INVITE that onRequest left to it, before it made a call of it. */
    virtual void onNotMade(const std::string &callId, int code) {}

    /* An INFO in the dialog of a call (-1: PJSUA has let go of it): answer it with respond(). */
    virtual void onInfo(int callId, SipRequest &request) {}

    /* A message that PJSIP could not read, unparsed, from this address. `header` is the name of the header that is to
     * blame, as far as it is known; `whole` is false when the message was too long. Returns the response to send as it
     * stands; empty: none. */
    virtual std::string onMalformed(const std::string &text, const std::string &sourceHost, const std::string &header,
                                    bool whole)
    {
        return "";
    }

    /* What came from this address was refused, or dropped, in front of everything else, for this reason (see front.hpp);
     * `method` is empty where it was not even a request. */
    virtual void onTurnedAway(const std::string &sourceHost, const std::string &method, const std::string &reason) {}

    /* A REFER in the dialog of a call (-1: PJSUA has let go of it): answer it with accept() or respond(). */
    virtual void onRefer(int callId, SipRequest &request) {}

    /* The transferor answered a NOTIFY (408 and 503: it did not). */
    virtual void onNotifyAnswered(int subscription, int code) {}

    /* A peer answered the OPTIONS of `send_options` with this token (408 and 503: it did not). */
    virtual void onOptionsAnswered(int token, int code) {}

    /* A description that cannot be used came in a message of a dialog, e.g. "INVITE" or "183 INVITE". A request was
     * refused with `code`; 0: it was taken out of a message that cannot be refused. */
    virtual void onDescriptionRefused(const std::string &sipCallId, const std::string &where, int code) {}

    /* A description of a call (see show_descriptions): ours, about to be sent, or the peer's, which has passed every check.
     * `answers` is false for an offer. Returns what is sent, or believed, in its place; empty: it stays. A call that is still
     * being made has a number which nobody was told yet. */
    virtual std::string onDescription(int callId, bool ours, bool answers, const std::string &text)
    {
        return "";
    }

    /* A request of ours in a dialog could not be sent at all, and is not tried again. */
    virtual void onUnsent(const std::string &method, const std::string &sipCallId, const std::string &uri) {}

    /* PJSIP needs the addresses of a host by name; port 0: whatever DNS says. Answer with resolved(), now or later. */
    virtual void onResolve(int query, const std::string &host, int port, const std::string &transport) {}

    /* Our INVITE, UPDATE or INFO in the dialog of a watched call was answered (408 and 503: it was not). */
    virtual void onRequestAnswered(int callId, const std::string &method, int code) {}

    /* The peer of an encrypted call has offered, or answered, to go on in the clear: it was refused. */
    virtual void onKeyMissing(int callId) {}

    /* The transferor ended its subscription by a SUBSCRIBE with Expires: 0. */
    virtual void onUnsubscribed(int subscription) {}

    /* A REFER of ours was answered (408 and 503: it was not); from 300 on nothing more comes of it. */
    virtual void onReferAnswered(int referral, int code) {}

    /* A NOTIFY tells with this body (message/sipfrag) what became of a REFER of ours; `last` ends the subscription. */
    virtual void onReferNotified(int referral, const std::string &body, bool last) {}

    /* A NOTIFY of a watch: `phase` is the value of Subscription-State without parameters, `type` that of Content-Type
     * (empty: there is no body). */
    virtual void onWatchNotified(int watch, const std::string &phase, const std::string &type, const std::string &body)
    {
    }

    /* A SUBSCRIBE of a watch was answered with a 2xx. */
    virtual void onWatchRefreshed(int watch) {}

    /* A watch is over: its SUBSCRIBE got `code` as its answer (408 and 503: none), or, 0, a NOTIFY ended it for `reason`
     * and, unless -1, says after how many seconds to come again. */
    virtual void onWatchEnded(int watch, int code, const std::string &reason, int retryAfter) {}
};

/* The PJSUA call whose dialog has this Call-ID and these tags, as seen from our side; -1: none. */
int find_call(const std::string &callId, const std::string &localTag, const std::string &remoteTag);

/* Call-ID, our tag and the peer's tag of the dialog of a PJSUA call; empty when there is none. */
std::vector<std::string> dialog_of(int callId);

/* Register the modules (once, after libInit) and name the handler; null takes it away. */
void set_request_handler(RequestHandler *handler);

#ifndef SWIG
/* The handler, or null. */
RequestHandler *request_handler();

/* Be asked about requests in this dialog. */
void watch_dialog(pjsip_dialog *dialog);

/* Whose the transactions are in which requests outside of our calls are answered. */
pjsip_module *stray_requests();
#endif

/* Ask a peer with OPTIONS, outside of any dialog and with the account's identity, whether it is there. */
bool send_options(int account, const std::string &uri, int token);

}
