# SPDX-License-Identifier: GPL-2.0-or-later
"""Run by record.sh among the tests of an earlier commit: transfers of several outcomes, and a kill during one."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.scene import ANNA_HZ, Scene, hang_up
from tests.support.company import settings
from tests.support.gateway import Gateway
from tests.support.peer import Peer
from tests.support.processes import eventually

if TYPE_CHECKING:
    from tests.conftest import Phones
    from tests.support.asterisk import Asterisk

pytestmark = pytest.mark.pbx

NOBODY, ANNA, BUSY, SILENT = "+31600000000", "+31612345681", "+31612345682", "+31612345683"


async def test_what_is_left_on_disk(pbx: Asterisk, phones: Phones) -> None:
    target = Path(os.environ["RECORD_TO"])
    await phones("6001", hz=ANNA_HZ)
    files = settings(pbx.net, pbx=pbx, mqtt={"host": "127.0.0.1", "port": 1})
    files.destination("silent")["ring_timeout_s"] = 60
    async with (
        Peer(pbx.net.trunk) as assistant,
        Peer(pbx.net.provider, user="caller") as line,
        Gateway(files) as gateway,
    ):
        play = Scene(pbx, gateway, assistant, line)
        for destination, answer, end in ((ANNA, 202, 200), (NOBODY, 404, None), (BUSY, 202, 486), (ANNA, 202, 200)):
            caller, talking = await play.talk()
            assert await play.refer(talking, destination) == answer
            if end is not None:
                assert (await talking.notifies())[-1].sipfrag == end
            await hang_up(caller)
            await gateway.idle()
        _, talking = await play.talk()
        assert await play.refer(talking, SILENT) == 202
        await gateway.until(lambda one: one["destination"] == "silent" and one["ringing_at"] is not None)

        async def stored() -> bool:
            return bool((await gateway.get("/api/status"))["history"]["waiting"] == 0)

        await eventually(stored, "what has ended is in the history")
        expected = {name: await gateway.get(f"/api/{name}") for name in ("transfers", "status")}
        await gateway.kill()
        (target / "expected.json").write_text(json.dumps(expected, indent=1))
        shutil.copytree(gateway.directory / "state", target / "state")
        left = shutil.ignore_patterns("state", "*.log")
        shutil.copytree(gateway.directory, target / "etc", ignore=left)
