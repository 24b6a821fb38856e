# SPDX-License-Identifier: GPL-2.0-or-later
"""The user agent as the app has it: with its life, and what is known of trunks and subscriptions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from gateway.config import Config
from gateway.core.model import LegId
from gateway.core.sip_message import Captured, KeptMessages
from gateway.ports import Clock, ExtensionWatcher, SipListener, SipPort, Stranger


class Trunks(Protocol):
    """What is known of the trunks."""

    @property
    def up(self) -> Mapping[str, bool | None]:
        """Whether each answers, by name; None: nobody asks it."""

    @property
    def since(self) -> Mapping[str, datetime]:
        """When each was found to answer, or not to, by name; one that was not heard of yet is not among them."""

    @property
    def failures(self) -> Mapping[str, str]:
        """Why each that does not answer was found not to, by name; one that was not heard of yet is not among them."""


class Subscriptions(ExtensionWatcher, Protocol):
    """What the PBXs are asked to tell over SIP."""

    @property
    def count(self) -> int:
        """How many subscriptions there are."""


class UserAgent(SipPort, Protocol):
    """The user agent with its life: what the app starts, reconfigures and stops, and asks for its counts."""

    @property
    def trunks(self) -> Trunks:
        """The trunks."""

    @property
    def subscriptions(self) -> Subscriptions:
        """The subscriptions that we hold."""

    @property
    def counts(self) -> Mapping[str, int]:
        """How many legs, joined pairs and subscriptions there are."""

    @property
    def bridge_hz(self) -> int:
        """Samples a second of what is mixed."""

    @property
    def stack(self) -> Mapping[str, int]:
        """What the SIP stack itself holds."""

    @property
    def strangers(self) -> Sequence[Stranger]:
        """Who was turned away within the last hour because no profile has the address; the last of them first."""

    def has_more(self) -> bool:
        """Whether messages that have come wait for its next turn of the loop."""

    def dialogs(self, most: int, call_id: str = "") -> Sequence[Mapping[str, Any]]:
        """Up to so many of the dialogs that it holds, the oldest first, and who holds each: JSON-able.

        With a `call_id` those alone that have it.
        """

    def keep_messages(self, max_mb: int, calls: int) -> None:
        """Keep the SIP messages of so many calls, in so many megabytes; 0: none."""

    def messages(self, call_id: str) -> KeptMessages | None:
        """What is kept of the leg with this SIP Call-ID; None: nothing."""

    def forget_messages(self, texts: Sequence[str]) -> frozenset[str]:
        """Let go of all that is kept of a leg in whose messages one of these texts stands: the Call-IDs of them all."""

    def forget_legs(self, call_ids: Collection[str]) -> None:
        """Let go of what is kept of these legs."""

    def capture(self, most_bytes: int) -> None:
        """Have so many bytes of what calls send and receive, SIP and RTCP, wait to be taken; 0: none."""

    def captured(self, most: int) -> Sequence[Captured]:
        """Take up to so many of those that wait, the oldest first."""

    @property
    def capture_lost(self) -> int:
        """How many there was no room for, since the start."""

    @property
    def kept(self) -> Mapping[str, int]:
        """How much of SIP messages is kept."""

    def start(self) -> None:
        """Listen, and serve. Raises SipError."""

    def reconfigure(self, config: Config) -> None:
        """Take another configuration, or raise; the one before it can then be taken again."""

    async def part(self, left: Collection[LegId]) -> None:
        """End every leg but those that are `left`, which go on, and what we have subscribed to."""

    def leave(self) -> None:
        """Send, receive and free nothing more: no peer of a leg that is there is told anything.

        The process is to be ended at once then, without the interpreter's own end (`os._exit`).
        """

    async def stop(self) -> None:
        """End every leg and free what was taken, also after a `start` that failed."""


MakeUserAgent = Callable[[Config, SipListener, Clock], UserAgent]
