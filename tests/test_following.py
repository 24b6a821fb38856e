# SPDX-License-Identifier: GPL-2.0-or-later
"""A reload changes how the state of a PBX is had where that has changed, and leaves the others alone."""

import asyncio
from pathlib import Path
from typing import cast

import pytest

from gateway import following
from gateway.clock import LoopClock
from gateway.config import load
from gateway.following import Following
from gateway.pbx.asterisk import AmiSource
from gateway.pbx.subscriptions import DialogInfoSource
from gateway.ports import ExtensionWatcher
from tests.config_directory import PBX, TRUNK, write
from tests.pbx.fake_ami import FakeAmi, Listener
from tests.support.processes import eventually

NO_WATCHER = cast("ExtensionWatcher", None)
"""Nothing is watched over SIP here."""


def written(directory: Path, port: int, secret: str) -> Path:
    profile = PBX.replace('source = "ami"', f'source = "ami"\nport = {port}')
    return write(
        directory, profiles={"platform": TRUNK, "asterisk": profile}, secrets={"sip_profiles/ami.secret": secret}
    )


@pytest.mark.keeps("16.107")
async def test_a_changed_secret_is_proved_by_a_new_login(tmp_path: Path) -> None:
    async with FakeAmi() as pbx:
        pbx.secret = "old"
        follows = Following(Listener(), NO_WATCHER, LoopClock())
        try:
            follows.follow(load(written(tmp_path, pbx.port, "old")))
            await logged_in(pbx, 1)
            before = follows.sources["asterisk"]
            follows.follow(load(tmp_path))  # nothing has changed
            assert follows.sources["asterisk"] is before
            pbx.secret = "new"  # a login that is there already lasts
            follows.follow(load(written(tmp_path, pbx.port, "new")))
            await logged_in(pbx, 2)
            assert follows.sources["asterisk"] is not before
        finally:
            await follows.stop()


async def logged_in(pbx: FakeAmi, times: int) -> None:
    async def told() -> bool:
        return pbx.logins == times

    await eventually(told, f"{times} logins")


async def test_a_source_that_cannot_be_made_leaves_those_that_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FakeAmi() as pbx:
        pbx.secret = "old"
        follows = Following(Listener(), NO_WATCHER, LoopClock())
        try:
            old = load(written(tmp_path, pbx.port, "old"))
            follows.follow(old)
            await logged_in(pbx, 1)
            before = dict(follows.sources)

            def fail(*_arguments: object) -> None:
                raise RuntimeError("no source today")

            with monkeypatch.context() as broken:
                broken.setattr(following, "source_of", fail)
                with pytest.raises(RuntimeError):
                    follows.follow(load(written(tmp_path, pbx.port, "new")))
            assert follows.sources == before
            follows.follow(old)
            assert follows.sources == before
            assert pbx.logins == 1
        finally:
            await follows.stop()


@pytest.mark.keeps("16.165")
@pytest.mark.parametrize("kind", [AmiSource, DialogInfoSource])
async def test_a_source_that_fails_runs_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[AmiSource | DialogInfoSource]
) -> None:
    runs = asyncio.Semaphore(0)

    async def fail(_source: object) -> None:
        runs.release()
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(following, "AGAIN_S", (0.001, 0.001))
    monkeypatch.setattr(kind, "run", fail)
    profile = PBX if kind is AmiSource else PBX[: PBX.index("[queues]")] + '[queues]\nsource = "dialog-info"\n'
    follows = Following(
        Listener(), NO_WATCHER if kind is AmiSource else cast("ExtensionWatcher", object()), LoopClock()
    )
    try:
        follows.follow(load(write(tmp_path, profiles={"platform": TRUNK, "asterisk": profile})))
        async with asyncio.timeout(5):
            for _ in range(3):
                await runs.acquire()
    finally:
        await follows.stop()
