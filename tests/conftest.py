# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures for the test bed: one PBX for the whole run, since it is the slowest; brokers and phones for each test."""

from __future__ import annotations

import gc
from contextlib import AsyncExitStack, closing, nullcontext
from typing import TYPE_CHECKING, Protocol

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings
from structlog.dev import ConsoleRenderer, plain_traceback

from tests.by_kind import pytest_ignore_collect
from tests.side_by_side import pytest_sessionstart, pytest_xdist_make_scheduler, pytest_xdist_setupnodes
from tests.support import tones
from tests.support.asterisk import Asterisk
from tests.support.baresip import Agent, Manner
from tests.support.broker import Broker
from tests.support.fetch import capture_programs, programs, proxy_programs, relay_programs
from tests.support.processes import Net, before_others
from tests.support.systemd import Systemd

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

# pytest looks for its hooks here.
__all__ = [
    "pytest_ignore_collect",
    "pytest_sessionstart",
    "pytest_xdist_make_scheduler",
    "pytest_xdist_setupnodes",
]

# Hypothesis would fail an example that takes 0.2 s, or examples that take long to make, by the clock on the wall: on a
# machine that does other things as well, any of them may. What hangs is ended by pytest's own time limit.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
settings.load_profile("any machine")
# `make test` plays the same examples each time, so that what it says is about the change under test. To look for new
# ones: `pytest --hypothesis-profile=explore tests/engine`; what is found stays as a test of its own.
settings.register_profile(
    "explore", settings.get_profile("any machine"), derandomize=False, max_examples=1500, print_blob=True
)
# `make check` plays a tenth of them: it is for between two edits.
settings.register_profile("quick", settings.get_profile("any machine"), max_examples=10)

# Where a test sets up no log, structlog draws a traceback with rich, if another tool has brought that: a second of CPU.
ConsoleRenderer.get_active().exception_formatter = plain_traceback

NEEDS_PROGRAMS = ("pbx", "broker", "sip")


class Phones(Protocol):
    """Starts a registered phone that lives as long as the test."""

    async def __call__(self, extension: str, *, hz: int | None = 440, manner: Manner = "answer") -> Agent:
        """The phone of an extension; `hz` and `manner` as Agent takes them."""
        ...


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option that picks the tests of a row of docs/conformance.md."""
    parser.addoption("--keeps", metavar="ROW", help="only the tests that keep this row of docs/conformance.md")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave only those tests."""
    row = config.getoption("--keeps")
    if row is not None:
        left_out = [item for item in items if not any(row in mark.args for mark in item.iter_markers("keeps"))]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """What the test files brought with them stays: no search for garbage need look through it, nor hold up a loop."""
    if needs_programs(session):
        tones.prepare()
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Fetch the programs before the first test, so that no test's time limit counts the download."""
    if needs_programs(session):
        programs()
    if any(item.get_closest_marker("proxy") for item in session.items):
        proxy_programs()
    if any(item.get_closest_marker("relay") for item in session.items):
        relay_programs()
    if any(item.get_closest_marker("capture") for item in session.items):
        capture_programs()


def needs_programs(session: pytest.Session) -> bool:
    """Whether tests will be run that start servers, or hear tones."""
    needed = any(item.get_closest_marker(name) for item in session.items for name in NEEDS_PROGRAMS)
    return needed and not session.config.option.collectonly


@pytest.fixture(scope="module", autouse=True)
def on_time(request: pytest.FixtureRequest) -> Iterator[None]:
    """What is marked `alone` measures the gateway, and not what else the machine does."""
    with before_others() if request.node.get_closest_marker("alone") else nullcontext():
        yield


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    """The systemd that whatever is started here notifies."""
    listening = Systemd(tmp_path / "notify")
    with closing(listening.socket):
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield listening


@pytest.fixture(scope="module")
def own_net() -> Iterator[Net]:
    """Loopback addresses for a module whose gateway has to itself what others share."""
    with Net() as claimed:
        yield claimed


@pytest.fixture(scope="session")
def net() -> Iterator[Net]:
    """Loopback addresses for the actors of this test run."""
    with Net() as claimed:
        yield claimed


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_pbx(net: Net) -> AsyncIterator[Asterisk]:
    """The PBX of this test run, in whatever state the last test left it; take `pbx` instead."""
    async with Asterisk(net) as asterisk:
        yield asterisk


@pytest.fixture
async def pbx(shared_pbx: Asterisk) -> AsyncIterator[Asterisk]:
    """A running PBX without calls, every member of its queues as configured; the test may stop or kill it."""
    if not shared_pbx.running:
        await shared_pbx.start()
    yield shared_pbx
    if shared_pbx.running:
        await shared_pbx.tidy()


@pytest.fixture
async def phones(pbx: Asterisk) -> AsyncIterator[Phones]:
    """Starts people's phones, which stop with the test; called with an extension, a tone and a manner."""
    async with AsyncExitStack() as stack:

        async def start(extension: str, *, hz: int | None = 440, manner: Manner = "answer") -> Agent:
            return await stack.enter_async_context(Agent(pbx, extension, hz=hz, manner=manner))

        yield start


@pytest.fixture
async def broker() -> AsyncIterator[Broker]:
    """An MQTT broker that keeps sessions over a restart."""
    async with Broker(persistent=True) as started:
        yield started
