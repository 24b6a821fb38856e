# SPDX-License-Identifier: GPL-2.0-or-later
"""A PBX's manager interface as the gateway follows it: what agents' phones and a queue do, as many events as calls.

It is scripted, since a real PBX would take the processor from those who are compared. It tells of each call that it
gets, that a phone has taken it before it is answered, and when it ends. The extension that callers are put through to
stays idle in it; what changes belongs to others whom the gateway follows as well.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from tests.pbx.fake_ami import FakeAmi, caller, changed, dial, hint, member, rings_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.configuration import Configuration

SHARE_S = 0.01
"""What changes is told as the calls come: ten calls' changes at once would hold up what follows them."""
EVENTS_A_CALL = 10
PICKED_UP_AFTER_S = 0.01
"""Half of what the second party rings for."""
GONE_AFTER_S = 2.0


class BusyPbx:
    """`async with BusyPbx() as pbx`, and `pbx.calls_per_second = 20`."""

    def __init__(self) -> None:
        self.calls_per_second = 0.0
        self._calls = 0
        self._ami = FakeAmi()
        self._ami.queues = {"sales": [member("PJSIP/6001"), member("PJSIP/6002")]}
        self._ami.hints = [hint("6001", 0), hint("6002", 0)]

    async def __aenter__(self) -> Self:
        await self._ami.__aenter__()
        self._task = asyncio.create_task(self._work())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        await self._ami.stop()

    def followed_by(self, files: Configuration) -> None:
        """Have a gateway follow it, with the login and the file of a real one."""
        files.follow("asterisk", self._ami.port, self._ami.secret)

    def rings(self, call_id: str, picked_up: Callable[[], None] = lambda: None) -> None:
        """A call has come, which a phone takes before it is answered: as Asterisk tells it of a `Dial` of one phone.

        `picked_up` is called once that is told.
        """
        self._calls += 1
        unique, channel, phone = f"1.{self._calls}", f"PJSIP/gw-{self._calls:08x}", f"PJSIP/6001-{self._calls:08x}"
        self._ami.call_ids[channel] = call_id
        self._ami.send(
            rings_in(unique, channel),
            rings_in(f"of {phone}", phone, ChannelState="0", Linkedid=unique),
            dial("DialBegin", phone, root=unique, unique=unique, channel=channel, DialString="6001"),
        )
        loop = asyncio.get_running_loop()
        loop.call_later(PICKED_UP_AFTER_S, self._picked_up, unique, channel, phone, picked_up)
        loop.call_later(GONE_AFTER_S, self._gone, unique, channel)

    def _picked_up(self, unique: str, channel: str, phone: str, then: Callable[[], None]) -> None:
        self._ami.send(dial("DialEnd", phone, root=unique, unique=unique, channel=channel, DialStatus="ANSWER"))
        then()

    def _gone(self, unique: str, channel: str) -> None:
        del self._ami.call_ids[channel]
        self._ami.send({"Event": "Hangup", "Channel": channel, "Uniqueid": unique, "Linkedid": unique, "Cause": "16"})

    async def _work(self) -> None:
        owed, number = 0.0, 0
        while True:
            await asyncio.sleep(SHARE_S)
            owed += self.calls_per_second * SHARE_S
            while owed >= 1:
                owed -= 1
                number += 1
                self._call(str(number))

    def _call(self, unique: str) -> None:
        """What a queue's call is about, as Asterisk 22 tells whom its filter lets see queues and states of devices."""
        device = {"Event": "DeviceStateChange", "Device": "PJSIP/6002"}
        self._ami.send(
            caller("QueueCallerJoin", unique, Position="1", Count="1"),
            {**device, "State": "RINGING"},
            changed("QueueMemberStatus", "PJSIP/6002", status=6),
            hint("6002", 8),
            {**device, "State": "INUSE"},
            changed("QueueMemberStatus", "PJSIP/6002", status=2),
            caller("QueueCallerLeave", unique, Position="1", Count="0"),
            {**device, "State": "NOT_INUSE"},
            changed("QueueMemberStatus", "PJSIP/6002", status=1),
            hint("6002", 0),
        )
