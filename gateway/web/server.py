# SPDX-License-Identifier: GPL-2.0-or-later
"""The HTTP server: metrics, health, and the JSON API for operators and programs."""

import asyncio
import contextlib
import ipaddress
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from datetime import datetime

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

import gateway
from gateway.commands import (
    CallBackCommand,
    CancelCommand,
    CommandError,
    HangUpCommand,
    TransferCommand,
    about,
    read_as,
)
from gateway.core.json_form import call_document, open_call_document, queue_document, timestamp, transfer_document
from gateway.core.model import PbxState
from gateway.core.outcome import Outcome
from gateway.core.record import TransferRecord
from gateway.ports import CannotRestartError, Clock, Operations, UnreadableError
from gateway.web import openapi
from gateway.web.addresses import addresses_response
from gateway.web.availability import availability_response
from gateway.web.bodies import json_object, json_object_if_any, naming_what_is_ignored
from gateway.web.connections import Served, noting
from gateway.web.guard import Problem, errors_as_json, json_response, own_hosts_only, server_log
from gateway.web.history import CALL, PLATFORM_CALL, TRANSFER, asks_history, figures_response, page_response
from gateway.web.live import LiveFeed
from gateway.web.messages import messages_routes
from gateway.web.page.files import file_response
from gateway.web.parameters import known_parameters_only
from gateway.web.sessions import Sessions
from gateway.web.signing_in import SigningIn
from gateway.web.tokens import ABOUT, AUTHOR, ONE_FOR_ALL, Permission, Token, needs
from gateway.web.whispers import upload_response

MAX_BODY = 64 * 1024  # bytes
MAX_DIALOGS = 200
"""Who looks for one that was left wants the oldest."""
MAX_CALLER = 200  # characters
MAX_NAMED = 64  # characters of what somebody calls a number or destination, in the audit trail
DEFAULT_AUDIT = 100
STATUS_OF = {"bad-request": 400, "not-allowed": 403, "unknown-call": 404, "unknown-transfer": 404, "too-late": 409}
"""The HTTP status for each code of a CommandError."""

log = structlog.get_logger(__name__)


