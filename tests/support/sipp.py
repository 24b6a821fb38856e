# SPDX-License-Identifier: GPL-2.0-or-later
"""SIPp, for many calls at once: runs a scenario to its end and tells what it counted.

Scenarios are in scenarios/*.xml, with @NAME@ for what this module or the test fills in. A scenario counts what matters
by SIPp's `counter` attribute; those counts are in `Result.counters`. Each run is bounded in calls and in time.
"""

from __future__ import annotations

import csv
import shutil
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.support import tones
from tests.support.fetch import Programs, programs
from tests.support.late_numpy import np
from tests.support.processes import Child

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.support.certificates import Identity
    from tests.support.sip_message import Address

SCENARIOS = Path(__file__).with_name("scenarios")
SPEAKS = '<nop><action><exec rtp_stream="tone.alaw,-1,8,PCMA/8000" /></action></nop>'
DEFAULTS = {
    "TONE": "tone.alaw", "CALLER": "+31201112222", "CALLER_SPEAKS": SPEAKS, "EXTENSION_SPEAKS": "",
    "PATIENCE_MS": "15000",
}  # fmt: skip
TONE_S = 2


@dataclass(frozen=True)
class Result:
    """What SIPp says at its end."""

    exit_code: int
    """0: every call went as the scenario says; 1: some did not; 97, 99, 253–255: it could not run them all."""
    successful: int
    failed: int
    counters: dict[str, int]
    errors: str
    """Its error file: unexpected messages, with the time and the scenario's step."""

    def check(self) -> Self:
        """Raise AssertionError unless every call went as the scenario says."""
        assert self.exit_code == 0, f"SIPp ended with {self.exit_code}, {self.failed} failed:\n{self.errors[:4000]}"
        return self


class Sipp:
    """One SIPp process: `async with Sipp("call", host, remote=…) as sipp: result = await sipp.finished()`.

    Give `remote` for a calling scenario. `values` fill @NAME@ in the scenario; `rows` are the injection file's lines,
    used in turn, one a call; `hz` is the tone it sends where the scenario streams @TONE@. With an `identity` it speaks
    TLS, with nobody whose certificate another authority has signed; without, UDP. Unless it is `logged` it keeps no
    messages, which costs less than they do.
    """

    def __init__(
        self,
        scenario: str,
        host: str,
        *,
        port: int = 5060,
        remote: Address | None = None,
        service: str = "",
        calls: int = 1,
        rate: float = 10,
        limit: int | None = None,
        hold_ms: int = 100,
        timeout_s: float = 30,
        hz: int = 600,
        values: Mapping[str, str] | None = None,
        rows: Sequence[Sequence[str]] = (),
        options: Sequence[str] = (),
        identity: Identity | None = None,
        installed: Programs | None = None,
        logged: bool = True,
    ) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="sipp-"))
        self._here = (host, port)
        self._timeout_s = timeout_s
        self._installed = installed or programs()
        self._fill(scenario, hz, values or {})
        self._arguments = ["-sf", "scenario.xml", "-nostdin", "-i", host, "-p", str(port), "-mi", host]
        self._arguments += ["-m", str(calls), "-d", str(hold_ms), "-timeout", f"{timeout_s}s", "-timeout_error"]
        self._arguments += ["-trace_stat", "-stf", "statistics.csv", "-fd", "1", "-trace_err"]
        self._arguments += ["-error_file", "errors.log", "-trace_rtt", "-rtt_freq", "1"]
        if logged:
            self._arguments += ["-trace_msg", "-message_file", "messages.log"]
        if limit is not None:
            self._arguments += ["-l", str(limit)]
        if rows:
            lines = ["SEQUENTIAL", *(";".join(row) for row in rows)]
            (self.directory / "rows.csv").write_text("\n".join([*lines, ""]))
            self._arguments += ["-inf", "rows.csv"]
        if remote is not None:
            there = f"[{remote[0]}]" if ":" in remote[0] else remote[0]
            self._arguments += ["-r", str(rate), "-s", service, f"{there}:{remote[1]}"]
        if identity is not None:
            self._arguments += ["-t", "l1", "-tls_cert", str(identity.certificate), "-tls_key", str(identity.key)]
            self._arguments += ["-tls_ca", str(identity.authority)]
        self._kind = socket.SOCK_DGRAM if identity is None else socket.SOCK_STREAM
        self._arguments += options

    async def __aenter__(self) -> Self:
        command = [*self._installed.command("usr/bin/sipp"), *self._arguments]
        self.child = Child("sipp", command, self.directory / "log", cwd=self.directory)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.child.exit_code is None:
            await self.child.kill()
        shutil.rmtree(self.directory)

    async def listening(self) -> bool:
        """Whether it takes calls yet: `await sipp.child.ready(sipp.listening)`."""
        with socket.socket(socket.AF_INET, self._kind) as probe:
            try:
                probe.bind(self._here)
            except OSError:
                return True
        return False

    async def finished(self) -> Result:
        """Wait until all its calls have ended, or its time is over."""
        code = await self.child.wait(self._timeout_s + 10)
        statistics = self.directory / "statistics.csv"
        if not statistics.exists():
            raise AssertionError(f"SIPp did not run: {code}\n{self.child.tail()}")
        with statistics.open(newline="") as file:
            last = list(csv.DictReader(file, delimiter=";"))[-1]
        total = {key.removesuffix("(C)"): value for key, value in last.items() if key and key.endswith("(C)")}
        # SIPp's own columns are in camel case; those that a scenario adds are in lower case here.
        counters = {key: int(value) for key, value in total.items() if key.islower()}
        errors = self.directory / "errors.log"
        return Result(
            exit_code=code,
            successful=int(total["SuccessfulCall"]),
            failed=int(total["FailedCall"]),
            counters=counters,
            errors=errors.read_text(errors="replace") if errors.exists() else "",
        )

    def response_times(self, name: str) -> list[float]:
        """What the scenario measured between `start_rtd` and `rtd` of this name, in ms, the shortest first."""
        lines = [line.split(";") for file in self.directory.glob("*_rtt.csv") for line in file.read_text().splitlines()]
        return sorted(float(fields[1]) for fields in lines if len(fields) > 2 and fields[2].strip() == name)

    def messages(self) -> str:
        """Everything it sent and received, as SIPp logs it."""
        log = self.directory / "messages.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def _fill(self, scenario: str, hz: int, values: Mapping[str, str]) -> None:
        text = (SCENARIOS / f"{scenario}.xml").read_text()
        voice = np.tile(tones.tone(hz, 1), TONE_S)
        (self.directory / "tone.alaw").write_bytes(tones.encode(voice, "PCMA"))
        for name, value in {**DEFAULTS, **values}.items():
            text = text.replace(f"@{name}@", value)
        (self.directory / "scenario.xml").write_text(text)
