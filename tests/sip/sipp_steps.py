# SPDX-License-Identifier: GPL-2.0-or-later
"""What a SIPp platform does once its call is up, as XML for tests/support/scenarios/transferor.xml."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.sipp import Sipp
from tests.support.sipp_script import checks, used

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.support.certificates import Identity
    from tests.support.sip_message import Address

OK = """
<send><![CDATA[
  SIP/2.0 {code} {phrase}
  [last_Via:]
  [last_From:]
  [last_To:]
  [last_Call-ID:]
  [last_CSeq:]
  Content-Length: 0

]]></send>
"""
FOUND = used("found")


CALLS = 3
ACTIVE, OVER = "active;expires=[0-9]+", "terminated;reason=noresource"


async def played(
    steps: Sequence[str],
    trunk: str,
    pbx: Address,
    gateway: Address,
    number: str,
    *,
    identity: Identity | None = None,
    transferred: bool = True,
) -> str:
    """Callers of a PBX, CALLS at a time, reach a platform, which does the steps; all the platform's messages.

    If they are `transferred` they reach an extension as well; with an `identity` the platform speaks TLS.
    """
    values = {"STEPS": "".join(steps)}
    platform = Sipp("transferor", trunk, calls=CALLS, timeout_s=25, values=values, identity=identity)
    extension = Sipp("extension", pbx[0], port=pbx[1], calls=CALLS, timeout_s=25, values={"RINGS_MS": "600"})
    caller = Sipp("call", pbx[0], port=pbx[1] + 1, remote=gateway, service=number, calls=CALLS, hold_ms=3500)
    async with platform, extension:
        for listening in (platform, extension):
            await listening.child.ready(listening.listening)
        async with caller:
            called = (await caller.finished()).check()
        assert called.counters == {"called": CALLS, "answered": CALLS, "refused": 0}
        answered = (await platform.finished()).check()
        assert answered.counters == {"called": CALLS, "released": CALLS}
        if transferred:
            reached = (await extension.finished()).check()
            assert reached.counters == {"called": CALLS, "answered": CALLS}
        else:
            assert "INVITE" not in extension.messages()
        return platform.messages()


def refer(refer_to: str, *headers: str, number: int = 1, again: bool = False) -> str:
    """Send a REFER with this CSeq; `again`: the very same one, as if its answer had been lost."""
    retransmission = "" if again else ' retrans="500"'
    extra = "".join(f"\n  {header}" for header in headers)
    return f"""
<send{retransmission}><![CDATA[
  REFER [next_url] SIP/2.0
  Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=z9hG4bK-[pid]-[call_number]-refer-{number}
  From: [$local]
  To: [$far]
  Call-ID: [call_id]
  CSeq: {number} REFER
  Contact: <sip:assistant@[local_ip]:[local_port];transport=[transport]>
  Max-Forwards: 70
  Refer-To: {refer_to}{extra}
  Content-Length: 0

]]></send>
"""


def response(code: int, **headers: str) -> str:
    """Wait for a response with this code, whose headers (`retry_after` is Retry-After) match these expressions."""
    if not headers:
        return f'<recv response="{code}" />'
    return f'<recv response="{code}"><action>{checks(headers)}</action></recv>{FOUND}'


def notify(code: int, state: str, *, event: str = "refer", answer: int = 200, phrase: str = "[A-Za-z ]+") -> str:
    """Wait for a NOTIFY of this code and phrase with this Subscription-State and Event, and answer it."""
    wanted = {"event": event, "subscription_state": state, "content_type": "message/sipfrag;version=2.0"}
    checked = checks(wanted, f"^SIP/2.0 {code} {phrase}[[:cntrl:]]*$")
    answered = OK.format(code=answer, phrase="OK" if answer == 200 else "No")
    return f'<recv request="NOTIFY"><action>{checked}</action></recv>{answered}{FOUND}'


def bye() -> str:
    """Wait for the BYE, which has to be the next that comes."""
    return f'<recv request="BYE" timeout="15000" counter="released" />{OK.format(code=200, phrase="OK")}'
