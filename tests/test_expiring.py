# SPDX-License-Identifier: GPL-2.0-or-later
"""Certificates that end are told of before, and after: by the log each day, and by a metric."""

from __future__ import annotations

import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from gateway.config import Config, load
from gateway.config.changes import in_force
from gateway.config.validity import not_after
from gateway.expiring import CertificateWatch
from gateway.report.metrics import Metrics
from tests.bench import BEGIN
from tests.bench.clock import VirtualClock
from tests.config_directory import MAIN, write

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


def made(directory: Path, name: str, days: int) -> tuple[Path, Path, datetime]:
    """A certificate that signs itself, its key, and when it ends, as OpenSSL says."""
    certificate, key = directory / f"{name}.crt", directory / f"{name}.key"
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(key)]
    command = ["openssl", "req", "-x509", *new, "-days", str(days), "-subj", "/CN=x", "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    told = subprocess.check_output(["openssl", "x509", "-in", str(certificate), "-noout", "-enddate"], text=True)
    end = datetime.fromtimestamp(ssl.cert_time_to_seconds(told.strip().removeprefix("notAfter=")), UTC)
    return certificate, key, end


def configured(directory: Path, certificate: Path, key: Path, ca: Path) -> Config:
    files = {"tls_certificate": certificate, "tls_key": key, "tls_ca": ca}
    lines = ["udp_port = 5060", "tls_port = 5061", *(f'{name} = "{file}"' for name, file in files.items())]
    main = MAIN.replace("udp_port = 5060", "\n".join(lines))
    return load(write(directory, f'{main}\n[mqtt]\nhost = "127.0.0.1"\ntls = true\nca_file = "{ca}"\n'))


@pytest.mark.keeps("16.168")
@pytest.mark.parametrize("days", [1, 400, 20_000])  # the last one beyond 2049, when the other form of time begins
def test_when_a_certificate_ends(tmp_path: Path, days: int) -> None:
    certificate, _, end = made(tmp_path, "one", days)
    assert not_after(ssl.PEM_cert_to_DER_cert(certificate.read_text())) == end


@pytest.mark.keeps("16.168")
def test_our_chain_is_good_until_the_first_ends_and_authorities_until_the_last(tmp_path: Path) -> None:
    (short, short_key, sooner), (long, _, later) = made(tmp_path, "short", 3), made(tmp_path, "long", 300)
    broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    chain, ca = tmp_path / "chain.pem", tmp_path / "ca.pem"
    chain.write_text(short.read_text() + long.read_text())
    ca.write_text(f"of 2019\n{short.read_text()}{long.read_text()}")
    config = configured(tmp_path / "etc", chain, short_key, ca)
    assert config.certificates == {"sip.tls_certificate": sooner, "sip.tls_ca": later, "mqtt.ca_file": later}
    ca.write_text(short.read_text())
    loaded = configured(tmp_path / "etc", chain, short_key, ca)
    held, _ = in_force(config, loaded)
    assert held.certificates == {"sip.tls_certificate": sooner, "sip.tls_ca": later, "mqtt.ca_file": sooner}
    with pytest.raises((ValueError, IndexError)):
        not_after(ssl.PEM_cert_to_DER_cert(broken))


@pytest.mark.keeps("16.168")
def test_what_ends_soon_is_told_each_day(tmp_path: Path) -> None:
    clock, metrics = VirtualClock(BEGIN), Metrics(version="0", pjsip="0")
    watch = CertificateWatch(metrics.certificates_end, clock)
    ends = {"sip.tls_certificate": BEGIN + timedelta(days=15, hours=1), "sip.tls_ca": BEGIN + timedelta(days=400)}

    def told(days: int) -> list[tuple[str, Any]]:
        with capture_logs() as logs:
            clock.advance(days * 86_400)
        return [(line["event"], line.get("days")) for line in logs]

    with capture_logs() as logs:
        watch.watch(ends)
    assert logs == []
    assert told(1) == []
    assert told(3) == [("certificate-expires", days) for days in (13, 12, 11)]
    assert told(12)[-2:] == [("certificate-expires", 0), ("certificate-expired", None)]
    text = metrics.render()[0].decode()
    at = ends["sip.tls_certificate"].timestamp()
    name = 'transfer_gateway_certificate_expires_timestamp_seconds{key="sip.tls_certificate"} '
    (value,) = [line.removeprefix(name) for line in text.splitlines() if line.startswith(name)]
    assert float(value) == at
    watch.watch({})
    assert told(2) == []
