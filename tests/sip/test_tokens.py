# SPDX-License-Identifier: GPL-2.0-or-later
"""Tokens with a name, on the running gateway: who may transfer whom, and who did, also after it was killed."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.sip.scene import ASSISTANT_HZ, CALLER_HZ
from tests.support.company import NUMBER, settings
from tests.support.gateway import Gateway
from tests.support.peer import Peer

if TYPE_CHECKING:
    from tests.support.processes import Net

pytestmark = pytest.mark.sip

PBX_PORT = 5070
SOURCE = Path(__file__).parents[1] / "support" / "hanging_disk.c"
CRM, SHOP, AUDITOR = "the crm's token", "the shop's token", "the auditor's token"


def with_tokens(net: Net) -> Gateway:
    """A gateway with three named tokens."""
    files = settings(net, pbx_uri=f"sip:{net.pbx}:{PBX_PORT}")
    second = files.number("shop-line", "+31201234599", "hms", "asterisk", files.line["destinations"])
    files.secrets |= {"crm.token": CRM, "shop.token": SHOP, "auditor.token": AUDITOR}
    files.main["http"]["tokens"] = [
        {"name": "crm", "secret_file": "crm.token", "may": ["transfer"], "numbers": ["main-line"]},
        {"name": "shop", "secret_file": "shop.token", "may": ["transfer"], "numbers": [second["id"]]},
        {"name": "auditor", "secret_file": "auditor.token", "may": ["read"]},
    ]
    return Gateway(files)


async def ask(gateway: Gateway, path: str, token: str, body: Any = None, method: str = "POST") -> tuple[int, Any]:
    """Status and JSON of what this token is answered."""
    status, text = await gateway.http(method, path, token=token, body=body)
    return status, json.loads(text)


async def trail(gateway: Gateway) -> list[tuple[str, str, str]]:
    """Author, action and result of each command, the newest first."""
    status, told = await ask(gateway, "/api/audit", AUDITOR, method="GET")
    assert status == 200
    return [(one["author"], one["action"], one["result"]) for one in told["commands"]]


@pytest.mark.keeps("19.8")
async def test_who_may_and_who_did(own_net: Net) -> None:
    expected = [
        ("crm", "cancel", "done"),
        ("shop", "cancel", "not-allowed"),
        ("crm", "transfer", "accepted"),
        ("crm", "reload", "not-allowed"),
        ("shop", "transfer", "not-allowed"),
    ]
    async with (
        Peer(own_net.pbx, PBX_PORT, user="pbx") as pbx,
        Peer(own_net.trunk) as platform,
        with_tokens(own_net) as gateway,
    ):
        caller = pbx.invite(f"sip:{NUMBER}@{gateway.sip[0]}", gateway.sip, hz=CALLER_HZ)
        assistant = await platform.wait_call()
        await assistant.answer(hz=ASSISTANT_HZ)
        await caller.answered()
        [call] = (await gateway.get("/api/calls"))["calls"]
        path, body = f"/api/calls/{call['call']}/transfer", {"type": "transfer", "destination": "anna"}
        assert (await ask(gateway, path, SHOP, body))[0] == 403
        assert (await ask(gateway, "/api/reload", CRM))[0] == 403
        assert not [one for one in pbx.received("INVITE") if "6001" in one.uri]
        status, told = await ask(gateway, path, CRM, body)
        assert (status, told["transfer"]["author"]) == (202, "crm")
        target = await pbx.wait_call()
        await target.ring()
        cancel = f"/api/transfers/{told['transfer']['transfer']}/cancel"
        assert (await ask(gateway, cancel, SHOP))[0] == 403
        assert (await ask(gateway, cancel, CRM))[0] == 200
        await target.wait_request("CANCEL")
        await caller.media.hears(ASSISTANT_HZ)
        [ended] = await gateway.ended()
        assert (ended["author"], ended["reason"]) == ("crm", "cancelled")
        assert "cancelled: by command of crm" in ended["trail"]
        assert await trail(gateway) == expected
        assert gateway.log.count("command-given") == len(expected)
        await caller.hang_up()
        await gateway.idle()
        await gateway.kill()
        await gateway.start()
        assert await trail(gateway) == expected


@pytest.fixture
def hanging_disk(tmp_path: Path) -> Path:
    """What has a gateway wait for its disk without end."""
    made = tmp_path / "hanging_disk.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", made, SOURCE], check=True)
    return made


@pytest.mark.keeps("16.212")
async def test_what_was_answered_is_in_the_trail_though_the_disk_hangs(own_net: Net, hanging_disk: Path) -> None:
    gateway = with_tokens(own_net)
    gateway.env = {"LD_PRELOAD": str(hanging_disk), "HANGS_AT": "/audit.jsonl"}
    async with gateway:
        for token, expected in ((CRM, 403), (AUDITOR, 403), (SHOP, 403)):
            assert (await ask(gateway, "/api/reload", token))[0] == expected
        await gateway.kill()
        await gateway.start()
        assert [author for author, _, _ in await trail(gateway)] == ["shop", "auditor", "crm"]
