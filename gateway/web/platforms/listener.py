# SPDX-License-Identifier: GPL-2.0-or-later
"""The listener for platforms: a server of its own, at which each request is proved before anything of it is read."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from gateway.core.numbers import e164
from gateway.ports.platform import OTHER, UNPROVED, PlatformObserver, PlatformResult
from gateway.web.connections import Served, noting
from gateway.web.guard import Problem, Sometimes, errors_as_json, json_response, server_log
from gateway.web.json_body import MAX_DEPTH, NoJsonError, has_too_many_parts, is_deeper_than, parsed
from gateway.web.platforms.events import Form, Handlers, JsonObject, PlatformEvent, PlatformProblem, Told
from gateway.web.platforms.hms import TOLERANCE_S, Hms
from gateway.web.platforms.limits import Rates, Signatures
from gateway.web.platforms.retell import Retell
from gateway.web.platforms.vapi import Vapi

if TYPE_CHECKING:
    from gateway.config import Config, PlatformForm, PlatformSettings
    from gateway.core.model import AssignedNumber
    from gateway.core.routing import Routes
    from gateway.ports import Clock
    from gateway.web.platforms.events import Handler
    from gateway.web.platforms.mcp import McpServer

MAX_BODY = 512 * 1024
"""Bytes: a report may hold all that was said in a long call."""
BODY_S = 5.0
"""How long a body may take to come."""
ANSWER_S = 0.9
"""How long whoever handles a request may take: the platform waits for 5 s or longer, a caller for less."""
FORMS: Mapping[str, Form] = {"hms": Hms(), "vapi": Vapi(), "retell": Retell()}

log = structlog.get_logger(__name__)


class PlatformListener:
    """Serves what `[platform]` says, and nothing where it says nothing; `handlers` is looked at for each request."""

    def __init__(
        self,
        config: Config,
        handlers: Handlers,
        clock: Clock,
        observer: PlatformObserver,
        mcp: McpServer | None = None,
    ) -> None:
        self._handlers = handlers
        self._mcp = mcp
        self._clock = clock
        self._observer = observer
        self._rates = Rates()
        self._signatures = Signatures(TOLERANCE_S)
        self._refused: dict[tuple[str, str], Sometimes] = {}  # by trunk and code
        self._tls: ssl.SSLContext | None = None
        self._served = Served(server_log(__name__))
        self.configure(config)

    def configure(self, config: Config) -> None:
        """Take other secrets, numbers and trunks, and a renewed certificate, at once."""
        self._config = config
        if self._mcp is not None:
            self._mcp.configure(config)
        settings = config.platform
        if self._tls is not None and settings is not None:
            try:
                _load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), settings)  # on trial
                _load(self._tls, settings)
            except (OSError, ssl.SSLError) as error:
                log.warning("platform-certificate-kept", why=str(error))

    def take_port(self) -> None:
        """Have what `start` listens at. Raises OSError when address, port or certificate can't be had."""
        if (settings := self._config.platform) is not None:
            self._tls = _context(settings)
            self._served.take(settings.bind_address, settings.port, tls=self._tls is not None)

    async def start(self) -> None:
        """Listen, where that is configured. Raises OSError as `take_port`, unless that was called before."""
        settings = self._config.platform
        if settings is None:
            return
        if not self._served.has_port:
            self.take_port()
        app = web.Application(middlewares=[noting, errors_as_json], client_max_size=MAX_BODY)
        app.router.add_post(f"{settings.path}/{{trunk}}", self._receive)
        app.router.add_post(settings.mcp_path, self._receive_mcp)
        await self._served.start(app, tls=self._tls, decompress=False)
        address = f"{settings.bind_address}:{settings.port}"
        log.info("platform-served", address=address, path=settings.path, tls=self._tls is not None)

    async def stop(self) -> None:
        """Answer what was asked, and close. Safe to call twice."""
        await self._served.stop()

    async def _receive_mcp(self, request: web.Request) -> web.StreamResponse:
        """Have the MCP server answer, within the same rates."""
        source = request.remote or ""
        if self._mcp is None:
            raise Problem(404, "not-found", "there is nothing at this address")
        if not self._rates.admit(source, self._clock.now().steady):
            raise Problem(429, "too-many-requests", "more requests than are taken", headers={"Retry-After": "1"})
        response = await self._mcp.receive(request)
        self._rates.proved(source, self._clock.now().steady)
        return response

    async def _receive(self, request: web.Request) -> web.StreamResponse:
        """Let a request in, or not; count it in either case."""
        began = self._clock.now().steady
        asked = _Asked()
        try:
            response = await self._answer(request, asked)
            asked.result = asked.result or PlatformResult.ANSWERED
        except PlatformProblem as problem:
            asked.result = problem.result
            self._tell(request, asked, problem)
            raise
        finally:
            result = asked.result or PlatformResult.FAILED
            self._observer.platform_asked(asked.trunk, asked.type, result, self._clock.now().steady - began)
        return response

    async def _answer(self, request: web.Request, asked: _Asked) -> web.Response:
        source = request.remote or ""
        if not self._rates.admit(source, self._clock.now().steady):
            raise PlatformProblem(
                429, "too-many-requests", "more requests than are taken", PlatformResult.TOO_MANY,
                headers={"Retry-After": "1"}, close=True,
            )  # fmt: skip
        name = request.match_info["trunk"]
        profile = self._config.trunks.get(name)
        platform = profile.platform if profile is not None else None
        if platform is None:
            message = "there is nothing at this address"
            raise PlatformProblem(404, "not-found", message, PlatformResult.NOT_FOUND, close=True)
        asked.trunk = name
        form = FORMS[platform.form]
        body = await _body(request)
        sent_at = self._prove(request, form, platform, body)
        self._rates.proved(source, self._clock.now().steady)
        told = form.read(_document(body))
        handler = self._handlers.get((platform.form, told.type))
        asked.type = told.type if handler is not None else OTHER
        if handler is None:
            # Any answer but a success could have the platform send it again, and again.
            asked.result = PlatformResult.IGNORED
            return json_response({})
        return await self._handled(handler, self._event(name, platform.form, told, sent_at), asked)

    def _prove(self, request: web.Request, form: Form, platform: PlatformForm, body: bytes) -> float:
        """When it was sent. Raises PlatformProblem."""
        secrets = [secret.get_secret_value().encode() for secret in platform.secrets]
        now = self._clock.now().wall.timestamp()
        proof = form.prove(request.headers, body, secrets, now)
        if proof.signature is not None:
            match self._signatures.take(proof.signature, proof.sent_at, now):
                case "seen":
                    raise PlatformProblem(401, "replayed", "this was sent before", PlatformResult.REPLAYED)
                case "full":
                    raise PlatformProblem(
                        503, "too-many-requests", "whether this was sent before could not be remembered",
                        PlatformResult.TOO_MANY, headers={"Retry-After": "60"},
                    )  # fmt: skip
        return proof.sent_at

    def _event(self, trunk: str, form: str, told: Told, sent_at: float) -> PlatformEvent:
        return PlatformEvent(
            trunk=trunk,
            form=form,
            type=told.type,
            message=told.message,
            called=told.called,
            number=_assigned(told.called, trunk, self._config.routes, self._config.gateway.default_country),
            sent_at=datetime.fromtimestamp(sent_at, UTC),
            received_at=self._clock.now().wall,
        )

    async def _handled(self, handler: Handler, event: PlatformEvent, asked: _Asked) -> web.Response:
        try:
            async with asyncio.timeout(ANSWER_S):
                answer = await handler.answer(event)
            return json_response(dict(answer or {}))
        except PlatformProblem:
            raise
        except TimeoutError:
            log.error("platform-handler-slow", trunk=event.trunk, type=event.type)
            failed = PlatformProblem(503, "too-slow", "no answer could be found in time", PlatformResult.FAILED)
        except Exception:
            log.exception("platform-handler-failed", trunk=event.trunk, type=event.type)
            failed = PlatformProblem(500, "internal-error", "the gateway failed", PlatformResult.FAILED)
        if handler.otherwise is None:
            raise failed
        asked.result = PlatformResult.FAILED
        return json_response(dict(handler.otherwise))

    def _tell(self, request: web.Request, asked: _Asked, problem: PlatformProblem) -> None:
        # What strangers knock at must not keep back what a platform does wrong.
        others = self._refused.setdefault((asked.trunk, problem.code), Sometimes()).others()
        if others is not None:
            about = {"trunk": asked.trunk, "remote": request.remote, "code": problem.code, "why": str(problem)}
            log.warning("platform-request-refused", **about, others_since=others)


