# SPDX-License-Identifier: GPL-2.0-or-later
"""PJSIP in the event loop's own thread: polled when something happens on its sockets or its next timer is due.

PJSIP's epoll descriptor is watched for edges, through an epoll descriptor of our own: a connection that is gone makes
it readable without end (EPOLLHUP, which nobody can mask) until the last transaction has let go of its socket.
"""

import asyncio
import select

import pjsua2 as pj
import structlog

log = structlog.get_logger(__name__)

# PJSIP may start a timer from one of its media threads, where nobody can tell us.
LONGEST_SLEEP_S = 0.1


class Pump:
    """Runs PJSIP's events on the loop; after whatever may have started a timer, `kick()` it."""

    def __init__(self, endpoint: pj.Endpoint) -> None:
        self._endpoint = endpoint
        self._loop = asyncio.get_running_loop()
        descriptor = pj.loop_fd()
        if descriptor < 0:
            raise RuntimeError("PJSIP was built without epoll: build the binding anew with `make setup`")
        self._edges = select.epoll()
        self._edges.register(descriptor, select.EPOLLIN | select.EPOLLET)
        self._timer: asyncio.TimerHandle | None = None
        self._running = False
        self.has_more = False
        """Whether it has left messages to its next turn."""

    def start(self) -> None:
        """Begin to poll, with the loop's next turn: what is made ready in this one is there before anything is read."""
        self._running = True
        self._loop.add_reader(self._edges.fileno(), self._woken)
        self._timer = self._loop.call_later(0, self._poll)

    def stop(self) -> None:
        """Poll no more."""
        self._running = False
        self._loop.remove_reader(self._edges.fileno())
        self._edges.close()
        if self._timer is not None:
            self._timer.cancel()

    def kick(self) -> None:
        """Look again when the next timer is due."""
        if not self._running:
            return
        if self._timer is not None:
            self._timer.cancel()
        due = pj.next_timer_ms()
        delay = LONGEST_SLEEP_S if due < 0 else min(due / 1000, LONGEST_SLEEP_S)
        self._timer = self._loop.call_later(delay, self._poll)

    def _woken(self) -> None:
        self._edges.poll(0)  # takes note of the edge
        self._poll()

    def _poll(self) -> None:
        if not self._running:
            return
        try:
            self._endpoint.libHandleEvents(0)
            self.has_more = pj.more_events()
        except Exception:
            # It would be the last look otherwise, and nobody would be told: the watchdog only knows the loop.
            log.exception("sip-poll-failed")
            self.has_more = False
        if self.has_more:
            # No edge tells of it; whatever else waits on the loop has its turn first.
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_later(0, self._poll)
        else:
            self.kick()
