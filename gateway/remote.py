# SPDX-License-Identifier: GPL-2.0-or-later
"""How the command asks a gateway that is running on this machine: over its own HTTP API."""

import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway.config import HttpSettings

TIMEOUT_S = 2.0
MOST_BYTES = 64 * 1024 * 1024
"""Of an answer; the largest page of transfers is a tenth of it."""
RELOAD_S = 40.0
"""Longer than the gateway itself waits for its files."""
RESTART_S = 60.0
"""How much longer than for its calls a gateway that restarts is waited for."""
FIRST = 1
"""The process that a system, or a container, is started with."""
_FIRST_WORDS = Path("/proc/1/cmdline")


class RemoteError(Exception):
    """No gateway answers where the configuration says it should, or not with what was asked for."""


class UnreachableError(RemoteError):
    """Nothing answers there at all."""


class RefusedError(RemoteError):
    """The gateway answers, and says no: `code` is its slug, `answer` all that it said."""

    def __init__(self, text: str, code: str, answer: Mapping[str, Any]) -> None:
        super().__init__(text)
        self.code = code
        self.answer = answer


def ask(
    http: "HttpSettings", path: str, body: Mapping[str, str] | None = None, *, within_s: float = TIMEOUT_S
) -> dict[str, Any]:
    """Ask the running gateway; with a body, as a POST.

    Raises RefusedError when it says no, and RemoteError when it does not answer as it should.
    """
    answer = _answer(http, path, body, within_s, lambda response: json.loads(_whole(response)))
    if not isinstance(answer, dict):
        raise RemoteError(f"what answers at {_url(http)} is no gateway")
    return answer


def read_metrics(http: "HttpSettings") -> str:
    """What Prometheus would be told, in its text format. Raises RemoteError."""
    text: str = _answer(http, "/metrics", None, TIMEOUT_S, lambda response: _whole(response).decode())
    return text


def _whole(response: Any) -> bytes:
    """The body. Raises ValueError where no gateway would ever send so much."""
    body: bytes = response.read(MOST_BYTES + 1)
    if len(body) > MOST_BYTES:
        raise ValueError("too much")
    return body


def _url(http: "HttpSettings") -> str:
    if not http.port:
        raise RemoteError("the gateway has no HTTP port ([http] port = 0)")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(http.bind_address, http.bind_address)
    return f"http://{f'[{host}]' if ':' in host else host}:{http.port}"


def _answer(
    http: "HttpSettings",
    path: str,
    body: Mapping[str, str] | None,
    within_s: float,
    read: Callable[[Any], Any],
) -> Any:
    url = _url(http)
    request = urllib.request.Request(f"{url}{path}", headers={"Accept": "application/json"})  # noqa: S310 - http alone
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
        if http.token:
            request.add_header("Authorization", f"Bearer {http.token.get_secret_value()}")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy knows nothing of our loopback
    try:
        with opener.open(request, timeout=within_s) as response:
            return read(response)
    except urllib.error.HTTPError as error:
        with error:
            raise _refused(url, error) from None
    except (ValueError, RecursionError):
        raise RemoteError(f"what answers at {url} is no gateway") from None
    except OSError as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, OSError):
            reason = reason.strerror or str(reason) or type(reason).__name__
        raise UnreachableError(f"no gateway answers at {url} ({reason})") from None
    except HTTPException as error:
        raise RemoteError(f"what answers at {url} is no gateway ({type(error).__name__})") from None


def not_in_force(http: "HttpSettings", instance: str, directory: Path) -> Iterator[str]:
    """What the running gateway of this configuration has not taken of it yet, in words; nothing where none answers."""
    try:
        status = ask(http, "/api/status")
    except RemoteError:
        return
    if status.get("instance") != instance:
        return
    for name, file in status.get("configuration", {}).get("files", {}).items():
        try:
            # When it was written, moved there or given other rights; by the clock of the same machine.
            changed = (directory / name).stat().st_ctime > datetime.fromisoformat(file["read_at"]).timestamp()
        except OSError:
            continue
        if changed:
            yield f"{name}: changed since the running gateway read it; a {file['renewed_by']} brings it"
    for key in status.get("restart_needed", []):
        yield f"{key}: the running gateway has another value; a restart brings it"


