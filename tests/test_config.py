# SPDX-License-Identifier: GPL-2.0-or-later
"""A configuration that is right, and what becomes of it."""

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import cast

import pytest

from gateway.config import json_schema, load
from gateway.core.gate import Situation, explain, on_the_clock
from gateway.core.hours import opening
from gateway.core.model import FinalNotify, Peer, PeerKind, WhenUnknown
from gateway.core.numbers import parse_target
from tests.config_directory import MAIN, PBX, TRUNK, write

PLATFORM, ASTERISK = Peer("platform", PeerKind.TRUNK), Peer("asterisk", PeerKind.PBX)


def test_numbers_and_destinations_reach_the_core_as_they_are_written(tmp_path: Path) -> None:
    config = load(write(tmp_path))
    (number,) = config.numbers
    assert (number.id, number.trunk, number.pbx, number.country) == ("main-line", "platform", "asterisk", "NL")
    assert (number.answer, number.fallback) == ("support", "voicemail")
    assert list(number.destinations) == ["sales", "support", "voicemail"]
    sales = number.destinations["sales"]
    assert sales.hours is config.schedules["office"]
    assert sales.max_wait == timedelta(seconds=90.5)
    assert sales.ring_timeout == timedelta(seconds=25)
    assert sales.when_unknown is WhenUnknown.ALLOW
    assert sales.overflow == ("support", "voicemail")
    assert config.routes.destination(number, parse_target("sip:0612345678@gw", "NL")) is sales


def test_hours_and_holidays(tmp_path: Path) -> None:
    office = load(write(tmp_path)).schedules["office"]
    assert office.weekly == {
        0: ((time(9), time(17, 30)),),
        4: ((time(22), time(2)), (time(9), time(12))),
        6: ((time(20), time(0)),),
    }
    assert office.closed == {date(2026, 12, 24)}
    assert opening(office, datetime(2026, 4, 27, 10, tzinfo=UTC)).holiday == "Koningsdag"
    assert opening(office, datetime(2040, 12, 25, 1, tzinfo=UTC)).holiday is None  # a Tuesday
    assert office.holiday(date(2040, 12, 25)) == "Eerste kerstdag"


@pytest.mark.keeps("20.21")
def test_who_is_on_call_takes_calls_whenever_the_office_is_closed(tmp_path: Path) -> None:
    """On a holiday and a closed day too, of which a table of nights knows nothing."""
    on_call = MAIN.replace('extension = "6501"', 'extension = "6501"\nhours = "!office"')
    config = load(write(tmp_path, on_call.replace("2026-12-24", "2026-12-21")))
    (number,) = config.numbers

    def reached(at: str) -> tuple[object, object]:
        moment = on_the_clock(datetime.fromisoformat(at), "support", number, config.routes)
        found = explain("support", number, config.routes, Situation(moment))
        [line] = [line for line in cast("list[str]", found["trail"]) if "hours: !" in line]
        return found["destination"], line.removesuffix(", for support")

    assert reached("2026-04-20T12:00") == ("voicemail", "hours: !office is closed (office is open until 17:30)")
    assert reached("2026-04-20T17:30") == ("support", "hours: !office is open (office is closed: opens Fri 09:00)")
    for day, why in (
        ("04-27", "holiday Koningsdag, opens Fri 09:00"), ("12-21", "closed on 21 Dec, opens Sun 20:00")
    ):  # fmt: skip
        line = f"hours: !office is open (office is closed: {why})"
        assert reached(f"2026-{day}T12:00") == ("support", line)


def test_special_hours(tmp_path: Path) -> None:
    special = 'closed = ["2026-12-24"]\nopen = { "2026-12-25" = ["10:00-12:00", "13:00-16:00"] }'
    office = load(write(tmp_path, MAIN.replace('closed = ["2026-12-24"]', special))).schedules["office"]
    assert office.special == {date(2026, 12, 25): ((time(10), time(12)), (time(13), time(16)))}
    assert opening(office, datetime(2026, 12, 25, 10, tzinfo=UTC)).text == "office is open until 12:00"


def test_who_is_meant_and_in_which_language(tmp_path: Path) -> None:
    main = (
        MAIN.replace('default_country = "NL"', 'default_country = "NL"\nlocale = "nl"')
        .replace('id = "sales"', 'id = "sales"\nname = "de verkoopafdeling"\nmax_penalty = 3\nwrap_up_s = 20')
        .replace('extension = "6501"', 'extension = "6501"\ngroup = ["101", "102"]')
    )
    (number,) = load(write(tmp_path, main)).numbers
    sales, support, _ = number.destinations.values()
    assert number.locale == "nl"
    assert (sales.spoken_name, sales.max_penalty, sales.wrap_up) == ("de verkoopafdeling", 3, timedelta(seconds=20))
    assert (support.spoken_name, support.watched, sales.watched) == ("support", ("101", "102"), ())
    (number,) = load(write(tmp_path, main.replace('id = "main-line"', 'id = "main-line"\nlocale = "en"'))).numbers
    assert number.locale == "en"


