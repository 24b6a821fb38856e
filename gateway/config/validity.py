# SPDX-License-Identifier: GPL-2.0-or-later
"""Until when the certificates are good that a configuration names (RFC 5280 §4.1.2.5)."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.config.settings import GatewayFile

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----")
_VERSION, _UTC_TIME = 0xA0, 0x17


def ends_of_certificates(main: GatewayFile) -> Mapping[str, datetime]:
    """By key, where TLS is on: our own until the first of its chain ends, authorities until their last one does."""
    sip, mqtt = main.sip, main.mqtt
    authorities: dict[str, Path | None] = {f"webhooks[{one.id}].ca_file": one.ca_file for one in main.webhooks}
    if mqtt is not None and mqtt.tls:
        authorities["mqtt.ca_file"] = mqtt.ca_file
    ends = {}
    if main.platform is not None and (own := _ends(main.platform.tls_certificate)):
        ends["platform.tls_certificate"] = min(own)
    if sip is not None and sip.tls_port:
        authorities["sip.tls_ca"] = sip.tls_ca
        if own := _ends(sip.tls_certificate):
            ends["sip.tls_certificate"] = min(own)
    return ends | {key: max(found) for key, file in authorities.items() if (found := _ends(file))}


def _ends(file: Path | None) -> list[datetime]:
    return list(_read(file.read_text(errors="replace"))) if file is not None else []


def _read(text: str) -> Iterator[datetime]:
    for found in _CERTIFICATE.finditer(text):
        try:
            yield not_after(ssl.PEM_cert_to_DER_cert(found[0]))
        except (ValueError, IndexError):
            continue  # OpenSSL takes the file as a whole, and will say what it thinks of this one


def not_after(der: bytes) -> datetime:
    """When a certificate in DER ends. Raises ValueError or IndexError where it is none."""
    at = _element(der, _element(der, 0)[1])[1]  # inside TBSCertificate
    tag, _, end = _element(der, at)
    if tag == _VERSION:
        at = end
    for _ in ("serialNumber", "signature", "issuer"):
        at = _element(der, at)[2]
    at = _element(der, at)[1]  # inside Validity
    tag, begin, end = _element(der, _element(der, at)[2])
    text = der[begin:end].decode("ascii")
    if tag == _UTC_TIME:
        text = ("20" if text < "50" else "19") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _element(der: bytes, at: int) -> tuple[int, int, int]:
    """Tag, and where the content begins and ends, of the element of ASN.1 that stands there."""
    length, begin = der[at + 1], at + 2
    if length & 0x80:
        begin += length & 0x7F
        length = int.from_bytes(der[at + 2 : begin], "big")
    return der[at], begin, begin + length
