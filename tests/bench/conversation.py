# SPDX-License-Identifier: GPL-2.0-or-later
"""Conversations with the engine: after what happens (`>>`) stands what it has done about it (`<<`).

    >> asterisk calls +31201234567 as in-1
    << dial +31201234567 at platform as out-1
    << wait in-1 for out-1
    >> out-1 answers
    << respond in-1 200
    << join in-1 out-1

A target of a transfer has the legs `T/1`, `T/2`, …; of the second transfer on the bench `U/1`, and so on.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from gateway.core.caller import CallerId
from gateway.core.model import AnsweredBy, LegId
from tests.bench.bench import PBX, TRUNK

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.bench.bench import Bench

LETTERS = "TUVWXYZ"


def play(bench: Bench, script: str) -> None:
    """Have everything happen, and compare what is done about it; the difference is shown as a diff."""
    wanted = [line.strip() for line in script.strip().splitlines() if line.strip()]
    came: list[str] = []
    for line in wanted:
        if not line.startswith(">> "):
            continue
        came.append(line)
        bench.said.clear()
        _happen(bench, line.removeprefix(">> "))
        came += [f"<< {_short(bench, said)}" for said in bench.said]
    if came != wanted:
        diff = "\n".join(difflib.unified_diff(wanted, came, "wanted", "came", lineterm="", n=100))
        raise AssertionError(f"the conversation went otherwise\n{diff}")


def _transfers(bench: Bench) -> list[str]:
    """The ids of all transfers that were told of, the oldest first."""
    return list(dict.fromkeys(record.transfer for _, record in bench.witness.told))


def _short(bench: Bench, said: str) -> str:
    for letter, transfer in zip(LETTERS, _transfers(bench), strict=False):
        said = said.replace(transfer, letter)
    return said


def _leg(bench: Bench, name: str) -> LegId:
    letter, _, number = name.partition("/")
    return LegId(f"{_transfers(bench)[LETTERS.index(letter)]}/{number}" if number else name)


def _happen(bench: Bench, line: str) -> None:
    for pattern, act in EVENTS.items():
        if found := re.fullmatch(pattern, line):
            act(bench, *found.groups())
            return
    raise AssertionError(f"nothing is known of: {line}")


def _calls(bench: Bench, peer: str, called: str, leg: str, replaced: str | None) -> None:
    peers = {one.name: one for one in (TRUNK, PBX)}
    replaces = _leg(bench, replaced) if replaced else None
    bench.calls_in(leg, peers[peer], f"sip:{called}@gw", CallerId("sip:+31201112222@far", "Eve"), replaces)


def _refers(bench: Bench, leg: str, target: str, joins: str | None) -> None:
    bench.refer(_leg(bench, leg), f"sip:{target}@gw", joins=_leg(bench, joins) if joins else None)


def _taken(bench: Bench, leg: str, by: str) -> None:
    name = {"extension": "PJSIP/6001", "application": "Playback"}.get(by, "")
    who = None if by == "nobody yet" else AnsweredBy(by)
    bench.engine.call_answered("asterisk", f"{_leg(bench, leg)}@test", who, name, bench.clock.now().wall)


def _presses(bench: Bench, leg: str, key: str) -> None:
    bench.presses(_leg(bench, leg), key)


EVENTS: dict[str, Callable[..., None]] = {
    r"(\S+) calls (\S+) as (\S+?)(?:, in the place of (\S+))?": _calls,
    r"(\S+) rings": lambda bench, leg: bench.rings(_leg(bench, leg)),
    r"(\S+) is under way \((\d+)\)": lambda bench, leg, code: bench.rings(_leg(bench, leg), int(code)),
    r"(\S+) has early media": lambda bench, leg: bench.early_media(_leg(bench, leg)),
    r"(\S+) answers": lambda bench, leg: bench.answers(_leg(bench, leg)),
    r"(\S+) fails with (\d+)": lambda bench, leg, code: bench.fails(_leg(bench, leg), int(code)),
    r"(\S+) presses (\S)": _presses,
    r"(\S+) hangs up": lambda bench, leg: bench.fails(_leg(bench, leg), 200),
    r"(\S+) refers to (\S+?)(?:, to be joined with (\S+))?": _refers,
    r"(\S+) takes no more NOTIFYs": lambda bench, leg: bench.takes_no_more_notifys(_leg(bench, leg)),
    r"(\S+) is taken by (extension|agent|outside|voicemail|application|nobody yet)": _taken,
    r"it is not known who took (\S+)": lambda bench, leg: bench.engine.answerer_unknown(
        "asterisk", f"{_leg(bench, leg)}@test"
    ),
    r"([\d.]+) s pass": lambda bench, seconds: bench.pass_time(float(seconds)),
    r"the call is ended by command": lambda bench: bench.engine.hang_up_call(bench.engine.call_records()[0].call),
    r"(\S+) is to be called back by (\S+)": lambda bench, which, destination: bench.call_back(which, destination),
    r"the transfer is cancelled": lambda bench: bench.engine.cancel_transfer(bench.engine.transfers[-1].id),
    r"the gateway drains for (\d+) s": lambda bench, seconds: bench.engine.drain(float(seconds), lambda: None),
}
