# SPDX-License-Identifier: GPL-2.0-or-later
"""How `make test` runs files of tests side by side: `pytest -n 8 --dist loadfile`, and two of those that are `alone`.

Each worker has a network of its own, so that no test meets the addresses, ports and servers of another worker. A file
stays with one worker, for what its tests share; what takes longest is begun first.
"""

from __future__ import annotations

import shlex
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.support import own_network
from tests.support.fetch import capture_programs, programs, proxy_programs, relay_programs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from execnet import XSpec
    from xdist.remote import Producer
    from xdist.workermanage import WorkerController

LONGEST = (
    "tests/sip/test_scenarios.py",
    "tests/sip/test_ageing.py",
    "tests/sip/test_asterisk_calls.py",
    "tests/sip/test_late_requests.py",
    "tests/e2e/test_exchange.py",
    "tests/sip/test_asterisk_mid_call.py",
    "tests/sip/test_hand_down.py",
    "tests/sip/test_dialog_info.py",
    "tests/sip/test_rtp_source.py",
    "tests/e2e/test_timelines.py",
    "tests/e2e/test_hand_down.py",
    "tests/e2e/test_broker_outage.py",
    # alone
    "tests/fuzz/test_fuzz.py",
    "tests/fuzz/test_descriptions.py",
    "tests/sip/test_floods.py",
    "tests/sip/test_connections.py",
    "tests/e2e/test_load.py",
    "tests/reconciled/test_reconciled.py",
)
"""What takes the longest: at the end, the other workers would wait for it."""


class ByFile(LoadScopeScheduling):  # type: ignore[misc]
    """Gives a worker the longest of the files that are left, then those with the gateways that a worker keeps.

    A gateway that is used no more forgets its transactions (32 s) while its worker still has other things to do.
    """

    def _split_scope(self, nodeid: str) -> str:
        file: str = nodeid.partition("::")[0]
        return file

    def _assign_work_unit(self, node: WorkerController) -> None:
        for first in (*LONGEST, *(file for file in self.workqueue if file.startswith("tests/sip/"))):
            if first in self.workqueue:
                self.workqueue.move_to_end(first, last=False)
                break
        super()._assign_work_unit(node)


@pytest.hookimpl
def pytest_sessionstart(session: pytest.Session) -> None:
    """Have a worker tell of a test only what somebody sees: to tell all costs more than most of the quick tests do."""
    if not hasattr(session.config, "workerinput") or session.config.option.durations:
        return
    for plugin in session.config.pluginmanager.get_plugins():
        if tell := getattr(plugin, "sendevent", None):
            plugin.sendevent = partial(_tell_what_is_seen, tell)


def _tell_what_is_seen(tell: Callable[..., None], name: str, **event: Any) -> None:
    """Pass an event of xdist's on, but for the start of a test and a setup and teardown that passed without a word."""
    match name, event.get("data"):
        case ("logstart", _) | ("testreport", {"when": "setup" | "teardown", "outcome": "passed", "sections": []}):
            pass
        case _:
            tell(name, **event)


@pytest.hookimpl
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile | None:
    """Ours for `--dist loadfile`, xdist's own for the rest."""
    return ByFile(config, log) if config.option.dist == "loadfile" else None


@pytest.hookimpl
def pytest_xdist_setupnodes(config: pytest.Config, specs: Sequence[XSpec]) -> None:
    """Give each worker a network of its own, where the machine lets us; what they can't fetch from there is fetched."""
    if config.option.dist != "loadfile":
        return
    programs()
    capture_programs()
    proxy_programs()
    relay_programs()
    if refused := own_network.allowed():
        print(f"The workers share this machine's loopback, since it gives them none of their own: {refused}",
              file=sys.stderr)  # fmt: skip
        return
    for spec in specs:
        spec.python = shlex.join([*own_network.command(), sys.executable])
