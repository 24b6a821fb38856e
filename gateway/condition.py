# SPDX-License-Identifier: GPL-2.0-or-later
"""Two questions that are not the same: whether calls are taken, and whether all is well.

A load balancer asks the first one (`/readyz`): a gateway whose broker is away, or whose PBX tells nothing, still takes
calls, and a second one would do no better. A person asks the second one (`status`), and whatever they may have to see
to is a problem. Decision 0061.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

from gateway.core.state_sources import Ability

if TYPE_CHECKING:
    from datetime import datetime

    from gateway.audit import AuditTrail
    from gateway.call_messages import CallMessages
    from gateway.config import Config
    from gateway.configured import Configured
    from gateway.engine import Engine
    from gateway.message_archive import MessageArchive
    from gateway.ports import FollowedPbx
    from gateway.reloading import Reloader
    from gateway.report.asking_figures import FiguresAsking
    from gateway.report.backlog import BacklogState
    from gateway.report.reporter import EventReporter
    from gateway.restarting import Restarting
    from gateway.user_agent import UserAgent
    from gateway.whispers import Whispers


class Parts(Protocol):
    """The parts of the gateway that are asked."""

    engine: Engine
    reporter: EventReporter
    sip: UserAgent
    sources: Mapping[str, FollowedPbx]
    reloader: Reloader
    audit: AuditTrail
    messages: CallMessages
    archive: MessageArchive
    figures: FiguresAsking
    whispers: Whispers
    configured: Configured
    restarting: Restarting
    started_at: datetime
    serving: bool  # the transports are open, and nothing has asked for the end


def conditions(parts: Parts) -> dict[str, bool]:
    """What taking calls hangs on, by name; those of `[http] ready_needs` among them."""
    needs = parts.reloader.config.http.ready_needs
    asked = {
        "pbx": any(source.up for source in parts.sources.values()),
        "trunk": any(parts.sip.trunks.up.values()),
        "broker": parts.reporter.connected,
    }
    return {
        "transports": parts.serving,
        "configuration": True,
        "not-draining": not parts.engine.draining,
        "outbox": parts.reporter.outbox.writable,
        **{name: holds for name, holds in asked.items() if name in needs},
    }


def listening(config: Config) -> dict[str, list[str]]:
    """Where SIP and HTTP are listened for, by the configuration in force."""
    sip, http = config.sip, config.http
    ports = {"udp": sip.udp_port, "tcp": sip.tcp_port, "tls": sip.tls_port}
    addresses = [address for address in (sip.bind_address, sip.bind_address6) if address]
    return {
        "sip": [f"{name} {_at(address, port)}" for address in addresses for name, port in ports.items() if port],
        "http": [_at(http.bind_address, http.port)] if http.port else [],
    }


def _at(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def problems(parts: Parts) -> list[str]:
    """What is not well, in words, what hurts callers first; empty: all is."""
    return [*_calls(parts), *_peers(parts), *_stores(parts), *_consumers(parts), *_configuration(parts)]


def _calls(parts: Parts) -> Iterator[str]:
    if parts.engine.draining and parts.restarting.wanted:
        yield "the gateway is about to be restarted: it takes no new calls until then"
    elif parts.engine.draining:
        yield "the gateway is stopping: it takes no new calls"
    elif not parts.serving:
        yield "SIP is not listened for"


def _peers(parts: Parts) -> Iterator[str]:
    failures = parts.sip.trunks.failures
    for name, up in parts.sip.trunks.up.items():
        if up is False:
            yield f"trunk {name}: {failures.get(name, 'has not answered yet')}"
    for name, source in parts.sources.items():
        if not source.up:
            yield f"PBX {name}: its state is unknown, {because(source.failure or source.state.unknown_because)}"
    yield from problems_of_queues(parts.reloader.config, parts.sources)


def problems_of_queues(config: Config, sources: Mapping[str, FollowedPbx]) -> Iterator[str]:
    """Queues that destinations name, and a PBX that tells of its queues does not."""
    for number in config.numbers:
        for destination in number.destinations.values():
            pbx, queue = number.pbx_of(destination), destination.queue
            source = sources.get(pbx)
            if queue is None or source is None or not source.up or not source.state.source.tells(Ability.QUEUES):
                continue
            if queue in source.state.queues or ("queue", queue) in source.state.unsettled:
                continue
            why = source.state.withheld.get(("queue", queue), f"{pbx} knows no queue of that name")
            yield f"queue {queue} of {destination.id} ({number.id}): {why}"


def because(why: str) -> str:
    """A reason, or that there is none yet."""
    return why or "nothing was heard of it"


def _stores(parts: Parts) -> Iterator[str]:
    outbox = parts.reporter.outbox
    if not outbox.writable:
        yield f"the outbox cannot be written: {outbox.unwritten} events are in memory alone"
    history = parts.reporter.history.document
    if not history["writable"]:
        yield f"the history cannot be written: {history['why']}"


def _consumers(parts: Parts) -> Iterator[str]:
    outbox = parts.reporter.outbox
    if parts.reloader.config.mqtt is not None:
        if not parts.reporter.connected:
            yield f"the broker: {parts.reporter.broker_failure or 'not connected yet'}; {_waiting(outbox)}"
        if outbox.refused:
            yield f"the broker refused {outbox.refused} events: {outbox.refused_because}"
    for name, told in parts.reporter.webhooks.document.items():
        yield from _webhook(name, told)


def _webhook(name: str, told: object) -> Iterator[str]:
    if not isinstance(told, Mapping):
        return
    if told["gone"]:
        yield f"webhook {name}: it answered 410, and is sent nothing until a reload"
    elif not told["up"]:
        yield f"webhook {name}: {told['because']}; {told['events']} events wait"
    if told["refused"]:
        yield f"webhook {name} refused {told['refused']} events: {told['refused_because']}"


def _waiting(outbox: BacklogState) -> str:
    return f"{outbox.events} events wait"


def _configuration(parts: Parts) -> Iterator[str]:
    if (refusal := parts.reloader.refusal) is not None:
        yield f"the last reload was refused: {refusal.mistakes[0]}"
    if restart := parts.reloader.restart_needed:
        yield f"a restart is needed for {', '.join(restart)}"
