# SPDX-License-Identifier: GPL-2.0-or-later
"""Whose requests a listener for platforms takes: signed, in time, once, and from whom the trunk's secret is."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.ports.platform import PlatformResult
from gateway.web.platforms import hms
from gateway.web.platforms.events import Told
from gateway.web.platforms.limits import Signatures
from tests.support import platform_client
from tests.support.platform_client import PlatformClient
from tests.web.platforms.listening import (
    OTHER_SECRET,
    SECRET,
    SPARE_NUMBER,
    SPARE_SECRET,
    Listening,
    files,
)

STATUS = {"message": {"type": "status-update", "phone_number": {"number": "+31201234567"}}}


@pytest.fixture
def gateway(tmp_path: Path) -> Listening:
    return Listening(tmp_path, files())


@pytest.mark.keeps("19.11")
def test_the_published_example_has_the_signature_that_it_should_have() -> None:
    body = b'{"message":{"type":"status-update"}}'
    right = "182a8d75e5db5eccd165062d0dc5862d86102cd3576d41d36affc620494397fa"
    assert hms.signature(b"example-secret", "1767225600", body) == right
    assert platform_client.signature("example-secret", "1767225600", body) == right
    for given in (right, f"sha256={right}"):
        headers = {"X-Webhook-Signature": given, "X-Webhook-Timestamp": "1767225600"}
        proof = hms.Hms().prove(headers, body, [b"another", b"example-secret"], 1767225601.0)
        assert proof.sent_at == 1767225600
    assert hms.Hms().read(json.loads(body)) == Told("status-update", {"type": "status-update"}, None)


@pytest.mark.keeps("19.11")
@pytest.mark.parametrize("prefix", ["sha256=", ""])
async def test_what_is_signed_is_handled_with_the_number_that_it_is_about(gateway: Listening, prefix: str) -> None:
    before = int(time.time())
    async with gateway.running() as platform:
        answer = await platform.post(platform.event("status-update"), prefix=prefix)
    assert (answer.status, answer.json) == (200, {"noted": True})
    [event] = gateway.events
    assert (event.trunk, event.form, event.type) == ("hms", "hms", "status-update")
    assert event.number is not None
    assert (event.called, event.number.id) == ("+31201234567", "main-line")
    assert event.message["customer"] == {"number": "+31612340000"}
    assert datetime.fromtimestamp(before, UTC) <= event.sent_at <= event.received_at
    assert gateway.observed.asked == [("hms", "status-update", PlatformResult.ANSWERED)]


WRONG = {
    "no-signature": {"X-Webhook-Signature": None},
    "no-timestamp": {"X-Webhook-Timestamp": None},
    "empty": {"X-Webhook-Signature": ""},
    "short": {"X-Webhook-Signature": "sha256=00"},
    "of-zeros": {"X-Webhook-Signature": "sha256=" + "0" * 64},
    "no-hexadecimal": {"X-Webhook-Signature": "sha256=" + "é" * 64},
    "another-algorithm": {"X-Webhook-Signature": "sha512=" + "0" * 64},
    "another-time": {"X-Webhook-Timestamp": str(int(time.time()) - 1)},
    "a-negative-time": {"X-Webhook-Timestamp": "-1"},
    "no-time": {"X-Webhook-Timestamp": "now"},
    "a-fraction": {"X-Webhook-Timestamp": f"{time.time()}"},
    "an-endless-time": {"X-Webhook-Timestamp": "9" * 5000},
    "a-bearer-token": {"X-Webhook-Signature": None, "Authorization": f"Bearer {SECRET}"},
}


@pytest.mark.keeps("19.11")
@pytest.mark.parametrize("headers", WRONG.values(), ids=WRONG)
async def test_what_is_not_signed_as_it_should_be_is_not_even_read(
    gateway: Listening, headers: dict[str, str | None]
) -> None:
    async with gateway.running() as platform:
        answer = await platform.post(STATUS, headers=headers)
    assert answer.status == 401
    assert answer.json["code"] in ("signature-missing", "signature-wrong")
    assert not gateway.events
    assert gateway.observed.asked == [("hms", "unknown", PlatformResult.NOT_PROVED)]


@pytest.mark.keeps("19.11")
async def test_each_bit_of_the_body_is_vouched_for(gateway: Listening) -> None:
    body = json.dumps(STATUS).encode()
    at = str(int(time.time()))
    right = platform_client.signature(SECRET, at, body)
    async with gateway.running() as platform:
        for changed in (body + b" ", body.replace(b"4567", b"4568"), b"", body[:-1]):
            headers = {"X-Webhook-Signature": right}
            assert (await platform.post(changed, at=at, headers=headers)).status == 401
        assert (await platform.post(body, at=at)).status == 200
    assert len(gateway.events) == 1


@pytest.mark.keeps("19.12")
@pytest.mark.parametrize(("off", "status"), [(-302, 401), (-297, 200), (0, 200), (297, 200), (302, 401)])
async def test_the_clocks_may_differ_by_five_minutes(gateway: Listening, off: int, status: int) -> None:
    async with gateway.running() as platform:
        answer = await platform.post(STATUS, at=time.time() + off)
    assert answer.status == status
    if status == 401:
        assert answer.json["code"] == "timestamp-off"
        assert gateway.observed.asked == [("hms", "unknown", PlatformResult.OUT_OF_TIME)]
    assert len(gateway.events) == (status == 200)


@pytest.mark.keeps("19.12")
async def test_what_was_sent_before_is_refused_also_without_its_prefix(gateway: Listening) -> None:
    at = time.time()
    async with gateway.running() as platform:
        assert (await platform.post(STATUS, at=at)).status == 200
        for prefix in ("sha256=", ""):
            again = await platform.post(STATUS, at=at, prefix=prefix)
            assert (again.status, again.json["code"]) == (401, "replayed")
        assert (await platform.post(STATUS, at=at + 1)).status == 200
    assert len(gateway.events) == 2


@pytest.mark.keeps("19.12")
def test_a_signature_is_remembered_as_long_as_it_would_be_good_and_so_many_at_most() -> None:
    seen = Signatures(300, most=3)
    assert [seen.take(one, 1000, 1000) for one in (b"a", b"a", b"b")] == ["new", "seen", "new"]
    assert seen.take(b"c", 1300, 1000) == "new"
    assert seen.take(b"d", 1000, 1001) == "full"
    assert seen.take(b"a", 1000, 1300) == "seen"
    # What was signed at 1000 is out of time by now, and would be refused for that.
    assert seen.take(b"d", 1301, 1301) == "new"
    assert seen.take(b"c", 1300, 1600) == "seen"
    assert seen.take(b"e", 1301, 1301.5) == "new"
    assert seen.take(b"f", 1301, 1301.5) == "full"


@pytest.mark.keeps("19.12")
async def test_what_cannot_be_remembered_is_refused(gateway: Listening) -> None:
    async with gateway.running() as platform:
        gateway.listener._signatures = Signatures(300, most=1)
        assert (await platform.post(STATUS, at=time.time() - 1)).status == 200
        refused = await platform.post(STATUS)
    assert (refused.status, refused.headers["Retry-After"]) == (503, "60")
    assert len(gateway.events) == 1


@pytest.mark.keeps("19.13")
async def test_secrets_are_exchanged_by_reloads_while_both_are_good(gateway: Listening) -> None:
    profile = gateway.written.profiles["hms"]["platform"]
    gateway.written.secrets["sip_profiles/next.secret"] = OTHER_SECRET

    async def good(platform: PlatformClient) -> list[bool]:
        answers = [await platform.post(platform.event("status-update"), secret=each) for each in (SECRET, OTHER_SECRET)]
        return [answer.status == 200 for answer in answers]

    async with gateway.running() as platform:
        assert await good(platform) == [True, False]
        profile["secret_files"].append("next.secret")
        gateway.listener.configure(gateway.config())
        assert await good(platform) == [True, True]
        profile["secret_files"] = ["next.secret"]
        gateway.listener.configure(gateway.config())
        assert await good(platform) == [False, True]


@pytest.mark.keeps("19.13")
async def test_each_platform_has_its_own_secret_and_numbers(gateway: Listening) -> None:
    async with gateway.running() as platform, gateway.client("spare") as spare:
        assert (await platform.post(STATUS, secret=SPARE_SECRET)).status == 401
        assert (await spare.post(STATUS, secret=SECRET)).status == 401
        for client in (platform, spare):
            for number in ("+31201234567", SPARE_NUMBER, "020 123 4567", "+31999999999", None):
                client.number = number
                assert (await client.post(client.event("status-update"))).status == 200
    found = [(event.trunk, event.number.id if event.number else None) for event in gateway.events]
    assert found == [
        *(("hms", name) for name in ("main-line", None, "main-line", None, None)),
        *(("spare", name) for name in (None, "spare-line", None, None, None)),
    ]


@pytest.mark.keeps("19.13")
@pytest.mark.parametrize("trunk", ["silent", "nobody", "..", "%2e%2e", "hms/", "hms/more"])
async def test_a_trunk_without_a_platform_has_no_address(gateway: Listening, trunk: str) -> None:
    async with gateway.running(), gateway.client(trunk) as platform:
        answer = await platform.post(STATUS)
    assert answer.status == 404
    assert not gateway.events
