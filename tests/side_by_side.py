# SPDX-License-Identifier: GPL-2.0-or-later
"""How `make test` runs files of tests side by side: `pytest -n 4 --dist loadfile -m "not alone"`.

Each worker has a network of its own, so that no test meets the addresses, ports and servers of another worker. A file
stays with one worker, for what its tests share; what takes longest is begun first.
"""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.support import own_network
from tests.support.fetch import programs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from execnet import XSpec
    from xdist.remote import Producer
    from xdist.workermanage import WorkerController

LONGEST: tuple[str, ...] = ()


class ByFile(LoadScopeScheduling):  # type: ignore[misc]
    """Gives a worker the longest of the files that are left."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = nodeid.partition("::")[0]
        return file

    def _assign_work_unit(self, node: WorkerController) -> None:
        first = next((file for file in LONGEST if file in self.workqueue), None)
        if first is not None:
            self.workqueue.move_to_end(first, last=False)
        super()._assign_work_unit(node)


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
    if refused := own_network.allowed():
        print(f"The workers share this machine's loopback, since it gives them none of their own: {refused}",
              file=sys.stderr)  # fmt: skip
        return
    for spec in specs:
        spec.python = shlex.join([*own_network.command(), sys.executable])
