/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the gateway adds to pjsua2.
 */
%{
#include "calls.hpp"
#include "capabilities.hpp"
#include "contacts.hpp"
#include "dialogs.hpp"
#include "dropped_media.hpp"
#include "front.hpp"
#include "leg_call.hpp"
#include "loop.hpp"
#include "media_start.hpp"
#include "media.hpp"
#include "outgoing.hpp"
#include "referrals.hpp"
#include "relay.hpp"
#include "requests.hpp"
#include "sessions.hpp"
#include "shown.hpp"
#include "sip_request.hpp"
#include "resolver.hpp"
#include "rtp_source.hpp"
#include "subscriptions.hpp"
#include "unheard.hpp"
#include "watches.hpp"
%}

%feature("director") gateway::RequestHandler;
%template(LongVector) std::vector<long>;
%feature("director") gateway::LegCall;
// These become the others, in C++.
%feature("nodirector") gateway::LegCall::onCallState;
%feature("nodirector") gateway::LegCall::onCallMediaState;
%feature("nodirector") gateway::LegCall::onStreamDestroyed;
%nodefaultctor gateway::SipRequest;


// An exception that went on through SWIG's wrapper would end the process.
%include <exception.i>
%exception {
    try {
        $action
    } catch (const std::exception &error) {
        SWIG_exception(SWIG_RuntimeError, error.what());
    }
}

%include "calls.hpp"
%include "capabilities.hpp"
%include "contacts.hpp"
%include "dialogs.hpp"
%include "dropped_media.hpp"
%include "front.hpp"
%include "leg_call.hpp"
%include "loop.hpp"
%include "media_start.hpp"
%include "media.hpp"
%include "outgoing.hpp"
%include "sip_request.hpp"
%include "requests.hpp"
%include "referrals.hpp"
%include "relay.hpp"
%include "resolver.hpp"
%include "rtp_source.hpp"
%include "sessions.hpp"
%include "shown.hpp"
%include "subscriptions.hpp"
%include "unheard.hpp"
%include "watches.hpp"

%exception;
