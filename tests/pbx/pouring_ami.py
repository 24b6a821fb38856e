# SPDX-License-Identifier: GPL-2.0-or-later
"""A manager interface that pours events, as a process of its own: `python -m tests.pbx.pouring_ami RATE KIND`.

It prints its port. Once somebody has logged in it sends RATE events a second, in pieces each of 10 ms.
"""

import asyncio
import sys

from tests.pbx.fake_ami import FakeAmi, caller, changed

EVERY_S = 0.01
PADDING = {f"Field{number}": "x" * 20 for number in range(8)}
KINDS = {
    "status": [
        changed("QueueMemberStatus", f"PJSIP/600{number % 2 + 1}", status=1 + number % 2) | PADDING
        for number in range(100)
    ],
    "members": [changed("QueueMemberAdded", f"Local/{number}@x") | PADDING for number in range(20_000)],
    "callers": [caller("QueueCallerJoin", f"17{number}.1", Count=str(number)) | PADDING for number in range(20_000)],
    "answers": [caller("AgentConnect", f"17{number}.1", Interface="PJSIP/6001") | PADDING for number in range(20_000)],
    "noise": [{"Event": "VarSet", **PADDING}],
}


async def main(rate: int, kind: str) -> None:
    async with FakeAmi() as pbx:
        print(pbx.port, flush=True)
        await pbx.asked("QueueStatus", within=60)
        events, sent = KINDS[kind], 0
        while True:
            piece = [events[(sent + number) % len(events)] for number in range(round(rate * EVERY_S))]
            pbx.send(*piece)
            sent += len(piece)
            await asyncio.sleep(EVERY_S)


asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
