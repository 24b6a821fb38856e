# SPDX-License-Identifier: GPL-2.0-or-later
"""A name server that hangs is asked once at a time, and whoever asks may give up."""

import asyncio
import socket
import threading

import pytest

from gateway.pbx.addresses import addresses_of

FOUND = [
    (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 0, 0, 0)),
    (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
]


@pytest.mark.keeps("16.171")
async def test_a_name_is_looked_up_once_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    answers, lookups = threading.Event(), list[str]()

    def hang(host: str, *_more: object, **_options: object) -> object:
        lookups.append(host)
        assert answers.wait(10)
        return FOUND

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    for _ in range(20):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(addresses_of("pbx.example"), 0.001)
    answers.set()
    assert await addresses_of("pbx.example") == ["::1", "127.0.0.1"]
    assert lookups == ["pbx.example"]
    assert await addresses_of("pbx.example") == ["::1", "127.0.0.1"]
    assert len(lookups) == 2


@pytest.mark.parametrize("host", ["a..example", "x" * 64 + ".example", "no such host"])
async def test_what_is_no_name_is_an_error_as_others_are(host: str) -> None:
    with pytest.raises(OSError, match=r"is no host name|[Nn]ame"):
        await addresses_of(host)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_an_address_is_not_looked_up(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", None)
    assert await addresses_of(address) == [address]
