# SPDX-License-Identifier: GPL-2.0-or-later
"""A real Asterisk that is killed, frozen or stopped, or lets nobody in: its state is unknown, and never wrong."""

from __future__ import annotations

import signal
import sqlite3
import time
from contextlib import closing, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from gateway.pbx.asterisk.ami_source import AmiTiming
from tests.pbx.fake_ami import Listener
from tests.pbx.followed_asterisk import BOOT_S, counts, running, sales_become
from tests.support.asterisk import Asterisk
from tests.support.begun import Begun
from tests.support.processes import eventually

if TYPE_CHECKING:
    from tests.conftest import Phones

pytestmark = pytest.mark.pbx


async def registered(pbx: Asterisk) -> bool:
    # Asterisk gives a COMMIT up, and tries no other, while a reader holds SQLite's lock: so this one takes none.
    database_file = pbx.directory / "var" / "astdb.sqlite3"
    file = f"file:{database_file}?mode=ro&immutable=1"
    with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(file, uri=True)) as database:
        rows = database.execute("SELECT key FROM astdb WHERE key LIKE '/registrar/contact/%'").fetchall()
        # While the journal stands, the COMMIT is not done: killed now, the next start rolls it back.
        return len(rows) >= 2 and not database_file.with_name("astdb.sqlite3-journal").exists()
    return False  # half written


async def test_a_killed_pbx_is_unknown_then_known_again_and_never_wrong(
    pbx: Asterisk, phones: Phones, listener: Listener
) -> None:
    await phones("6001")
    await phones("6002")
    async with running(pbx, listener) as source:
        await listener.known(within=BOOT_S)
        await sales_become(listener, 2, 2)
        first = len(listener.states)
        # The PBX writes a registration to disk about a second after it came; a crash before loses it.
        await eventually(lambda: registered(pbx), "both registrations on disk")
        await pbx.kill()
        await listener.unknown("not connected to the PBX")
        began = time.monotonic()
        await pbx.start()
        await listener.known(within=BOOT_S)
        print(f"\nknown {time.monotonic() - began:.1f} s after the start began")
        await sales_become(listener, 2, 2)
        for state in listener.states[first:]:
            # A slow machine's phones are back later than the PBX is known: until then nothing is said of their queue.
            told = state.queues.get("sales")
            unknown = state.proven_at is None or ("queue", "sales") in state.unsettled
            assert unknown if told is None else counts(told) == (2, 2, 0)
        assert source.up
        await pbx.pause("6001")
        await sales_become(listener, 2, 1)


async def test_a_frozen_pbx_is_unknown_within_its_age_and_known_when_it_thaws(
    pbx: Asterisk, listener: Listener
) -> None:
    assert pbx.child is not None
    async with running(pbx, listener, max_age=timedelta(seconds=1.5), timing=AmiTiming(retry_max_s=0.5)) as source:
        await listener.known(within=BOOT_S)
        pbx.child.signal(signal.SIGSTOP)
        began = Begun()
        try:
            await listener.unknown("the PBX does not answer")
        finally:
            pbx.child.signal(signal.SIGCONT)
        assert began.took_s < 2.5
        assert not source.up
        await listener.known(within=BOOT_S)


async def test_a_stopped_pbx_is_unknown_at_once(pbx: Asterisk, listener: Listener) -> None:
    async with running(pbx, listener):
        await listener.known(within=BOOT_S)
        told = len(listener.states)
        await pbx.stop()
        await listener.until(lambda: len(listener.states) > told)
        # A busy PBX at times closes its connections before the goodbye is out.
        assert listener.states[told].unknown_because in (
            "not connected to the PBX: the PBX is shutting down",
            "not connected to the PBX: the PBX closed the connection",
        )


async def test_a_wrong_password(pbx: Asterisk, listener: Listener) -> None:
    with capture_logs() as logs:
        async with running(pbx, listener, secret="wrong", timing=AmiTiming(refused_retry_s=0.1)) as source:
            await listener.unknown("login refused: Authentication failed")
            async with pbx.ami():
                pass
            assert not source.up
    assert [line["event"] for line in logs if line["log_level"] != "debug"] == ["ami-login-refused"]


async def test_the_shipped_rights_are_enough(pbx: Asterisk, listener: Listener) -> None:
    with capture_logs() as logs:
        async with running(pbx, listener) as source:
            await listener.known(within=BOOT_S)
            assert source.state.queues.keys() == {"sales", "slow", "support", "tiny"}
            assert {"6001", "6009"} <= source.state.extensions.keys()
    assert not [line for line in logs if "does not tell" in line["event"]]
