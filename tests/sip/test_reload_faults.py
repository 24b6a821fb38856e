# SPDX-License-Identifier: GPL-2.0-or-later
"""Whatever fails in whichever part of a reload, the gateway runs on as it was, and the next reload is taken."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sip.test_reload import METRIC, add_destination, numbers, reload
from tests.sip.test_trunks import PASSWORD
from tests.support.gateway import Gateway, settings
from tests.support.peer import Peer
from tests.support.processes import Net

pytestmark = pytest.mark.sip

ROOT = Path(__file__).parents[2]
STEPS = (
    "gateway.sip.accounts:Accounts._open",
    "gateway.sip.accounts:_register",
    "gateway.sip.midcall:MidCall.configure",
    "gateway.sip.timer_c:TimerC.configure",
    "gateway.sip.front:Front.configure",
    "gateway.sip.trunks:TrunkWatch.watch",
    "gateway.engine:Engine.reconfigure",
    "gateway.report.metrics:Metrics.configure",
    "gateway.report.reporter:EventReporter.configure",
    "gateway.web.server:WebServer.configure",
    "gateway.following:Following.follow",
    "gateway.report.reporter:EventReporter.log_in",
)
"""What a reload does, in its order, each of which is made to fail once, after it has done its work."""
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


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as bound:
        bound.setblocking(False)
        bound.bind(str(tmp_path / "notify"))
        yield bound


def told(systemd: socket.socket) -> list[str]:
    """What systemd has heard since it was asked last."""
    heard = []
    with contextlib.suppress(BlockingIOError):
        while True:
            heard.append(systemd.recv(4096).decode().split("\n")[0])
    return [each for each in heard if not each.startswith("WATCHDOG")]


async def test_no_step_that_fails_leaves_half_a_configuration(
    wires: Net, tmp_path: Path, systemd: socket.socket
) -> None:
    (tmp_path / "sitecustomize.py").write_text(BROKEN)
    breaks = tmp_path / "breaks"
    files = settings(wires, pbx_uri=f"sip:{wires.pbx}:5070", sip={"bind_address": wires.host(43)})
    files["gateway.toml"]["mqtt"] = {"host": "127.0.0.1", "port": 9}
    environment = {
        "PYTHONPATH": f"{tmp_path}:{ROOT}",
        "BREAKS": str(breaks),
        "FRAGILE": " ".join(STEPS),
        "NOTIFY_SOCKET": str(tmp_path / "notify"),
    }
    before = dict(files)
    [number] = files["gateway.toml"]["numbers"]
    destinations = list(number["destinations"])
    async with (
        Gateway(files, secrets={"sip_profiles/hms.secret": PASSWORD}, env=environment) as gateway,
        Peer(wires.trunk) as trunk,
        Peer(wires.host(45)) as spare,
    ):

        async def answers() -> tuple[int, int]:
            known = await trunk.request("OPTIONS", "sip:gateway", gateway.sip)
            other = await spare.request("OPTIONS", "sip:gateway", gateway.sip)
            return known.code, other.code

        def add_peer() -> None:
            profile = gateway.files["sip_profiles/hms.toml"]
            registers = {"outbound": f"sip:{wires.host(45)}", "register": True, "username": "spare"}
            gateway.files["sip_profiles/spare.toml"] = {
                **profile, "addresses": [wires.host(45)], "options_interval_s": 0,
            }  # fmt: skip
            gateway.files["sip_profiles/hms.toml"] = {**profile, **registers, "password_file": "hms.secret"}
            main = gateway.files["gateway.toml"]
            main["numbers"] = [
                number,
                {"id": "second", "number": "+31207654321", "trunk": "spare", "pbx": number["pbx"],
                 "destinations": [{"id": "desk", "extension": "190"}]},
            ]  # fmt: skip
            add_destination(gateway)

        assert await answers() == (200, 403)
        told(systemd)
        for step in STEPS:
            add_peer()
            breaks.write_text(step)
            status, body = await reload(gateway)
            assert (step, status) == (step, 422)
            assert not breaks.exists()
            assert body["mistakes"] == ["the gateway failed to take it: RuntimeError: broken for a test"], step
            assert not await numbers(gateway), step
            assert await answers() == (200, 403), step
            assert list((await gateway.get("/api/status"))["trunks"]) == ["hms"], step
            assert await gateway.metric(f"{METRIC}_last_reload_successful") == 0
            assert told(systemd) == ["RELOADING=1", "READY=1"], step
            # What has failed does not stand in the way of the next one, and neither does going back.
            assert (await reload(gateway))[0] == 200, step
            assert await numbers(gateway), step
            assert await answers() == (200, 200), step
            del gateway.files["sip_profiles/spare.toml"]
            gateway.files |= {"sip_profiles/hms.toml": before["sip_profiles/hms.toml"]}
            (gateway.directory / "sip_profiles" / "spare.toml").unlink()
            number["destinations"] = list(destinations)
            gateway.files["gateway.toml"]["numbers"] = [number]
            assert (await reload(gateway))[0] == 200, step
            assert await answers() == (200, 403), step
            told(systemd)
        assert "old-configuration-not-restored" not in gateway.log
