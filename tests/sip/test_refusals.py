# SPDX-License-Identifier: GPL-2.0-or-later
"""What cannot be sent, or had, is told in the ports' own words, whoever refused it."""

from __future__ import annotations

from pathlib import Path

import pjsua2 as pj
import pytest

from gateway.clock import LoopClock
from gateway.config import load
from gateway.core.model import LegId
from gateway.ports import NotSent, NotSentError, SipError
from gateway.sip.agent import SipAgent
from gateway.sip.requests.referrals import Referrals
from gateway.sip.requests.subscriptions import Subscriptions
from gateway.sip.stack.endpoint import Endpoint
from gateway.sip.stack.refusals import refused_as, sending
from tests.bench import Bench
from tests.config_directory import write


def refuse(*_: object) -> None:
    raise pj.Error(171060, "pjsua_call_make_call()", "Unsupported transport", "call.cpp", 1)


def test_what_pjsip_refuses_is_told_without_its_own_error() -> None:
    with pytest.raises(SipError, match=r"^cannot listen on udp 192\.0\.2\.1:5060: Unsupported transport$"):
        refused_as("cannot listen on udp 192.0.2.1:5060")(refuse)()
    with pytest.raises(NotSentError, match=r"^Unsupported transport$") as raised:
        sending()(refuse)()
    assert raised.value.reason is NotSent.REFUSED


def test_a_refer_that_cannot_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pj, "send_refer", lambda *_: -1)
    with pytest.raises(NotSentError) as raised:
        Referrals(lambda *_: None).send(LegId("in-1"), 0, "sip:30@192.0.2.7", "t-1", [])
    assert raised.value.reason is NotSent.REFUSED


async def test_a_subscribe_that_cannot_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pj, "watch", lambda *_: -1)
    watches = Subscriptions(lambda *_: (0, "sip:30@192.0.2.7"), lambda: None, LoopClock())
    with pytest.raises(NotSentError) as refused:
        watches.watch("pbx", "30", "dialog", Nobody())
    await watches.stop()
    with pytest.raises(NotSentError) as stopped:
        watches.watch("pbx", "30", "dialog", Nobody())
    assert (refused.value.reason, stopped.value.reason) == (NotSent.REFUSED, NotSent.STOPPING)


class Nobody:
    """Listens to no subscription."""

    def watch_told(self, watch: int, content_type: str, body: bytes) -> None:
        pass

    def watch_confirmed(self, watch: int) -> None:
        pass

    def watch_ended(self, watch: int, code: int, reason: str, retry_after_s: int | None) -> None:
        pass


async def test_a_stack_that_does_not_even_begin_is_told_and_leaves_nothing_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise SipError("PJSIP cannot be started: Too many objects of the specified type")

    monkeypatch.setattr(Endpoint, "opened", refused)
    bench = Bench(load(write(tmp_path)))
    agent = SipAgent(load(tmp_path), bench.engine, LoopClock())
    with pytest.raises(SipError, match="Too many objects"):
        agent.start()
    await agent.stop()
