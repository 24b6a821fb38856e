# SPDX-License-Identifier: GPL-2.0-or-later
"""What a collector of traces is sent, and that nobody waits for one."""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import structlog

from gateway.config import ConfigError, load
from gateway.core.outcome import Outcome, Reason
from gateway.core.record import Milestone, TransferRecord
from gateway.report.traces.spans import parent, stretches
from gateway.report.traces.tracing import Tracing
from tests.config_directory import MAIN, write
from tests.report.samples import ID, after, completed, refused
from tests.support.collector import Collector, values

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from gateway.config import Config

pytestmark = pytest.mark.slow

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


def configured(directory: Path, endpoint: str | None, more: str = "") -> Config:
    """A configuration with this collector, if any."""
    table = f'[traces]\nendpoint = "{endpoint}"\n{more}\n[http]' if endpoint else "[http]"
    secrets = {"sip_profiles/ami.secret": "s3cret\n", "traces.secret": "Bearer hunter2\n"}
    return load(write(directory, MAIN.replace("[http]", table), secrets=secrets))


@asynccontextmanager
async def tracing(config: Config) -> AsyncIterator[Tracing]:
    made = Tracing("1.2.3")
    made.configure(config)
    try:
        yield made
    finally:
        await made.stop()


def asked_by(traceparent: str, record: TransferRecord | None = None) -> TransferRecord:
    """A transfer whose request named a trace."""
    return replace(record or completed(), context={"traceparent": traceparent, "tracestate": "vendor=1"})


@pytest.mark.keeps("23.48")
async def test_a_transfer_is_a_span_with_one_for_each_of_its_states(tmp_path: Path) -> None:
    async with Collector() as collector:
        config = configured(tmp_path, collector.endpoint, 'authorization_file = "traces.secret"')
        async with tracing(config) as made:
            made.transfer(Milestone.RINGING, completed())
            made.transfer(Milestone.ENDED, completed())
            whole, within = await collector.transfer(ID)
    assert whole.name == "transfer"
    assert [span.name for span in within] == ["gate", "dialling", "ringing", "answering"]
    assert within[0].start_time_unix_nano == whole.start_time_unix_nano
    assert within[-1].end_time_unix_nano == whole.end_time_unix_nano
    assert all(one.end_time_unix_nano == after_it.start_time_unix_nano for one, after_it in itertools.pairwise(within))
    told = values(whole.attributes)
    assert (told["transfer.outcome"], told["transfer.destination"], told["sip.code"]) == ("completed", "sales", 200)
    assert collector.resources[0]["service.instance.id"] == "test-1"
    assert collector.headers[0]["Authorization"] == "Bearer hunter2"
    everything = f"{whole}{within}{collector.resources}"
    assert not [number for number in ("31201112222", "31612345678", "00C9") if number in everything]


@pytest.mark.keeps("23.49")
async def test_it_is_part_of_the_trace_that_the_request_named(tmp_path: Path) -> None:
    async with Collector() as collector, tracing(configured(tmp_path, collector.endpoint)) as made:
        made.transfer(Milestone.ENDED, asked_by(f"00-{TRACE}-{SPAN}-00", completed("01J8ZQ7T9K3M5N7P9R1S3T5V00")))
        made.transfer(Milestone.ENDED, asked_by(f"00-{TRACE}-{SPAN}-01"))
        whole, within = await collector.transfer(ID)
        assert {span.trace_id.hex() for span in (whole, *within)} == {TRACE}
        assert whole.parent_span_id.hex() == SPAN
        # One who says that nobody records is not recorded either.
        assert not [one for one in collector.spans if "V00" in str(values(one.attributes).get("transfer.id"))]


@pytest.mark.keeps("23.49")
@pytest.mark.parametrize(
    "unfit",
    ["", "00", f"ff-{TRACE}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE}-{SPAN}",
     "x" * 8000, f"00-{TRACE.upper()}-{SPAN}-01"],
)  # fmt: skip
def test_a_trace_that_cannot_be_is_none(unfit: str) -> None:
    assert not parent(asked_by(unfit))


@pytest.mark.keeps("23.48")
def test_states_of_what_did_not_go_well() -> None:
    assert [each.name for each in stretches(refused())] == ["gate"]
    failed = replace(
        completed(), outcome=Outcome.FAILED, reason=Reason.NO_ANSWER, answered_at=None, human_at=None, ended_at=after(9)
    )
    assert [(each.name, each.ends) for each in stretches(failed)][-1] == ("ringing", after(9))
    taken = replace(completed(), whispered_at=after(4.2), accepted_at=after(7), human_at=after(7), ended_at=after(8))
    assert [(each.name, each.ends) for each in stretches(taken)][-1] == ("whispering", after(7))


@pytest.mark.keeps("23.50")
async def test_a_collector_that_is_gone_is_told_of_once_and_nobody_waits_for_it(tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as log:
        async with Collector() as collector, tracing(configured(tmp_path, collector.endpoint)) as made:
            collector.status = 400  # what is not tried again, so that the test need not wait for it
            begun = asyncio.get_running_loop().time()
            for _ in range(5_000):
                made.transfer(Milestone.ENDED, completed())
            assert asyncio.get_running_loop().time() - begun < 30  # 25,000 spans, of which 2,048 may wait
            await collector.asked()
            await collector.asked()
            collector.status = 200
            made.transfer(Milestone.ENDED, completed("01J8ZQ7T9K3M5N7P9R1S3T5V99"))
            while not any(each["event"] == "traces-taken-again" for each in log):
                await collector.asked()
    told = [each["event"] for each in log if each["event"].startswith("traces-")]
    assert told == ["traces-not-taken", "traces-taken-again"]


@pytest.mark.keeps("23.50")
async def test_a_reload_takes_the_collector_away_and_brings_another(tmp_path: Path) -> None:
    async with Collector() as one, Collector() as other:
        async with tracing(configured(tmp_path, one.endpoint)) as made:
            made.transfer(Milestone.ENDED, completed())
            made.configure(configured(tmp_path, None))
            made.transfer(Milestone.ENDED, completed("01J8ZQ7T9K3M5N7P9R1S3T5V01"))
            made.configure(configured(tmp_path, other.endpoint))
            made.transfer(Milestone.ENDED, completed("01J8ZQ7T9K3M5N7P9R1S3T5V02"))
        await one.transfer(ID)  # what was there to be sent was sent
        await other.transfer("01J8ZQ7T9K3M5N7P9R1S3T5V02")
        assert len({values(span.attributes).get("transfer.id") for span in (*one.spans, *other.spans)} - {None}) == 2


@pytest.mark.keeps("23.50")
def test_check_says_what_is_to_be_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without(name: str, package: str | None = None) -> None:
        if name.startswith("opentelemetry"):
            raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    with pytest.raises(ConfigError) as told:
        configured(tmp_path, "http://127.0.0.1:4318/v1/traces")
    assert [str(each) for each in told.value.mistakes] == [
        "gateway.toml: traces: needs the extra `traces`: pip install 'transfer-gateway[traces]'"
    ]
