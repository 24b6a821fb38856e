# SPDX-License-Identifier: GPL-2.0-or-later
"""What changes while a call lasts: who is at its end, the configuration, what the machine can take; what is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from gateway.config import load
from gateway.core.call import machine
from gateway.core.caller import Asserted, CallerId
from gateway.core.media_way import RELAYED
from gateway.core.outcome import Reason
from gateway.engine import Engine
from tests.bench import PBX, SALES, TRUNK, Bench
from tests.config_directory import MAIN, write

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.core.model import LegId

ADAM = Asserted((CallerId("sip:+31203334444@far", "Adam"),))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(load(write(tmp_path)))


def shown(bench: Bench, transferor: LegId) -> str:
    """Who calls the target that this leg refers the other one to."""
    bench.refer(transferor)
    bench.pass_time()
    return bench.sip.orders[-1].caller or ""


def test_who_comes_to_a_caller_s_phone_is_shown_to_the_next_target(bench: Bench) -> None:
    caller, assistant = bench.bridged()
    bench.engine.leg_connected(caller, ADAM)
    assert shown(bench, assistant) == "+31203334444"


def test_an_assistant_is_shown_by_its_number_whatever_its_platform_asserts(bench: Bench) -> None:
    caller, assistant = bench.bridged()
    bench.engine.leg_connected(assistant, ADAM)
    assert shown(bench, caller) == "+31201234567"


def test_a_leg_that_is_gone_changes_nobody(bench: Bench) -> None:
    caller, assistant = bench.bridged()
    bench.finish()
    for leg in (caller, assistant):
        bench.engine.leg_connected(leg, ADAM)
        bench.engine.leg_progress(leg, 180)
        bench.takes_no_more_notifys(leg)
    assert not bench.sip.live


def test_a_running_call_goes_where_the_new_configuration_says(bench: Bench, tmp_path: Path) -> None:
    _, assistant = bench.bridged()
    main = MAIN.replace('extension = "6500"', 'extension = "6599"')
    main = main.replace('trunk = "platform"\n', 'trunk = "platform"\nlocale = "nl"\n')
    bench.engine.reconfigure(load(write(tmp_path, main)))
    bench.refer(assistant)
    bench.pass_time()
    assert bench.sip.orders[-1].user == "6599"
    [running] = bench.engine.transfers
    assert running.record.locale == "nl"


def test_a_running_call_of_a_number_that_is_taken_away_goes_on(bench: Bench, tmp_path: Path) -> None:
    caller, assistant = bench.bridged()
    main = MAIN.replace('id = "main-line"', 'id = "other"').replace("+31201234567", "+31201234500")
    bench.engine.reconfigure(load(write(tmp_path, main)))
    assert bench.sip.pairs == {caller: assistant, assistant: caller}
    bench.finish()


def test_an_invite_of_the_platform_that_names_nobody_is_refused_and_told(bench: Bench) -> None:
    assert bench.engine.inquire(TRUNK, ("sip:gw",), ()) is not None
    bench.calls_in("in-1", TRUNK, "sip:gw")
    bench.pass_time()
    assert [line for line in bench.said if line.startswith("hang up in-1 4")]
    bench.finish()


def test_a_call_whose_machine_fails_is_ended_and_leaves_nobody_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller, assistant = bench.bridged()

    def fail(*_: object) -> None:
        raise RuntimeError("broken for a test")

    with monkeypatch.context() as broken, capture_logs() as logs:
        broken.setattr(machine, "step", fail)
        bench.engine.leg_connected(caller, ADAM)
    assert [line["event"] for line in logs] == ["step-failed"]
    assert set(bench.sip.hung_up) == {caller, assistant}


def test_an_arrival_that_fails_is_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("broken for a test")

    monkeypatch.setattr("gateway.engine.admission.incoming_calls.assigned_to", fail)
    with capture_logs() as logs:
        bench.calls_in("in-1", PBX, SALES)
    assert [line["event"] for line in logs] == ["arrival-failed"]
    assert bench.said == ["hang up in-1 500 gateway-error"]


class Counter:
    """An Observer that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *facts: self.told.append((name, *facts))


def test_what_sip_turns_away_is_counted(bench: Bench, tmp_path: Path) -> None:
    counter: Any = Counter()
    engine = Engine(load(write(tmp_path)), bench.witness, counter, bench.clock)
    engine.request_rejected(Reason.PEER_NOT_ALLOWED)
    engine.requests_rejected(Reason.PEER_NOT_ALLOWED, 7)
    engine.media_dropped("rtp", 40)
    engine.media_way_changed("gone", None, RELAYED)  # type: ignore[arg-type]
    engine.trunk_changed("platform", False)
    assert counter.told == [
        ("request_rejected", Reason.PEER_NOT_ALLOWED),
        ("request_rejected", Reason.PEER_NOT_ALLOWED, 7),
        ("media_dropped", "rtp", 40),
        ("media_way", None, RELAYED),
        ("trunk_up", "platform", False),
    ]
