# SPDX-License-Identifier: GPL-2.0-or-later
"""The composition root: builds the parts, starts them in the right order, reloads, drains and stops."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Protocol

import structlog
import uvloop

import gateway
from gateway import log as logging_setup
from gateway import memory, systemd
from gateway.announcing import AvailabilityNotices
from gateway.audit import AuditTrail
from gateway.background import BackgroundTasks
from gateway.call_messages import CallMessages
from gateway.capturing import Capturing
from gateway.clock import LoopClock
from gateway.condition import listening
from gateway.config import BROKERS_AUTHORITY, Config, load
from gateway.configured import Configured
from gateway.core.system_error import in_words, with_remedy
from gateway.engine import Engine
from gateway.expiring import CertificateWatch
from gateway.following import Following
from gateway.message_archive import MessageArchive
from gateway.operating import Operating
from gateway.others import OtherGateways, tells_of_lost
from gateway.ports import Clock, SipError
from gateway.reloading import SERVING, Reloader
from gateway.report.asking_figures import FiguresAsking
from gateway.report.command import Commands
from gateway.report.hep_metrics import HepMetrics
from gateway.report.history.metrics import HistoryMetrics
from gateway.report.history.retention import Keep
from gateway.report.labels import Plan
from gateway.report.metrics import Metrics
from gateway.report.platform_metrics import PlatformMetrics
from gateway.report.reporter import EventReporter
from gateway.report.reporters import Reporters
from gateway.report.sinks.mqtt.broker import Broker
from gateway.report.sinks.webhook.receiver import Receiver
from gateway.report.store_file import StoreError
from gateway.report.traces.tracing import Tracing
from gateway.report.webhook_metrics import WebhookMetrics
from gateway.restarting import EXIT_CODE, Restarting
from gateway.sip.agent import SipAgent
from gateway.threads import DaemonPool
from gateway.user_agent import MakeUserAgent
from gateway.web.platforms.handlers import TYPES, handlers
from gateway.web.platforms.listener import PlatformListener
from gateway.web.platforms.mcp import McpServer
from gateway.web.platforms.tools import TOOLS, Tools
from gateway.web.server import WebServer
from gateway.web.tokens import Permission, Token
from gateway.whispers import Whispers

log = structlog.get_logger("app")

QUIET_S = 1.0
"""How long broker and webhooks may take what waits before a restart; the next process sends the rest."""
LAST_WORDS_S = 15.0
"""How long it takes at most, once calls are over, to end legs, tell the broker and close the journal."""
SWITCH_S = 0.0005
"""How long another thread may go on while the loop has a message to answer; without being told 5 ms."""
PJSIP_VERSION = metadata.version("pjsua2").partition("+")[0]


class Part(Protocol):
    """What is ended with the gateway."""

    async def stop(self) -> None:
        """End it; what it holds is free afterwards."""


class App:
    """The running gateway, from its start to its end."""

    def __init__(
        self,
        config: Config,
        user_agent: MakeUserAgent = SipAgent,
        clock: Clock | None = None,
    ) -> None:
        self.started_at = datetime.now(UTC)
        self._stop = asyncio.Event()
        self._tasks = BackgroundTasks()
        self._stopped: set[int] = set()
        self.serving = False
        clock = clock or LoopClock()
        self.operations = Operating(self, PJSIP_VERSION)
        self.configured = Configured()
        self.figures = FiguresAsking(Path(config.gateway.state_dir))
        self.audit = AuditTrail(str(config.gateway.state_dir), clock)
        self.metrics = Metrics(version=gateway.__version__, pjsip=PJSIP_VERSION)
        self.metrics.configure(_plan(config))
        if config.mqtt is None:
            self.metrics.no_broker()
        self.reporter = EventReporter(
            instance=config.gateway.instance,
            state_dir=config.gateway.state_dir,
            version=gateway.__version__,
            broker=_broker(config),
            clock=clock,
            on_command=Commands(self.operations),
            on_connected=self.metrics.mqtt_connected,
            on_outbox=self.metrics.outbox_state,
            webhook_observer=WebhookMetrics(self.metrics.registry),
            keep=_keep(config),
            on_history=HistoryMetrics(self.metrics.registry),
            on_platform_call=self.metrics.platform_call,
        )
        self.reporter.configure(_queues(config))
        self.reporter.webhooks.configure(_receivers(config))
        self.restarting = Restarting(self, self.reporter.written, self._stop.set)
        reporters = Reporters(self.reporter)
        self.engine = Engine(config, reporters, self.metrics, clock)
        self.sip = user_agent(config, self.engine, clock)
        self.engine.attach(self.sip, self.reporter)
        self.reporter.give_way_to(self.sip.has_more)
        self.whispers = Whispers(clock)
        self.engine.take_uploads(self.whispers)
        self._others = OtherGateways(self.engine, self.reporter, self.metrics.transfer_ended, clock)
        self.messages = CallMessages(self.engine.book, self.sip)
        self.archive = MessageArchive(self.messages, config.gateway.state_dir, clock)
        reporters.add(self.archive)
        self._tracing = Tracing(gateway.__version__)
        reporters.add(self._tracing)
        self._capturing = Capturing(self.sip, self.engine.book, clock, HepMetrics(self.metrics.registry))
        self._following = Following(self.engine, self.sip.subscriptions, clock)
        self.sources = self.engine.sources = self._following.sources
        self.web = WebServer(self.operations, metrics=self.metrics.render, token=None, clock=clock)
        self._configure_web(config)
        self._platform_metrics = PlatformMetrics(self.metrics.registry, TYPES, TOOLS)
        handling = handlers(self.operations, self._platform_metrics, self.reporter.platform_report)
        tools = Tools(self.operations, self._platform_metrics)
        mcp = McpServer(self.operations, tools, gateway.__version__, self._platform_metrics.mcp_asked)
        self.platforms = PlatformListener(config, handling, clock, self._platform_metrics, mcp)
        self._configure_platforms(config)
        self._availability = AvailabilityNotices(
            lambda: self._config, self.engine.situation, self.reporter.availability, clock
        )
        self._certificates = CertificateWatch(self.metrics.certificates_end, clock)
        # Those first that may not take a configuration; those last that begin with a new login.
        parts = (self.sip.reconfigure, self._take_over, self._following.follow, self._log_in)
        self.reloader = Reloader(config, parts, self._reload_done, self.audit.note)
        self.metrics.reload_done(taken=True, at=self.started_at, restart_needed=len(config.outdated))

    @property
    def _config(self) -> Config:
        return self.reloader.config

    # --- life

    async def run(self) -> None:
        """Serve until a signal asks to stop, then drain; or until a restart is asked for, whose calls are left then.

        Raises OSError, SipError or StoreError when an address, a port or the journal cannot be had.
        """
        loop = asyncio.get_running_loop()
        loop.set_default_executor(DaemonPool())
        sys.setswitchinterval(SWITCH_S)
        loop.add_signal_handler(signal.SIGHUP, self.reloader.ask)
        # From now on, too: what has begun by the time that somebody changes their mind is ended in order.
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end_wanted)
        # Where another may have told them meanwhile, that is found out first.
        is_held = tells_of_lost(self._config)
        left = await self.reporter.start(hold=is_held)
        for interrupted in () if is_held else left:
            self.metrics.transfer_ended(interrupted)
        await self.audit.start()
        http = self._config.http
        try:
            # A start that fails for one of these is to end no call, and not to count as one that has taken calls up.
            self.web.take_port(http.bind_address, http.port)
            self.platforms.take_port()
            kept = await self.reporter.kept_calls()
            self._tasks.begin("loop-lag", self.metrics.observe_lag())
            self._tasks.begin("memory", memory.give_back())
            self.sip.start()
            self.messages.configure(self._config)
            self._capturing.configure(self._config)
            self.archive.configure(self._config)
            self._tracing.configure(self._config)
            # In the turn in which SIP began: whatever the peers have sent meanwhile finds its dialog.
            self.engine.take_up(kept)
            self._following.follow(self._config)
            self._others.start(self._config, _broker(self._config), left)
            self.engine.keep_call_backs(self.reporter.promised)
            await self.web.start(http.bind_address, http.port)
            await self.platforms.start()
            # What is there now stays as long as the process; to look through it again and again would hold the loop for
            # some 50 ms each time.
            gc.collect()
            gc.freeze()
            self._certificates.watch(self._config.certificates)
            if self._config.mqtt is not None:
                self._tasks.begin("availability", self._availability.run())
            self.serving = True
            self._tasks.begin("watchdog", systemd.watchdog())
            systemd.ready(SERVING)
            self.reloader.begin()
            log.info(
                "started",
                version=gateway.__version__,
                pjsip=PJSIP_VERSION,
                instance=self._config.gateway.instance,
                sip=listening(self._config)["sip"],
            )
            await self._stop.wait()
            await self._drain()
            if self.restarting.wanted:
                await self._leave()
        finally:
            await self._end()

    def _end_wanted(self) -> None:
        """A signal asks to stop: whoever sent it starts nothing."""
        if self.restarting.call_off():
            self._tell_stopping()
        self._stop.set()

    def _tell_stopping(self) -> None:
        systemd.stopping()
        systemd.extend_timeout(self._config.gateway.drain_timeout_s + LAST_WORDS_S)

    async def _drain(self) -> None:
        self.reloader.close()
        leaves = self.restarting.wanted
        if leaves:
            systemd.status("about to be restarted: calls go on then")
        else:
            self._tell_stopping()
        self.serving = False
        self.reporter.draining()
        drained = asyncio.Event()
        self.engine.drain(self._config.gateway.drain_timeout_s, drained.set, leaves_calls=leaves)
        await drained.wait()

    async def _leave(self) -> None:
        """Leave the calls to the next process: what takes time ends while they go on; they are written down last."""
        for part in self._beside_calls:
            await self._stop_part(part)
        try:
            await self.reporter.quiet(QUIET_S)
            await self.sip.part(self.engine.left)
        except Exception:
            log.exception("parting-failed")  # the calls can go on all the same
        if self.restarting.wanted:  # nobody has changed their mind meanwhile
            # In one turn: nothing of the calls changes between the one and the other.
            calls = self.engine.leave()
            self.sip.leave()
            self.restarting.has_left = True
            log.info("calls-left", calls=calls)

    @property
    def _beside_calls(self) -> tuple[Part, ...]:
        telling, serving = (self._capturing, self.archive, self._tracing, self._others), (self.web, self.platforms)
        return (*telling, *serving, self._following)

    async def _end(self) -> None:
        self.reloader.close()
        self._certificates.stop()
        self.whispers.stop()
        reading = self.reporter, self.figures, self.configured, self.audit
        for part in (self.sip, *self._beside_calls, self._tasks, *reading):
            await self._stop_part(part)
        log.info("stopped")

    async def _stop_part(self, part: Part) -> None:
        if id(part) in self._stopped:
            return
        self._stopped.add(id(part))
        try:
            await part.stop()
        except Exception:
            # The others have something to put in order too: the journal, for one.
            log.exception("stop-failed", part=type(part).__name__)

    def _take_over(self, config: Config) -> None:
        """Take a new configuration where that is but to remember it."""
        self.engine.reconfigure(config)
        self.messages.configure(config)
        self._capturing.configure(config)
        self.archive.configure(config)
        self._tracing.configure(config)
        self.metrics.configure(_plan(config))
        if config.mqtt is None:
            self.metrics.no_broker()
        self.reporter.configure(_queues(config))
        self.reporter.history.configure(_keep(config))
        self._configure_web(config)
        self.platforms.configure(config)
        self._configure_platforms(config)
        _configure_log(config)

    def _configure_web(self, config: Config) -> None:
        http = config.http
        tokens = [
            Token(
                one.name,
                one.secret.get_secret_value(),
                frozenset(map(Permission, one.may)),
                None if one.numbers is None else frozenset(one.numbers),
            )
            for one in http.tokens
        ]
        self.web.configure(http.token.get_secret_value() if http.token else None, http.host_names, tokens)

    def _configure_platforms(self, config: Config) -> None:
        trunks = _with_platform(config)
        self._platform_metrics.configure(trunks)
        self.reporter.platform.configure(active=bool(trunks), own=[number.number for number in config.numbers])

    def _log_in(self, config: Config) -> None:
        if (broker := _broker(config)) is not None:
            self.reporter.log_in(broker)
        self._others.configure(config, broker)
        # What waits for one that is taken out is gone: no part may refuse the configuration after this.
        self.reporter.webhooks.configure(_receivers(config))

    def _reload_done(self, reloader: Reloader) -> None:
        self.metrics.reload_done(
            taken=reloader.refusal is None, at=reloader.loaded_at, restart_needed=len(reloader.restart_needed)
        )
        if reloader.refusal is None:
            self._certificates.watch(reloader.config.certificates)
            self._tasks.begin("resend-refused", self.reporter.resend_refused())


def _queues(config: Config) -> dict[str, tuple[str, ...]]:
    return {name: tuple(sorted(config.watched(name)[0])) for name in config.pbxs}


def _keep(config: Config) -> Keep:
    history = config.history
    return Keep(history.days, history.failures_days, history.max_mb * 1_000_000, history.callers)


def _plan(config: Config) -> Plan:
    return Plan(
        numbers={number.id: tuple(number.destinations) for number in config.numbers},
        queues=_queues(config),
        called_back=frozenset(
            (number.id, each.id) for number in config.numbers for each in number.destinations.values() if each.call_back
        ),
        trunks=tuple(config.trunks),
        unasked=frozenset(name for name, trunk in config.trunks.items() if not trunk.is_asked),
    )


def _with_platform(config: Config) -> list[str]:
    """The trunks whose platforms may ask over HTTP."""
    if config.platform is None:
        return []
    return [name for name, trunk in config.trunks.items() if trunk.platform is not None]


def _configure_log(config: Config) -> None:
    settings = config.gateway
    logging_setup.configure(format=settings.log_format, level=settings.log_level, log_numbers=settings.log_numbers)


def _broker(config: Config) -> Broker | None:
    mqtt = config.mqtt
    if mqtt is None:
        return None
    return Broker(
        instance=config.gateway.instance,
        host=mqtt.host,
        port=mqtt.port,
        base_topic=mqtt.base_topic,
        tls=mqtt.tls,
        ca_file=mqtt.ca_file,
        ca_digest=config.digests.get(BROKERS_AUTHORITY, ""),
        username=mqtt.username or None,
        password=mqtt.password.get_secret_value() if mqtt.password else None,
        home_assistant=mqtt.home_assistant,
    )


def _receivers(config: Config) -> list[Receiver]:
    return [Receiver(each.id, each.url, each.keys, frozenset(each.events), each.ca_file) for each in config.webhooks]


def main(directory: Path, user_agent: MakeUserAgent = SipAgent) -> int:
    """`transfer-gateway run`: serve until told to stop; the exit code. Raises ConfigError.

    After EXIT_CODE of a restart the process has to end at once (`os._exit`): what is left of its calls would hang up.
    """
    config = load(directory)
    config.prepare()
    _configure_log(config)

    sys.unraisablehook = logging_setup.unraisable

    async def serve() -> int:
        app = App(config, user_agent)
        await app.run()
        return EXIT_CODE if app.restarting.has_left else 0

    try:
        return uvloop.run(serve())
    except (OSError, SipError, StoreError) as error:
        log.error("cannot-start", error=with_remedy(in_words(error)))
        return 1
