# SPDX-License-Identifier: GPL-2.0-or-later
"""What was found and answered, put together, and the files that are made of it."""

from __future__ import annotations

import json
import re
import tempfile
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.config import Config, ConfigError, load
from gateway.setting_up.found import Found, FoundHint, FoundQueue, FoundTransport, Line, Place
from gateway.setting_up.making import make_files
from gateway.setting_up.steps import steps
from gateway.setting_up.writing import write_all
from tests.setting_up.pbxs import FREEPBX, NUMBER, PLAIN, SALES, answers, planned, texts
from tests.support.certificates import Authority

EXTENSIONS = "pbx/extensions.d/transfer-gateway.conf"


def line(*destinations: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Answers with these destinations."""
    return answers(numbers=[{"number": NUMBER, "destinations": list(destinations), **more}])


def loaded(found: Found, table: dict[str, Any], directory: Path, **more: Any) -> Config:
    made = planned(found, table, **more)
    write_all(directory / "written", make_files(made, table.get("hours", {}), directory), lambda _: None)
    return load(directory / "written")


def dialplan(text: str) -> list[str]:
    """What the gateway may dial, and what the PBX does then."""
    context = text.partition("[from-transfer-gateway]\n")[2].partition("\n\n")[0]
    return context.splitlines()


def test_the_fewest_answers_offer_every_queue(tmp_path: Path) -> None:
    config = loaded(PLAIN, answers(), tmp_path)
    [number] = config.numbers
    assert {each.id: (each.extension, each.queue) for each in number.destinations.values()} == {
        "sales": ("6500", "sales"),
        "support": ("queue-support", "support"),
    }
    assert (config.gateway.default_country, config.gateway.locale) == ("NL", "nl")
    text = (tmp_path / "written" / EXTENSIONS).read_text()
    assert dialplan(text) == ["exten => 6500,1,Goto(phones,6500,1)", "exten => queue-support,1,Queue(support)"]


def test_the_gateway_and_a_pbx_on_one_machine_do_not_take_each_others_port() -> None:
    made = planned(PLAIN, answers())
    # A PBX that listens everywhere sends from the address that it is asked at.
    assert (made.address, made.port, made.pbx_address) == ("192.0.2.5", 5080, "sip:192.0.2.5:5060")
    local = planned(PLAIN, answers(), own_address="127.0.0.1")
    assert "127.0.0.2 is reached from this machine alone" in "".join(local.notes)
    assert "reached from this machine alone" not in "".join(made.notes)
    assert (local.address, local.port, local.pbx_address) == ("127.0.0.2", 5080, "sip:127.0.0.1:5060")
    own = replace(PLAIN, transports=(FoundTransport("udp", "udp", "127.0.0.1", 5070),))
    assert (planned(own, answers()).port, planned(own, answers()).pbx_address) == (5060, "sip:127.0.0.1:5070")
    away = planned(PLAIN, answers(), manager=("198.51.100.7", 5038))
    assert (away.port, away.pbx_address) == (5060, "sip:198.51.100.7:5060")
    unknown = planned(replace(PLAIN, transports=()), answers())
    assert unknown.port == 5080
    assert "where the PBX takes SIP was not found" in "".join(unknown.notes)


def test_freepbx_is_dialled_where_its_phones_are_and_only_what_is_named(tmp_path: Path) -> None:
    table = line({"queue": "6500", "number": SALES}, {"extension": "6001", "id": "anna"}, inside="9900")
    made = planned(FREEPBX, table)
    assert made.kind == "freepbx"
    text = texts(made, table, tmp_path)[EXTENSIONS]
    assert dialplan(text) == [
        "exten => 6500,1,Goto(from-internal,6500,1)",
        "exten => 6001,1,Goto(from-internal,6001,1)",
    ]
    assert "include =>" not in text
    assert f"[from-internal-custom]\nexten => 9900,1,Goto(to-transfer-gateway,{NUMBER},1)\n" in text
    assert made.numbers[0].destinations[0].id == "queue-6500"  # digits alone could be a telephone number


@pytest.mark.keeps("20.115")
def test_the_platform_waits_for_a_person_where_freepbx_answers_before(tmp_path: Path) -> None:
    queue, phone = {"queue": "6500", "number": SALES}, {"extension": "6001", "id": "anna"}

    def waits(found: Found, table: dict[str, Any]) -> Any:
        return tomllib.loads(texts(planned(found, table), table, tmp_path)["sip_profiles/trunk.toml"]).get(
            "final_notify"
        )

    assert waits(FREEPBX, line(queue, phone)) == "on-human"
    assert waits(FREEPBX, line(phone)) is None
    assert waits(PLAIN, line({"queue": "sales", "number": SALES})) is None


@pytest.mark.parametrize(
    ("name", "watched", "step"),
    [
        ("front desk", None, "Queue(front desk)"),
        ("Verkäufe", None, "Queue(Verkäufe)"),
        ("0612345678", "0612345678", "Queue(0612345678)"),
        ("a,b", None, ""),
        ("${SHELL(reboot)}", None, ""),
        ("x;--", None, ""),
        ("x)\nexten => _X.,1,Dial(", None, ""),
        ("営業", None, "Queue(営業)"),
        ("-", "-", "Queue(-)"),
        ("q" * 80, "q" * 80, f"Queue({'q' * 80})"),
    ],
)
def test_odd_names_of_queues(name: str, watched: str | None, step: str, tmp_path: Path) -> None:
    found = replace(PLAIN, queues=(FoundQueue(name),), lines=())
    made = planned(found, answers())
    [destination] = made.numbers[0].destinations
    assert (destination.queue, destination.step) == (watched, step)
    text = texts(made, answers(), tmp_path)[EXTENSIONS]
    for each in dialplan(text):
        assert each.startswith(";") or re.fullmatch(r"exten => queue[a-z0-9-]*,1,Queue\([\w .@-]+\)", each)
    assert any(name[:80] in note for note in made.notes)
    assert [each.id for each in loaded(found, answers(), tmp_path).numbers[0].destinations.values()]


def test_two_queues_whose_names_look_alike_stay_two(tmp_path: Path) -> None:
    found = replace(PLAIN, queues=(FoundQueue("Sales!"), FoundQueue("sales"), FoundQueue("sales?")), lines=())
    [number] = loaded(found, answers(), tmp_path).numbers
    assert {each.id: each.extension for each in number.destinations.values()} == {
        "sales": "queue-sales",
        "sales-2": "queue-sales-2",
        "sales-3": "queue-sales-3",
    }


def test_a_phone_without_a_hint_gets_one_and_what_nobody_knows_is_said(tmp_path: Path) -> None:
    table = line({"extension": "6002", "id": "bert"}, {"extension": "7000", "id": "shop"})
    made = planned(PLAIN, table)
    text = texts(made, table, tmp_path)[EXTENSIONS]
    assert "exten => 6002,1,Dial(PJSIP/6002,60)\nexten => 6002,hint,PJSIP/6002\n" in text
    assert "\n;exten => 7000,1,Goto(CONTEXT,7000,1)\n" in text
    assert "how 7000 is dialled was not found" in "\n".join(made.notes)
    given = planned(PLAIN, {**table, "pbx": {"dial_context": "shops"}})
    assert dialplan(texts(given, table, tmp_path)[EXTENSIONS])[-1] == "exten => 7000,1,Goto(shops,7000,1)"


@pytest.mark.parametrize("extension", ["_X.", "i", "h", "t"])
def test_what_would_catch_every_call_is_no_extension(extension: str) -> None:
    with pytest.raises(ConfigError, match="no extension of its own"):
        planned(PLAIN, line({"extension": extension, "id": "all"}))
    with pytest.raises(ConfigError, match="no extension of its own"):
        planned(PLAIN, line({"queue": "sales"}, inside=extension))


def test_an_emergency_number_is_not_proposed_and_not_taken(tmp_path: Path) -> None:
    found = replace(FREEPBX, queues=(FoundQueue("112"), FoundQueue("6500")))
    made = planned(found, answers())
    assert [each.extension for each in made.numbers[0].destinations] == ["6500"]
    assert 'queue "112" is left out' in "".join(made.notes)
    with pytest.raises(ConfigError, match="is an emergency number"):
        loaded(found, line({"queue": "112"}), tmp_path)


def test_hints_in_several_contexts_are_asked_for_in_one() -> None:
    hints = tuple(FoundHint(Place(context, "6001"), "PJSIP/6001") for context in ("hall", "desk"))
    found = replace(PLAIN, hints=(*hints, FoundHint(Place("hall", "6002"), "PJSIP/6002")))
    assert planned(found, line({"extension": "6001"}, {"extension": "6002"})).extension_context == "hall"
    assert planned(found, line({"extension": "6002"})).extension_context == ""
    apart = replace(PLAIN, hints=(*hints, FoundHint(Place("attic", "6002"), "PJSIP/6002")))
    made = planned(apart, line({"extension": "6001"}, {"extension": "6002"}))
    assert made.extension_context == ""
    assert "choose one, [pbx] extension_context" in "".join(made.notes)


def test_what_could_not_be_asked_for_is_said_and_queues_can_be_named_all_the_same(tmp_path: Path) -> None:
    nothing = Found(untold={"the PBX": "no manager user"})
    with pytest.raises(ConfigError, match="no queue was found that could be offered"):
        planned(nothing, answers())
    table = line({"queue": "sales", "extension": "6500", "number": SALES})
    made = planned(nothing, {**table, "pbx": {"dial_context": "phones", "kind": "asterisk"}})
    assert "not asked for: the PBX (no manager user)" in made.notes
    assert dialplan(texts(made, table, tmp_path)[EXTENSIONS]) == ["exten => 6500,1,Goto(phones,6500,1)"]


def test_the_gateway_needs_one_address() -> None:
    with pytest.raises(ConfigError, match=r"gateway\.address.*is every address"):
        planned(PLAIN, answers(gateway={"address": "0.0.0.0"}))


def test_all_that_can_be_answered_is_written(tmp_path: Path) -> None:
    (tmp_path / "trunk.password").write_text("s3cret\n")
    (tmp_path / "tls.pem").write_text("x")
    office = {"time_zone": "Europe/Amsterdam", "holidays": "NL", "weekly": {"mon": ["09:00-17:30"]}}
    table = {
        "gateway": {"instance": "hq", "address": "192.0.2.5", "port": 5090, "public_address": "203.0.113.5"},
        "platform": {"name": "hms", "addresses": ["203.0.113.0/28", "2001:db8::1"], "outbound": "sip:sip.example.net"},
        "pbx": {"address": "sip:pbx.example.com", "addresses": ["192.0.2.9"], "extension_context": "phones"},
        "hours": {"office": {**office, "open": {"2026-12-27": ["12:00-17:00"]}}},
        "numbers": [
            {
                "number": NUMBER,
                "id": "hq",
                "answer": "sales",
                "fallback": "anna",
                "destinations": [
                    {"queue": "sales", "id": "sales", "number": SALES, "hours": "office", "overflow": ["anna"],
                     "name": "our sales department", "description": 'Prices "and"\\quotes', "message": "One moment."},
                    {"extension": "6001", "id": "anna", "hours": "!office"},
                ],
            },
            {"number": "+31201234568", "destinations": [{"queue": "support"}]},
        ],
    }  # fmt: skip
    config = loaded(PLAIN, table, tmp_path)
    first, second = config.numbers
    assert (config.gateway.instance, config.sip.udp_port, config.sip.public_address) == ("hq", 5090, "203.0.113.5")
    assert (first.id, first.answer, first.fallback, second.id) == ("hq", "sales", "anna", "line-2")
    sales = first.destinations["sales"]
    assert (sales.name, sales.description, sales.overflow) == (
        "our sales department", 'Prices "and"\\quotes', ("anna",),
    )  # fmt: skip
    assert config.pbxs["asterisk"].queues.extension_context == "phones"
    tool = json.loads((tmp_path / "written/assistant/hq.json").read_text())
    assert [each["number"] for each in tool["destinations"]] == [SALES]
    assert not (tmp_path / "written/assistant/line-2.json").exists()


def test_a_trunk_with_a_password_over_tls(tmp_path: Path) -> None:
    (tmp_path / "trunk.password").write_text("s3;cret\n")
    table = answers(
        platform={
            "name": "generic", "addresses": ["203.0.113.10"], "transport": "tcp",
            "username": "us", "password_file": str(tmp_path / "trunk.password"),
        },
    )  # fmt: skip
    config = loaded(PLAIN, table, tmp_path)
    assert (config.sip.udp_port, config.sip.tcp_port, config.sip.tls_port) == (5080, 5080, 0)
    password = config.trunks["trunk"].password
    assert password is not None
    assert password.get_secret_value() == "s3;cret"
    written = tmp_path / "written"
    unit = (written / "systemd/init.conf").read_text()
    assert f"LoadCredential=trunk.secret:{tmp_path}/sip_profiles/trunk.secret\n" in unit
    secret = {path.name for path in written.rglob("*") if path.is_file() and path.stat().st_mode & 0o077 == 0}
    assert secret == {"http.secret", "ami.secret", "trunk.secret", "transfer-gateway.conf"}
    everything = "".join(path.read_text() for path in written.rglob("*") if path.is_file() and path.name not in secret)
    assert "s3;cret" not in everything


@pytest.mark.slow
def test_a_platform_over_tls(tmp_path: Path) -> None:
    identity = Authority(tmp_path / "ca").identity("gw.example.com")
    certificate = {"tls_certificate": str(identity.certificate), "tls_key": str(identity.key)}
    table = answers(
        gateway={"address": "192.0.2.5", **certificate},
        platform={"name": "twilio", "addresses": ["203.0.113.10"], "transport": "tls"},
    )
    config = loaded(PLAIN, table, tmp_path)
    assert (config.sip.udp_port, config.sip.tls_port) == (5080, 5081)
    told = [step.what for step in steps(planned(PLAIN, table), tmp_path, Path("/etc/asterisk"), [])]
    assert any(str(identity.key) in each for each in told)
    assert any("let 203.0.113.10 in to TCP port 5081 of 192.0.2.5" in each for each in told)
    del table["gateway"]["tls_key"], table["gateway"]["tls_certificate"]
    with pytest.raises(ConfigError, match="tls_port needs it"):
        loaded(PLAIN, table, tmp_path / "without")


def test_over_ipv6_and_from_afar(tmp_path: Path) -> None:
    six = planned(PLAIN, answers(gateway={"address": "2001:db8::5"}), manager=("2001:db8::7", 5038))
    said = texts(six, answers(), tmp_path)
    assert "contact = sip:[2001:db8::5]:5060\n" in said["pbx/pjsip.d/transfer-gateway.conf"]
    assert "deny = ::/0\npermit = 2001:db8::5/128\n" in said["pbx/manager.d/transfer-gateway.conf"]
    assert six.pbx_address == "sip:[2001:db8::7]:5060"
    four = planned(PLAIN, answers(), manager=("198.51.100.7", 5038))
    said = texts(four, answers(), tmp_path)
    assert "permit = 192.0.2.5/255.255.255.255\n" in said["pbx/manager.d/transfer-gateway.conf"]


HARMLESS = re.compile(
    r"exten => [A-Za-z0-9*#+.!-][A-Za-z0-9*#+_.!-]*,"
    r"(?:1,(?:Goto|Queue|Dial)\([\w .@/*#+!,-]+\)|hint,PJSIP/[A-Za-z0-9*#+.!-]+)"
)
"""A line that sends callers somewhere and means nothing else."""
NAMES = st.text(max_size=90) | st.sampled_from(
    ["sales", "Sales", "6500", "112", "0612345678", "+31612345678", "front desk", "i", "_X.", "a" * 200, "x-", "😀"]
)
PLACES = st.builds(Place, NAMES, NAMES)
FOUND = st.builds(
    Found,
    version=NAMES,
    queues=st.lists(
        st.builds(FoundQueue, NAMES.filter(bool)), min_size=1, max_size=5, unique_by=lambda queue: queue.name
    ).map(tuple),
    hints=st.lists(st.builds(FoundHint, PLACES, NAMES), max_size=3).map(tuple),
    contexts=st.frozensets(NAMES | st.sampled_from(["from-internal", "ext-queues"]), max_size=4),
    lines=st.lists(
        st.builds(Line, PLACES, st.sampled_from(["Queue", "Dial"]), NAMES | st.just("sales,t")), max_size=4
    ).map(tuple),
    endpoints=st.lists(NAMES, max_size=3).map(tuple),
    transports=st.lists(
        st.builds(
            FoundTransport, NAMES, st.sampled_from(["udp", "tcp"]),
            st.sampled_from(["0.0.0.0", "::", "127.0.0.1", "192.0.2.5"]), st.integers(1, 65535),
        ), max_size=2,
    ).map(tuple),
    languages=st.lists(NAMES, max_size=2).map(tuple),
)  # fmt: skip


@pytest.mark.keeps("20.61")
@pytest.mark.thorough
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(found=FOUND)
def test_whatever_the_pbx_calls_things_the_configuration_passes(found: Found) -> None:
    with tempfile.TemporaryDirectory() as name:
        try:
            made = planned(found, answers())
        except ConfigError as error:
            assert [each.problem[:18] for each in error.mistakes] == ["no queue was found"]  # noqa: PT017 - the one reason
            return
        text = texts(made, answers(), Path(name))[EXTENSIONS]
    assert all(each.startswith(";") or HARMLESS.fullmatch(each) for each in dialplan(text)), text
