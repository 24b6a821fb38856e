# SPDX-License-Identifier: GPL-2.0-or-later
"""The gateway that is fuzzed: a pair of peers without mistakes, and pairs that make them over each transport."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.fuzz.services import DNS_PORT
from tests.sip.bed import PORT, tls
from tests.support.configuration import Configuration

if TYPE_CHECKING:
    from tests.pbx.fake_ami import FakeAmi
    from tests.support.certificates import Authority
    from tests.support.processes import Net

INSTANCE = "fuzz"
GOOD, CLUMSY, NAMED, WIRED, SEALED, HANDED = (f"+3120123450{number}" for number in range(6))
TRUNKS = ("good", "clumsy", "named", "wired", "sealed", "handed")
CLUMSY_CALLS = 30
SALES, BERT = "+31612345678", "+31612345679"


def tables(net: Net, broker_port: int, ami: FakeAmi, calm: FakeAmi, authority: Authority, **sip: Any) -> Configuration:
    """The configuration; `calm` is the manager of the PBX that REFERs are handed down to, `sip` more of [sip]."""
    sales: dict[str, Any] = {"id": "sales", "number": SALES, "extension": "6500", "ring_timeout_s": 3}
    anna = {"id": "anna", "aliases": ["2001"], "extension": "6001", "ring_timeout_s": 3}
    bert = {"id": "bert", "number": BERT, "extension": "6003", "ring_timeout_s": 3}
    names = [f"{net.host(53)}:{DNS_PORT}"]
    files = Configuration(
        net.gateway, instance=INSTANCE, tcp_port=PORT, **tls(authority, net.gateway), name_servers=names, **sip
    )
    files.main["mqtt"] = {"host": "127.0.0.1", "port": broker_port}

    def pbx(name: str, host: int, **profile: Any) -> None:
        files.pbx(name, f"sip:{net.host(host)}:{PORT}", **profile)

    def trunk(name: str, host: int, number: str, pbx: str, **profile: Any) -> None:
        # Calls that nobody hangs up would pile up over minutes, until the sanitizers leave no time for audio.
        bound = {} if name == "good" else {"max_calls": CLUMSY_CALLS}
        files.trunk(name, net.host(host), **{"options_interval_s": 2, **bound, **profile})
        to_all = [{**sales, "queue": "sales", "overflow": ["anna"]}, anna, bert]
        if name == "good":
            # All peers are one process here: on a busy machine who answers at once may be seconds late to do so.
            files.number(name, number, name, pbx, [{**sales, "ring_timeout_s": 20}])
        else:
            files.number(name, number, name, pbx, to_all, fallback="anna")

    tcp, sealed = {"transport": "tcp"}, {"transport": "tls", "srtp": "optional"}
    pbx("good-pbx", 11)
    pbx("clumsy-pbx", 31)
    files.follow("clumsy-pbx", ami.port, ami.secret, "gw", host="127.0.0.1")
    pbx("wired-pbx", 41, **tcp, queues={"source": "dialog-info"})
    pbx("sealed-pbx", 43, **sealed)
    pbx("handing-pbx", 33, transfer_mode="hand-down")
    files.follow("handing-pbx", calm.port, calm.secret, "gw", host="127.0.0.1")
    trunk("good", 10, GOOD, "good-pbx")
    trunk("clumsy", 30, CLUMSY, "clumsy-pbx")
    trunk("named", 32, NAMED, "clumsy-pbx", outbound="sip:fuzz.example")
    trunk("wired", 40, WIRED, "wired-pbx", **tcp)
    trunk("sealed", 42, SEALED, "sealed-pbx", **sealed)
    trunk("handed", 34, HANDED, "handing-pbx")
    return files


def quiet(files: Configuration) -> None:
    """Have the gateway end what it holds, and begin nothing by itself: what is there then was left behind."""
    # Calls that a peer has left on hold or ringing, its BYE or CANCEL broken on the way, would last.
    files.sip |= {"max_call_s": 1, "answer_timeout_s": 1}
    # Our own OPTIONS, and what we ask the states of extensions with, take transactions and connections.
    for name in TRUNKS:
        files.profiles[name]["options_interval_s"] = 0
    files.profiles["wired-pbx"]["queues"] = {"source": "none"}
