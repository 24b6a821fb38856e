# SPDX-License-Identifier: GPL-2.0-or-later
"""What commands ask of a running gateway, and what they print of its answers."""

import json
from pathlib import Path
from socket import SOCK_DGRAM

import pytest

from gateway.report.store_file import StoreFile
from tests.config_directory import MAIN, PBX, PRIVATE_TRUNK, write
from tests.support.command_line import run, running_gateway
from tests.support.processes import free_port

pytestmark = pytest.mark.slow


def test_status_tells_by_its_exit_code_whether_all_is_well(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with running_gateway(tmp_path) as gateway:
        gateway.answer = {"state": "online", "calls": 3, "problems": []}
        code, out, _ = run(capsys, tmp_path, "status", "--json")
        assert (code, json.loads(out)) == (0, gateway.answer)
        gateway.answer["problems"] = ["trunk hms: OPTIONS: 503"]
        assert run(capsys, tmp_path, "status", "--json")[0] == 1


def test_status_without_a_gateway_fails(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with running_gateway(tmp_path) as gateway:
        pass
    code, out, err = run(capsys, tmp_path, "status")
    assert (code, out) == (1, "")
    assert err.startswith(f"transfer-gateway: no gateway answers at http://127.0.0.1:{gateway.port} (")


def test_transfer_asks_for_it_with_the_token(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with running_gateway(tmp_path, token="s3cret\n") as gateway:
        gateway.status, gateway.answer = 202, {"transfer": {"transfer": "01J", "outcome": None}}
        code, out, err = run(capsys, tmp_path, "transfer", "a/b", "+31612345678", "--message", "One moment.")
        assert code == 0
        assert err.startswith("transfer-gateway: nobody hears the message: ")
        assert json.loads(out) == {"transfer": "01J", "outcome": None}
        record = {"transfer": "01J", "outcome": "refused", "reason": "agents-busy"}
        error = {"code": "refused", "message": "agents-busy: queue sales: 0 of 1 agents free"}
        gateway.status, gateway.answer = 409, {"error": error, "transfer": record}
        code, out, err = run(capsys, tmp_path, "transfer", "a/b", "2001")
        assert (code, json.loads(out)) == (1, record)
        assert err.endswith("answers 409: agents-busy: queue sales: 0 of 1 agents free\n")
        gateway.status, gateway.answer = 404, {"error": {"code": "unknown-call", "message": "no such call"}}
        code, out, err = run(capsys, tmp_path, "transfer", "c9", "2001")
        assert (code, out) == (1, "")
        assert "answers 404: no such call" in err
        gateway.status, gateway.answer = 502, ["what", "a", "proxy", "says"]
        assert "answers 502 Bad Gateway\n" in run(capsys, tmp_path, "transfer", "c9", "2001")[2]
    method, path, headers, body = gateway.asked[0]
    assert (method, path) == ("POST", "/api/calls/a%2Fb/transfer")
    assert headers["Authorization"] == "Bearer s3cret"
    assert body == {"type": "transfer", "destination": "+31612345678", "message": "One moment."}


def test_cancel_asks_for_it_with_the_token(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with running_gateway(tmp_path, token="s3cret\n") as gateway:
        record = {"transfer": "01J", "outcome": "failed", "reason": "cancelled"}
        gateway.answer = {"transfer": record}
        code, out, _ = run(capsys, tmp_path, "cancel", "01J")
        assert (code, json.loads(out)) == (0, record)
        gateway.status, gateway.answer = 409, {"error": {"code": "too-late", "message": "transfer 01J is switching"}}
        code, out, err = run(capsys, tmp_path, "cancel", "01J")
        assert (code, out) == (1, "")
        assert err.endswith("answers 409: transfer 01J is switching\n")
    method, path, headers, body = gateway.asked[0]
    assert (method, path, body) == ("POST", "/api/transfers/01J/cancel", {"type": "cancel"})
    assert headers["Authorization"] == "Bearer s3cret"


def test_callback_asks_for_it_by_number_or_id(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with running_gateway(tmp_path, token="s3cret\n") as gateway:
        record = {"transfer": "01J", "outcome": None}
        gateway.status, gateway.answer = 202, {"transfer": record}
        for who in ("+31201112222", "01K"):
            code, out, _ = run(capsys, tmp_path, "callback", who, "sales")
            assert (code, json.loads(out)) == (0, record)
        refused = {"transfer": "01J", "outcome": "refused", "reason": "caller-withheld"}
        error = {"code": "refused", "message": "caller-withheld: call back: the caller's number is withheld"}
        gateway.status, gateway.answer = 409, {"error": error, "transfer": refused}
        code, out, err = run(capsys, tmp_path, "callback", "01K", "sales")
        assert (code, json.loads(out)) == (1, refused)
        assert "withheld" in err
    asked = [(method, path, body) for method, path, _, body in gateway.asked[:2]]
    body = {"type": "callback", "destination": "sales"}
    assert asked == [
        ("POST", "/api/callbacks", {**body, "caller": "+31201112222"}),
        ("POST", "/api/callbacks", {**body, "call": "01K"}),
    ]


def test_hangup_asks_for_it_with_the_token(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with running_gateway(tmp_path, token="s3cret\n") as gateway:
        gateway.answer = {"call": {"call": "a/b", "reason": "by-command"}}
        code, out, _ = run(capsys, tmp_path, "hangup", "a/b")
        assert (code, json.loads(out)) == (0, gateway.answer["call"])
        gateway.status, gateway.answer = 404, {"error": {"code": "unknown-call", "message": "no call a/b is under way"}}
        code, out, err = run(capsys, tmp_path, "hangup", "a/b")
        assert (code, out) == (1, "")
        assert err.endswith("answers 404: no call a/b is under way; transfer-gateway calls lists them\n")
    method, path, headers, body = gateway.asked[0]
    assert (method, path, body) == ("POST", "/api/calls/a%2Fb/hangup", {"type": "hangup"})
    assert headers["Authorization"] == "Bearer s3cret"


def test_forget_asks_for_it_with_the_token_and_says_what_was_erased_and_what_not(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with running_gateway(tmp_path, token="s3cret\n") as gateway:
        gateway.answer = {
            "erased": {"history_transfers": 3, "outbox_events": 1},
            "under_way": {"transfers": 0, "calls": 1},
            "not_reached": ["outbox.db.broken-20260101T000000Z"],
        }
        code, out, err = run(capsys, tmp_path, "forget", "0612345678")
        assert (code, out) == (0, "history_transfers  3\noutbox_events      1\n")
        assert "1 calls of theirs under way: ask again when they are over" in err
        assert "not reached: outbox.db.broken-" in err
        code, out, _ = run(capsys, tmp_path, "forget", "0612345678", "--json")
        assert (code, json.loads(out)) == (0, gateway.answer)
        gateway.status, gateway.answer = 401, {"error": {"code": "wrong-token", "message": "this needs the header"}}
        code, out, err = run(capsys, tmp_path, "forget", "0612345678")
        assert (code, out) == (1, "")
        assert "answers 401" in err
    method, path, headers, body = gateway.asked[0]
    assert (method, path, body) == ("POST", "/api/forget", {"caller": "0612345678"})
    assert headers["Authorization"] == "Bearer s3cret"


def test_forget_without_a_gateway_is_done_on_its_files(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    directory = write(tmp_path / "etc", MAIN.replace("/tmp/transfer-gateway-test", str(state)))
    code, out, err = run(capsys, directory, "forget", "+31612345678", "--json")
    assert (code, set(json.loads(out)["erased"].values())) == (0, {0})
    store = StoreFile(state)
    store.open()
    code, out, err = run(capsys, directory, "forget", "+31612345678")
    assert (code, out) == (1, "")
    assert "is held by another process" in err
    store.close()
    assert run(capsys, directory, "forget", ";")[0] == 2


def test_probe_is_a_table_for_people_and_json_for_programs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The gateway that runs would put everybody through; the PBX is away, and so nobody gets there."""
    main = MAIN.replace('bind_address = "127.0.0.2"', 'bind_address = "127.0.0.1"')
    with running_gateway(tmp_path, main, token="s3cret\n") as gateway:
        away = PBX.replace("5070", str(free_port(kind=SOCK_DGRAM)))
        (tmp_path / "sip_profiles" / "asterisk.toml").write_text(away)
        gateway.answer = {
            "decision": "accept",
            "destination": "sales",
            "extension": "6500",
            "reason": "accepted",
            "sip_code": 200,
            "trail": ["peer: an operator", "hours: office is open until 17:30", "queue sales: 1 of 1 agents free"],
            "sentence": None,
        }
        code, out, err = run(capsys, tmp_path, "probe", "2001", "+31699999999")
        assert (code, err) == (1, "")
        head, *rows = out.splitlines()
        assert head.split() == ["destination", "extension", "result", "PBX", "gate"]
        assert rows[0].startswith("2001 (sales)  6500       the PBX can't be asked: ")
        assert rows[0].endswith("  hours: office is open until 17:30; queue sales: 1 of 1 agents free")
        assert rows[1].startswith("+31699999999  -          only the running gateway knows it: it has another config")
        code, out, _ = run(capsys, tmp_path, "probe", "--json")
        document = json.loads(out)
        assert (code, document["ok"], document["source"]) == (1, False, "gateway")
        assert [each["target"] for each in document["probes"]] == ["sales", "support", "voicemail"]
        assert document["probes"][0]["options"]["code"] is None
    assert [path for _, path, _, _ in gateway.asked[:2]] == [
        "/api/explain?target=2001&number=main-line",
        "/api/explain?target=%2B31699999999&number=main-line",
    ]


def test_a_proxy_in_the_environment_is_not_asked(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with running_gateway(tmp_path) as gateway:
        gateway.answer = {"state": "online"}
        assert run(capsys, tmp_path, "status", "--json")[0] == 0
        assert "no gateway of this release" in run(capsys, tmp_path, "status")[2]


@pytest.mark.keeps("16.107")
def test_check_warns_of_what_the_running_gateway_has_not_taken_yet(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with running_gateway(tmp_path) as gateway:
        long_ago, later = "2020-01-01T00:00:00.000+00:00", "2999-01-01T00:00:00.000+00:00"
        secret = "sip_profiles/ami.secret"
        gateway.answer = {
            "instance": "test-1",
            "configuration": {"files": {secret: {"read_at": long_ago, "renewed_by": "restart"}}},
            "restart_needed": ["sip.udp_port"],
        }
        write(tmp_path, (tmp_path / "gateway.toml").read_text(), {"platform": PRIVATE_TRUNK, "asterisk": PBX})
        code, out, _ = run(capsys, tmp_path, "check")
        assert code == 0
        assert out.splitlines()[:-1] == [
            f"warning: {secret}: changed since the running gateway read it; a restart brings it",
            "warning: sip.udp_port: the running gateway has another value; a restart brings it",
        ]
        gateway.answer["configuration"]["files"] = {
            secret: {"read_at": later, "renewed_by": "reload"},
            "gone.secret": {"read_at": long_ago, "renewed_by": "reload"},
        }
        gateway.answer["restart_needed"] = []
        assert "warning" not in run(capsys, tmp_path, "check")[1]
        # Another gateway's, or one from before there was such a thing.
        for answer in ({"instance": "other", "restart_needed": ["sip.udp_port"]}, {"instance": "test-1"}, {}):
            gateway.answer = answer
            assert "warning" not in run(capsys, tmp_path, "check")[1]
