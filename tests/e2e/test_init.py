# SPDX-License-Identifier: GPL-2.0-or-later
"""`init` against real PBXs that know nothing of the gateway: from its answers to a caller who is put through."""

from __future__ import annotations

import json
import re
import shutil
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from tests.e2e.scene import ANNA_HZ, Scene, hang_up
from tests.support.ami import ADMINISTRATOR
from tests.support.baresip import Agent
from tests.support.command_line import transfer_gateway
from tests.support.configuration import Configuration, toml
from tests.support.gateway import Gateway
from tests.support.peer import Peer
from tests.support.untouched_asterisk import FreePbx, UntouchedAsterisk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.processes import Net

pytestmark = pytest.mark.pbx

NUMBER = "+31201234567"
SALES = "+31612345678"


class Written(Gateway):
    """A gateway that runs with what `init` has written."""

    copied = False

    def __init__(self, files: Configuration, written: Path) -> None:
        self.written = written
        super().__init__(files)

    def write(self) -> None:
        """What was written, but for the state, which is this test's own."""
        shutil.copytree(self.written, self.directory, dirs_exist_ok=True)
        state = self.directory / "state"
        state.mkdir(exist_ok=True)
        main = self.directory / "gateway.toml"
        text, count = re.subn(r'state_dir = "[^"]*"', f'state_dir = "{state}"', main.read_text())
        assert count == 1
        main.write_text(text)


def answers(net: Net, port: int, http_port: int, destination: dict[str, Any]) -> dict[str, Any]:
    return {
        "manager": {"port": port, "username": ADMINISTRATOR[0], "secret_file": "admin.secret"},
        "gateway": {"country": "NL", "address": net.gateway, "http_port": http_port, "port": 5060},
        "platform": {"name": "hms", "addresses": [net.trunk], "outbound": f"sip:{net.trunk}:5060"},
        "numbers": [{"number": NUMBER, "destinations": [{"number": SALES, "description": "Prices", **destination}]}],
    }


async def init(
    directory: Path, pbx: UntouchedAsterisk, table: dict[str, Any], *options: str
) -> tuple[int, dict[str, Any], str]:
    """Run the command with these answers: exit code, what it says in JSON, complaints."""
    (directory / "admin.secret").write_text(ADMINISTRATOR[1])
    (directory / "answers.toml").write_text(toml(table))
    code, out, err = await transfer_gateway(
        *("init", "--json", "--answers", str(directory / "answers.toml")),
        *("--output", str(directory / "written"), "--asterisk-etc", str(pbx.etc), *options),
    )
    return code, json.loads(out) if out else {}, err


@pytest_asyncio.fixture(params=[UntouchedAsterisk, FreePbx], ids=["asterisk", "freepbx"])
async def stranger(own_net: Net, request: pytest.FixtureRequest) -> AsyncIterator[UntouchedAsterisk]:
    """A PBX that knows nothing of the gateway."""
    kind: type[UntouchedAsterisk] = request.param
    async with kind(own_net) as pbx:
        yield pbx


@pytest.mark.keeps("20.60")
async def test_a_caller_is_put_through_by_what_was_written(stranger: UntouchedAsterisk, tmp_path: Path) -> None:
    net, freepbx = stranger.net, isinstance(stranger, FreePbx)
    files = Configuration(net.gateway)
    queue = "6500" if freepbx else "sales"
    before = {path: path.read_bytes() for path in stranger.etc.rglob("*.conf")}
    table = answers(net, stranger.ami_port, files.main["http"]["port"], {"queue": queue, "id": "sales"})
    if freepbx:
        del table["manager"]  # its own manager.conf is readable here
    code, said, complaints = await init(tmp_path, stranger, table)
    assert code == 0, complaints
    assert {path: path.read_bytes() for path in stranger.etc.rglob("*.conf")} == before
    assert (said["pbx"], said["found"]["freepbx"]) == ("freepbx" if freepbx else "asterisk", freepbx)
    assert said["ready"] is False  # the PBX does not know the gateway yet
    written = tmp_path / "written"
    dialplan = (written / "pbx/extensions.d/transfer-gateway.conf").read_text()
    assert (
        "exten => 6500,1,Goto(from-internal,6500,1)" if freepbx else "exten => queue-sales,1,Queue(sales)"
    ) in dialplan

    stranger.carry_out(said["left"][0]["commands"])
    if freepbx:
        generated = [path for path in before if b"auto-generated" in before[path]]
        assert len(generated) > 4
        assert all(path.read_bytes() == before[path] for path in generated)
    async with (
        Agent(stranger, "6001", hz=ANNA_HZ),
        Peer(net.trunk) as assistant,
        Peer(net.provider, user="caller") as line,
        AsyncExitStack() as stack,
    ):
        # Done once more: its secret is kept, and now the PBX knows the gateway and tells it of its queues.
        code, said, complaints = await init(tmp_path, stranger, table, "--force")
        assert (code, said["ready"]) == (0, True), (complaints, said["probes"])
        gateway = await stack.enter_async_context(Written(files, written))
        play = Scene(stranger, gateway, assistant, line)
        await gateway.queue(queue, available=1)
        await stranger.reaches_gateway()
        caller, talking = await play.talk()
        assert await play.refer(talking, SALES) == 202
        told = await talking.notifies()
        assert [notify.sipfrag for notify in told] == [100, 200]
        await caller.media.hears(ANNA_HZ)
        [transfer] = await gateway.ended()
        assert (transfer["outcome"], transfer["destination"]) == ("completed", "sales")
        await hang_up(caller)
        await gateway.idle()


async def test_a_user_that_may_only_look_is_told_what_matters(stranger: UntouchedAsterisk, tmp_path: Path) -> None:
    """The shipped user's one right, `write = reporting`, tells of queues, hints, dialplan and channels."""
    (stranger.etc / "manager.conf").write_text(
        (stranger.etc / "manager.conf").read_text() + "\n[looker]\nsecret = looks\nread = agent\nwrite = reporting\n"
    )
    stranger.carry_out(["asterisk -rx 'manager reload'"])
    table = answers(stranger.net, stranger.ami_port, 0, {"extension": "6001", "id": "anna"})
    table["manager"]["username"] = "looker"
    (tmp_path / "looks").write_text("looks")
    table["manager"]["secret_file"] = "looks"
    code, said, complaints = await init(tmp_path, stranger, table)
    assert code == 0, complaints
    freepbx = isinstance(stranger, FreePbx)
    assert said["found"]["queues"].keys() == ({"6500"} if freepbx else {"sales", "slow", "support", "tiny"})
    assert {"6001", "6002"} <= set(said["found"]["hints"])
    assert said["found"]["untold"].keys() == {"endpoints"}  # transports are in pjsip.conf, which is here
    assert said["found"]["transports"] == [f"udp:{stranger.host}:5070"]
    dialplan = (tmp_path / "written/pbx/extensions.d/transfer-gateway.conf").read_text()
    assert f"exten => 6001,1,Goto({'from-internal' if freepbx else 'company'},6001,1)\n" in dialplan
