# SPDX-License-Identifier: GPL-2.0-or-later
"""What `why` tells of one transfer, while the gateway runs and when it does not."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from gateway import cli
from gateway.core.sip_message import KeptMessages
from tests.bench import SALES
from tests.running_app import running
from tests.support.processes import eventually
from tests.test_call_messages import message

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.slow


@pytest.fixture
def why(directory: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """The command: its exit code, and what it prints."""

    async def asked(*more: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = await asyncio.to_thread(cli.main, ["why", *more, "--config", str(directory)])
        return (code, *capsys.readouterr())

    return asked


@pytest.mark.keeps("20.28", "20.79")
async def test_what_became_of_a_transfer_with_and_without_a_gateway(directory: Path, why: Callable[..., Any]) -> None:
    async with running(directory) as gateway:
        gateway.called()
        [call] = (await gateway.get("/api/calls"))[1]["calls"]
        _, refused = await gateway.post(f"/api/calls/{call['call']}/transfer", type="transfer", destination=SALES)
        transfer = refused["transfer"]["transfer"]

        async def stored() -> bool:
            return bool((await gateway.get("/api/transfers?cursor="))[1]["transfers"])

        await eventually(stored, "it is in the history")
        code, told, _ = await why(transfer)
        lines = told.splitlines()
        head = lines.index(f"{transfer}: refused, not-bridged (480)")
        assert code == 0
        assert lines[head + 1] == "  +31612345678 was asked for on main-line, by command of token_file"
        assert any(line.endswith("+   0.000 s  asked for") for line in lines)
        assert "  the call has nobody to transfer" in lines
        assert "the SIP messages are not there: they are kept in memory alone" in told
        leg, *_ = (await gateway.get(f"/api/transfers/{transfer}/messages"))[1]["legs"]
        bye = message("BYE sip:x SIP/2.0\r\n\r\n", sent=True)
        gateway.sip.kept_of[leg["call_id"]] = KeptMessages((bye,))
        code, told, _ = await why(transfer, "--messages")
        assert (code, "gate: the call has nobody to transfer" in told, "  BYE sip:x SIP/2.0" in told) == (0, True, True)
        drawn = [line for line in told.splitlines() if " BYE " in line and "─" in line]
        assert len(drawn) == 1, told
        as_json = json.loads((await why(transfer, "--json"))[1].splitlines()[-1])
        assert (as_json["reason"], as_json["messages"]["messages"][0]["text"]) == ("not-bridged", bye.text)
        _, told = await gateway.post("/api/forget", caller="+31201112222")
        assert told["erased"]["message_legs"] >= 1
        assert gateway.sip.kept_of == {}
        code, _, said = await why("01NOTHING")
        assert (code, "no transfer 01NOTHING is under way or remembered; transfer-gateway transfers lists" in said) == (
            1,
            True,
        )
    code, offline, _ = await why(transfer)
    assert code == 0
    assert f"{transfer}: refused, not-bridged (480)" in offline
    assert "the SIP messages are not there: a running gateway has them in its memory, and no gateway answers" in offline
    assert "  the call has nobody to transfer" in offline.splitlines()
    code, _, said = await why("01NOTHING")
    assert (code, "the history has no transfer 01NOTHING" in said) == (1, True)
