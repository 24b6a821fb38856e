# SPDX-License-Identifier: GPL-2.0-or-later
"""The gateway that is fuzzed: a pair of peers without mistakes, and pairs that make them over each transport."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.fuzz.services import DNS_PORT
from tests.sip.bed import PORT, tls
from tests.support.processes import Net, free_port

if TYPE_CHECKING:
    from tests.pbx.fake_ami import FakeAmi
    from tests.support.certificates import Authority

INSTANCE = "fuzz"
GOOD, CLUMSY, NAMED, WIRED, SEALED, HANDED = (f"+3120123450{number}" for number in range(6))
TRUNKS = ("good", "clumsy", "named", "wired", "sealed", "handed")
SALES, BERT = "+31612345678", "+31612345679"


def tables(net: Net, broker_port: int, ami: FakeAmi, calm: FakeAmi, authority: Authority) -> dict[str, dict[str, Any]]:
    """The configuration, as tables by file name; `calm` is the manager of the PBX that REFERs are handed down to."""
    sales: dict[str, Any] = {"id": "sales", "number": SALES, "extension": "6500", "ring_timeout_s": 3}
    anna = {"id": "anna", "aliases": ["2001"], "extension": "6001", "ring_timeout_s": 3}
    bert = {"id": "bert", "number": BERT, "extension": "6003", "ring_timeout_s": 3}
    destinations = [{**sales, "queue": "sales", "overflow": ["anna"]}, anna, bert]
    clumsy = {"pbx": "clumsy-pbx", "fallback": "anna", "destinations": destinations}
    numbers = [
        {"id": "good", "number": GOOD, "trunk": "good", "pbx": "good-pbx", "destinations": [sales]},
        {"id": "clumsy", "number": CLUMSY, "trunk": "clumsy", **clumsy},
        {"id": "named", "number": NAMED, "trunk": "named", **clumsy},
        {"id": "wired", "number": WIRED, "trunk": "wired", **clumsy, "pbx": "wired-pbx"},
        {"id": "sealed", "number": SEALED, "trunk": "sealed", **clumsy, "pbx": "sealed-pbx"},
        {"id": "handed", "number": HANDED, "trunk": "handed", **clumsy, "pbx": "handing-pbx"},
    ]
    main: dict[str, Any] = {
        "gateway": {"instance": INSTANCE, "state_dir": "", "default_country": "NL", "drain_timeout_s": 0},
        "sip": {
            "bind_address": net.gateway, "udp_port": PORT, "tcp_port": PORT,
            **tls(authority, net.gateway),
            "name_servers": [f"{net.host(53)}:{DNS_PORT}"],
        },
        "http": {"bind_address": "127.0.0.1", "port": free_port(), "token_file": "http.token"},
        "mqtt": {"host": "127.0.0.1", "port": broker_port},
        "numbers": numbers,
    }  # fmt: skip
    trunk = {"kind": "trunk", "options_interval_s": 2}
    manager = {"source": "ami", "port": ami.port, "host": "127.0.0.1", "username": "gw", "password_file": "ami.secret"}
    told, calmer = {"source": "dialog-info"}, {**manager, "port": calm.port}
    tcp, sealed = {"transport": "tcp"}, {"transport": "tls", "srtp": "optional"}
    return {
        "gateway.toml": main,
        "sip_profiles/good.toml": {**trunk, "addresses": [net.host(10)], "outbound": f"sip:{net.host(10)}:{PORT}"},
        "sip_profiles/good-pbx.toml": {"kind": "pbx", "address": f"sip:{net.host(11)}:{PORT}"},
        "sip_profiles/clumsy.toml": {**trunk, "addresses": [net.host(30)], "outbound": f"sip:{net.host(30)}:{PORT}"},
        "sip_profiles/clumsy-pbx.toml": {"kind": "pbx", "address": f"sip:{net.host(31)}:{PORT}", "queues": manager},
        "sip_profiles/named.toml": {**trunk, "addresses": [net.host(32)], "outbound": "sip:fuzz.example"},
        "sip_profiles/wired.toml": {
            **trunk, **tcp, "addresses": [net.host(40)], "outbound": f"sip:{net.host(40)}:{PORT}"
        },
        "sip_profiles/wired-pbx.toml": {
            "kind": "pbx", **tcp, "address": f"sip:{net.host(41)}:{PORT}", "queues": told
        },
        "sip_profiles/sealed.toml": {
            **trunk, **sealed, "addresses": [net.host(42)], "outbound": f"sip:{net.host(42)}:{PORT}"
        },
        "sip_profiles/sealed-pbx.toml": {"kind": "pbx", **sealed, "address": f"sip:{net.host(43)}:{PORT}"},
        "sip_profiles/handed.toml": {**trunk, "addresses": [net.host(34)], "outbound": f"sip:{net.host(34)}:{PORT}"},
        "sip_profiles/handing-pbx.toml": {
            "kind": "pbx", "address": f"sip:{net.host(33)}:{PORT}", "transfer_mode": "hand-down", "queues": calmer
        },
    }  # fmt: skip


def quiet(files: dict[str, dict[str, Any]]) -> None:
    """Have the gateway end what it holds, and begin nothing by itself: what is there then was left behind."""
    # Calls that a peer has left on hold or ringing, its BYE or CANCEL broken on the way, would last.
    files["gateway.toml"]["sip"] |= {"max_call_s": 1, "answer_timeout_s": 1}
    # Our own OPTIONS, and what we ask the states of extensions with, take transactions and connections.
    for name in TRUNKS:
        files[f"sip_profiles/{name}.toml"]["options_interval_s"] = 0
    files["sip_profiles/wired-pbx.toml"]["queues"] = {"source": "none"}
