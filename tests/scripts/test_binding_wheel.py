# SPDX-License-Identifier: GPL-2.0-or-later
"""The binding as it was built: the limits we compiled in, and a loop that can be driven from outside.

PJSIP is one per process, so it runs in one of its own here.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.sip

BINDING = Path(__file__).resolve().parents[2] / "gateway" / "sip" / "binding"

SCRIPT = """
import json, select, socket, sys
import pjsua2 as pj

found = {"fd_before": pj.loop_fd(), "max_calls": pj.UaConfig().maxCalls}
config = pj.EpConfig()
config.uaConfig.threadCnt = 0
config.uaConfig.mainThreadOnly = True
config.logConfig.level = 0
endpoint = pj.Endpoint()
endpoint.libCreate()
endpoint.libInit(config)
found["fd"] = pj.loop_fd()
found["codecs"] = sorted(codec.codecId.split("/")[0] for codec in endpoint.codecEnum2())

here = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
here.bind(("127.0.0.1", 0))
here.settimeout(5)
listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
listener.bind(("127.0.0.1", 0))
port = listener.getsockname()[1]
listener.close()
transport = pj.TransportConfig()
transport.boundAddress = "127.0.0.1"
transport.port = port
endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, transport)
endpoint.libStart()
found["timer"] = pj.next_timer_ms()
watch = select.epoll()
watch.register(pj.loop_fd())
request = (
    f"OPTIONS sip:127.0.0.1:{port} SIP/2.0\\r\\n"
    f"Via: SIP/2.0/UDP 127.0.0.1:{here.getsockname()[1]};branch=z9hG4bK1\\r\\n"
    f"From: <sip:a@127.0.0.1>;tag=1\\r\\nTo: <sip:127.0.0.1>\\r\\nCall-ID: 1\\r\\nCSeq: 1 OPTIONS\\r\\n"
    "Max-Forwards: 70\\r\\nContent-Length: 0\\r\\n\\r\\n"
)
here.sendto(request.encode(), ("127.0.0.1", port))
found["woken"] = bool(watch.poll(5))
endpoint.libHandleEvents(0)
found["answer"] = here.recv(4000).decode().split()[0]
endpoint.libDestroy()
found["fd_after"] = pj.loop_fd()
print("found:" + json.dumps(found))
"""


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    # PJSIP logs to stdout while it starts and stops, whatever its level.
    lines = [line for line in done.stdout.splitlines() if line.startswith("found:")]
    answer: dict[str, Any] = json.loads(lines[0].removeprefix("found:"))
    return answer


def test_our_limit_of_legs_is_compiled_in(found: dict[str, Any]) -> None:
    site = (BINDING / "config_site.h").read_text().split()

    assert found["max_calls"] == int(site[site.index("PJSUA_MAX_CALLS") + 1])


def test_the_codecs_are_those_of_telephony(found: dict[str, Any]) -> None:
    assert found["codecs"] == ["G722", "PCMA", "PCMU", "opus"]


def test_the_loop_has_a_descriptor_only_while_pjsip_lives(found: dict[str, Any]) -> None:
    assert found["fd"] > 0
    assert (found["fd_before"], found["fd_after"]) == (-1, -1)
    assert found["timer"] > 0


def test_a_request_wakes_the_descriptor_and_is_answered(found: dict[str, Any]) -> None:
    assert found["woken"]
    assert found["answer"] == "SIP/2.0"
