# SPDX-License-Identifier: GPL-2.0-or-later
"""Today's gateway goes on from what an earlier one has left on disk, and leaves alone what a later one has."""

from __future__ import annotations

import json
import sqlite3
import tarfile
import tomllib
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gateway.config import load
from gateway.report.history import tables
from gateway.report.migrations import STEPS
from tests.support.broker import Broker
from tests.support.command_line import transfer_gateway
from tests.support.configuration import Configuration, Table, toml
from tests.support.gateway import Gateway
from tests.support.processes import eventually
from tests.support.subscriber import Subscriber

if TYPE_CHECKING:
    from tests.support.processes import Net

ARCHIVES = sorted(Path(__file__).parent.glob("*.tar.xz"))
KEPT = {"days": 3650, "failures_days": 3650}
"""What was left grows old, and is not to be deleted as that."""
VERSIONS = {"outbox.db": len(STEPS), "history.db": len(tables.STEPS)}


@pytest.fixture(params=ARCHIVES, ids=lambda path: path.name.partition(".")[0])
def left(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """What it has left: etc, shipped, state and expected.json."""
    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path / "left", filter="data")
    return tmp_path / "left"


def settle(left: Path, **tables: Table) -> Table:
    """Have its configuration name the state where that is now, and what else is different here; all of it."""
    file = left / "etc/gateway.toml"
    main: Table = tomllib.loads(file.read_text())
    main["gateway"]["state_dir"] = str(left / "state")
    for name, table in tables.items():
        main.setdefault(name, {}).update(table)
    file.write_text(toml(main))
    return main


class Successor(Gateway):
    """Today's gateway with an earlier one's configuration, and its state."""

    copied = False

    def __init__(self, left: Path, broker: Broker, net: Net) -> None:
        self._left = left
        main = settle(left, mqtt={"port": broker.port}, history=KEPT, sip={"bind_address": net.gateway})
        files = Configuration(main["sip"]["bind_address"])
        files.main["http"] = main["http"]
        super().__init__(files)

    def write(self) -> None:
        """It is there already."""
        self.directory = self._left / "etc"


@pytest.mark.keeps("20.106")
def test_its_configuration_and_the_one_that_came_with_it_have_no_mistakes(left: Path) -> None:
    load(left / "etc")
    (left / "shipped/sip_profiles/ami.secret").write_text("a-secret-of-32-characters-or-more")
    load(left / "shipped")


@pytest.mark.sip
@pytest.mark.broker
@pytest.mark.keeps("20.106")
async def test_its_state_is_taken_over(own_net: Net, left: Path) -> None:
    before = json.loads((left / "expected.json").read_text())
    ended = {one["transfer"]: one for one in before["transfers"]["transfers"] if one["outcome"] is not None}
    [open_one] = [one["transfer"] for one in before["transfers"]["transfers"] if one["outcome"] is None]
    assert {one["outcome"] for one in ended.values()} == {"completed", "failed", "refused"}
    assert before["status"]["outbox"]["events"] == 20
    with closing(sqlite3.connect(left / "state/history.db")) as db:
        [(head,)] = db.execute("SELECT hash FROM chain WHERE n = ?", (len(ended),)).fetchall()
    async with Broker() as broker, Subscriber(broker, "#") as heard, Successor(left, broker, own_net) as gateway:
        told = {one["transfer"]: one for one in await gateway.ended(len(ended) + 1)}
        # Each as it was, and the one that was under way as what it became.
        assert told.keys() == {*ended, open_one}
        known = ("outcome", "reason", "sip_code", "destination", "requested_at", "ended_at", "trail")
        assert [{name: told[id_][name] for name in known} for id_ in ended] == [
            {name: one[name] for name in known} for one in ended.values()
        ]
        assert (told[open_one]["outcome"], told[open_one]["reason"]) == ("interrupted", "gateway-stopped")

        async def stored() -> bool:
            return bool((await gateway.get("/api/status"))["history"]["waiting"] == 0)

        await eventually(stored, "the history holds all of them")

        def ends() -> list[str]:
            return [event["data"]["transfer"] for event in heard.events("transfer.ended.v1")]

        await heard.until(lambda _: set(ends()) == set(told))
        assert len(ends()) == len(told), "what waited for the broker came, each once"
        month = next(iter(ended.values()))["ended_at"][:7]
        code, proof, complaints = await transfer_gateway("report", "--proof", month, "--config", str(gateway.directory))
        assert code == 0, complaints
        (left / "proof").write_text(proof)
        code, _, complaints = await transfer_gateway("report", "--verify", str(left / "proof"))
        assert code == 0, complaints
        assert len(proof.splitlines()) >= 2 + len(ended)  # between its head and its end
        assert head.hex() in proof, "it goes on from the earlier one's head"
        assert await gateway.stop() == 0
    assert {name: version(left / "state" / name) for name in VERSIONS} == VERSIONS


def version(file: Path) -> int:
    with closing(sqlite3.connect(file)) as db:
        (found,) = db.execute("PRAGMA user_version").fetchone()
    return int(found)


@pytest.mark.slow
@pytest.mark.keeps("20.107")
async def test_a_later_store_is_refused_with_what_to_do_and_left_as_it_is(left: Path) -> None:
    state = left / "state"
    settle(left)
    with closing(sqlite3.connect(state / "outbox.db")) as db:
        db.execute(f"PRAGMA user_version = {VERSIONS['outbox.db'] + 1}")
    before = contents(state)
    code, *said = await transfer_gateway("run", "--config", str(left / "etc"))
    assert code == 1
    assert "made by a newer gateway" in "".join(said)
    assert "Install the newer gateway again, or move the file away" in "".join(said)
    assert contents(state) == before


@pytest.mark.slow
@pytest.mark.keeps("20.107")
async def test_a_later_configuration_is_refused_by_each_key_that_is_not_known(left: Path) -> None:
    settle(left, teleportation={"speed": 1})
    for command in ("check", "run"):
        code, *said = await transfer_gateway(command, "--config", str(left / "etc"))
        assert code == 78
        assert "gateway.toml: teleportation: is no known key; known here are " in "".join(said)


def contents(directory: Path) -> dict[str, Any]:
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.suffix != ".lock"}