def test_defaults(tmp_path: Path) -> None:
    config = load(write(tmp_path))
    assert config.numbers[0].locale == "en"
    assert config.mqtt is None
    assert (config.gateway.drain_timeout_s, config.gateway.log_format) == (30, "text")
    assert (config.gateway.log_level, config.gateway.log_numbers) == ("info", False)
    assert (config.sip.tcp_port, config.sip.rtp_port_min, config.sip.rtp_port_max) == (0, 20000, 29999)
    trunk = config.trunks["platform"]
    assert (trunk.name, trunk.transport, trunk.registers, trunk.challenge) == ("platform", "udp", False, False)
    assert (trunk.final_notify, trunk.deadline_s, trunk.refusal) == (FinalNotify.ON_ANSWER, 30, "response")
    assert trunk.pass_headers == ("User-to-User", "X-*")
    assert config.pbxs["asterisk"].transfer_mode == "bridge"
    assert config.pbxs["asterisk"].queues.max_age_s == 10


@pytest.mark.parametrize(
    ("address", "peer"),
    [
        ("203.0.113.10", PLATFORM),
        ("198.51.100.77", PLATFORM),
        ("::ffff:203.0.113.10", PLATFORM),
        ("127.0.0.3", PLATFORM),
        ("127.0.0.1", ASTERISK),  # narrower than the trunk's 127.0.0.0/8
        ("203.0.113.11", None),
        ("::1", None),
        ("fe80::1%eth0", None),
        ("pbx.example", None),
        ("", None),
    ],
)
def test_a_request_comes_from_the_profile_with_the_narrowest_network(
    tmp_path: Path, address: str, peer: Peer | None
) -> None:
    assert load(write(tmp_path)).peer_for(address) == peer


def test_a_pbx_at_localhost_is_recognised_by_both_its_addresses(tmp_path: Path) -> None:
    pbx = PBX.replace("127.0.0.1:5070", "localhost:5070")
    config = load(write(tmp_path, profiles={"platform": TRUNK, "asterisk": pbx}))
    assert config.peer_for("127.0.0.1") == config.peer_for("::1") == ASTERISK


def test_a_secret_is_read_and_never_shown(tmp_path: Path) -> None:
    queues = load(write(tmp_path)).pbxs["asterisk"].queues
    assert queues.password is not None
    assert queues.password.get_secret_value() == "s3cret"
    assert "s3cret" not in repr(queues) + str(queues) + queues.model_dump_json()


@pytest.mark.keeps("16.163")
@pytest.mark.parametrize("written", ["\ufeffs3cret\r\n", "s3cret\n\n", "\ufeffs3cret"])
def test_what_an_editor_adds_is_no_part_of_a_secret(tmp_path: Path, written: str) -> None:
    main = "\ufeff" + MAIN
    password = (
        load(write(tmp_path, main, secrets={"sip_profiles/ami.secret": written})).pbxs["asterisk"].queues.password
    )
    assert password is not None
    assert password.get_secret_value() == "s3cret"


def test_a_service_credential_comes_before_the_file_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "ami.secret").write_text("of the service")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    password = load(write(tmp_path / "etc")).pbxs["asterisk"].queues.password
    assert password is not None
    assert password.get_secret_value() == "of the service"


def test_profiles_that_no_number_names_are_left_alone(tmp_path: Path) -> None:
    config = load(write(tmp_path, profiles={"platform": TRUNK, "asterisk": PBX, "draft": "not = yet toml"}))
    assert (list(config.trunks), list(config.pbxs)) == (["platform"], ["asterisk"])


def test_two_numbers_may_share_a_trunk_a_pbx_and_destinations(tmp_path: Path) -> None:
    second = (
        MAIN[MAIN.index("[[numbers]]") :].replace("main-line", "second-line").replace("+31201234567", "+31201234568")
    )
    config = load(write(tmp_path, main=MAIN + second))
    assert [number.id for number in config.numbers] == ["main-line", "second-line"]


def test_the_schema_knows_every_key_under_the_name_it_has_in_the_files() -> None:
    schema = json_schema()
    known = {name: set(table.get("properties", ())) for name, table in schema["$defs"].items()}
    assert {"password_file", "register", "deadline_s"} <= known["TrunkProfile"]
    assert {"password_file", "source", "max_age_s"} <= known["QueueSource"]
    assert {"ring_timeout_s", "when_unknown", "aliases"} <= known["DestinationSettings"]
    assert "token_file" in known["HttpSettings"]
    assert set(schema["required"]) == {"gateway.toml", "sip_profiles"}
    assert not any(table.get("additionalProperties", False) for table in schema["$defs"].values())
