# SPDX-License-Identifier: GPL-2.0-or-later
"""A shell on the gateway's machine, at which somebody carries out a section of docs/runbook.md.

systemd does not run here: `journalctl` prints the gateway's log, and `systemctl` does with its process what the unit
says. With a systemd that is one scripts/try_systemd.sh carries those steps out.
"""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.processes import eventually
from tests.support.shell import Shell, gateway_programs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.support.gateway import Gateway

ROOT = Path(__file__).parents[3]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
LOG = "journalctl -u transfer-gateway | grep "


def section(alert: str) -> str:
    """What the runbook says about an alert."""
    return RUNBOOK.partition(f"\n## {alert}\n")[2].partition("\n## ")[0]


def steps(alert: str) -> list[str]:
    """The commands of its section."""
    [block] = re.findall(r"^```sh\n(.*?)^```", section(alert), re.MULTILINE | re.DOTALL)
    found: list[str] = block.splitlines()
    return found


class Seen:
    """What each step has printed. Leave it by `everything`: a step that nobody looks at proves nothing."""

    def __init__(self) -> None:
        self.outputs: dict[str, str] = {}
        self._unread: set[str] = set()

    def put(self, step: str, output: str) -> None:
        """A step was carried out."""
        self.outputs[step] = output
        self._unread.add(step)

    def __getitem__(self, step: str) -> str:
        self._unread.discard(step)
        return self.outputs[step]

    def log(self, slug: str) -> str:
        """The lines that the log has of an event."""
        return self[LOG + slug]

    def api(self, path: str) -> Any:
        """The JSON of an API path."""
        return json.loads(self[f"curl -s localhost:9470{path}"])

    def everything(self) -> None:
        """Whether every step's output was looked at. Raises AssertionError."""
        assert not self._unread, self._unread


class Desk:
    """The shell of a gateway; `within` is put before each command, to get to where the gateway is."""

    def __init__(self, gateway: Gateway, directory: Path, within: Callable[[], Sequence[str]] = tuple) -> None:
        self._gateway = gateway
        self._shell = Shell(directory, gateway_programs(gateway.directory), within)

    async def carry_out(self, alert: str, *, transfer: str = "", mend: Callable[[], object] | None = None) -> Seen:
        """All steps of a section, in their order, with this transfer's id for ID.

        Before the first step that has the gateway take something anew `mend` does what the section says to do.
        """
        seen = Seen()
        for step in steps(alert):
            match step.split():
                case ["systemctl", verb, "transfer-gateway"]:
                    if verb != "status" and mend is not None:
                        mend()
                    seen.put(step, await self.systemctl(verb))
                case _:
                    seen.put(step, await self._run(self._as_here(step, transfer)))
        return seen

    def _as_here(self, step: str, transfer: str) -> str:
        host, port = self._gateway.http_address
        step = step.replace("localhost:9470", f"{host}:{port}").replace("/ID", f"/{transfer}")
        return step.replace("/var/lib/transfer-gateway", self._gateway.files.main["gateway"]["state_dir"])

    async def _run(self, command: str) -> str:
        return (await self._shell.run(command))[1]

    async def systemctl(self, verb: str) -> str:
        """What systemd does to the unit, and says."""
        child = self._gateway.child
        match verb:
            case "status" if child.exit_code is None:
                return "Active: active (running)"
            case "status":
                return f"Active: failed (Result: exit-code)\nstatus={child.exit_code}"
            case "restart":
                await self._gateway.stop()
                await self._gateway.start()
                return ""
            case "reload":
                # ExecReload: the signal only after a check that finds nothing.
                said = await self._run("transfer-gateway check")
                if ": no mistakes. " in said:
                    child.signal(signal.SIGHUP)
                    return ""
                return f"Job for transfer-gateway.service failed.\n{said}"
        raise AssertionError(verb)


async def until(gateway: Gateway, name: str, value: int, timeout_s: float = 20.0) -> None:
    """Wait until a gauge has this value."""

    async def agrees() -> bool:
        return await gateway.metric(f"transfer_gateway_{name}") == value

    await eventually(agrees, f"{name} is {value}", timeout_s=timeout_s, every_s=0.05)


async def some(gateway: Gateway, name: str, timeout_s: float = 20.0) -> None:
    """Wait until a gauge of what waits somewhere is above 0: events are there some 20 ms after what they tell of."""

    async def counts() -> bool:
        return await gateway.metric(f"transfer_gateway_{name}") > 0

    await eventually(counts, f"{name} is above 0", timeout_s=timeout_s, every_s=0.05)


async def logged(gateway: Gateway, slug: str, timeout_s: float = 20.0) -> None:
    """Wait until the log has this event."""

    async def told() -> bool:
        return slug in gateway.log

    await eventually(told, f"{slug} in the log", timeout_s=timeout_s, every_s=0.05)
