# SPDX-License-Identifier: GPL-2.0-or-later
"""Every event reaches the receiver in order, signed, however it fails; what it never takes keeps no other one."""

import asyncio
import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.report.sinks.webhook import sink as sinks
from gateway.report.sinks.webhook.post import MAX_RETRY_AFTER_S
from tests.bench.jumping_loop import JumpingLoop
from tests.report.webhook.sending import QuickJournal, receiver, sending, settled
from tests.report.webhook.server import OTHER_SECRET, SECRET, Reaction, Server, subjects

pytestmark = pytest.mark.slow
event_loop = JumpingLoop

BUSY_S = 5.0
"""So much longer than a timer something may take on a busy machine."""


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[QuickJournal]:
    journal = QuickJournal(tmp_path)
    yield journal
    journal.store.close()


def names(first: int, last: int) -> list[str]:
    return [f"t{number}" for number in range(first, last)]


async def test_events_arrive_in_order_and_signed(journal: QuickJournal) -> None:
    journal.put(*names(0, 3))
    async with Server() as server, sending(journal, receiver(server.url)):
        await settled(journal)
        journal.put(*names(3, 120))
        await settled(journal)
        assert subjects(server.taken) == names(0, 120)
        assert server.refused_signatures == 0
        headers = server.headers[0]
        assert headers["Content-Type"] == "application/cloudevents+json; charset=utf-8"
        assert headers["User-Agent"].startswith("transfer-gateway/")


async def test_only_what_was_asked_for_is_sent_and_the_rest_waits_for_nobody(journal: QuickJournal) -> None:
    journal.put("t0", "t1")
    journal.put_call("c0")
    wanted = frozenset({"call.ended.v1"})
    async with Server() as server, sending(journal, receiver(server.url, events=wanted)):
        await settled(journal)
        assert subjects(server.asked) == ["c0"]


@pytest.mark.keeps("22.70")
@pytest.mark.parametrize("row", ['{"id": "1", "ty', "", "null", "[]", "7", "[" * 10_000, "{}", '{"type": [1]}'])
async def test_a_row_that_is_no_event_silences_nobody(journal: QuickJournal, row: str) -> None:
    """... as a disk may have it that was restored."""
    journal.put("t0", "t1", "t2")
    journal.store.db.execute("UPDATE journal SET payload = ? WHERE seq = 2", (row,))
    async with Server() as server, sending(journal, receiver(server.url)):
        await settled(journal)
        assert subjects(server.asked) == ["t0", "t2"]


@pytest.mark.parametrize("failure", [500, 502, 503, 429, 401, 404, 302, "hang", "drop"])
async def test_a_receiver_that_fails_for_a_while_gets_everything_in_order(
    journal: QuickJournal, failure: Reaction
) -> None:
    async with Server() as server, sending(journal, receiver(server.url)):
        server.otherwise = failure
        journal.put(*names(0, 10))
        await server.until(lambda it: len(it.asked) >= 12)
        assert (journal.waiting, journal.refused) == (10, 0)
        server.otherwise = 204
        await settled(journal)
        # It may be that the next one was tried while it was not known whether the first is at fault.
        assert sorted(subjects(server.taken)) == names(0, 10)
        assert len({event["id"] for event in server.taken}) == 10
        late = [
            name
            for name, after in zip(subjects(server.taken), subjects(server.taken)[1:], strict=False)
            if name > after
        ]
        assert len(late) <= 1
        assert journal.refused == 0


async def test_a_receiver_that_is_not_there_gets_everything_once_it_is(journal: QuickJournal) -> None:
    async with Server() as server:
        port, url = server.port, server.url
    journal.put(*names(0, 5))
    with capture_logs() as logs:
        async with sending(journal, receiver(url)) as sink:
            await asyncio.sleep(3600)
            assert (journal.waiting, journal.refused) == (5, 0)
            assert sink.condition.why.startswith("no connection: ")
            async with Server(port=port) as server:
                await settled(journal)
                assert subjects(server.taken) == names(0, 5)
                assert sink.condition.up
    assert [line["event"] for line in logs] == ["webhook-down", "webhook-up"]
    assert "in-the-url" not in str(logs)


