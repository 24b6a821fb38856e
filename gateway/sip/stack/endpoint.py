# SPDX-License-Identifier: GPL-2.0-or-later
"""PJSIP itself, brought up without a sound card and without threads of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pjsua2 as pj

from gateway.sip.stack import settings
from gateway.sip.stack.refusals import refused_as

if TYPE_CHECKING:
    from gateway.config import SipSettings


def set_log_level(*, debug: bool) -> None:
    """Have PJSIP write what it does and each SIP message, or nothing; at any time."""
    pj.set_log_level(settings.log_level(debug=debug))


class Endpoint(pj.Endpoint):
    """Picks the account of the peer whose request is being handled, so that nobody meets another's credentials."""

    account = 0

    def onSelectAccount(self, prm: pj.OnSelectAccountParam) -> None:  # pjsua2's name
        """PJSUA: which account is an incoming call for."""
        prm.accountIndex = self.account

    @classmethod
    def opened(cls, sip: SipSettings, *, debug: bool, bridge_hz: int) -> Endpoint:
        """The one endpoint there can be, without transports yet; `libStart()` it once it has some. Raises SipError."""
        endpoint = cls()
        set_log_level(debug=debug)
        with refused_as("PJSIP cannot be started"):
            endpoint.libCreate()
            endpoint.libInit(settings.endpoint_config(sip.max_calls, debug, bridge_hz))
            pj.leave_unheard()
            pj.tell_states()
            pj.guard_media_start()
            pj.begin_bridge_clock()
        return endpoint
