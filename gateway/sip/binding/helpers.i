/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the gateway adds to pjsua2.
 */
%{
#include "bridge_clock.hpp"
#include "calls.hpp"
#include "capabilities.hpp"
#include "captured.hpp"
#include "contacts.hpp"
#include "dialogs.hpp"
#include "dropped_media.hpp"
#include "front.hpp"
#include "key_tones.hpp"
#include "leg_call.hpp"
#include "loop.hpp"
#include "media_start.hpp"
#include "media.hpp"
#include "messages.hpp"
#include "outgoing.hpp"
#include "referrals.hpp"
#include "recovered.hpp"
#include "relay.hpp"
#include "requests.hpp"
#include "sessions.hpp"
#include "shown.hpp"
#include "sip_request.hpp"
#include "resolver.hpp"
#include "rtp_ports.hpp"
#include "rtp_source.hpp"
#include "secrets.hpp"
#include "subscriptions.hpp"
#include "tone_listener.hpp"
#include "unheard.hpp"
#include "unique_names.hpp"
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
%extend gateway::SipRequest {
%pythoncode %{
    def values(self, name, compact=""):
        """The values of each header of this name or (when not empty) compact name, unparsed, in their order."""
        read = self.__dict__.get("read")
        if read is None:
            told = self.fields()
            read = {}
            for at in range(0, len(told), 2):
                read.setdefault(told[at].lower(), []).append((at, told[at + 1]))
            self.__dict__["read"] = read
        found = read.get(name.lower(), ())
        if compact and (brief := read.get(compact.lower())):
            found = sorted((*found, *brief))
        return tuple(value for _, value in found)

    def remove(self, name):
        """Take every header of this name out of the request, before PJSUA sees it."""
        self.__dict__.pop("read", None)
        self.take_out(name)
%}
}

// An exception that went on through SWIG's wrapper would end the process.
%include <exception.i>
%exception {
    try {
        $action
    } catch (const std::exception &error) {
        SWIG_exception(SWIG_RuntimeError, error.what());
    }
}

%include "bridge_clock.hpp"
%include "calls.hpp"
%include "capabilities.hpp"
%include "captured.hpp"
%include "contacts.hpp"
%include "dialogs.hpp"
%include "dropped_media.hpp"
%include "front.hpp"
%include "key_tones.hpp"
%include "leg_call.hpp"
%include "loop.hpp"
%include "media_start.hpp"
%include "media.hpp"
%include "messages.hpp"
%include "outgoing.hpp"
%include "sip_request.hpp"
%include "requests.hpp"
%include "recovered.hpp"
%include "referrals.hpp"
%include "relay.hpp"
%include "resolver.hpp"
%include "rtp_ports.hpp"
%include "rtp_source.hpp"
%include "secrets.hpp"
%include "sessions.hpp"
%include "shown.hpp"
%include "subscriptions.hpp"
%include "tone_listener.hpp"
%include "unheard.hpp"
%include "unique_names.hpp"
%include "watches.hpp"

%exception;