class _Asked:
    """What is known of a request so far."""

    def __init__(self) -> None:
        self.trunk = self.type = UNPROVED
        self.result: PlatformResult | None = None


async def _body(request: web.Request) -> bytes:
    """The body as it was sent. Raises PlatformProblem."""
    too_large = PlatformProblem(
        413, "too-large", f"the body has more than {MAX_BODY} bytes", PlatformResult.TOO_LARGE, close=True
    )
    if (request.content_length or 0) > MAX_BODY:
        raise too_large
    try:
        async with asyncio.timeout(BODY_S):
            return await request.read()
    except TimeoutError:
        message = f"the body has not come within {BODY_S:g} s"
        raise PlatformProblem(408, "too-slow", message, PlatformResult.TOO_SLOW, close=True) from None
    except web.HTTPRequestEntityTooLarge:
        raise too_large from None
    except (HttpProcessingError, web.RequestPayloadError, ConnectionError):
        message = "the body cannot be read"
        raise PlatformProblem(400, "bad-request", message, PlatformResult.UNREADABLE, close=True) from None


def _document(body: bytes) -> JsonObject:
    if has_too_many_parts(body):
        raise PlatformProblem(400, "bad-request", "the body holds too many values", PlatformResult.UNREADABLE)
    try:
        document = parsed(body)
    except NoJsonError:
        raise PlatformProblem(400, "bad-json", "the body must be JSON", PlatformResult.UNREADABLE) from None
    if not isinstance(document, dict):
        raise PlatformProblem(400, "bad-request", "the body must be a JSON object", PlatformResult.UNREADABLE)
    if is_deeper_than(document):
        message = f"the body is deeper than {MAX_DEPTH} levels"
        raise PlatformProblem(400, "bad-request", message, PlatformResult.UNREADABLE)
    return document


def _assigned(called: str | None, trunk: str, routes: Routes, country: str | None) -> AssignedNumber | None:
    """The number of this trunk that the platform names, in whichever way it is dialled."""
    if called is None:
        return None
    number = routes.number(e164(called, country) or called)
    return number if number is not None and number.trunk == trunk else None


def _context(settings: PlatformSettings) -> ssl.SSLContext | None:
    if settings.tls_certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, settings)
    return context


def _load(context: ssl.SSLContext, settings: PlatformSettings) -> None:
    if settings.tls_certificate is not None:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key)
