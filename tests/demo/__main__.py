# SPDX-License-Identifier: GPL-2.0-or-later
"""`make demo`: a company, a caller, an assistant, four transfers and one that is not promised, on the terminal.

Afterwards everything stays up, with another call now and then, until Ctrl-C, and all the while a browser is shown the
dashboards; with --once (or ONCE=1) it ends after them, with exit code 0 only if all of them did what they should.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import signal
import sys
import textwrap
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import aiohttp

from tests.demo import dashboards, funnel
from tests.demo.company import CALLER_HZ, INSTANCE, NUMBERS, Company
from tests.demo.ladder import Ladder
from tests.demo.scenes import SCENES, Scene, Stage
from tests.demo.watch import Watch
from tests.support.fetch import FetchError, programs
from tests.support.processes import ChildError

if TYPE_CHECKING:
    from collections.abc import Iterator

SCENE_S = 30.0
"""How long a scene may take before it counts as stuck."""
PAUSE_S = 20.0
"""Between two calls, after all scenes were played."""
STOPS = (signal.SIGINT, signal.SIGTERM)


def main() -> int:
    """Run the demo; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end after the scenes")
    once = parser.parse_args().once or os.environ.get("ONCE", "") not in ("", "0")
    try:
        programs()
        return asyncio.run(_demo(once=once))
    except (FetchError, ChildError) as error:
        print(f"The demo cannot start: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


async def _demo(*, once: bool) -> int:
    _say("Starting a PBX with three people at phones and two queues, a broker, the gateway and Prometheus ...")
    # Ctrl-C goes to every process of the terminal. The servers inherit that they don't heed it: we stop them, in order.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    async with Company() as company, AsyncExitStack() as stack:
        stopped = asyncio.Event()
        for number in STOPS:
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        ladder = Ladder(_say)
        stage = Stage(company, ladder)
        watch = asyncio.create_task(Watch(company, ladder).run())
        shown = None
        if not once and not dashboards.missing():
            shown = await stack.enter_async_context(dashboards.Dashboards(company.prometheus))
        play = asyncio.create_task(_play_all(stage, shown, once=once))
        stop = asyncio.create_task(stopped.wait())
        await asyncio.wait({watch, play, stop}, return_when=asyncio.FIRST_COMPLETED)
        if stopped.is_set():
            _say("\nStopping everything ...")
        for task in (play, watch, stop):
            task.cancel()
        results = await asyncio.gather(play, watch, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result
    return 1 if stage.faults else 0


async def _play_all(stage: Stage, shown: dashboards.Dashboards | None, *, once: bool) -> None:
    _introduce(stage.company)
    if not once:
        _say(f"\nnow         {stage.company.gateway.url}/ shows in a browser what goes on")
        _say(f"prometheus  http://127.0.0.1:{stage.company.prometheus.port}\n{_dashboards(shown)}")
    for number, scene in enumerate(SCENES, 1):
        await _play(stage, scene, number)
    await _show_funnel(stage)
    _conclude(stage, shown)
    if once:
        return
    _say(f"\nAll of it stays up, with another call every {PAUSE_S:.0f} s. Ctrl-C ends it.")
    for number, scene in _again():
        await asyncio.sleep(PAUSE_S)
        await _play(stage, scene, number)


def _again() -> Iterator[tuple[int, Scene]]:
    yield from enumerate(itertools.cycle(SCENES), len(SCENES) + 1)


async def _play(stage: Stage, scene: Scene, number: int) -> None:
    _say(f"\n{number}. {scene.title}\n{textwrap.indent(scene.story, '   ')}\n")
    stage.ladder.begin()
    try:
        async with asyncio.timeout(SCENE_S):
            await scene.play(stage)
    except (AssertionError, OSError, aiohttp.ClientError) as error:  # a time-out is an OSError
        why = str(error).partition("\n")[0] or f"it took more than {SCENE_S:.0f} s"
        stage.check(f"scene {number} is played to its end", False, why)
        _say(f"--- the end of the gateway's log\n{stage.company.gateway.child.tail()}")
    stage.ladder.flush()


def _introduce(company: Company) -> None:
    net = company.net
    _say(
        f"""
  caller     {net.provider}: Mrs Jansen, on the company's telephone line, hums {CALLER_HZ} Hz
  PBX        {net.pbx}:5070: Asterisk; queue sales: Anna 6001, Bert 6002; queue support: Carla 6003
  gateway    {net.gateway}:5060: what this is about
  assistant  {net.trunk}:5060: the voice platform at the other end of the trunk, scripted

The ladders leave out 100, ACK, OPTIONS, and the 200 of NOTIFY, BYE and CANCEL."""
    )


async def _show_funnel(stage: Stage) -> None:
    counts = await funnel.counted(stage.company.prometheus, len(stage.ended))
    _say("\nWhat became of those who asked, as Prometheus has it\n")
    _say("\n".join(funnel.drawn(counts)))


def _dashboards(shown: dashboards.Dashboards | None) -> str:
    if shown is None:
        return f"dashboards  not shown here: {dashboards.missing()}"
    if shown.fault:
        return f"dashboards  not shown here, for they could not be put together: {shown.fault}"
    return f"dashboards  {shown.url} shows the funnel and all the others in a browser, as it goes on"


def _conclude(stage: Stage, shown: dashboards.Dashboards | None) -> None:
    company = stage.company
    _say("\nWhat was reported\n")
    for event in stage.ended:
        data = event["data"]
        words = (data["destination"], data["outcome"], data["reason"], str(data["sip_code"]))
        _say(f"  {data['transfer']}  {words[0]:<9} {words[1]:<10} {words[2]:<16} {words[3]}")
    if stage.ended:
        _say("\nThe first of them as it came over MQTT\n")
        _say(json.dumps(stage.ended[0], indent=1, ensure_ascii=False))
    target = NUMBERS["support"]
    _say(
        f"""
metrics        curl -s {company.gateway.url}/metrics | grep transfers_total
transfers      curl -s {company.gateway.url}/api/transfers
the funnel     curl -s '{funnel.address(company.prometheus.port)}'
alerts         curl -s http://127.0.0.1:{company.prometheus.port}/api/v1/alerts
prometheus     http://127.0.0.1:{company.prometheus.port}: the data source for a Grafana with deploy/grafana/dashboards
broker         {company.broker.host}:{company.broker.port}, topics transfer-gateway/{INSTANCE}/#
configuration  {company.gateway.directory}
its log        {company.gateway.child.log}
ask it         .venv/bin/transfer-gateway explain {target} --config {company.gateway.directory}
               .venv/bin/transfer-gateway status --config {company.gateway.directory}
"""
    )
    if shown is not None:
        _say(_dashboards(shown))
    if stage.faults:
        _say("Not all went as it should:")
        for fault in stage.faults:
            _say(f"  {fault}")
    else:
        _say("All of them did what they should.")


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
