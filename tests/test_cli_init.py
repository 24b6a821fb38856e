# SPDX-License-Identifier: GPL-2.0-or-later
"""`transfer-gateway init`: what it asks, what it says, and how it ends. Real PBXs: tests/e2e/test_init.py."""

from __future__ import annotations

import asyncio
import io
import json
import os
import pty
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway import cli
from gateway.config import load
from gateway.setting_up.answers import GatewayAnswers, ManagerAnswers, PbxAnswers, PlatformAnswers, read_answers
from gateway.setting_up.making import make_files
from gateway.setting_up.plan import plan
from tests.pbx.fake_ami import FakeAmi
from tests.setting_up.pbxs import FREEPBX, NUMBER, SALES, answers
from tests.setting_up.test_survey import DENIED, scripted
from tests.support.configuration import toml

pytestmark = pytest.mark.slow

SECRET = "right"


@contextmanager
def manager_interface(*, few_rights: bool = False) -> Iterator[int]:
    """A PBX's manager interface in a loop of its own; its port."""
    loop, port, stop = asyncio.new_event_loop(), list[int](), asyncio.Event()
    begun = threading.Event()

    async def serve() -> None:
        async with FakeAmi() as pbx:
            scripted(pbx)
            if few_rights:
                pbx.script |= dict.fromkeys(("PJSIPShowEndpoints", "Command", "ShowDialPlan"), DENIED)
            port.append(pbx.port)
            begun.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    begun.wait()
    try:
        yield port[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


class Place:
    """A directory with answers in it, and where `init` writes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.written = directory / "written"
        self.etc = directory / "asterisk"
        self.etc.mkdir()
        (directory / "admin.secret").write_text(f"{SECRET}\n")

    def answer(self, port: int | None, **more: Any) -> list[str]:
        """Write the answers; the options that name them."""
        gateway = {"address": "127.0.0.2", "http_port": 0}
        manager = {"manager": {"port": port, "username": "admin", "secret_file": "admin.secret"}} if port else {}
        (self.directory / "answers.toml").write_text(toml({"gateway": gateway, **manager, **answers(), **more}))
        return ["--answers", str(self.directory / "answers.toml")]

    def init(self, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str, str]:
        """Run it: exit code, output, complaints."""
        code = cli.main(["init", "--output", str(self.written), "--asterisk-etc", str(self.etc), *options])
        printed = capsys.readouterr()
        return code, printed.out, printed.err


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_without_a_terminal_and_answers_it_says_so(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = place.init(capsys)
    assert (code, out) == (2, "")
    assert "there is no terminal; --answers FILE" in err
    assert not place.written.exists()


def test_what_it_writes_and_says(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    with manager_interface() as port:
        code, out, err = place.init(capsys, *place.answer(port))
    assert (code, err) == (0, "")
    assert out.startswith("Asterisk 22.1.0, queues: 2, hints: 1, endpoints: 1\n")
    assert f"Written to {place.written}, and checked:\n  gateway.toml\n" in out
    assert "Until the PBX has read its files, which is the next thing to do, it does not know the gateway.\n" in out
    assert "\n1. Have the PBX read the three files\n     install -D -m 640 " in out
    assert "     asterisk -rx 'core reload'\n" in out
    config = load(place.written)
    assert {each.queue for each in config.numbers[0].destinations.values()} == {"sales", None}
    secret = (place.written / "sip_profiles/ami.secret").read_text().strip()
    assert len(secret) == 48
    assert secret not in out
    assert f"secret = {secret}\n" in (place.written / "pbx/manager.d/transfer-gateway.conf").read_text()


def test_as_json_and_with_few_rights(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    with manager_interface(few_rights=True) as port:
        destinations = [{"extension": "6500", "queue": "sales", "number": SALES}]
        more = {"numbers": [{"number": NUMBER, "destinations": destinations}], "pbx": {"dial_context": "phones"}}
        code, out, _ = place.init(capsys, "--json", *place.answer(port, **more))
    said = json.loads(out)
    assert code == 0
    assert said["found"]["untold"].keys() == {"dialplan", "endpoints", "transports"}
    assert "not asked for: endpoints (the manager user may not ask: write = system is missing)" in said["notes"]
    assert (said["pbx"], said["ready"], said["backups"]) == ("asterisk", False, [])
    assert said["files"][0] == "gateway.toml"
    assert [each["target"] for each in said["probes"]] == ["sales"]
    assert all(each["commands"] for each in said["left"][:1])


def test_it_overwrites_nothing_unless_told_and_keeps_its_secrets(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    with manager_interface() as port:
        options = place.answer(port)
        assert place.init(capsys, *options)[0] == 0
        secret = (place.written / "sip_profiles/ami.secret").read_text()
        (place.written / "gateway.toml").write_text("# mine\n")
        code, _, err = place.init(capsys, *options)
        assert code == 1
        assert "gateway.toml is there already; with --force" in err
        assert (place.written / "gateway.toml").read_text() == "# mine\n"
        code, out, _ = place.init(capsys, "--force", "--json", *options)
    assert code == 0
    [kept] = [name for name in json.loads(out)["backups"] if name.startswith("gateway.toml")]
    assert (place.written / kept).read_text() == "# mine\n"
    assert (place.written / "sip_profiles/ami.secret").read_text() == secret


def test_mistakes_in_the_answers_are_told_all_at_once_and_nothing_is_written(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = {
        "platfrom": {"name": "hms"},
        "numbers": [{"nubmer": NUMBER, "number": "020", "destinations": [{"id": "x"}]}],
    }
    code, out, err = place.init(capsys, *place.answer(None, **wrong))
    assert (code, out) == (78, "")
    assert err.splitlines() == [
        "answers.toml: numbers[1].number: must be an international number such as \"+31201234567\"; is \"020\"",
        "answers.toml: numbers[1].destinations[x]: queue or extension is needed: what is to be rung on the PBX",
        "answers.toml: numbers[1].nubmer: is no known key; did you mean number?",
        "answers.toml: platfrom: is no known key; did you mean platform?",
    ]  # fmt: skip
    assert not place.written.exists()


def test_no_number_at_all(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = place.init(capsys, *place.answer(None, numbers=[]))
    assert code == 78
    assert err.startswith("transfer-gateway: answers.toml: numbers: is missing: [[numbers]], each with")


def test_what_does_not_go_together_is_told_as_the_gateway_would(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    double = [{"queue": "sales", "number": SALES}, {"extension": "6001", "number": SALES}]
    with manager_interface() as port:
        numbers = [{"number": NUMBER, "destinations": double}]
        code, _, err = place.init(capsys, *place.answer(port, numbers=numbers))
    assert code == 78
    assert f'"{SALES}" means sales as well; it must mean one destination' in err
    assert not place.written.exists()


def test_a_pbx_that_lets_nobody_in(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    (place.directory / "admin.secret").write_text("wrong")
    with manager_interface() as port:
        code, _, err = place.init(capsys, *place.answer(port))
    assert code == 1
    assert f"the manager interface at 127.0.0.1:{port}, as user admin: login refused" in err
    assert "look at secret, permit and deny of that user in the PBX's manager.conf" in err
    assert not place.written.exists()
    code, _, err = place.init(capsys, *place.answer(port))  # where there is none any more
    assert code == 1
    assert "connection refused; does the PBX run, with enabled = yes in its manager.conf" in err
    assert not place.written.exists()


def test_the_user_of_its_options_and_of_the_pbx_s_own_files(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    with manager_interface() as port:
        options = place.answer(None)
        user = ["--manager-port", str(port), "--manager-user", "admin"]
        code, _, err = place.init(capsys, *options, *user)
        assert (code, err) == (
            2,
            "transfer-gateway: --manager-user needs --manager-secret-file where nobody can be asked\n",
        )
        code, _, err = place.init(capsys, *options, *user, "--manager-secret-file", str(place.directory / "missing"))
        assert code == 2
        assert "missing can't be read" in err
        assert (
            place.init(capsys, *options, *user, "--manager-secret-file", str(place.directory / "admin.secret"))[0] == 0
        )
        (place.etc / "manager.conf").write_text(
            f"[general]\nenabled=yes\nport={port}\n[a]\nsecret={SECRET}\nwrite=all\n"
        )
        (place.etc / "pjsip.conf").write_text("[t]\ntype=transport\nbind=0.0.0.0:5070\n")
        code, out, _ = place.init(capsys, *options, "--force", "--json")
        assert (code, len(json.loads(out)["found"]["queues"])) == (0, 2)


def test_without_a_pbx_to_ask_the_answers_have_to_do(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = place.init(capsys, *place.answer(None))
    assert code == 78
    assert "no queue was found that could be offered" in err
    numbers = [{"number": NUMBER, "destinations": [{"extension": "6001", "number": SALES, "id": "anna"}]}]
    code, out, _ = place.init(capsys, *place.answer(None, numbers=numbers))
    assert code == 0
    assert "not asked for: the PBX (no manager user in" in out
    assert "\n1. Say in " in out


class Talk:
    """The command at a terminal, and somebody who types."""

    def __init__(self, arguments: list[str]) -> None:
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:  # pragma: no cover - becomes the command
            os.execv(sys.executable, [sys.executable, "-m", "gateway.cli", *arguments])  # noqa: S606 - no shell is wanted
        self.heard = ""

    def hears(self, text: str) -> None:
        """Wait until it has said this."""
        while text not in self.heard:
            try:
                read = os.read(self.terminal, 4096)
            except OSError:
                read = b""
            assert read, f"it ended before {text!r}:\n{self.heard}"
            self.heard += read.decode()
        self.heard = self.heard.partition(text)[2]

    def answers(self, question: str, text: str) -> None:
        """Wait for a question, and type."""
        self.hears(question)
        self.hears(": ")
        os.write(self.terminal, f"{text}\n".encode())

    def ended(self) -> tuple[int, str]:
        """Wait for its end: exit code, and the rest of what it said."""
        with pytest.raises(AssertionError):
            self.hears("\0")
        _, status = os.waitpid(self.pid, 0)
        os.close(self.terminal)
        return os.waitstatus_to_exitcode(status), self.heard


def test_asked_at_a_terminal(place: Place) -> None:
    with manager_interface() as port:
        options = ["--manager-port", str(port), "--manager-user", "admin", "--asterisk-etc", str(place.etc)]
        talk = Talk(["init", "--output", str(place.written), *options])
        talk.answers("Secret of the manager user admin (not shown)", SECRET)
        talk.answers("Platform: hms", "hms")
        talk.answers("Addresses or networks", "")
        talk.hears("It must not be empty.")
        talk.answers("Addresses or networks", "127.0.0.9, 203.0.113.0/28")
        talk.answers("Where calls to it go", "sip:127.0.0.9")
        talk.answers("User name", "us")
        talk.answers("Password (not shown)", "pa55word")
        talk.answers("Its number", "0201234567")
        talk.hears("It must be an international number")
        talk.answers("Its number", NUMBER)
        talk.answers("Country", "")
        talk.answers("Language", "nl")
        talk.answers("Hours from Monday to Friday", "9-17")
        talk.hears('must be hours such as "09:00-17:30"')
        talk.answers("Hours from Monday to Friday", "09:00-17:30")
        talk.answers("Time zone", "Europe/Amsterdam")
        talk.answers("public holidays of NL", "")
        talk.hears('Queue "front desk" (no members now)')
        talk.answers("Number that leads there", "-")
        talk.hears('Queue "sales" (Bert, PJSIP/6001), dialled as 6500')
        talk.answers("Number that leads there", NUMBER)
        talk.hears("It is taken already.")
        talk.answers("Number that leads there", SALES)
        talk.answers("Short name", "")
        talk.answers("When the assistant is to use it", "Prices")
        talk.answers("An extension besides", "112")
        talk.hears("is an emergency number")
        talk.answers("An extension besides", "6001")
        talk.answers("Number that leads there", "")
        talk.answers("Short name", "sales")
        talk.hears("It is taken already.")
        talk.answers("Short name", "anna")
        talk.answers("When the assistant is to use it", "")
        talk.answers("An extension besides", "")
        talk.answers("Address by which platform and PBX reach the gateway [127.0.0.2]", "")
        talk.answers("SIP port of the gateway [5080]", "99999")
        talk.hears("It must be a port")
        talk.answers("SIP port of the gateway", "5090")
        talk.answers("SIP address of the PBX [sip:127.0.0.1:5060]", "sip:127.0.0.2:5090")
        talk.hears("is the gateway itself; calls would come back to it")
        talk.answers("Address by which platform and PBX reach the gateway [127.0.0.2]", "")
        talk.answers("SIP port of the gateway [5080]", "5090")
        talk.answers("SIP address of the PBX [sip:127.0.0.1:5060]", "")
        code, heard = talk.ended()
    assert code == 0, heard
    assert "Left to do" in heard
    assert SECRET not in heard.split()
    assert "pa55word" not in heard
    config = load(place.written)
    [number] = config.numbers
    assert [(each.id, each.number, each.extension) for each in number.destinations.values()] == [
        ("sales", SALES, "6500"),
        ("anna", None, "6001"),
    ]
    assert number.destinations["sales"].hours is not None
    assert (config.gateway.locale, config.sip.udp_port, config.trunks["hms"].username) == ("nl", 5090, "us")
    assert (place.written / "sip_profiles/hms.secret").read_text() == "pa55word\n"


def test_who_stops_answering_has_written_nothing(place: Place) -> None:
    talk = Talk(["init", "--output", str(place.written), "--asterisk-etc", str(place.etc)])
    talk.answers("Manager user (AMI)", "")
    talk.answers("Platform: hms", "hms")
    talk.hears("Addresses or networks")
    os.write(talk.terminal, b"\x04")
    code, heard = talk.ended()
    assert (code, place.written.exists()) == (2, False)
    assert "the answers ended before the questions did; nothing was written" in heard


def test_the_shipped_example_of_answers_is_right(tmp_path: Path) -> None:
    text = (Path(__file__).parents[1] / "deploy/config/answers.toml").read_text()
    uncommented = re.sub(r"^# (?=[a-z_]+ = )", "", text, flags=re.MULTILINE)
    for secret in ("ami-admin.secret", "trunk.secret"):
        (tmp_path / secret).write_text("x")
    for each in (text, uncommented):
        (tmp_path / "answers.toml").write_text(each)
        answered, table = read_answers(tmp_path / "answers.toml")
        made = plan(FREEPBX, answered, manager=("127.0.0.1", 5038))
        assert make_files(made, table["hours"], tmp_path)
    given = {f"{name}.{key}" for name in ("manager", "gateway", "platform", "pbx") for key in table[name]}
    known = {
        f"{name}.{field.alias or key}"
        for name, model in (
            ("manager", ManagerAnswers), ("gateway", GatewayAnswers),
            ("platform", PlatformAnswers), ("pbx", PbxAnswers),
        )
        for key, field in model.model_fields.items()
    }  # fmt: skip
    assert known - given == {"gateway.http_port", "gateway.tls_certificate", "gateway.tls_key", "pbx.addresses"}


class Typing(io.StringIO):
    """What somebody types at a terminal."""

    def isatty(self) -> bool:
        return True


def test_typed_all_at_once(place: Place, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = iter([SECRET])
    monkeypatch.setattr("getpass.getpass", lambda *_args, **_more: next(secrets))
    places = ["127.0.0.2", "5060", "sip:127.0.0.2:5060", "127.0.0.2", "5060", "sip:127.0.0.1:5070"]
    typed = ["admin", "", "127.0.0.9", "", "", NUMBER, "", "", "", "-", SALES, "", "", "", *places]
    monkeypatch.setattr("sys.stdin", Typing("\n".join([*typed, ""])))
    with manager_interface() as port:
        code, out, err = place.init(capsys, "--json", "--manager-port", str(port))
    assert code == 0, err
    assert json.loads(out)["found"]["version"] == "22.1.0"
    assert "is the gateway itself" in err
    assert [each.id for each in load(place.written).numbers[0].destinations.values()] == ["sales"]


def test_a_disk_that_takes_nothing(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    numbers = [{"number": NUMBER, "destinations": [{"extension": "6001", "id": "anna"}]}]
    place.written = place.directory / "admin.secret" / "written"  # below a file
    code, _, err = place.init(capsys, *place.answer(None, numbers=numbers))
    assert (code, err.partition(": ")[2][:21]) == (1, "nothing was written: ")
