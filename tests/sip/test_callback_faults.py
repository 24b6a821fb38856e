# SPDX-License-Identifier: GPL-2.0-or-later
"""What fails in a callback is told, and is over with: no error of Python's is left for the next one."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.sip

PROGRAM = """
import json, socket, sys, time
import pjsua2 as pj
from gateway.sip.stack.endpoint import Endpoint
from gateway.config.settings import SipSettings

told, called = [], []
sys.unraisablehook = lambda error: told.append([error.object, error.exc_type.__name__])

class Handler(pj.RequestHandler):
    def onMalformed(self, text, source, header, whole):
        called.append(text[:7])
        return 7 if len(called) == 1 else ""  # no text: SWIG cannot hand it on

endpoint = Endpoint.opened(SipSettings(bind_address="127.0.0.1"), debug=False, bridge_hz=8000)
config = pj.TransportConfig()
config.boundAddress = "127.0.0.1"
number = endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, config)
host, _, port = endpoint.transportGetInfo(number).localAddress.rpartition(":")
endpoint.libStart()
handler = Handler()
pj.set_request_handler(handler)
pj.know_peer(0, ["127.0.0.1"], 0.0, False)
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
until = time.monotonic() + 10
while len(called) < 2 and time.monotonic() < until:
    sender.sendto(b"OPTIONS sip:x SIP/2.0\\r\\nContact: <sip:\\r\\n\\r\\n", (host, int(port)))
    endpoint.libHandleEvents(100)
pj.set_request_handler(None)
endpoint.libDestroy(pj.PJSUA_DESTROY_NO_RX_MSG)
print(json.dumps({"told": told, "called": called[:2]}))
"""


@pytest.mark.keeps("16.12")
def test_a_callback_that_fails_is_told_and_the_next_one_is_called() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        timeout=50,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["called"] == ["OPTIONS", "OPTIONS"]
    assert found["told"] == [["a callback of the binding", "TypeError"]]
