# SPDX-License-Identifier: GPL-2.0-or-later
"""A reload is taken by every part or by none, and systemd hears of its end whatever happens."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway import reloading
from gateway.config import Config, load
from gateway.ports import GivenCommand
from gateway.reloading import Reloader
from tests.config_directory import MAIN, write
from tests.support.processes import eventually

pytestmark = pytest.mark.slow


class Parts:
    """Three parts of a gateway, each of which remembers what it has; the last may fail."""

    def __init__(self, config: Config) -> None:
        self.has = [config.gateway.drain_timeout_s] * 3
        self.failure: BaseException | None = None

    def all(self) -> list[Callable[[Config], None]]:
        def part(number: int) -> Callable[[Config], None]:
            def take(config: Config) -> None:
                self.has[number] = config.gateway.drain_timeout_s
                if number == 2 and self.failure is not None and config.gateway.drain_timeout_s != 30:
                    raise self.failure

            return take

        return [part(number) for number in range(3)]


def with_drain(directory: Path, seconds: int) -> None:
    write(directory, MAIN.replace("[sip]", f"drain_timeout_s = {seconds}\n\n[sip]", 1))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    with_drain(tmp_path / "etc", 30)
    return tmp_path / "etc"


async def test_every_part_takes_it(directory: Path, systemd: Callable[[], list[str]]) -> None:
    config = load(directory)
    parts, told = Parts(config), list[bool]()
    reloader = Reloader(config, parts.all(), lambda reloader: told.append(reloader.refusal is None))
    with_drain(directory, 7)
    done = await reloader.reload()
    assert (list(done.mistakes), parts.has, reloader.config.gateway.drain_timeout_s) == ([], [7, 7, 7], 7)
    assert told == [True]
    assert systemd() == ["RELOADING=1", "READY=1", "STATUS=serving"]


@pytest.mark.keeps("16.106")
@pytest.mark.parametrize("failure", [RuntimeError("no such account"), KeyError(("tcp", 4)), MemoryError(), OSError(28)])
async def test_what_one_part_cannot_take_none_has(
    directory: Path, systemd: Callable[[], list[str]], failure: BaseException
) -> None:
    config = load(directory)
    parts, told = Parts(config), list[bool]()
    reloader = Reloader(config, parts.all(), lambda reloader: told.append(reloader.refusal is None))
    parts.failure = failure
    with_drain(directory, 7)
    with capture_logs() as lines:
        done = await reloader.reload()
    assert parts.has == [30, 30, 30]
    assert reloader.config is config
    assert told == [False]
    [mistake] = done.mistakes
    assert type(failure).__name__ in mistake
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["reload-refused"]
    reloading_, ready, status = systemd()
    assert (reloading_, ready) == ("RELOADING=1", "READY=1")
    assert mistake in status
    assert "refused" in status
    # … and the next one is taken as if nothing had been.
    parts.failure = None
    assert not (await reloader.reload()).mistakes
    assert parts.has == [7, 7, 7]
    assert systemd() == ["RELOADING=1", "READY=1", "STATUS=serving"]


@pytest.mark.thorough
@pytest.mark.keeps("16.106")
@pytest.mark.parametrize(
    "failure", [RecursionError(), PermissionError(13, "Permission denied"), ImportError("no calendars"), SystemError()]
)
async def test_whatever_loading_raises_the_old_configuration_stays_and_systemd_hears_of_it(
    directory: Path, systemd: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    config = load(directory)
    parts = Parts(config)
    reloader = Reloader(config, parts.all(), lambda _reloader: None)

    def fail(_directory: Path) -> Config:
        raise failure

    monkeypatch.setattr(reloading, "load", fail)
    assert (await reloader.reload()).mistakes
    assert parts.has == [30, 30, 30]
    assert systemd()[:2] == ["RELOADING=1", "READY=1"]
    assert reloader.document["refused_at"]
    assert reloader.document["mistakes"]


async def test_a_file_system_that_does_not_answer_holds_up_a_reload_for_a_while_only(
    directory: Path, systemd: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    reloader = Reloader(load(directory), [], lambda _reloader: None)

    async def never(*_arguments: object) -> Config:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(asyncio, "to_thread", never)
    monkeypatch.setattr(reloading, "PATIENCE_S", 0.05)
    [mistake] = (await reloader.reload()).mistakes
    assert "could not be read within" in mistake
    assert systemd()[:2] == ["RELOADING=1", "READY=1"]


async def test_one_reload_follows_the_other_and_the_last_file_is_the_one_in_force(
    directory: Path, systemd: Callable[[], list[str]]
) -> None:
    config = load(directory)
    parts = Parts(config)
    reloader = Reloader(config, parts.all(), lambda _reloader: None)

    async def idle() -> bool:
        return not reloader.reloading

    with_drain(directory, 7)
    by_program = asyncio.create_task(reloader.reload())
    reloader.begin()
    for _ in range(50):
        reloader.ask()
    await asyncio.sleep(0)
    with_drain(directory, 8)
    reloader.ask()
    await by_program
    await eventually(idle, "all reloads are over")
    assert parts.has == [8, 8, 8]
    words = [line for line in systemd() if not line.startswith("STATUS")]
    assert words == ["RELOADING=1", "READY=1"] * (len(words) // 2)
    assert 2 <= len(words) // 2 <= 3, "those that wait are one"


async def test_a_stop_ends_the_reload_that_is_under_way_and_takes_no_other(
    directory: Path, systemd: Callable[[], list[str]]
) -> None:
    config = load(directory)
    parts = Parts(config)
    reloader = Reloader(config, parts.all(), lambda _reloader: None)
    with_drain(directory, 7)
    under_way = asyncio.create_task(reloader.reload())
    await asyncio.sleep(0)
    assert systemd() == ["RELOADING=1"]
    reloader.close()
    assert systemd() == ["READY=1", "STATUS=serving"]
    assert (await under_way).mistakes == ["the gateway is stopping"]
    assert (await reloader.reload()).mistakes == ["the gateway is stopping"]
    assert parts.has == [30, 30, 30]
    assert systemd() == []


@pytest.mark.keeps("16.113")
async def test_what_waits_for_a_restart_is_compared_with_what_runs(
    directory: Path, systemd: Callable[[], list[str]]
) -> None:
    config = load(directory)
    reloader = Reloader(config, [], lambda _reloader: None)
    write(directory, MAIN.replace("udp_port = 5060", "udp_port = 5080"))
    for _ in range(2):  # the second reload changes nothing, and says it all the same
        with capture_logs() as lines:
            done = await reloader.reload()
        assert (list(done.mistakes), done.restart_needed) == ([], ("sip.udp_port",))
        assert {"event": "restart-needed", "changed": ["sip.udp_port"], "log_level": "warning"} in lines
        assert systemd()[-1] == "STATUS=serving; restart needed for sip.udp_port"
        assert reloader.config.sip.udp_port == 5060
    write(directory, "[gateway")  # a refusal hides nothing of it
    assert (await reloader.reload()).restart_needed == ("sip.udp_port",)
    assert systemd()[-1].startswith("STATUS=serving; restart needed for sip.udp_port; the reload of ")
    with_drain(directory, 7)
    done = await reloader.reload()
    assert (list(done.mistakes), done.restart_needed) == ([], ())
    assert systemd()[-1] == "STATUS=serving"


async def test_a_reload_that_was_asked_for_too_early_comes_when_the_gateway_serves(
    directory: Path, systemd: Callable[[], list[str]]
) -> None:
    config = load(directory)
    parts = Parts(config)
    reloader = Reloader(config, parts.all(), lambda _reloader: None)
    with_drain(directory, 7)
    reloader.ask()
    await asyncio.sleep(0)
    assert (parts.has, systemd()) == ([30, 30, 30], [])
    reloader.begin()

    async def idle() -> bool:
        return not reloader.reloading

    await eventually(idle, "it is over")
    assert parts.has == [7, 7, 7]
    assert systemd() == ["RELOADING=1", "READY=1", "STATUS=serving"]


@pytest.mark.keeps("19.42")
async def test_what_came_of_a_signal_is_noted_and_nothing_of_others(
    directory: Path, systemd: Callable[[], list[str]]
) -> None:
    config = load(directory)
    noted: list[GivenCommand] = []
    reloader = Reloader(config, [], lambda _reloader: None, noted.append)
    reloader.begin()

    async def idle() -> bool:
        return not reloader.reloading

    await reloader.reload()
    assert noted == []
    for content, result in ((MAIN, "done"), ("[gateway", "bad-configuration")):
        write(directory, content)
        reloader.ask()
        await eventually(idle, "it is over")
        assert noted.pop() == GivenCommand("signal", "signal", "reload", result)
        assert noted == []
    assert systemd()


@pytest.mark.keeps("16.164")
async def test_a_file_system_that_hangs_costs_one_thread(
    directory: Path, systemd: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load(directory)
    parts, answers, reads = Parts(config), threading.Event(), list[Path]()

    def hang(path: Path) -> Config:
        reads.append(path)
        assert answers.wait(10)
        return load(path)

    monkeypatch.setattr(reloading, "load", hang)
    monkeypatch.setattr(reloading, "PATIENCE_S", 0.05)
    reloader = Reloader(config, parts.all(), lambda _reloader: None)
    [first] = (await reloader.reload()).mistakes
    assert "could not be read within" in first
    [second] = (await reloader.reload()).mistakes
    assert "still being read" in second
    assert len(reads) == 1
    assert [line for line in systemd() if not line.startswith("STATUS")] == ["RELOADING=1", "READY=1"] * 2
    answers.set()

    async def is_over() -> bool:
        return not reloader._hangs

    await eventually(is_over, "the thread has come back")
    monkeypatch.setattr(reloading, "load", load)
    monkeypatch.setattr(reloading, "PATIENCE_S", 30)
    with_drain(directory, 7)
    assert not (await reloader.reload()).mistakes
