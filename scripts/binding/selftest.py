# SPDX-License-Identifier: GPL-2.0-or-later
"""`python scripts/binding/selftest.py DIRECTORY`: whether the module in there can do what the gateway asks of it.

It calls itself over loopback: an INVITE passes the request handler, is answered with audio, a REFER in the call is
seen by the handler and refused, and the BYE ends both legs. A pjproject that nobody has tested yet may
compile and still differ in just this. Exit code 0: it can; else the last line on stderr says what failed.
"""

from __future__ import annotations

import importlib
import sys
import time
from typing import Any

PATIENCE_S = 10.0


def main(directory: str) -> None:
    """Run it; raises whatever goes wrong."""
    sys.path.insert(0, directory)
    pj: Any = importlib.import_module("pjsua2")
    endpoint = pj.Endpoint()
    pj.set_log_level(0)
    endpoint.libCreate()
    config = pj.EpConfig()
    config.uaConfig.threadCnt = 0
    config.uaConfig.mainThreadOnly = True
    config.logConfig.level = config.logConfig.consoleLevel = 0
    endpoint.libInit(config)
    endpoint.audDevManager().setNullDev()
    try:
        _call(pj, endpoint)
    finally:
        pj.set_request_handler(None)
        endpoint.libDestroy(pj.PJSUA_DESTROY_NO_RX_MSG)


def _call(pj: Any, endpoint: Any) -> None:
    transport = pj.TransportConfig()
    transport.boundAddress = "127.0.0.1"
    number = endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, transport)
    address = endpoint.transportGetInfo(number).localAddress
    endpoint.libStart()
    handler, account = _handler(pj), _account(pj, f"sip:self-test@{address}", number)
    pj.watch_sessions()
    pj.set_request_handler(handler)
    pj.know_peer(account.getId(), ["127.0.0.1"], 0.0, False)
    call = pj.Call(account)
    call.makeCall(f"sip:self-test@{address}", pj.CallOpParam(True))
    _until(endpoint, lambda: account.answered is not None, "the INVITE reaches the handler and makes a call")
    _until(endpoint, lambda: _has_audio(pj, call), "the call is answered with audio")
    if not pj.dialog_of(call.getId()):
        raise RuntimeError("a call has no dialog")
    call.xfer("sip:nobody@127.0.0.1:9", pj.CallOpParam())
    _until(endpoint, lambda: handler.refers, "the handler sees a REFER")
    call.hangup(pj.CallOpParam())
    _until(endpoint, lambda: not (call.isActive() or account.answered.isActive()), "the call ends")


def _handler(pj: Any) -> Any:
    class Handler(pj.RequestHandler):  # type: ignore[misc]  # the binding has no types
        refers = 0

        def onRequest(self, request: Any, extra: Any) -> int:  # noqa: N802  # the binding's name
            return 0 if request.method == "INVITE" else 405

        def onRefer(self, index: int, request: Any) -> None:  # noqa: N802
            self.refers += 1
            request.respond(603, "", pj.SipHeaderVector())

    return Handler()


def _account(pj: Any, uri: str, transport: int) -> Any:
    class Account(pj.Account):  # type: ignore[misc]
        answered: Any = None

        def onIncomingCall(self, prm: Any) -> None:  # noqa: N802
            self.answered = pj.Call(self, prm.callId)
            answer = pj.CallOpParam()
            answer.statusCode = 200
            self.answered.answer(answer)

    config = pj.AccountConfig()
    config.idUri = uri
    config.sipConfig.transportId = transport
    account = Account()
    account.create(config)
    return account


def _has_audio(pj: Any, call: Any) -> bool:
    info = call.getInfo()
    return any(
        media.type == pj.PJMEDIA_TYPE_AUDIO and media.status == pj.PJSUA_CALL_MEDIA_ACTIVE for media in info.media
    )


def _until(endpoint: Any, condition: Any, what: str = "") -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        endpoint.libHandleEvents(10)
        if condition():
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {PATIENCE_S:.0f} s: {what}")


if __name__ == "__main__":
    main(sys.argv[1])
