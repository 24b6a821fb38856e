# SPDX-License-Identifier: GPL-2.0-or-later
"""The running gateway answers over HTTP as its OpenAPI document says, while it transfers somebody."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from gateway.web.openapi import OPERATIONS
from tests.sip.scene import TARGET_HZ, UNHURRIED
from tests.support.configuration import TOKEN
from tests.web.described import exercise

if TYPE_CHECKING:
    from tests.sip.scene import Scene

pytestmark = pytest.mark.sip


@pytest.mark.keeps("16.190")
async def test_the_running_gateway_answers_as_its_document_says(scene: Scene) -> None:
    caller, assistant = await scene.bridged()
    [call] = (await scene.gateway.get("/api/calls"))["calls"]
    body = {"type": "transfer", "destination": UNHURRIED}
    assert (await scene.gateway.http("POST", f"/api/calls/{call['call']}/transfer", token=TOKEN, body=body))[0] == 202
    target = await scene.target("unhurried")
    await target.ring()
    seen = await asyncio.to_thread(exercise, scene.gateway.url, TOKEN, examples=8)
    assert set(seen) == {f"{method.upper()} {path}" for method, path in OPERATIONS}
    assert all(status < 500 for statuses in seen.values() for status in statuses)
    # The transfer did not mind.
    assert (await scene.gateway.get("/api/status"))["transfers"] == 1
    await target.answer(hz=TARGET_HZ)
    await caller.media.hears(TARGET_HZ)
    await assistant.wait_request("BYE")
    assert (await scene.outcome())["outcome"] == "completed"
