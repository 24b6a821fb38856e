# SPDX-License-Identifier: GPL-2.0-or-later
"""What stands before every request: who may ask, and how errors look."""

import ipaddress
import json
import logging
import time
from collections.abc import Callable, Collection, Mapping

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler, Middleware

TOLD_EVERY_S = 60.0

log = structlog.get_logger(__name__)


class Problem(Exception):  # noqa: N818 -- an answer, not a fault
    """An answer that is no success: status, a slug for programs, a sentence for people."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers
        self.more = more or {}

    def response(self) -> web.Response:
        """`{"error": {"code": …, "message": …}}`, and what else there is to say."""
        error = {"code": self.code, "message": str(self)}
        return json_response({"error": error, **self.more}, status=self.status, headers=self.headers)


def json_response(body: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A JSON answer that no cache keeps: it is about this moment."""
    return web.Response(
        # Half a surrogate pair that came in a request becomes its JSON escape.
        body=json.dumps(body, ensure_ascii=False).encode(errors="backslashreplace"),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **(headers or {})},
    )


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error becomes JSON with a clear sentence; what went wrong inside stays in the log."""
    try:
        return await handler(request)
    except Problem as problem:
        return problem.response()
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        message = f"{request.path} takes {allowed}"
        return Problem(405, "method-not-allowed", message, headers={"Allow": allowed}).response()
    except web.HTTPNotFound:
        return Problem(404, "not-found", "there is nothing at this address").response()
    except web.HTTPRequestEntityTooLarge:
        return Problem(413, "too-large", "the body is too large").response()
    except web.HTTPException as error:
        return Problem(error.status, "http", error.reason or "").response()
    except (HttpProcessingError, web.RequestPayloadError, ConnectionError) as error:
        unreadable(request.remote, error)
        return Problem(400, "bad-request", "the body cannot be read").response()
    except Exception:
        log.exception("http-request-failed", method=request.method, path=request.path)
        return Problem(500, "internal-error", "the gateway failed; its log tells why").response()


class Unreadable(logging.Filter):
    """Of what is no HTTP at all, the server would log a traceback each time; it says nothing about the gateway."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is logged as it is."""
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, HttpProcessingError | web.RequestPayloadError | ConnectionError | UnicodeError):
            return True
        unreadable(str(record.args[0]) if isinstance(record.args, tuple) and record.args else None, error)
        return False


def server_log(name: str) -> logging.Logger:
    """The logger of a server of aiohttp's, without what is unreadable."""
    made = logging.getLogger(name)
    if not made.filters:
        made.addFilter(Unreadable())
    return made


class Sometimes:
    """Has the first of many told, and how many there were since once a minute: who asks must not fill the log."""

    def __init__(self) -> None:
        self._told_at, self._since = float("-inf"), 0

    def others(self) -> int | None:
        """How many were not told since the last; None: nor is this one."""
        if time.monotonic() - self._told_at < TOLD_EVERY_S:
            self._since += 1
            return None
        others, self._since, self._told_at = self._since, 0, time.monotonic()
        return others


_unreadable = Sometimes()


def unreadable(remote: str | None, error: Exception) -> None:
    """Tell of a request that could not be read; of many, once a minute."""
    others = _unreadable.others()
    if others is not None:
        why = str(error).partition("\n")[0][:200] or type(error).__name__
        log.warning("http-request-unreadable", remote=remote, why=why, others_since=others)


def own_hosts_only(allowed: Callable[[], Collection[str]]) -> Middleware:
    """Refuse names that lead here by chance or by malice; those `allowed` at the moment do not.

    A page in a browser on this machine may have its own name resolve to 127.0.0.1, and so read what only this
    machine may read (DNS rebinding). Its name is then in the Host header; an address, or localhost, is no page's.
    """

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        name = _host_name(request.headers.get("Host", ""))
        if name != "localhost" and name not in allowed() and not _is_address(name):
            raise Problem(421, "wrong-host", f"this is not the server of {name or 'no name'}; ask by address")
        return await handler(request)

    return check


def _host_name(header: str) -> str:
    name = header.rpartition(":")[0] if header.rpartition(":")[2].isdigit() else header
    return name.strip("[]").rstrip(".").lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
