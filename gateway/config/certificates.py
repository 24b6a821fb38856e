# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether certificates and keys are what they should be: PJSIP says nothing, and ends each connection over TLS."""

import ssl
from collections.abc import Iterator
from pathlib import Path

from gateway.config.mistakes import Mistake
from gateway.config.settings import GatewayFile

MAIN = "gateway.toml"


def check_certificates(main: GatewayFile) -> Iterator[Mistake]:
    """What is wrong with those that `[sip]`, `[mqtt]`, `[platform]` and `[[webhooks]]` name, where TLS is on."""
    sip, mqtt = main.sip, main.mqtt
    if mqtt is not None and mqtt.tls:
        yield from _authority("mqtt.ca_file", mqtt.ca_file)
    for webhook in main.webhooks:
        yield from _authority(f"webhooks[{webhook.id}].ca_file", webhook.ca_file)
    if main.platform is not None:
        yield from _own("platform", main.platform.tls_certificate, main.platform.tls_key)
    if sip is None or not sip.tls_port:
        return
    yield from _authority("sip.tls_ca", sip.tls_ca)
    yield from _own("sip", sip.tls_certificate, sip.tls_key)


def _own(table: str, certificate: Path | None, key: Path | None) -> Iterator[Mistake]:
    if certificate is None or key is None:
        return
    if not _holds_certificate(certificate):
        yield Mistake(MAIN, f"{table}.tls_certificate", f"{certificate} holds no certificate in PEM")
    elif problem := _problem_of_key(certificate, key):
        yield Mistake(MAIN, f"{table}.tls_key", problem)


def _authority(key: str, file: Path | None) -> Iterator[Mistake]:
    if file is not None and not _holds_certificate(file):
        yield Mistake(MAIN, key, f"{file} holds no certificate in PEM")


def _holds_certificate(file: Path) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(file)
    except (ssl.SSLError, OSError):
        return False
    return True


def _problem_of_key(certificate: Path, key: Path) -> str:
    asked = []

    def password() -> str:
        asked.append(key)
        return ""

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password)
    except (ssl.SSLError, OSError, ValueError) as error:
        if asked:
            return f"{key} is encrypted; the gateway is given no password for it"
        if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
            return f"{key} is not the key of the certificate in {certificate}"
        return f"{key} holds no private key in PEM"
    return ""
