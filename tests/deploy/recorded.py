# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m tests.deploy.recorded FILE`: what the panels of the dashboards show after a mixed load, for pictures."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.deploy.asking import answers, dashboards, panels
from tests.deploy.loaded import loaded
from tests.support import own_network
from tests.support.asterisk import Asterisk
from tests.support.broker import Broker
from tests.support.fetch import programs
from tests.support.processes import Net

TRANSFERS = 400


async def _recorded() -> dict[str, object]:
    with Net() as net, TemporaryDirectory() as directory:
        async with Asterisk(net) as pbx, Broker() as broker, loaded(pbx, broker, TRANSFERS, Path(directory)) as load:
            boards = dashboards()
            shown = {
                name: [
                    [await answers(load.prometheus, target, load.start, load.end) for target in panel["targets"]]
                    for panel in panels(board)
                ]
                for name, board in boards.items()
            }
            return {"start": load.start, "end": load.end, "dashboards": boards, "shown": shown}


def main() -> int:
    """Record it, in a network of its own."""
    programs()
    own_network.enter()
    Path(sys.argv[1]).write_text(json.dumps(asyncio.run(_recorded())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
