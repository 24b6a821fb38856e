# SPDX-License-Identifier: GPL-2.0-or-later
"""What a PBX says of its queues and extensions, and who wants to know."""

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from gateway.core.model import AnsweredBy, PbxState


class PbxListener(Protocol):
    """Who wants to know what a PBX says."""

    def pbx_changed(self, state: PbxState) -> None:
        """The snapshot of `state.pbx` was replaced by `state` (also when it became unknown)."""

    def agent_connected(self, pbx: str, sip_call_id: str, agent: str, at: datetime) -> None:
        """An agent of a queue took the call that reached the PBX with this SIP Call-ID, at `at` (UTC).

        For a caller whom the PBX moved by itself it is the transfer's id, as the PBX found it in Refer-To.
        """

    def call_answered(self, pbx: str, sip_call_id: str, by: AnsweredBy | None, name: str, at: datetime) -> None:
        """Who or what else took it; `by` None: nobody yet, the PBX is still looking for a person.

        `name` is the interface of a phone or line such as "PJSIP/6001", or the name of an application.
        """

    def answerer_unknown(self, pbx: str, sip_call_id: str) -> None:
        """What `PbxSource.identify` was asked about will not be known: nobody needs to wait for it."""

    def caller_queued(self, pbx: str, sip_call_id: str, queue: str, place: int, at: datetime) -> None:
        """The call, named as in `agent_connected`, waits in a queue since `at` (UTC), at this place; 0: not told."""

    def caller_lost(self, pbx: str, transfer: str, cause: int, at: datetime) -> None:
        """A caller whom the PBX moved by itself was gone before a human took the call; `cause` as in Q.850.

        `transfer` may also be the SIP Call-ID of a caller in a queue, of whom nothing needs to be done: its leg tells.
        """


class PbxSource(Protocol):
    """A source of queue and extension state for one PBX."""

    @property
    def state(self) -> PbxState:
        """The newest snapshot; never raises, never waits."""

    def identify(self, sip_call_id: str) -> bool:
        """The PBX has answered the call with this Call-ID: tell the listener by whom. False: it cannot be known."""


class FollowedPbx(PbxSource, Protocol):
    """A source that is kept current."""

    @property
    def up(self) -> bool:
        """Whether the PBX tells us its state, and proved to be alive within the snapshot's `max_age`."""

    @property
    def failure(self) -> str:
        """Why the PBX could not be asked; empty: it could, or that was not tried yet."""

    def reconfigure(self, queues: Collection[str], extensions: Collection[str]) -> None:
        """Watch these queues and extensions from now on; new ones are unknown until the PBX told of them."""

    async def run(self) -> None:
        """Keep the snapshot current, until cancelled."""


class WatchListener(Protocol):
    """Who wants to know what becomes of a watch. Never called from within a method of ExtensionWatcher."""

    def watch_told(self, watch: int, content_type: str, body: bytes) -> None:
        """The extension's state as the PBX tells it (lower case type, both empty: it tells none)."""

    def watch_confirmed(self, watch: int) -> None:
        """The PBX has accepted the subscription, or still has it."""

    def watch_ended(self, watch: int, code: int, reason: str, retry_after_s: int | None) -> None:
        """The PBX answered SUBSCRIBE with `code` (408 and 503: it did not), or, 0, ended the watch for `reason`."""


class ExtensionWatcher(Protocol):
    """Subscriptions to the state of a PBX's extensions (RFC 6665); they are refreshed until they end."""

    def watch(self, pbx: str, extension: str, package: str, listener: WatchListener) -> int:
        """Subscribe; `package` is "dialog" or "presence". Raises NotSentError when that cannot even be tried."""

    def confirm(self, watch: int) -> None:
        """Have the PBX say that it still has the subscription, and tell the whole state again."""

    def unwatch(self, watch: int) -> None:
        """End a subscription; its listener hears nothing more. An unknown one is no error."""