async def test_pauses_grow_and_have_a_limit(journal: QuickJournal) -> None:
    loop = asyncio.get_running_loop()
    times: list[float] = []

    def refuse(_event: dict[str, Any]) -> int:
        times.append(loop.time())
        return 500

    async with Server() as server, sending(journal, receiver(server.url)):
        server.otherwise = refuse
        journal.put("t0")
        await server.until(lambda it: len(it.asked) >= 14)
    pauses = [after - before for before, after in itertools.pairwise(times)]
    # What the machine takes for a request comes on top.
    assert all(2**number / 2 <= pause < 2**number + BUSY_S for number, pause in enumerate(pauses[:5]))
    assert all(pause < sinks.LAST_PAUSE_AT_AN_EVENT_S + BUSY_S for pause in pauses)


@pytest.mark.parametrize("in_words", [False, True])
async def test_retry_after_is_honoured_within_reason(journal: QuickJournal, in_words: bool) -> None:
    loop = asyncio.get_running_loop()
    async with Server() as server, sending(journal, receiver(server.url)):
        at = format_datetime(datetime.now(UTC) + timedelta(seconds=1800), usegmt=True)
        server.script += [(503, {"Retry-After": at if in_words else "1800"}), (429, {"Retry-After": "9" * 30})]
        journal.put("t0")
        begun = loop.time()
        await server.until(lambda it: len(it.asked) == 2)
        assert 1790 < loop.time() - begun < 1810
        begun = loop.time()
        await settled(journal)
        assert loop.time() - begun == pytest.approx(MAX_RETRY_AFTER_S, abs=10)


@pytest.mark.parametrize("failure", [400, 413, 422, 500, "hang", "drop"])
async def test_an_event_that_a_receiver_never_takes_keeps_no_other(journal: QuickJournal, failure: Reaction) -> None:
    loop = asyncio.get_running_loop()

    def fails(event: dict[str, Any]) -> Any:
        return failure if event["subject"] in {"t1", "t2", "t4"} else 204

    async with Server() as server, sending(journal, receiver(server.url)) as sink:
        server.otherwise = fails
        begun = loop.time()
        with capture_logs() as logs:
            journal.put(*names(0, 6))
            await settled(journal)
        assert loop.time() - begun < 300
        assert sorted(subjects(server.taken)) == ["t0", "t3", "t5"]
        assert journal.refused == 3
        assert sink.condition.up
        assert [line["event"] for line in logs].count("webhook-event-refused") == 3
        # They are not lost: by themselves they are tried again.
        server.otherwise = 204
        await server.until(lambda it: len(it.taken) == 6)
        assert sorted(subjects(server.taken)) == names(0, 6)
        await asyncio.sleep(1)
        assert (journal.waiting, journal.refused) == (0, 0)


async def test_an_event_alone_is_tried_until_another_one_tells(journal: QuickJournal) -> None:
    async with Server() as server, sending(journal, receiver(server.url)):
        server.otherwise = lambda event: 400 if event["subject"] == "t0" else 204
        journal.put("t0")
        await server.until(lambda it: len(it.asked) >= 20)
        assert journal.refused == 0
        journal.put("t1")
        await settled(journal)
        assert (subjects(server.taken), journal.refused) == (["t1"], 1)


async def test_dead_letters_do_not_hold_up_what_happens(journal: QuickJournal) -> None:
    async with Server() as server, sending(journal, receiver(server.url)) as sink:
        server.otherwise = lambda event: 400 if event["subject"].startswith("bad") else 204
        journal.put("t0", *(f"bad{number:02}" for number in range(40)), "t1")
        await settled(journal)
        assert journal.refused == 40
        asked = len(server.asked)
        journal.put("t2")
        await sink.resend()
        await settled(journal)
        assert subjects(server.taken) == ["t0", "t1", "t2"]
        assert len(server.asked) - asked == 1 + sinks.AGAIN_FAILURES
        # … and ever more rarely.
        await asyncio.sleep(24 * 3600)
        assert len(server.asked) - asked < 1 + sinks.AGAIN_FAILURES * 12
        assert journal.refused == 40


