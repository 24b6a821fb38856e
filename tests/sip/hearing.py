# SPDX-License-Identifier: GPL-2.0-or-later
"""A gateway whose destinations differ in what a caller hears on the way to them, and what they are to hear."""

from __future__ import annotations

import asyncio
from itertools import groupby
from typing import TYPE_CHECKING, Any

from tests.sip.scene import ASSISTANT_HZ, CALLER_HZ, LINES, TARGET_HZ, Scene, settings
from tests.support import tones
from tests.support.begun import Begun
from tests.support.gateway import Gateway
from tests.support.timeline import is_one_stream, longest_break, order, timeline

if TYPE_CHECKING:
    from tests.support.peer_call import Call
    from tests.support.processes import Net
    from tests.support.timeline import Span

RINGBACK_HZ, EARLY_HZ, GREETING_HZ = 425, 1500, 1800
SECOND_HZ, WHISPER_HZ = 2100, 2400
ALL_HZ = (RINGBACK_HZ, CALLER_HZ, ASSISTANT_HZ, TARGET_HZ, EARLY_HZ, GREETING_HZ, SECOND_HZ, WHISPER_HZ)
GREETING_S = WHISPER_S = 1.0
ACCEPT_S = 1.5
SILENCE_S = 0.05
"""Less than what counts as a silence at all: there is none, on a machine where nobody has to wait."""

NUMBERS = {
    "anna": "+31612345681", "greeted": "+31612345690", "recorded": "+31612345691", "chained": "+31612345692",
    "busy-only": "+31612345693", "greeted-first": "+31612345694",
    "whispered": "+31612345695", "accepting": "+31612345696", "hunting": "+31612345697",
    "talking": "+31612345698", "talking-asked": "+31612345699", "spelled": "+31612345700", "uploaded": "+31612345701",
}  # fmt: skip


def refer_to(destination: str) -> str:
    """The Refer-To value for a destination."""
    return f"<sip:{NUMBERS[destination]}@gw.example>"


def make_gateway(net: Net) -> Gateway:
    """The gateway, not started."""
    files = settings(net, {"main": LINES["main"]}, identity="asserted", diversion="diversion")
    greeting = {"announcement": "greeting.wav"}
    accept = {"whisper": "whisper.wav", "accept": "1", "decline": "2", "accept_timeout_s": ACCEPT_S}
    destinations: list[dict[str, Any]] = [
        {"id": "anna", "extension": "6001"},
        {"id": "greeted", "extension": "6003", **greeting},
        {"id": "recorded", "extension": "6004", **greeting, "announce": "before-dialling"},
        {"id": "chained", "extension": "6005", "overflow": ["second", "twin", "third"]},
        {"id": "second", "extension": "6006"},
        {"id": "twin", "extension": "6005"},
        {"id": "third", "extension": "6007", "overflow_on": []},
        {"id": "busy-only", "extension": "6008", "overflow": ["second"], "overflow_on": ["busy"]},
        {"id": "greeted-first", "extension": "6009", "overflow": ["greeted"]},
        {"id": "whispered", "extension": "6010", "whisper": "whisper.wav"},
        {"id": "accepting", "extension": "6011", **accept},
        {"id": "talking", "extension": "6013", "while_waiting": "assistant"},
        {"id": "talking-asked", "extension": "6014", "while_waiting": "assistant", **accept},
        {"id": "spelled", "extension": "6015", "whisper": ["whisper.wav", "caller-number"], "whisper_locale": "nl"},
        {"id": "uploaded", "extension": "6016", **accept, "whisper": ["uploaded", "whisper.wav"]},
        {"id": "hunting", "extension": "6012", **accept, "overflow": ["second"]},
        {"id": "voicemail", "extension": "6599"},
    ]
    for one in destinations:
        if one["id"] in NUMBERS:
            one["number"] = NUMBERS[one["id"]]
    files.line.update(destinations=destinations, answer="anna")
    gateway = Gateway(files)
    tones.write_wav(gateway.directory / "greeting.wav", tones.tone(GREETING_HZ, GREETING_S))
    tones.write_wav(gateway.directory / "whisper.wav", tones.tone(WHISPER_HZ, WHISPER_S))
    return gateway


class Hearing(Scene):
    """A scenario in which it is written down what its caller heard."""

    async def waiting(self, destination: str = "anna") -> tuple[Call, Call, Begun]:
        """A caller who is about to be transferred: caller, assistant, and when the REFER was sent."""
        caller, assistant = await self.bridged()
        await caller.media.hears(ASSISTANT_HZ)
        await asyncio.sleep(0.3)  # some of the assistant, to begin with
        asked = Begun(self.gateway.child.pid)
        assert (await assistant.refer(refer_to(destination))).code == 202
        return caller, assistant, asked


def heard(caller: Call, since: float) -> list[Span]:
    """What a caller has heard, one thing at a time, without a break and as one stream."""
    spans = timeline(caller.media, ALL_HZ, since=since)
    order(spans)
    # Over the whole of a switch the packets keep coming and sound follows on sound.
    kept_s = since.kept_s if isinstance(since, Begun) else 0.0
    assert longest_break(spans) <= 0.1 + kept_s, spans
    assert caller.media.longest_gap(since) <= 0.1 + kept_s
    assert is_one_stream([packet for packet in caller.media.received if packet.at >= since], kept_s)
    return spans


def sounds(spans: list[Span]) -> list[int]:
    """The tones in their order, silences between them left out: what goes on after one counts once."""
    return [tone for tone, _ in groupby(tone for tone in order(spans) if tone is not None)]


def unbroken(spans: list[Span], since: Begun) -> list[int]:
    """The same of sounds between which there is no silence, but for the time that those who bring them were kept."""
    silences = [span.seconds for span in spans if not span.tones]
    assert max(silences, default=0.0) <= SILENCE_S + since.kept_s, spans
    return sounds(spans)


def lasted(spans: list[Span], tone: int) -> float:
    """How long a tone was heard, in seconds, all together."""
    return sum(span.seconds for span in spans if span.tones == {tone})