class WebServer:
    """Serves `operations`. `token` None: the POSTs are refused.

    `metrics`, called in a thread of its own, writes them in the format that an Accept asks for: body and Content-Type.

    Bound to a loopback address it answers only to addresses, to localhost and to `host_names`.
    """

    def __init__(
        self,
        operations: Operations,
        *,
        metrics: Callable[[str], tuple[bytes, str]],
        token: str | None,
        clock: Clock,
        host_names: Collection[str] = (),
        tokens: Sequence[Token] = (),
    ) -> None:
        self._operations = operations
        self._metrics = metrics
        self.configure(token, host_names, tokens)
        self._clock = clock
        self._live = LiveFeed(operations, clock)
        self._sessions = Sessions(clock)
        self._served = Served(server_log(__name__))

    def take_port(self, host: str, port: int) -> None:
        """Have what `start` listens at; with port 0, nothing. Raises OSError when the address or port can't be had."""
        if port:
            self._served.take(host, port, tls=False)

    async def start(self, host: str, port: int) -> None:
        """Listen; with port 0, don't. Raises OSError as `take_port`, unless that was called before."""
        if port == 0:
            return
        if not self._served.has_port:
            self.take_port(host, port)
        middlewares: list[Middleware] = [
            noting, naming_what_is_ignored, errors_as_json, known_parameters_only, _command_errors,
        ]  # fmt: skip
        if ipaddress.ip_address(host).is_loopback:
            middlewares.append(own_hosts_only(lambda: self._host_names))
        app = web.Application(middlewares=middlewares, client_max_size=MAX_BODY)
        app.add_routes(self._routes())
        await self._served.start(app)
        log.info("http-served", address=f"{host}:{port}", changes="with a token" if self._tokens else "refused")

    async def stop(self) -> None:
        """Answer what was asked, and close. Safe to call twice."""
        await self._live.stop()
        await self._served.stop()

    def configure(self, token: str | None, host_names: Collection[str], tokens: Sequence[Token] = ()) -> None:
        """Take other tokens and other names, at once."""
        self._tokens = ((Token(ONE_FOR_ALL, token),) if token else ()) + tuple(tokens)
        self._host_names = host_names

    def _routes(self) -> list[web.RouteDef]:
        guarded = needs(lambda: self._tokens, self._operations, self._sessions)
        return [
            web.get("/", self._get_addresses),
            web.get("/page/{name}", self._get_page_file),
            web.get("/metrics", self._get_metrics),
            web.get("/healthz", self._get_health),
            web.get("/readyz", self._get_ready),
            web.get("/api/openapi.json", self._get_description),
            web.get("/api/status", self._get_status),
            web.get("/api/live", self._live.handle),
            web.get("/api/calls", self._get_calls),
            web.get("/api/dialogs", self._get_dialogs),
            web.get("/api/transfers", self._get_transfers),
            web.get("/api/transfers/{id}", self._get_transfer),
            *messages_routes(self._operations),
            *SigningIn(lambda: self._tokens, self._sessions).routes(),
            web.get("/api/platform-calls", self._get_platform_calls),
            web.get("/api/figures", self._get_figures),
            web.get("/api/queues", self._get_queues),
            web.get("/api/explain", self._get_explain),
            web.get("/api/configuration", self._get_configuration),
            web.get("/api/configuration/check", self._get_check),
            web.get("/api/availability", self._get_availability),
            web.get("/api/audit", guarded(Permission.READ, self._get_audit, "")),
            web.post("/api/calls/{id}/transfer", guarded(Permission.TRANSFER, self._post_transfer, "transfer")),
            web.post("/api/calls/{id}/cancel", guarded(Permission.TRANSFER, self._post_cancel, "cancel")),
            web.post("/api/calls/{id}/hangup", guarded(Permission.TRANSFER, self._post_hang_up, "hangup")),
            web.post("/api/callbacks", guarded(Permission.CALLBACK, self._post_call_back, "callback")),
            web.post("/api/transfers/{id}/cancel", guarded(Permission.TRANSFER, self._post_cancel, "cancel")),
            web.post("/api/whispers", guarded(Permission.TRANSFER, self._post_whisper, "whisper")),
            web.post("/api/probe", guarded(Permission.PROBE, self._post_probe, "probe")),
            web.post("/api/forget", guarded(Permission.FORGET, self._post_forget, "forget")),
            web.post("/api/reload", guarded(Permission.RELOAD, self._post_reload, "reload")),
            web.post("/api/restart", guarded(Permission.RESTART, self._post_restart, "restart")),
        ]

    async def _get_addresses(self, request: web.Request) -> web.Response:
        return addresses_response(request)

    async def _get_page_file(self, request: web.Request) -> web.Response:
        return file_response(request, request.match_info["name"])

    async def _get_metrics(self, request: web.Request) -> web.Response:
        # Thousands of series take tens of ms, in which no SIP message would be answered.
        body, kind = await asyncio.to_thread(self._metrics, ",".join(request.headers.getall("Accept", [])))
        return web.Response(body=body, headers={"Content-Type": kind, "Vary": "Accept"})

    async def _get_health(self, _request: web.Request) -> web.Response:
        return json_response({"status": "ok"})

    async def _get_ready(self, _request: web.Request) -> web.Response:
        ready, conditions = self._operations.ready()
        missing = [name for name, holds in conditions.items() if not holds]
        body = {"ready": ready, "conditions": dict(conditions), "missing": missing}
        return json_response(body, status=200 if ready else 503)

    async def _get_description(self, _request: web.Request) -> web.Response:
        # Made once, which takes some 100 ms.
        body = await asyncio.to_thread(openapi.body, gateway.__version__)
        return web.Response(body=body, content_type="application/json")

    async def _get_status(self, _request: web.Request) -> web.Response:
        return json_response(dict(self._operations.status()))

    async def _get_calls(self, request: web.Request) -> web.Response:
        if asks_history(request):
            return await page_response(request, self._operations, CALL, _limit(request))
        known = self._operations.open_calls()
        records = self._operations.calls()[: _limit(request)]
        calls = [open_call_document(record, known.get(record.call)) for record in records]
        return json_response({"calls": calls})

    async def _get_dialogs(self, request: web.Request) -> web.Response:
        most = _limit(request)
        most = MAX_DIALOGS if most is None else min(most, MAX_DIALOGS)
        dialogs = self._operations.dialogs(most, request.query.get("call_id", ""))
        return json_response({"dialogs": list(dialogs)})

    async def _get_transfers(self, request: web.Request) -> web.Response:
        if asks_history(request):
            return await page_response(request, self._operations, TRANSFER, _limit(request))
        records = await self._read(limit=_limit(request))
        return await asyncio.to_thread(_transfers_response, records)

    async def _get_transfer(self, request: web.Request) -> web.Response:
        wanted = request.match_info["id"]
        with contextlib.suppress(UnreadableError):
            if (past := await self._operations.past_transfer(wanted)) is not None:
                return json_response(dict(past))
        for record in await self._read(transfer=wanted):
            return json_response(transfer_document(record))
        raise Problem(404, "unknown-transfer", f"no transfer {wanted} is under way or remembered")

    async def _get_platform_calls(self, request: web.Request) -> web.Response:
        return await page_response(request, self._operations, PLATFORM_CALL, _limit(request))

    async def _get_figures(self, request: web.Request) -> web.Response:
        return await figures_response(request, self._operations, self._clock.now().wall)

    async def _read(self, *, limit: int | None = None, transfer: str | None = None) -> Sequence[TransferRecord]:
        try:
            return await self._operations.transfers(limit=limit, transfer=transfer)
        except UnreadableError as error:
            raise Problem(503, "unreadable", f"the transfers cannot be read: {error}") from None

    async def _get_queues(self, _request: web.Request) -> web.Response:
        states = self._operations.pbx_states()
        now = self._clock.now().wall
        queues = [queue_document(state, queue, now) for state in states for queue in state.queues]
        return json_response({"queues": queues, "pbxs": [_pbx_document(state, now) for state in states]})

    async def _get_explain(self, request: web.Request) -> web.Response:
        target, number = _parameter(request, "target"), _parameter(request, "number")
        at = _moment(request.query["at"]) if request.query.get("at") else None
        try:
            answer = self._operations.explain(target, number, at)
        except LookupError:
            raise Problem(404, "unknown-number", f"{number} is no assigned number, nor the id of one") from None
        return json_response(dict(answer))

    async def _get_configuration(self, _request: web.Request) -> web.Response:
        return await asyncio.to_thread(json_response, dict(await self._operations.configuration()))

    async def _get_check(self, _request: web.Request) -> web.Response:
        try:
            return json_response(dict(await self._operations.check_configuration()))
        except UnreadableError as error:
            raise Problem(503, "unreadable", f"the configuration cannot be read: {error}") from None

    async def _get_availability(self, request: web.Request) -> web.Response:
        destination = _parameter(request, "destination") if "destination" in request.query else None
        return availability_response(request, self._operations, _parameter(request, "number"), destination)

    async def _get_audit(self, request: web.Request) -> web.Response:
        most = _limit(request)
        return json_response({"commands": list(self._operations.audit(DEFAULT_AUDIT if most is None else most))})

    async def _post_transfer(self, request: web.Request) -> web.Response:
        body = await json_object(request)
        command = read_as(TransferCommand, {**body, "call": request.match_info["id"]})
        request[ABOUT]["call"] = command.call
        return self._decided(request, command)

    async def _post_call_back(self, request: web.Request) -> web.Response:
        command = read_as(CallBackCommand, {"type": "callback", **await json_object(request)})
        request[ABOUT]["call"] = command.call
        return self._decided(request, command)

    def _decided(self, request: web.Request, command: TransferCommand | CallBackCommand) -> web.Response:
        record = command.carry_out(self._operations, request[AUTHOR])
        request[ABOUT].update(about(record))
        document = transfer_document(record)
        if record.outcome is Outcome.REFUSED:
            why = f"{record.reason}: {record.trail[-1]}" if record.trail else f"{record.reason}"
            raise Problem(409, "refused", why, more={"transfer": document})
        return json_response({"transfer": document}, status=202)

    async def _post_cancel(self, request: web.Request) -> web.Response:
        body = await json_object_if_any(request)
        named = {"transfer": request.match_info["id"], "call": None}  # whichever it is
        record = read_as(CancelCommand, {"type": "cancel", **body, **named}).carry_out(
            self._operations, request[AUTHOR]
        )
        request[ABOUT].update(about(record))
        return json_response({"transfer": transfer_document(record)})

    async def _post_hang_up(self, request: web.Request) -> web.Response:
        body = await json_object_if_any(request)
        command = read_as(HangUpCommand, {"type": "hangup", **body, "call": request.match_info["id"]})
        request[ABOUT]["call"] = command.call
        record = command.carry_out(self._operations, request[AUTHOR])
        request[ABOUT].update(about(record))
        return json_response({"call": call_document(record)})

    async def _post_whisper(self, request: web.Request) -> web.Response:
        return await upload_response(request, self._operations)

    async def _post_probe(self, request: web.Request) -> web.Response:
        body = await json_object(request)
        number, destination = body.get("number"), body.get("destination")
        if not isinstance(number, str) or not isinstance(destination, str):
            raise Problem(400, "bad-request", "number and destination: must be the ids of what is to be called")
        request[ABOUT].update(number=number[:MAX_NAMED], destination=destination[:MAX_NAMED])
        if not request[AUTHOR].may_command(number):
            raise Problem(403, "not-allowed", f"{request[AUTHOR].name} may not call destinations of {number}")
        try:
            result = await self._operations.probe_call(number, destination)
        except LookupError as error:
            raise Problem(404, "unknown-destination", str(error)) from None
        return json_response(asdict(result))

    async def _post_forget(self, request: web.Request) -> web.Response:
        caller = (await json_object(request)).get("caller")
        if not isinstance(caller, str) or not 0 < len(caller) <= MAX_CALLER:
            raise Problem(400, "bad-request", "caller: must be the number that is to be forgotten")
        try:
            return json_response(dict(await self._operations.forget(caller)))
        except ValueError as error:
            raise Problem(400, "bad-request", f"caller: {error}") from None
        except UnreadableError as error:
            raise Problem(503, "unreadable", f"not all of it could be erased; ask again: {error}") from None

    async def _post_reload(self, request: web.Request) -> web.Response:
        with contextlib.suppress(Problem):  # whatever it says, it changes nothing
            await json_object_if_any(request)
        done = await self._operations.reload()
        restart_needed = list(done.restart_needed)
        if done.mistakes:
            message = "the configuration has mistakes, so the old one stays in force"
            more = {"mistakes": list(done.mistakes), "restart_needed": restart_needed}
            raise Problem(422, "bad-configuration", message, more=more)
        return json_response({"reloaded": True, "applied": list(done.applied), "restart_needed": restart_needed})

    async def _post_restart(self, request: web.Request) -> web.Response:
        with contextlib.suppress(Problem):  # as for a reload
            await json_object_if_any(request)
        try:
            return json_response(dict(await self._operations.restart()), status=202)
        except CannotRestartError as error:
            status = 422 if error.mistakes else 409
            raise Problem(status, error.code, str(error), more={"mistakes": list(error.mistakes)}) from None


