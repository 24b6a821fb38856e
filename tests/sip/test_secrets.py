# SPDX-License-Identifier: GPL-2.0-or-later
"""What is taken out of a SIP message before it is kept: proofs, passwords and keys, however they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sip.stack.kept_messages import as_kept

SECRET = "deadbeef"
DIGEST = f'Digest username="hms", realm="gw", nonce="n1", uri="sip:x", response="{SECRET}", qop=auth, nc=00000001'
BEGIN = "INVITE sip:x SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1\r\n"


def header(line: str) -> str:
    return f"{BEGIN}{line}\r\nCSeq: 1 INVITE\r\n\r\n"


def body(kind: str, text: str) -> str:
    return f"{BEGIN}Content-Type: {kind}\r\n\r\n{text}"


@pytest.mark.keeps("20.74")
@pytest.mark.parametrize(
    "text",
    [
        header(f"Authorization: {DIGEST}"),
        header(f"Proxy-Authorization: {DIGEST}"),
        header(f"aUTHORIZATION \t:\t{DIGEST}"),
        header(f"Authorization: Digest username=a,\r\n realm=b,\r\n\tresponse={SECRET}"),
        header(f"Authorization: Digest response = {SECRET}"),
        header(f'Authorization: Digest username="a\\", b", response="{SECRET}"'),
        header(f"Authorization: Digest {SECRET}"),
        header(f"Authorization: Digest cnonce={SECRET}, other={SECRET}"),
        header(f"Authorization: Basic {SECRET}"),
        header(f"Authorization: Bearer {SECRET}"),
        header(f"Authorization:{SECRET}"),
        header(f"Authentication-Info: qop=auth, rspauth={SECRET}, nextnonce=n2"),
        header(f"Proxy-Authentication-Info: rspauth={SECRET}"),
        header(f"Refer-To: <sip:x@gw?Authorization=Digest%20{SECRET}&X=1>"),
        header(f"Refer-To: <sip:x@gw?Proxy-Authorization={SECRET}>"),
        header(f"Contact: <sips:bob:{SECRET}@gw>, <sip:eve:{SECRET}@gw>"),
        header(f"From: sip:bob:{SECRET}@gw;tag=1"),
        f"INVITE sip:bob:{SECRET}@gw SIP/2.0\r\n\r\n",
        BEGIN.replace("\r\n", "\n") + f"Authorization: {DIGEST}\n\n",
        BEGIN.replace("\r\n", "\r") + f"Authorization: {DIGEST}\r\r",
        body("application/sdp", f"v=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{SECRET}|2^31\r\n"),
        body("application/sdp", f"v=0\r\nA=CRYPTO:1 X inline:{SECRET};inline:{SECRET}\r\n"),
        body("application/sdp", f"v=0\na=crypto:{SECRET}\n"),
        body("application/sdp", f"v=0\r\nk=clear:{SECRET}\r\na=key-mgmt:mikey {SECRET}\r\na=ice-pwd:{SECRET}\r\n"),
        body(
            "multipart/mixed;boundary=x",
            f"--x\r\nContent-Type: application/sdp\r\n\r\na=crypto:1 S {SECRET}\r\n",
        ),
        body("message/sipfrag", f"REFER x SIP/2.0\r\nAuthorization: {DIGEST}\r\n"),
        body("application/dtmf-relay", f"Signal={SECRET}\r\nDuration=160\r\n"),
        body("Application/DTMF", SECRET),
    ],
)
def test_no_secret_is_kept(text: str) -> None:
    kept = as_kept(text)
    assert SECRET not in kept
    assert "[redacted]" in kept


def test_what_is_no_secret_stays_as_it_is() -> None:
    whole = (
        "INVITE sip:bob@gw:5060;user=phone SIP/2.0\r\nVia: SIP/2.0/UDP [2001:db8::1]:5060;branch=z9\r\n"
        'From: "a:b@c" <sip:bob@gw>;tag=1\r\nTo:\r\n <sip:eve@gw>\r\nContent-Type: application/sdp\r\n'
        'WWW-Authenticate: Digest realm="gw", nonce="n"\r\n\r\n'
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\na=rtpmap:0 PCMU/8000\r\n"
    )
    assert as_kept(whole) == whole
    assert as_kept("") == ""


def test_what_helps_with_a_wrong_password_stays() -> None:
    assert as_kept(header(f"Authorization: {DIGEST}")) == header(
        'Authorization: Digest username="hms", realm="gw", nonce="n1", uri="sip:x", response=[redacted], qop=auth, '
        "nc=00000001"
    )
    crypto = as_kept(body("application/sdp", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:abc|2^31\r\n"))
    assert crypto.endswith("a=crypto:1 AES_CM_128_HMAC_SHA1_80 [redacted]\r\n")
    keys = as_kept(body("application/dtmf-relay", "Signal= 5\r\nDuration= 160\r\n"))
    assert keys.endswith("Signal=[redacted]\r\nDuration= 160\r\n")


PIECES = st.sampled_from([
    "Authorization", ":", "Digest ", "response=", '"', "\\", ",", "\r\n", "\r", "\n", " ", "\t", "sip:", "@", "<", ">",
    "a=crypto:", "k=", "?", "&", "Content-Type: application/dtmf\r\n\r\n", "\r\n\r\n", "x", "\u00e9", "\udcff",
])  # fmt: skip


@given(st.lists(PIECES, max_size=60))
def test_whatever_comes_is_read_to_its_end(pieces: list[str]) -> None:
    text = "".join(pieces)
    assert len(as_kept(text)) <= len(text) + 20 * (len(pieces) + 1)
