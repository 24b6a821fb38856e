# SPDX-License-Identifier: GPL-2.0-or-later
"""What calls send and receive, SIP and RTCP, passed on to a capture server by HEP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from gateway.call_messages import masked_message
from gateway.core.sip_message import RtcpPacket
from gateway.report.hep.line import CaptureServer
from gateway.report.hep.packet import RTCP_JSON, SIP, Flow, Node, packet
from gateway.report.hep.rtcp import report
from gateway.report.hep.sender import Sender

if TYPE_CHECKING:
    from gateway.config import Config
    from gateway.core.sip_message import Captured, SipMessage
    from gateway.engine.call_book import CallBook
    from gateway.ports import Clock
    from gateway.ports.clock import Timer
    from gateway.report.hep.sender import SenderObserver
    from gateway.user_agent import UserAgent

MOST_BYTES = 4_000_000
"""What may wait in memory for the loop to take it."""
EVERY_S = 0.05
AT_ONCE = 200
"""So many are passed on in one turn of the loop, which takes a few ms."""

log = structlog.get_logger("app")


class Capturing:
    """Passes on what calls send and receive, as long as `[hep]` is there."""

    def __init__(self, sip: UserAgent, book: CallBook, clock: Clock, observer: SenderObserver) -> None:
        self._sip = sip
        self._book = book
        self._clock = clock
        self._observer = observer
        self._sender = Sender(clock, observer)
        self._node: Node | None = None
        self._masked = False
        self._reports = True
        self._lost = 0
        self._failed = False
        self._timer: Timer | None = None

    def configure(self, config: Config) -> None:
        """Do as the configuration says; within a running loop."""
        hep = config.hep
        self._masked = config.history.callers != "full"
        self._sip.capture(0 if hep is None else MOST_BYTES)
        if hep is None:
            self._node = None
            self._cancel()
            self._sender.configure(None)
            return
        self._reports = hep.rtcp
        password = hep.password.get_secret_value() if hep.password is not None else None
        self._node = Node(hep.capture_id, hep.node or config.gateway.instance, password)
        host, _, port = hep.address.rpartition(":")
        self._sender.configure(CaptureServer(host.strip("[]"), int(port), hep.transport))
        if self._timer is None:
            self._timer = self._clock.after(EVERY_S, self._pass_on)

    async def stop(self) -> None:
        """Pass on what there is, and nothing more."""
        if self._node is not None:
            self._send(self._node)
        self._node = None
        self._cancel()
        await self._sender.stop()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _pass_on(self) -> None:
        self._timer = None
        if self._node is None:
            return
        # Whatever it is that fails: the next ones go.
        self._timer = self._clock.after(EVERY_S, self._pass_on)
        self._send(self._node)

    def _send(self, node: Node) -> None:
        for captured in self._sip.captured(AT_ONCE):
            try:
                self._send_one(node, captured)
            except Exception:
                self._observer.dropped("unfit")
                if not self._failed:  # once: it may happen thousands of times a second
                    self._failed = True
                    log.exception("capture-failed", call_id=captured.call_id)
        lost = self._sip.capture_lost
        if lost > self._lost:
            self._observer.dropped("full", lost - self._lost)
            self._lost = lost

    def _send_one(self, node: Node, captured: Captured) -> None:
        what = captured.what
        if isinstance(what, RtcpPacket):
            told = report(what.packet) if self._reports else None
            if told is not None:
                # By its Call-ID a capture server finds the call that it is about.
                flow = Flow(what.source, what.destination, "UDP")
                self._sender.send(packet(node, flow, what.at, RTCP_JSON, told, captured.call_id), "rtcp")
            return
        flow = Flow(what.source, what.destination, what.transport)
        correlation = self._book.correlation(captured.call_id)
        self._sender.send(packet(node, flow, what.at, SIP, self._text(what), correlation), "sip")

    def _text(self, message: SipMessage) -> bytes:
        text = masked_message(message.text) if self._masked else message.text
        return text.encode("utf-8", "surrogateescape")
