# SPDX-License-Identifier: GPL-2.0-or-later
"""The documents' commands, run as they stand: where a gateway runs, and on a host where nothing is set up yet."""

from __future__ import annotations

import re
import shutil
import sys
from typing import TYPE_CHECKING

import pytest

from tests.documents.blocks import HERE, NEW_HOST, ROOT, Block, all_blocks, commands
from tests.e2e.scene import ANNA_HZ, Scene, hang_up, scene
from tests.support.company import destinations, settings
from tests.support.fetch import programs
from tests.support.shell import Shell, gateway_programs

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Phones
    from tests.support.asterisk import Asterisk
    from tests.support.broker import Broker
    from tests.support.configuration import Configuration

SALES = "+31612345678"
SHARE = ("opt/transfer-gateway/share", "usr/share/transfer-gateway")
"""Where `make install` and the package put what is shipped."""
TOKEN = "a-token-of-32-characters-or-more"

SHOWN = {
    "README.md: transfer-gateway status": ["all is well", "accepted", '"available"'],
    "README.md: transfer-gateway why": ["answered by the PBX", "answered by a person", '"human_at": "'],
    "README.md: sudo transfer-gateway explain": ["queue sales: 1 of 1 agents free", '"type": "transfer_call"'],
    "configuration.md: transfer-gateway check": ["no mistakes", "queue sales", '"name": "check_availability"'],
    "events.md: mosquitto_sub": ["^transfer-gateway/test/"],
    "operations.md: transfer-gateway status": [
        "all is well", '"ready": *true', "agents free", '"dialogs"', "^TRANSFER: completed", '"reloaded": true',
    ],
    "operations.md: transfer-gateway watch": ['"reachable": true', "^none$", '"known": true'],
    "operations.md: curl -s localhost:9470/api/transfers/ID/messages": ['"marks"', "INVITE sip:", '"side": "trunk"'],
    "operations.md: curl -s 'localhost:9470/api/transfers?cursor='": ['"next"', '"calls"'],
    "operations.md: curl -s localhost:9470/api/configuration": ['"keys"', r'"mistakes": \[\]'],
    "operations.md: curl -s localhost:9470/api/figures": ['"since"', '"sales"'],
    "operations.md: transfer-gateway report": ["reached", "sales", "main-line|number"],
    "operations.md: transfer-gateway report --proof": ["."],
    "operations.md: sed": [r"^[0-9a-f]{64}  -$"],
    "operations.md: transfer-gateway forget": ["erased"],
    "operations.md: curl -s -H": ['"author"'],
    "operations.md: journalctl": ["transfer-ended"],
    "operations.md: sqlite3": [],
}  # fmt: skip
"""What the blocks print, besides that none of their commands fails."""


def shown(block: Block) -> list[str]:
    """What this block is to print. Raises LookupError: nobody has said it yet."""
    about = f"{block.document.name}: {block.text}"
    found = max((key for key in SHOWN if about.startswith(key)), key=len, default="")
    return SHOWN[found]


def at_home(pbx: Asterisk, broker: Broker) -> Configuration:
    """A gateway of whom nothing is wrong, whose commands need a token."""
    files = settings(pbx.net, pbx=pbx, broker=broker, http={"token_file": "http.secret"})
    files.secrets["http.secret"] = TOKEN
    files.line["destinations"] = destinations("sales", "voicemail")
    return files


class Host:
    """The shell of a host where a gateway runs, as the documents take it to be."""

    def __init__(self, play: Scene, broker: Broker, directory: Path) -> None:
        self._play = play
        self.directory = directory
        gateway = play.gateway
        own = f"exec {sys.executable} -m tests.documents.programs"
        self._shell = Shell(
            directory,
            {
                **gateway_programs(gateway.directory),
                "sudo": 'exec "$@"',
                "curl": f'exec {shutil.which("curl")} --fail-with-body "$@"',
                "sqlite3": f'{own} sqlite3 "$@"',
                "mosquitto_sub": f'{own} mosquitto_sub -p {broker.port} "$@"',
            },
        )
        host, port = gateway.http_address
        self._here = {
            "localhost:9470": f"{host}:{port}",
            "/var/lib/transfer-gateway": gateway.files.main["gateway"]["state_dir"],
        }

    async def transferred(self) -> str:
        """Have a caller transferred; the transfer's id."""
        caller, assistant = await self._play.talk()
        assert await self._play.refer(assistant, SALES) == 202
        await caller.media.hears(ANNA_HZ)
        [transfer, *_] = await self._play.gateway.ended()
        await hang_up(caller)
        await self._play.quiet()
        await self._play.gateway.queue("sales", available=1)
        self._here |= {"ID": transfer["transfer"], "2026-10": transfer["requested_at"][:7]}
        return str(transfer["transfer"])

    def proof(self) -> str:
        """The file that a block has written."""
        return (self.directory / f"{self._here['2026-10']}.txt").read_text()

    async def run(self, block: Block) -> tuple[int, str]:
        """Run a block, with the ids of what there is for its words in capitals."""
        here, caller = dict(self._here), None
        if re.search(r"\bCALL\b", block.text):
            caller, _ = await self._play.talk()
            [call, *_] = (await self._play.gateway.get("/api/calls"))["calls"]
            here["CALL"] = call["call"]
        if "N:HASH" in block.text:
            chain = (await self._play.gateway.get("/api/status"))["history"]["chain"]
            here["N:HASH"] = f"{chain['n']}:{chain['hash']}"
        text = re.sub(
            "|".join(rf"(?<![\w-]){re.escape(word)}(?!\w)" for word in here), lambda m: here[m[0]], block.text
        )
        said = await self._shell.run(text, cwd=self.directory, TOKEN=TOKEN)
        if caller is not None and (await self._play.gateway.get("/api/calls"))["calls"]:
            await hang_up(caller)
            await self._play.quiet()
        return said


