# SPDX-License-Identifier: GPL-2.0-or-later
"""A certificate authority of the test's own, and certificates for addresses and names of the test bed."""

from __future__ import annotations

import ipaddress
import ssl
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.config.authorities import trusting

if TYPE_CHECKING:
    from pathlib import Path

DAYS = "2"


@dataclass(frozen=True)
class Identity:
    """A certificate with its key, and the authority that vouches for it; files in PEM."""

    certificate: Path
    key: Path
    authority: Path

    def server(self, *, clients: bool = False) -> ssl.SSLContext:
        """For who is connected to; `clients`: they have to show a certificate of the same authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        if clients:
            context.load_verify_locations(self.authority)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client(self, *, shown: bool = True) -> ssl.SSLContext:
        """For who connects: it checks the other side, and shows its own certificate."""
        context = trusting(self.authority)
        if shown:
            context.load_cert_chain(self.certificate, self.key)
        return context


class Authority:
    """Signs certificates that are good for two days; their keys are of elliptic curves, or for RSA."""

    def __init__(self, directory: Path, *, rsa: bool = False) -> None:
        self._kind = ["rsa:2048"] if rsa else ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self.certificate = directory / "ca.crt"
        self._key = directory / "ca.key"
        self._signed: dict[tuple[str, ...], Identity] = {}
        self._openssl("req", "-x509", *self._new_key(self._key), "-subj", "/CN=The test bed", "-out", self.certificate)

    def identity(self, *names: str) -> Identity:
        """A certificate for these addresses and names, the same for the same ones."""
        if names not in self._signed:
            self._signed[names] = self._sign(*names)
        return self._signed[names]

    def _sign(self, *names: str) -> Identity:
        stem = names[0].replace(":", "_")
        key, request, certificate = (self._directory / f"{stem}.{kind}" for kind in ("key", "csr", "crt"))
        extension = self._directory / f"{stem}.ext"
        extension.write_text("subjectAltName = " + ", ".join(_alternative(name) for name in names) + "\n")
        self._openssl("req", "-new", *self._new_key(key), "-subj", f"/CN={names[0]}", "-out", request)
        self._openssl(
            "x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial",
            "-days", DAYS, "-extfile", extension, "-out", certificate,
        )  # fmt: skip
        return Identity(certificate, key, self.certificate)

    def _new_key(self, path: Path) -> list[str]:
        return ["-newkey", *self._kind, "-nodes", "-keyout", str(path)]

    def _openssl(self, *arguments: str | Path) -> None:
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def _alternative(name: str) -> str:
    try:
        return f"IP:{ipaddress.ip_address(name)}"
    except ValueError:
        return f"DNS:{name}"
