# SPDX-License-Identifier: GPL-2.0-or-later
"""One request with one event, and what its answer means.

No answer is trusted further than its status: redirects are not followed, bodies are not read but for what a connection
needs to be used again, cookies are not kept, and no proxy is taken from the environment.
"""

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum

import aiohttp

import gateway
from gateway.config.authorities import trusting
from gateway.ports import Clock, time_limit
from gateway.report.cursors import StoredEvent
from gateway.report.event import CONTENT_TYPE
from gateway.report.sinks.webhook.receiver import Receiver, signed

ANSWER_S = 15.0
"""Standard Webhooks asks senders to wait for 15 to 30 s."""
DRAIN_S = 1.0
MAX_BODY = 64 * 1024  # bytes of an answer that are read so that its connection can be used again
MAX_RETRY_AFTER_S = 3600.0
_KEEP_ALIVE_S = 4.0  # less than servers wait: one that closes just then would cost the event a try


class Said(Enum):
    """What came of a request."""

    TAKEN = "taken"
    GONE = "gone"  # 410: the receiver wants no more events
    AWAY = "away"  # there is no receiver, or it wants fewer requests: it says nothing of the event
    REFUSED = "refused"  # 4xx: it may be the event, or the signature
    FAILED = "failed"  # any other answer, or none: it may be the event that the receiver fails at


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request, why, and how long the receiver wants to be left alone."""

    said: Said
    why: str = ""
    retry_after_s: float = 0.0


class Post:
    """Sends events to one receiver, over a connection that is kept."""

    def __init__(self, receiver: Receiver, clock: Clock) -> None:
        self._receiver = receiver
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, event: StoredEvent) -> Answer:
        """Send an event; what came of it. Raises nothing that the receiver or the network may be the cause of."""
        body = event.payload.encode()
        at = int(self._clock.now().wall.timestamp())
        headers = {
            "Content-Type": CONTENT_TYPE,
            "User-Agent": f"transfer-gateway/{gateway.__version__}",
            **signed(self._receiver, event.event_id, at, body),
        }
        try:
            async with time_limit(self._clock, ANSWER_S):
                session = await self._open()
                async with session.post(
                    self._receiver.url, data=body, headers=headers, allow_redirects=False
                ) as answer:
                    await self._drain(answer)
                    return _meaning(answer, self._clock.now().wall)
        except TimeoutError:
            return Answer(Said.FAILED, f"no answer within {ANSWER_S:g} s")
        except aiohttp.ClientConnectorError as error:
            return Answer(Said.AWAY, f"no connection: {_cause(error)}")
        except (aiohttp.ClientError, OSError, ssl.SSLError, ValueError) as error:
            # Not the error's own words, which may hold the URL.
            return Answer(Said.FAILED, f"no answer: {type(error).__name__}")

    async def close(self) -> None:
        """Close the connection; the next event opens one anew."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            authority = self._receiver.ca_file
            trusted: ssl.SSLContext | bool = True
            if authority is not None:
                trusted = await asyncio.to_thread(trusting, authority)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=1, ssl=trusted, keepalive_timeout=_KEEP_ALIVE_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session

    async def _drain(self, answer: aiohttp.ClientResponse) -> None:
        """Read the rest of a short answer; of any other the connection is closed."""
        left = MAX_BODY
        with contextlib.suppress(TimeoutError, aiohttp.ClientError, OSError):
            async with time_limit(self._clock, DRAIN_S):
                async for piece in answer.content.iter_any():
                    left -= len(piece)
                    if left < 0:
                        break
                else:
                    return
        answer.close()


def _meaning(answer: aiohttp.ClientResponse, now: datetime) -> Answer:
    status = answer.status
    if 200 <= status < 300:
        return Answer(Said.TAKEN)
    after = _retry_after(answer.headers.get("Retry-After", ""), now)
    if status == 410:
        return Answer(Said.GONE, "410: it wants no more events")
    if status == 429:
        return Answer(Said.AWAY, "429: too many requests", after)
    if 300 <= status < 400:
        return Answer(Said.FAILED, f"{status}: it leads elsewhere, where nothing is sent")
    return Answer(Said.REFUSED if 400 <= status < 500 else Said.FAILED, f"{status}", after)


def _retry_after(text: str, now: datetime) -> float:
    """Seconds, from either form of the field (RFC 9110 §10.2.3); 0 without, or where it makes no sense."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), MAX_RETRY_AFTER_S)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, IndexError, OverflowError):
        return 0.0
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max((at - now).total_seconds(), 0.0), MAX_RETRY_AFTER_S)


def _cause(error: aiohttp.ClientConnectorError) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        why = error.certificate_error
        return getattr(why, "verify_message", "") or type(why).__name__
    return error.os_error.strerror or type(error.os_error).__name__