@pytest.mark.timeout(300)  # some forty processes, one after the other
@pytest.mark.pbx
@pytest.mark.broker
@pytest.mark.keeps("20.91")
async def test_every_command_works_where_a_gateway_runs(
    pbx: Asterisk, phones: Phones, broker: Broker, tmp_path: Path
) -> None:
    await phones("6001", hz=ANNA_HZ)
    wrong, computed = [], ""
    async with scene(pbx, files=at_home(pbx, broker)) as play:
        await play.gateway.queue("sales", available=1)
        host = Host(play, broker, tmp_path)
        transfer = [await host.transferred() for _ in range(3)][-1]
        for block in commands(HERE):
            code, said = await host.run(block)
            print(f"--- {block}: {code}\n{said}")
            computed = said.split()[0] if block.text.startswith("sed ") else computed
            missing = [
                pattern for pattern in shown(block)
                if not re.search(pattern.replace("TRANSFER", transfer), said, re.MULTILINE)
            ]  # fmt: skip
            if code != 0 or missing or "Traceback" in said:
                wrong.append(f"{block}: exit code {code}, {missing} not in\n{said}")
    assert not wrong, "\n\n".join(wrong)
    # What the document says of the hash that it has one compute.
    assert host.proof().splitlines()[2][:64] == computed


@pytest.mark.pbx
@pytest.mark.keeps("20.91")
async def test_every_step_of_a_set_up_works_on_a_new_host(tmp_path: Path) -> None:
    root = tmp_path / "host"
    for directory in ("etc/grafana/provisioning", "etc/prometheus", "var/lib/grafana", *SHARE):
        (root / directory).mkdir(parents=True)
    for share in SHARE:
        for shipped in ("deploy", "sip_profiles"):
            (root / share / shipped).symlink_to(ROOT / shipped)
    configuration = root / "etc/transfer-gateway"
    group = "transfer-gateway-secrets"
    shell = Shell(
        tmp_path,
        {
            **gateway_programs(configuration),
            "sudo": 'exec "$@"',
            "groupadd": f'[ "$*" = "--system {group}" ]',
            "chgrp": f'[ "$1" = {group} ] && [ -f "$2" ]',
        },
    )
    found = commands(NEW_HOST)
    assert len(found) > 3
    for block in found:
        text = re.sub(r"(?<![\w.])(?=/(?:etc|opt|usr/share|var/lib)/)", str(root), block.text)
        code, said = await shell.run(text)
        assert code == 0, f"{block}: {said}"
        print(f"--- {block}\n{said}")
    assert (configuration / "http.secret").stat().st_mode & 0o777 == 0o600
    assert (configuration / "sip_profiles/ami.secret").stat().st_mode & 0o777 == 0o640
    [added] = (root / "etc/systemd/system/transfer-gateway.service.d").iterdir()
    assert added.read_text() == f"[Service]\nSupplementaryGroups={group}\n"
    assert list((root / "etc/grafana/provisioning").rglob("*.yaml"))
    [prometheus] = [block for block in all_blocks("yaml") if "scrape_configs" in block.text]
    (root / "etc/prometheus/prometheus.yml").write_text(prometheus.text)
    promtool = " ".join(programs().command("usr/bin/promtool"))
    code, said = await shell.run(f"{promtool} check config {root}/etc/prometheus/prometheus.yml")
    assert code == 0, said
    assert "1 rule files found" in said