def reload_by_signal(http: "HttpSettings", instance: str, pid: int) -> dict[str, Any] | None:
    """Have the process load its configuration (SIGHUP), and wait until it has: what `/api/status` then says of it.

    None: the process was told, and nobody here tells what came of it. Raises RemoteError where it cannot be told, does
    not end its reload, or is a system's first and no gateway.
    """
    if pid == FIRST and (other := _first_besides_a_gateway()):
        raise RemoteError(
            f"process {FIRST} is {other} and no gateway; systemctl show -P MainPID transfer-gateway tells which one is"
        )
    before = _reloads(http, instance)
    try:
        os.kill(pid, signal.SIGHUP)
    except OSError as error:
        raise RemoteError(f"process {pid} cannot be told to reload: {error.strerror}") from None
    if before is None:
        return None
    return _reloaded(http, pid, before)


def reload_by_another(http: "HttpSettings", instance: str, pid: int) -> dict[str, Any] | None:
    """Wait for the reload for which the process has been sent a `SIGHUP` already; otherwise as `reload_by_signal`."""
    # Whoever is answered after the signal meets a gateway that has seen it: what it answers from now on tells of that
    # reload, as under way or as over. The first answer may have been on its way together with the signal.
    if _reloads(http, instance) is None:
        return None
    return _reloaded(http, pid, None)


def _reloaded(http: "HttpSettings", pid: int, before: int | None) -> dict[str, Any]:
    """What `/api/status` says once no reload is under way and there were others than `before`. Raises RemoteError."""
    until = time.monotonic() + RELOAD_S
    while time.monotonic() < until:
        time.sleep(0.05)
        try:
            os.kill(pid, 0)
        except OSError:
            raise RemoteError(f"process {pid} has ended") from None
        try:
            status = ask(http, "/api/status")
        except RemoteError:
            continue  # it is busy, or another one starts
        configuration = status.get("configuration", {})
        # One that was under way before may have ended without what is on disk now.
        if configuration.get("reloads", 0) != before and not configuration.get("reloading"):
            return status
    raise RemoteError(f"the gateway has not ended its reload within {RELOAD_S:.0f} s")


def restarted(http: "HttpSettings", begun: Mapping[str, Any]) -> dict[str, Any]:
    """What `/api/status` says once the next process serves; `begun` is what was answered. Raises RemoteError."""
    until = time.monotonic() + begun["within_s"] + RESTART_S
    is_gone = False
    while time.monotonic() < until:
        time.sleep(0.05)
        try:
            status = ask(http, "/api/status")
        except RemoteError:
            is_gone = True
            continue
        if status.get("state") == "online" and (is_gone or status.get("started_at") != begun["started_at"]):
            return status
    why = "the gateway has ended, and none was started after it" if is_gone else "the gateway has not ended"
    raise RemoteError(
        f"{why} within {begun['within_s'] + RESTART_S:.0f} s; systemctl status transfer-gateway tells more"
    )


def _first_besides_a_gateway() -> str:
    """The name of this system's first process where that is something else; empty: it is a gateway, as in a container.

    An init that a container is run with (`docker run --init`) has the gateway's words behind its own, and hands it the
    signal.
    """
    try:
        words = _FIRST_WORDS.read_bytes().decode(errors="replace").split("\0")
    except OSError as error:
        return f"unknown ({error.strerror})"
    gateway = any(Path(word).name == "transfer-gateway" for word in words) and "run" in words
    return "" if gateway else Path(words[0].split(" ")[0]).name or "unknown"


def _reloads(http: "HttpSettings", instance: str) -> int | None:
    """How many reloads the running gateway has done; None: it does not tell, or is another one."""
    try:
        status = ask(http, "/api/status")
    except RemoteError:
        return None
    done = status.get("configuration", {}).get("reloads")
    return done if status.get("instance") == instance and isinstance(done, int) else None


_LISTED = {
    "unknown-call": "; transfer-gateway calls lists them",
    "unknown-transfer": "; transfer-gateway transfers lists them",
}
"""Where the ids are that can be asked for, by the code of a refusal."""


def _refused(url: str, error: urllib.error.HTTPError) -> RemoteError:
    """What an error response says: `{"error": {"code": …, "message": …}}`, and whatever else."""
    try:
        answer = json.load(error)
        code, message = answer["error"]["code"], answer["error"]["message"]
    except (OSError, ValueError, TypeError, KeyError):
        phrase = HTTPStatus(error.code).phrase if error.code in list(HTTPStatus) else ""
        return RemoteError(f"the gateway at {url} answers {error.code} {phrase}".rstrip())
    hint = _LISTED.get(code, "") if isinstance(code, str) else ""
    return RefusedError(f"the gateway at {url} answers {error.code}: {message}{hint}", str(code), answer)
