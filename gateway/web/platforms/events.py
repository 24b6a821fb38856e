# SPDX-License-Identifier: GPL-2.0-or-later
"""What a platform asks or tells, and who handles it.

    async def status(event: PlatformEvent) -> JsonObject | None: …
    handlers = {("hms", "status-update"): Handler(status)}

Whoever handles an event gets it proved, read and bounded, with the number of ours that it is about.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, TypeAlias

from gateway.web.guard import Problem, json_response

if TYPE_CHECKING:
    from aiohttp import web

    from gateway.core.model import AssignedNumber
    from gateway.ports.platform import PlatformResult

JsonObject: TypeAlias = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class PlatformEvent:
    """Something that a platform asks or tells. Nothing in `message` is trusted but that the platform has sent it."""

    trunk: str  # name of the profile whose platform it is
    form: str  # "hms"
    type: str  # "tool-calls"
    message: JsonObject  # as the platform sent it, at most 32 levels deep
    called: str | None  # the number that it names as the one called; None: it names none, as for a call on the web
    number: AssignedNumber | None  # that one, if it is a number of this trunk's
    sent_at: datetime  # by the platform's clock, which the signature vouches for
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Handler:
    """Who handles the events of a type: what `answer` returns goes back as JSON, {} for None, within a second.

    `otherwise` is what the platform is told when that raises or takes too long; None: 500, or 503.
    """

    answer: Callable[[PlatformEvent], Awaitable[JsonObject | None]]
    otherwise: JsonObject | None = None


Handlers: TypeAlias = Mapping[tuple[str, str], Handler]
"""By form and type."""


class PlatformProblem(Problem):
    """A request that is not handled: `{"error": "…", "code": "…"}`, as the platforms' own APIs say it."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        result: PlatformResult,
        *,
        headers: Mapping[str, str] | None = None,
        close: bool = False,
    ) -> None:
        super().__init__(status, code, message, headers=headers)
        self.result = result
        self.close = close  # the connection: the rest of the request is not read

    def response(self) -> web.Response:
        """See Problem."""
        response = json_response({"error": str(self), "code": self.code}, status=self.status, headers=self.headers)
        if self.close:
            response.force_close()
        return response


@dataclass(frozen=True, slots=True)
class Proof:
    """That a request comes from who has the secret; with a `signature`, it does so once."""

    sent_at: float  # seconds since 1970
    signature: bytes | None


@dataclass(frozen=True, slots=True)
class Told:
    """What a request says, whichever form it has."""

    type: str
    message: JsonObject
    called: str | None


class Form(Protocol):
    """How a platform proves who it is, and writes what it asks and tells."""

    def prove(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes], now: float) -> Proof:
        """Before anything is read. Raises PlatformProblem."""

    def read(self, document: JsonObject) -> Told:
        """What the JSON object says. Raises PlatformProblem."""
