# SPDX-License-Identifier: GPL-2.0-or-later
"""Which legs the last calls had, and what was noted of them when."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from gateway.config import load
from gateway.core.media_way import RELAYED, Why, bridged
from gateway.core.model import Announcement, Peer, PeerKind
from gateway.core.outcome import Reason
from gateway.core.record import Attempt
from gateway.engine import audio_notes
from gateway.engine.call_book import MOST_AUDIO_NOTES, MOST_LEGS, KnownCall, KnownLeg, news
from tests.bench import BEGIN, Bench
from tests.config_directory import write
from tests.report import samples

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.core.model import LegId


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(load(write(tmp_path)))
    made.engine.book.resize(3)
    return made


def notes(known: KnownCall) -> list[tuple[str, str]]:
    return [(note.what, note.text) for note in known.notes]


def transferred(bench: Bench, leg: str = "in-1") -> tuple[str, LegId]:
    """A caller is put through: the transfer, and the target's leg."""
    _, assistant = bench.bridged(leg)
    bench.refer(assistant)
    target = bench.dialled
    assert target is not None
    bench.rings(target)
    bench.answers(target)
    return str(target).partition("/")[0], target


def test_the_legs_of_a_transfer_are_known_with_their_roles(bench: Bench) -> None:
    transfer, target = transferred(bench)
    known = bench.engine.book.of_transfer(transfer)
    assert known is not None
    assert known.call is not None
    assert bench.engine.book.call(known.call) is known
    told = [(leg.call_id, leg.peer and leg.peer.kind.value, *leg.roles.values()) for leg in known.legs.values()]
    assert [each[1:] for each in told] == [("pbx", "transferee"), ("trunk", "transferor"), ("pbx", "target")]
    assert told[-1][0] == f"{target}@test"
    said = [what for what, _ in notes(known)]
    assert said[0] == "requested"
    assert said.index("gate") < said.index("attempt") < said.index("ringing") < said.index("answered")
    assert bench.engine.book.of_transfer("01NOTHING") is None
    assert bench.engine.book.call(transfer) is None  # it is no call


def test_a_target_that_was_tried_in_vain_stays(bench: Bench) -> None:
    _, assistant = bench.bridged()
    bench.refer(assistant)
    target = bench.dialled
    while not bench.ends():
        bench.fails(bench.dialled, 486)
    [record] = bench.ends()
    known = bench.engine.book.of_transfer(record.transfer)
    assert known is not None
    assert f"{target}@test" in known.legs
    assert ("ended", f"{record.outcome}, {record.reason} ({record.sip_code})") in notes(known)
    assert ("returned", "the caller goes back to the assistant") in notes(known)


def test_the_oldest_calls_go_and_a_call_of_nobody_is_none(bench: Bench) -> None:
    transfer, _ = transferred(bench)
    for number in range(2, 5):
        bench.bridged(f"in-{number}")
    book = bench.engine.book
    assert len(book) == 3
    assert book.of_transfer(transfer) is None
    book.note_pbx("in-1@test", BEGIN, "gone")  # nobody is troubled
    book.resize(0)
    assert len(book) == 0
    bench.bridged("in-9")
    assert len(book) == 0


def test_a_transfer_that_belongs_to_no_call_is_known_by_itself(bench: Bench) -> None:
    bench.sip.live["in-7"] = "up"  # type: ignore[index]  # its call is over
    bench.refer("in-7")  # type: ignore[arg-type]
    [record] = bench.ends()
    known = bench.engine.book.of_transfer(record.transfer)
    assert known is not None
    assert (known.call, [*known.legs]) == (None, [record.call_ids["transferor"]])
    assert notes(known)[-1][0] == "ended"


def test_what_the_pbx_tells_is_noted_with_its_call(bench: Bench) -> None:
    transfer, target = transferred(bench)
    bench.engine.caller_queued("asterisk", f"{target}@test", "sales", 2, BEGIN)
    bench.engine.agent_connected("asterisk", f"{target}@test", "PJSIP/anna", BEGIN)
    known = bench.engine.book.of_transfer(transfer)
    assert known is not None
    assert [text for what, text in notes(known) if what == "pbx"] == [
        "asterisk: waits in queue sales, at place 2",
        "asterisk: answered by agent",
    ]


