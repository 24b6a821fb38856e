# SPDX-License-Identifier: GPL-2.0-or-later
"""Whom the gateway trusts over TLS is the same under every Python."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import pytest

from gateway.config.authorities import trusting
from tests.support.certificates import Authority

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow  # openssl makes the keys


def shake_hands(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> None:
    """Between the two, in memory. Raises ssl.SSLError."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(to_client, to_server, server_hostname=name)]
    ends.append(server.wrap_bio(to_server, to_client, server_side=True))
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    for end in ends:
        assert end.version() is not None


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.13's contexts, under any."""
    made = ssl.create_default_context

    def create(*arguments: Any, **more: Any) -> ssl.SSLContext:
        context = made(*arguments, **more)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", create)


@pytest.mark.keeps("18.4")
@pytest.mark.usefixtures("strict")
def test_an_authority_of_ones_own_is_trusted_as_ever(tmp_path: Path) -> None:
    """The test bed's certificates are made as people make them: without key usage and key identifiers."""
    authority = Authority(tmp_path / "ours")
    broker = authority.identity("broker.example")
    with pytest.raises(ssl.SSLCertVerificationError):  # or this shows nothing
        shake_hands(ssl.create_default_context(cafile=authority.certificate), broker.server(), "broker.example")
    shake_hands(trusting(authority.certificate), broker.server(), "broker.example")


@pytest.mark.keeps("18.4")
def test_and_nobody_else_is(tmp_path: Path) -> None:
    authority, other = Authority(tmp_path / "ours"), Authority(tmp_path / "other")
    broker = authority.identity("broker.example")
    for client, name in (
        (trusting(other.certificate), "broker.example"),
        (trusting(authority.certificate), "another.example"),
        (trusting(None), "broker.example"),
    ):
        with pytest.raises(ssl.SSLCertVerificationError):
            shake_hands(client, broker.server(), name)


def test_the_systems_authorities_are_asked_for_all_that_python_asks(strict: None) -> None:
    assert trusting(None).verify_flags & ssl.VERIFY_X509_STRICT
