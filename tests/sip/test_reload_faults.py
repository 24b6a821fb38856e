# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever fails in whichever part of a reload, the gateway runs on as it was, and the next reload is taken."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from tests.sip.test_reload import METRIC, numbers, reload
from tests.sip.test_trunks import PASSWORD
from tests.support.company import settings
from tests.support.configuration import Configuration
from tests.support.gateway import Gateway
from tests.support.peer import Peer
from tests.support.processes import Net
from tests.support.systemd import Systemd

pytestmark = pytest.mark.sip

ROOT = Path(__file__).parents[2]
STEPS = (
    "gateway.sip.stack.accounts:_register",  # called where a trunk is added that registers
    "gateway.sip.stack.accounts:Accounts._open",
    "gateway.sip.calls.midcall:MidCall.configure",
    "gateway.sip.calls.timer_c:TimerC.configure",
    "gateway.sip.stack.front:Front.configure",
    "gateway.sip.stack.trunks:TrunkWatch.watch",
    "gateway.engine:Engine.reconfigure",
    "gateway.report.metrics:Metrics.configure",
    "gateway.report.reporter:EventReporter.configure",
    "gateway.web.server:WebServer.configure",
    "gateway.following:Following.follow",
    "gateway.report.reporter:EventReporter.log_in",
)
"""What a reload does. Each step fails once, after its work: by turns while a trunk is added and while it goes."""
BROKEN = """
import importlib, os, pathlib
order = pathlib.Path(os.environ["BREAKS"])
def fragile(name):
    module, _, path = name.partition(":")
    owner = importlib.import_module(module)
    *outer, last = path.split(".")
    for each in outer:
        owner = getattr(owner, each)
    whole = getattr(owner, last)
    def broken(*arguments, **named):
        done = whole(*arguments, **named)
        if order.exists() and order.read_text() == name:
            order.unlink()
            raise RuntimeError("broken for a test")
        return done
    setattr(owner, last, broken)
for name in os.environ["FRAGILE"].split():
    fragile(name)
"""


def told(systemd: Systemd) -> list[str]:
    """What systemd has heard since it was asked last, the first line of each message."""
    return [each.split("\n")[0] for each in systemd.messages() if not each.startswith("WATCHDOG")]


def with_another_trunk(files: Configuration, host: str) -> Configuration:
    """The same with a trunk `spare`, a destination `added`, and a trunk that registers from now on."""
    more = copy.deepcopy(files)
    more.profiles["spare"] = {**more.profiles["hms"], "addresses": [host], "options_interval_s": 0}
    registers = {"outbound": f"sip:{host}", "register": True, "username": "spare", "password": PASSWORD}
    more.trunk("hms", more.profiles["hms"]["addresses"][0], **registers)
    more.line["destinations"].append({"id": "added", "extension": "6777"})
    more.number("second", "+31207654321", "spare", more.line["pbx"], [{"id": "desk", "extension": "190"}])
    return more


@pytest.mark.keeps("16.106")
@pytest.mark.timeout(150)  # two reloads for each step
async def test_no_step_that_fails_leaves_half_a_configuration(own_net: Net, tmp_path: Path, systemd: Systemd) -> None:
    (tmp_path / "sitecustomize.py").write_text(BROKEN)
    breaks = tmp_path / "breaks"
    files = settings(own_net, pbx_uri=f"sip:{own_net.pbx}:5070", sip={"bind_address": own_net.host(43)})
    files.main["mqtt"] = {"host": "127.0.0.1", "port": 9}
    environment = {
        "PYTHONPATH": f"{tmp_path}:{ROOT}",
        "BREAKS": str(breaks),
        "FRAGILE": " ".join(STEPS),
        "NOTIFY_SOCKET": str(tmp_path / "notify"),
    }
    without = copy.deepcopy(files)
    added = with_another_trunk(files, own_net.host(45))
    async with (
        Gateway(files, env=environment) as gateway,
        Peer(own_net.trunk) as trunk,
        Peer(own_net.host(45)) as spare,
    ):

        async def holds(step: str, *, more: bool) -> None:
            """The configuration with the other trunk is in force, or the one without."""
            status = await gateway.get("/api/status")
            assert sorted(status["trunks"]) == (["hms", "spare"] if more else ["hms"]), step
            assert await numbers(gateway) is more, step
            assert (await trunk.request("OPTIONS", "sip:gateway", gateway.sip)).code == 200, step
            assert (await spare.request("OPTIONS", "sip:gateway", gateway.sip)).code == (200 if more else 403), step

        await holds("at the start", more=False)
        for n, step in enumerate(STEPS):
            more = n % 2 == 0
            (gateway.directory / "sip_profiles" / "spare.toml").unlink(missing_ok=True)
            gateway.files = copy.deepcopy(added if more else without)
            gateway.files.main["gateway"]["state_dir"] = str(gateway.directory / "state")
            told(systemd)
            breaks.write_text(step)
            status, body = await reload(gateway)
            assert not breaks.exists(), step
            assert status == 422, step
            assert body["mistakes"] == ["the gateway failed to take it: RuntimeError: broken for a test"], step
            assert await gateway.metric(f"{METRIC}_last_reload_successful") == 0
            assert told(systemd) == ["RELOADING=1", "READY=1"], step
            await holds(step, more=not more)
            # What has failed does not stand in the way of the next one.
            assert (await reload(gateway))[0] == 200, step
            await holds(step, more=more)
        assert "old-configuration-not-restored" not in gateway.log