def test_a_caller_is_forgotten_with_all_legs(bench: Bench) -> None:
    transfer, target = transferred(bench)
    known = bench.engine.book.of_transfer(transfer)
    assert known is not None
    assert known.caller is not None
    legs = set(known.legs)
    assert bench.engine.book.forget("+31999999999", frozenset()) == set()
    assert bench.engine.book.forget("+31999999999", frozenset({f"{target}@test"})) == legs
    assert bench.engine.book.of_transfer(transfer) is None
    other, _ = transferred(bench, "in-2")
    assert bench.engine.book.forget(known.caller, frozenset()) != set()
    assert bench.engine.book.of_transfer(other) is None


def test_a_fault_of_the_book_ends_no_call(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(bench.engine.book, "see", broken)
    _, target = transferred(bench)
    assert target in bench.sip.live


def test_a_call_has_so_many_legs_at_most() -> None:
    known = KnownCall("01A", None)
    for number in range(MOST_LEGS + 5):
        known.add(f"{number}@pbx", None)
    assert len(known.legs) == MOST_LEGS
    assert known.add("new@pbx", None) is None
    assert known.add("3@pbx", None) is known.legs["3@pbx"]


def test_what_is_new_in_a_record_is_noted_once() -> None:
    at = BEGIN + timedelta(seconds=9)
    asked = samples.requested()
    first = replace(asked, decided_at=samples.after(0.001), trail=("hours: open",))
    assert [(note.at, note.what) for note in news(None, first, at)] == [
        (asked.requested_at, "requested"), (samples.after(0.001), "gate"),
    ]  # fmt: skip
    trying = replace(first, attempts=(Attempt("sales", "6500"), Attempt("busy", "", Reason.QUEUE_FULL)))
    assert [note.text for note in news(first, trying, at)] == [
        "sales, 6500 is dialled", "busy: passed over, queue-full",
    ]  # fmt: skip
    failed = replace(trying, attempts=(Attempt("sales", "6500", Reason.BUSY, 486), trying.attempts[1]))
    failed = replace(failed, trail=("hours: open", "overflow: none"))
    assert [(note.at, note.text) for note in news(trying, failed, at)] == [
        (at, "overflow: none"), (at, "sales, 6500: busy (486)"),
    ]  # fmt: skip
    assert list(news(failed, failed, at)) == []


def audio(bench: Bench, transfer: str) -> list[str]:
    """What was noted of who hears whom, each with its legs."""
    known = bench.engine.book.of_transfer(transfer)
    assert known is not None
    assert all(note.legs and known.legs.keys() >= set(note.legs) for note in known.audio)
    return [note.text for note in known.audio]


def test_who_hears_whom_is_noted_at_its_time(bench: Bench) -> None:
    transfer, target = transferred(bench)
    assert audio(bench, transfer) == [
        "asterisk hears ringback, or what platform sends",
        "asterisk and platform hear each other",
        "platform (transferor) hears silence",
        "asterisk (caller) hears ringback",
        "asterisk (caller) hears ringback, or what asterisk (target) sends",
        "asterisk (caller) and asterisk (target) hear each other",
    ]
    bench.engine.media_way_changed(target, None, RELAYED)
    bench.engine.media_way_changed("in-1", None, RELAYED)  # type: ignore[arg-type]  # its partner's is the same
    bench.engine.media_way_changed(target, RELAYED, bridged(Why.CODEC))
    bench.engine.media_way_changed(target, bridged(Why.CODEC), None)
    assert audio(bench, transfer)[6:] == [
        "the gateway relays the audio", "the gateway mixes the audio (another-codec)"
    ]  # fmt: skip


def test_a_peer_that_changes_its_audio_pushes_out_nothing_but_that(bench: Bench) -> None:
    transfer, target = transferred(bench)
    known = bench.engine.book.of_transfer(transfer)
    assert known is not None
    before = notes(known)
    for _ in range(2 * MOST_AUDIO_NOTES):
        bench.engine.media_way_changed(target, None, RELAYED)
        bench.engine.media_way_changed(target, None, bridged(Why.CODEC))
    assert (notes(known), len(known.audio)) == (before, MOST_AUDIO_NOTES)


def test_an_announcement_is_named_by_its_file() -> None:
    leg = KnownLeg("1@pbx", Peer("asterisk", PeerKind.PBX), {samples.requested("01T").transfer: "transferee"})
    sound = Announcement("/etc/transfer-gateway/sounds/moment.wav", timedelta(seconds=2))
    assert audio_notes.waits(leg, None, sound) == "asterisk (caller) hears the announcement moment.wav, then ringback"
    assert audio_notes.silenced(KnownLeg("2@pbx", None)) == "a peer hears silence"
    assert audio_notes.joined(leg, None) == "asterisk (caller) and a leg hear each other"