async def test_a_receiver_that_is_gone_is_left_alone_until_a_reload(journal: QuickJournal) -> None:
    async with Server() as server, sending(journal, receiver(server.url)) as sink:
        server.script.append(410)
        with capture_logs() as logs:
            journal.put(*names(0, 4))
            await server.until(lambda it: len(it.asked) == 1)
            await asyncio.sleep(24 * 3600)
        assert [line["event"] for line in logs] == ["webhook-gone"]
        assert (len(server.asked), journal.waiting, sink.condition.gone) == (1, 4, True)
        sink.configure(receiver(server.url))
        await settled(journal)
        assert subjects(server.taken) == names(0, 4)
        assert not sink.condition.gone


async def test_another_key_and_another_address_hold_at_once(journal: QuickJournal) -> None:
    async with Server(secret=OTHER_SECRET) as server, Server(secret=OTHER_SECRET) as other:
        async with sending(journal, receiver(server.url)) as sink:
            journal.put("t0")
            await server.until(lambda it: it.refused_signatures == 5)
            assert journal.refused == 0
            # While a key is exchanged both sign.
            sink.configure(receiver(server.url, f"{SECRET} {OTHER_SECRET}"))
            await settled(journal)
            sink.configure(receiver(other.url, OTHER_SECRET))
            journal.put("t1")
            await settled(journal)
        assert (subjects(server.taken), subjects(other.taken)) == (["t0"], ["t1"])


async def test_a_redirect_is_not_followed(journal: QuickJournal) -> None:
    async with Server() as server, sending(journal, receiver(server.url)):
        server.script += [(307, {"Location": "/other"}), (308, {"Location": f"http://127.0.0.1:{server.port}/other"})]
        journal.put("t0")
        await settled(journal)
        assert (subjects(server.taken), server.elsewhere) == (["t0"], 0)


async def test_no_proxy_of_the_environment_gets_an_event(
    journal: QuickJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Server() as server, Server() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with sending(journal, receiver(server.url)):
            journal.put("t0")
            await settled(journal)
        assert (len(server.taken), len(proxy.asked), proxy.elsewhere) == (1, 0, 0)


async def test_an_answer_without_end_is_not_waited_for(journal: QuickJournal) -> None:
    async with Server() as server, sending(journal, receiver(server.url)):
        server.script += ["pour", "pour"]
        journal.put(*names(0, 3))
        await settled(journal)
        assert subjects(server.taken) == names(0, 3)


async def test_what_was_sent_is_not_sent_again_after_a_restart(journal: QuickJournal) -> None:
    async with Server() as server:
        async with sending(journal, receiver(server.url)):
            journal.put(*names(0, 3))
            await settled(journal)
            server.otherwise = 500
            journal.put(*names(3, 6))
            await server.until(lambda it: len(it.asked) > 6)
        server.otherwise = 204
        async with sending(journal, receiver(server.url)):
            await settled(journal)
        assert subjects(server.taken) == names(0, 6)


async def test_a_stop_waits_for_what_the_receiver_takes_and_for_no_more(journal: QuickJournal) -> None:
    loop = asyncio.get_running_loop()
    async with Server() as server:
        async with sending(journal, receiver(server.url)) as sink:
            journal.put(*names(0, 60))
            await sink.stop(5.0)
            assert subjects(server.taken) == names(0, 60)
        server.otherwise = "hang"
        async with sending(journal, receiver(server.url)) as sink:
            journal.put("t60")
            await server.until(lambda it: len(it.asked) == 61)
            begun = loop.time()
            await sink.stop(5.0)
            assert 5 <= loop.time() - begun < 5 + BUSY_S
        assert journal.waiting == 1


async def test_a_fault_of_ours_does_not_silence_the_receiver(
    journal: QuickJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Server() as server, sending(journal, receiver(server.url)) as sink:
        with monkeypatch.context() as patch, capture_logs() as logs:
            patch.setattr(sink, "_is_wanted", lambda _event: 1 / 0)
            journal.put("t0")
            await asyncio.sleep(1)
        assert [line["event"] for line in logs] == ["webhook-failed"]
        await settled(journal)
        assert subjects(server.taken) == ["t0"]
