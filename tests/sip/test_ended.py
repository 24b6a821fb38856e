# SPDX-License-Identifier: GPL-2.0-or-later
"""A user agent that has ended is asked all the same: HTTP is served for a moment longer."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.clock import LoopClock
from gateway.config import load
from gateway.sip.agent import SipAgent
from tests.bench import Bench
from tests.config_directory import write
from tests.support.processes import Net, free_port


async def ended(directory: Path) -> None:
    """Start it, have it end, and ask it all that it can be asked; prints the answers."""
    config = load(directory)
    agent = SipAgent(config, Bench(config).engine, LoopClock())
    agent.start()
    assert agent.stack["timers"] >= 0
    await agent.stop()
    print(agent.counts, agent.stack, agent.kept, agent.dialogs(10), agent.messages("nobody@test"), agent.captured(10))
    await agent.stop()


@pytest.mark.sip
@pytest.mark.keeps("16.213")
def test_it_holds_nothing_and_ends_no_process(tmp_path: Path, own_net: Net) -> None:
    directory = write(tmp_path)
    main = directory / "gateway.toml"
    text = (
        main.read_text().replace("127.0.0.2", own_net.gateway).replace("udp_port = 5060", f"udp_port = {free_port()}")
    )
    main.write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "tests.sip.test_ended", str(directory)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "{'legs': 0, 'pairs': 0, 'subscriptions': 0} {'dialogs': 0, 'transactions': 0, 'timers': 0}" in done.stdout


if __name__ == "__main__":
    asyncio.run(ended(Path(sys.argv[1])))