@web.middleware
async def _command_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except CommandError as error:
        raise Problem(STATUS_OF[error.code], error.code, str(error)) from None


def _transfers_response(records: Sequence[TransferRecord]) -> web.Response:
    return json_response({"transfers": [transfer_document(record) for record in records]})


def _pbx_document(state: PbxState, now: datetime) -> dict[str, object]:
    fresh = state.fresh(now)
    return {
        "pbx": state.pbx,
        "source": state.source,
        "known": fresh,
        "unknown_because": None if fresh or state.proven_at else state.unknown_because,
        "proven_at": state.proven_at and timestamp(state.proven_at),
    }


def _limit(request: web.Request) -> int | None:
    text = request.query.get("limit")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 7):
        raise Problem(400, "bad-request", "limit: must be a whole number")
    return int(text)


def _parameter(request: web.Request, name: str) -> str:
    text = request.query.get(name, "")
    if not text.strip():
        raise Problem(400, "bad-request", f"{name}: is missing")
    # A person who writes ?target=+3161… by hand means the plus, which a query string turns into a blank.
    return f"+{text[1:]}" if text.startswith(" ") else text


def _moment(text: str) -> datetime:
    # As above: the plus of a time zone.
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
    except ValueError:
        moment = None
    if moment is None or not 1970 <= moment.year < 9999:  # those in which every zone can tell the time
        raise Problem(400, "bad-request", "at: must be a time such as 2026-03-02T09:30 or 2026-03-02T09:30:00+01:00")
    return moment
